"""Where the node stands: status, liveness, readiness, metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib import metadata

from aiohttp import web
from pydantic import RootModel

from contracts.limits import GAS_VERSION, LANGUAGE
from node.api.access import CONTEXT, ApiNode
from node.api.limits import is_loopback
from node.api.models import ChainView, Health, MarketClockView, PeerView, RefusalView, RegionEpochView, StatusView
from node.api.parameters import NoQuery
from node.api.problems import Refused


def version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("gridchain")
    except metadata.PackageNotFoundError:
        return "source"


def chain_views(hosted: Iterable[ApiNode]) -> list[ChainView]:
    """The chains of a node as the API shows them."""
    views = []
    for node in hosted:
        now = node.status()
        header = node.chain.header(now.height)
        views.append(
            ChainView(
                name=now.chain,
                chain_id=now.chain_id,
                engine=now.engine,
                height=now.height,
                head_hash="0x" + now.head_hash.hex(),
                head_time_ms=header.time_ms if header is not None else 0,
                votes=now.votes,
                stopped_reason=now.stopped_reason,
                region_epoch=region_epoch_view(node),
            )
        )
    return views


def region_epoch_view(node: ApiNode) -> RegionEpochView | None:
    """Which of a region's chains a node serves here."""
    found = node.region_epoch
    if found is None:
        return None
    return RegionEpochView(number=found.number, reason=found.reason, began=found.began, standing=found.phase.value)


def status_view(node: ApiNode, hosted: Iterable[ApiNode]) -> StatusView:
    """The status of one chain of a node that hosts these, as the API shows it."""
    now = node.status()
    header = node.chain.header(now.height)
    return StatusView(
        name=now.name,
        version=version(),
        language=LANGUAGE,
        gas_version=GAS_VERSION,
        chain_id=now.chain_id,
        network_id=now.network_id,
        chain=now.chain,
        genesis_hash="0x" + now.genesis_hash.hex(),
        engine=now.engine,
        height=now.height,
        head_hash="0x" + now.head_hash.hex(),
        head_time_ms=header.time_ms if header is not None else 0,
        state_root="0x" + now.state_root.hex(),
        epoch=now.epoch,
        view=now.view,
        leader=now.leader,
        peers=[
            PeerView(id="0x" + peer.id.hex(), name=peer.name, address=peer.address, latency_ms=peer.latency_ms)
            for peer in now.peers
        ],
        mempool=now.mempool,
        held=now.held,
        stopped_reason=now.stopped_reason,
        ready=now.ready,
        clock_ms=time.time_ns() // 1_000_000,
        market_clock=MarketClockView(
            genesis_ms=node.genesis.time_ms,
            origin_ms=node.genesis.market_clock.origin_ms,
            speed=node.genesis.market_clock.speed,
        ),
        chains=chain_views(hosted),
        refusals=[
            RefusalView(
                code=one.code,
                expected=one.expected,
                found=one.found,
                fix=one.fix,
                by_peer=one.by_peer,
                outbound=one.outbound,
                address=one.address,
                name=one.name,
                node_id="0x" + one.node_id.hex(),
                first_ms=one.first_ms,
                last_ms=one.last_ms,
                count=one.count,
            )
            for one in now.refusals
        ],
        region_epoch=region_epoch_view(node),
    )


async def status(request: web.Request, query: NoQuery) -> web.Response:
    """GET /v1/status."""
    context = request.app[CONTEXT]
    view = status_view(context.node, context.hosted.values())
    return web.Response(text=view.model_dump_json(), content_type="application/json")


async def chains(request: web.Request, query: NoQuery) -> web.Response:
    """GET /v1/chains: what this node hosts."""
    found = RootModel[list[ChainView]](chain_views(request.app[CONTEXT].hosted.values()))
    return web.Response(text=found.model_dump_json(), content_type="application/json")


async def livez(request: web.Request, query: NoQuery) -> web.Response:
    """GET /livez: 200 while the process serves."""
    return web.Response(text=Health(status="ok").model_dump_json(), content_type="application/json")


async def readyz(request: web.Request, query: NoQuery) -> web.Response:
    """GET /readyz: 200 when store and WAL are open, identity is checked and the API listens; waits for no quorum."""
    if not request.app[CONTEXT].node.status().ready:
        raise Refused(
            "the node is starting",
            code="NOT_READY",
            expected="a node that is open",
            found="one that is starting",
            fix="ask again",
        )
    return web.Response(text=Health(status="ok").model_dump_json(), content_type="application/json")


async def metrics(request: web.Request, query: NoQuery) -> web.Response:
    """GET /metrics: Prometheus exposition; loopback only unless `[api] metrics_public`."""
    context = request.app[CONTEXT]
    if not context.settings.metrics_public and not is_loopback(request.remote):
        raise Refused(
            "metrics are for this machine only",
            code="LOOPBACK_ONLY",
            expected="a loopback address",
            found=request.remote,
            fix="set [api] metrics_public = true",
        )
    return web.Response(body=context.node.metrics_text, headers={"Content-Type": "text/plain; version=0.0.4"})
