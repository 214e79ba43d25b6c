"""Charts as values: panels below each other, with lines, bands, bars, points and levels. `layout` turns one into
strokes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SERIES = 8
"""Colours that differ also for colour-blind readers; `colour` counts modulo this."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series. `stepped`: each value holds until the next x, the last one as long as the one before. `dotted` draws a
    dot at each value."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dashed: bool = False
    stepped: bool = False
    dotted: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two series, such as the 5 % and 95 % quantiles over the seeds."""

    name: str
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from zero. Several in one panel stand side by side."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Points:
    """Dots without a line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line across the panel with its meaning: a published value, a tariff, a limit."""

    name: str
    y: float


Mark = Line | Band | Bars | Points | Level


@dataclass(frozen=True, slots=True)
class Panel:
    """One coordinate system. `names`: the x axis counts 0, 1, 2.. and shows these texts. `zero`: the y axis holds
    zero. `x_span`: how far the x axis reaches, where panels below each other are to be compared."""

    title: str
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]
    names: tuple[str, ...] = ()
    zero: bool = False
    x_span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure. `title` is also what a screen reader says."""

    title: str
    panels: tuple[Panel, ...]
