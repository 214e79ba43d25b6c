"""Committed blocks for whoever follows: the API's streams, waiting clients, tests.

A feed never holds up a commit. It keeps the newest `KEPT` blocks; a reader that falls behind further misses summaries,
not blocks: those are in the store, by height.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ledger.crypto import Hash
from ledger.objects import Receipt

KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class CommittedSummary:
    """One final block. `receipts` in block order: scheduled calls first, then one a transaction."""

    height: int
    hash: Hash
    time_ms: int
    transaction_ids: tuple[Hash, ...]
    receipts: tuple[Receipt, ...]


class CommitFeed(AsyncIterator[CommittedSummary]):
    """One follower's view."""

    def __init__(self) -> None:
        self._blocks: deque[CommittedSummary] = deque(maxlen=KEPT)
        self._filled = asyncio.Event()

    def put(self, block: CommittedSummary) -> None:
        """A block is durable."""
        self._blocks.append(block)
        self._filled.set()

    async def __anext__(self) -> CommittedSummary:
        while not self._blocks:
            self._filled.clear()
            await self._filled.wait()
        return self._blocks.popleft()


class Feeds:
    """All followers."""

    def __init__(self) -> None:
        self._feeds: set[CommitFeed] = set()

    def publish(self, block: CommittedSummary) -> None:
        """Tell everybody."""
        for feed in self._feeds:
            feed.put(block)

    @contextmanager
    def open(self) -> Iterator[CommitFeed]:
        """Follow from now on."""
        feed = CommitFeed()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)
