"""Straight lines through measured times: slope and constant of each run, means over runs with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final

_T_95: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t, two-sided 95 %, by degrees of freedom from 1 on; beyond the table 1.96."""


@dataclass(frozen=True, slots=True)
class Line:
    """y = constant + slope * x."""

    constant: float
    slope: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval; of a single value both ends are infinite."""

    mean: float
    low: float
    high: float

    def apart(self, other: Interval) -> bool:
        """Whether the intervals do not overlap."""
        return self.high < other.low or other.high < self.low

    def document(self, factor: float = 1.0) -> dict[str, Any]:
        """For JSON, rounded; an end that is not known is None."""
        ends = [None if math.isinf(end) else round(end * factor, 3) for end in (self.low, self.high)]
        return {"mean": round(self.mean * factor, 3), "interval_95": ends}


def fit(x: Sequence[float], y: Sequence[float]) -> Line:
    """Least squares. Raise `ValueError` where there are not two different x."""
    middle, height = fmean(x), fmean(y)
    spread = sum((one - middle) ** 2 for one in x)
    if not spread:
        raise ValueError("a line needs two different sizes")
    slope = sum((one - middle) * (other - height) for one, other in zip(x, y, strict=True)) / spread
    return Line(height - slope * middle, slope)


def interval(values: Sequence[float]) -> Interval:
    """Of the mean of at least one value."""
    mean, freedom = fmean(values), len(values) - 1
    if not freedom:
        return Interval(mean, -math.inf, math.inf)
    half = (_T_95[freedom - 1] if freedom <= len(_T_95) else 1.96) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def crossing(low: Line, high: Line) -> float | None:
    """The x from which on `low` lies below `high`: 0 if it does everywhere, None if it does nowhere in the end."""
    if low.slope >= high.slope:
        return None
    return max(0.0, (low.constant - high.constant) / (high.slope - low.slope))
