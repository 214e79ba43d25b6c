"""Every limit of the table at n-1, n and n+1. A limit without a test here fails the last test."""

# ruff: noqa: E501  # one source a line

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import fields

import pytest
from contract_bench import Bench, run

from contracts import keys
from contracts.compile import compile_source
from contracts.executor import ExecutionLimits
from contracts.faults import OutOfMemory
from contracts.limits import PYC1, Limits
from contracts.meter import Meter
from contracts.rules import SourceRejected
from contracts.values import TooLarge, decode_value, encode_value

PLENTY = 10**10
RETURN = "def main(x=0):\n    return "


def admitted(source: str) -> str:
    """The rule that refuses a source, or "ok"."""
    try:
        compile_source(source, pure=True)
    except SourceRejected as refused:
        return refused.code
    return "ok"


def ran(source: str, argument: object = 0) -> str:
    """The code with which `main(argument)` fails, or "ok"."""
    found = run(source, "main", [argument], gas=PLENTY)
    return found.code or found.status


def of_nodes(count: int) -> str:
    """A source of exactly so many syntax nodes: an expression statement of a literal is two."""
    pairs, odd = divmod(count - 6, 2)
    ones = ["    " + "1;" * 99 + "1\n"] * (pairs // 100) + (
        ["    " + "1;" * (pairs % 100 - 1) + "1\n"] if pairs % 100 else []
    )
    source = "def main(x):\n" + "".join(ones) + "    pass\n" * (1 + odd) + "    return\n"
    assert sum(1 for _ in ast.walk(ast.parse(source))) == count
    return source


