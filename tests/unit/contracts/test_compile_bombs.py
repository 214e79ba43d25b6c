"""Sources that would make the compiler work long: refused or compiled at once."""

# ruff: noqa: E501  # one source a line

from __future__ import annotations

import time

import pytest

from contracts.compile import compile_source
from contracts.solo_run import run_solo

DEPTH = 16
NESTED: dict[str, tuple[str, str, str]] = {
    "starred call": ("", "max(*", ")"),
    "starred call of an own function": ("", "main(*", ")"),
    "method of a list": ("a = []", "a.append(", ")"),
    "count": ("a = []", "a.count(", ")"),
    "get with default": ("a = {}", "a.get(1, ", ")"),
    "pop with default": ("a = {1: []}", "a.pop(1, ", ")"),
    "setdefault": ("a = {}", "a.setdefault(1,", ")"),
    "chain": ("", "(1 < ", " < 5)"),
    "chain of tests": ("", "(x in ", " in x)"),
    "require": ("", "require(", ",'A')"),
    "item assignment": ("x = []", "x[", "]"),
    "range": ("", "range(", ")"),
    "map": ("", "map(abs, ", ")"),
    "sorted": ("", "sorted(", ", key=abs)"),
    "text method": ("a = ''", "a.find(", ")"),
}
WIDE: dict[str, str] = {
    "functions in a chain": "".join(f"def f{i}(x):\n    return f{i + 1}(x + 1)\n\n" for i in range(900))
    + "def f900(x):\n    return x\n\ndef main(x=0):\n    return f0(x)\n",
    "locals in a chain": "def main():\n    v1200 = 1\n    for k in range(5):\n"
    + "".join(f"        v{i} = v{i + 1} + 1\n" for i in range(1_200))
    + "    return v0\n",
    "tuples that double": "def main():\n    t = ()\n" + "    t = (t, t)\n" * 1_500 + "    return t\n",
    "dicts that double": "def main():\n    t = {}\n" + "    t = {'a': t, 'b': t}\n" * 1_000 + "    return t\n",
    "constants that fold": "def main():\n    return ['a' * 65536 * 65536, (1,) * 65536 * 65536, 10 ** 10 ** 10, 1 << 10 ** 10]\n",
    "handlers": "def main():\n" + "    try:\n        y = 1\n    except KeyMissing:\n        y = 2\n" * 900 + "    return y\n",
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_operands_inside_each_other_do_not_double_the_work(name: str) -> None:
    setup, before, behind = NESTED[name]
    lines = "\n".join(
        f"    {line}" for line in (setup or "pass", "return (", *[before] * DEPTH, "x", *[behind] * DEPTH, ")")
    )
    start = time.process_time()
    compile_source(f"def main(x=0):\n{lines}\n", pure=True)
    assert time.process_time() - start < 5


def test_records_in_records_are_linked_once_each() -> None:
    rows = ["R0 = record('R0', a=u64)", *(f"R{i} = record('R{i}', a=R{i - 1}, b=R{i - 1})" for i in range(1, 32))]
    start = time.process_time()
    found = run_solo(("\n".join(rows) + "\n\ndef main(x: R31):\n    return x\n").encode(), "main", [1])
    assert (found.status, found.code) == ("reverted", "TypeMismatch")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", WIDE)
def test_a_whole_source_of_one_kind_compiles_at_once(name: str) -> None:
    start = time.process_time()
    compile_source(WIDE[name], pure=True)
    assert time.process_time() - start < 20
