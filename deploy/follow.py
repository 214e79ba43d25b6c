"""Following the chain through whichever node is up: events, outcomes and the state of each node.

One event stream and one stream of outcomes are read at a time. When the node behind them stops answering, both go on at
the next node from the same place; cursors mean the same on every node, so nothing is lost or told twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from ledger.errors import GridchainError
from node.client import Client, EventSeen, Lagged, Outcome

POLL_S = 0.35


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node said about itself, or that it said nothing. `latency_ms`: how long the answer took."""

    up: bool
    height: int = 0
    peers: int = 0
    latency_ms: float | None = None
    leader: str = ""
    stopped_reason: str = ""


class Follower:
    """Reads both streams from block `first` on. `on_event` and `on_outcome` are called in chain order and must not
    block."""

    def __init__(
        self,
        clients: Sequence[Client],
        *,
        on_event: Callable[[EventSeen], None],
        on_outcome: Callable[[Outcome], None],
        on_states: Callable[[Sequence[NodeState]], None],
        first: int = 1,
    ) -> None:
        self._clients = clients
        self._on_event = on_event
        self._on_outcome = on_outcome
        self._on_states = on_states
        self.states = [NodeState(up=True) for _ in clients]
        self._at = 0
        self._moved = asyncio.Event()
        self._cursor = str(first)
        self._next_height = first
        self.moves = 0

    async def run(self) -> None:
        """Follow for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._through_any(self._events))
            group.create_task(self._through_any(self._outcomes))

    async def _through_any(self, read: Callable[[Client], AsyncIterator[None]]) -> None:
        """Read a stream at the current node until that node is left, then at the next."""
        while True:
            moved, client = self._moved, self._clients[self._at]
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_exhaust(read(client)))
                await moved.wait()
                reading.cancel()

    async def _events(self, client: Client) -> AsyncIterator[None]:
        async for seen in client.events(self._cursor):
            if isinstance(seen, EventSeen):
                self._cursor = seen.cursor
                self._on_event(seen)
            elif isinstance(seen, Lagged):
                # The demo reads as fast as blocks come; being told to skip would falsify what is shown.
                raise GridchainError(
                    "the event stream skipped events",
                    code="LAGGED",
                    expected=seen.first,
                    found=seen.last,
                    fix="choose a smaller --speed",
                )
            yield

    async def _outcomes(self, client: Client) -> AsyncIterator[None]:
        async for height, outcomes in client.outcomes(self._next_height):
            self._next_height = height + 1
            for outcome in outcomes:
                self._on_outcome(outcome)
            yield

    async def _watch(self) -> None:
        while True:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(ask(client)) for client in self._clients]
            self.states = [task.result() for task in asked]
            if not self.states[self._at].up and any(state.up for state in self.states):
                self._leave()
            self._on_states(self.states)
            await asyncio.sleep(POLL_S)

    def _leave(self) -> None:
        count = len(self._clients)
        self._at = next(at % count for at in range(self._at + 1, self._at + 1 + count) if self.states[at % count].up)
        self.moves += 1
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


async def _exhaust(stream: AsyncIterator[None]) -> None:
    async for _ in stream:
        pass


async def ask(client: Client) -> NodeState:
    """A node's state now; not up if it does not answer within a second."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(1.0):
            status = await client.status()
    except (GridchainError, TimeoutError):
        return NodeState(up=False)
    return NodeState(
        up=True,
        height=status.height,
        peers=len(status.peers),
        latency_ms=(time.monotonic() - started) * 1000,
        leader=status.leader,
        stopped_reason=status.stopped_reason,
    )
