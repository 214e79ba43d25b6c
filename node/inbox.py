"""The queue in front of an engine: bounded for what peers send, unbounded for what this node owes its engine.

Rule when full, by messages or by bytes: a peer's message is dropped and counted. Own messages, timers, answers and news
are never dropped; their number is bounded by what the engine has asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, TypeAlias

from consensus.engine import Event, Received, Timer
from node.metrics import Metrics

PEER_EVENTS: Final = 8_192
PEER_BYTES: Final = 32 * 1024 * 1024
"""Encoded bytes of peers' messages that may wait; room for a few of the largest."""

Fired: TypeAlias = tuple[Timer, int]


class Inbox:
    """Own events come before peers' messages; within each, order of arrival."""

    def __init__(self, metrics: Metrics) -> None:
        self._own: deque[Event | Fired] = deque()
        self._peers: deque[tuple[Received, int]] = deque()
        self._peer_bytes = 0
        self._metrics = metrics
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._own) + len(self._peers)

    def put(self, event: Event | Fired) -> None:
        """Queue an event of this node."""
        self._own.append(event)
        self._filled.set()

    def put_peer(self, event: Received, size: int) -> bool:
        """Queue a peer's message of `size` encoded bytes; False if it was dropped."""
        if len(self._peers) >= PEER_EVENTS or self._peer_bytes + size > PEER_BYTES:
            self._metrics.evicted_events.inc()
            return False
        self._peers.append((event, size))
        self._peer_bytes += size
        self._filled.set()
        return True

    def take(self) -> Event | Fired | None:
        """The next event, None if there is none."""
        if self._own:
            return self._own.popleft()
        if self._peers:
            event, size = self._peers.popleft()
            self._peer_bytes -= size
            return event
        self._filled.clear()
        return None

    async def wait(self) -> None:
        """Return when there is something to take."""
        await self._filled.wait()
