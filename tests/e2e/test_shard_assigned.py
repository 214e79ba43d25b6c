"""`audit = assigned` over real hosts: two centres say what each record comes to, and nobody waits for a silent one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shard_hosts import CENTRES, ShardHosts, region_network

from deploy.layout import NetworkLayout
from deploy.network import INSTITUTIONS
from ledger.engine_settings import GLOBAL, ShardSettings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]
NORTH = ("north1", "north2", "north3", "north4")
RIGHT = 1_000_000
MOST_RECORDS = 14
"""A centre is assigned to every second record."""


def founded(tmp_path: Path, patience: int) -> NetworkLayout:
    """`patience`: rounds for which an assigned centre may be silent."""
    sharding = ShardSettings((), audit="assigned", lottery="hash", round_ms=1_500, assigned_rounds=patience)
    return region_network(tmp_path / "network", sharding)


class Assigned:
    """A network in which one record after the other is confirmed."""

    def __init__(self, layout: NetworkLayout) -> None:
        self.world = ShardHosts(layout)
        self.amount = 0

    def asked(self, view: str, *arguments: Any) -> Any:
        return self.world.hosts["bureau"].chains[GLOBAL].query("shards", view, list(arguments))

    @property
    def seq(self) -> int:
        """The last confirmed record."""
        return int((self.asked("region", "north") or {"seq": 0})["seq"])

    async def next_record(self) -> None:
        """Something happens in the region; its record is confirmed."""
        before, treasury = self.seq, self.world.key("trading_center")
        self.amount += 1
        reference = f"bank {self.amount}"
        await self.world.call(
            "north2", "north", treasury, ("token", "deposit", [treasury.address, self.amount, reference])
        )
        await self.world.until(lambda: self.seq > before, 60)

    def words(self) -> int:
        """What centres have said on the global chain, where their accounts send nothing else."""
        node = self.world.hosts["bureau"].chains[GLOBAL]
        return sum(node.nonces(self.world.key(role).address).lowest for role in INSTITUTIONS)

    def accuracy(self, centre: str) -> int:
        genesis = self.world.hosts["bureau"].genesis
        key = next(one.public_key for one in genesis.all_validators if one.name == centre)
        found = self.asked("member", key)
        return RIGHT if found is None else int(found["accuracy"])


async def test_two_centres_speak_for_each_record(tmp_path: Path) -> None:
    network = Assigned(founded(tmp_path, 40))
    try:
        await network.world.open(*CENTRES, *NORTH)
        await network.next_record()
        await network.next_record()
        assert 2 * network.seq <= network.words() <= 2 * (network.seq + 1), "F + 1 of four; another record may wait"
        assert {network.accuracy(centre) for centre in CENTRES} == {RIGHT}, "nobody was waited for in vain"
    finally:
        await network.world.close()


@pytest.mark.soak
async def test_a_silent_centre_is_less_accurate_and_stops_nothing(tmp_path: Path) -> None:
    network = Assigned(founded(tmp_path, 6))
    try:
        await network.world.open(*CENTRES, *NORTH)
        await network.next_record()
        await network.world.close("notary")
        for _ in range(MOST_RECORDS):
            await network.next_record()
            if network.accuracy("notary") < RIGHT:
                break
        assert network.accuracy("notary") < RIGHT
        await network.world.open("notary")
        await network.next_record()
        assert not any(
            node.status().stopped_reason for host in network.world.hosts.values() for node in host.chains.values()
        )
    finally:
        await network.world.close()
