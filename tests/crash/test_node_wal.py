"""The log of real nodes after a crash: a torn tail is cut and the node votes again; damage before it holds the node."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from deploy.cluster import Cluster, ClusterNode
from deploy.founding import make_network
from deploy.network import NetworkPlan
from ledger.chain_verify import verify_chain
from ledger.genesis import load_genesis
from ledger.store import open_store
from node.api.models import StatusView
from node.client import Client
from node.keys import load_key
from node.store_guard import GuardedStore

PATIENCE_S = 30.0


class Payments:
    """Deposits, one after the other, through a node that is up: each needs a quorum."""

    def __init__(self, cluster: Cluster) -> None:
        layout = cluster.layout
        self._treasury = load_key(layout.key_file("trading_center"))
        self._receiver = bytes.fromhex(layout.account("notary").address[2:])
        self._url = cluster.nodes[0].url
        self.sum = 0

    async def pay(self, times: int = 1) -> None:
        async with Client.open(self._url) as client:
            account = client.account(self._treasury)
            for _ in range(times):
                self.sum += 1
                outcome = await account.call(
                    "token", "deposit", [self._receiver, 1, f"bank {self.sum}"], timeout_s=PATIENCE_S
                )
                assert outcome.ok, outcome

    async def held_by(self, node: ClusterNode) -> int:
        async with Client.open(node.url) as client:
            return (await client.view("token", "account", self._receiver))["balance"]


async def status_of(node: ClusterNode) -> StatusView:
    async with Client.open(node.url) as client:
        return await client.status()


def tail_of(home: Path) -> tuple[Path, int]:
    """The last segment of a dead node's log, and how far the store knows it to have been synced."""
    store = open_store(home / "data")
    synced = GuardedStore(store, None).synced_log()
    store.close()
    segment = sorted((home / "wal").glob("*.log"))[-1]
    assert synced is not None
    assert int(segment.stem) == synced.segment
    return segment, synced.offset


def tear(home: Path) -> None:
    """As if the machine had stopped while a batch was written: the end of what no commit vouches for is missing, and
    half of another frame follows."""
    segment, synced = tail_of(home)
    data = segment.read_bytes()
    begun = data[data.rindex(b"gcW1") :]
    segment.write_bytes(data[: max(synced, len(data) - 5)] + begun[: len(begun) // 2])


def corrupt(home: Path) -> None:
    """One bit of a record long synced, with good batches behind it."""
    segment, synced = tail_of(home)
    data = bytearray(segment.read_bytes())
    data[synced // 2] ^= 0x04
    segment.write_bytes(data)


async def follows(payments: Payments, node: ClusterNode) -> None:
    """Wait until a node has everything that was paid."""
    deadline = time.monotonic() + PATIENCE_S
    while await payments.held_by(node) != payments.sum:
        assert time.monotonic() < deadline, f"{node.name} does not catch up"
        await asyncio.sleep(0.1)


@pytest.mark.asyncio
@pytest.mark.timeout(180)
async def test_torn_and_damaged_logs_of_real_nodes(tmp_path):
    layout = make_network(
        NetworkPlan(directory=tmp_path / "network", chain_name="dev-wal", first_api_port=0, first_p2p_port=0)
    )
    async with Cluster.open(layout) as cluster:
        nodes, payments = cluster.nodes, Payments(cluster)
        await payments.pay(5)

        await cluster.kill(3)
        tear(nodes[3].layout.home)
        await cluster.start(3)
        status = await status_of(nodes[3])
        assert (status.held, status.stopped_reason) == (False, "")
        await cluster.kill(2)
        await payments.pay(3)  # three of four: not without the vote of the torn one
        await follows(payments, nodes[3])

        corrupt(nodes[2].layout.home)
        await cluster.start(2)  # ready, although it may not vote
        status = await status_of(nodes[2])
        assert status.held
        assert status.stopped_reason.startswith("WAL_CORRUPT: a bad frame at byte ")
        assert list((nodes[2].layout.home / "wal").glob("*.damaged")), "what was damaged is kept for people"
        lines = nodes[2].layout.log_file.read_text().splitlines()
        (told,) = [line for line in map(json.loads, lines) if line["event"] == "this node may not vote yet"]
        assert told["reason"] == status.stopped_reason
        assert told["fix"]

        deadline = time.monotonic() + PATIENCE_S
        while (await status_of(nodes[2])).held:  # it observes, then votes again where it cannot contradict itself
            assert time.monotonic() < deadline
            await payments.pay()
        await cluster.kill(3)
        await payments.pay(2)
        await follows(payments, nodes[2])
        assert (await status_of(nodes[2])).stopped_reason == ""
        assert cluster.dead() == [nodes[3]]
    genesis = load_genesis(layout.nodes[0].home / "genesis.json").summary
    for node in layout.nodes:
        store = open_store(node.home / "data")
        assert verify_chain(store, genesis).fault is None
        store.close()
