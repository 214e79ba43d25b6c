"""What a person sees of a day in several regions: a line a region, the global chain, incidents.

Filled from committed events of every chain and from what nodes say about themselves; it holds no logic.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contracts.library_crossing import CROSSING
from contracts.library_sources import SHARDS
from deploy.market.words import kwh, tokens
from deploy.screen import Progress, Screen
from node.client import EventSeen

# The page has to fit a terminal of 80 columns and 24 rows: a taller one leaves remains behind.
LAST_NOTES = 5
FALSE: Final = {
    "W1": "its blocks do not give this state",
    "W2": "its clearing is not the auction's",
    "W3": "it leaves out what came through the global chain",
}
"""How a certified record can be wrong."""
OFFENCES: Final = {
    "certified-invalid": "certifying a false record",
    "two-records": "publishing two records",
    "double-vote": "voting twice",
}


def offence_in_words(offence: str) -> str:
    """What somebody is fined for."""
    return OFFENCES.get(offence, offence)


def false_in_words(kind: str) -> str:
    """What is wrong with a record, by its kind."""
    return f"{kind}, {FALSE[kind]}" if kind in FALSE else kind


@dataclass(slots=True)
class RegionLine:
    """A region beside its own progress. Wh and counts; `records`: confirmed by the global chain, `at`: its height then.
    `open`: orders that wait elsewhere. `corrected`: settlements booked again, `publisher` faults in `fined`; `fines`
    say whose and for what."""

    progress: Progress
    bought_wh: int = 0
    sold_wh: int = 0
    fills: int = 0
    open: int = 0
    records: int = 0
    at: int = 0
    corrections: int = 0
    resettled: int = 0
    fined: int = 0
    fines: list[str] = field(default_factory=list)
    standing: str = "current"

    def seen(self, event: EventSeen) -> None:
        """An event of the region's own chain."""
        if event.contract == CROSSING:
            self._crossed(event.name, event.data)
        elif event.name == "Corrected":
            self.resettled += 1

    def _crossed(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "Locked":
            self.open += 1
        elif name == "Returned":
            self.open -= 1
        elif name == "Elsewhere":
            self.fills += 1
            self.open -= bool(data["ended"])
            self.bought_wh += data["wh"] if data["side"] == "buy" else 0
            self.sold_wh += data["wh"] if data["side"] == "sell" else 0


@dataclass(slots=True)
class Board:
    """All regions and the global chain. `centres`: name and height of each centre's node; `names` of members by their
    keys as the API shows them."""

    chain_id: str
    day: str
    speed: int
    regions: dict[str, RegionLine]
    centres: dict[str, str] = field(default_factory=dict)
    height: int = 0
    pool: int = 0
    entered: int = 0
    refused: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_NOTES))
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something is different."""

    async def until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `done`; whether it was within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not done():
                    self.moved.clear()
                    await self.moved.wait()
        except TimeoutError:
            return False
        return True

    @property
    def time(self) -> str:
        """Market time of the region that is furthest."""
        return max(line.progress.time for line in self.regions.values())

    def seen(self, event: EventSeen) -> str:
        """An event of the global chain; what to say about it, if anything."""
        if event.contract != SHARDS:
            return ""
        data = event.data
        self.height = max(self.height, event.height)
        line = self.regions.get(data.get("region", ""))
        if event.name == "Entered":
            self.entered += 1
        elif event.name == "Refused":
            self.refused += 1
        if line is None:
            return ""
        if event.name == "Confirmed":
            line.records, line.at = data["seq"], event.height
        elif event.name == "Corrected":
            line.corrections += 1
            why = false_in_words(data["kind"])
            return f"record {data['seq']} of {data['region']} was corrected by the centres: {why}"
        elif event.name == "Fined":
            line.fined += 1
            who = self.names.get(data.get("member", ""), "a member")
            fine = f"{who} of {data['region']} loses {tokens(int(data['fine']))} of its deposit"
            line.fines.append(f"{fine} for {offence_in_words(data['offence'])}, record {data['seq']}")
            return line.fines[-1]
        elif event.name == "EpochOpened":
            return f"{data['region']} begins anew, epoch {data['epoch']}: {data['reason']}"
        return ""


def page(board: Board) -> RenderableType:
    """The live page."""
    table = Table("", *board.regions, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, cell in _ROWS:
        table.add_row(Text(name, style="dim"), *map(cell, board.regions.values()))
    centres = Text("centres  " + "  ".join(f"{name} {what}" for name, what in board.centres.items()), style="dim")
    head = Text(f"market day {board.day} {board.time}  x{board.speed}  global height {board.height}", style="bold")
    told = Text("\n".join(board.notes), style="yellow", no_wrap=True, overflow="ellipsis")
    return Panel(
        Group(head, Text(), table, Text(), centres, Text(), told),
        title=f"gridchain demo - market C in {len(board.regions)} regions - {board.chain_id[:14]} - engine sharded",
        subtitle="Ctrl-C ends the demo and all its processes", expand=False, width=110,
    )  # fmt: skip


def _state(line: RegionLine) -> str:
    nodes = line.progress.nodes
    return f"{line.standing}, {sum(node.state != 'down' for node in nodes)}/{len(nodes)} up"


_ROWS: Final[tuple[tuple[str, Callable[[RegionLine], str]], ...]] = (
    ("hours settled", lambda line: f"{line.progress.settled}/{line.progress.slots}"),
    ("home trades", lambda line: f"{kwh(line.progress.traded_wh)} ({line.progress.trades})"),
    ("from others", lambda line: kwh(line.bought_wh)),
    ("to others", lambda line: kwh(line.sold_wh)),
    ("orders elsewhere", lambda line: str(line.open)),
    ("record, at", lambda line: f"{line.records} @{line.at}"),
    ("own height", lambda line: str(max((node.height for node in line.progress.nodes), default=0))),
    ("corrected, fined", lambda line: f"{line.corrections}, {line.fined}"),
    ("state", _state),
)


def line_of(board: Board) -> str:
    """The same for a plain line."""
    parts = []
    for name, line in board.regions.items():
        done = line.progress
        across = f"+{kwh(line.bought_wh)} -{kwh(line.sold_wh)}"
        parts.append(
            f"{name} {done.settled}/{done.slots} home {kwh(done.traded_wh)} across {across} rec {line.records}"
        )
    return f"{board.time}  " + "; ".join(parts)


class BoardScreen(Screen):
    """Shows a board; `voice` is what a region's runner speaks through."""

    def __init__(self, console: Console, *, live: bool) -> None:
        super().__init__(console, live=live)
        self._shown: Live | None = None
        self._wanted = live
        self._board: Board | None = None
        self._hour = ""

    def show(self, board: Board) -> None:
        """From now on this is what is shown."""
        self._board = board
        if self._wanted:
            self._shown = Live(page(board), console=self.console, refresh_per_second=4, transient=True)
            self._shown.start()

    def end(self) -> None:
        """Take the page away."""
        if self._shown is not None:
            self._shown.stop()
        self._shown, self._board = None, None

    def say(self, text: str) -> None:
        """Tell something once: a note on the live page, a line elsewhere."""
        if self._board is not None:
            self._board.notes.append(text)
        if self._shown is None:
            super().say(text)

    def update(self) -> None:
        """Draw again; without a live page a line for each slot."""
        board = self._board
        if board is None:
            return
        board.moved.set()
        if self._shown is not None:
            self._shown.update(page(board))
        elif board.time != self._hour:
            self._hour = board.time
            self.console.print(line_of(board), markup=False, highlight=False, soft_wrap=True)


class Voice(Screen):
    """A region's part of the board's screen."""

    def __init__(self, name: str, board: BoardScreen) -> None:
        super().__init__(board.console, live=False)
        self._name = name
        self._all = board

    def say(self, text: str) -> None:
        """See `Screen`."""
        self._all.say(f"{self._name}: {text}")

    def update(self) -> None:
        """See `Screen`."""
        self._all.update()
