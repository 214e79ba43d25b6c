"""What a person sees while the day runs: a live page on a terminal, plain lines anywhere else.

`Progress` is what the demo knows so far and holds no logic of the market; it is filled from committed events and from
what the nodes say about themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.market.words import currency, kwh, price, time_of_day

# With four nodes the page has to fit a terminal of 80 columns and 24 rows: a taller one leaves remains behind.
LAST_TRADES = 5
LAST_NOTES = 3
_BAR = 18
_STATES = {"leader": "cyan", "ok": "green", "behind": "yellow", "down": "red", "starting": "yellow"}


@dataclass(slots=True)
class NodeLine:
    """One node, in its own words: `latency_ms` is how long its status took to arrive."""

    name: str
    url: str
    height: int = 0
    peers: int = 0
    latency_ms: float | None = None
    state: str = "starting"


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One trade as shown: a text for each column but the slot's."""

    slot: int
    cells: tuple[str, ...]


@dataclass(slots=True)
class Progress:
    """The run so far."""

    chain_id: str
    engine: str
    day: str
    first_slot: int
    slots: int
    members: int
    speed: int
    nodes: list[NodeLine]
    market: str = "C"
    columns: tuple[str, ...] = ("slot",)
    ahead: int = 4
    """Slots from what `opened` tells to delivery."""
    slot_ms: int = 900_000
    opened: int | None = None
    settled: int = 0
    trades: int = 0
    traded_wh: int = 0
    traded_money: int = 0
    use_wh: int = 0
    generation_wh: int = 0
    grid_sales_wh: int = 0
    grid_purchases_wh: int = 0
    on_the_way: int = 0
    last_trades: deque[TradeLine] = field(default_factory=lambda: deque(maxlen=LAST_TRADES))
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_NOTES))
    aside: str = ""
    """What is told so often that it would push the notes away; only the newest is shown."""

    @property
    def time(self) -> str:
        """When the slot that is about to be delivered begins."""
        return time_of_day(self.market_slot, self.slot_ms)

    @property
    def market_slot(self) -> int:
        """The slot that is about to be delivered."""
        return self.first_slot if self.opened is None else max(self.first_slot, self.opened - self.ahead)


def wrapped(text: str, style: str = "") -> Text:
    """Text that goes on in the next line inside a frame, also where output is no terminal and lines are not broken."""
    return Text(text, style=style, overflow="fold", no_wrap=False)


def page(progress: Progress) -> RenderableType:
    """The live page."""
    done = progress.settled * _BAR // max(1, progress.slots)
    share = progress.settled * 100 // max(1, progress.slots)
    average = progress.traded_money * 1000 // progress.traded_wh if progress.traded_wh else None
    clock = Text.assemble(
        ("market day ", ""),
        (f"{progress.day} {progress.time}  ", "bold"),
        ("█" * done + "░" * (_BAR - done), "green"),
        f"  {share} %  x{progress.speed}",
        ("  waiting ", "dim"),
        str(progress.on_the_way),
    )
    money = Text.assemble(
        ("traded ", "dim"),
        f"{kwh(progress.traded_wh)} in {progress.trades} trades",
        ("  average ", "dim"),
        price(average) if average is not None else "-",
        ("  paid ", "dim"),
        currency(progress.traded_money),
        ("  grid ", "dim"),
        "0.45/0.67",
    )
    energy = Text.assemble(
        ("used ", "dim"),
        kwh(progress.use_wh),
        ("  generated ", "dim"),
        kwh(progress.generation_wh),
        ("  from grid ", "dim"),
        kwh(progress.grid_sales_wh),
        ("  to grid ", "dim"),
        kwh(progress.grid_purchases_wh),
    )
    kept = list(progress.notes)[-2:] if progress.aside else progress.notes
    notes = wrapped("\n".join(kept), style="yellow")
    aside: list[RenderableType] = (
        [Text(progress.aside, style="dim", no_wrap=True, overflow="ellipsis")] if progress.aside else []
    )
    who = f"market {progress.market} - {progress.chain_id[:20]} - engine {progress.engine} - {progress.members} members"
    title = f"gridchain demo - {who}"
    parts: tuple[RenderableType, ...] = (
        clock,
        money,
        energy,
        Text(),
        _nodes(progress.nodes),
        Text(),
        _trades(progress),
        Text(),
        *aside,
        notes,
    )
    return Panel(
        Group(*parts), title=title, subtitle="Ctrl-C ends the demo and all its processes", expand=False, width=110
    )


def _nodes(nodes: Sequence[NodeLine]) -> Table:
    table = Table("node", "height", "peers", "latency", "state", "api", box=None, padding=(0, 2), header_style="dim")
    for node in nodes:
        latency = "-" if node.latency_ms is None else f"{node.latency_ms:.0f} ms"
        state = Text(node.state, style=_STATES.get(node.state.split()[0], ""))
        table.add_row(node.name, str(node.height), str(node.peers), latency, state, node.url)
    return table


def _trades(progress: Progress) -> Table:
    table = Table(*progress.columns, box=None, padding=(0, 2), header_style="dim")
    fewer = max(0, len(progress.nodes) - 4) + bool(progress.aside)  # the page keeps its height
    for trade in list(progress.last_trades)[-max(1, LAST_TRADES - fewer) :]:
        table.add_row(time_of_day(trade.slot, progress.slot_ms), *trade.cells)
    return table


class Screen:
    """Where the run is shown. Plain lines unless `live`."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self.console = console
        self._wants_live = live
        self._live: Live | None = None
        self._progress: Progress | None = None
        self._told = -1

    def say(self, text: str) -> None:
        """Tell something once: a note on the live page, a line elsewhere."""
        if self._progress is not None:
            self._progress.notes.append(text)
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def mention(self, text: str) -> None:
        """Tell one of many: on the live page until the next one, a line elsewhere."""
        if self._progress is not None:
            self._progress.aside = text
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def following(self, progress: Progress) -> Iterator[None]:
        """Show `progress` until the end of the block."""
        self._progress = progress
        try:
            if not self._wants_live:
                yield
                return
            with Live(page(progress), console=self.console, refresh_per_second=8, transient=True) as live:
                self._live = live
                yield
        finally:
            self._live = None
            self._progress = None

    def update(self) -> None:
        """Draw again; without a live page a line for each hour of the day."""
        progress = self._progress
        if progress is None:
            return
        if self._live is not None:
            self._live.update(page(progress))
            return
        hour = progress.market_slot * progress.slot_ms // 3_600_000
        if progress.opened is not None and hour != self._told:
            self._told = hour
            self.console.print(_line(progress), markup=False, highlight=False, soft_wrap=True)


def _line(progress: Progress) -> str:
    nodes = " ".join(f"{node.name}:{node.height}{'' if node.state != 'down' else '(down)'}" for node in progress.nodes)
    slots = f"{progress.settled}/{progress.slots} slots settled"
    energy = f"used {kwh(progress.use_wh)}, generated {kwh(progress.generation_wh)}"
    traded = f"{progress.trades} trades, {kwh(progress.traded_wh)} traded"
    return f"{progress.time}  {slots}, {traded}, {energy}  [{nodes}]"
