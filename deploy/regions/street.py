"""A neighbourhood cut into regions, and its days into hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deploy.neighbourhood import SLOTS, DataError, Member, Neighbourhood, Side

HOURS: int = 24
_QUARTERS = SLOTS // HOURS


def hourly(street: Neighbourhood) -> Neighbourhood:
    """The same people with a value for each hour: the sum of its four quarters, Wh."""
    energy = {day: {name: _hours(values) for name, values in members.items()} for day, members in street.energy.items()}
    return replace(street, energy=energy)


def _hours(quarters: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(quarters[hour * _QUARTERS : (hour + 1) * _QUARTERS]) for hour in range(len(quarters) // _QUARTERS))


def parted(street: Neighbourhood, names: Sequence[str]) -> dict[str, Neighbourhood]:
    """One neighbourhood a region: the street's loads along its buses in stretches as long as each other, its plants
    from the smallest on, so that every region has both and none what it needs. Raise `DataError` for too few of
    either."""
    parts: dict[str, list[Member]] = {name: [] for name in names}
    for side in (Side.DEMAND, Side.GENERATION):
        order = _place if side is Side.DEMAND else _size
        along = sorted((member for member in street.members if member.side is side), key=order)
        if len(along) < len(names):
            raise DataError(
                f"too few members for {len(names)} regions",
                expected=f"at least {len(names)} loads and as many plants",
                found=f"{len(along)} of {side.value}",
                fix="choose other data",
            )
        for at, name in enumerate(names):
            parts[name] += along[at * len(along) // len(names) : (at + 1) * len(along) // len(names)]
    place = {member.name: at for at, member in enumerate(street.members)}
    return {
        name: replace(street, members=tuple(sorted(members, key=lambda one: place[one.name])))
        for name, members in parts.items()
    }


def _place(member: Member) -> tuple[int, str]:
    """Along the street: buses are numbered from the transformer on."""
    return (int(member.bus) if member.bus.isdecimal() else 0, member.name)


def _size(member: Member) -> tuple[int, str]:
    return (member.rated_w, member.name)
