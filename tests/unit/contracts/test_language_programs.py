"""Valid programs give the value that plain CPython gives, at equal gas every time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from contract_bench import run
from contract_expressions import EXPRESSIONS
from contract_forms import FORMS
from contract_idioms import CHANGES, IDIOMS
from contract_programs import VALID
from contract_tricky import TRICKY

PROGRAMS = VALID | TRICKY | FORMS | CHANGES


def plain(value: Any) -> Any:
    """Values as they cross the border: tuples as lists; types beside values, because True == 1."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return [(plain(key), plain(item)) for key, item in value.items()]
    return (type(value).__name__, value)


@pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")  # the plain Python beside it, from 3.12 on
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_valid_program_means_what_python_means(name: str) -> None:
    source, cases = PROGRAMS[name]
    for arguments in cases:
        scope: dict[str, Any] = {"ZERO": ZeroDivisionError}
        exec(source, scope)
        expected = scope["main"](*copy.deepcopy(arguments))
        found = run(source, "main", arguments)
        assert (found.status, found.code) == ("ok", ""), (arguments, found)
        assert plain(found.value) == plain(expected)
        assert run(source, "main", arguments).gas == found.gas


@pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")  # as above
def test_expressions_are_worth_what_python_says() -> None:
    for expression in EXPRESSIONS:
        found = run(f"def main():\n    return {expression}\n")
        assert (found.status, plain(found.value)) == ("ok", plain(eval(expression))), expression


def test_methods_and_named_arguments_are_worth_what_python_says() -> None:
    for start in range(0, len(IDIOMS), 40):
        some = IDIOMS[start : start + 40]
        lines = "".join(f"    found.append({expression})\n" for expression in some)
        found = run(f"def main():\n    found = []\n{lines}    return found\n")
        assert found.status == "ok", found
        for expression, value in zip(some, found.value, strict=True):
            assert plain(value) == plain(eval(expression)), expression


@pytest.mark.parametrize("name", ["for_range", "dict_methods", "sort_keys", "recursion", "strings"])
def test_out_of_gas_at_every_point(name: str) -> None:
    source, cases = VALID[name]
    needed = run(source, "main", cases[-1]).gas
    seen = set()
    for gas in range(0, needed, max(1, needed // 150)):
        found = run(source, "main", cases[-1], gas=gas)
        assert found.code == "OutOfGas", gas
        assert found.gas == gas
        seen.add(found.line)
    assert run(source, "main", cases[-1], gas=needed).status == "ok"
    assert run(source, "main", cases[-1], gas=needed - 1).code == "OutOfGas"
    assert len(seen) > 1
