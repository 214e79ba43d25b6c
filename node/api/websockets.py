"""The two streams' entry points: check the query, upgrade, run."""

from __future__ import annotations

from aiohttp import web

from node.api.access import CONTEXT
from node.api.parameters import EventsQuery, ReceiptsQuery, parse_where
from node.api.streams import EventStream, Wanted, stream_receipts
from node.api.wire import parse_cursor


async def events(request: web.Request, query: EventsQuery) -> web.StreamResponse:
    """GET /v1/events."""
    context = request.app[CONTEXT]
    height, index = parse_cursor(query.start) if query.start else (context.head.height + 1, -1)
    names = frozenset(name for name in (query.name or "").split(",") if name)
    wanted = Wanted(query.contract, names, query.blocks, parse_where(query.where))
    async with context.streams.accept(request) as socket:
        stream = EventStream(context.streams, socket, wanted)
        await context.streams.run(request, socket, stream.run(height, index))
        return socket


async def receipts(request: web.Request, query: ReceiptsQuery) -> web.StreamResponse:
    """GET /v1/receipts."""
    context = request.app[CONTEXT]
    height = context.head.height + 1 if query.start is None else query.start
    async with context.streams.accept(request) as socket:
        await context.streams.run(request, socket, stream_receipts(context.streams, socket, height))
        return socket
