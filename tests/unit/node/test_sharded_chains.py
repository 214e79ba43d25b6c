"""A day of a sharded network's chains in memory: trades across regions, lies, cuts, restarts."""

from __future__ import annotations

from sharded_chains import MONEY, ShardedWorld, user

from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL


def trade(world: ShardedWorld) -> None:
    """A household of the first region wants 2,000 Wh that one of the second has."""
    world.send("ra", user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    world.send("rb", user(1), "crossing", "order", 2, 2_000, 300_000, 100)


def test_a_trade_across_regions_settles_on_both_sides() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    world.run(6_000)
    buyer, seller = address_of(user(0).public), address_of(user(1).public)
    paid = 2_000 * 400_000 // 1_000
    fee = paid // 1_000
    assert world.head("ra").query("crossing", "stored", buyer) == 2_000
    assert world.head("ra").query("crossing", "balance", buyer) == MONEY - paid
    assert world.head("rb").query("crossing", "balance", seller) == MONEY + paid - fee
    state = world.state
    assert not state.locks
    assert state.pool == fee
    assert [(view.position.wh, len(view.inbox)) for view in state.regions] == [(2_000, 0), (-2_000, 0), (0, 0)]
    assert world.head(GLOBAL).query("shards", "pool") == fee
