"""What the compiler knows of types decides speed only: without it, outcome, line and gas are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import contract_bench
import pytest
from contract_attacks import REJECTED, REVERTED
from contract_bench import Run, run
from contract_programs import VALID
from test_contract_integers import Writer

from contracts import compile as compiling
from contracts import expressions, kinds, summaries
from oracle.aliases import Program, arguments_for


def blinded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(compiling, "_compiled", compiling._compiled.__wrapped__)
    plain = expressions.Expressions.visit
    patch.setattr(expressions.Expressions, "visit", lambda self, node: (plain(self, node)[0], kinds.ANY))
    patch.setattr(summaries.Summaries, "result", lambda *_: kinds.ANY)
    patch.setattr("contracts.scope.Scope.kind_of", lambda *_: kinds.ANY)
    patch.setattr("contracts.rewrite._VERSIONED", 0)


def both(source: str | bytes, arguments: list[Any] | None, monkeypatch: pytest.MonkeyPatch, gas: int) -> list[Run]:
    sighted = run(source, "main", arguments, gas=gas)
    with monkeypatch.context() as patch:
        blinded(patch)
        blind = contract_bench.run(source, "main", arguments, gas=gas)
    return [sighted, blind]


def test_the_blind_compiler_is_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    def helpers() -> set[str]:
        code = compiling.compile_source(VALID["for_range"][0], pure=True).code
        return {name for const in code.co_consts for name in getattr(const, "co_names", ())}

    sighted = helpers()
    blinded(monkeypatch)
    assert "$mod" not in sighted
    assert {"$mod", "$mul", "$add"} <= helpers()


def corpus() -> Iterator[tuple[str | bytes, list[Any] | None]]:
    for source, cases in VALID.values():
        for arguments in cases:
            yield source, arguments
    for _, source in (*REJECTED, *REVERTED):
        yield source, None


def test_the_corpus_means_the_same_to_a_blind_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    for source, arguments in corpus():
        sighted, blind = both(source, arguments, monkeypatch, 300_000)
        assert sighted == blind, source


@pytest.mark.parametrize("seed", range(60))
def test_random_integer_programs_mean_the_same_to_a_blind_compiler(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Writer(seed).program()
    for arguments in ([1, 2, 3], [2**63, 5, 2**64 - 1], [0, 7, 1]):
        sighted, blind = both(source, arguments, monkeypatch, 1_000_000)
        assert sighted == blind, source


@pytest.mark.parametrize("seed", range(60))
def test_random_container_programs_mean_the_same_to_a_blind_compiler(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Program(seed).text()
    for arguments in arguments_for(seed):
        sighted, blind = both(source, arguments, monkeypatch, 1_000_000)
        assert sighted == blind, source
