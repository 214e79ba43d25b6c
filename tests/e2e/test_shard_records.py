"""A region's records on the real global chain: entered, a lie fined, another member in the silent one's place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from shard_hosts import CENTRES, ShardHosts, region_network

from deploy.layout import NetworkLayout
from ledger.engine_settings import GLOBAL, ShardSettings
from node.commit import leaders_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]
NORTH = ("north1", "north2", "north3", "north4")
LIAR = "north2"


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    found = region_network(tmp_path / "network", ShardSettings(regions=(), round_ms=3_000, region_views=6))
    with (found.nodes[found.node(LIAR)].home / "config.toml").open("a", encoding="utf-8") as file:
        file.write("\n[dev]\nlie_about_record = 2\n")
    return found


def region(world: ShardHosts, at: str) -> dict[str, Any]:
    found = world.hosts[at].chains[GLOBAL].query("shards", "region", ["north"])
    return found if isinstance(found, dict) else {"seq": 0}


def barred(world: ShardHosts) -> list[dict[str, Any]]:
    people: Any = world.hosts["grid"].chains[GLOBAL].query("shards", "people", [b"", 32])
    return [one for one in people if one["barred"] >= 0]


async def test_records_are_confirmed_a_lie_is_fined_and_a_silent_agent_is_replaced(layout: NetworkLayout) -> None:
    world = ShardHosts(layout)
    treasury = world.key("trading_center")
    amount = 0

    async def confirmed(seq: int) -> None:
        """Something happens in the region until the global chain has confirmed that record."""
        nonlocal amount

        while region(world, "bureau")["seq"] < seq:
            amount += 1
            reference = f"bank {amount}"
            await world.call("north3", "north", treasury, ("token", "deposit", [treasury.address, amount, reference]))
            before = region(world, "bureau")["seq"]
            await world.until(lambda: region(world, "bureau")["seq"] > before, 60)  # noqa: B023  # awaited at once

    try:
        await world.open(*CENTRES, *NORTH)
        await confirmed(3)
        async with asyncio.timeout(120):
            while not (fined := barred(world)):  # its record counts where it comes before the true one
                await confirmed(region(world, "bureau")["seq"] + 1)
        liar = next(v for v in world.hosts[LIAR].genesis.all_validators if v.name == LIAR)
        assert [one["key"] for one in fined] == [liar.public_key]
        assert fined[0]["deposit"] == 90_000_000
        assert world.hosts["grid"].chains[GLOBAL].query("shards", "pool", []) == 10_000_000

        node = world.hosts["north3"].chains["north"]
        members = node.genesis.validator_set
        with node.chain.view() as now:
            turns = [members.validators[turn].name for turn in leaders_of(now.state, members)]
        silent = next(name for name in turns if name not in (LIAR, "north3"))
        await world.close(silent)
        await confirmed(region(world, "bureau")["seq"] + 1)
        await world.open(silent)
        await confirmed(region(world, "bureau")["seq"] + 1)
        await world.until(lambda: region(world, silent)["seq"] == region(world, "bureau")["seq"])
        assert node.chain.head.epoch > 1, "certificates of later epochs are good too"
        assert not any(one.status().stopped_reason for host in world.hosts.values() for one in host.chains.values())
    finally:
        await world.close()
