"""How CI runs the tests: every folder once, and what failed anywhere fails the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import must_run
import pytest
import side_by_side

TESTS = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def test_every_folder_with_tests_runs_once():
    runs = side_by_side.halves()
    for path in TESTS.rglob("test_*.py"):
        name = path.relative_to(TESTS).as_posix()
        taking = [
            folders
            for folders in runs
            if any(name.startswith(f"{folder}/") for folder in folders)
            and not any(name.startswith(f"{moved}/") for moved in side_by_side.MOVED if moved not in folders)
        ]
        assert len(taking) == 1, name


def planted(tmp_path, bodies):
    """A tree of tests, and the command that runs them."""
    tests = tmp_path / "tests"
    for name, text in bodies.items():
        (tests / name).mkdir(parents=True)
        (tests / name / f"test_{name}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = soak: long\n")
    (tests / "side_by_side.py").write_bytes((TESTS / "side_by_side.py").read_bytes())
    return [sys.executable, str(tests / "side_by_side.py")]


@pytest.mark.parametrize("failing", ["unit", "simulation", "e2e", ""])
def test_what_fails_anywhere_fails_the_run(tmp_path, failing):
    """A tree of three tests, of which one fails."""
    names = ("unit", "simulation", "e2e", "crash")
    plain = planted(tmp_path, {name: f"def test_it():\n    assert {name == failing} is False\n" for name in names})
    reports = tmp_path / "reports"
    reports.mkdir()
    ran = subprocess.run(
        [*plain, str(reports)], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=100
    )
    assert (ran.returncode != 0) is bool(failing), ran.stdout
    assert ran.stdout.count(f"test_{failing}.py::test_it") >= 1 or not failing, ran.stdout
    assert len(must_run.outcomes(reports)) == 4


def test_a_run_that_is_ended_says_what_has_failed_and_leaves_nothing_running(tmp_path):
    """One half hangs, and whoever waits for it loses patience: the other's failure is told all the same."""
    noted = "import os, pathlib, time\ndef test_sleeper():\n    pathlib.Path('{}').write_text(str(os.getpid()))\n"
    hanging = noted + "    time.sleep(90)\n"
    failing = "def test_it():\n    assert 'as it' == 'should be'\n\n"
    bodies = {"unit": hanging.format("first"), "simulation": failing + hanging.format("second")}
    command = planted(tmp_path, bodies)
    ran = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    places = [tmp_path / name for name in ("first", "second")]
    deadline = time.monotonic() + 60
    while not all(place.exists() and place.read_text() for place in places):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ran.send_signal(signal.SIGTERM)
    output, _ = ran.communicate(timeout=60)
    assert ran.returncode != 0
    assert "test_simulation.py::test_it" in output
    for place in places:
        with pytest.raises(ProcessLookupError):
            os.kill(int(place.read_text()), 0)
