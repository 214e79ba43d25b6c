"""Ways around a price, a limit or an order that once worked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from contract_bench import Bench, run

SUPPORT = Path(__file__).parents[2] / "support"
GROWING = """
def main():
    xs = [1]
    [xs.append(1) for x in xs if len(xs) < 60000]
    return len(xs)
"""
UNPACKED_SET = """
def main():
    xs = [(1, 2), (3, 4)]
    rows = [[1, (2, 3)], [1, (2, 3)]]
    first = [(a, xs.append({"p", "q"})) for a, b in xs]
    return [first, [(b, rows[1].insert(1, {"p", "q"}), rows[1].pop()) for a, (b, c) in rows]]
"""


def test_a_comprehension_runs_over_the_items_that_were_there() -> None:
    assert run(GROWING).value == 2


def test_no_comprehension_unpacks_a_set() -> None:
    found = run(UNPACKED_SET)
    assert (found.status, found.code) == ("reverted", "TypeMismatch")


@pytest.mark.parametrize("which", ["any", "all"])
def test_looking_at_a_set_costs_its_size(which: str) -> None:
    def gas(size: int) -> int:
        return run(f"def main():\n    s = set(range({size}))\n    return {which}(s)\n").gas

    base = [run(f"def main():\n    s = set(range({size}))\n    return len(s)\n").gas for size in (10, 1_010)]
    assert (gas(1_010) - gas(10)) - (base[1] - base[0]) == 8_000


@pytest.mark.parametrize(
    "made",
    [
        "[[ZEROS] for i in range(60000)]",
        "list(map(lambda i: [ZEROS], range(60000)))",
        "[(ZEROS) for i in range(60000)]",
    ],
)
def test_displays_inside_comprehensions_and_lambdas_take_memory(made: str) -> None:
    zeros = ",\n".join(["0"] * 600)
    assert run("def main():\n    return len(" + made.replace("ZEROS", zeros) + ")\n").code == "OutOfMemory"


LATE = """
def main():
    try:
        try:
            return deeper(1)
        finally:
            FINAL
    except (X, Assertion, DivByZero):
        return 5


def deeper(n):
    return deeper(n + 1) + 1
"""


@pytest.mark.parametrize("final", ['revert("X")', "assert False", "1 // 0"])
def test_finally_never_replaces_what_ends_the_transaction(final: str) -> None:
    assert run(LATE.replace("FINAL", final)).code == "DepthExceeded"
    assert run(LATE.replace("FINAL", final).replace("deeper(1)", "1 % 0")).value == 5


TOKEN = """
moved = Var(u64, default=0)


@export
def move() -> None:
    moved.set(moved.get() + 1)
    revert("LATE")


@view
def count() -> u64:
    return moved.get()
"""
SWALLOW = """
@export
def swallow() -> u64:
    try:
        try:
            call("token", "move")
        finally:
            revert("MINE")
    except MINE:
        return 1
    return 2
"""


def test_a_failed_callee_cannot_be_swallowed_with_its_writes() -> None:
    bench = Bench()
    bench.installed("token", TOKEN)
    bench.installed("thief", SWALLOW, calls=("token",))
    receipt = bench.call("thief", "swallow")
    assert (receipt.ok, receipt.code) == (False, "LATE")
    assert bench.query("token", "count") == 0


@pytest.mark.parametrize("more", ["1", "x"])
def test_adding_a_number_to_a_list_costs_the_same_whatever_is_known(more: str) -> None:
    source = "def main(x):\n    xs = [1]\n    try:\n        xs += MORE\n    except TypeMismatch:\n        return 1\n"
    assert run(source.replace("MORE", more), arguments=[1]).gas == run(source.replace("MORE", "1"), arguments=[1]).gas


@pytest.mark.parametrize("spec", ["5", "<05", "012,", "^7", ">6", "08x", "*^9d", "05", "x<3", "0"])
@pytest.mark.parametrize("value", ["True", "False", "-1234567", "0", "255"])
def test_formats_are_those_of_python(spec: str, value: str) -> None:
    assert run(f"def main():\n    return f'{{{value}:{spec}}}'\n").value == format(eval(value), spec)


@pytest.mark.parametrize(
    "use",
    ["f()", "[f() for i in range(2)]", "list(map(lambda v: f(), [1]))", "{f() for i in [1]}", "sorted([2, 1], key=g)"],
)
def test_a_nested_function_that_was_not_defined_is_the_contracts_fault(use: str) -> None:
    """It once ended the node: the compiler took its own name for a captured value for one that linking had missed."""
    nested = "        def f():\n            return n\n        def g(x):\n            return x * n\n"
    found = run(f"def main(flag):\n    n = 1\n    if flag:\n{nested}    return {use}\n", arguments=[False])
    assert (found.status, found.code) == ("reverted", "BadValue")


def test_no_set_order_reaches_a_result() -> None:
    script = f"import contract_bench; print(contract_bench.run({UNPACKED_SET!r}))"
    outputs = set()
    for seed in ("1", "2", "3", "4"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{SUPPORT}:{SUPPORT.parents[1]}"}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment
        )
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1
