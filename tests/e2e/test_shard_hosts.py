"""Two regions of four and four centres, every chain in every process that hosts it; one connection per pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession
from shard_hosts import CENTRES, ShardHosts, region_network

from deploy.layout import NetworkLayout
from ledger.chain_verify import verify_chain
from ledger.engine_settings import ShardSettings
from ledger.errors import ConfigError
from ledger.genesis import load_genesis
from ledger.shard_genesis import hosted_genesis
from ledger.store import open_store
from node.api.server import ApiServer
from node.client import Client, Refusal

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    sharding = ShardSettings((), lottery="hash")  # nobody searches tickets here
    return region_network(tmp_path / "network", sharding, regions=2)


async def traffic(world: ShardHosts, region: str, through: str, amount: int) -> None:
    """A deposit in a region and a proposal on the centres' chain, through one node of the region."""
    treasury, bureau = world.key("trading_center"), world.key("energy_bureau")
    reference = f"bank {region} {amount}"
    deposit = ("token", "deposit", [treasury.address, amount, reference])
    await world.call(through, region, treasury, deposit)
    await world.call(through, "global", bureau, ("governance", "propose_deployer", [treasury.address, False]))


async def test_all_chains_become_final_and_whoever_was_away_comes_back_on_both(layout: NetworkLayout) -> None:
    world = ShardHosts(layout)
    north, south = (tuple(f"{region}{i + 1}" for i in range(4)) for region in ("north", "south"))
    try:
        await world.open(*CENTRES, *north, *south)
        await traffic(world, "north", "north1", 1)
        await traffic(world, "south", "south2", 2)
        await settled(world)

        await world.close("north3")
        before = {chain: world.height("north1", chain) for chain in ("north", "global")}
        for amount in range(3, 6):
            await traffic(world, "north", "north2", amount)
        await settled(world)
        assert all(world.height("north1", chain) > height for chain, height in before.items())
        await world.open("north3")
        await settled(world)

        links = [host.network for host in world.hosts.values() if host.network is not None]
        await world.until(lambda: all(len(network.peers()) == 11 for network in links))  # one for every pair
        assert len(world.hosts["north1"].chains["north"].status().peers) == 7, "the region and the centres"
        await shows_its_chains(world)
        await follows_without_a_key(world)
        assert not any(node.status().stopped_reason for host in world.hosts.values() for node in host.chains.values())
    finally:
        await world.close()
    audited(layout, "bureau", "north")


async def settled(world: ShardHosts) -> None:
    """Every host has committed what was sent, on every chain that it hosts."""
    senders = {"global": "energy_bureau"}

    def behind() -> list[tuple[str, str, int, str]]:
        return [
            (at, name, node.chain.height, node.status().stopped_reason)
            for at, host in world.hosts.items()
            for name, node in host.chains.items()
            if node.nonces(world.key(senders.get(name, "trading_center")).address).lowest != world.sent(name)
        ]

    try:
        await world.until(lambda: not behind(), 60)
    except TimeoutError:
        heights = {at: {n: node.chain.height for n, node in host.chains.items()} for at, host in world.hosts.items()}
        pytest.fail(f"behind: {behind()}; heights: {heights}")
    roots: dict[tuple[str, int], bytes] = {}
    for host in world.hosts.values():
        for name, node in host.chains.items():
            head = node.chain.head
            assert roots.setdefault((name, head.height), head.state_root) == head.state_root


async def follows_without_a_key(world: ShardHosts) -> None:
    """A node without its key follows a region that is not its own, and no other chain."""
    await world.close("south4")
    await world.open("south4", validator_key=None, chains=("north",))
    await traffic(world, "north", "north1", 6)
    await settled(world)
    assert list(world.hosts["south4"].chains) == ["north"]
    assert not world.hosts["south4"].home.votes
    south = world.hosts["south1"].chains["south"]
    await world.until(lambda: len(south.status().peers) == 6)


async def shows_its_chains(world: ShardHosts) -> None:
    """The API of a region's member: its own chain without a name, any that it hosts by name."""
    host = world.hosts["south1"]
    async with (
        ApiServer.open(host.chains, host.config.api.model_copy(update={"port": 0})) as api,
        Client.open(f"http://127.0.0.1:{api.port}") as client,
        Client.open(f"http://127.0.0.1:{api.port}", chain="global") as centres,
        Client.open(f"http://127.0.0.1:{api.port}/v1/chains/north") as foreign,
        ClientSession() as session,
    ):
        status = await client.status()
        assert [(one.name, one.engine, one.votes) for one in status.chains] == [
            ("south", "region", True),
            ("global", "global", False),
        ]
        assert (status.chain, status.engine) == ("south", "region")
        assert status.network_id == world.layout.chain_id
        assert [one.name for one in await client.chains()] == ["south", "global"]
        assert (await centres.status()).chain == "global"
        assert (await centres.block(1)).header["chain_id"] == host.chains["global"].genesis.chain_id
        with pytest.raises(Refusal) as refused:
            await foreign.status()
        assert refused.value.code == "UNKNOWN_CHAIN"
        metrics = await client.metrics()
        for chain in ("south", "global"):
            assert f'gridchain_height{{chain="{chain}"}} ' in metrics
        assert metrics.count("# TYPE gridchain_height ") == 1
        async with session.get(f"http://127.0.0.1:{api.port}/v1/openapi.json") as answer:
            paths = (await answer.json())["paths"]
        assert {"/v1/chains", "/v1/status", "/v1/chains/{chain}/status"} <= set(paths)


def audited(layout: NetworkLayout, name: str, chain: str) -> None:
    """A centre's replica of a region, read from its files: every certificate and root from genesis to the head."""
    node = layout.nodes[layout.node(name)]
    genesis = hosted_genesis(load_genesis(node.home / "genesis.json"), chain)
    store = open_store(node.home / "data" / chain, "auto")
    try:
        report = verify_chain(store, genesis.summary)
        assert report.fault is None
        assert report.transactions == 5
    finally:
        store.close()


async def test_a_voter_that_wants_other_chains_is_refused_and_told_which(layout: NetworkLayout) -> None:
    world = ShardHosts(layout)
    with pytest.raises(ConfigError) as refused:
        await world.open("north1", chains=("south",))
    assert refused.value.code == "CHAINS"
    assert "north, global" in str(refused.value.expected)
