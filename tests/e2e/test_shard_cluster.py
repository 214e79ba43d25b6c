"""The same as `test_shard_hosts` with real processes: ready, SIGKILLed, back on both chains."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from deploy.cluster import Cluster, ClusterNode
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from ledger.engine_settings import ShardSettings
from ledger.errors import GridchainError
from node.api.models import StatusView
from node.client import Client
from node.keys import load_key

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400), pytest.mark.soak]


def found(directory: Path) -> NetworkLayout:
    return make_network(
        NetworkPlan(
            directory=directory,
            chain_name="dev-shards",
            engine="sharded",
            regions=default_regions(2, 4),
            sharding=ShardSettings((), lottery="hash"),  # nobody searches tickets here
            first_api_port=0,
            first_p2p_port=0,
        )
    )


async def heights(node: ClusterNode) -> dict[str, int]:
    try:
        async with Client.open(node.url, timeout_s=5.0) as client:
            status: StatusView = await client.status()
            return {} if status.stopped_reason else {one.name: one.height for one in status.chains}
    except GridchainError:
        return {}


async def deposit(cluster: Cluster, name: str, amount: int) -> int:
    """A deposit in the region of a node; the height of its block."""
    node = cluster.nodes[cluster.layout.node(name)]
    key = load_key(cluster.layout.key_file("trading_center"))
    async with Client.open(node.url) as client:
        outcome = await client.account(key).call("token", "deposit", [key.address, amount, f"bank {amount}"])
    assert outcome.ok
    assert outcome.height is not None
    return outcome.height


async def until_at(cluster: Cluster, wanted: dict[str, int], seconds: float = 90) -> None:
    """Every process has each chain that it hosts at these heights or above."""
    deadline = time.monotonic() + seconds
    while True:
        found = await asyncio.gather(*(heights(node) for node in cluster.nodes))
        if all(there and all(there[c] >= h for c, h in wanted.items() if c in there) for there in found):
            return
        assert time.monotonic() < deadline, [dict(zip(cluster.layout.urls, found, strict=True)), wanted]
        await asyncio.sleep(0.5)


async def test_a_killed_member_comes_back_on_both_of_its_chains(tmp_path: Path) -> None:
    async with Cluster.open(found(tmp_path / "net")) as cluster:
        north = await deposit(cluster, "north1", 1)
        south = await deposit(cluster, "south1", 2)
        await until_at(cluster, {"north": north, "south": south, "global": 1})
        assert set(await heights(cluster.nodes[0])) == {"global", "north", "south"}
        victim = cluster.layout.node("north2")
        assert set(await heights(cluster.nodes[victim])) == {"global", "north"}
        await cluster.kill(victim)
        for amount in range(3, 6):
            north = await deposit(cluster, "north3", amount)
        await cluster.start(victim)
        await until_at(cluster, {"north": north, "south": south, "global": 1})
