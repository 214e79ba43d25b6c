"""A drawing as SVG. Colours are classes, so one style sheet serves the light and the dark page."""

from __future__ import annotations

from typing import Final, assert_never
from xml.sax.saxutils import escape, quoteattr

from deploy.reproduce.layout import Dot, Drawing, Path, Stroke, Words

LIGHT: Final = {
    "paper": "#ffffff", "text": "#1a1a1a", "soft": "#5c5c5c", "grid": "#e3e3e3", "s0": "#0072b2", "s1": "#d55e00",
    "s2": "#009e73", "s3": "#b0508a", "s4": "#c98a00", "s5": "#3c8dc5", "s6": "#7a6a00", "s7": "#666666",
}  # fmt: skip
"""Colours on white, after Okabe and Ito."""
DARK: Final = {
    "paper": "#16181c", "text": "#eceef0", "soft": "#a4a9b0", "grid": "#33373d", "s0": "#5ab4ef", "s1": "#ff9250",
    "s2": "#35cfa2", "s3": "#eb9fcb", "s4": "#f3bf49", "s5": "#96d3f7", "s6": "#d9cc52", "s7": "#b0b0b0",
}  # fmt: skip
_FONT: Final = "system-ui, 'DejaVu Sans', Arial, sans-serif"


def _rules(colours: dict[str, str]) -> str:
    return "".join(f".l-{name}{{stroke:{value}}}.f-{name}{{fill:{value}}}" for name, value in colours.items())


def style() -> str:
    """The style sheet of all drawings."""
    return f"{_rules(LIGHT)}@media (prefers-color-scheme: dark){{{_rules(DARK)}}}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _element(stroke: Stroke) -> str:
    match stroke:
        case Path():
            points = " ".join(f"{_number(x)},{_number(y)}" for x, y in stroke.points)
            if stroke.filled:
                faint = ' fill-opacity="0.22"' if stroke.faint else ""
                return f'<polygon class="f-{stroke.ink}"{faint} points="{points}"/>'
            dashes = ' stroke-dasharray="6 4"' if stroke.dashed else ""
            width = _number(stroke.width)
            return f'<polyline class="l-{stroke.ink}" fill="none" stroke-width="{width}"{dashes} points="{points}"/>'
        case Dot():
            place = f'cx="{_number(stroke.x)}" cy="{_number(stroke.y)}" r="{_number(stroke.radius)}"'
            return f'<circle class="f-{stroke.ink}" {place}/>'
        case Words():
            x, y = _number(stroke.x), _number(stroke.y)
            turned = f' transform="rotate(-90 {x} {y})"' if stroke.upright else ""
            heavy = ' font-weight="600"' if stroke.bold else ""
            place = f'x="{x}" y="{y}" font-size="{stroke.size}" text-anchor="{stroke.anchor}"'
            return f'<text class="f-{stroke.ink}" {place}{turned}{heavy}>{escape(stroke.text)}</text>'
        case _:
            assert_never(stroke)


def svg(drawing: Drawing, *, alone: bool) -> str:
    """The drawing as an SVG element. `alone`: a file of its own, with style sheet and background; else for a page that
    has `style()`."""
    width, height = drawing.width, drawing.height
    size = f'width="{width}" height="{height}" ' if alone else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}viewBox="0 0 {width} {height}" role="img"'
    parts = [f"{head} aria-label={quoteattr(drawing.title)} font-family={quoteattr(_FONT)}>"]
    if alone:
        parts += [f"<style>{style()}</style>", f'<rect class="f-paper" width="{width}" height="{height}"/>']
    parts += [_element(stroke) for stroke in drawing.strokes]
    return "\n".join([*parts, "</svg>"]) + "\n"
