"""Hostile programs: refused with their rule, or reverted with their code, in bounded time and memory."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

import resource
import time

import pytest
from contract_attacks import REJECTED, REVERTED
from contract_bench import run
from contract_failing import FAILING
from contract_hostile import REFUSED

from contracts.compile import compile_source
from contracts.limits import PYC1
from contracts.rules import RULES, SourceRejected


@pytest.mark.parametrize(("rule", "source"), REJECTED + REFUSED)
def test_a_program_outside_the_language_is_refused_with_its_rule(rule: str, source: str | bytes) -> None:
    found = run(source)
    assert (found.status, found.code) == ("rejected", rule)
    assert found.line >= 1


@pytest.mark.parametrize("words", ["max([1], nokey=2)", "f(b=1)", "zip([1], longest=True)", "len([1], key=f)"])
def test_a_wrong_call_is_refused_at_its_own_line(words: str) -> None:
    with pytest.raises(SourceRejected) as error:
        compile_source(f"def f(a):\n    return a\n\n\ndef main():\n    x = 1\n    return {words}\n", pure=True)
    assert (error.value.finding.code, error.value.finding.line) == ("C077", 7)


@pytest.mark.parametrize(("code", "source"), REVERTED + FAILING)
def test_a_failing_program_reverts_with_its_code(code: str, source: str) -> None:
    before = time.process_time()
    found = run(source)
    assert (found.status, found.code) == ("reverted", code), found
    assert 0 <= found.line <= source.count("\n")
    assert 0 <= found.gas <= 50_000_000
    assert run(source, gas=100_000).gas <= 100_000
    assert time.process_time() - before < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1024 * 1024


def test_every_rule_is_in_the_corpus_or_is_about_declarations() -> None:
    shown = {rule for rule, _ in REJECTED}
    assert set(RULES) - shown <= {"C030", "C062", "C063", *(f"C07{n}" for n in range(1, 7))}


@pytest.mark.parametrize(
    ("rule", "below", "above"),
    [
        ("C004", "#" * 127 + "\n", "#"),
        ("C010", "def main():\n    return " + "(" * 30 + "1" + ")" * 30 + "\n", "def main():\n    return " + "(" * 31 + "1" + ")" * 31),
        ("C012", "#" * 400 + "\n", "#" * 401 + "\n"),
        ("C014", "def main():\n    return " + "-" * 8 + "1\n", "def main():\n    return " + "-" * 9 + "1\n"),
        ("C016", "x = 1" + "0" * 75 + "\n", "x = 1" + "0" * 78 + "\n"),
        ("C021", "def main(x):\n    return x" + "[0]" * 60 + "\n", "def main(x):\n    return x" + "[0]" * 61 + "\n"),
        ("C061", "def main(x):\n    return " + " < ".join("x" * 9) + "\n", "def main(x):\n    return " + " < ".join("x" * 10) + "\n"),
        ("C045", "def main(x):\n    return [1" + " for a in x" * 3 + "]\n", "def main(x):\n    return [1" + " for a in x" * 4 + "]\n"),
    ],
)  # fmt: skip
def test_limits_of_sources_at_the_edge(rule: str, below: str, above: str) -> None:
    if rule == "C004":
        below, above = below * (PYC1.source_bytes // 128), below * (PYC1.source_bytes // 128) + above
    compile_source(below, pure=True)
    with pytest.raises(SourceRejected) as refused:
        compile_source(above, pure=True)
    assert refused.value.code == rule


@pytest.mark.parametrize(
    ("expression", "below", "code"),
    [
        ("'a' * n", 65_536, "BadValue"),
        ("b'a' * n", 65_536, "BadValue"),
        ("len([0] * n)", 65_536, "BadValue"),
        ("len(list(range(n)))", 65_536, "BadValue"),
        ("len([i for i in range(n)])", 65_536, "BadValue"),
        ("2 ** n", 254, "Overflow"),
        ("1 << n", 254, "Overflow"),
        ("(-2) ** n", 255, "Overflow"),
        ("nest(n)", 31, "BadValue"),
        ("deep(n)", 63, "DepthExceeded"),
        ("len({(1,) * n: 1})", 4, "BadValue"),
        ("0 .to_bytes(n, 'big')", 32, "BadValue"),
    ],
)
def test_limits_of_values_at_n_and_n_plus_1(expression: str, below: int, code: str) -> None:
    source = (
        "def nest(n):\n    x = []\n    for i in range(n):\n        x = [x]\n    return x\n\n"
        "def deep(n):\n    if n > 1:\n        return deep(n - 1)\n    return 0\n\n"
        f"def main(n):\n    return {expression}\n"
    )
    assert run(source, "main", [below - 1]).status == "ok"
    assert run(source, "main", [below]).status == "ok"
    assert run(source, "main", [below + 1]).code == code
