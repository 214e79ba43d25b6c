"""Long stories from the list of known failures (consensus E), in virtual time."""

from __future__ import annotations

import pytest

from consensus.simulator.options import SeedOptions
from consensus.simulator.world import World
from ledger.crypto import Hash

HOUR_MS = 3_600_000


def world(**fields: object) -> World:
    made = World(SeedOptions(1, **fields))  # type: ignore[arg-type]  # fields of the options
    made.begin()
    return made


def run(made: World, until: int) -> None:
    while made.step(until):
        pass
    assert made.auditor.violations == []


def heights(made: World) -> list[int]:
    return [node.chain[-1].header.height for node in made.nodes]


@pytest.mark.parametrize("hours", [2, pytest.param(24, marks=pytest.mark.soak)])
def test_an_idle_chain_makes_only_heartbeats_and_due_calls(hours: int) -> None:
    """Failure 22: clocks apart by up to 250 ms, a call every ten minutes: no view is ever nullified."""
    made = world(idle=True, skew_ms=250, due_every_ms=600_000, delay_ms=40)
    run(made, hours * HOUR_MS)
    assert made.auditor.nullified == set()
    height = max(heights(made))
    assert hours * 119 <= height <= hours * 126 + 2
    messages = made.events / 4 / (hours * 3_600)
    assert messages < 12, f"{messages} events a second and node"


def test_two_of_four_away_for_half_an_hour() -> None:
    """Failure 9: limits on time refused everything after a pause; here ten views are enough."""
    made = world(load_ms=30_000, power_cuts=0)
    run(made, 10_000)
    for node in made.nodes[2:]:
        made.stop(node)
    run(made, 10_000 + HOUR_MS // 2)
    before = max(heights(made))
    view = max(node.core.state.view for node in made.nodes if node.core is not None)
    for node in made.nodes[2:]:
        made.revive(node)
    run(made, made.now + 2_000)
    assert min(heights(made)) > before
    assert max(node.core.state.view for node in made.nodes if node.core is not None) <= view + 10


@pytest.mark.parametrize(("nodes", "left"), [(4, 2), pytest.param(7, 4, marks=pytest.mark.soak)])
def test_an_hour_without_quorum_and_two_seconds_to_recover(nodes: int, left: int) -> None:
    """Failure 10: nobody can advance without a quorum, so nobody's timers grow."""
    made = world(load_ms=600_000, nodes=nodes)
    run(made, 5_000)
    for node in made.nodes[left:]:
        made.stop(node)
    run(made, HOUR_MS)
    assert all(node.core.state.nullified <= 1 for node in made.nodes if node.core is not None)
    before = max(heights(made))
    for node in made.nodes[left:]:
        made.revive(node)
    run(made, made.now + 2_000)
    assert min(heights(made)) > before


def test_everybody_restarts_right_after_a_notarization() -> None:
    """A body behind a notarization is on enough disks: the chain goes on with that very block (commonware#4157)."""
    made = world(load_ms=100, interval_ms=50, delay_ms=15)
    run(made, 3_000)
    for round_ in range(1, 30):
        waiting = [node for node in made.nodes if node.core is not None and node.core.state.notarizations]
        if len(waiting) >= 2:
            for node in made.nodes:
                made.stop(node)
            for node in made.nodes:
                made.at(200, made.revive, node)
        run(made, 3_000 + round_ * 611)
    before = min(heights(made))
    run(made, made.now + 3_000)
    assert min(heights(made)) > before


def test_f_plus_one_wiped_disks_stop_the_chain_and_never_fork_it() -> None:
    """Failure 20: fresh disks of too many. They stay held, so nothing contradicts what they signed before."""
    made = world(load_ms=200)
    run(made, 5_000)
    for node in made.nodes[2:]:
        made.stop(node)
        node.wipe()
        made.revive(node)
    run(made, 60_000)
    held = [node.core.state.hold is not None for node in made.nodes if node.core is not None]
    assert held == [False, False, True, True]
    assert len(set(made.auditor.chain.values())) == len(made.auditor.chain)


def stopped_by_wiped_disks() -> World:
    """n - q + 1 of four have fresh disks; they have the chain again, and observe for ever."""
    made = world(load_ms=200)
    run(made, 5_000)
    for node in made.nodes[2:]:
        made.stop(node)
        node.wipe()
        made.revive(node)
    run(made, 20_000)
    assert len(set(heights(made))) == 1
    return made


def restart(made: World, view: int, head: bytes) -> None:
    """Operators stop every node, put their certificate beside its log, and start it again."""
    for node in made.nodes:
        made.stop(node)
        node.restart = (view, Hash(head))
    for node in made.nodes:
        made.revive(node)


def highest_view(made: World) -> int:
    return max(node.core.state.view for node in made.nodes if node.core is not None)


def test_after_a_restart_by_the_operators_the_chain_goes_on() -> None:
    """Failure 20, and the way out: a quorum of keys has signed the head and a view that nobody has voted above."""
    made = stopped_by_wiped_disks()
    before, view, head = heights(made), highest_view(made), made.nodes[0].chain[-1]
    restart(made, view, head.hash)
    made.auditor.nullified |= {(head.header.epoch, passed) for passed in range(head.header.view + 1, view + 1)}
    run(made, 32_000)
    assert min(heights(made)) >= before[0] + 10
    assert [node.core.state.hold for node in made.nodes if node.core is not None] == [None] * 4
    assert len(set(made.auditor.chain.values())) == len(made.auditor.chain)
    assert all(not node.log.held for node in made.nodes)


def test_a_restart_for_another_head_moves_nobody() -> None:
    made = stopped_by_wiped_disks()
    before, view = heights(made), highest_view(made)
    restart(made, view, made.nodes[0].chain[-2].hash)
    run(made, 32_000)
    assert heights(made) == before


def test_a_restart_is_of_no_use_to_one_alone() -> None:
    """Who did not get it stays held, and three are needed."""
    made = stopped_by_wiped_disks()
    before, view, head = heights(made), highest_view(made), made.nodes[0].chain[-1]
    for node in made.nodes[:1]:
        made.stop(node)
        node.restart = (view, head.hash)
        made.revive(node)
    run(made, 32_000)
    assert heights(made) == before
