"""A leader of `dpos` that invents route hashes: real nodes refuse its blocks, report it, and seat it no more."""

from __future__ import annotations

import asyncio

import pytest
from four_nodes import FourNodes

from deploy.founding import make_network
from deploy.network import NetworkPlan
from node.council_side import CouncilSide, read_council

LIAR = 1


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.asyncio
async def test_a_leader_with_a_wrong_route_hash_is_reported_and_barred_from_three_elections(tmp_path, monkeypatch):
    names = ("bureau", "grid", "notary", "trading", "village")
    plan = NetworkPlan(
        tmp_path / "net", "dev-liar", "dpos", names, first_api_port=0, first_p2p_port=0, min_block_interval_ms=100
    )
    nodes = FourNodes(make_network(plan))
    await nodes.open(*range(5))
    side = nodes.node(LIAR)._parts.side
    assert isinstance(side, CouncilSide)
    monkeypatch.setattr(side._routes, "section", lambda state, context: b"w" * 32)

    async def work() -> None:
        while True:
            await nodes.deposit(0, 1)
            await asyncio.sleep(0.1)

    node = nodes.node(0)

    def shown() -> bool:
        """The bar counted at the last election, and the queue that this election gave, of one state."""
        height = node.chain.height
        bars = node.query("council", "bars", [], height)
        queue = node.query("council", "queue", [], height)["queue"]
        found = [bar for bar in bars if (bar["validator"], bar["cause"]) == ("grid", "invalid")]
        assert not found or "grid" not in queue, "it is seated in spite of its bar"
        return bool(found) and found[0]["left"] <= 2

    async with asyncio.TaskGroup() as group:
        busy = group.create_task(work())
        await nodes.until(shown, seconds=120)
        assert read_council(node._parts.state).epoch >= 3
        busy.cancel()
    assert nodes.node(LIAR).halted.startswith("state-divergence"), "a quorum accepted what it calls invalid"
    await nodes.close(*range(5))
