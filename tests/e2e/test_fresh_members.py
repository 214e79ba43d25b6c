"""Machines that genesis does not know get seats in a region, on real hosts: let in when the centres have named them,
with a deposit of their own; one of them loses its disk and votes again. Who is named by nobody stays outside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from shard_hosts import CENTRES, ShardHosts, region_network

from consensus.sharded.global_state import MachineKey, NewMembers
from consensus.sharded.members import members_bytes
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from contracts.values import Value
from deploy.layout import NetworkLayout
from deploy.machine import MachinePlan, Made, make_machine
from ledger.codec import encode
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.errors import ConfigError, GridchainError
from ledger.validators import Validator
from node.keys import load_key

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]
REGION = "north"
KEPT = ("north1", "north2")
FRESH = ("north5", "north6")
STRANGER = "north7"
DEPOSIT = 100_000_000


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    sharding = ShardSettings((), round_ms=1_000, stale_rounds=30, takeover_rounds=60, lottery="hash")
    return region_network(tmp_path / "network", sharding)


class FreshWorld(ShardHosts):
    """A region and its centres, and machines that were prepared later."""

    def __init__(self, layout: NetworkLayout, directory: Path) -> None:
        super().__init__(layout)
        self.treasury = self.key("trading_center")
        self.directory = directory
        self.made: dict[str, Made] = {}
        self._deposits = 0

    def prepare(self, name: str, region: str = REGION, authority: str = "ca") -> None:
        ca = self.layout.directory / authority
        self.made[name] = make_machine(
            MachinePlan(
                home=self.directory / name,
                name=name,
                region=region,
                genesis=self.layout.nodes[0].home / "genesis.json",
                authority=(ca / "ca.crt", ca / "ca.key"),
                seeds=self.layout.seeds_of(""),
                host="127.0.0.1",
                ports=(0, 0),
            ),
            self.hosts[CENTRES[0]].genesis.time_ms,
        )

    def home(self, name: str) -> Path:
        return self.directory / name if name in self.made else super().home(name)

    async def pay(self, through: str) -> None:
        self._deposits += 1
        reference = f"bank {self._deposits}"
        arguments: list[Value] = [self.treasury.address, 3 * DEPOSIT, reference]
        await self.call(through, REGION, self.treasury, ("token", "deposit", arguments))

    async def put_down(self, through: str, member: bytes) -> None:
        await self.call(through, REGION, self.treasury, ("crossing", "put_down", [member, DEPOSIT]))

    def asked(self, contract: str, view: str, *arguments: Any) -> dict[str, Any]:
        try:
            found = self.hosts["bureau"].chains[GLOBAL].query(contract, view, list(arguments))
        except (GridchainError, KeyError):
            return {}
        return found if isinstance(found, dict) else {}

    def deposit(self, member: bytes) -> int:
        return int(self.asked("shards", "member", member).get("deposit", 0))

    def seq(self) -> int:
        return int(self.asked("shards", "region", REGION).get("seq", 0))

    async def confirmed(self, through: str) -> None:
        goal = self.seq() + 1
        await self.pay(through)
        await self.until(lambda: self.seq() >= goal, 60)

    def at_epoch(self, epoch: int, *names: str) -> bool:
        def there(name: str) -> bool:
            node = self.hosts[name].chains.get(REGION) if name in self.hosts else None
            return node is not None and (node.place.epoch, node.ready) == (epoch, True)

        return all(map(there, names))

    async def seats(self) -> None:
        """Three centres give the region two of its members and the two fresh machines."""
        genesis = self.hosts["bureau"].genesis
        assert genesis.shards is not None
        now = {one.name: one for one in genesis.shards.regions[0].validators}
        members = (
            *(Validator(name, now[name].public_key, 1) for name in KEPT),
            *(Validator(name, self.made[name].voting_key, 1) for name in FRESH),
        )
        machines = tuple(MachineKey(self.made[name].voting_key, self.made[name].node_key) for name in FRESH)
        chain_id = self.hosts["bureau"].chains[REGION].genesis.chain_id
        said = members_bytes(chain_id, REGION, 1, members, machines)
        order = [one.name for one in genesis.validator_set.validators]
        signers = tuple(sorted(order.index(name) for name in CENTRES[:3]))
        keys = [load_key(self.home(order[at]) / "keys" / "validator.key") for at in signers]
        signatures = tuple(key.sign(DOMAIN_RECORD_SIGNATURE, said) for key in keys)
        entry = encode(NewMembers(REGION, 1, members, signers, signatures, machines))
        await self.call("bureau", GLOBAL, self.treasury, ("shards", "members", [entry]))

    def refused(self, name: str) -> bool:
        """Whether a peer has told a machine that it knows it not."""
        found = self.hosts[name].home.status().refusals
        return any(one.code == "UNKNOWN_MEMBER" and one.by_peer for one in found)


@pytest.mark.soak
async def test_machines_that_genesis_does_not_know_get_seats(layout: NetworkLayout, tmp_path: Path) -> None:
    world = FreshWorld(layout, tmp_path)
    try:
        await world.open(*CENTRES[:3], *KEPT, "north3")
        for name in (*FRESH, STRANGER):
            world.prepare(name)
        await world.open(*FRESH, STRANGER)
        await world.until(lambda: world.refused(FRESH[0]) and world.refused(STRANGER))
        assert not world.hosts[FRESH[0]].home.status().peers

        await world.pay("north1")
        for name in FRESH:
            await world.put_down("north1", world.made[name].voting_key)
        await world.until(lambda: all(world.deposit(world.made[name].voting_key) == DEPOSIT for name in FRESH), 60)

        await world.seats()
        await world.until(lambda: world.at_epoch(2, *CENTRES[:3], *KEPT, *FRESH), 60)
        assert not any(world.hosts[name].chains[REGION].held for name in FRESH), "they have never signed anything"
        await world.confirmed(FRESH[0])
        await world.close("north3", "north2")
        await world.confirmed("north1")  # a quorum with both of them only

        await world.close(FRESH[0])
        for lost in ("data", "wal"):
            shutil.rmtree(world.home(FRESH[0]) / lost)
        await world.open("north2", FRESH[0])
        await world.until(lambda: world.at_epoch(2, FRESH[0]), 60)
        assert world.hosts[FRESH[0]].chains[REGION].held, "nobody knows what it signed before its disk was lost"
        await world.confirmed("north1")
        await world.until(lambda: not world.hosts[FRESH[0]].chains[REGION].held, 60)
        assert world.refused(STRANGER)
        assert not world.hosts[STRANGER].home.status().peers, "named by nobody"
        assert not any(one.status().stopped_reason for host in world.hosts.values() for one in host.chains.values())
    finally:
        await world.close()


async def test_what_a_machine_cannot_be_made_from_has_a_code(layout: NetworkLayout, tmp_path: Path) -> None:
    world = FreshWorld(layout, tmp_path)
    try:
        await world.open(CENTRES[0])
        for region, authority, code in (("south", "ca", "NO_REGION"), (REGION, "nowhere", "BAD_CERTIFICATE")):
            with pytest.raises(ConfigError) as refused:
                world.prepare("one", region, authority)
            assert refused.value.code == code
        world.prepare("one")
        with pytest.raises(ConfigError) as again:
            world.prepare("one")
        assert again.value.code == "HOME_EXISTS"
    finally:
        await world.close()
