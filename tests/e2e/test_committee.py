"""Real nodes change their committee: a validator leaves by vote, comes back with a new key, and its vote is needed."""

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
from deploy.network import NetworkPlan
from node.client import Client
from node.keys import load_key

ROOT = Path(deploy.__file__).resolve().parents[1]
NAMES = ("a", "b", "c", "d", "e")
ACCOUNTS = ("energy_bureau", "grid_company", "notary", "trading_center")


def gridchain(*words: str) -> dict:
    """A command's document."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.main", *words, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


class Traffic:
    """Transfers that keep an idle chain making blocks, until its epoch ends."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.count = 0

    async def one(self) -> None:
        layout = self.cluster.layout
        async with Client.open(self.cluster.nodes[0].url) as client:
            treasury = client.account(load_key(layout.key_file("trading_center")))
            self.count += 1
            receiver = bytes.fromhex(layout.account("notary").address[2:])
            outcome = await treasury.call("token", "deposit", [receiver, 1, f"traffic {self.count}"])
            assert outcome.ok, outcome

    async def until(self, names: list[str]) -> None:
        """Go on until the committee has these members."""
        async with asyncio.timeout(60):
            while True:
                async with Client.open(self.cluster.nodes[0].url) as client:
                    rows = await client.view("committee", "validators")
                if [row["name"] for row in rows] == names:
                    return
                await self.one()


async def held(url: str) -> bool:
    async with Client.open(url) as client:
        status = await client.status()
        return bool(status.held or status.stopped_reason)


def votes(layout, url: str, number: int) -> dict:
    keys = [word for name in ACCOUNTS for word in ("--key", str(layout.key_file(name)))]
    return gridchain("committee", "vote", str(number), *keys, "--url", url)["change"]


@pytest.mark.asyncio
async def test_a_validator_leaves_and_comes_back_with_another_key(tmp_path):
    plan = NetworkPlan(
        tmp_path / "net", "dev-committee", names=NAMES, first_api_port=0, first_p2p_port=0, epoch_blocks=6
    )
    async with Cluster.open(make_network(plan)) as cluster:
        layout, url, traffic = cluster.layout, cluster.nodes[0].url, Traffic(cluster)
        by = ("--key", str(layout.key_file("energy_bureau")), "--url", url)
        run = asyncio.to_thread

        left = await run(gridchain, "committee", "remove", "e", *by)
        assert (await run(votes, layout, url, left["change"]["number"]))["status"] == "agreed"
        await traffic.until(["a", "b", "c", "d"])

        # the fifth comes back with a new key and nothing remembered of the old one
        await cluster.kill(4)
        home = cluster.nodes[4].layout.home
        key_file = home / "keys" / "validator.key"
        key_file.unlink()
        await run(gridchain, "keys", "new", str(key_file), "--plain")
        shutil.rmtree(home / "wal")
        proof = await run(gridchain, "keys", "possession", str(key_file), "--network", "dev-committee")
        address = layout.account("e").address
        offered = ("--public", proof["public_key"], "--possession", proof["possession"], "--account", address)
        joins = await run(gridchain, "committee", "propose", "e", *offered, *by)
        assert (await run(votes, layout, url, joins["change"]["number"]))["status"] == "agreed"
        await cluster.start(4)
        await traffic.until(["a", "b", "c", "d", "e"])
        async with asyncio.timeout(60):
            while await held(cluster.nodes[4].url):  # its log is new: it observes until it can contradict nothing
                await asyncio.sleep(3)  # within one short epoch, everybody tells it how far they are, every 5 s
                await traffic.one()

        # four of five are a quorum: without the fourth the newcomer's votes decide
        await cluster.kill(3)
        async with asyncio.timeout(60):
            await traffic.one()
            await traffic.one()
        shown = await run(gridchain, "committee", "show", "--url", url)
        assert [one["name"] for one in shown["validators"]] == list(NAMES)
        assert shown["validators"][4]["key"] == proof["public_key"]
