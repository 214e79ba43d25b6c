"""The HTTP server: the route table on aiohttp, rate limits, problem documents, one task that follows the commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from ledger.errors import ConfigError
from node.api.access import CONTEXT, ApiContext, ApiNode
from node.api.openapi import openapi_document
from node.api.parameters import parse_query
from node.api.problems import Handler, Refused, refusals
from node.api.routes import CHAIN_ROUTES, NODE_ROUTES, ROUTES, Route, chain_path
from node.config import ApiSection
from node.tasks import task_scope
from p2p.listener import stop_listening

SHUTDOWN_S: Final = 1.0
NEVER_LIMITED: Final = frozenset({"/livez", "/readyz"})


class ApiServer:
    """A listening API. `port` is the real one if the configured port was 0."""

    def __init__(self, context: ApiContext, port: int) -> None:
        self.context = context
        self.port = port

    @classmethod
    @asynccontextmanager
    async def open(cls, hosted: Mapping[str, ApiNode], settings: ApiSection) -> AsyncIterator[ApiServer]:
        """Listen and serve until the scope ends. `hosted`: the chains by name, the home chain first. Raise
        `ConfigError` (API_PORT) if the port cannot be had."""
        contexts = [ApiContext(node, settings, hosted) for node in hosted.values()]
        context, app = contexts[0], make_app(contexts)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, keepalive_timeout=60)
        await runner.setup()
        try:
            async with task_scope() as tasks:
                for followed in contexts:
                    tasks.spawn(_follow(followed), name="api-head")
                listening = await _listen(runner, context)
                try:
                    yield cls(context, int(listening.sockets[0].getsockname()[1]))
                finally:
                    await stop_listening(listening)
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, context: ApiContext) -> asyncio.Server:
    """Accept connections; one that has brought no request within `read_timeout_ms` is closed."""
    loop = asyncio.get_running_loop()
    settings, server = context.settings, runner.server
    assert server is not None, "the runner is set up"

    def accept() -> asyncio.Protocol:
        connection = server()
        context.silent.add(connection)
        loop.call_later(settings.read_timeout_ms / 1000, _close_silent, context.silent, connection)
        return connection

    try:
        return await loop.create_server(accept, settings.host, settings.port, backlog=512)
    except OSError as error:
        raise ConfigError(
            f"the API cannot listen on {settings.host}:{settings.port}",
            code="API_PORT",
            expected="a free port",
            found=error.strerror or error,
            fix="set [api] port to another one, or end the program that holds it",
        ) from None


def _close_silent(silent: set[object], connection: web.RequestHandler) -> None:
    if connection in silent:
        silent.discard(connection)
        connection.force_close()


async def _follow(context: ApiContext) -> None:
    async with context.node.subscribe() as feed:
        context.head.advance(context.node.chain.height)
        async for block in feed:
            context.feed.offer(block)
            context.head.advance(block.height)


def make_app(contexts: Sequence[ApiContext]) -> web.Application:
    """The application with every route of the table. The first context is that of the home chain."""
    home = contexts[0]
    app = web.Application(middlewares=[refusals, _limit], client_max_size=home.settings.max_body_bytes)
    app[CONTEXT] = home
    for route in (*CHAIN_ROUTES, *NODE_ROUTES):
        app.router.add_route(route.method, route.path, _bind(route))
    document = openapi_document(ROUTES)

    async def openapi(request: web.Request) -> web.Response:
        return web.Response(body=document, content_type="application/json")

    app.router.add_get("/v1/openapi.json", openapi)
    for name, context in zip(home.hosted, contexts, strict=True):
        app.add_subapp(chain_path(name, ""), _chain_app(context))
    app.router.add_route("*", chain_path("{chain}", "/{path:.*}"), _not_hosted)
    return app


async def _not_hosted(request: web.Request) -> web.Response:
    raise Refused(
        "this node does not host that chain",
        code="UNKNOWN_CHAIN",
        expected=" or ".join(request.app[CONTEXT].hosted),
        found=request.match_info["chain"][:64],
        fix="name one of these, or ask a node that hosts it",
    )


def _chain_app(context: ApiContext) -> web.Application:
    """The routes of one chain under its name."""
    app = web.Application(client_max_size=context.settings.max_body_bytes)
    app[CONTEXT] = context
    for route in CHAIN_ROUTES:
        app.router.add_route(route.method, route.path.removeprefix("/v1"), _bind(route))
    return app


def _bind(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await route.handler(request, parse_query(route.query, dict(request.query)))

    return handle


@web.middleware
async def _limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    context = request.app[CONTEXT]
    context.silent.discard(request.protocol)
    if request.path not in NEVER_LIMITED and not context.rate.admit(request.remote or ""):
        raise Refused(
            "too many requests from this address",
            code="RATE",
            expected=f"at most {context.settings.requests_per_second} a second",
            found="more",
            fix="send batches, or wait",
        )
    return await handler(request)
