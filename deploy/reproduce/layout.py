"""Where everything of a chart stands: strokes and texts in one coordinate system, for SVG and PNG alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never

from deploy.reproduce.chart import SERIES, Band, Bars, Chart, Level, Line, Mark, Panel, Points

WIDTH: Final = 760
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 16, 30, 50
_PLOT_HEIGHT: Final = 230
_LEGEND_ROW: Final = 20
_LETTER: Final = 6.9
SMALL, NORMAL, LARGE = 12, 13, 15

TEXT, SOFT, GRID, PAPER = "text", "soft", "grid", "paper"


@dataclass(frozen=True, slots=True)
class Path:
    """A polyline, or with `filled` an area. `ink` names a colour of the palette."""

    points: Sequence[tuple[float, float]]
    ink: str
    width: float = 1.0
    dashed: bool = False
    filled: bool = False
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    ink: str


@dataclass(frozen=True, slots=True)
class Words:
    """A text; `anchor` start, middle or end. `upright` turns it by 90 degrees against the clock."""

    x: float
    y: float
    text: str
    size: int = SMALL
    ink: str = TEXT
    anchor: str = "start"
    upright: bool = False
    bold: bool = False


Stroke = Path | Dot | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart ready to be written."""

    title: str
    width: int
    height: int
    strokes: tuple[Stroke, ...]


def ink_of(colour: int) -> str:
    """Name of a series colour."""
    return f"s{colour % SERIES}"


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round values within [low, high], about `wanted` of them. `low` < `high`."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def written(values: Sequence[float]) -> list[str]:
    """Tick values as text, with as many digits as they need to differ; thousands apart from 10,000 on."""
    for digits in range(7):
        texts = [f"{value:.{digits}f}" for value in values]
        if all(abs(float(text) - value) < 1e-9 * max(1, abs(value)) for text, value in zip(texts, values, strict=True)):
            break
    grouped = [f"{value:,.{digits}f}" if abs(value) >= 10_000 else f"{value:.{digits}f}" for value in values]
    return [text.replace(",", " ").replace("-", "−") for text in grouped]


def _span(values: Sequence[float], *, zero: bool, margin: float) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if high - low < 1e-12:
        pad = abs(high) * 0.1 or 1.0
        return low - pad, high + pad
    room = (high - low) * margin
    return (low if zero and low == 0 else low - room), (high if zero and high == 0 else high + room)


def _xs(mark: Mark) -> Sequence[float]:
    if isinstance(mark, Level):
        return ()
    return [*mark.x, _end(mark)] if isinstance(mark, Line) and mark.stepped else mark.x


def _end(line: Line) -> float:
    """How far the last value of a stepped line holds."""
    return line.x[-1] + (line.x[-1] - line.x[-2] if len(line.x) > 1 else 1.0)


def _ys(mark: Mark) -> Sequence[float]:
    match mark:
        case Band():
            return [*mark.low, *mark.high]
        case Level():
            return [mark.y]
        case _:
            return mark.y


