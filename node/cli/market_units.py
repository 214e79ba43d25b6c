"""What people type and read at `gridchain market`: kWh, currency, slots, days. Integers inside: Wh, micro-currency, ms.

Nothing is rounded: an amount finer than the unit inside is refused.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ledger.errors import ConfigError

_ENERGY: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(k?Wh)?", re.IGNORECASE)
_MONEY: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_SLOTS: Final = re.compile(r"([0-9]{1,15})(?:(?:-|\.\.)([0-9]{1,15}))?")
_REPEATED: Final = re.compile(r"(.+)x([0-9]{1,3})")
_DAY_MS: Final = 86_400_000
MICRO: Final = 1_000_000
WH_PER_KWH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Calendar:
    """Slots of market time: slot n begins at `slot0_ms` + n * `slot_ms`."""

    slot0_ms: int
    slot_ms: int

    def start(self, slot: int) -> int:
        """When the delivery of a slot begins, market ms."""
        return self.slot0_ms + slot * self.slot_ms

    def day(self, text: str) -> range:
        """The slots that begin on a day of market time (UTC), YYYY-MM-DD. Raise `ConfigError` (BAD_DAY)."""
        try:
            first = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
        except ValueError:
            first = None
        if first is None or len(text) != len("2026-01-31"):
            raise ConfigError(
                "this is no day", code="BAD_DAY", expected="YYYY-MM-DD", found=text[:40], fix="as --day 2026-06-01"
            )
        begin = int(first.timestamp()) * 1000
        slots = [-((self.slot0_ms - moment) // self.slot_ms) for moment in (begin, begin + _DAY_MS)]
        return range(max(0, slots[0]), max(0, slots[1]))


def parse_energy(text: str) -> int:
    """Wh of `1.5`, `1.5kWh` (kWh is meant where no unit stands) or `1500Wh`. Raise `ConfigError` (BAD_ENERGY)."""
    found = _ENERGY.fullmatch(text.strip())
    if found is not None:
        wh = Decimal(found[1]) * (1 if (found[2] or "kWh").lower() == "wh" else WH_PER_KWH)
        if wh == int(wh):
            return int(wh)
    raise ConfigError(
        "this is no energy",
        code="BAD_ENERGY",
        expected="kWh with at most 3 decimals, or whole Wh",
        found=text[:40],
        fix="as 1.5, 1.5kWh or 1500Wh",
    )


def parse_price(text: str) -> int:
    """Micro-currency of an amount of currency (per kWh) such as `0.55`. Raise `ConfigError` (BAD_PRICE)."""
    if _MONEY.fullmatch(text.strip()):
        micro = Decimal(text.strip()) * MICRO
        if micro == int(micro):
            return int(micro)
    raise ConfigError(
        "this is no price",
        code="BAD_PRICE",
        expected="currency per kWh, 0 or more, with at most 6 decimals",
        found=text[:40],
        fix="as 0.55",
    )


def parse_slots(text: str) -> range:
    """The slots of `7` or `5-9` (both included). Raise `ConfigError` (BAD_SLOTS)."""
    found = _SLOTS.fullmatch(text.strip())
    if found is not None:
        first, last = int(found[1]), int(found[2] or found[1])
        if first <= last:
            return range(first, last + 1)
    raise ConfigError(
        "these are no slots", code="BAD_SLOTS", expected="NUMBER or FIRST-LAST", found=text[:40], fix="as 40 or 40-47"
    )


def parts_of(text: str) -> list[str]:
    """What stands between commas; `0.5x24` stands for 24 times 0.5."""
    parts: list[str] = []
    for part in text.split(","):
        repeated = _REPEATED.fullmatch(part.strip())
        parts += [part] if repeated is None else [repeated[1]] * int(repeated[2])
    return parts


def show_energy(wh: int) -> str:
    """Wh as kWh, exact."""
    sign, wh = ("-" if wh < 0 else ""), abs(wh)
    return f"{sign}{wh // WH_PER_KWH}.{wh % WH_PER_KWH:03d} kWh"


def show_money(micro: int) -> str:
    """Micro-currency as currency, exact, with two decimals at least."""
    sign, micro = ("-" if micro < 0 else ""), abs(micro)
    decimals = f"{micro % MICRO:06d}"
    return f"{sign}{micro // MICRO}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def show_share(ppm: int | None) -> str:
    """A ratio in ppm as percent; a dash where there is none."""
    return "-" if ppm is None else f"{ppm // 10_000}.{ppm % 10_000 // 1_000} %"


def show_time(market_ms: int) -> str:
    """A moment of market time, UTC."""
    return datetime.datetime.fromtimestamp(market_ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
