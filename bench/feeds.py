"""One receipt feed per node: every receipt of every block, read from that node, told to whoever is counting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from bench.load import Tally
from node.api.wire import decode_block_receipts

_LARGEST_MESSAGE: Final = 16 * 1024 * 1024


class Feeds:
    """Reads `/v1/receipts` of all nodes. `tally`: the run that is counting now; None lets receipts pass. `heights`: by
    node, of the last block that held a transaction of it; an empty block after it is nobody's."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self.heights: list[int] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, session: aiohttp.ClientSession, urls: Sequence[str]) -> AsyncIterator[Feeds]:
        """Connect to every node before the body runs; stop reading after it."""
        feeds = cls()
        feeds.heights = [0] * len(urls)
        async with asyncio.TaskGroup() as group:
            sockets = [
                await session.ws_connect(f"{url}/v1/receipts", max_msg_size=_LARGEST_MESSAGE, compress=0)
                for url in urls
            ]
            readers = [group.create_task(feeds._read(index, socket)) for index, socket in enumerate(sockets)]
            try:
                yield feeds
            finally:
                for reader in readers:
                    reader.cancel()
                for socket in sockets:
                    await socket.close()

    async def _read(self, node: int, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            block = decode_block_receipts(message.data)
            tally = self.tally
            if tally is not None:
                now = time.perf_counter()
                told = [tally.receipt(identity, ok, code, now) for identity, ok, code in block.outcomes()]
                if any(told):
                    self.heights[node] = block.height
