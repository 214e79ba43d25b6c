"""The pytest plugin in sessions of its own: fixtures, rollback of the module's chain, the gas report and its budget."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

COUNTER = """
n = Var(u64, default=0)

@export
def add(by: u64) -> u64:
    n.set(n.get() + by)
    return n.get()

@view
def shown() -> u64:
    return n.get()
"""

TESTS = """
import pytest

@pytest.fixture(scope="module")
def shared(module_chain):
    from node.contract_testing.handles import Accounts, Deployer
    from pathlib import Path
    counter = Deployer(module_chain, Path(__file__).parent, Accounts(module_chain).deployer)("counter.py")
    counter.add(10)
    return counter

@pytest.fixture
def begun(shared):
    shared.add(100)
    return shared

def test_first(shared):
    assert shared.add(1) == 11

def test_second(shared):
    assert shared.add(2) == 12

@pytest.mark.parametrize("by", [1, 2])
def test_with_a_fixture_of_its_own(begun, by):
    assert begun.add(by) == 110 + by

def test_last(shared, module_chain, chain, deploy, rolled_back):
    assert shared.shown() == 10
    assert chain is not module_chain
    own = deploy("counter.py")
    with rolled_back():
        assert own.add(1) == 1
    assert own.shown() == 0
    assert shared.shown() == 10
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "counter.py").write_text(COUNTER)
    (tmp_path / "test_counter.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    return tmp_path


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(words, cwd=project, capture_output=True, text=True, timeout=100, check=False)


def test_the_plugin_is_there_when_the_distribution_is() -> None:
    assert [found.value for found in entry_points(group="pytest11", name="gridchain")] == [
        "node.contract_testing.plugin"
    ]


def test_what_a_test_does_to_the_chain_of_its_module_is_undone(project: Path) -> None:
    done = run(project, "--gas-report", "--gas-budget", "counter.add=1", "--contract-results", "results.json")
    assert done.returncode == 1, done.stdout
    assert "5 passed" in done.stdout
    assert "GAS counter.add: " in done.stdout
    results = json.loads((project / "results.json").read_text())
    assert (results["passed"], results["failed"]) == (5, 0)
    assert results["gas"]["entries"]["counter.add"]["calls"] == 8
    assert [found["entry"] for found in results["exceeded"]] == ["counter.add"]


def test_a_budget_that_means_nothing_ends_the_session_before_it_begins(project: Path) -> None:
    done = run(project, "--gas-budget", "nothing.json")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "BAD_BUDGET" in done.stderr


def test_a_session_without_contracts_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\ndef test_nothing_is_loaded():\n    rooms = ('contracts', 'ledger', 'gridchain', 'node.api')\n"
        "    assert not [name for name in sys.modules if name.startswith(rooms)]\n"
    )
    done = run(tmp_path, "-q")
    assert done.returncode == 0, done.stdout
