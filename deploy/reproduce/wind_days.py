"""Days of a wind producer for the experiments of market A, and the rules of the market as a deployed contract.

The markets specification names the wind speeds of the windpowerlib example year through the power curve of a turbine;
it is not shipped. The profiles of SimBench stand in: measured shapes, five days, twelve sites.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from contracts.library_sources import HOUR_MS, ONE, Calendar, LibraryParameters
from contracts.wind_mode import WindMode
from deploy.neighbourhood import DEFAULT_DATA
from deploy.reproduce.inputs import Inputs
from ledger.draws import uniform
from ledger.errors import ConfigError
from node.conformance.world import INSTITUTIONS, CaseWorld, chosen

HOURS: Final = 24
CONTRACTS: Final = ("wind_rules",)
_QUARTERS: Final = 4
_FILE: Final = "wind_pu.csv"


@dataclass(frozen=True, slots=True)
class WindDay:
    """Forecast and actual output of each hour, Wh, and which profile and day they come from."""

    forecast: tuple[int, ...]
    actual: tuple[int, ...]
    profile: str
    date: str

    @property
    def deviation(self) -> tuple[int, ...]:
        """Actual less forecast."""
        return tuple(real - fore for real, fore in zip(self.actual, self.forecast, strict=True))


@cache
def _shares() -> dict[tuple[str, str], tuple[int, ...]]:
    """By (profile, day): mean share of rated power of each hour, ppm."""
    path = DEFAULT_DATA / _FILE
    if not path.is_file():
        raise ConfigError(
            "the wind profiles are missing", expected=_FILE, found="no file", fix="install the package whole"
        )
    found: dict[tuple[str, str], list[int]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = row.pop("time").partition("T")[0]
            for profile, share in row.items():
                found.setdefault((profile, day), []).append(round(float(share) * ONE))
    return {
        key: tuple(sum(values[at : at + _QUARTERS]) // _QUARTERS for at in range(0, len(values), _QUARTERS))
        for key, values in found.items()
    }


def wind_day(inputs: Inputs, seed: int) -> WindDay:
    """The day of a seed: `rated_w` times a profile that the seed draws (of those whose mean share of rated power lies
    in
    `share_ppm`, if that is given); the forecast is off by at most `error_ppm` of
    the output, evenly and for each hour by itself."""
    low, high = inputs.span("share_ppm") if "share_ppm" in inputs.values else (0, ONE)
    names = [key for key, hours in sorted(_shares().items()) if low <= sum(hours) // HOURS <= high]
    profile, date = names[uniform(len(names), seed, "day")]
    error = inputs.whole("error_ppm")
    actual = [inputs.whole("rated_w") * share // ONE for share in _shares()[profile, date]]
    forecast = [
        min(inputs.whole("rated_w"), wh * (ONE - error + uniform(2 * error + 1, seed, "error", hour)) // ONE)
        for hour, wh in enumerate(actual)
    ]
    return WindDay(tuple(forecast), tuple(actual), profile, date)


def drawn(inputs: Inputs, name: str, seed: int, *keys: str | int) -> int:
    """An integer of the range `name`."""
    low, high = inputs.span(name)
    return low + uniform(high - low + 1, seed, name, *keys)


@cache
def _installed() -> CaseWorld:
    return CaseWorld(
        chosen(LibraryParameters(INSTITUTIONS, Calendar(HOUR_MS, 4 * HOUR_MS), WindMode(False)), *CONTRACTS)
    )


def rule(entry: str, *arguments: Any) -> Any:
    """Ask the deployed rules; their views keep nothing."""
    return _installed().query("wind_rules", entry, *arguments)
