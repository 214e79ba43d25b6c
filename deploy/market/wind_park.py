"""The wind park and the storages of market A's demo: where their Wh come from.

The street has no wind turbine; its park runs by a wind profile of SimBench that is shipped beside the street's data
(`wind_pu.csv`, share of rated power). A day that the profile does not hold takes another of its days, and the card says
which. The data hold no forecast of it: that is the profile with an error that grows and fades, drawn by the reference
generator from `ERROR_SEED`. Equal everywhere.
A storage is lossless: one part is lent to the market, the other keeps its household on its forecast while it lasts.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from deploy.neighbourhood import DEFAULT_DATA, DataError, Member, Neighbourhood, Plan, Side, scaled
from ledger.draws import uniform

PROFILE: Final = "WP2"
"""Of the twelve that are shipped, the one with the most wind on the demo's days."""
PARK: Final = "Wind park"
ERROR_SEED: Final = 2016
STORAGE_W: Final = 11_000
"""A household's storage: what a wallbox gives or takes."""
LENT_WH: Final = 2_750
"""What it lends to the market: a quarter of an hour of its power, so a declared reserve can be used whole in a slot."""
BUFFER_WH: Final = 8_000
"""What it keeps for the household's own deviations from its forecast."""

_ONE: Final = 1_000_000
_STEP_PPM: Final = 60_000
"""By how much the error of the forecast changes from slot to slot at most, of what is made."""
_FADE: Final = 8
_FILE: Final = DEFAULT_DATA / "wind_pu.csv"


@cache
def _shares() -> dict[str, list[str]]:
    """Share of rated power of each slot by day, as decimal text. Raise `DataError`."""
    found: dict[str, list[str]] = {}
    try:
        with _FILE.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["time"].partition("T")[0], []).append(_above_zero(row[PROFILE]))
    except (OSError, KeyError) as error:
        raise DataError(
            "the wind profile cannot be read", expected=f"column {PROFILE}", found=repr(error), fix=f"correct {_FILE}"
        ) from None
    return found


def _above_zero(text: str) -> str:
    """A turbine that stands uses a little itself: that counts as nothing made."""
    return "0" if text.startswith("-") else text


def profile_day(day: str) -> str:
    """The day of the profile that stands for a day: itself, or one by its number."""
    known = sorted(_shares())
    return day if day in known else known[date.fromisoformat(day).toordinal() % len(known)]


def made(day: str, rated_w: int) -> tuple[int, ...]:
    """Wh by slot of a park of this power: W rounded half up on the decimal text, Wh likewise."""
    return tuple((scaled(text, rated_w, half_up=True) + 2) // 4 for text in _shares()[profile_day(day)])


def expected(day: str, rated_w: int) -> tuple[int, ...]:
    """What the park forecasts for the day, at most its rated power."""
    found, error = [], 0
    for slot, wh in enumerate(made(day, rated_w)):
        error += uniform(2 * _STEP_PPM + 1, ERROR_SEED, "error", day, slot) - _STEP_PPM - error // _FADE
        found.append(min(rated_w // 4, max(0, wh * (_ONE + error) // _ONE)))
    return tuple(found)


def with_park(street: Neighbourhood) -> Neighbourhood:
    """The street's loads, every second with a storage, and a wind park of half their installed power in place of solar
    plants."""
    loads = [member for member in street.members if member.side is Side.DEMAND]
    rated_w = max(1_000, sum(member.rated_w for member in loads) // 2)
    homes = [
        Member(load.name, load.side, load.device, load.rated_w, load.bus, STORAGE_W if number % 2 == 0 else 0)
        for number, load in enumerate(loads)
    ]
    park = Member(PARK, Side.GENERATION, "wind", rated_w)
    days = {
        day: {member.name: street.energy[day][member.name] for member in homes} | {PARK: made(day, rated_w)}
        for day in street.days
    }
    return Neighbourhood((*homes, park), street.days, days, street.folder)


def plan_with_park(street: Neighbourhood, day: str) -> Plan:
    """The street's plan with the park's own forecast."""
    plan = street.plan(day)
    rated_w = next(member.rated_w for member in street.members if member.name == PARK)
    return Plan(plan.day, plan.forecast_rule, plan.forecast | {PARK: expected(day, rated_w)}, plan.measured)


@dataclass(slots=True)
class Storage:
    """Charge of both parts in Wh."""

    lent: int = LENT_WH // 2
    buffer: int = BUFFER_WH // 2

    def matched(self, wh: int, *, surplus: bool) -> None:
        """A match takes from the lent part, or fills it with a surplus."""
        self.lent = min(LENT_WH, self.lent + wh) if surplus else max(0, self.lent - wh)

    def kept(self, forecast: int, load: int) -> int:
        """Wh that the meter counts as used without a match: the forecast, as far as the buffer and its power allow."""
        most = STORAGE_W // 4
        error = load - forecast
        given = max(-most, min(most, max(self.buffer - BUFFER_WH, min(self.buffer, error))))
        self.buffer -= given
        return load - given
