"""Whatever bytes come as source or arguments, the answer is a refusal, a revert or a value, never a host exception."""

from __future__ import annotations

import ast
import random
from typing import Any

import pytest
from contract_attacks import REJECTED, REVERTED
from contract_bench import Bench, run
from contract_programs import VALID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.rules import RULES
from contracts.values import decode_value, encode_value
from ledger.errors import DecodeError, GridchainError

SOURCES = [source for source, _ in VALID.values()] + [str(source) for _, source in REJECTED[30:] + REVERTED]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

scalars = st.none() | st.booleans() | st.integers(-(2**255), 2**255 - 1) | st.text(max_size=20) | st.binary(max_size=40)
dict_keys = st.integers(-(2**255), 2**255 - 1) | st.text(max_size=9) | st.binary(max_size=9)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(dict_keys, inner, max_size=4), max_leaves=20
)


def judged(source: str | bytes, arguments: list[Any] | None = None) -> None:
    found = run(source, "main", arguments, gas=60_000) if b"def main" in _raw(source) else run(_raw(source) + MAIN)
    assert found.status in ("ok", "reverted", "rejected")
    if found.status == "rejected":
        assert found.code in RULES or found.code == "NO_ENTRY"
    assert found.code != "Internal", source


MAIN = b"\ndef main():\n    return 1\n"


def _raw(source: str | bytes) -> bytes:
    return source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_as_source(raw: bytes) -> None:
    judged(raw)


@QUICK
@given(st.text(alphabet="()[]{}:,.+-*/%=<>!&|^~@#'\"\\ \nabcdefilmnorstwxy0123456789_{}f", max_size=200))
def test_python_like_text_as_source(text: str) -> None:
    judged("def main(x=0):\n    return " + text)


TOKENS = sorted({token for source in SOURCES for token in source.replace("(", " ( ").replace(")", " ) ").split(" ")})


@QUICK
@given(st.lists(st.sampled_from(TOKENS), max_size=30))
def test_shuffled_tokens_as_source(tokens: list[str]) -> None:
    judged("def main(x=0):\n    " + " ".join(tokens) + "\n")


@pytest.mark.parametrize("seed", range(40))
def test_mutated_programs(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        source = chance.choice(SOURCES)
        if len(source) > 3_000:
            continue
        for _ in range(chance.randrange(1, 4)):
            other = chance.choice(SOURCES)
            at, start = chance.randrange(len(source) + 1), chance.randrange(len(other))
            piece = other[start : start + chance.randrange(1, 25)]
            source = source[:at] + piece + source[at + chance.randrange(0, 12) :]
        judged(source, [3, [1, 2], "ab"][: chance.randrange(0, 3)])


class Swap(ast.NodeTransformer):
    """Puts a node of one program into the place of another's."""

    def __init__(self, chance: random.Random, donors: list[ast.expr]) -> None:
        self.chance, self.donors = chance, donors

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return self.chance.choice(self.donors) if self.chance.random() < 0.06 else node
        return node


@pytest.mark.parametrize("seed", range(40))
def test_transplanted_expressions(seed: int) -> None:
    chance = random.Random(seed)
    sources = [source for source, _ in VALID.values() if "elif x == 59" not in source]
    donors = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.expr)]
    donors = [node for node in donors if isinstance(getattr(node, "ctx", ast.Load()), ast.Load)]
    for _ in range(10):
        name = chance.choice([name for name in VALID if VALID[name][0] in sources])
        source, cases = VALID[name]
        tree = Swap(chance, donors).visit(ast.parse(source))
        try:
            text = ast.unparse(ast.fix_missing_locations(tree))
        except (ValueError, RecursionError):
            continue
        judged(text + "\n", chance.choice(cases))


@QUICK
@given(st.lists(values, max_size=3))
def test_any_values_as_arguments(arguments: list[Any]) -> None:
    for name in ("arithmetic", "comparisons", "dict_methods", "list_methods", "strings", "sort_keys", "fstrings"):
        judged(VALID[name][0], arguments)


BENCH = Bench()
BENCH.installed(
    "c",
    "R = record('R', a=u64, b=list[str])\n\n"
    "@export\ndef f(a: u64, b: str, c: Address, d: list[int], e: bool) -> int:\n    return a\n\n"
    "@export\ndef g(a: dict, b: list, c: tuple, d: R, e: u256 | None) -> list:\n    return [a, b, c, d, e]\n\n"
    "@export\ndef h(a: u64, b: u64) -> int:\n    return a + b\n",
)


@QUICK
@given(st.binary(max_size=120), st.sampled_from("fgh"))
def test_any_bytes_as_arguments(raw: bytes, entry: str) -> None:
    receipt = BENCH.call("c", entry, raw=raw)
    assert receipt.ok or receipt.code in ("BadValue", "TypeMismatch", "Overflow")


@QUICK
@given(st.lists(values, min_size=2, max_size=6), st.sampled_from("fgh"))
def test_any_encoded_values_as_arguments(arguments: list[Any], entry: str) -> None:
    receipt = BENCH.call("c", entry, *arguments)
    assert receipt.ok or receipt.code in ("BadValue", "TypeMismatch", "Overflow")


@QUICK
@given(values)
def test_values_have_one_encoding(value: Any) -> None:
    raw = encode_value(value)
    assert decode_value(raw) == value
    assert encode_value(decode_value(raw)) == raw


@QUICK
@given(st.binary(max_size=60))
def test_bytes_decode_to_a_value_with_that_encoding_or_are_refused(raw: bytes) -> None:
    try:
        value = decode_value(raw)
    except DecodeError:
        return
    assert encode_value(value) == raw


@pytest.mark.parametrize("value", [1.5, object(), {None: 1}, {(1, (2,)): 1}, 2**255, -(2**255) - 1, {1}, "\ud800"])
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(GridchainError):
        encode_value(value)
