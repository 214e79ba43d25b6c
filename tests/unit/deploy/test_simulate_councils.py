"""`gridchain simulate` with engines that elect, and `gridchain simulate malicious`."""

from __future__ import annotations

import json
import sys

import pytest

from deploy.main import app
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


@pytest.mark.parametrize("engine", ["dpos", "dpos-paper"])
def test_a_council_in_the_simulator(cli, engine) -> None:
    words = ("simulate", "--engine", engine, "--nodes", "5", "--seeds", "1", "--seconds", "2", "--faults", "none")
    code, out, _ = cli(*words, "--json")
    shown = json.loads(out)
    assert code == 0
    assert (shown["engine"], shown["forks"], shown["stalls"], shown["violations"]) == (engine, 0, 0, [])
    assert json.loads(cli(*words, "--json")[1])["trace_hash"] == shown["trace_hash"]


def test_malicious_shares_by_round(cli) -> None:
    words = ("--nodes", "30", "--agents", "10", "--rounds", "6", "--conversion", "0.2", "--seeds", "3")
    code, out, err = cli("simulate", "malicious", *words, "--json")
    shown = json.loads(out)
    assert (code, err) == (0, "")
    assert list(shown["readings"]) == ["returns-honest", "for-ever", "control"]
    assert shown["lines"] == {"published": 500_000, "byzantine": 333_333}
    for found in shown["readings"].values():
        assert [one["round"] for one in found["rounds"]] == [1, 2, 3, 4, 5, 6]
        for one in found["rounds"]:
            assert one["queue"]["p5"] <= one["queue"]["median"] <= one["queue"]["p95"]
        assert 0 <= found["mean"] <= found["greatest"] <= 1_000_000
    honest, control = (shown["readings"][name]["rounds"][-1]["queue"] for name in ("returns-honest", "control"))
    assert honest["median"] < control["median"]
    code, out, _ = cli("simulate", "malicious", *words)
    assert code == 0
    assert "no control" in out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("BAD_OPTION", "malicious --agents 200"),
        ("BAD_OPTION", "malicious --conversion ten"),
        ("BAD_OPTION", "malicious --conversion 1.1"),
        ("BAD_OPTION", "malicious --initial -0.1"),
        ("USAGE", "malicious --rounds 0"),
        ("USAGE", "malicious --seeds 10001"),
        ("BAD_OPTION", "--engine bft --adversary wrong-route"),
        ("BAD_OPTION", "--engine dpos --adversary lying-agent"),
        ("BAD_OPTION", "--engine sharded-paper --nodes 16 --adversary silent"),
        ("BAD_OPTION", "--engine solo --nodes 1 --adversary silent"),
        ("BAD_OPTION", "--engine pbft"),
        ("CONFIG", "--engine solo --nodes 2"),
        ("CONFIG", "--engine dpos --nodes 3"),
        ("CONFIG", "--engine dpos --nodes 151"),
        ("CONFIG", "--engine dpos-paper --nodes 151"),
        ("CONFIG", "--nodes 3 --adversary silent"),
        ("CONFIG", "--engine sharded --nodes 7"),
        ("CONFIG", "--engine sharded-paper --nodes 13"),
        ("CONFIG", "--engine dpos --audit assigned"),
        ("CONFIG", "--layer node --engine dpos"),
        ("CONFIG", "--layer node --nodes 17"),
        ("USAGE", "--nodes 0"),
        ("USAGE", "--nodes 201"),
        ("USAGE", "--nodes many"),
        ("USAGE", "--seconds 0"),
        ("USAGE", "--first-seed -1"),
        ("BAD_SEED_LINE", "--replay seed=1~nodes=-5"),
        ("BAD_SEED_LINE", "--replay seed=1~engine=pbft"),
        ("BAD_SEED_LINE", "--replay seed=1~adversary=lying-agent~byzantine=1"),
        ("BAD_SEED_LINE", "--replay seed=1~adversary=silent~byzantine=4"),
        ("BAD_SEED_LINE", "--replay seed=1~twins=9"),
        ("NO_MUTANT", "--replay seed=1~mutant=none"),
        ("NO_MUTANT", "--replay seed=1~mutant=quorum~layer=node"),
        ("BAD_SEED_LINE", "--replay seed=1~nodes=17~layer=node"),
    ],
)
def test_what_cannot_be_simulated_is_refused(cli, code, words) -> None:
    """In JSON and in text the same four parts, and 2."""
    arguments = ["simulate", *(word.replace("~", " ") for word in words.split())]
    status, out, err = cli(*arguments, "--json")
    error = json.loads(out)["error"]
    assert (status, error["code"], err) == (2, code, "")
    assert all(error[part] for part in ("message", "expected", "found", "fix"))
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert [line.split()[0] for line in err.splitlines()] == [f"{code}:", "expected", "found", "fix"]


def test_few_nodes_are_no_council(cli) -> None:
    code, out, _ = cli("simulate", "--engine", "dpos", "--nodes", "3", "--json")
    assert code == 2
    assert "4" in json.loads(out)["error"]["expected"]
