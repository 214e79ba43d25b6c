"""The self-test of a host: small programs whose outcome, line and gas every node has to agree on.

Consensus rests on this interpreter doing what all others do, so a node runs the shipped vector before it joins.
`golden_programs.json` is written by `tests/support/golden_programs.py` from the corpora of the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from contracts.compile import forget_programs
from contracts.solo_run import SoloRun, run_solo
from ledger.errors import ConfigError

VECTOR = "golden_programs.json"


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What calling `main` gives: as `contracts.solo_run.SoloRun`."""

    status: str
    value: Any
    code: str | None
    line: int | None
    gas: int


class GoldenProgram(msgspec.Struct, frozen=True, array_like=True):
    """A source of pure functions, the arguments of `main`, the gas it gets, and the outcome."""

    source: str
    arguments: list[Any]
    gas: int
    outcome: Outcome


def vector_bytes() -> bytes:
    """The shipped vector as it lies in the package."""
    return files("contracts").joinpath(VECTOR).read_bytes()


def read_vector(raw: bytes) -> list[GoldenProgram]:
    """The programs of a vector. Raise `ConfigError` (SELF_TEST_VECTOR) for bytes that are none."""
    try:
        return msgspec.json.decode(raw, type=list[GoldenProgram])
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(
            "the vector of the self-test cannot be read",
            code="SELF_TEST_VECTOR",
            expected=f"contracts/{VECTOR} of a release",
            found=error,
            fix="install gridchain again; its files were changed",
        ) from None


def outcome_now(source: str, arguments: list[Any], gas: int) -> Outcome:
    """What this host makes of a program."""
    found: SoloRun = run_solo(source.encode("utf-8", "surrogatepass"), "main", arguments, gas)
    # through JSON and back, as the vector came: two values that JSON shows alike are alike
    value = msgspec.json.decode(msgspec.json.encode(found.value))
    return Outcome(found.status, value, found.code, found.line, found.gas)


def check_interpreter() -> None:
    """Raise `ConfigError` (PYTHON_OPTIMIZED, PYTHON_IMPLEMENTATION) for an interpreter that may not join."""
    if sys.implementation.name != "cpython":
        raise ConfigError(
            "contracts run on CPython only",
            code="PYTHON_IMPLEMENTATION",
            expected="cpython",
            found=sys.implementation.name,
            fix="run gridchain with CPython 3.11, 3.12 or 3.13",
        )
    if sys.flags.optimize:
        raise ConfigError(
            "an optimised interpreter leaves out asserts",
            code="PYTHON_OPTIMIZED",
            expected="neither -O nor PYTHONOPTIMIZE",
            found=f"-{'O' * sys.flags.optimize}",
            fix="start it without -O, and unset PYTHONOPTIMIZE",
        )


def check_programs(programs: Iterable[GoldenProgram]) -> int:
    """Run the programs and return how many they are. Raise `ConfigError` (SELF_TEST) at the first that differs."""
    count = 0
    try:
        for golden in programs:
            count += 1
            found = outcome_now(golden.source, golden.arguments, golden.gas)
            if found != golden.outcome:
                raise _differs(count, golden, found)
    finally:
        forget_programs()
    return count


@lru_cache(maxsize=1)
def self_test() -> int:
    """The whole test, once a process: interpreter, then vector. Return the number of programs. Raise `ConfigError`."""
    check_interpreter()
    return check_programs(read_vector(vector_bytes()))


def _differs(number: int, golden: GoldenProgram, found: Outcome) -> ConfigError:
    first = golden.source.strip().split("\n")[-1].strip()
    return ConfigError(
        f"contracts do not run here as everywhere else: program {number} of the self-test differs ({first[:60]!r})",
        code="SELF_TEST",
        expected=_shown(golden.outcome),
        found=_shown(found),
        fix="use a release of gridchain as it is, on CPython 3.11, 3.12 or 3.13; whoever changed prices or language on"
        " purpose writes the vector anew (python tests/support/golden_programs.py)",
    )


def _shown(outcome: Outcome) -> str:
    return f"{outcome.status} {outcome.code or repr(outcome.value)[:80]} line {outcome.line} gas {outcome.gas}"