def of_tokens(count: int) -> str:
    """A logical line of so many tokens: `return`, brackets, and items with commas."""
    items, odd = divmod(count - 3, 2)
    rows = ["1," * 100 + "\n"] * (items // 100) + ["1," * (items % 100) + ("1" if odd else "") + "\n"]
    return "def main(x):\n    return [\n" + "".join(rows) + "]\n"


def frames(count: int) -> str:
    """Three contracts, one above the other, with so many function frames together."""
    bench = Bench()
    body = "@export\ndef go(n: u64, rest: u64) -> u64:\n    if n > 1:\n        return go(n - 1, rest)\n    "
    bench.installed("c", body + "return 1\n")
    bench.installed("b", body + "return call('c', 'go', rest, 0)\n", calls=("c",))
    bench.installed("a", body + "return call('b', 'go', 60, rest)\n", calls=("b",))
    receipt = bench.call("a", "go", 60, count - 120, gas=PLENTY)
    return receipt.code or "ok"


def contracts_deep(count: int) -> str:
    """So many contracts that call each other."""
    bench = Bench()
    bench.installed("c1", "@export\ndef go() -> u64:\n    return 1\n")
    for index in range(2, count + 1):
        called = f"c{index - 1}"
        bench.installed(f"c{index}", f"@export\ndef go() -> u64:\n    return call('{called}', 'go')\n", calls=(called,))
    receipt = bench.call(f"c{count}", "go")
    return receipt.code or "ok"


def allocated(size: int) -> str:
    meter = Meter()
    meter.mem = PYC1.memory
    try:
        meter.allocate(size)
    except OutOfMemory as error:
        return error.code
    return "ok"


def decoded(size: int) -> str:
    try:
        decode_value(encode_value(b"x" * (size - 5)))
    except TooLarge:
        return "TooLarge"
    return "ok"


def calls_itself(depth: int) -> str:
    return ran("def main(n):\n    if n > 1:\n        return main(n - 1)\n    return 0\n", depth)


def nested(depth: int) -> str:
    return ran("def main(n):\n    y = 1\n    for i in range(n):\n        y = [y]\n    return y\n", depth)


def long_key(size: int) -> str:
    """In storage and in memory, where `test_key_sizes` looks at every way in."""
    stored = ran("m = Map(str, u64, default=0)\n\ndef main(n):\n    return m['a' * n]\n", size)
    kept = ran("def main(n):\n    d = {}\n    d['a' * n] = 1\n    return len(d)\n", size)
    return kept if kept == stored else f"{stored} stored, {kept} kept"


# limit -> (what happens with n, the code above it)
CASES: dict[str, tuple[Callable[[int], str], str]] = {
    "source_bytes": (lambda n: admitted(("#" * 127 + "\n") * (n // 128) + "#" * (n % 128)), "C004"),
    "brackets": (lambda n: admitted(RETURN + "(" * n + "1" + ")" * n + "\n"), "C010"),
    "indents": (lambda n: admitted("def main():\n" + "".join("    " * i + "if 1:\n" for i in range(1, n)) + "    " * n + "return 1\n"), "C011"),
    "line_chars": (lambda n: admitted("#" * n + "\n"), "C012"),
    "logical_line_tokens": (lambda n: admitted(of_tokens(n)), "C013"),
    "prefix_run": (lambda n: admitted(RETURN + "-" * n + "1\n"), "C014"),
    "elif_chain": (lambda n: admitted("def main(x):\n    if x:\n        return 0\n" + "    elif x:\n        return 1\n" * n), "C015"),
    "literal_digits": (lambda n: admitted(RETURN + "0" * n + "\n"), "C016"),
    "tree_depth": (lambda n: admitted(RETURN + "x" + "[0]" * (n - 4) + "\n"), "C021"),
    "tree_nodes": (lambda n: admitted(of_nodes(n)), "C022"),
    "comparisons": (lambda n: admitted(RETURN + " < ".join("x" * (n + 1)) + "\n"), "C061"),
    "comprehension_clauses": (lambda n: admitted(RETURN + "[1" + " for a in x" * n + "]\n"), "C045"),
    "nested_scopes": (lambda n: admitted(RETURN + "[" * n + "1" + " for a in x]" * n + "\n"), "C045"),
    "nested_functions": (lambda n: admitted("def main(x):\n" + "".join(f"    def f{i}():\n        return x\n" for i in range(n)) + "    return f0()\n"), "C063"),
    "parameters": (lambda n: admitted("def main(" + ", ".join(f"a{i}" for i in range(n)) + "):\n    return 1\n"), "C041"),
    "record_fields": (lambda n: admitted("R = record('R',\n" + "".join(f"    f{i}=u64,\n" for i in range(n)) + ")\n"), "C074"),
    "text": (lambda n: ran("def main(n):\n    return [len('a' * n), len(b'a' * n), len(bytes(n))]\n", n), "BadValue"),
    "items": (lambda n: ran("def main(n):\n    return [len([0] * n), len((0,) * n), len(list(range(n)))]\n", n), "BadValue"),
    "nesting": (nested, "BadValue"),
    "key_items": (lambda n: ran("def main(n):\n    return len({(1,) * n: 1})\n", n), "BadValue"),
    "strip_chars": (lambda n: ran("def main(n):\n    return 'aba'.strip('a' * n)\n", n), "BadValue"),
    "key_bytes": (long_key, "BadValue"),
    "code_chars": (lambda n: ran("def main(n):\n    try:\n        revert('A' * n)\n    except Revert:\n        return 1\n", n), "BadValue"),
    "memory": (allocated, "OutOfMemory"),
    "function_depth": (calls_itself, "DepthExceeded"),
    "frames": (frames, "DepthExceeded"),
    "call_depth": (contracts_deep, "DepthExceeded"),
    "stored_value": (lambda n: ran("v = Var(bytes)\n\ndef main(n):\n    v.set(b'a' * (n - 3))\n", n), "BadValue"),
    "event_bytes": (lambda n: ran("E = event('E', d=bytes)\n\ndef main(n):\n    emit(E, d=b'a' * (n - 6))\n", n), "BadValue"),
    "call_events": (lambda n: ran("E = event('E', d=u64)\n\ndef main(n):\n    for i in range(n):\n        emit(E, d=1)\n", n), "BadValue"),
    "page": (lambda n: ran("m = Map(u64, u64)\n\ndef main(n):\n    return m.keys(limit=n)\n", n), "BadValue"),
    "value_bytes": (decoded, "TooLarge"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_limit_at_its_edge(name: str) -> None:
    happens, code = CASES[name]
    limit = getattr(PYC1, name)
    assert (happens(limit - 1), happens(limit), happens(limit + 1)) == ("ok", "ok", code)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("    match x:\n", "        case {n}:\n            x = 1\n"),
        ("    try:\n        x = 1\n", "    except C{n}:\n        x = 2\n"),
    ],
)
def test_cases_and_handlers_are_alternatives_too(head: str, row: str) -> None:
    def rule(count: int) -> str:
        rows = "".join(row.replace("{n}", str(number)) for number in range(count))
        return admitted(f"def main(x=0):\n{head}{rows}    return x\n")

    assert [rule(PYC1.elif_chain + by) for by in (-1, 0, 1)] == ["ok", "ok", "C015"]


def test_records_are_nested_as_deep_as_values() -> None:
    def rule(depth: int) -> str:
        rows = [f"R{i} = record('R{i}', a={f'R{i - 1}' if i else 'u64'})" for i in range(depth)]
        return admitted("\n".join(rows) + "\n")

    assert [rule(PYC1.nesting + by) for by in (-1, 0, 1)] == ["ok", "ok", "C074"]


def test_integers_at_their_edges() -> None:
    top, low = "2**254 - 1 + 2**254", "-(2**254) - 2**254"
    assert run(f"def main():\n    return [{top} - 1, {top}]\n").value == [PYC1.int_high - 2, PYC1.int_high - 1]
    assert run(f"def main():\n    return {top} + 1\n").code == "Overflow"
    assert run(f"def main():\n    return [{low} + 1, {low}]\n").value == [PYC1.int_low + 1, PYC1.int_low]
    assert run(f"def main():\n    return {low} - 1\n").code == "Overflow"


def test_small_keys_are_kept_as_they_are() -> None:
    kept = [keys.wrap(key) for key in (-1, 0, PYC1.small_key - 1, PYC1.small_key, PYC1.small_key + 1)]
    assert [kept[1], kept[2]] == [0, PYC1.small_key - 1]
    assert not {-1, PYC1.small_key, PYC1.small_key + 1} & set(kept)
    assert [keys.unwrap(key) for key in kept] == [-1, 0, PYC1.small_key - 1, PYC1.small_key, PYC1.small_key + 1]


@pytest.mark.parametrize("sign", [1, -1])
def test_wide_keys_cost_more(sign: int) -> None:
    source = "def main(k):\n    d = {}\n    d[k] = 1\n    return d[k]\n"
    below, at, above = (run(source, "main", [sign * (PYC1.narrow_key + by)]).gas for by in (-1, 0, 1))
    assert below < at == above


PLANNED = "@init\ndef begin() -> None:\n    schedule(5_000, 'later', gas={n})\n\n@export(scheduled=True)\ndef later(due: u64) -> None:\n    pass\n"


def test_gas_of_scheduled_calls_at_the_edge() -> None:
    limit = ExecutionLimits().scheduled_gas
    found = [Bench().install("c", PLANNED.replace("{n}", str(limit + by))) for by in (-1, 0, 1)]
    assert [receipt.code or "ok" for receipt in found] == ["ok", "ok", "BadValue"]


@pytest.mark.parametrize("which", ["transaction_gas", "install_gas", "query_gas", "scheduled_default_gas"])
def test_a_call_has_the_gas_of_its_limit_and_no_more(which: str) -> None:
    source = (
        "v = Var(u64, default=0)\n\n@init\ndef begin(n: u64) -> None:\n    work(n)\n\ndef work(n: u64) -> u64:\n"
        "    t = 0\n    for i in range(n):\n        t = t + i\n    return t\n\n"
        "@export\ndef spin(n: u64) -> u64:\n    return work(n)\n\n@view\ndef look(n: u64) -> u64:\n    return work(n)\n\n"
        "@export\ndef plan(n: u64) -> None:\n    schedule(2_000, 'later', n)\n\n"
        "@export(scheduled=True)\ndef later(due: u64, n: u64) -> None:\n    work(n)\n"
    )

    def needs(limit: int, n: int) -> tuple[str, int]:
        bench = Bench(ExecutionLimits(**({which: limit} | ({} if which == "install_gas" else {"install_gas": PLENTY}))))
        if which == "install_gas":
            receipt = bench.install("c", source, n)
            return receipt.code, receipt.gas
        bench.installed("c", source, 0)
        if which == "query_gas":
            try:
                return "", 0 * bench.query("c", "look", n)
            except Exception as refused:  # noqa: BLE001  # any refusal of a query; its code says why
                return getattr(refused, "code", "?"), 0
        if which == "transaction_gas":
            receipt = bench.call("c", "spin", n, gas=PLENTY)
            return receipt.code, receipt.gas
        assert bench.call("c", "plan", n).ok
        bench.now, bench.height = 3_000, 2
        (receipt,) = bench.executor.run_due(bench.view, bench.block())
        return receipt.code, receipt.gas

    low, high = 1, 1_000_000
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if needs(middle, 50)[0] == "" else (middle + 1, high)
    assert [needs(low + by, 50)[0] for by in (-1, 0, 1)] == ["OutOfGas", "", ""]


def test_no_limit_is_without_a_test() -> None:
    elsewhere = {"int_low", "int_high", "small_key", "narrow_key"}
    assert {field.name for field in fields(Limits)} == set(CASES) | elsewhere
    gas = {
        "transaction_gas",
        "deploy_gas",
        "install_gas",
        "query_gas",
        "scheduled_default_gas",
        "scheduled_gas",
        "scheduled_block_gas",
    }
    assert {field.name for field in fields(ExecutionLimits)} == gas
