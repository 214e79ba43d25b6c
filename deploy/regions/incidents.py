"""What goes wrong in the demo of regions, on purpose: a member lies, a producer withholds, a region is cut off.

The liar is wrong by a development switch of its node (`[dev] lie_about_record`); the producer's process is stopped
(SIGSTOP), so that its turns pass and others lead; the region's nodes lose every frame to and from the others
(`[dev] severed`). All of it is undone, and what becomes of it is told from the chains.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from deploy.cluster import Cluster, ClusterError
from deploy.regions.board import Board
from deploy.regions.collusion import COLLUDE
from deploy.screen import NodeLine
from node.client import Client

SEVERED: Final = "severed"
"""The file in a node's home that says who is out of its reach."""
POLL_S: Final = 0.5
HEAL_S: Final = 90.0
DAY_S: Final = 3_600.0
WITHHOLD_AT: Final = 45
CUT_AT: Final = 70
"""When things go wrong, in percent of the windows that open."""


def write_switches(home: Path, lie_about: int, *, colludes: bool) -> None:
    """Add the development switches of the incidents to a node's configuration."""
    lines = ["", "[dev]", f'severed = "{SEVERED}"']
    if lie_about:
        lines.append(f"lie_about_record = {lie_about}")
    if colludes:
        lines += ["collude_from = 1", f'collude_when = "{COLLUDE}"']
    lines.append("")
    with (home / "config.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines))


class Incidents:
    """One after the other, while the market runs. `homes` by region: places of its nodes in the cluster."""

    def __init__(
        self, cluster: Cluster, centres: Sequence[Client], homes: dict[str, list[int]], board: Board, slot_s: float
    ) -> None:
        self._cluster = cluster
        self._centres = centres
        self._homes = homes
        self._board = board
        self._slot_s = slot_s
        self.told: list[str] = []
        self.wrong: list[str] = []
        """What did not come right again."""

    async def play(self, say: Callable[[str], None], first: int, slots: int) -> None:
        """All of it; `first` of the `slots` that are traded."""

        def tell(text: str) -> None:
            line = f"{self._board.time}  {text}"
            self.told.append(line)
            say(line)

        names = list(self._homes)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lied(names[0], slots, tell))
            await self.until(first, slots, WITHHOLD_AT)
            await self._withhold(names[1 % len(names)], tell)
            await self.until(first, slots, CUT_AT)
            await self._cut(names[-1], tell)

    async def guard(self) -> None:
        """Watch over the processes. Raise `ClusterError` if one ends."""
        while True:
            for node in self._cluster.nodes:
                if not node.running:
                    raise ClusterError(
                        f"{node.name} ended in the middle of the day",
                        code="NODE_DIED",
                        expected="a running process",
                        found=f"its last lines:\n{node.log_tail()}",
                        fix=f"see {node.layout.log_file}",
                    )
            await asyncio.sleep(POLL_S)

    async def until(self, first: int, slots: int, share: int) -> None:
        """Until that share (percent) of the windows has opened in every region, or all is settled."""
        lines = [line.progress for line in self._board.regions.values()]
        slot = first + (slots + 1) * share // 100

        def reached() -> bool:
            opened = all(line.opened is not None and line.opened >= slot for line in lines)
            return opened or all(line.settled >= slots for line in lines)

        await self._board.until(reached, DAY_S)

    # --- an agent lies ------------------------------------------------------------------------------------------------

    async def _lied(self, region: str, slots: int, tell: Callable[[str], None]) -> None:
        """An agent's record is not what its region has certified; what becomes of both."""
        line = self._board.regions[region]
        await self._board.until(lambda: bool(line.fines) or line.progress.settled >= slots, DAY_S)
        if not line.fines:
            tell(f"nobody of {region} lied: whoever would have was not asked to publish a record.")
            return
        tell(f"{line.fines[0]}: it is not what {region} certified.")
        behind = line.records
        if not await self._board.until(lambda: line.records > behind, HEAL_S):
            self.wrong.append(f"{region} was not confirmed after the lie within {HEAL_S:.0f} s")
            return
        tell(f"{region} goes on: another member publishes, record {line.records} is confirmed.")

    # --- a producer withholds -----------------------------------------------------------------------------------------

    async def _withhold(self, region: str, tell: Callable[[str], None]) -> None:
        """A member's process stands still: its blocks do not come, and what it should have published others do."""
        line = self._board.regions[region]
        place = self._homes[region][0]
        node = self._cluster.nodes[place]
        pid, height, records = node.pid, _height(line.progress.nodes), line.records
        if pid is None:
            return
        os.kill(pid, signal.SIGSTOP)
        try:
            tell(f"{node.name} of {region} withholds its blocks and records (SIGSTOP). Its turns pass to the others.")
            await asyncio.sleep(max(6.0, 1.5 * self._slot_s))
            tell(
                f"{region} went on without {node.name}: {_height(line.progress.nodes) - height} blocks, "
                f"{line.records - records} records confirmed."
            )
        finally:
            os.kill(pid, signal.SIGCONT)
        others = [one for one in line.progress.nodes if one.name != node.name]
        own = next(one for one in line.progress.nodes if one.name == node.name)
        started = time.monotonic()
        if not await self._board.until(lambda: own.height >= _height(others) - 1, HEAL_S):
            self.wrong.append(f"{node.name} has not caught up")
        tell(f"{node.name} is level again at height {own.height}, {time.monotonic() - started:.1f} s after it goes on.")

    # --- a region is cut off ------------------------------------------------------------------------------------------

    async def _cut(self, region: str, tell: Callable[[str], None]) -> None:
        """No frame passes between a region's nodes and any other; they keep trading among themselves."""
        own = {self._cluster.nodes[place].name for place in self._homes[region]}
        away = "\n".join(node.name for node in self._cluster.nodes if node.name not in own) + "\n"
        files = [self._cluster.nodes[place].layout.home / SEVERED for place in self._homes[region]]
        line = self._board.regions[region]
        before, height, trades = line.records, _height(line.progress.nodes), line.progress.trades
        for file in files:
            file.write_text(away, encoding="utf-8")
        try:
            tell(f"{region} is cut off from centres and regions: its blocks are final at home only until it is back.")
            await asyncio.sleep(max(8.0, 2.5 * self._slot_s))
            tell(
                f"{region} alone: {_height(line.progress.nodes) - height} blocks and {line.progress.trades - trades} "
                f"trades at home, {line.records - before} records confirmed; the others went on to global height "
                f"{self._board.height}. It is {line.standing}."
            )
        finally:
            for file in files:
                file.unlink(missing_ok=True)
        behind, started = line.records, time.monotonic()
        if not await self._board.until(lambda: line.records > behind, HEAL_S):
            self.wrong.append(f"{region} was not confirmed again within {HEAL_S:.0f} s")
            tell(f"{region} is joined again, and no record of it was confirmed.")
            return
        tell(
            f"{region} is back: record {line.records} confirmed {time.monotonic() - started:.1f} s after it was joined."
        )


def _height(nodes: Sequence[NodeLine]) -> int:
    return max((node.height for node in nodes), default=0)
