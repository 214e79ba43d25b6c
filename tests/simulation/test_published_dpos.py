"""The published consensus of market C forks in a partition without anybody lying; the engine of nodes does not.

Fifty agents, two halves of 25, and one agent that hears late. The first producer's block reaches everybody, then the
halves part: the half that the producer is not in counts 25 yes votes, the half of fifty that the publication asks for,
and its block stands. One of its members, deaf for that second, has heard too few; it joins the other half, whose next
producer's block gets 25 yes votes too. The same cuts at the same times leave the quorum of 34 without a block.
"""

from __future__ import annotations

import pytest

from consensus.published_dpos import BAR_ELECTIONS, Lot
from consensus.simulator import SeedOptions, SimulationOptions, run_seed, simulate
from consensus.simulator.world import World

AGENTS = 50
BLOCK_SENT, TURN_OVER, HEALED = 280, 800, 3_000
"""Cuts, in ms: the first block is on its way, votes are not; before the second turn begins; the end."""


def halves(world: World) -> tuple[list[int], list[int]]:
    """Positions of nodes: the half of the first two producers, and the other."""
    order = [member.public_key for member in world.committee(1).validators]
    place = {node.key: node.index for node in world.nodes}
    return [place[key] for key in order[: AGENTS // 2]], [place[key] for key in order[AGENTS // 2 :]]


def parted(left: list[int], right: list[int], deaf: int | None = None) -> set[tuple[int, int]]:
    """Both directions between two sides; nobody is heard by `deaf`."""
    cut = {(a, b) for a in left for b in right} | {(b, a) for a in left for b in right}
    return cut if deaf is None else cut | {(other, deaf) for other in (*left, *right)}


def cut_in_halves(engine: str) -> World:
    options = SeedOptions(1, engine=engine, nodes=AGENTS, delay_ms=50, jitter_ms=1, compact=False, load_ms=400)
    world = World(options)
    world.begin()
    first, second = halves(world)
    late = second[0]

    def block(pairs: set[tuple[int, int]]) -> None:
        world.network.blocked = pairs

    world.at(BLOCK_SENT, block, parted(first, second, deaf=late))
    world.at(TURN_OVER, block, parted([*first, late], second[1:]))
    world.at(HEALED, block, set())
    while world.step(HEALED):
        pass
    return world


def test_the_published_rules_fork_between_two_halves() -> None:
    world = cut_in_halves("dpos-paper")
    assert [violation.invariant for violation in world.auditor.violations][:1] == ["I1"]
    first, second = halves(world)
    blocks = [node.chain[1].hash for node in world.nodes]
    stands = {blocks[index] for index in second[1:]}
    other = {blocks[index] for index in (*first, second[0])}
    assert len(stands) == len(other) == 1
    assert stands != other
    assert all(node.honest for node in world.nodes)


def test_a_plain_partition_into_halves_stops_the_published_rules() -> None:
    """24 yes votes, for the producer has none, and no digest of more than half: standing halves fork nothing."""
    world = World(SeedOptions(1, engine="dpos-paper", nodes=AGENTS, delay_ms=50, jitter_ms=1, compact=False))
    world.begin()
    first, second = halves(world)
    world.network.blocked = parted(first, second)
    while world.step(4_000):
        pass
    assert world.auditor.violations == []
    assert {len(node.chain) for node in world.nodes} == {1}


def test_the_same_cuts_do_not_fork_the_quorum_and_it_goes_on_when_they_heal() -> None:
    world = cut_in_halves("dpos")
    assert world.auditor.violations == []
    assert {len(node.chain) for node in world.nodes} == {1}, "25 of 50 decide nothing"
    while world.step(HEALED + 2_500):
        pass
    assert world.auditor.violations == []
    assert min(len(node.chain) for node in world.nodes) > 2


def test_without_faults_it_agrees() -> None:
    report = simulate(SimulationOptions(engine="dpos-paper", nodes=6, seeds=2, seconds=5, faults="none"))
    assert report.violations == ()
    assert report.minimum_blocks >= 10


def test_same_seed_same_trace() -> None:
    options = SeedOptions(3, engine="dpos-paper", nodes=5, seconds_ms=4_000, drop_ppm=50_000, compact=False)
    assert run_seed(options) == run_seed(options)


def test_a_refusal_bars_from_three_elections_and_all_barred_is_the_end() -> None:
    agents = tuple(bytes([65 + number]) for number in range(3))
    lot = Lot(agents, agents).refused({}).accepted({}).accepted({})
    assert lot.queue == agents[1:], "a new election without the barred one"
    for left in range(BAR_ELECTIONS - 1, 0, -1):
        assert dict(lot.bars) == {agents[0]: left}
        lot = lot.accepted({}).accepted({})
    assert (lot.queue, lot.bars) == (agents[1:], ())
    assert lot.accepted({}).accepted({}).queue == agents
    assert Lot(agents, agents).refused({}).refused({}).refused({}).queue == ()


@pytest.mark.parametrize("scores", [{}, {b"C": 9}])
def test_an_election_goes_by_score(scores: dict[bytes, int]) -> None:
    agents = (b"A", b"B", b"C")
    queue = Lot(agents, (b"A",)).accepted(scores).queue
    assert queue == (agents if not scores else (b"C", b"A", b"B"))
