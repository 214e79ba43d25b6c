"""Market D's consensus as published, kept to show what it allows: settled blocks that are undone, hash power that wins
every lottery. The same partitions leave `sharded` whole."""

from __future__ import annotations

import pytest

from consensus import make_engine
from consensus.parameters import EngineParameters
from consensus.published_heaviest import HeaviestChain, MinedBlock
from consensus.simulator import SeedOptions, SimulationOptions, run_seed, simulate
from consensus.simulator.published_sharding import PublishedSharding
from ledger.crypto import ZERO_HASH, Hash, sha256
from ledger.errors import ConfigError, GenesisError


def mined(parent: Hash, height: int, by: bytes, found: int = 0) -> MinedBlock:
    """A block of shard s0."""
    return MinedBlock("s0", height, parent, sha256(by), found)


def test_the_heavier_chain_undoes_the_other_and_the_first_of_equals_stays() -> None:
    chain = HeaviestChain()
    a1, b1 = mined(ZERO_HASH, 1, b"a"), mined(ZERO_HASH, 1, b"b")
    a2, b2 = mined(a1.hash, 2, b"a"), mined(b1.hash, 2, b"b")
    b3 = mined(b2.hash, 3, b"b")
    for block in (a1, a2, b1, b2):
        assert chain.add(block) is None
    assert (chain.head, chain.undone) == (a2.hash, 0)
    chain.add(b3)
    assert (chain.head, chain.undone) == (b3.hash, 2)
    assert [chain.at(height) for height in (0, 1, 2, 3, 4)] == [None, b1.hash, b2.hash, b3.hash, None]


def test_orphans_wait_for_their_parents_and_heights_are_checked() -> None:
    chain = HeaviestChain()
    first = mined(ZERO_HASH, 1, b"a")
    second = mined(first.hash, 2, b"a")
    assert chain.add(second) == first.hash
    assert chain.add(second) == first.hash
    assert chain.add(first) is None
    assert chain.head == second.hash
    chain.add(mined(second.hash, 9, b"liar"))
    assert chain.height == 2


def test_partitions_undo_what_was_settled_and_sharded_stays_whole() -> None:
    """No member lies. The paper's records are settled an epoch after they enter; a shard cut in halves makes two."""
    forks = 0
    for seed in range(3):
        cut = {"seed": seed, "nodes": 16, "seconds_ms": 12_000, "partition_ms": 3_000}
        paper = run_seed(SeedOptions(engine="sharded-paper", **cut))  # type: ignore[arg-type]  # options by name
        forks += paper.forks
    assert forks > 0
    safe = run_seed(SeedOptions(0, engine="sharded", nodes=16, seconds_ms=6_000, partition_ms=3_000))
    assert safe.good, safe.text()


def test_same_seed_same_trace() -> None:
    options = SimulationOptions(engine="sharded-paper", nodes=16, seeds=2, seconds=10)
    assert simulate(options) == simulate(options)


def test_one_fast_member_wins_the_lottery() -> None:
    """Nine tenths of the hash power make about nine tenths of the chain."""
    world = PublishedSharding(SeedOptions(1, engine="sharded-paper", nodes=8), powers=(27, 1, 1, 1))
    world.begin()
    while world.step(120_000):
        pass
    fast, *others = world.shards[0]
    chain = fast.chain
    won = sum(chain.blocks[found].miner == fast.key for at in range(1, chain.height + 1) if (found := chain.at(at)))
    assert chain.height > 100
    assert 80 * chain.height < 100 * won
    assert {other.chain.height for other in others} <= {chain.height - 1, chain.height}


def test_a_node_refuses_it() -> None:
    with pytest.raises(GenesisError):
        make_engine("sharded-paper", EngineParameters(), None, "c")
    with pytest.raises(ConfigError):
        SimulationOptions(engine="sharded-paper", nodes=16, adversary="lying-agent")
