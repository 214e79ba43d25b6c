"""Fifty validator processes on loopback: each is told one address, finds the others, and the chain finalises blocks.

Links are 8 to 12 once nobody comes or goes; on a host where fifty nodes share two cores some are always on their way.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.network import NetworkPlan
from node.address_file import load_addresses
from node.client import Client

NODES = 50
pytestmark = [pytest.mark.soak, pytest.mark.asyncio, pytest.mark.timeout(900)]


async def test_fifty_processes_find_each_other_from_one_seed_and_finalise(tmp_path: Path) -> None:
    names = tuple(f"member{number}" for number in range(1, NODES + 1))
    plan = NetworkPlan(directory=tmp_path / "net", chain_name="dev-fifty", engine="bft", names=names)
    layout = make_network(plan)
    seed = f'["{layout.nodes[0].peer_address}"]'
    async with Cluster.open(layout, environment={"GRIDCHAIN_P2P__SEEDS": seed}) as cluster:
        deadline = time.monotonic() + 240
        links: list[int] = []
        while not (found_each_other(cluster) and links and min(links) >= 6 and max(links) <= 14):
            assert time.monotonic() < deadline, links
            await asyncio.sleep(2)
            links = [await peers(node.url) for node in cluster.nodes]
        print("links", sorted(links))
        before = max([await height(node.url) for node in cluster.nodes[::10]])
        while min([await height(node.url) for node in cluster.nodes]) < before + 3:
            assert time.monotonic() < deadline + 240
            await asyncio.sleep(2)


def found_each_other(cluster: Cluster) -> bool:
    return all(len(load_addresses(node.layout.home / "addresses")) == NODES - 1 for node in cluster.nodes)


async def height(url: str) -> int:
    async with Client.open(url, timeout_s=30) as client:
        return (await client.status()).height


async def peers(url: str) -> int:
    async with Client.open(url, timeout_s=30) as client:
        return len((await client.status()).peers)
