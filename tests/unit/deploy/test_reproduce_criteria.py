"""B.criteria: the table of clauses and their tests."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from contracts.library_sources import library_names
from deploy.reproduce import criteria
from deploy.reproduce.criteria import CRITERIA, Clause, clauses_of, exists, run_criteria, uncovered
from deploy.reproduce.inputs import Inputs, inputs_of
from deploy.reproduce.verdict import judge

TABLE = inputs_of("B.criteria")


@pytest.mark.parametrize("clause", clauses_of(TABLE), ids=lambda clause: f"{clause.contract}-{clause.criterion}")
def test_every_clause_has_tests_and_they_exist(clause: Clause) -> None:
    assert clause.contract in library_names()
    assert clause.tests, clause.text
    assert [test for test in clause.tests if not exists(test)] == []


def test_every_agreement_has_a_clause_under_each_criterion() -> None:
    assert uncovered(TABLE) == []
    assert len(TABLE.values["criteria"]) == 5


def test_a_gap_and_a_stranger_are_found() -> None:
    one = {"contract": "wind", "criterion": "offer", "clause": "x", "tests": []}
    other = {**one, "criterion": "beauty"}
    found = Inputs("x", {"criteria": ["offer", "capacity"], "agreements": ["wind"], "clauses": [one, other]})
    assert uncovered(found) == ["wind: capacity", "wind: beauty?"]
    assert not exists("tests/unit/deploy/test_reproduce_criteria.py::test_of_which_nobody_heard")
    assert not exists("tests/no_such_file.py::test_x")


def verdict(monkeypatch, results: dict[str, str], tests: list[str]) -> str:
    clause = {"contract": "wind", "criterion": "offer", "clause": "x", "tests": tests}
    table = Inputs("x", {"criteria": ["offer"], "agreements": ["wind"], "clauses": [clause]})
    monkeypatch.setattr(criteria, "_results", lambda known: {name: results[name] for name in known if name in results})
    return str(judge(CRITERIA.claims[0], [run_criteria(table, 1)]).verdict)


def test_a_clause_without_a_test_or_with_one_that_does_not_pass_fails(monkeypatch) -> None:
    here = "tests/unit/deploy/test_reproduce_criteria.py::test_a_gap_and_a_stranger_are_found"
    assert verdict(monkeypatch, {here: "passed"}, [here]) == "reproduced"
    assert verdict(monkeypatch, {here: "failed"}, [here]) == "not reproduced"
    assert verdict(monkeypatch, {here: "skipped"}, [here]) == "not reproduced"
    assert verdict(monkeypatch, {}, [here]) == "not reproduced"
    assert verdict(monkeypatch, {}, []) == "not reproduced"
    assert verdict(monkeypatch, {here: "passed"}, [here, "tests/unit/gone.py::test_x"]) == "not reproduced"


def test_the_worst_case_of_a_test_counts() -> None:
    report = ElementTree.fromstring(
        '<suite><testcase classname="tests.unit.a" name="test_x[1]"/>'
        '<testcase classname="tests.unit.a" name="test_x[2]"><failure/></testcase>'
        '<testcase classname="tests.unit.a" name="test_y"><skipped/></testcase>'
        '<testcase classname="tests.unit.a" name="test_z"/></suite>'
    )
    assert criteria._worst(report.iter("testcase")) == {
        "tests/unit/a.py::test_x": "failed",
        "tests/unit/a.py::test_y": "skipped",
        "tests/unit/a.py::test_z": "passed",
    }
