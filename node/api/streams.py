"""WebSockets: `/v1/events` (JSON text, resumable, filtered) and `/v1/receipts` (one binary message per block).

A stream starts at its cursor and reads the store up to the head at the client's pace: nothing is lost by being away.
Once it has been at the head, falling more than `max_blocks_behind` behind again is answered by a `lagged` marker that
names the gap, and the stream goes on at the head; the client can ask for the gap with a second stream. A client that
takes nothing for `send_timeout_ms` is dropped; the server pings every `ping_ms`.

Lines of `/v1/events`: `event` (see `models.EventView`), `lagged` (what lies after `from`, up to `to`, was not sent),
`at` (nothing matched for a while; resume from here), `block` (with `blocks=1`: one after the events of every block).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from node.api.feeds import BlockFeed, HeadWatch, RenderedBlock, RenderedEvent
from node.api.problems import Refused
from node.api.wire import format_cursor
from node.config import ApiSection

MAX_MESSAGE_FROM_CLIENT: Final = 1024
SILENT_BLOCKS: Final = 64
LAST_INDEX: Final = 999_999_999
"""An event index above all of a block: a cursor with it stands after the block."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber wants to see; None and empty let everything pass. `where`: values that the data must have."""

    contract: str | None = None
    names: frozenset[str] = frozenset()
    blocks: bool = False
    where: Mapping[str, object] = field(default_factory=dict)

    def matches(self, event: RenderedEvent) -> bool:
        """Tell whether an event passes."""
        if self.contract not in (None, event.contract) or (self.names and event.name not in self.names):
            return False
        data = event.fields["data"] if self.where else {}
        return all(
            name in data and type(data[name]) is type(value) and data[name] == value
            for name, value in self.where.items()
        )


class Streams:
    """Open streams of one API, and the bound on their number. `first`: height of the first block with receipts."""

    def __init__(self, settings: ApiSection, feed: BlockFeed, head: HeadWatch, first: int) -> None:
        self.settings = settings
        self.feed = feed
        self.head = head
        self.first = first
        self.open = 0

    @asynccontextmanager
    async def accept(self, request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
        """Upgrade a request, or refuse it when too many streams are open or it is no upgrade."""
        if self.open >= self.settings.max_subscribers:
            raise Refused(
                "too many open streams",
                code="SUBSCRIBERS",
                expected=f"at most {self.settings.max_subscribers}",
                found=self.open,
                fix="close one, ask another node, or raise [api] max_subscribers",
            )
        socket = web.WebSocketResponse(
            heartbeat=self.settings.ping_ms / 1000, max_msg_size=MAX_MESSAGE_FROM_CLIENT, compress=False
        )
        if not socket.can_prepare(request):
            raise Refused(
                "this address is a WebSocket",
                code="UPGRADE",
                expected="an upgrade request",
                found="none",
                fix="open it as a WebSocket: ws://HOST:PORT/..",
            )
        await socket.prepare(request)
        self.open += 1
        try:
            yield socket
        finally:
            self.open -= 1
            await socket.close()

    async def run(self, request: web.Request, socket: web.WebSocketResponse, writer: Coroutine[Any, Any, None]) -> None:
        """Write until the client leaves, is too slow, or the node ends."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(_until_gone(request, writer), name="stream-writer")
            try:
                async for message in socket:
                    if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                        break
            finally:
                writing.cancel()

    async def send(self, send: Callable[[Any], Coroutine[Any, Any, None]], message: str | bytes) -> None:
        """Send one message; raise TimeoutError if the client does not take it."""
        async with asyncio.timeout(self.settings.send_timeout_ms / 1000):
            await send(message)


async def _until_gone(request: web.Request, writer: Coroutine[Any, Any, None]) -> None:
    try:
        await writer
    except ConnectionError:
        # The client has gone, which the reader of its side notices too.
        return
    except TimeoutError:
        # It takes nothing, so it would not take a farewell either.
        if request.transport is not None:
            request.transport.abort()


class EventStream:
    """One subscriber of `/v1/events`; what passes `contract` and `names` is sent, one JSON object a line."""

    def __init__(self, streams: Streams, socket: web.WebSocketResponse, wanted: Wanted) -> None:
        self._streams = streams
        self._socket = socket
        self._wanted = wanted
        self._silent = 0

    async def run(self, height: int, index: int) -> None:
        """Send everything after (height, index), for ever."""
        height = max(height, self._streams.first)
        head = self._streams.head
        live = False
        while True:
            if height > head.height:
                live = True
                await self._wait(height)
                continue
            block = self._streams.feed.events(height)
            if block is None or (live and head.height - height > self._streams.settings.max_blocks_behind):
                start = format_cursor(height, index) if index >= 0 else format_cursor(height - 1, LAST_INDEX)
                end = format_cursor(head.height - 1, LAST_INDEX)
                await self._send([{"type": "lagged", "from": start, "to": end}])
                height, index = head.height, -1
                continue
            await self._send(self._lines(block, index))
            height, index = height + 1, -1

    async def _wait(self, height: int) -> None:
        reached = await self._streams.head.above(height - 1, self._streams.settings.ping_ms / 1000)
        if not reached and self._silent:
            await self._send([{"type": "at", "cursor": format_cursor(height - 1, LAST_INDEX)}])

    def _lines(self, block: RenderedBlock, index: int) -> list[dict[str, Any]]:
        lines = [
            {"type": "event", **event.fields}
            for event in block.events
            if event.index > index and self._wanted.matches(event)
        ]
        end = format_cursor(block.height, LAST_INDEX)
        if self._wanted.blocks:
            count = len(block.events)
            lines.append(
                {"type": "block", "cursor": end, "height": block.height, "time_ms": block.time_ms, "events": count}
            )
        elif not lines and self._silent >= SILENT_BLOCKS:
            lines.append({"type": "at", "cursor": end})
        self._silent = 0 if lines else self._silent + 1
        return lines

    async def _send(self, lines: list[dict[str, Any]]) -> None:
        if lines:
            text = b"\n".join([_encode(line) for line in lines]).decode()
            await self._streams.send(self._socket.send_str, text)


async def stream_receipts(streams: Streams, socket: web.WebSocketResponse, height: int) -> None:
    """Send `wire.BlockReceipts` of every block from `height` on; a gap shows in the heights."""
    head = streams.head
    height = max(height, streams.first)
    live = False
    while True:
        if height > head.height:
            live = True
            await head.above(height - 1, streams.settings.ping_ms / 1000)
            continue
        message = streams.feed.receipts(height)
        if message is None or (live and head.height - height > streams.settings.max_blocks_behind):
            height = head.height
            message = streams.feed.receipts(height)
        if message is not None:
            await streams.send(socket.send_bytes, message)
        height += 1
