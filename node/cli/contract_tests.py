"""`gridchain contract test`: pytest with the plugin for contracts, and its outcome as one document."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ledger.errors import ConfigError
from node.cli.output import ExitCode

PLUGIN: Final = "node.contract_testing.plugin"
_NO_TESTS: Final = 5
_INTERRUPTED: Final = 2
_BROKEN: Final = (3, 4)
"""pytest's own exit codes; 3 and 4 are its internal errors and options or configuration that it refuses."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run and to tell. `budget`: words of `--gas-budget`."""

    path: Path
    only: str = ""
    gas_report: bool = False
    gas_lines: bool = False
    budget: tuple[str, ...] = ()
    save: Path | None = None
    fork: Path | None = None
    as_json: bool = False


def run_tests(wanted: Wanted) -> tuple[int, dict[str, Any]]:
    """Run the tests under a path: exit code, and with `as_json` the outcome of each; what pytest prints goes to
    standard error then. Raise `ConfigError` without pytest, without tests, or for options that it refuses."""
    _check(wanted)
    with tempfile.TemporaryDirectory(prefix="gridchain-test-") as folder:
        results = Path(folder) / "results.json"
        words = [sys.executable, "-m", "pytest", *_arguments(wanted)]
        if wanted.as_json:
            words += ["--contract-results", str(results)]
        code = subprocess.run(words, stdout=sys.stderr if wanted.as_json else None, check=False).returncode
        document = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    if code == _NO_TESTS:
        raise _no_tests(wanted.path, "no test was found" + (f" for {wanted.only!r}" if wanted.only else ""))
    if code in _BROKEN:
        raise ConfigError(
            "pytest could not run", code="NO_TEST_RUN", expected="a configuration that pytest takes",
            found=f"its exit code {code}", fix="see above what it says",
        )  # fmt: skip
    if code == _INTERRUPTED and not document.get("failed"):
        return ExitCode.INTERRUPTED if not wanted.as_json else ExitCode.FAILED, document
    return (ExitCode.FAILED if code else ExitCode.OK), {"ok": code == 0, **document}


def _check(wanted: Wanted) -> None:
    if find_spec("pytest") is None:
        raise ConfigError(
            "pytest is not installed", code="NO_PYTEST", expected="pytest and hypothesis", found="no pytest",
            fix="pip install 'gridchain[testing]'",
        )  # fmt: skip
    if not wanted.path.exists():
        raise _no_tests(wanted.path, "no such file or directory")
    from node.contract_testing.gas_book import read_budget

    read_budget(wanted.budget)
    if wanted.fork is not None:
        from node.state_export import read_export

        read_export(wanted.fork)


def _no_tests(path: Path, found: str) -> ConfigError:
    return ConfigError(
        "there is nothing to test", code="NO_TESTS", expected="a directory with test_*.py, or such a file",
        found=f"{path}: {found}", fix="`gridchain contract new NAME` begins a contract with tests",
    )  # fmt: skip


def _arguments(wanted: Wanted) -> list[str]:
    # A source tree that is on the path but not installed has no entry point, which loads the plugin otherwise.
    installed = any(found.value == PLUGIN for found in entry_points(group="pytest11"))
    words = [] if installed else ["-p", PLUGIN]
    if wanted.only:
        words += ["-k", wanted.only]
    if wanted.gas_report:
        words.append("--gas-report")
    if wanted.gas_lines:
        words.append("--gas-lines")
    for word in wanted.budget:
        words += ["--gas-budget", word]
    if wanted.save is not None:
        words += ["--gas-save", str(wanted.save)]
    if wanted.fork is not None:
        words += ["--fork", str(wanted.fork.absolute())]
    return [*words, str(wanted.path)]
