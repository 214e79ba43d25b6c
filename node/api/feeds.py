"""Committed blocks for subscribers: read from the store by height, rendered once, shared by all.

One task follows the node's commits (`HeadWatch`); every stream waits on it and then reads heights at its own pace, so a
slow reader holds up nobody and a cursor resumes from the store.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from contracts.values import decode_value, to_json
from ledger.objects import Header, Receipt
from node.api.wire import block_receipts, decode_receipt_head, format_cursor

BLOCKS_RENDERED: Final = 64
FRESH_KEPT: Final = 4
"""Whole blocks of receipts in memory: a full one is megabytes."""


class CommittedBlocks(Protocol):
    """What feeds read of the chain."""

    def header(self, height: int) -> Header | None:
        """The header at a height; None above the head or if pruned."""

    def receipts(self, height: int) -> Sequence[Receipt] | None:
        """Receipts of a block in order; None above the head or if pruned."""

    def receipt_bytes(self, height: int) -> Sequence[bytes] | None:
        """The same, encoded."""


@dataclass(frozen=True, slots=True)
class RenderedEvent:
    """One event as it is sent; `fields` is JSON-ready (`models.EventView`)."""

    index: int
    contract: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RenderedBlock:
    """A block as streams need it."""

    height: int
    time_ms: int
    events: tuple[RenderedEvent, ...]


class Committed(Protocol):
    """A block that was just committed (`node.feed.CommittedSummary`)."""

    @property
    def height(self) -> int:
        """Its height."""

    @property
    def time_ms(self) -> int:
        """Its block time."""

    @property
    def receipts(self) -> Sequence[Receipt]:
        """Its receipts in block order."""


class HeadWatch:
    """The height of the head, and a way to wait for the next."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._next = asyncio.Event()

    def advance(self, height: int) -> None:
        """A block was committed."""
        if height > self.height:
            self.height = height
            waiting, self._next = self._next, asyncio.Event()
            waiting.set()

    async def above(self, height: int, timeout_s: float) -> bool:
        """Wait until the head is above `height`; False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.height <= height:
                    await self._next.wait()
        except TimeoutError:
            return False
        return True


class BlockFeed:
    """Rendered blocks, the newest kept."""

    def __init__(self, blocks: CommittedBlocks) -> None:
        self._blocks = blocks
        self._fresh: OrderedDict[int, Committed] = OrderedDict()
        self._rendered: OrderedDict[int, RenderedBlock] = OrderedDict()
        self._binary: OrderedDict[int, bytes] = OrderedDict()

    def offer(self, block: Committed) -> None:
        """Keep a new block, so that its first readers need not decode it from the store."""
        _remember(self._fresh, block.height, block, FRESH_KEPT)

    def events(self, height: int) -> RenderedBlock | None:
        """The events of a block; None if its receipts are not there (any more)."""
        found = self._rendered.get(height)
        if found is None:
            fresh = self._fresh.get(height)
            if fresh is not None:
                found = render(height, fresh.time_ms, fresh.receipts)
            else:
                header, receipts = self._blocks.header(height), self._blocks.receipts(height)
                if header is None or receipts is None:
                    return None
                found = render(height, header.time_ms, receipts)
            _remember(self._rendered, height, found)
        return found

    def receipts(self, height: int) -> bytes | None:
        """The binary message of a block for `/v1/receipts`; None if its receipts are not there (any more)."""
        found = self._binary.get(height)
        if found is None:
            fresh = self._fresh.get(height)
            if fresh is not None:
                found = block_receipts(height, fresh.time_ms, fresh.receipts)
            else:
                header, receipts = self._blocks.header(height), self._blocks.receipt_bytes(height)
                if header is None or receipts is None:
                    return None
                found = block_receipts(height, header.time_ms, [decode_receipt_head(raw) for raw in receipts])
            _remember(self._binary, height, found)
        return found


def _remember(kept: OrderedDict[int, Any], height: int, value: object, at_most: int = BLOCKS_RENDERED) -> None:
    kept[height] = value
    if len(kept) > at_most:
        kept.popitem(last=False)


def render(height: int, time_ms: int, receipts: Sequence[Receipt]) -> RenderedBlock:
    """Number the events of a block through all its receipts and make them JSON-ready."""
    events: list[RenderedEvent] = []
    for receipt in receipts:
        subject = "0x" + receipt.subject.hex()
        for event in receipt.events:
            index = len(events)
            fields = {
                "cursor": format_cursor(height, index),
                "height": height,
                "index": index,
                "subject": subject,
                "contract": event.contract,
                "name": event.name,
                "data": to_json(decode_value(event.data)),
            }
            events.append(RenderedEvent(index, event.contract, event.name, fields))
    return RenderedBlock(height, time_ms, tuple(events))
