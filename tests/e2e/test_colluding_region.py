"""Three of a region's four nodes lie together: corrected, fined, the region goes on (ADR 0290)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from shard_hosts import CENTRES, ShardHosts, region_network

from contracts.values import Value
from deploy.layout import NetworkLayout
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.errors import GridchainError
from node.keys import load_key

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]
LIARS = ("north1", "north2", "north3")
HONEST = "north4"
FINED = 90_000_000


@pytest.fixture(params=["money", pytest.param("root", marks=pytest.mark.soak)])
def layout(tmp_path: Path, request: pytest.FixtureRequest) -> NetworkLayout:
    found = region_network(
        tmp_path / "network", ShardSettings(regions=(), round_ms=3_000, region_views=6, lottery="hash")
    )
    for liar in LIARS:
        with (found.nodes[found.node(liar)].home / "config.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[dev]\ncollude_from = 2\ncollude_by = "{request.param}"\n')
    return found


def asked(world: ShardHosts, at: str, chain: str, view: tuple[str, str, list[Value]]) -> dict[str, Any]:
    """What a contract says at a host; nothing while that host opens its chains again."""
    try:
        found = world.hosts[at].chains[chain].query(*view)
    except (KeyError, GridchainError):
        return {}
    return found if isinstance(found, dict) else {}


def region(world: ShardHosts, at: str) -> dict[str, Any]:
    return {"seq": 0, "epoch": 1, **asked(world, at, GLOBAL, ("shards", "region", ["north"]))}


def epoch(world: ShardHosts, at: str) -> int:
    """Which of the region's chains a host has; 0 while it opens them again."""
    try:
        found = world.hosts[at].chains["north"].region_epoch
    except (KeyError, GridchainError):
        return 0
    return 0 if found is None else found.number


def balance(world: ShardHosts, at: str, account: bytes) -> int:
    return int(asked(world, at, "north", ("token", "account", [account])).get("balance", -1))


async def test_a_quorum_that_lies_is_corrected_and_fined(layout: NetworkLayout) -> None:
    world = ShardHosts(layout)
    treasury = world.key("trading_center")
    paid: list[int] = []

    async def deposit(through: str) -> None:
        amount = len(paid) + 1
        call = ("token", "deposit", [treasury.address, amount, f"bank {amount}"])
        await world.call(through, "north", treasury, call)
        paid.append(amount)

    async def busy_until(through: str, what: str, value: int) -> None:
        async with asyncio.timeout(150):
            while region(world, "bureau")[what] < value:
                with suppress(KeyError, TimeoutError):  # it opens again when the region begins anew
                    async with asyncio.timeout(15):
                        await deposit(through)
                await asyncio.sleep(1.0)

    try:
        await world.open(*CENTRES, *LIARS, HONEST)
        await busy_until("north1", "seq", 1)
        await busy_until("north1", "epoch", 2)
        names = (*CENTRES, *LIARS, HONEST)

        await world.until(lambda: all(epoch(world, name) == 2 for name in names), 90)
        people = world.hosts["grid"].chains[GLOBAL].query("shards", "people", [b"", 32])
        assert isinstance(people, list)
        keys = {voter.public_key: voter.name for voter in world.hosts["grid"].genesis.all_validators}
        assert {keys[one["key"]]: one["deposit"] for one in people if one["barred"] >= 0} == dict.fromkeys(LIARS, FINED)
        corrected = region(world, "bureau")["seq"]
        await deposit(HONEST)
        await world.until(lambda: region(world, "bureau")["seq"] > corrected, 90)
        await world.until(lambda: sum(paid) == balance(world, HONEST, treasury.address), 90)
        assert balance(world, "bureau", treasury.address) == sum(paid), "what was void was sent again, each once"
        for name in LIARS:
            accomplice = load_key(layout.nodes[layout.node(name)].home / "keys/account.key").address
            assert balance(world, HONEST, accomplice) == 0, "what was paid from nowhere is nowhere"
        assert not any(one.status().stopped_reason for host in world.hosts.values() for one in host.chains.values())
    finally:
        await world.close()
