"""A region begins anew on real hosts: the centres take it over and give it back; one of its members lost its disk."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from shard_hosts import CENTRES, ShardHosts, region_network

from consensus.sharded.global_state import NewMembers
from consensus.sharded.members import members_bytes
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from contracts.values import encode_value
from deploy.layout import NetworkLayout
from ledger.codec import encode
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.errors import GridchainError
from ledger.objects import TransactionBody, sign_transaction
from ledger.validators import Validator
from node.chains import Phase
from node.first_logs import FOUNDED
from node.keys import load_key

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]
NORTH = ("north1", "north2", "north3", "north4")
REGION = "north"
LOST = "north2"


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    return region_network(
        tmp_path / "network", ShardSettings((), round_ms=1_000, stale_rounds=2, takeover_rounds=4, lottery="hash")
    )


class EpochWorld(ShardHosts):
    """One region and its centres. `paid`: what the treasury was paid in the region."""

    def __init__(self, layout: NetworkLayout) -> None:
        super().__init__(layout)
        self.treasury = self.key("trading_center")
        self.paid = 0
        self._deposits = 0

    async def pay(self, at: str) -> None:
        """A deposit in the region, through one node."""
        await self.call(at, REGION, self.treasury, ("token", "deposit", self._deposit()))

    def _deposit(self) -> list[Any]:
        self._deposits += 1
        self.paid += self._deposits
        return [self.treasury.address, self._deposits, f"bank {self._deposits}"]

    async def post(self) -> None:
        """The same through the global chain, for a region that does not listen."""
        node = self.hosts["bureau"].chains[REGION]
        nonce = self._nonces.get(REGION, 0)
        self._nonces[REGION] = nonce + 1
        chain_id, key = node.genesis.transaction_chain_id, self.treasury
        arguments = encode_value(self._deposit())
        body = TransactionBody(1, chain_id, key.public, nonce, "token", "deposit", arguments, 1_000_000)
        await self.on_global("post", REGION, sign_transaction(body, key))

    async def on_global(self, entry: str, *arguments: Any) -> None:
        await self._say("shards", entry, list(arguments))

    async def tick(self) -> None:
        """Something happens on the global chain, so that it knows what time it is."""
        await self._say("governance", "propose_deployer", [self.treasury.address, False])

    async def _say(self, contract: str, entry: str, arguments: list[Any]) -> None:
        """By an account that a centre's node speaks by as well, once that is a region's courier."""
        key, node = self.key("energy_bureau"), self.hosts["bureau"].chains[GLOBAL]
        for ahead in range(16):
            nonce = node.nonces(key.address).lowest + ahead
            raw = encode_value(arguments)
            body = TransactionBody(1, node.genesis.chain_id, key.public, nonce, contract, entry, raw, 1_000_000)
            (answer,) = await node.submit([sign_transaction(body, key)])
            if answer.accepted:
                return
            assert answer.code.startswith("NONCE"), answer

    def asked(self, at: str, chain: str, contract: str, view: str, *arguments: Any) -> Any:
        """A view, {} while the node cannot answer: it may be opening again."""
        try:
            return self.hosts[at].chains[chain].query(contract, view, list(arguments))
        except (GridchainError, KeyError):
            return {}

    def balance(self, at: str) -> int:
        found = self.asked(at, REGION, "token", "account", self.treasury.address)
        return int(found.get("balance", 0))

    def region(self, at: str = "bureau") -> dict[str, Any]:
        found = self.asked(at, GLOBAL, "shards", "region", REGION)
        return found if isinstance(found, dict) else {}

    def at_epoch(self, epoch: int, *names: str) -> bool:
        """Whether these hosts run the region's chain of an epoch."""
        return all(
            (host := self.hosts.get(name)) is not None
            and (node := host.chains.get(REGION)) is not None
            and (node.place.epoch, node.phase, node.ready) == (epoch, Phase.RUNS, True)
            for name in names
        )

    def voters(self) -> set[str]:
        return {name for name, host in self.hosts.items() if REGION in host.chains and host.chains[REGION].votes}

    async def confirmed(self, through: str) -> None:
        """Two more records of the region enter the global chain."""
        seq = self.region()["seq"]
        for goal in (seq + 1, seq + 2):
            await self.pay(through)
            await self.until(lambda: self.region().get("seq", 0) >= goal, 60)  # noqa: B023  # awaited at once

    async def new_members(self, *names: str) -> None:
        """Three of the centres sign another set."""
        genesis = self.hosts["bureau"].genesis
        assert genesis.shards is not None
        voters = {one.name: one for one in genesis.shards.regions[0].validators}
        members = tuple(Validator(name, voters[name].public_key, 1) for name in names)
        view = self.region()
        text = members_bytes(view["chain"], REGION, view["epoch"], members)
        order = [one.name for one in genesis.validator_set.validators]
        signers = (0, 1, 3)
        keys = [load_key(self.home(order[signer]) / "keys" / "validator.key") for signer in signers]
        signatures = tuple(key.sign(DOMAIN_RECORD_SIGNATURE, text) for key in keys)
        await self.on_global("members", encode(NewMembers(REGION, view["epoch"], members, signers, signatures)))

    def home(self, name: str) -> Path:
        return self.layout.nodes[self.layout.node(name)].home


