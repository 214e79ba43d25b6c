"""The regional lottery on real hosts: members search for tickets by work, and these order who leads the next epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
from shard_hosts import ShardHosts, region_network

from consensus.sharded.lottery import LotteryRules, LotteryState, epoch_begins, next_order, take_tickets
from ledger.crypto import Hash
from ledger.engine_settings import ShardSettings
from ledger.objects import Header
from node.node import Node
from node.shards.region_state import read_extra

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]
NORTH = ("north1", "north2", "north3", "north4")
EPOCHS = 3


async def test_tickets_found_by_work_order_the_next_epochs_leaders(tmp_path: Path) -> None:
    settings = ShardSettings((), round_ms=1_000, lottery="work", region_views=16)
    world = ShardHosts(region_network(tmp_path / "network", settings))
    await world.open(*NORTH)
    leaders: dict[int, tuple[int, ...]] = {}

    def note() -> bool:
        """Keep the turns of each epoch."""
        for name in NORTH:
            start = chain(world, name).stand.parts.commits.epoch
            leaders[start.epoch] = start.leaders
        return max(leaders) > EPOCHS

    try:
        key, sent = world.key("trading_center"), 0
        while not note():
            sent += 1
            await world.call("north1", "north", key, ("token", "deposit", [key.address, sent, f"bank {sent}"]))
            height = world.height("north1", "north")
            await world.until(lambda height=height: note() or world.height("north1", "north") > height)  # type: ignore[misc]  # a loop's own height
        home = chain(world, "north1")
        members = tuple(one.public_key for one in home.genesis.validator_set.validators)
        rules = LotteryRules(home.genesis.chain_id, "north", members)
        drawn = replayed(home, rules)
        for epoch in range(2, EPOCHS + 1):
            assert leaders[epoch] == tuple(map(members.index, next_order(rules, drawn[epoch - 1])))
            for header in headers(home, epoch):
                assert header.proposer == members[leaders[epoch][(header.view - 1) % 4]]
        found = [len(drawn[epoch].tickets) for epoch in range(1, EPOCHS + 1)]
        assert min(found) >= 1, found
        assert max(found) >= 3, found
        assert {ticket.member for state in drawn.values() for ticket in state.tickets} == set(members)
        assert len({leaders[epoch] for epoch in range(1, EPOCHS + 1)}) > 1, "tickets change the order"
    finally:
        await world.close()


def chain(world: ShardHosts, name: str) -> Node:
    """The region's chain at a host."""
    return world.hosts[name].chains["north"]


def headers(node: Node, epoch: int) -> list[Header]:
    """The committed blocks of an epoch."""
    every = [node.chain.header(height) for height in range(1, node.chain.height + 1)]
    return [header for header in every if header is not None and header.epoch == epoch]


def replayed(node: Node, rules: LotteryRules) -> dict[int, LotteryState]:
    """The lottery at the end of each epoch, from the blocks alone."""
    state, ended = LotteryState(), {}
    for height in range(1, node.chain.height + 1):
        block = node.chain.block(height)
        assert block is not None
        if block.header.epoch != state.epoch:
            state = epoch_begins(rules, state, block.header.epoch, Hash(block.header.parent))
        extra = read_extra(block.body.extra)
        if extra is not None:
            after = take_tickets(rules, state, extra.tickets)
            assert not isinstance(after, str), after
            state = after
        ended[block.header.epoch] = state
    return ended
