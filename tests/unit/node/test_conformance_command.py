"""`gridchain conformance`: the shipped examples pass, what differs is told, what is no file of cases is refused."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.main import app
from node.cli.output import ExitCode, run_command
from node.conformance.runner import mechanisms, run_document, shipped

ROUND: dict[str, Any] = json.loads(shipped()["c.round"].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_worked_examples_pass(name: str) -> None:
    document = json.loads(shipped()[name].read_text(encoding="utf-8"))
    report = run_document(document)
    assert (report.mechanism, report.passed, report.failed, report.first) == (name, len(document["cases"]), 0, None)


def test_every_mechanism_has_a_shipped_file_whose_figures_are_compared() -> None:
    assert sorted(shipped()) == sorted(mechanisms())
    for name, file in shipped().items():
        document = json.loads(file.read_text(encoding="utf-8"))
        assert set(document["cases"][0]["expect"]) == set(mechanisms()[name].gives.fields), name


def every_number(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of the whole numbers in a value."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in every_number(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in every_number(item, (*path, index))]
    return [path] if type(value) is int else []


@pytest.mark.parametrize("name", sorted(shipped()))
def test_no_expected_number_can_change_unseen(name: str) -> None:
    document = json.loads(shipped()[name].read_text(encoding="utf-8"))
    first = document["cases"][0]
    for path in every_number(first["expect"]):
        changed = copy.deepcopy(first)
        place = changed["expect"]
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] += 1
        report = run_document({"mechanism": name, "cases": [changed]})
        assert report.failed == 1, path
        assert report.first is not None
        assert report.first.path.startswith(f"expect.{path[0]}")


def written(tmp_path: Path, document: object) -> str:
    file = tmp_path / "cases.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(file)


@pytest.fixture
def conformance(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, Any]]:
    def run(file: str) -> tuple[int, Any]:
        words = ["conformance", file, "--json"]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = run_command(app, words)
        return code, json.loads(capsys.readouterr().out)

    return run


def test_the_first_difference_is_told_and_the_exit_code_is_one(
    tmp_path: Path, conformance: Callable[[str], tuple[int, Any]]
) -> None:
    document = copy.deepcopy(ROUND)
    document["cases"] = [*copy.deepcopy(ROUND["cases"]), *copy.deepcopy(ROUND["cases"]), *ROUND["cases"]]
    document["cases"][1]["expect"] = {"accepted": True, "votes": {"q": True, "r": False, "s": False}}
    document["cases"][2]["expect"]["yes"] = 3
    assert conformance(written(tmp_path, document)) == (
        ExitCode.FAILED,
        {
            "mechanism": "c.round",
            "passed": len(document["cases"]) - 2,
            "failed": 2,
            "first_difference": {
                "case": 1,
                "name": document["cases"][1]["name"],
                "path": "expect.votes.r",
                "expected": False,
                "found": True,
            },
        },
    )


def test_rows_may_be_arrays_and_maps_may_be_pairs() -> None:
    case = {
        "input": {"trades": [["x", [[1000, 900]]], ["y", [{"pre": 3000, "real": 3000}]]], "alpha_ppm": 1_000_000},
        "expect": {"score_ppm": [["y", 1_000_000], ["x", 900_000]]},
    }
    assert run_document({"mechanism": "c.score", "cases": [case]}).passed == 1


def test_a_missing_row_an_unknown_field_and_another_type_are_differences() -> None:
    def first(expect: dict[str, Any]) -> str:
        case = {**copy.deepcopy(ROUND["cases"][0]), "expect": expect}
        report = run_document({"mechanism": "c.round", "cases": [case]})
        assert report.first is not None
        return report.first.path

    assert first({"votes": {"q": True, "r": True, "t": True}}) == "expect.votes.t"
    assert first({"agreed": 2}) == "expect.agreed"
    assert first({"yes": "2"}) == "expect.yes"


def broken(**changes: Any) -> dict[str, Any]:
    """The first case of the round example with other fields in its input; None takes one out."""
    document = copy.deepcopy(ROUND)
    del document["cases"][1:]
    fields = document["cases"][0]["input"]
    fields.update(changes)
    document["cases"][0]["input"] = {name: value for name, value in fields.items() if value is not None}
    return document


@pytest.mark.parametrize(
    ("document", "code", "found"),
    [
        ("{", "BAD_CASES", "Expecting property name"),
        ("[" * 100_000, "BAD_CASES", "recursion"),
        ([], "BAD_CASES", "an array of 0"),
        ({"cases": []}, "BAD_CASES", "an object with cases"),
        ({"mechanism": 3, "cases": []}, "BAD_CASES", "3"),
        ({"mechanism": "c.auctoin", "cases": []}, "UNKNOWN_MECHANISM", "c.auctoin"),
        ({"mechanism": "c.round"}, "BAD_CASES", "an object with mechanism"),
        ({"mechanism": "c.round", "cases": []}, "BAD_CASES", "an empty list"),
        ({"mechanism": "c.round", "cases": [1]}, "BAD_CASES", "1"),
        ({"mechanism": "c.round", "cases": [{"inputs": {}}]}, "BAD_CASES", "an object with inputs"),
        ({"mechanism": "c.round", "cases": [{"input": {}, "expect": {}}]}, "BAD_CASES", "an empty object"),
        (broken(producer=None), "BAD_CASE", "fields agents, digest, block_digest"),
        (broken(producer="nobody"), "BAD_CASE", "nobody"),
        (broken(producer=1.5), "BAD_CASE", "1.5"),
        (broken(agents="p, q"), "BAD_CASE", "text 'p, q'"),
        (broken(agents=["p", "p"]), "BAD_CASE", "p, p"),
        (broken(digest=[["p"]]), "BAD_CASE", "an array of 1"),
    ],
)
def test_what_is_no_file_of_cases_is_refused(
    tmp_path: Path, conformance: Callable[[str], tuple[int, Any]], document: object, code: str, found: str
) -> None:
    ended, answer = conformance(written(tmp_path, document))
    assert ended == ExitCode.USAGE
    error = answer["error"]
    assert error["code"] == code
    assert found in error["found"]
    assert error["expected"]
    assert error["fix"]


def test_a_case_that_is_written_wrongly_fails_among_others_that_pass() -> None:
    document = copy.deepcopy(ROUND)
    document["cases"].insert(1, broken(producer=1.5)["cases"][0])
    document["cases"].append(7)
    report = run_document(document)
    assert (report.passed, report.failed, report.case) == (len(ROUND["cases"]), 2, 1)
    assert report.first is not None
    assert "cases[1].input.producer" in report.first.path
    assert report.first.found == "1.5"


def test_strange_text_is_shown_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = "\ud800\x1b[2J"
    case = {"name": strange, "input": {"trades": {strange: [[1, 1]]}, "alpha_ppm": 0}, "expect": {"score_ppm": {}}}
    for changed, words in (
        (case, "case 0 (\\ud800\\x1b[2J)"),
        ({**case, "input": {"trades": {strange: 1}}}, "BAD_CASE"),
    ):
        file = written(tmp_path, {"mechanism": "c.score", "cases": [changed]})
        monkeypatch.setattr(sys, "argv", ["gridchain", "conformance", file])
        assert run_command(app, ["conformance", file]) != ExitCode.OK
        told = capsys.readouterr()
        assert words in told.out + told.err
        assert "\x1b" not in told.out + told.err


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, conformance: Callable[[str], tuple[int, Any]]) -> None:
    ended, answer = conformance(str(tmp_path / "none.json"))
    assert (ended, answer["error"]["code"]) == (ExitCode.USAGE, "NO_CASES")


def shard_case(epochs: list[Any], expect: Any) -> dict[str, Any]:
    given = {"shards": {"s0": ["x", "y"], "s1": ["z", "w"]}, "genesis_hash": "0" * 64, "penalty_epochs": 1}
    return {"mechanism": "d.shard", "cases": [{"input": {**given, "epochs": epochs}, "expect": expect}]}


def test_an_epoch_of_shards_may_be_written_in_three_ways_and_expected_as_a_list() -> None:
    file = json.loads(shipped()["d.shard"].read_text(encoding="utf-8"))
    expected = file["cases"][0]["expect"]["epochs"][:1]
    for epoch in (
        {"published": {"s0": "aa", "s1": "bb"}, "true": {"s0": "a0"}},
        {"s0": {"published": "aa", "true": "a0"}, "s1": {"published": "bb"}},
        {"s0": "aa", "s1": "bb"},
    ):
        assert run_document(shard_case([epoch], expected)).first is None


@pytest.mark.parametrize(
    ("published", "true"), [("records", "roots"), ("published", "roots"), ("roots", "true"), ("claimed", "truth")]
)
def test_the_parts_of_an_epoch_have_several_names_and_proxies_may_be_a_list(published: str, true: str) -> None:
    document = json.loads(shipped()["d.shard"].read_text(encoding="utf-8"))
    (case,) = document["cases"]
    case["input"]["epochs"] = [
        {published: epoch["published"], true: epoch["true"]} for epoch in case["input"]["epochs"]
    ]
    for epoch in case["expect"]["epochs"]:
        epoch["proxies"] = list(epoch["proxies"].values())
    assert run_document(document).first is None
    case["expect"]["epochs"][1]["proxies"].reverse()
    found = run_document(document).first
    assert found is not None
    assert found.path == "expect.epochs[1].proxies[0]"


def test_a_shard_whose_members_are_all_barred_has_no_proxy_and_enters_nothing() -> None:
    wrong = {"published": {"s0": "aa"}, "true": {"s0": "a0"}}
    document = shard_case([wrong, {"s0": "a1"}, {"s0": "a2"}], [])
    document["cases"][0]["input"]["shards"] = {"s0": ["x"]}
    first = {"epoch": 0, "proxies": {"s0": "x"}, "barred": [], "entered": [["s0", "aa"]], "fixes": []}
    none = {"epoch": 1, "proxies": {"s0": None}, "barred": ["x"], "entered": [], "fixes": [["s0", "aa", "a0"]]}
    back = {"epoch": 2, "proxies": {"s0": "x"}, "barred": [], "entered": [["s0", "a2"]], "fixes": []}
    hashes = []
    previous = "0" * 64
    for text in ("0|s0:aa", "1|fix:s0:a0", "2|s0:a2"):
        previous = hashlib.sha256(f"{previous}|{text}".encode()).hexdigest()
        hashes.append(previous)
    rows = [{**row, "hash": found} for row, found in zip((first, none, back), hashes, strict=True)]
    document["cases"][0]["expect"] = rows
    assert run_document(document).first is None
