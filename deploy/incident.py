"""The failure that the demo shows: one validator is killed in the middle of the day and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from deploy.cluster import Cluster, ClusterError
from deploy.follow import ask
from deploy.screen import Progress
from ledger.validators import quorum
from node.client import Client

CATCH_UP_S = 60.0
GUARD_S = 0.3


class Incident:
    """Kill node `victim` with SIGKILL, wait `away_s`, start it again and follow it until it has caught up."""

    def __init__(self, cluster: Cluster, clients: Sequence[Client], victim: int, away_s: float) -> None:
        self._cluster = cluster
        self._clients = clients
        self._victim = victim
        self._away_s = away_s
        self.told: list[str] = []
        self.away = False

    @staticmethod
    def possible(nodes: int) -> bool:
        """Whether the others are a quorum without one node of `nodes`, each of weight 1."""
        return nodes > 1 and nodes - 1 >= quorum(nodes)

    async def play(self, progress: Progress, say: Callable[[str], None]) -> None:
        """Run it once and say what happens."""
        nodes, name = len(self._clients), self._cluster.nodes[self._victim].name

        def tell(text: str) -> None:
            line = f"{progress.time}  {text}"
            self.told.append(line)
            say(line)

        self.away = True
        trades, height = progress.trades, max(node.height for node in progress.nodes)
        await self._cluster.kill(self._victim)
        tell(f"{name} was killed (SIGKILL). {nodes - 1} of {nodes} go on: {quorum(nodes)} are a quorum.")
        await asyncio.sleep(self._away_s)
        grown = max(node.height for node in progress.nodes) - height
        more = progress.trades - trades
        tell(f"{name} starts again. While it was away: {grown} blocks and {more} trades.")
        started = time.monotonic()
        await self._cluster.start(self._victim)
        self.away = False
        missed = await self._caught_up()
        seconds = time.monotonic() - started
        if missed is None:
            tell(f"{name} has not caught up within {CATCH_UP_S:.0f} s.")
        else:
            tell(f"{name} is back at height {missed} after {seconds:.1f} s, start and catch-up included.")

    async def guard(self) -> None:
        """Watch over the processes. Raise `ClusterError` if one ends that is not meant to be away."""
        while True:
            for position, node in enumerate(self._cluster.nodes):
                if not node.running and not (self.away and position == self._victim):
                    raise ClusterError(
                        f"{node.name} ended in the middle of the day",
                        code="NODE_DIED",
                        expected="a running process",
                        found=f"its last lines:\n{node.log_tail()}",
                        fix=f"see {node.layout.log_file}",
                    )
            await asyncio.sleep(GUARD_S)

    async def _caught_up(self) -> int | None:
        """The height at which the victim stood level with another node, None if it never did."""
        deadline = time.monotonic() + CATCH_UP_S
        other = (self._victim + 1) % len(self._clients)
        while time.monotonic() < deadline:
            theirs = await ask(self._clients[other])
            own = await ask(self._clients[self._victim])
            if own.up and theirs.up and own.height >= theirs.height - 1:
                return own.height
            await asyncio.sleep(0.1)
        return None
