"""The self-test of a host: the shipped vector is this tree's, what differs is refused, a pass is remembered until
something changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from golden_programs import PATH, text_of, vector

import node.self_test
from contracts import self_test
from contracts.self_test import GoldenProgram, Outcome, check_programs, read_vector, vector_bytes
from ledger.errors import ConfigError
from node.host import Host
from node.self_test import PASS_FILE, self_test_once

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def few(monkeypatch):
    """A vector of three programs, whose pass nothing else remembers."""
    programs = read_vector(vector_bytes())[:3]
    monkeypatch.setattr(self_test, "vector_bytes", lambda: text_of(programs))
    monkeypatch.setattr(node.self_test, "vector_bytes", lambda: text_of(programs))
    self_test.self_test.cache_clear()
    yield programs
    self_test.self_test.cache_clear()


def spoilt(programs: list[GoldenProgram], monkeypatch) -> None:
    outcome = msgspec.structs.replace(programs[1].outcome, gas=programs[1].outcome.gas + 1)
    changed = [programs[0], msgspec.structs.replace(programs[1], outcome=outcome), *programs[2:]]
    for module in (self_test, node.self_test):
        monkeypatch.setattr(module, "vector_bytes", lambda: text_of(changed))


def test_the_shipped_vector_is_what_this_tree_does():
    assert PATH.read_bytes() == vector_bytes() == text_of(vector()), "run tests/support/golden_programs.py, and review"


def test_the_vector_has_about_300_programs_of_every_kind():
    programs = read_vector(vector_bytes())
    assert 290 <= len(programs) <= 360
    assert len(vector_bytes()) < 80_000
    kinds = Counter(golden.outcome.status for golden in programs)
    assert min(kinds["ok"], kinds["rejected"], kinds["reverted"]) >= 60, kinds
    codes = {golden.outcome.code for golden in programs if golden.outcome.status == "reverted"}
    assert {"OutOfGas", "Overflow", "DivByZero", "KeyMissing", "IndexRange", "TypeMismatch", "BadValue"} <= codes
    assert all(golden.outcome.gas > 0 for golden in programs if golden.outcome.status == "ok")


@pytest.mark.parametrize(
    "change", [{"gas": 1}, {"value": 7}, {"code": "BadValue"}, {"line": 9}, {"status": "reverted"}], ids=str
)
def test_any_difference_is_told(change):
    golden = GoldenProgram("def main(a):\n    return a + 1\n", [2], 1_000, Outcome("ok", 3, None, None, 0))
    right = self_test.outcome_now(golden.source, golden.arguments, golden.gas)
    assert check_programs([msgspec.structs.replace(golden, outcome=right)]) == 1
    wrong = msgspec.structs.replace(golden, outcome=msgspec.structs.replace(right, **change))
    with pytest.raises(ConfigError, match="program 2 of the self-test differs") as refused:
        check_programs([msgspec.structs.replace(golden, outcome=right), wrong])
    assert refused.value.code == "SELF_TEST"
    assert refused.value.expected != refused.value.found


def test_what_is_no_vector_is_refused():
    for raw in (b"", b"{}", b"[[1]]", b'[["def main():", [], 5, ["ok"]]]', b"\xff"):
        with pytest.raises(ConfigError) as refused:
            read_vector(raw)
        assert refused.value.code == "SELF_TEST_VECTOR"


def test_a_pass_is_remembered_until_something_changed(few, tmp_path, monkeypatch):
    assert self_test_once(tmp_path)
    assert not self_test_once(tmp_path)
    monkeypatch.setattr(sys, "version", "another build")
    assert self_test_once(tmp_path)
    assert not self_test_once(tmp_path)
    (tmp_path / PASS_FILE).write_bytes(b"\xff\xfe")
    assert self_test_once(tmp_path)
    assert not self_test_once(tmp_path)
    assert self_test_once(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.asyncio
async def test_a_node_whose_vector_differs_opens_nothing(few, solo, layout, monkeypatch):
    spoilt(few, monkeypatch)
    self_test.self_test.cache_clear()
    config, genesis = solo.node.config, solo.node.genesis
    with pytest.raises(ConfigError) as refused:
        async with Host.open(config, genesis):
            raise AssertionError("it opened")
    assert refused.value.code == "SELF_TEST"


def test_an_optimised_interpreter_is_refused(tmp_path):
    code = (
        "from pathlib import Path\nfrom ledger.errors import ConfigError\nfrom node.self_test import self_test_once\n"
        "try:\n    self_test_once(Path('.'))\nexcept ConfigError as error:\n    print(error.code, error.found)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-OO", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["PYTHON_OPTIMIZED", "-OO"]
    assert not (tmp_path / PASS_FILE).exists()


def test_another_implementation_is_refused(monkeypatch):
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    with pytest.raises(ConfigError) as refused:
        self_test.check_interpreter()
    assert refused.value.code == "PYTHON_IMPLEMENTATION"


def test_the_file_is_a_program_a_line():
    lines = vector_bytes().decode("ascii").splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    assert all(len(json.loads(line.rstrip(","))) == 4 for line in lines[1:-1])
