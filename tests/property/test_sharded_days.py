"""Random days of three regions and their centres in memory: nothing is made or lost, every item comes home once."""

from __future__ import annotations

import random

import pytest
from sharded_chains import MONEY, ShardedWorld, network_genesis, user

from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL
from node.shards.inbox_log import inbox_length


def something(world: ShardedWorld, dice: random.Random) -> None:
    """A household orders or pays, a region is cut off or joined again, a process starts anew."""
    place = dice.randrange(3)
    region, key = world.regions[place], user(place, dice.randrange(2))
    chance = dice.random()
    if chance < 0.5:
        side, wh, limit = dice.choice((1, 2)), dice.randrange(1, 5_000), dice.randrange(100_000, 900_000)
        world.send(region, key, "crossing", "order", side, wh, limit, dice.choice((2, 8, 15)))
    elif chance < 0.7:
        world.send(region, key, "crossing", "pay", address_of(user(place, 0).public), dice.randrange(1_000))
    elif chance < 0.75:
        world.cut = set() if world.cut else {region}
        for chain in (GLOBAL, *world.regions):
            world.follow(chain)
    elif chance < 0.8:
        group = world.members[region] if dice.random() < 0.5 else world.centres
        group[1] = group[1].restarted()


@pytest.mark.parametrize(("seed", "audit"), [(1, "eager"), (2, "next_round")])
def test_a_random_day_makes_and_loses_nothing(seed: int, audit: str) -> None:
    print(f"seed {seed}")
    dice = random.Random(seed)
    world = ShardedWorld(network_genesis(audit=audit, fee=50_000))
    for _ in range(50):
        something(world, dice)
        world.step(dice.randrange(50, 600))
    world.cut = set()
    for chain in (GLOBAL, *world.regions):
        world.follow(chain)
    for _ in range(80):
        world.step(500)
    state = world.state
    assert not state.locks, "all have expired at the latest"
    for place, view in enumerate(state.regions):
        hosted = world.head(view.name)
        sent = inbox_length(world.head(GLOBAL).chain.state(), view.name)
        assert hosted.query("crossing", "position")[1] == view.position.inbox_count == sent
        owned = [hosted.query("crossing", "balance", address_of(user(place, n).public)) for n in range(2)]
        assert [sum(owned), 0] == [hosted.query("crossing", "totals")[0], 0]
        assert all(one.ok for one in world.receipts.values() if one.entry == "consume")
    total = sum(view.position.money for view in state.regions)
    assert total + state.pool + sum(state.rewards.values()) == 3 * 2 * MONEY
    assert sum(view.position.wh for view in state.regions) == 0
    heads = {process.chains[GLOBAL].chain.head_hash for process in [*world.centres, *world.members["ra"]]}
    assert len(heads) == 1
