"""How CI runs the tests: every folder once, and what failed anywhere fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import must_run
import pytest
import side_by_side

TESTS = Path(__file__).resolve().parents[2]


def test_every_folder_with_tests_runs_once():
    folders = [name for part in side_by_side.halves() for name in part]
    assert sorted(folders) == sorted({path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")})


@pytest.mark.parametrize("failing", ["unit", "simulation", "e2e", ""])
def test_what_fails_anywhere_fails_the_run(tmp_path, failing):
    """A tree of three tests, of which one fails."""
    tests = tmp_path / "tests"
    for name in ("unit", "simulation", "e2e", "crash"):
        (tests / name).mkdir(parents=True)
        (tests / name / f"test_{name}.py").write_text(f"def test_it():\n    assert {name == failing} is False\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = soak: long\n")
    (tests / "side_by_side.py").write_bytes((TESTS / "side_by_side.py").read_bytes())
    reports = tmp_path / "reports"
    reports.mkdir()
    command = [sys.executable, str(tests / "side_by_side.py"), str(reports)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert (ran.returncode != 0) is bool(failing), ran.stdout
    assert ran.stdout.count(f"test_{failing}.py::test_it") >= 1 or not failing, ran.stdout
    assert len(must_run.outcomes(reports)) == 4
