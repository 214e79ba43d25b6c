"""`gridchain reproduce` from the command line, with worker processes; what becomes of an experiment that cannot run."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from deploy.main import app
from deploy.reproduce import runner
from deploy.reproduce.experiment import CannotRun, Experiment, Trial, Verdict
from deploy.reproduce.files import document
from deploy.reproduce.market_d import REPUTATION
from deploy.reproduce.runner import Failure, Job, perform, run
from node.cli.output import run_command


@pytest.fixture
def cli(capsys, monkeypatch):
    def call(*arguments):
        words = [str(word) for word in arguments]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = run_command(app, words)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(code), captured.out, captured.err

    return call


def test_one_document_a_page_and_progress(cli, tmp_path) -> None:
    folder = tmp_path / "new" / "folder"
    code, out, err = cli(
        "reproduce", "D.assignment", "D.fig4", "--seeds", "2", "--jobs", "2", "--out", folder, "--json"
    )
    shown = json.loads(out)
    assert code == 0
    assert shown == json.loads((folder / "results.json").read_text())
    first, second = shown["results"]
    wanted = {"id", "published", "ours", "class", "tolerance", "verdict", "held", "seeds", "note", "difference"}
    assert wanted <= set(first)
    assert (first["id"], second["id"]) == ("D.fig4", "D.assignment")
    assert (first["verdict"], second["verdict"]) == ("reproduced", "reproduced")
    assert (second["held"], second["seeds"], shown["seeds"]) == (2, 2, 2)
    assert sorted(file.name for file in (folder / "D.assignment").iterdir()) == [
        "data.csv", "figure.png", "figure.svg", "parameters.json",
    ]  # fmt: skip
    assert (folder / "D.assignment" / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "D.assignment" in err
    assert "[2/2]" in err


def test_people_are_told_the_verdicts_and_the_page(cli, tmp_path) -> None:
    code, out, _ = cli("reproduce", "D.fig4", "--seeds", "1", "--out", tmp_path)
    assert code == 0
    assert "reproduced" in out
    assert "index.html" in out


@pytest.mark.parametrize(
    ("words", "found", "fix"), [(("D.fig44",), "D.fig44", "D.fig4"), (("D", "nothing"), "nothing", "--help")]
)
def test_a_stranger_is_refused_before_anything_runs(cli, tmp_path, words, found, fix) -> None:
    code, out, err = cli("reproduce", *words, "--out", tmp_path / "out", "--json")
    error = json.loads(out)["error"]
    assert (code, err) == (2, "")
    assert (error["code"], error["found"]) == ("NO_EXPERIMENT", found)
    assert fix in error["fix"]
    assert not (tmp_path / "out").exists()


def lacking(_inputs, _seed) -> Trial:
    raise CannotRun("no solver", expected="a solver", found="none", fix="install it")


def offer(monkeypatch, experiment: Experiment) -> None:
    monkeypatch.setattr(runner, "experiment_of", lambda name: experiment)


def test_what_cannot_run_is_not_reproduced_and_says_why(monkeypatch) -> None:
    offer(monkeypatch, replace(REPUTATION, run=lacking))
    assert isinstance(perform(Job("D.fig4", -1, 1)).outcome, Failure)
    found = run(["D.fig4"], 2, 1, lambda *_: None)
    row = document(found, 2, 1.0)["results"][0]
    assert (row["verdict"], row["ours"], row["held"], row["folder"]) == ("not reproduced", None, 0, None)
    assert row["class"] == "shape"
    assert "CANNOT_RUN" in row["note"]
    assert "install it" in row["note"]


def wrong(_inputs, _seed) -> Trial:
    """Ten cycles as they should be, but for what provider 1 ends with."""
    finals = {"provider 1": 0.99, "provider 2": 0.6, "provider 3": 0.8, "provider 4": 0.8}
    figures = {
        "final reputations": {**finals, "cycles in order, from the third": 8.0},
        "rule 6.1": {"largest difference, ppm": 0.0},
        "throughout": {"cycles with provider 1 above 1": 0.0},
    }
    return Trial(figures, [(cycle, *finals.values()) for cycle in range(1, 11)])


def test_a_claim_that_fails_ends_the_command_with_one(monkeypatch, cli, tmp_path) -> None:
    offer(monkeypatch, replace(REPUTATION, run=wrong))
    code, out, _ = cli("reproduce", "D.fig4", "--seeds", "1", "--jobs", "1", "--out", tmp_path)
    assert code == 1
    assert str(Verdict.NOT_REPRODUCED) in out
    assert "final reputations: held 0 of 1" in out
    assert "verdicts are meant for 20 seeds" in out
