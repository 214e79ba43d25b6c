"""A real node on a small disk that fills up: it says so, loses nothing, does not die, goes on when there is room."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cluster import Cluster, ClusterError, ClusterNode
from deploy.founding import make_network
from deploy.network import NetworkPlan
from ledger.chain_verify import verify_chain
from ledger.genesis import load_genesis
from ledger.objects import transaction_id
from ledger.store import open_store
from node.client import Account, Client
from node.keys import load_key

DISK_BYTES = 24 * 1024 * 1024
RESERVE_BYTES = DISK_BYTES // 4
"""What a node keeps free of a disk of this size (`node.store_guard`)."""
OWN_BYTES = 256 * 1024
"""What a node writes with some dozens of deposits."""
PATIENCE_S = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, mounted for this test."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount command here: {error}")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Fill the disk until `leave` bytes are free."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb", buffering=0) as file:
        if not leave:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return
        file.write(bytes(shutil.disk_usage(disk).free - leave))


class Bank:
    """Deposits of 1: each is either in the end in the account, once, or was refused."""

    def __init__(self, client: Client, treasury: Account, receiver: bytes) -> None:
        self.client = client
        self.treasury = treasury
        self.receiver = receiver
        self.sent: list[bytes] = []

    async def pay(self, times: int) -> None:
        for _ in range(times):
            arguments = [self.receiver, 1, f"bank {len(self.sent)}"]
            _nonce, raw = await self.treasury.sign("token", "deposit", arguments)
            await self.client.submit_one(raw)
            self.sent.append(raw)

    async def balance(self) -> int:
        return (await self.client.view("token", "account", self.receiver))["balance"]

    async def all_paid(self) -> None:
        """Wait until every deposit has a good receipt; the account holds exactly their sum."""
        for raw in self.sent:
            assert (await self.client.wait(transaction_id(raw), PATIENCE_S)).ok
        assert await self.balance() == len(self.sent)


async def trouble(client: Client, begin: str) -> str:
    """Wait until the node says what is wrong."""
    deadline = time.monotonic() + PATIENCE_S
    while not (reason := (await client.status()).stopped_reason).startswith(begin):
        assert time.monotonic() < deadline, f"{begin} expected, found {reason!r}"
        await asyncio.sleep(0.1)
    return reason


async def recovered(client: Client) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (await client.status()).stopped_reason:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def errors_in(node: ClusterNode) -> list[dict]:
    lines = node.layout.log_file.read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["level"] == "error"]


@pytest.mark.asyncio
@pytest.mark.timeout(180)
async def test_a_full_disk_stops_nothing_for_good(disk: Path) -> None:
    layout = make_network(
        NetworkPlan(
            directory=disk / "network",
            chain_name="dev-full",
            engine="solo",
            names=("one",),
            first_api_port=0,
            first_p2p_port=0,
        )
    )
    receiver = bytes.fromhex(layout.account("notary").address[2:])
    async with Cluster.open(layout) as cluster:
        (node,) = cluster.nodes
        async with Client.open(node.url) as client:
            bank = Bank(client, client.account(load_key(layout.key_file("trading_center"))), receiver)
            await bank.pay(3)
            await bank.all_paid()

            fill(disk, 0)  # not even the log can be written: nothing is signed out
            await bank.pay(20)
            reason = await trouble(client, "disk: ")
            assert "No space left" in reason
            assert await client.ready()
            height = (await client.status()).height

            fill(disk, RESERVE_BYTES // 2)  # room for the log; the store keeps away from the brink
            reason = await trouble(client, "disk-full: STORE_FULL")
            assert f"at least {RESERVE_BYTES} bytes free" in reason
            assert "goes on by itself" in reason
            await bank.pay(20)
            assert (await client.status()).height == height
            assert await bank.balance() == 3, "questions are answered"

            (disk / "ballast").unlink()
            await bank.all_paid()
            await recovered(client)
            told = [line for line in errors_in(node) if line.get("code") == "STORE_FULL"]
            assert told
            assert all(told[0][field] for field in ("expected", "found", "fix"))

            fill(disk, RESERVE_BYTES + OWN_BYTES)  # the node writes the rest itself
            while not (await client.status()).stopped_reason:
                await bank.pay(20)
            await trouble(client, "disk-full: STORE_FULL")
            (disk / "ballast").unlink()
            await bank.all_paid()
            await recovered(client)

            fill(disk, 0)
            await bank.pay(5)
            await trouble(client, "disk")
        await cluster.kill(0)
        with pytest.raises(ClusterError) as refused:  # a node that cannot open its files says so and ends
            await cluster.start(0)
        assert refused.value.code == "NODE_DIED"
        assert "Traceback" not in str(refused.value)
        assert any(code in str(refused.value) for code in ("STORE_FULL", "STORE_IO", "WAL_IO", "STORE_OPEN")), refused
        (disk / "ballast").unlink()
        await cluster.start(0)
        async with Client.open(node.url) as client:
            assert (await client.status()).stopped_reason == ""
            again = Bank(client, bank.treasury, receiver)
            again.sent = bank.sent
            assert len(bank.sent) - 5 <= await again.balance() <= len(bank.sent)
            for answer in await client.submit(bank.sent):  # who has seen no receipt sends the same bytes again
                assert answer.accepted or answer.code == "NONCE_USED"
            await again.all_paid()
    store = open_store(layout.nodes[0].home / "data")
    assert verify_chain(store, load_genesis(layout.nodes[0].home / "genesis.json").summary).fault is None
    store.close()