class _Frame:
    """One panel at its place: turns its values into points."""

    def __init__(self, panel: Panel, top: float) -> None:
        self.panel = panel
        self.legend = _legend(panel)
        self.top = top + _TOP + _LEGEND_ROW * len(self.legend)
        bars = any(isinstance(mark, Bars) for mark in panel.marks)
        xs = [x for mark in panel.marks for x in _xs(mark)]
        if panel.names:
            xs = [-0.5, len(panel.names) - 0.5]
        elif panel.x_span is not None:
            xs = list(panel.x_span)
        elif bars and xs:
            xs = [min(xs) - 0.6, max(xs) + 0.6]
        self.x0, self.x1 = _span(xs, zero=False, margin=0.0)
        ys = [y for mark in panel.marks for y in _ys(mark)]
        self.y0, self.y1 = _span(ys, zero=panel.zero or bars, margin=0.06)
        self.bottom = self.top + _PLOT_HEIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The point of a pair of values."""
        across = (x - self.x0) / (self.x1 - self.x0)
        up = (y - self.y0) / (self.y1 - self.y0)
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), self.bottom - up * _PLOT_HEIGHT

    def axes(self) -> list[Stroke]:
        """Title, grid, tick labels, axis labels, legend."""
        panel, right = self.panel, WIDTH - _RIGHT
        found: list[Stroke] = [
            Words(_LEFT, self.top - _LEGEND_ROW * len(self.legend) - 10, panel.title, NORMAL, TEXT, bold=True)
        ]
        levels = ticks(self.y0, self.y1)
        for value, text in zip(levels, written(levels), strict=True):
            y = self.at(self.x0, value)[1]
            found += [Path(((_LEFT, y), (right, y)), GRID), Words(_LEFT - 8, y + 4, text, anchor="end", ink=SOFT)]
        places: list[float] = list(range(len(panel.names))) if panel.names else self._places()
        rows = _label_rows(panel)
        for place, (value, text) in enumerate(zip(places, panel.names or written(places), strict=True)):
            x, low = self.at(value, self.y0)[0], self.bottom + 20 + place % rows * _LEGEND_ROW
            found += [
                Path(((x, self.bottom), (x, self.bottom + 5)), SOFT),
                Words(x, low, text, anchor="middle", ink=SOFT),
            ]
        found += [
            Path(((_LEFT, self.bottom), (right, self.bottom)), SOFT),
            Words((_LEFT + right) / 2, self.bottom + 20 + rows * _LEGEND_ROW, panel.x_label, anchor="middle"),
            Words(16, (self.top + self.bottom) / 2, panel.y_label, anchor="middle", upright=True),
        ]
        for row, entries in enumerate(self.legend):
            y = self.top - _LEGEND_ROW * (len(self.legend) - row) + 8
            for x, mark in entries:
                found += _sample(mark, x, y)
        return found

    def _places(self) -> list[float]:
        """Ticks of an axis of numbers; below bars only whole ones, for bars stand at them."""
        found = ticks(self.x0, self.x1, 9)
        if any(isinstance(mark, Bars) for mark in self.panel.marks):
            found = [value for value in found if abs(value - round(value)) < 1e-9]
        return found

    def strokes(self) -> list[Stroke]:
        """Everything in the panel; areas lie below bars, bars below lines."""
        found = self.axes()
        bars = [mark for mark in self.panel.marks if isinstance(mark, Bars)]
        order = {Band: 0, Bars: 1, Level: 2, Line: 3, Points: 4}
        for mark in sorted(self.panel.marks, key=lambda mark: order[type(mark)]):
            match mark:
                case Band():
                    edge = [self.at(x, y) for x, y in zip(mark.x, mark.high, strict=True)]
                    back = [self.at(x, y) for x, y in zip(mark.x, mark.low, strict=True)]
                    found.append(Path((*edge, *reversed(back)), ink_of(mark.colour), filled=True, faint=True))
                case Bars():
                    found += self._bars(mark, bars.index(mark), len(bars))
                case Level():
                    y = self.at(self.x0, mark.y)[1]
                    found.append(Path(((_LEFT, y), (WIDTH - _RIGHT, y)), TEXT, 1.2, dashed=True))
                case Line():
                    found += self._line(mark)
                case Points():
                    found += [
                        Dot(*self.at(x, y), 3.2, ink_of(mark.colour)) for x, y in zip(mark.x, mark.y, strict=True)
                    ]
                case _:
                    assert_never(mark)
        return found

    def _bars(self, mark: Bars, place: int, count: int) -> list[Stroke]:
        gaps = [b - a for a, b in pairwise(sorted(mark.x)) if b > a]
        wide = 0.78 * min(gaps, default=1.0) / count
        found: list[Stroke] = []
        for x, y in zip(mark.x, mark.y, strict=True):
            left = x + (place - count / 2) * wide
            corners = ((left, 0.0), (left, y), (left + wide * 0.94, y), (left + wide * 0.94, 0.0))
            found.append(Path([self.at(*corner) for corner in corners], ink_of(mark.colour), filled=True))
        return found

    def _line(self, mark: Line) -> list[Stroke]:
        points = [self.at(x, y) for x, y in zip(mark.x, mark.y, strict=True)]
        if mark.stepped:
            points.append(self.at(_end(mark), mark.y[-1]))
            points = [point for a, b in pairwise(points) for point in (a, (b[0], a[1]))]
        found: list[Stroke] = [Path(points, ink_of(mark.colour), 2.2, dashed=mark.dashed)]
        if mark.dotted:
            found += [Dot(*self.at(x, y), 3.2, ink_of(mark.colour)) for x, y in zip(mark.x, mark.y, strict=True)]
        return found


def _label_rows(panel: Panel) -> int:
    """In how many rows the names below the axis stand, so that they do not touch."""
    if not panel.names:
        return 1
    room = (WIDTH - _LEFT - _RIGHT) / len(panel.names)
    return max(1, math.ceil((max(map(len, panel.names)) + 1) * _LETTER / room))


def _legend(panel: Panel) -> list[list[tuple[float, Mark]]]:
    """Rows of (x, mark) for the marks with a name."""
    rows: list[list[tuple[float, Mark]]] = []
    x = float(WIDTH)
    for mark in panel.marks:
        if not mark.name:
            continue
        needed = 30 + len(mark.name) * _LETTER + 18
        if x + needed > WIDTH - _RIGHT:
            rows.append([])
            x = float(_LEFT)
        rows[-1].append((x, mark))
        x += needed
    return rows


def _sample(mark: Mark, x: float, y: float) -> list[Stroke]:
    name = Words(x + 30, y, mark.name, ink=TEXT)
    middle = y - 4
    match mark:
        case Band() | Bars():
            box = ((x, y - 9), (x + 24, y - 9), (x + 24, y + 1), (x, y + 1))
            return [Path(box, ink_of(mark.colour), filled=True, faint=isinstance(mark, Band)), name]
        case Points():
            return [Dot(x + 12, middle, 3.2, ink_of(mark.colour)), name]
        case Level():
            return [Path(((x, middle), (x + 24, middle)), TEXT, 1.2, dashed=True), name]
        case Line():
            return [Path(((x, middle), (x + 24, middle)), ink_of(mark.colour), 2.2, dashed=mark.dashed), name]
        case _:
            assert_never(mark)


def drawing(chart: Chart) -> Drawing:
    """Lay a chart out: its title, then the panels."""
    strokes: list[Stroke] = [Words(_LEFT, 26, chart.title, LARGE, TEXT, bold=True)]
    top = 40.0
    for panel in chart.panels:
        frame = _Frame(panel, top)
        strokes += frame.strokes()
        top = frame.bottom + _BOTTOM + (_label_rows(panel) - 1) * _LEGEND_ROW
    return Drawing(chart.title, WIDTH, round(top) + 6, tuple(strokes))
