"""A takeover with real processes: centres are SIGKILLed while they go over to the next chain of a dead region."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from shard_hosts import CENTRES, region_network

from consensus.sharded.global_state import NewMembers
from contracts.values import Value, encode_value
from deploy.cluster import Cluster
from deploy.layout import NetworkLayout
from ledger.codec import encode
from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.errors import GridchainError
from node.client import Client, Outcome
from node.client_account import build_transaction
from node.keys import load_key
from node.tasks import task_scope

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600), pytest.mark.soak]
NORTH = ("north1", "north2", "north3", "north4")
REGION = "north"


def found(directory: Path) -> NetworkLayout:
    return region_network(
        directory, ShardSettings((), round_ms=1_000, stale_rounds=2, takeover_rounds=4, lottery="hash")
    )


class Town:
    """A running network, asked through its API."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.treasury = self.key("trading_center")
        self.paid = 0

    def key(self, role: str) -> SigningKey:
        return load_key(self.cluster.layout.key_file(role))

    def url(self, name: str) -> str:
        return self.cluster.nodes[self.cluster.layout.node(name)].url

    async def kill(self, *names: str) -> None:
        await asyncio.gather(*(self.cluster.kill(self.cluster.layout.node(name)) for name in names))

    async def start(self, *names: str) -> None:
        await asyncio.gather(*(self.cluster.start(self.cluster.layout.node(name)) for name in names))

    async def strike(self, name: str, after_s: float) -> None:
        """Kill one, and start it again."""
        await asyncio.sleep(after_s)
        await self.kill(name)
        await self.start(name)

    async def pay(self, at: str) -> None:
        """A deposit in the region."""
        self.paid += 1
        async with Client.open(self.url(at), chain=REGION, timeout_s=60) as client:
            arguments: list[Value] = [self.treasury.address, 1, f"bank {self.paid}"]
            await self.until(lambda: self.settled((at,), self.paid - 1))
            outcome = await client.account(self.treasury).call("token", "deposit", arguments)
        assert outcome.ok, outcome

    async def on_global(self, entry: str, *arguments: Value) -> None:
        async with Client.open(self.url("bureau"), chain=GLOBAL, timeout_s=60) as client:
            await client.account(self.key("energy_bureau")).call("shards", entry, list(arguments))

    async def balance(self, at: str) -> int:
        async with Client.open(self.url(at), chain=REGION, timeout_s=5) as client:
            found = await client.view("token", "account", self.treasury.address)
        return int(found["balance"]) if isinstance(found, dict) else 0

    async def region(self) -> dict[str, object]:
        async with Client.open(self.url("bureau"), chain=GLOBAL, timeout_s=5) as client:
            found = await client.view("shards", "region", REGION)
        return found if isinstance(found, dict) else {}

    async def epoch(self, at: str) -> int:
        async with Client.open(self.url(at), chain=REGION, timeout_s=5) as client:
            found = (await client.status()).region_epoch
        return 0 if found is None or found.standing != "runs" else found.number

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if await holds():
                    return
            except GridchainError:
                pass  # a node is away for a moment
            assert time.monotonic() < deadline, await self.region()
            await asyncio.sleep(0.2)

    async def all_at(self, epoch: int, names: tuple[str, ...]) -> bool:
        return all([await self.epoch(name) == epoch for name in names])

    async def settled(self, names: tuple[str, ...], paid: int | None = None) -> bool:
        wanted = self.paid if paid is None else paid
        return all([await self.balance(name) == wanted for name in names])


async def test_centres_killed_while_they_take_a_region_over_come_back_on_its_next_chain(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    async with Cluster.open(found(tmp_path / "net")) as cluster:
        town = Town(cluster)
        for name in NORTH[:3]:
            await town.pay(name)

        async def confirmed() -> bool:
            return int(str((await town.region())["seq"])) > 1

        while not await confirmed():
            await town.pay("north1")
        await town.until(lambda: town.settled(CENTRES))
        await town.kill(*NORTH)
        async with Client.open(town.url("bureau"), chain=REGION) as client, task_scope() as tasks:
            told: list[int] = []
            tasks.spawn(follow(client, told), name="a client that never goes away")
            town.paid += 1
            nonce = (await client.account_state(town.treasury.address)).next_nonce
            deposit: list[Value] = [town.treasury.address, 1, f"bank {town.paid}"]
            chain_id = await client.chain_id()
            forced = build_transaction(town.treasury, chain_id, nonce, ("token", "deposit", deposit))
            await town.on_global("post", REGION, forced)
            town.paid += 1
            later: list[Value] = [town.treasury.address, 1, f"bank {town.paid}"]
            waiting = build_transaction(town.treasury, chain_id, nonce + 1, ("token", "deposit", later))
            outcomes: list[Outcome] = []

            async def submit() -> None:
                outcomes.extend(await client.submit_and_wait([waiting], 300))

            tasks.spawn(submit(), name="a client that waits")

            async def suspended() -> bool:
                await town.on_global("post", REGION, encode_value([time.monotonic_ns()]))
                return (await town.region())["standing"] == "suspended"

            await town.until(suspended)
            await town.on_global("members", encode(NewMembers(REGION, 1, (), (), ())))
            victims = tuple(chance.sample(CENTRES[1:], 3))
            await asyncio.gather(*(town.strike(victim, chance.uniform(0, 4)) for victim in victims))
            await town.until(lambda: town.all_at(2, CENTRES))
            await town.until(lambda: town.settled(CENTRES))

            async def answered() -> bool:
                return bool(outcomes)

            await town.until(answered)
            assert outcomes[0].ok, "who waited on the dead chain hears of the next"
            await town.pay("notary")
            height = (await client.status()).height

            async def heard() -> bool:
                return bool(told) and told[-1] >= height

            await town.until(heard)
        await town.start(*NORTH)
        await town.until(lambda: town.all_at(2, NORTH))
        await town.until(lambda: town.settled((*CENTRES, *NORTH)))


async def follow(client: Client, told: list[int]) -> None:
    """Follow the region's chain, whichever it is."""
    async for height, _ in client.outcomes():
        told.append(height)
