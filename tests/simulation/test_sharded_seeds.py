"""A sharded network in the simulator: swarm seeds, each liar, partitions; what they cost and whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consensus.sharded.discipline import Offence
from consensus.simulator import SeedOptions, SimulationOptions, run_seed, simulate
from consensus.simulator.options import SHARD_ADVERSARIES, draw
from consensus.simulator.sharded import ShardedWorld
from ledger.errors import ConfigError

SECONDS = 5


def played(adversary: str, seed: int = 1, seconds: int = SECONDS, byzantine: int = 0) -> ShardedWorld:
    """A network after some seconds without other faults, and the quiet phase. `byzantine`: liars within each chain."""
    kind = SeedOptions(seed, engine="sharded", nodes=16, seconds_ms=seconds * 1_000, adversary=adversary)
    world = ShardedWorld(replace(kind, byzantine=byzantine))
    world.begin()
    while world.step(seconds * 1_000):
        pass
    stalled, _ = world.quiet_phase()
    assert (world.violations(), stalled) == ((), "")
    return world


def offences(world: ShardedWorld) -> set[tuple[bytes, str]]:
    """Who was punished for what."""
    return {(fined.member, fined.offence) for outcome in world.finals for fined in outcome.fined}


def test_swarm() -> None:
    """Faults of every class in every chain and between them; conservation and inboxes checked at each global block."""
    report = simulate(SimulationOptions(engine="sharded", nodes=16, seeds=3, seconds=SECONDS))
    assert report.violations == ()
    assert (report.forks, report.stalls) == (0, 0)
    assert report.minimum_blocks >= 10


def test_one_region_is_a_network_too() -> None:
    report = simulate(SimulationOptions(engine="sharded", nodes=8, seeds=2, seconds=SECONDS, faults="none"))
    assert report.violations == ()


@pytest.mark.soak
@pytest.mark.parametrize("adversary", ["", *SHARD_ADVERSARIES])
def test_swarm_long(adversary: str) -> None:
    report = simulate(SimulationOptions(engine="sharded", nodes=16, seeds=10, seconds=12, adversary=adversary))
    assert report.violations == ()


def test_same_seed_same_trace() -> None:
    options = draw(SimulationOptions(engine="sharded", nodes=8, seconds=3), 5)
    first, second = run_seed(options), run_seed(options)
    assert first == second
    assert SeedOptions.parse(options.text()) == options


def test_regions_trade_with_each_other() -> None:
    world = played("")
    assert len(world.checks.ended) > 10
    assert offences(world) == set()
    paid = world.finals[-1].state
    taken = [one for outcome in world.finals for one in outcome.withdrawn]
    assert paid.pool + sum(paid.rewards.values()) + sum(one.money for one in taken) > 0
    for region in world.regions:
        assert len(world.checks.inboxes[region.name]) > 3
    assert any(view.position.inbox_count > 0 for view in paid.regions)


@pytest.mark.parametrize("adversary", ["lying-agent", "forged-certificate"])
def test_an_agent_that_lies_is_fined_alone_and_others_publish(adversary: str) -> None:
    world = played(adversary)
    liars = {region.order[0] for region in world.regions}
    assert offences(world) == {(liar, Offence.LYING.value) for liar in liars}
    assert all(view.position.seq >= 5 for view in world.finals[-1].state.regions)


def test_who_votes_twice_in_a_region_loses_deposit_and_seat_and_centres_take_their_part_home() -> None:
    """Whoever holds the evidence brings it; the others go on without the guilty, on a chain of their own."""
    world = played("equivocator", seconds=8, byzantine=1)
    liars = {node.key for region in world.past for node in region.nodes if not node.honest}
    state = world.finals[-1].state
    assert len(liars) == len(world.regions)
    assert offences(world) == {(liar, Offence.DOUBLE_VOTE.value) for liar in liars}
    assert state.removed == liars
    assert {state.deposits[liar] for liar in liars} == {0}
    assert {one.reason for outcome in world.finals for one in outcome.epochs} == {"two votes"}
    assert [len(region.nodes) for region in world.regions] == [3] * len(world.regions)
    taken = [one for outcome in world.finals for one in outcome.withdrawn]
    assert taken
    assert {one.member for one in taken} <= {node.key for node in world.centres.nodes}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(7_000, 7_040))
def test_whatever_else_happens_who_votes_twice_in_a_region_is_convicted(seed: int) -> None:
    print("seed", seed)
    world = ShardedWorld(draw(SimulationOptions(engine="sharded", nodes=16, seconds=10, adversary="equivocator"), seed))
    world.begin()
    while world.step(10_000):
        pass
    assert (world.quiet_phase()[0], world.violations()) == ("", ())
    liars = {node.key for region in (*world.past, *world.regions) for node in region.nodes if not node.honest}
    assert world.finals[-1].state.removed == liars
    assert {member for member, _ in offences(world)} == liars


@pytest.mark.parametrize("adversary", ["withholding-agent", "two-publishers", "inbox-replayer"])
def test_what_an_agent_may_do_unpunished_harms_nobody(adversary: str) -> None:
    """Nobody is fined for two publications of one record either: it is entered once, and is no W4."""
    world = played(adversary)
    assert offences(world) == set()
    assert all(view.position.seq >= 5 for view in world.finals[-1].state.regions)
    entered = [name for outcome in world.finals for name in outcome.entered]
    assert len(entered) == len(set(entered))
    refused = sum(len(region.auditor.complained) for region in world.regions)
    assert (refused > 0) == (adversary == "inbox-replayer")


def test_a_silent_centre_only_delays() -> None:
    """The records that it was assigned are executed by everybody after T."""
    world = played("silent-centre")
    silent = world.centres.nodes[0].key
    state = world.finals[-1].state
    assert state.accuracy_of(silent) < 1_000_000
    assert all(state.accuracy_of(node.key) > state.accuracy_of(silent) for node in world.centres.nodes[1:])
    assert all(view.position.seq >= 4 for view in state.regions)


def test_a_region_that_was_cut_off_catches_up() -> None:
    """Meanwhile the others go on; its records come in order and are all confirmed, and it is cleared again."""
    world = played("region-partition", seconds=12)
    stale = [
        outcome.state.height
        for outcome in world.finals
        if outcome.state.regions[0].standing(world.centres.rules, outcome.state.round)
    ]
    assert stale
    others = [view.position.seq for view in world.finals[-1].state.regions[1:]]
    assert world.finals[stale[-1]].state.regions[1].position.seq > world.finals[stale[0]].state.regions[1].position.seq
    assert world.finals[-1].state.regions[0].position.seq >= min(others) - 3
    assert offences(world) == set()


def test_a_network_that_there_is_not() -> None:
    for nodes in (4, 7, 17):
        with pytest.raises(ConfigError):
            SimulationOptions(engine="sharded", nodes=nodes)
    with pytest.raises(ConfigError):
        SimulationOptions(engine="bft", nodes=4, adversary="lying-agent")
