"""The library's contract of engine `dpos`, and what genesis gives it."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.executor import ENGINE_ADDRESS
from contracts.library_sources import COUNCIL, NO_LAST_SLOT, Calendar, Installation, library_source
from contracts.values import Value, encode_value


@dataclass(frozen=True, slots=True)
class Candidate:
    """A validator of genesis: its name, its voting key (32 bytes), the address that speaks for it, whether of the
    floor."""

    name: str
    key: bytes
    account: bytes
    floor: bool


def council_contract(seats: int, candidates: tuple[Candidate, ...], market: Calendar | None) -> Installation:
    """The instance that takes ballots, readiness and reports and shows elections. `candidates` in the order of genesis.
    `market`: its calendar; None on a chain without one."""
    arguments: list[Value] = [
        ENGINE_ADDRESS, seats, [one.name for one in candidates], [one.key for one in candidates],
        [one.account for one in candidates], [at for at, one in enumerate(candidates) if one.floor],
        _calendar(market),
    ]  # fmt: skip
    calls = () if market is None else ("bills", "registry")
    return Installation(COUNCIL, library_source(COUNCIL), encode_value(arguments), calls)


def _calendar(market: Calendar | None) -> list[Value]:
    if market is None:
        return []
    when = market
    last = NO_LAST_SLOT if when.last_slot is None else when.last_slot
    return [when.slot_ms, when.slot0_ms, when.first_slot, last, when.grace_slots, when.late_slots]
