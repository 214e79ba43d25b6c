"""Real processes: a validator that lost its database comes back by a fetched state, votes, and serves it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deploy
from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from node.client import Client
from node.keys import load_key

pytestmark = [pytest.mark.soak, pytest.mark.asyncio, pytest.mark.timeout(300)]
ROOT = Path(deploy.__file__).resolve().parents[1]


async def blocks(layout: NetworkLayout, url: str, reference: str, count: int) -> None:
    """Make at least `count` blocks, each with a deposit."""
    async with Client.open(url, timeout_s=30) as client:
        treasury = client.account(load_key(layout.key_file("trading_center")))
        receiver = bytes.fromhex(layout.account("notary").address[2:])
        for number in range(count):
            assert (await treasury.call("token", "deposit", [receiver, 1_000, f"{reference} {number}"])).ok


async def height(url: str) -> int:
    async with Client.open(url, timeout_s=30) as client:
        return (await client.status()).height


async def test_a_lost_database_comes_back_by_a_fetched_state(tmp_path: Path) -> None:
    layout = make_network(
        NetworkPlan(
            directory=tmp_path / "net", chain_name="dev-fetch", first_api_port=0, first_p2p_port=0, epoch_blocks=8
        )
    )
    lost = layout.nodes[3]
    async with Cluster.open(layout) as cluster:
        await blocks(cluster.layout, cluster.nodes[0].url, "before", 20)
        await cluster.kill(3)
        shutil.rmtree(lost.home / "data")
        with (lost.home / "config.toml").open("a") as file:
            file.write('\n[sync]\nmode = "snapshot"\n')
        await blocks(cluster.layout, cluster.nodes[0].url, "meanwhile", 5)
        await cluster.start(3)
        assert "begun with a fetched state" in cluster.nodes[3].log_tail(10_000)
        async with asyncio.timeout(30):
            while await height(cluster.nodes[3].url) < await height(cluster.nodes[0].url):
                await asyncio.sleep(0.1)
        await blocks(cluster.layout, cluster.nodes[3].url, "after", 12)
        await cluster.kill(0)
        await blocks(cluster.layout, cluster.nodes[3].url, "it votes", 3)
        top = await height(cluster.nodes[3].url)
        assert top >= await height(cluster.nodes[1].url) - 1
    command = [sys.executable, "-m", "deploy.main", "db", "verify", str(lost.home), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["height"] >= top
    assert found["blocks"] < found["height"], "it has no blocks from before its beginning"
