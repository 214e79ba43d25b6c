"""What contract code can reach: helpers under names that no source can spell, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from contract_bench import run
from contract_programs import VALID

from contracts import vocabulary as words
from contracts.clock import MarketClock
from contracts.compile import compile_source
from contracts.frames import Machine
from contracts.limits import ExecutionLimits
from contracts.outcome import outcome_of
from contracts.program import Instance
from ledger.errors import InvariantBroken

NAMES = {"dict": "dictof", "set": "setof", "pow": "pow_", "range": "ranged"}


def linked(source: str) -> Instance:
    machine = Machine(MarketClock(0, 0, 1), ExecutionLimits())
    return Instance(compile_source(source, pure=True), "c", frozenset(), machine.library)


@pytest.mark.parametrize("name", VALID)
def test_every_name_in_scope_is_one_that_source_cannot_spell(name: str) -> None:
    scope = linked(VALID[name][0]).scope
    assert scope["__builtins__"] == {}
    assert all(found.startswith("$") for found in scope if found != "__builtins__")
    for function in scope.values():
        if getattr(function, "__code__", None) is not None and function.__code__.co_filename.startswith("<contract:"):
            assert function.__builtins__ == {}
            assert function.__closure__ is None


def test_every_builtin_and_method_of_the_vocabulary_is_wrapped() -> None:
    scope = linked("x = 1\n").scope
    assert {f"${NAMES.get(name, name)}" for name in words.BUILTINS} <= set(scope)
    assert {f"${name}" for name in words.API if name != "view_call"} <= set(scope)
    assert {f"${kind}.{name}" for kind, name in words.CLASS_METHODS} <= set(scope)
    for kind, names in words.METHODS.items():
        if kind != "record":
            assert {f"${kind}.{name}" for name in names} <= set(scope), kind


def test_helpers_of_generated_code_are_all_linked() -> None:
    for source, _ in VALID.values():
        instance = linked(source)
        wanted: set[str] = set()
        pending: list[Any] = [instance.program.code]
        while pending:
            code = pending.pop()
            wanted |= {name for name in code.co_names if name.startswith("$")}
            pending.extend(const for const in code.co_consts if hasattr(const, "co_names"))
        assert wanted <= set(instance.scope)


def test_a_name_that_is_not_linked_is_a_fault_of_the_host() -> None:
    try:
        raise NameError("name '$gone' is not defined", name="$gone")
    except NameError as error:
        with pytest.raises(InvariantBroken):
            outcome_of(error)


def test_what_must_fail_at_run_time_is_said_as_advice() -> None:
    source = "R = record('R', a=u64)\nS = record('S', b=u64)\n\ndef main():\n    r = R(a=1)\n    return r.b\n"
    program = compile_source(source, pure=True)
    assert [(found.code, found.line) for found in program.warnings] == [("C054", 6)]
    assert run(source).code == "TypeMismatch"
