"""The members of a made-up neighbourhood: reproducible, in whole Wh, from a seed.

Every second household has a solar roof of 2 to 6 kWp; all use 8 to 16 kWh a day along the same curve. The curves are
hourly shares of a day in per mille: a clear summer day, and a household that is out until the evening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.draws import uniform

HOURS: Final = 24
_SUN: Final = (0, 0, 0, 0, 0, 5, 18, 37, 60, 83, 104, 118, 124, 120, 108, 89, 65, 41, 20, 7, 1, 0, 0, 0)
_USE: Final = (22, 18, 17, 16, 17, 22, 38, 52, 48, 40, 36, 38, 44, 42, 36, 36, 42, 58, 76, 84, 78, 62, 46, 32)
_PER_MILLE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Household:
    """What a household makes and uses in each hour of the day, in Wh, and the power it is connected with, in W."""

    name: str
    rated_w: int
    generation_wh: tuple[int, ...]
    use_wh: tuple[int, ...]

    def surplus(self, hour: int) -> int:
        """Generation less use in Wh; negative: what is missing."""
        return self.generation_wh[hour] - self.use_wh[hour]


def neighbourhood(seed: int, count: int) -> tuple[Household, ...]:
    """`count` households of a seed; the odd ones have solar roofs."""
    return tuple(_household(seed, number) for number in range(count))


def _household(seed: int, number: int) -> Household:
    name = f"h{number:03d}"
    day_wh = 8_000 + uniform(8_001, seed, "use", number)
    sun_wh = (2_000 + uniform(4_001, seed, "pv", number)) * 6 if number % 2 else 0
    use = tuple(_hour(day_wh, _USE[hour], seed, name, "use", hour) for hour in range(HOURS))
    made = tuple(_hour(sun_wh, _SUN[hour], seed, name, "sun", hour) for hour in range(HOURS))
    return Household(name, max(*use, *made, 1_000), made, use)


def _hour(day_wh: int, share: int, seed: int, *keys: str | int) -> int:
    """The share of an hour, varied by up to a fifth in either direction."""
    return day_wh * share * (800 + uniform(401, seed, *keys)) // (_PER_MILLE * _PER_MILLE)
