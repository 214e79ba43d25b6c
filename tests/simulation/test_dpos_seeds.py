"""The `dpos` engine in the simulator: faults, liars, elections that bar them, councils equal after sync (C.3 L8)."""

from __future__ import annotations

import pytest

from consensus.council import Cause
from consensus.simulator import SeedOptions, SimulationOptions, run_seed, simulate
from consensus.simulator.electing import head_of
from consensus.simulator.node import SimNode
from consensus.simulator.options import ADVERSARIES, COUNCIL_ADVERSARIES
from consensus.simulator.world import World


@pytest.mark.parametrize(("nodes", "seeds"), [(4, 6), (5, 4), (10, 2)])
def test_swarm(nodes: int, seeds: int) -> None:
    report = simulate(SimulationOptions(engine="dpos", nodes=nodes, seeds=seeds, seconds=8))
    assert report.violations == ()
    assert (report.forks, report.stalls) == (0, 0)
    assert report.minimum_blocks >= 10


@pytest.mark.parametrize("adversary", ADVERSARIES + COUNCIL_ADVERSARIES)
def test_one_liar_of_five_changes_nothing(adversary: str) -> None:
    report = simulate(SimulationOptions(engine="dpos", nodes=5, seeds=1, seconds=8, adversary=adversary))
    assert report.violations == ()


def played(seconds: int, **fields: object) -> World:
    world = World(SeedOptions(1, engine="dpos", **fields))  # type: ignore[arg-type]  # fields of the options
    world.begin()
    while world.step(1_000 * seconds):
        pass
    assert world.auditor.violations == []
    return world


def queue_of(node: SimNode) -> list[bytes]:
    return [member.public_key for member in head_of(node.application.head).council.queue]


def test_same_seed_same_trace() -> None:
    options = SeedOptions(3, engine="dpos", nodes=5, seconds_ms=5_000, adversary="wrong-route", byzantine=1)
    assert SeedOptions.parse(options.text()) == options
    assert run_seed(options) == run_seed(options)


def test_a_wrong_route_hash_is_no_block_and_bars_from_three_elections() -> None:
    """Members answer INVALID; more than F of them make a report; the leader misses three elections and comes back."""
    world = World(SeedOptions(1, engine="dpos", nodes=8, adversary="wrong-route", byzantine=1))
    world.begin()
    liar, witness = world.nodes[0].key, world.nodes[5]
    in_council: dict[int, bool] = {}
    while world.step(24_000):
        in_council[head_of(witness.application.head).council.epoch] = liar in queue_of(witness)
    assert world.auditor.violations == []
    shown = "".join("x" if in_council[epoch] else "-" for epoch in sorted(in_council))
    assert "x---x" in shown, shown
    assert "xx" not in shown, shown


def test_who_never_shows_the_state_is_elected_only_by_the_genesis() -> None:
    world = played(12, nodes=9, adversary="unready", byzantine=1)
    council = head_of(world.nodes[5].application.head).council
    assert council.epoch >= 3
    floor = world.elections.shared.rules.floor_set if world.elections is not None else ()
    stranger = world.nodes[0].key
    assert stranger not in queue_of(world.nodes[5]) or stranger in floor


def test_who_signs_twice_is_barred_for_good() -> None:
    """Evidence of two votes goes into a block; the signer is in no later council while enough others are eligible."""
    world = played(16, nodes=9, adversary="equivocator", byzantine=1)
    council = head_of(world.nodes[5].application.head).council
    liar = world.nodes[0].key
    assert (liar, Cause.EQUIVOCATION, 0) in {(bar.member, bar.cause, bar.left) for bar in council.bars}
    assert council.epoch >= 3
    assert liar not in queue_of(world.nodes[5])


def test_a_node_that_was_away_has_the_same_bars_after_sync() -> None:
    """Bars come from headers and transactions: who did not see the views nullified still finds them."""
    world = World(SeedOptions(2, engine="dpos", nodes=7, drop_ppm=100_000, jitter_ms=60))
    world.begin()
    away, witness = world.nodes[6], world.nodes[0]
    world.stop(away)
    seen: dict[int, bytes] = {}
    barred: set[bytes] = set()

    def note(until: int) -> None:
        while world.step(until):
            head = witness.application.head
            seen[head.header.height] = head_of(head).encoded()
            barred.update(head_of(head).council.barred())

    note(20_000)
    behind = away.chain[-1].header.height
    world.quiet()
    note(24_000)
    assert world.auditor.violations == []
    head = away.application.head
    assert head.header.height > behind + 20
    assert head_of(head).encoded() == seen[head.header.height]
    assert barred, "turns were lost meanwhile"


def test_all_are_barred_and_the_council_goes_on() -> None:
    """A network in which every leader loses turns: the floor keeps a council, the chain goes on."""
    world = World(SeedOptions(4, engine="dpos", nodes=6, drop_ppm=300_000, jitter_ms=300))
    world.begin()
    least, barred = 6, set[bytes]()
    while world.step(25_000):
        council = head_of(world.nodes[0].application.head).council
        least = min(least, len(council.queue))
        barred |= council.barred()
    assert world.auditor.violations == []
    assert barred == {node.key for node in world.nodes}
    assert 4 <= least < 6
    assert head_of(world.nodes[0].application.head).council.epoch >= 4
