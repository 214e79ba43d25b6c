"""Figures as people read them: times of day, energy, money, shares. Rounded only here."""

from __future__ import annotations

from collections.abc import Mapping


def name(address: str, name_of: Mapping[str, str]) -> str:
    """The data's name of a meter (as the API shows its address), else the address cut short."""
    return name_of.get(address, address[:10])


def time_of_day(slot: int, slot_ms: int = 900_000) -> str:
    """Start of a slot, counted from midnight."""
    minutes = slot * slot_ms // 60_000
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def price(micro: int) -> str:
    """A price per kWh with three places."""
    return f"{(micro + 500) // 1_000_000}.{(micro + 500) // 1000 % 1000:03}"


def currency(micro: int) -> str:
    """Micro-currency as a sum of money with two places, rounded half up on the absolute value."""
    sign = "-" if micro < 0 else ""
    cents = (abs(micro) + 5_000) // 10_000
    return f"{sign}{cents // 100:,}.{cents % 100:02}"


def tokens(micro: int) -> str:
    """Micro-units as whole currency units with all six places: nothing is rounded where conservation is shown."""
    return f"{'-' if micro < 0 else ''}{abs(micro) // 1_000_000:,}.{abs(micro) % 1_000_000:06}"


def kwh(wh: int) -> str:
    """Watt-hours as kWh with one place."""
    tenths = (abs(wh) + 50) // 100
    return f"{'-' if wh < 0 else ''}{tenths // 10:,}.{tenths % 10} kWh"


def percent(ppm: int) -> str:
    """A share with one place."""
    return f"{ppm // 10_000}.{ppm // 1000 % 10} %"


def change(now: int, before: int) -> str:
    """The difference to `before` in percent, with its sign."""
    if before == 0:
        return "no comparison"
    tenths = (now - before) * 2000 // abs(before)
    tenths = (tenths + 1) // 2
    return f"{'+' if tenths >= 0 else '-'}{abs(tenths) // 10}.{abs(tenths) % 10} %"
