"""The differential oracle: the product and an interpreter of its own agree on random programs, line by line and gas
by gas. A seed is printed with what differs; the program made small is kept in `oracle/regressions.jsonl` for ever."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from contract_attacks import REVERTED
from contract_failing import FAILING
from contract_forms import FORMS
from contract_programs import VALID
from contract_tricky import TRICKY

from contracts import statements
from contracts.compile import _compiled
from contracts.limits import GasTable, Limits
from oracle import compare
from oracle.campaign import campaign, run_chunk
from oracle.compare import MEMORY, Alone, Different, Tally, check_kept, check_pure, check_seed, difference, source_of
from oracle.regressions import kept
from oracle.shrink import shrunk

HERE = Path(__file__).parents[1] / "oracle"
HARNESS = {"compare.py", "campaign.py"}
CI_PROGRAMS, CHUNK = 1_000, 10
"""Ten programs take two to seven seconds, so that a machine that is ten times slower is still in time."""
CI_TRIES = 100
SOAK_PROGRAMS, SOAK_CHUNK = 100_000, 1_000


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_the_oracle_knows_nothing_of_the_product_but_its_tables() -> None:
    modules = [path for path in HERE.glob("*.py") if path.name not in HARNESS]
    assert len(modules) > 10
    for path in modules:
        own = {name for name in imports_of(path) if name.split(".")[0] in OURS}
        assert own <= {"contracts.limits"}, path.name
        reached = {name for name in imports_of(path) if name.startswith("oracle.")}
        assert not reached & {"oracle.compare", "oracle.campaign"}, path.name


def test_the_account_of_gas_names_every_price_and_no_other() -> None:
    text = (HERE.parents[1] / "docs" / "gas.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(GasTable) if f"`{field.name}`" not in text] == []
    names = set(re.findall(r"`([a-z0-9_]+_[a-z0-9_]+)`", text))
    known = {field.name for row in (GasTable, Limits) for field in fields(row)} | FUNCTIONS
    assert names <= known, names - known


FUNCTIONS = {
    "search_gas",
    "strip_gas",
    "match_case",
    "from_bytes",
    "bit_length",
    "bit_count",
    "to_bytes",
    "mul_div",
    "view_call",
}
FUNCTIONS |= {"contract_address", "verify_ed25519", "symmetric_difference"}
OURS = {"contracts", "ledger", "consensus", "p2p", "node", "deploy", "bench", "gridchain"}


@pytest.mark.parametrize("first", range(0, CI_PROGRAMS, CHUNK))
def test_random_programs_agree(first: int) -> None:
    assert run_chunk(first, first + CHUNK, print, CI_TRIES) == []


def corpus() -> list[tuple[str, str, list[list[Any]]]]:
    valid = [(name, source, cases) for name, (source, cases) in (*VALID.items(), *TRICKY.items(), *FORMS.items())]
    failing = [(f"{code} {index}", source, [[]]) for index, (code, source) in enumerate((*REVERTED, *FAILING))]
    return [(name, str(source), cases) for name, source, cases in (*valid, *failing)]


@pytest.mark.parametrize("part", range(8))
def test_the_corpus_agrees(part: int) -> None:
    """Every program of the corpora that is admitted, line by line and gas by gas; few are not of the language."""
    checked = 0
    for name, source, cases in corpus()[part::8]:
        if "def main(" not in source:
            continue
        alone = Alone(source)
        for arguments in cases:
            assert alone.check(json_of(arguments), 400_000, MEMORY), name
            checked += 1
    assert checked > 60


def json_of(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {key: json_of(item) for key, item in value.items()}
    return [json_of(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.soak
@pytest.mark.parametrize("first", range(CI_PROGRAMS, CI_PROGRAMS + SOAK_PROGRAMS, SOAK_CHUNK))
def test_many_random_programs_agree(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    assert campaign(first, first + SOAK_CHUNK, None, say) == 0


@pytest.mark.parametrize("row", kept(), ids=lambda row: row["what"][:40])
def test_what_differed_once_agrees(row: dict[str, Any]) -> None:
    check_kept(row, Tally())


# the oracle itself


def test_programs_run_deep() -> None:
    """Few programs are refused, most calls end well or run out of what they were given."""
    tally = Tally()
    for seed in range(80):
        check_seed(seed, tally)
    codes = tally.codes or {}
    assert tally.refused <= 6, tally.text()
    assert codes["ok"] > 100, tally.text()
    assert codes["OutOfGas"] > 50, tally.text()
    assert codes["OutOfMemory"] > 10, tally.text()
    assert len(codes) >= 7, tally.text()


def test_a_seed_is_always_the_same_program() -> None:
    assert [source_of(seed) for seed in range(6)] == [source_of(seed) for seed in range(6)]
    assert len({source_of(seed) for seed in range(40)}) == 40


@pytest.mark.parametrize("name", ["LOOP_GAS", "HANDLER_GAS"])
def test_a_price_that_is_off_by_one_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, name, getattr(statements, name) + 1)
    _compiled.cache_clear()
    try:
        assert any(difference(seed, source_of(seed)) for seed in range(40))
    finally:
        _compiled.cache_clear()


def test_a_wrong_interval_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def main(a: int, b: int):\n    return a * b\n"
    monkeypatch.setattr("contracts.expressions.binary_interval", lambda *_: (0, 1))
    _compiled.cache_clear()
    try:
        with pytest.raises(Different, match="Overflow"):
            check_pure(source, [[2**200, 2**200]], random.Random(0), Tally())
    finally:
        _compiled.cache_clear()


def test_a_failing_program_is_made_small() -> None:
    source = source_of(4)

    def fails(candidate: str) -> bool:
        return "K3 = 3" in candidate

    assert fails(source)
    assert shrunk(source, fails) == "K3 = 3\n"


def test_a_difference_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(compare, "keep", lambda *row: found.append(row))
    monkeypatch.setattr(compare, "shrunk", lambda source, fails, _: source if fails(source) else "")
    monkeypatch.setattr("contracts.rewrite.FUNCTION_GAS", 13)
    _compiled.cache_clear()
    try:
        with pytest.raises(Different, match="seed 2"):
            check_seed(2, Tally())
    finally:
        _compiled.cache_clear()
    assert found[0][1] == source_of(2)
    assert len(found[0][2]) == 2
