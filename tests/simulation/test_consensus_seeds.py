"""Swarm seeds, adversaries, regressions, mutants: the core in the simulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consensus.simulator import SeedOptions, SimulationOptions, run_seed, simulate
from consensus.simulator.mutants import MUTANTS
from consensus.simulator.options import ADVERSARIES, draw

REGRESSIONS = [
    line
    for line in (Path(__file__).parent / "regressions.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("nodes", [1, 2, 4, 5, 7, 10])
def test_swarm(nodes: int) -> None:
    """Faults of every class, then the liveness criterion; zero violations, zero stalls."""
    report = simulate(SimulationOptions(nodes=nodes, seeds=12 if nodes < 10 else 6, seconds=12))
    assert report.violations == ()
    assert (report.forks, report.stalls) == (0, 0)
    assert report.minimum_blocks >= 10


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
    report = run_seed(SeedOptions.parse(line))
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

LURES: dict[str, dict[str, object]] = {
    "quorum": {"adversary": "equivocator", "byzantine": 1},
    "unjustified-parent": {"adversary": "wrong-parent", "byzantine": 1},
    "certificates-unchecked": {"adversary": "forger", "byzantine": 1},
    "header-unchecked": {"adversary": "time-drifter", "byzantine": 1},
    "finalize-unseen": {"adversary": "invalid-state", "byzantine": 1},
    "no-hold": {"wiped": 1},
    "no-fetch": {"wiped": 1, "power_cuts": 2, "drop_ppm": 200_000},
}
"""What brings a removed rule to light: most die of chance alone."""

PINNED: dict[str, range] = {"header-unchecked": range(15, 16)}


def lured(mutant: str, seed: int) -> SeedOptions:
    """The options of a seed for a mutant, and for its control run."""
    plain = replace(
        draw(SimulationOptions(nodes=4, seconds=10), seed), adversary="", byzantine=0, twins=0, skewed=0, wiped=0
    )
    return replace(plain, **LURES.get(mutant, {}))  # type: ignore[arg-type]  # values of these fields


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_missing_rule_is_noticed(mutant: str) -> None:
    for seed in PINNED.get(mutant, range(40)):
        options = lured(mutant, seed)
        if not run_seed(replace(options, mutant=mutant)).good:
            control = run_seed(options)
            assert control.good, control.text()
            return
    pytest.fail(f"nobody noticed that {MUTANTS[mutant].without} is gone")
