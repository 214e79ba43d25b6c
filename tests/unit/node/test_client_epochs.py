"""A client's streams when the node behind them goes over to a region's next chain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from node.api.wire import block_receipts
from node.client import BlockEnd, Client

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(30)]


class Region:
    """A node of a region: up to height 7 on its first chain, then anew from height 4 on. `asked`: from where each
    stream was asked for. `known`: the client knows the first chain."""

    def __init__(self) -> None:
        self.epoch = {"number": 1, "reason": "", "began": 0, "standing": "runs"}
        self.asked: list[str] = []
        self.anew = asyncio.Event()
        self.known = asyncio.Event()

    async def status(self, request: web.Request) -> web.Response:
        self.known.set()
        return web.json_response({"height": 4, "region_epoch": self.epoch})

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        start = request.query["from"]
        self.asked.append(start)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if not self.anew.is_set():
            self.anew.set()
            await self.known.wait()
            for height in (5, 6, 7):
                await self.tell(request, socket, height)
            self.epoch = {"number": 2, "reason": "takeover", "began": 4, "standing": "runs"}
            await socket.close()
            return socket
        for height in range(int(start.partition(":")[0]), 9):
            await self.tell(request, socket, height)
        await socket.receive()
        return socket

    async def tell(self, request: web.Request, socket: web.WebSocketResponse, height: int) -> None:
        if request.path.endswith("receipts"):
            await socket.send_bytes(block_receipts(height, 1_000 * height, []))
        else:
            line: dict[str, Any] = {"type": "block", "cursor": f"{height}:999999999", "height": height}
            await socket.send_str(json.dumps({**line, "time_ms": 0, "events": 0}))


@asynccontextmanager
async def serving(region: Region) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/status", region.status)
    app.router.add_get("/v1/receipts", region.stream)
    app.router.add_get("/v1/events", region.stream)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_outcomes_above_the_height_where_the_next_chain_began_are_told_anew() -> None:
    region = Region()
    async with serving(region) as url, Client.open(url) as client:
        told: list[int] = []
        async for height, _ in client.outcomes(5):
            told.append(height)
            if height == 8:
                break
    assert told == [5, 6, 7, 5, 6, 7, 8]
    assert region.asked == ["5", "8", "5"]


async def test_events_above_the_height_where_the_next_chain_began_are_told_anew() -> None:
    region = Region()
    async with serving(region) as url, Client.open(url) as client:
        told: list[int] = []
        async for seen in client.events("5", blocks=True):
            assert isinstance(seen, BlockEnd)
            told.append(seen.height)
            if seen.height == 8:
                break
    assert told == [5, 6, 7, 5, 6, 7, 8]
    assert region.asked == ["5", "7:999999999", "5"]
