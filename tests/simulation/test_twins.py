"""Twins in numbered scenarios: all of them are listed once, none breaks the core, and each removed rule shows."""

from __future__ import annotations

import time
from itertools import permutations, product

import pytest

from consensus.messages import Message, Proposal
from consensus.simulator.node import SimNode
from consensus.simulator.twins import (
    CODES,
    NODES,
    SPELL_MS,
    Round,
    TwinsWorld,
    chosen,
    options_of,
    run_scenario,
    scenario_of,
    scenarios,
    view_of,
)
from ledger.crypto import Hash
from ledger.errors import ConfigError
from ledger.objects import header_hash

SEED = int(time.time())
SPREAD = chosen(80, 0, 0)
SAMPLED = tuple(one for one in chosen(80, 50, SEED) if one not in SPREAD)


def renamings() -> list[dict[int, int]]:
    """Honest members among themselves, and one twin for the other: written apart from the module's own."""
    return [
        {0: first, 4: 4 - first, **dict(zip((1, 2, 3), honest, strict=True))}
        for first, honest in product((0, 4), permutations((1, 2, 3)))
    ]


def renamed(one: Round, names: dict[int, int]) -> tuple[int, frozenset[frozenset[int]]]:
    sides = (one.others, frozenset(range(NODES)) - one.others)
    leader = 0 if one.leader == 0 else names[one.leader]
    return leader, frozenset(frozenset(names[node] for node in side) for side in sides if side)


def test_every_scenario_is_listed_once_up_to_names() -> None:
    """The number of orbits by Burnside's lemma for three rounds; for two, each orbit met exactly once."""
    plain = {code: renamed(Round.of(code), {node: node for node in range(NODES)}) for code in range(CODES)}
    assert len(set(plain.values())) == CODES == 4 * 16
    fixed = [sum(renamed(Round.of(code), names) == plain[code] for code in range(CODES)) for names in renamings()]
    for rounds, count in ((1, 15), (2, 510), (3, 25_740)):
        assert sum(found**rounds for found in fixed) == count * len(fixed)
        assert sum(1 for _ in scenarios(rounds)) == count
    met = set()
    for scenario in scenarios(2):
        orbit = frozenset(tuple(renamed(one, names) for one in scenario.rounds) for names in renamings())
        assert orbit not in met
        met.add(orbit)
    assert len(met) == 510


def test_scenarios_have_numbers_and_lines() -> None:
    assert scenario_of(25_739) == list(scenarios())[-1]
    assert Round.of(Round(2, frozenset({3, 4})).code).text() == "2:012/34"
    with pytest.raises(ConfigError):
        scenario_of(25_740)


def test_sides_hear_nothing_of_each_other_while_their_view_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the leaders are those of the scenario; twins speak with one key and propose two blocks."""
    scenario = next(
        one
        for one in SPREAD
        if one.rounds[0].leader == 0 and len(one.rounds[0].others - {4}) == 1 and 4 in one.rounds[0].others
    )
    world = TwinsWorld(options_of(scenario), scenario)
    heard: list[tuple[int, int, int]] = []
    proposed: dict[int, set[Hash]] = {0: set(), 4: set()}
    plain = SimNode.receive

    def receive(self: SimNode, sender: int, message: Message) -> None:
        view = view_of(message)
        if view is not None:
            heard.append((sender, self.index, view))
        if isinstance(message, Proposal) and view == 1:
            proposed[sender].add(header_hash(message.header))
        plain(self, sender, message)

    monkeypatch.setattr(SimNode, "receive", receive)
    world.begin()
    while world.step(SPELL_MS):
        pass
    assert heard
    for sender, receiver, view in heard:
        assert view > len(scenario.rounds) or not scenario.rounds[view - 1].apart(sender, receiver)
    assert world.nodes[0].key == world.nodes[4].key
    assert proposed[0]
    assert proposed[4]
    assert proposed[0].isdisjoint(proposed[4])


def test_scenarios_that_failed_once() -> None:
    """23881: a node forgot its head when catching up brought it below the final block, and stood still till a peer's
    next `Status`."""
    for number in (23_881,):
        report = run_scenario(scenario_of(number))
        assert report.good, f"{number}: {report.text()}"


def test_the_fixed_slice() -> None:
    for scenario in SPREAD:
        report = run_scenario(scenario)
        assert report.good, f"{scenario.number}: {scenario.text()}: {report.text()}"


def test_scenarios_that_nobody_chose() -> None:
    print(f"seed {SEED}")
    for scenario in SAMPLED:
        report = run_scenario(scenario)
        assert report.good, f"seed {SEED}, {scenario.number}: {scenario.text()}: {report.text()}"


def test_a_scenario_runs_the_same_twice() -> None:
    assert run_scenario(SPREAD[40]) == run_scenario(SPREAD[40])
    assert run_scenario(SPREAD[40]).trace_hash != run_scenario(SPREAD[41]).trace_hash


@pytest.mark.parametrize("mutant", ["quorum", "nullify-and-finalize", "finalize-unseen", "leader-of-the-moment"])
def test_a_missing_rule_shows_in_the_fixed_slice(mutant: str) -> None:
    """By an invariant; the true core is right on all of it (above)."""
    for scenario in SPREAD:
        report = run_scenario(scenario, mutant)
        if report.violations:
            assert run_scenario(scenario).good
            return
    pytest.fail(f"no scenario of the slice notices that {mutant} is gone")


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_all_scenarios() -> None:
    for scenario in scenarios():
        report = run_scenario(scenario)
        assert report.good, f"{scenario.number}: {scenario.text()}: {report.text()}"
