"""Whole nodes in virtual time: swarm seeds, a second run, missing rules of the shell, seeds that failed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from consensus.simulator import SimulationOptions
from consensus.simulator.mutants import Mutant, Patch
from ledger.errors import ConfigError
from node.cli import simulate as command
from node.simulation import NodeSeed, draw_nodes, run_node_seed, simulate_nodes
from node.simulation.mutants import SHELL_MUTANTS, lured, mutated_shell

SWARM = [(1, 3), (2, 2), (4, 4), (7, 1)]
"""(nodes, seeds)."""
QUICK = (
    "released-before-the-sync",
    "log-not-read",
    "commit-in-two-batches",
    "certificates-not-verified",
    "forgets-on-reconnect",
    "epoch-not-told",
)
"""What CI runs; all of them are a soak run."""


@pytest.mark.parametrize(("nodes", "seeds"), SWARM)
def test_swarm_of_whole_nodes(nodes: int, seeds: int) -> None:
    """Faults of every class, then the criterion of liveness, then every disk by itself."""
    report = simulate_nodes(SimulationOptions(nodes=nodes, seeds=seeds, seconds=8))
    assert report.violations == ()
    assert (report.forks, report.stalls) == (0, 0)
    assert report.minimum_blocks >= 10


@pytest.mark.soak
@pytest.mark.parametrize("nodes", [1, 2, 4, 5, 7, 10])
def test_swarm_of_whole_nodes_at_length(nodes: int) -> None:
    report = simulate_nodes(SimulationOptions(nodes=nodes, seeds=100, first_seed=10_000, seconds=20))
    assert report.violations == ()


def test_same_seed_same_trace_in_another_process_too() -> None:
    """With other hashes of strings: no order of a set may show."""
    options = draw_nodes(SimulationOptions(nodes=2, seconds=1), 5)
    assert NodeSeed.parse(options.text()) == options
    first = run_node_seed(options)
    assert run_node_seed(options) == first
    assert run_node_seed(replace(options, seed=6)).trace_hash != first.trace_hash
    program = "import sys; from node.simulation import *; print(run_node_seed(NodeSeed.parse(sys.argv[1])).trace_hash)"
    words = [sys.executable, "-c", program, options.text()]
    other = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": "7"})
    assert other.stdout.strip() == first.trace_hash


def cut(nodes: int, operation: int) -> NodeSeed:
    """A short run in which the first machine loses power in this operation of its disk; 0: in none."""
    return NodeSeed(
        0, nodes=nodes, seconds_ms=1_500, interval_ms=100, load_ms=100, restart_ms=100, epoch_blocks=5,
        cut_operation=operation,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "step"),
    [(1, 3), pytest.param(1, 1, marks=pytest.mark.soak), pytest.param(4, 1, marks=pytest.mark.soak)],
)
def test_a_power_cut_in_any_operation_of_the_disk(nodes: int, step: int) -> None:
    """From the founding on: the node opens again, contradicts nothing, and the chain goes on."""
    whole = run_node_seed(cut(nodes, 0)).trace_hash
    operation = 1
    while (report := run_node_seed(cut(nodes, operation))).trace_hash != whole:
        assert report.good, report.text()
        operation += step
    assert operation > 30


def test_a_peer_that_lies_about_heights_headers_and_bodies_holds_up_nobody() -> None:
    """A member with an empty disk takes the chain from three others, one of which lies in every second answer."""
    options = NodeSeed(3, seconds_ms=5_000, interval_ms=100, load_ms=100, wiped=1, sync_liar=True)
    report = run_node_seed(options)
    assert report.good, report.text()
    assert report.evidence, "nobody noticed a lie"


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.soak) for name in SHELL_MUTANTS]
)
def test_a_missing_rule_of_the_shell_is_noticed(name: str) -> None:
    """On its known seed, on which the true shell is right."""
    options = lured(name, SHELL_MUTANTS[name].seed)
    report = run_node_seed(replace(options, mutant=name), hasty=True)
    assert not report.good, f"nobody noticed that {SHELL_MUTANTS[name].without} is gone: {report.text()}"
    control = run_node_seed(options)
    assert control.good, control.text()


def test_the_shell_is_whole_again_after_a_mutant() -> None:
    options = draw_nodes(SimulationOptions(nodes=2, seconds=1), 1)
    before = run_node_seed(options)
    assert not run_node_seed(replace(options, mutant="log-not-synced"), hasty=True).good
    assert run_node_seed(options) == before


def test_a_patch_of_the_shell_that_no_longer_fits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = Mutant("nothing", (Patch("node.wal.Wal.append", "words that are not there", ""),))
    monkeypatch.setitem(SHELL_MUTANTS, "stale", stale)
    with pytest.raises(ConfigError) as refused, mutated_shell("stale"):
        pass
    assert refused.value.code == "MUTANT_DOES_NOT_APPLY"


def test_the_command_says_the_same_fields_and_runs_a_seed_again() -> None:
    def run(*words: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(command.app, [*words, "--json"])
        return done.exit_code, json.loads(done.output)

    batch = ("--layer", "node", "--nodes", "2", "--seconds", "1", "--first-seed", "4")
    code, report = run(*batch, "--seeds", "1")
    assert (code, report["layer"], report["seeds"], report["forks"], report["stalls"]) == (0, "node", 1, 0, 0)
    assert report["violations"] == []
    assert (report["minimum_blocks"], run(*batch, "--seeds", "1")[1]["trace_hash"]) == (
        report["blocks"],
        report["trace_hash"],
    )
    code, again = run(*batch, "--replay", "4")
    assert (code, again["good"], again["violations"]) == (0, True, [])
    broken = replace(draw_nodes(SimulationOptions(nodes=2, seconds=1), 4), mutant="log-not-synced")
    code, failed = run("--replay", f"{broken.text()} -> 3 blocks, I7 at ..")
    assert (code, failed["line"]) == (1, broken.text())
    assert str(failed["violations"][0]).startswith("I7")


@pytest.mark.parametrize("words", [{"engine": "dpos"}, {"adversary": "forger"}, {"nodes": 17}])
def test_what_this_layer_does_not_run_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        draw_nodes(SimulationOptions(**words), 0)
