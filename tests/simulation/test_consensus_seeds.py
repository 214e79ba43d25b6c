"""Swarm seeds, adversaries, regressions, mutants: the core in the simulator."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from consensus.simulator import SeedOptions, SeedReport, SimulationOptions, run_seed, simulate
from consensus.simulator.campaign import MutantReport, hunt
from consensus.simulator.mutants import MUTANTS, Mutant, Patch, mutated
from consensus.simulator.options import ADVERSARIES, draw
from ledger.errors import ConfigError
from node.simulation import NodeSeed, run_node_seed

REGRESSIONS = [
    line
    for line in (Path(__file__).parent / "regressions.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


SWARM = [
    (1, 0, 40),
    (2, 0, 40),
    (4, 0, 20),
    (4, 20, 20),
    (5, 0, 15),
    (5, 15, 15),
    (7, 0, 15),
    (7, 15, 15),
    (10, 0, 10),
    (10, 10, 10),
]
"""(nodes, first seed, seeds): 200 in all, at least 20 of each size."""


@pytest.mark.parametrize(("nodes", "first", "seeds"), SWARM)
def test_swarm(nodes: int, first: int, seeds: int) -> None:
    """Faults of every class, then the liveness criterion; zero violations, zero stalls."""
    report = simulate(SimulationOptions(nodes=nodes, seeds=seeds, first_seed=first, seconds=12))
    assert report.violations == ()
    assert (report.forks, report.stalls) == (0, 0)
    assert report.minimum_blocks >= 10


def test_the_swarm_has_200_seeds_over_six_sizes() -> None:
    sizes = {nodes: sum(seeds for size, _, seeds in SWARM if size == nodes) for nodes, _, _ in SWARM}
    assert sizes.keys() == {1, 2, 4, 5, 7, 10}
    assert sum(sizes.values()) == 200
    assert min(sizes.values()) >= 20


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_one_liar_of_four_changes_nothing(adversary: str) -> None:
    report = simulate(SimulationOptions(nodes=4, seeds=3, seconds=10, adversary=adversary))
    assert report.violations == ()


@pytest.mark.parametrize("adversary", ["equivocator", "wrong-parent", "forger"])
def test_two_liars_of_seven_change_nothing(adversary: str) -> None:
    report = simulate(SimulationOptions(nodes=7, seeds=2, seconds=10, adversary=adversary))
    assert report.violations == ()


def test_forged_ids_cost_no_view() -> None:
    """What a leader did not sign and somebody changed is fetched anew: no honest leader loses its turn by it."""
    forged = run_seed(SeedOptions(1, nodes=4, seconds_ms=8_000, adversary="id-forger", byzantine=1, jitter_ms=60))
    plain = run_seed(SeedOptions(1, nodes=4, seconds_ms=8_000, jitter_ms=60))
    assert forged.good, forged.text()
    assert plain.good, plain.text()
    assert forged.blocks * 10 > plain.blocks * 8


def test_an_equivocator_is_named() -> None:
    report = run_seed(SeedOptions(1, nodes=4, seconds_ms=4_000, adversary="equivocator", byzantine=1))
    assert report.good
    assert report.evidence == 1


def test_solo_makes_instant_blocks() -> None:
    report = run_seed(SeedOptions(1, engine="solo", nodes=1, interval_ms=20, load_ms=50, seconds_ms=5_000))
    assert report.good
    assert report.blocks > 60


@pytest.mark.parametrize("line", REGRESSIONS, ids=[line.split(" ", 1)[0] for line in REGRESSIONS])
def test_a_seed_that_failed_once_stays(line: str) -> None:
    whole = "layer=node" in line
    report = run_node_seed(NodeSeed.parse(line)) if whole else run_seed(SeedOptions.parse(line))
    assert report.good, report.text()


def test_same_seed_same_trace() -> None:
    for seed in range(3):
        options = draw(SimulationOptions(nodes=4, seconds=8), seed)
        first, second = run_seed(options), run_seed(options)
        assert first == second
        assert SeedOptions.parse(options.text()) == options
    assert (
        run_seed(SeedOptions(1, seconds_ms=2_000)).trace_hash != run_seed(SeedOptions(2, seconds_ms=2_000)).trace_hash
    )


def test_more_than_f_liars_can_be_caught_forking() -> None:
    """Beyond the bound there is no promise; the checker sees what happens, and evidence names more than F."""
    found = [
        run_seed(SeedOptions(seed, nodes=4, seconds_ms=6_000, adversary="equivocator", byzantine=2, quiet=False))
        for seed in range(12)
    ]
    assert any(report.violations for report in found)
    for report in found:
        if report.forks:
            assert report.evidence >= 2


# --- mutants ----------------------------------------------------------------------------------------------------------

FRESH = 5
FIRST_FRESH = 1_000 + int(time.time()) % 1_000_000
CONTROLS: dict[str, SeedReport] = {}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_missing_rule_is_noticed(mutant: str) -> None:
    """The seed on which it is known to die, and fresh ones; the true core is right on every one of them."""
    known = hunt(mutant, (MUTANTS[mutant].seed,), CONTROLS)
    assert known.killed, f"nobody noticed that {known.without} is gone, or the true core fails too: {known}"
    fresh = hunt_fresh(mutant)
    assert fresh.control == (), f"the true core fails: {fresh}"


def hunt_fresh(mutant: str) -> MutantReport:
    """The same on seeds that nobody has chosen: a mutant may live there, the true core has to be right."""
    return hunt(mutant, range(FIRST_FRESH, FIRST_FRESH + FRESH), CONTROLS)


def test_a_mutant_is_data_that_fits_the_source() -> None:
    assert len(MUTANTS) >= 15
    for name, mutant in MUTANTS.items():
        assert mutant.patches, name
        with mutated(name):
            pass


def test_a_patch_that_no_longer_fits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = Mutant("nothing", (Patch("simplex.voting.notarize", "words that are not there", ""),))
    monkeypatch.setitem(MUTANTS, "stale", stale)
    with pytest.raises(ConfigError) as refused, mutated("stale"):
        pass
    assert refused.value.code == "MUTANT_DOES_NOT_APPLY"


def test_the_core_is_whole_again_after_a_mutant() -> None:
    options = SeedOptions(1, seconds_ms=2_000)
    before = run_seed(options)
    assert not run_seed(replace(options, mutant="no-log")).good
    assert run_seed(options) == before
