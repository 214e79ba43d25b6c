"""B.criteria: clauses of the shipped contracts under five criteria of a valid contract, and the tests that hold them.

The clauses and their tests are the experiment's inputs. The tests are run by pytest in a process of its own; they come
with the source tree, not with the installed package.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import deploy
from deploy.reproduce.chart import Bars, Chart, Panel
from deploy.reproduce.experiment import CannotRun, Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from node.lifeline import child_environment

_ROOT: Final = Path(deploy.__file__).resolve().parents[1]
_SECONDS: Final = 600
_START: Final = "import sys, pytest; from node.lifeline import die_with; "
_QUIET: Final = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
"""The line above imports a package that holds a pytest plugin before pytest looks at it."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a contract, in words, with the ids of its tests (file::function)."""

    contract: str
    criterion: str
    text: str
    tests: tuple[str, ...]


def clauses_of(inputs: Inputs) -> list[Clause]:
    """The table of clauses."""
    rows = inputs.values["clauses"]
    return [Clause(row["contract"], row["criterion"], row["clause"], tuple(row["tests"])) for row in rows]


def uncovered(inputs: Inputs) -> list[str]:
    """Criteria that an agreement has no clause for, and clauses under a name that is no criterion."""
    clauses, criteria = clauses_of(inputs), inputs.values["criteria"]
    known = {(clause.contract, clause.criterion) for clause in clauses}
    missing = [
        f"{contract}: {criterion}"
        for contract in inputs.values["agreements"]
        for criterion in criteria
        if (contract, criterion) not in known
    ]
    return missing + [
        f"{clause.contract}: {clause.criterion}?" for clause in clauses if clause.criterion not in criteria
    ]


@cache
def _tests_in(file: str) -> frozenset[str]:
    path = _ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def exists(test: str) -> bool:
    """Whether a test of that id is in the source tree."""
    file, _, name = test.partition("::")
    return name in _tests_in(file)


def _results(tests: Sequence[str]) -> dict[str, str]:
    """Run tests; by id `passed`, `failed` or `skipped`, the worst of all its cases. What did not run is absent."""
    with tempfile.TemporaryDirectory(prefix="gridchain-criteria-") as folder:
        report = Path(folder) / "report.xml"
        start = f"{_START}die_with({os.getpid()}); sys.exit(pytest.main(sys.argv[1:]))"
        words = [sys.executable, "-c", start, "-W", _QUIET, "-p", "no:cacheprovider", f"--basetemp={folder}/run"]
        ran = subprocess.run(
            [*words, f"--junitxml={report}", *tests],
            cwd=_ROOT,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if not report.is_file():
            raise CannotRun(
                "the tests did not run",
                expected="a report of pytest",
                found=(ran.stderr or ran.stdout).strip()[-300:],
                fix="run them with make test",
            )
        return _worst(ElementTree.parse(report).iter("testcase"))


def _worst(cases: Iterable[ElementTree.Element]) -> dict[str, str]:
    order = ("passed", "skipped", "failed")
    found: dict[str, str] = {}
    for case in cases:
        file = str(case.get("classname")).replace(".", "/") + ".py"
        test = f"{file}::{str(case.get('name')).partition('[')[0]}"
        state = "passed"
        if case.find("skipped") is not None:
            state = "skipped"
        if case.find("failure") is not None or case.find("error") is not None:
            state = "failed"
        found[test] = max(found.get(test, "passed"), state, key=order.index)
    return found


def run_criteria(inputs: Inputs, _seed: int) -> Trial:
    """Look for the tests of every clause and run them. Raise `CannotRun` without source tree or pytest."""
    if not (_ROOT / "tests").is_dir() or find_spec("pytest") is None:
        raise CannotRun(
            "the contracts' tests cannot be run here",
            expected="the source tree and pytest",
            found=str(_ROOT),
            fix="run it in a clone, after make install",
        )
    clauses = clauses_of(inputs)
    known = sorted({test for clause in clauses for test in clause.tests if exists(test)})
    results = _results(known)
    rows = [
        (clause.contract, clause.criterion, clause.text, test, results.get(test, "missing"))
        for clause in clauses
        for test in clause.tests or ("",)
    ]
    held = sum(bool(clause.tests) and all(results.get(test) == "passed" for test in clause.tests) for clause in clauses)
    gaps = uncovered(inputs)
    figures: Figures = {
        "clauses": float(len(clauses)),
        "clauses whose tests pass": float(held),
        "criteria without a clause": float(len(gaps)),
        "tests": float(len(results)),
    }
    return Trial({"criteria": figures}, rows, f"Without a clause: {', '.join(gaps)}." if gaps else "")


def _holds(found: Figures) -> bool:
    return found["clauses whose tests pass"] == found["clauses"] > 0 and found["criteria without a clause"] == 0


def draw_criteria(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Clauses and tests of each contract."""
    clauses, rows = clauses_of(inputs), trials[0].rows
    contracts = list(dict.fromkeys(clause.contract for clause in clauses))
    places = [float(place) for place in range(len(contracts))]
    counted = [float(sum(clause.contract == name for clause in clauses)) for name in contracts]
    passed = [float(sum(row[0] == name and row[4] == "passed" for row in rows)) for name in contracts]
    marks = (Bars("clauses", places, counted, 0), Bars("tests that pass", places, passed, 2))
    return Chart(
        "Clauses of the contracts and their tests",
        (Panel("number of clauses and of tests that pass", "contract", "number", marks, tuple(contracts)),),
    )


CRITERIA: Final = Experiment(
    id="B.criteria",
    title="Five validity criteria of a contract",
    source="System B, criteria of a valid contract.",
    method=(
        "Each clause of the shipped contracts stands under one of five criteria: offer, acceptance, consideration, "
        "intention to be bound, capacity. It names the tests that hold it, which are run now, on deployed contracts. "
        "The five are our reading: the elements of a contract in the law that the published platform lives under."
    ),
    contracts=("registry", "token", "metering", "double_auction", "community_vpp", "matching", "wind"),
    claims=(
        Claim(
            "criteria",
            "each contract satisfies the five criteria",
            Kind.EXACT,
            "every clause has tests and all of them pass; every agreement has a clause under each criterion",
            _holds,
        ),
    ),
    columns=("contract", "criterion", "clause", "test", "result"),
    run=run_criteria,
    draw=draw_criteria,
    seeded=False,
)

EXPERIMENTS: Final[tuple[Experiment, ...]] = (CRITERIA,)
