"""Transactions on their way: each stays here until a committed receipt names it.

A node that does not answer loses its queue to the next one, and gets none until it is level with the others again: one
that starts takes transactions that it cannot pass on yet. What was posted but not committed within `REPOST_S` is posted
again elsewhere. The bytes never change, so a transaction has one id however often it is posted, and counts once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ledger.errors import GridchainError
from ledger.objects import transaction_id

BATCH = 256
REPOST_S = 2.5
PAUSE_S = 0.4
HAVE_IT = frozenset({"DUPLICATE", "NONCE_USED"})
"""Refusals of bytes that the chain has: our keys sign nowhere else, so a used nonce is this transaction."""
TRY_AGAIN = frozenset({"MEMPOOL_FULL", "QUOTA_SENDER", "QUOTA_PEER", "OVERLOADED", "NOT_MEMBER"})
"""Refusals that pass with time: a node may be a block behind the one that showed a member's approval."""


class Answer(Protocol):
    """What a node says to one transaction."""

    @property
    def accepted(self) -> bool: ...  # noqa: D102 - described by the class
    @property
    def code(self) -> str: ...  # noqa: D102 - described by the class


class NodeApi(Protocol):
    """The one call of a node that the outbox needs."""

    async def submit(self, raws: Sequence[bytes]) -> Sequence[Answer]:
        """Post at most `BATCH` transactions. Raise `GridchainError` or `OSError` if the node does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A transaction that a node turned down, and why."""

    raw: bytes
    code: str


@dataclass(slots=True)
class _Pending:
    raw: bytes
    node: int
    first: float
    last: float


@dataclass(slots=True)
class _Lane:
    """What waits for one node."""

    queue: deque[bytes] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    down_until: float = 0.0
    level: bool = True
    """Not known to be behind the others."""


class Outbox:
    """Posts and posts again. `latencies_ms`: from the first post of a transaction to its committed receipt."""

    def __init__(self, nodes: Sequence[NodeApi], now: Callable[[], float]) -> None:
        self._nodes = nodes
        self._now = now
        self._lanes = [_Lane() for _ in nodes]
        self._pending: dict[bytes, _Pending] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.latencies_ms: list[float] = []
        self.refused: dict[bytes, Refusal] = {}
        """By id: what a node refused for good and no block holds."""
        self.moved = 0

    def __len__(self) -> int:
        return len(self._pending)

    def post(self, raw: bytes, node: int) -> bytes:
        """Queue a transaction for a node, or for the next that is up; its id."""
        now = self._now()
        name = transaction_id(raw)
        pending = self._pending[name] = _Pending(raw, node, now, now)
        self._empty.clear()
        self._enqueue(pending, node)
        return name

    def committed(self, name: bytes) -> None:
        """A committed receipt names this id."""
        self.refused.pop(name, None)  # another node took it before
        pending = self._pending.pop(name, None)
        if pending is not None:
            self.latencies_ms.append((self._now() - pending.first) * 1000)
            self._note_empty()

    def refused_codes(self) -> dict[str, int]:
        """How many transactions were refused, by code."""
        return dict(Counter(refusal.code for refusal in self.refused.values()))

    async def drained(self) -> None:
        """Return when nothing is on its way."""
        await self._empty.wait()

    async def run(self) -> None:
        """Post for ever."""
        async with asyncio.TaskGroup() as group:
            for node in range(len(self._nodes)):
                group.create_task(self._send(node))
            group.create_task(self._repost())

    def node_down(self, node: int) -> None:
        """This node is down for now: what waits for it goes to the next, and so does what it took but nobody committed,
        for it may have died before it told the others."""
        lane = self._lanes[node]
        lane.down_until = self._now() + PAUSE_S
        lane.queue.clear()
        lane.filled.clear()
        if all(other.down_until > self._now() for other in self._lanes):
            return  # nobody answers: the reposting round tries again
        for pending in list(self._pending.values()):
            if pending.node == node:
                self.moved += 1
                self._enqueue(pending, node + 1)

    def node_level(self, node: int, *, level: bool) -> None:
        """Whether an answering node has what the others have."""
        lane = self._lanes[node]
        if lane.level and not level:
            self.node_down(node)
        lane.level = level

    def _enqueue(self, pending: _Pending, node: int) -> None:
        now, count = self._now(), len(self._lanes)
        up = [(node + step) % count for step in range(count) if self._lanes[(node + step) % count].down_until <= now]
        level = [at for at in up if self._lanes[at].level]
        pending.node = (level or up or [node % count])[0]
        lane = self._lanes[pending.node]
        lane.queue.append(pending.raw)
        lane.filled.set()

    async def _send(self, node: int) -> None:
        lane = self._lanes[node]
        while True:
            await lane.filled.wait()
            batch = [lane.queue.popleft() for _ in range(min(BATCH, len(lane.queue)))]
            if not lane.queue:
                lane.filled.clear()
            wanted = [raw for raw in batch if transaction_id(raw) in self._pending]
            if not wanted:
                continue
            try:
                answers = await self._nodes[node].submit(wanted)
            except (GridchainError, OSError, TimeoutError):
                self.node_down(node)
                continue
            for raw, answer in zip(wanted, answers, strict=True):
                self._heard(raw, answer)

    def _heard(self, raw: bytes, answer: Answer) -> None:
        if answer.accepted or answer.code in HAVE_IT or answer.code in TRY_AGAIN:
            return
        name = transaction_id(raw)
        if self._pending.pop(name, None) is not None:
            self.refused[name] = Refusal(raw, answer.code)
            self._note_empty()

    def _note_empty(self) -> None:
        if not self._pending:
            self._empty.set()

    async def _repost(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_S)
            now = self._now()
            for pending in list(self._pending.values()):
                if now - pending.last > REPOST_S:
                    pending.last = now
                    self._enqueue(pending, pending.node + 1)
