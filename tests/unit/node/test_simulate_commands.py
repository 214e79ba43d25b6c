"""`gridchain simulate --replay` and `gridchain simulate mutants`: what they say, write and end with."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consensus.simulator import SimulationOptions
from consensus.simulator.campaign import hunt
from consensus.simulator.mutants import MUTANTS
from consensus.simulator.options import draw
from node.cli import simulate

LINE = "seed=1 seconds_ms=2000 mutant=no-log"


def run(*words: str):
    return CliRunner().invoke(simulate.app, list(words))


def test_a_replayed_failure_is_told_drawn_and_ends_with_one(tmp_path: Path) -> None:
    picture = tmp_path / "run.svg"
    done = run("--replay", f"{LINE} -> 3 blocks, I7 at ..", "--svg", str(picture), "--json")
    assert done.exit_code == 1
    document = json.loads(done.output)
    assert document["good"] is False
    assert document["violations"][0].startswith("I7")
    assert document["svg"] == str(picture)
    assert {"at_ms", "node", "kind", "text", "label"} == document["timeline"][0].keys()
    assert len(document["knowledge"]) == 4
    ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    told = run("--replay", LINE, "--svg", str(picture)).output
    assert "BROKEN I7" in told
    assert "who knew what then:" in told


def test_a_seed_alone_is_the_one_of_the_batch(tmp_path: Path) -> None:
    words = ("--nodes", "2", "--seconds", "3", "--svg", str(tmp_path / "a.svg"), "--json")
    done = run("--replay", "7", *words)
    assert done.exit_code == 0
    assert json.loads(done.output)["line"] == draw(SimulationOptions(nodes=2, seconds=3), 7).text()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    done = run("--replay", LINE, "--svg", str(tmp_path / "none" / "a.svg"), "--json")
    assert done.exit_code != 0
    assert "cannot be written" in str(done.exception or done.output)


def test_mutants_in_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(MUTANTS):
        if name not in ("no-log", "quorum"):
            monkeypatch.delitem(MUTANTS, name)
    done = run("mutants", "--seeds", "0", "--json")
    assert done.exit_code == 0
    document = json.loads(done.output)
    assert [(m["name"], m["killed"], m["seed"], m["by"]) for m in document["mutants"]] == [
        ("no-log", True, 0, "I7"),
        ("quorum", True, 0, "I5"),
    ]
    assert (document["killed"], document["survived"]) == (2, [])


def test_a_rule_that_nobody_misses_ends_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(MUTANTS):
        if name != "no-fetch":
            monkeypatch.delitem(MUTANTS, name)
    monkeypatch.setattr("node.cli.simulate_mutants.hunt_all", lambda *_: (spared(),))
    done = run("mutants", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output)["survived"] == ["no-fetch"]


def spared():
    """A mutant on a seed that does not show it."""
    return hunt("no-fetch", (0,), {})


def test_twins_in_one_document() -> None:
    done = run("twins", "--rounds", "2", "--spread", "3", "--sampled", "2", "--first-seed", "5", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.output)
    assert (document["scenarios"], document["run"], document["good"]) == (510, 5, True)
    assert document == {
        **json.loads(
            run("twins", "--rounds", "2", "--spread", "3", "--sampled", "2", "--first-seed", "5", "--json").output
        ),
        "wall_s": document["wall_s"],
    }


def test_a_twins_scenario_that_finds_a_removed_rule_ends_with_one() -> None:
    done = run("twins", "--scenario", "8370", "--mutant", "quorum", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output)["violations"][0].startswith("scenario 8370 (")
    assert run("twins", "--scenario", "8370").exit_code == 0
    assert "no such scenario" in str(run("twins", "--scenario", "25740").exception)
    assert "no such mutant" in str(run("twins", "--mutant", "none").exception)
