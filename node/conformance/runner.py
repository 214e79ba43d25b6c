"""Runs a conformance file: every case through the code that decides on the chain, and the first difference.

Each market has an adapter module with a list `MECHANISMS`; `ADAPTERS` names the modules. An adapter holds no rule of
its own: it writes a case as calls of contract entries, or of the pure functions of `consensus`, and reads what they
return.
"""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from ledger.errors import ConfigError, DecodeError
from node.conformance.fields import Difference, difference, read, shown
from node.conformance.ids import printable
from node.conformance.mechanism import CaseFailed, Mechanism

ADAPTERS: Final = (
    "node.conformance.auction",
    "node.conformance.community",
    "node.conformance.election",
    "node.conformance.matching",
    "node.conformance.shards",
    "node.conformance.wind",
)
_SHIPPED: Final = Path(__file__).parent / "cases"
_FORM: Final = '{"mechanism": name, "cases": [{"input": {..}, "expect": {..}}]}'


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file. `case`: position of the first case that failed, from 0; None if all passed."""

    mechanism: str
    passed: int
    failed: int
    case: int | None = None
    name: str = ""
    first: Difference | None = None

    def as_dict(self) -> dict[str, Any]:
        """As `--json` shows it."""
        document: dict[str, Any] = {"mechanism": self.mechanism, "passed": self.passed, "failed": self.failed}
        if self.first is None:
            return {**document, "first_difference": None}
        there = {"case": self.case, "name": self.name or None, "path": self.first.path}
        return {**document, "first_difference": {**there, "expected": self.first.expected, "found": self.first.found}}


@cache
def mechanisms() -> dict[str, Mechanism]:
    """All mechanisms by name."""
    found = {}
    for module in ADAPTERS:
        for mechanism in importlib.import_module(module).MECHANISMS:
            found[mechanism.name] = mechanism
    return dict(sorted(found.items()))


def shipped() -> dict[str, Path]:
    """The worked examples of the specification: files of this package, by mechanism."""
    return {file.name.removesuffix(".json"): file for file in sorted(_SHIPPED.glob("*.json"))}


def run_file(file: Path) -> Report:
    """Run all cases of a file; the name of a mechanism stands for its shipped file. Raise `ConfigError` if it cannot be
    read, `DecodeError` if it is no conformance file."""
    try:
        raw = shipped().get(str(file), file).read_bytes()
    except OSError as error:
        raise ConfigError(
            "the file of cases cannot be read",
            code="NO_CASES",
            expected="a readable file",
            found=f"{file}: {error.strerror}",
            fix=f"check the path; shipped are {', '.join(shipped())}",
        ) from None
    return run_document(_parsed(raw))


def run_document(document: Any) -> Report:
    """Run a parsed file. A case that is not written as its mechanism asks has failed, and says where; if that is so of
    all, the file is none of ours. Raise `DecodeError` then."""
    mechanism, cases = _mechanism(document), _cases(document)
    failures: list[tuple[int, Difference]] = []
    refusals: list[DecodeError] = []
    for index, case in enumerate(cases):
        try:
            there = _case(mechanism, *_prepared(mechanism, case, f"cases[{index}]"), f"cases[{index}]")
        except DecodeError as error:
            refusals.append(error)
            there = Difference(error.message, error.expected, error.found)
        if there is not None:
            failures.append((index, there))
    if len(refusals) == len(cases):
        raise refusals[0]
    if not failures:
        return Report(mechanism.name, len(cases), 0)
    index, there = failures[0]
    name = cases[index].get("name", "") if isinstance(cases[index], dict) else ""
    return Report(
        mechanism.name, len(cases) - len(failures), len(failures), index, name if isinstance(name, str) else "", there
    )


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _no_file("is not JSON", str(error)[:120]) from None


def _no_file(what: str, found: str, fix: str = "") -> DecodeError:
    return DecodeError(
        f"the file {what}", code="BAD_CASES", expected=_FORM, found=found, fix=fix or "see docs/cli.md, `conformance`"
    )


def _mechanism(document: Any) -> Mechanism:
    if not isinstance(document, dict):
        raise _no_file("is no conformance file", shown(document))
    name = document.get("mechanism")
    if not isinstance(name, str):
        raise _no_file("names no mechanism", shown(name) if "mechanism" in document else shown(document))
    known = mechanisms()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise DecodeError(
            "there is no such mechanism",
            code="UNKNOWN_MECHANISM",
            expected=", ".join(known),
            found=printable(name[:80]),
            fix=f"did you mean {near[0]}?" if near else "name one of them",
        )
    return known[name]


def _cases(document: dict[str, Any]) -> Sequence[dict[str, Any]]:
    cases = document.get("cases")
    if not isinstance(cases, list):
        raise _no_file("has no list of cases", shown(cases) if "cases" in document else shown(document))
    if not cases:
        raise _no_file("has no case", "an empty list")
    return cases


def _prepared(mechanism: Mechanism, case: Any, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(case, dict):
        raise _no_file(f"has something else at {path}", shown(case))
    if mechanism.whole and isinstance(case.get("expect"), list):
        case = {**case, "expect": {mechanism.whole: case["expect"]}}
    for part in ("input", "expect"):
        if not isinstance(case.get(part), dict):
            found = shown(case[part]) if part in case else shown(case)
            raise _no_file(f"has no object {path}.{part}", found, f"write {part} as an object of fields")
    if not case["expect"]:
        raise _no_file(f"expects nothing at {path}.expect", "an empty object", "name at least one field")
    return read(mechanism.takes, case["input"], f"{path}.input"), case["expect"]


def _case(mechanism: Mechanism, inputs: dict[str, Any], expected: dict[str, Any], path: str) -> Difference | None:
    """The first difference of a case. Fields that the case does not expect are not compared."""
    try:
        found = mechanism.run(inputs)
    except CaseFailed as error:
        return Difference("expect", expected, f"refused: {error.found}")
    except DecodeError as error:
        error.message = f"{path}.{error.message}"
        raise
    for name, value in expected.items():
        form = mechanism.gives.fields.get(name)
        if form is None:
            return Difference(f"expect.{name}", value, f"no such field; there are {', '.join(mechanism.gives.fields)}")
        try:
            normal = read(form, value, f"expect.{name}")
        except DecodeError as error:
            return Difference(error.message.split(" ", 1)[0], value, found.get(name))
        if there := difference(form, normal, found[name], f"expect.{name}"):
            return there
    return None
