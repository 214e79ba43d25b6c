"""The table of routes: what the server serves and what the OpenAPI document says come from the same rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from aiohttp import web
from pydantic import BaseModel

from node.api import blocks, health, queries, stored, transactions, websockets
from node.api.models import (
    AccountView,
    BlockView,
    ChainView,
    ContractAnswer,
    Health,
    Model,
    PendingView,
    ReceiptView,
    SettlementProofView,
    StateView,
    StatusView,
    Submission,
    SubmitRequest,
)
from node.api.parameters import (
    BlockQuery,
    ContractQuery,
    EventsQuery,
    NoQuery,
    ReceiptsQuery,
    StateQuery,
)

Handler: TypeAlias = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `answer`: model of the 200 answer, or a list of it; None for streams and plain text. `unfinished`:
    model of a 202 answer."""

    method: str
    path: str
    handler: Handler
    summary: str
    query: type[BaseModel] = NoQuery
    answer: type[Model] | None = None
    unfinished: type[Model] | None = None
    many: bool = False
    body: type[Model] | None = None
    media: str = "application/json"


CHAIN_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/v1/transactions",
        transactions.submit,
        "Submit 1 to 256 signed transactions, as msgpack (an array of byte strings) or JSON",
        answer=Submission,
        many=True,
        body=SubmitRequest,
    ),
    Route(
        "GET",
        "/v1/transactions/{id}",
        transactions.receipt,
        "Receipt of a transaction; 202 while it waits for a block",
        answer=ReceiptView,
        unfinished=PendingView,
    ),
    Route(
        "GET",
        "/v1/blocks/{block}",
        blocks.block,
        "A block by height, hash or the word head",
        query=BlockQuery,
        answer=BlockView,
    ),
    Route(
        "GET",
        "/v1/blocks/{block}/stored",
        stored.stored_block,
        "A block as stored, msgpack: header, body, receipts, the finalization that proves it",
        media="application/msgpack",
    ),
    Route("GET", "/v1/accounts/{address}", queries.account, "Nonces of an account", answer=AccountView),
    Route(
        "GET",
        "/v1/contracts/{name}/{entry}",
        queries.contract,
        "Ask a contract's view; free",
        query=ContractQuery,
        answer=ContractAnswer,
    ),
    Route(
        "POST",
        "/v1/contracts/{name}/{entry}",
        transactions.submit_call,
        "Submit signed transactions that call this entry",
        answer=Submission,
        many=True,
        body=SubmitRequest,
    ),
    Route(
        "GET",
        "/v1/state/{key}",
        queries.state,
        "A value of authenticated state, with a proof on request",
        query=StateQuery,
        answer=StateView,
    ),
    Route(
        "GET",
        "/v1/proofs/settlement/{slot}/{meter}",
        queries.settlement_proof,
        "Everything that proves one settlement offline",
        answer=SettlementProofView,
    ),
    Route("GET", "/v1/status", health.status, "Where this node stands", answer=StatusView),
    Route(
        "GET",
        "/v1/events",
        websockets.events,
        "WebSocket: events of contracts as JSON lines, resumable by cursor",
        query=EventsQuery,
        media="websocket",
    ),
    Route(
        "GET",
        "/v1/receipts",
        websockets.receipts,
        "WebSocket: outcome of every transaction, one msgpack message a block",
        query=ReceiptsQuery,
        media="websocket",
    ),
)
"""What is asked of one chain: of the node's home chain under these paths, of any that it hosts under `chain_path`."""

NODE_ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/v1/chains", health.chains, "The chains that this node hosts", answer=ChainView, many=True),
    Route("GET", "/livez", health.livez, "Whether the process lives", answer=Health),
    Route("GET", "/readyz", health.readyz, "Whether the node is ready to serve", answer=Health),
    Route("GET", "/metrics", health.metrics, "Prometheus metrics; loopback only by default", media="text/plain"),
)


def chain_path(chain: str, path: str) -> str:
    """Where a route of `CHAIN_ROUTES` is served for a chain by name."""
    return f"/v1/chains/{chain}{path.removeprefix('/v1')}"


ROUTES: Final[tuple[Route, ...]] = (
    *CHAIN_ROUTES,
    *(replace(route, path=chain_path("{chain}", route.path)) for route in CHAIN_ROUTES),
    *NODE_ROUTES,
)
"""Every route, as the OpenAPI document names it."""
