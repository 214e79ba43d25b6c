"""Whatever anybody sends to `governance` or asks of `lifecycle`, the answer is a receipt or a refusal, never a fault of
the host; and what only a vote may change stays as it was."""

from __future__ import annotations

import random
from typing import Any

import pytest
from contract_bench import ALICE
from governed_bench import ANN, STRANGER, GovernedBench

from contracts.compile import compile_source
from contracts.executor import QueryFailed
from contracts.library_sources import library_source
from contracts.lifecycle import interface_source
from contracts.resolve import Contract, Function
from ledger.schema import STATE_CONTRACT

TEXTS = (
    "", "shop", "governance", "lifecycle", "nobody", "a" * 64, "a" * 65, "a" * 300, "\0", "é", "Shop", "shop@2",
    "pyc/1", "pyc/2", "approve", "upgrade", "freeze", "abort", "rollback", "retry", "x" * 70_000,
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 100, 255, 256, 2**31, 2**53, 2**53 + 1, 2**63, 2**64 - 1, 2**64, -1, 2**255 - 1)
SHOP = "n = Var(u64, default=0)\n\n\n@export\ndef up(by: u64) -> None:\n    n.set(n.get() + by)\n"


def value(rng: random.Random, shape: str, known: list[bytes], depth: int = 0) -> Any:
    if rng.random() < 0.05:
        shape = rng.choice(("u64", "str", "bytes", "bool", "list", "dict", "none"))
    match shape:
        case "u64" | "int":
            return rng.choice(NUMBERS) if rng.random() < 0.5 else rng.randrange(12)
        case "str":
            return rng.choice(TEXTS)
        case "bytes" | "Address":
            return rng.choice(
                (*known, *known, b"", bytes(32), bytes(31), bytes(33), b"x = 1\n", b"import os\n", b"\xff" * 200)
            )
        case "bool":
            return rng.random() < 0.5
        case "dict":
            return {"a": 1, 5: [b"x"]}
        case "none":
            return None
        case _:
            inner = rng.choice(("u64", "str", "Address", "list" if depth < 3 else "bool"))
            return [value(rng, inner, known, depth + 1) for _ in range(rng.randrange(4))]


def arguments(rng: random.Random, function: Function, known: list[bytes]) -> list[Any]:
    count = len(function.parameters) + rng.choice((0, 0, 0, 0, 0, 0, -1, 1))
    shapes = [parameter.shape.tag for parameter in function.parameters] + ["u64"]
    return [value(rng, shape, known) for shape in shapes[: max(0, count)]]


def entries(contract: Contract, role: str) -> list[Function]:
    return [function for _, function in sorted(contract.functions.items()) if function.role == role]


@pytest.mark.parametrize("seed", range(4))
def test_every_argument_gives_an_answer_and_nobody_gets_past_a_vote(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    bench = GovernedBench()
    known = [bench.instantiated(SHOP, "shop"), bench.deployed(SHOP + "\n#\n"), bench.instance("governance")["artifact"]]
    known += [ALICE, ANN, STRANGER]
    governance = compile_source(library_source("governance")).contract
    lifecycle = compile_source(interface_source()).contract
    before = instances(bench)
    codes = set()
    for _ in range(700):
        contract, functions = rng.choice(
            (
                ("governance", entries(governance, "export")),
                ("lifecycle", entries(lifecycle, "export")),
                ("lifecycle", entries(lifecycle, "view")),
                ("governance", entries(governance, "view")),
            )
        )
        function = rng.choice(functions)
        given = arguments(rng, function, known)
        sender = rng.choice((STRANGER, ALICE, ANN))
        receipt = bench.call(contract, function.name, *given, sender=sender)
        codes.add(receipt.code)
        assert receipt.code != "Internal", (function.name, given)
        if function.role == "view":
            assert asked(bench, contract, function.name, given) != "Internal", (function.name, given)
        if rng.random() < 0.05:
            bench.next_block()
    assert {"", "AuthDenied", "NOT_MEMBER", "NO_INSTANCE", "NO_ARTIFACT", "TypeMismatch"} <= codes
    after = instances(bench)
    assert {name: after[name] for name in before} == before
    assert bench.query("governance", "decides")["term"] == 1


def asked(bench: GovernedBench, contract: str, view: str, given: list[Any]) -> str:
    """The code that a query ends with, "" if it gives a value."""
    try:
        bench.query(contract, view, *given)
    except QueryFailed as error:
        return error.code
    return ""


def instances(bench: GovernedBench) -> dict[bytes, bytes]:
    """Records of what runs: one voter alone changes none of them."""
    return {key: row for key, row in bench.view.rows.items() if key.startswith(STATE_CONTRACT)}