async def test_the_centres_take_a_silent_region_over_and_give_it_back(layout: NetworkLayout) -> None:
    world = EpochWorld(layout)
    try:
        await world.open(*CENTRES, *NORTH)
        await world.pay("north1")
        await world.until(lambda: world.region().get("seq", 0) >= 1, 60)
        await world.confirmed("north2")
        await world.close("north4")
        await world.pay("north3")  # its block may be void
        await world.until(lambda: world.balance("bureau") == world.paid)
        await world.close("north1", "north2", "north3")

        await world.post()
        await world.until(lambda: world.region().get("inbox", 0) > 0)
        async with asyncio.timeout(60):
            while world.region().get("standing") != "suspended":
                await world.tick()
                await asyncio.sleep(0.5)
        await world.on_global("members", encode(NewMembers(REGION, 1, (), (), ())))
        await world.until(lambda: world.at_epoch(2, *CENTRES), 60)
        assert world.voters() == set(CENTRES)
        await world.until(lambda: world.balance("grid") == world.paid, 60)
        await world.confirmed("notary")
        assert (world.region()["epoch"], world.region()["standing"]) == (2, "current")
        status = world.hosts["grid"].chains[REGION].region_epoch
        assert status is not None
        assert (status.number, status.reason) == (2, "takeover")
        before = world.hosts["grid"].chains["north.1"]
        assert before.phase is Phase.OVER
        (refused,) = await before.submit([b""])
        assert refused.code == "CHAIN_OVER"

        there = tuple(name for name in NORTH if name != LOST)
        await world.open(*there)
        await world.until(lambda: world.at_epoch(2, *there), 60)
        assert world.voters() == set(CENTRES), "former members follow"
        await world.until(lambda: all(world.balance(name) == world.paid for name in there), 60)

        await world.new_members(*NORTH)
        await world.until(lambda: world.at_epoch(3, *CENTRES, *there), 60)
        await world.confirmed("north4")
        shutil.rmtree(world.home(LOST) / "data")
        shutil.rmtree(world.home(LOST) / "wal")
        await world.open(LOST)
        await world.until(lambda: world.at_epoch(3, LOST), 60)
        assert world.hosts[LOST].chains[REGION].held, "nobody knows what it signed before its disk was lost"
        assert {"north.1", "north.2"} < set(world.hosts[LOST].chains)
        await world.confirmed(LOST)
        assert world.voters() == set(NORTH)
        await world.until(lambda: not world.hosts[LOST].chains[REGION].held, 60)
        await world.tick()
        listed = world.home(LOST) / "wal" / FOUNDED
        await world.until(listed.exists, 60)
        assert listed.read_text(encoding="utf-8").split() == ["north.2", "north.3"], "it may vote on the next at once"
        await world.until(lambda: all(world.balance(name) == world.paid for name in (*CENTRES, *NORTH)), 60)
        assert not any(one.status().stopped_reason for host in world.hosts.values() for one in host.chains.values())
    finally:
        await world.close()
