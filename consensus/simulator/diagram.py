"""A space-time diagram of a journal as SVG: a line for each node, time to the right, messages slanted between them."""

from __future__ import annotations

from html import escape
from typing import Final

from consensus.simulator.journal import Journal, Moment

WIDTH: Final = 1_560
ROW: Final = 120
LEFT: Final = 80
TOP: Final = 96
_COLOURS: Final = {
    "proposal": "#1f6feb",
    "notarize": "#2da44e",
    "nullify": "#d97706",
    "finalize": "#8250df",
    "certificate": "#0a7d8c",
    "other": "#c3c9d1",
}
_LEGEND: Final = (
    ("proposal", "proposal"),
    ("notarize", "notarize vote"),
    ("nullify", "nullify vote"),
    ("finalize", "finalize vote"),
    ("certificate", "certificate"),
    ("other", "anything else"),
)
_LABEL_PX: Final = 30
"""Room that a label needs; where there is less, only the first mark has one."""


class _Drawing:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.parts: list[str] = []
        self.span = max(1, journal.end_ms - journal.begin_ms)
        self.height = TOP + journal.nodes * ROW + 40
        self.labelled: dict[tuple[int, int], float] = {}

    def x(self, at_ms: int) -> float:
        """Place of a time."""
        inside = WIDTH - LEFT - 30
        return round(LEFT + (at_ms - self.journal.begin_ms) * inside / self.span, 1)

    def y(self, node: int) -> int:
        """Place of a node's line."""
        return TOP + node * ROW + ROW // 2

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        """A straight line."""
        self.parts.append(f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" {style}/>')

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        """Some words."""
        self.parts.append(f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>')

    def mark(self, moment: Moment, shape: str, offset: int, colour: str) -> None:
        """A mark on a node's line, with what it stands for as its title, and its label where there is room."""
        x, y = self.x(moment.at_ms), self.y(moment.node)
        self.parts.append(f"<g><title>{moment.at_ms} ms, node {moment.node}: {escape(moment.text)}</title>{shape}</g>")
        lane = (moment.node, offset)
        if moment.label and x - self.labelled.get(lane, 0.0) >= _LABEL_PX:
            self.labelled[lane] = x
            self.text(x, y + offset, moment.label, f'text-anchor="middle" fill="{colour}"')


def draw(journal: Journal) -> str:
    """The diagram of a journal. Crashes are crosses and end a line, restarts are triangles, votes dots, certificates
    diamonds with the view, commits squares with the height; what broke is a red line over all."""
    drawing = _Drawing(journal)
    _frame(drawing)
    for arrow in sorted(journal.arrows, key=lambda arrow: arrow.kind != "other"):
        start = (drawing.x(arrow.sent_ms), drawing.y(arrow.sender))
        end = (drawing.x(arrow.arrives_ms), drawing.y(arrow.receiver))
        faint = "0.35" if arrow.kind == "other" else "0.55"
        drawing.line(start, end, f'stroke="{_COLOURS[arrow.kind]}" stroke-opacity="{faint}"')
    for moment in journal.moments:
        if moment.kind == "violation" or moment.node < 0:
            _over_all(drawing, moment)
        else:
            _on_line(drawing, moment)
    body = "\n".join(drawing.parts)
    size = f'width="{WIDTH}" height="{drawing.height}" viewBox="0 0 {WIDTH} {drawing.height}"'
    style = 'font-family="system-ui, sans-serif" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


def _frame(drawing: _Drawing) -> None:
    journal = drawing.journal
    drawing.parts.append(f'<rect width="{WIDTH}" height="{drawing.height}" fill="white"/>')
    state = journal.report.text().partition(" -> ")[2]
    drawing.text(16, 24, f"seed {journal.report.options.seed}: {state}"[:190], 'font-size="15" fill="#111"')
    drawing.text(16, 42, journal.report.options.text()[:230], 'fill="#555"')
    place = 16
    for kind, words in _LEGEND:
        drawing.line((place, 60), (place + 24, 60), f'stroke="{_COLOURS[kind]}" stroke-width="3"')
        drawing.text(place + 30, 64, words, 'fill="#333"')
        place += 44 + 7 * len(words)
    marks = (
        "dot: vote or proposal · diamond: certificate known · square: block committed · x: crash · triangle: restart"
    )
    drawing.text(place + 10, 64, marks, 'fill="#333"')
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1_000, 5_000, 10**9) if drawing.span / step <= 16)
    bottom = drawing.height - 30
    for at in range(-(-journal.begin_ms // step) * step, journal.end_ms + 1, step):
        drawing.line((drawing.x(at), TOP - 12), (drawing.x(at), bottom), 'stroke="#eef0f2"')
        drawing.text(drawing.x(at), bottom + 16, f"{at} ms", 'text-anchor="middle" fill="#555"')
    for node in range(journal.nodes):
        y = drawing.y(node)
        drawing.text(16, y + 4, f"node {node}", 'font-size="13" fill="#111"')
        drawing.line((LEFT, y), (WIDTH - 30, y), 'stroke="#333" stroke-width="1.5"')
    for node, first, last in journal.down:
        y = drawing.y(node)
        drawing.line((drawing.x(first), y), (drawing.x(last), y), 'stroke="white" stroke-width="3"')
        drawing.line((drawing.x(first), y), (drawing.x(last), y), 'stroke="#cf222e" stroke-dasharray="2 5"')


def _over_all(drawing: _Drawing, moment: Moment) -> None:
    x, broken = drawing.x(moment.at_ms), moment.kind == "violation"
    colour = "#cf222e" if broken else "#6b7280"
    drawing.line((x, TOP - 12), (x, drawing.height - 30), f'stroke="{colour}" stroke-dasharray="6 3"')
    if x - drawing.labelled.get((-1, broken), -1e9) < 4 * _LABEL_PX:
        return
    drawing.labelled[-1, broken] = x
    words = f"node {moment.node}: {moment.text}" if moment.node >= 0 else moment.text
    anchor = "end" if x > WIDTH // 2 else "start"
    shift = -5 if anchor == "end" else 5
    drawing.text(x + shift, TOP - (2 if broken else -10), words[:110], f'text-anchor="{anchor}" fill="{colour}"')


def _on_line(drawing: _Drawing, moment: Moment) -> None:
    x, y = drawing.x(moment.at_ms), drawing.y(moment.node)
    match moment.kind:
        case "crash":
            path = f"M{x - 6},{y - 6} L{x + 6},{y + 6} M{x - 6},{y + 6} L{x + 6},{y - 6}"
            drawing.mark(moment, f'<path d="{path}" stroke="#cf222e" stroke-width="3"/>', 20, "#cf222e")
        case "restart":
            drawing.mark(
                moment, f'<path d="M{x - 5},{y - 6} L{x + 6},{y} L{x - 5},{y + 6} Z" fill="#2da44e"/>', 20, "#2da44e"
            )
        case "certificate":
            path = f"M{x},{y - 16} L{x + 6},{y - 9} L{x},{y - 2} L{x - 6},{y - 9} Z"
            drawing.mark(moment, f'<path d="{path}" fill="{_COLOURS["certificate"]}"/>', -20, _COLOURS["certificate"])
        case "commit":
            shape = f'<rect x="{x - 6}" y="{y - 6}" width="12" height="12" fill="#111"/>'
            drawing.mark(moment, shape, 22, "#111")
        case "notarize" | "nullify" | "finalize" | "propose":
            colour = _COLOURS["proposal" if moment.kind == "propose" else moment.kind]
            shape = f'<circle cx="{x}" cy="{y}" r="4.5" fill="{colour}" stroke="white"/>'
            drawing.mark(moment, shape, 36 if moment.kind != "propose" else -34, colour)
        case _:
            drawing.mark(moment, f'<circle cx="{x}" cy="{y}" r="3" fill="none" stroke="#6b7280"/>', 36, "#6b7280")
