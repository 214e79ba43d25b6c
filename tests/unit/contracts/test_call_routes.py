"""Calls whose names stand in the source go a short road (`contracts.routes`): same outcome as the machine's, always."""

from __future__ import annotations

from typing import Any

import pytest
from contract_bench import ALICE, BOB, Bench
from msgspec.structs import replace

from contracts import compile as compiling
from contracts.state_format import InstanceRecord
from ledger.codec import decode, encode
from ledger.crypto import contract_address
from ledger.objects import Receipt
from ledger.schema import state_contract

HOLDER = """
held = Map(Address, u64, default=0)
Held = event("Held", who=Address, amount=u64)


@export
def hold(who: Address, amount: u64) -> u64:
    held[who] += amount
    emit(Held, who=who, amount=amount)
    require(amount != 13, "UNLUCKY", {"amount": amount})
    return held[who]


@export
def deep(n: u64) -> int:
    if n == 0:
        return 0
    return 1 + deep(n - 1)


@export
def sender() -> Address:
    return ctx.sender


@export
def names() -> list:
    return [ctx.self_address, ctx.sender, "text"]


@export
def back(n: u64) -> int:
    return call("front", "hold", ctx.sender, n)


@export(reentrant=True)
def again(n: u64) -> int:
    if n == 0:
        return 0
    return call("front", "more", n)


@view
def shown() -> int:
    return 7


@export(scheduled=True)
def later(due: u64) -> None:
    held[ctx.sender] += 1
"""
KEEPER = """
LOG = [0]


@export
def logged() -> int:
    LOG.append(1)
    return len(LOG)
"""
FRONT = """
@export
def hold(who: Address, amount: int) -> list:
    first = call("holder", "hold", who, amount)
    return [first, call("holder", "hold", who, 1), ctx.sender]


@export
def deep(n: u64) -> int:
    return nested(n, 3)


def nested(n: u64, more: u64) -> int:
    if more:
        return nested(n, more - 1)
    return call("holder", "deep", n)


@export
def sender() -> list:
    return [call("holder", "sender"), call("holder", "names"), ctx.sender, ctx.self_address]


@export
def back() -> int:
    return call("holder", "back", 1)


@export(reentrant=True)
def more(n: u64) -> int:
    return call("holder", "again", n - 1)


@export
def logged() -> list:
    return [call("keeper", "logged"), call("keeper", "logged")]


@export
def shown() -> int:
    return call("holder", "shown")


@export
def wrong(kind: u64) -> int:
    if kind == 0:
        return call("holder", "nothing")
    if kind == 1:
        return call("nobody", "hold")
    if kind == 2:
        return call("stranger", "hold", ctx.sender, 1)
    if kind == 3:
        return call("holder", "hold", ctx.sender)
    if kind == 4:
        return call("holder", "hold", b"short", 1)
    if kind == 5:
        return call("holder", "hold", ctx.sender, -1)
    return call("holder", "later", 1)
"""
CALLS: list[tuple[Any, ...]] = [
    ("hold", BOB, 5), ("hold", BOB, 13), ("hold", ALICE, 2**64), ("deep", 3), ("deep", 70), ("deep", 200), ("sender",),
    ("back",), ("more", 1), ("more", 9), ("logged",), ("shown",), *(("wrong", kind) for kind in range(7)),
]  # fmt: skip


def prepared() -> Bench:
    bench = Bench()
    bench.installed("holder", HOLDER, calls=("front",))
    bench.installed("stranger", HOLDER)
    bench.installed("keeper", KEEPER)
    bench.installed("front", FRONT, calls=("holder", "keeper", "nobody"))
    return bench


def outcomes(bench: Bench, gases: list[int]) -> list[tuple[Receipt, dict[bytes, bytes]]]:
    return [
        (bench.call("front", *what, gas=gas), dict(bench.view.rows)) for gas in gases for what in CALLS for _ in "ab"
    ]


def test_the_short_road_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiling.compile_source(FRONT)
    certain = {("holder", "hold", "Address", "int"), ("holder", "hold", "Address", "u64"), ("holder", "deep", "u64")}
    assert certain | {("nobody", "hold"), ("holder", "hold", "any", "u64")} <= made.routes
    bench = prepared()
    monkeypatch.setattr("contracts.frames.Machine.called", None)
    monkeypatch.setattr("contracts.frames.Machine.invoke", None)
    assert bench.call("front", "hold", BOB, 5).ok


def test_the_short_road_and_the_machine_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    gases = [200_000, *range(1_200, 5_000, 190)]
    short = outcomes(prepared(), gases)
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "_compiled", compiling._compiled.__wrapped__)
        patch.setattr("contracts.api_calls._route", lambda _: None)
        assert not compiling.compile_source(FRONT).routes
        long = outcomes(prepared(), gases)
    for (one, rows), (other, others) in zip(short, long, strict=True):
        assert (one, rows) == (other, others)
    codes = {receipt.code for receipt, _ in short}
    assert {"", "UNLUCKY", "Reentrancy", "DepthExceeded", "AuthDenied", "TypeMismatch", "OutOfGas"} <= codes
    assert {"UNKNOWN_CONTRACT", "UNKNOWN_ENTRY", "Overflow"} <= codes


TAKER = (
    "".join(
        f"@export\ndef t{name}(value: {name}) -> int:\n    return 1\n\n"
        for name in ("u64", "u256", "int", "bool", "Address", "bytes", "str")
    )
    + "@export\ndef rest(value: int, more: int = 2) -> int:\n    return more\n"
)
GIVEN = {"u64": (0, 2**64 - 1), "u256": (2**64, 2**255 - 1), "int": (-1, 5), "bool": (True,), "Address": (BOB,)}
GIVER = "".join(
    f'@export\ndef f{entry}_{name}(value: {name}) -> int:\n    return call("taker", "{entry}", value)\n\n'
    for name in GIVEN
    for entry in ("tu64", "tu256", "tint", "tbool", "tAddress", "tbytes", "tstr", "rest")
)


def test_what_is_certain_of_arguments_changes_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every type that can be certain, given to every type of parameter."""

    def all_outcomes() -> list[Receipt]:
        bench = Bench()
        bench.installed("taker", TAKER)
        bench.installed("giver", GIVER, calls=("taker",))
        entries = [line[4:].split("(")[0] for line in GIVER.splitlines() if line.startswith("def ")]
        return [bench.call("giver", entry, value) for entry in entries for value in GIVEN[entry.split("_")[1]]]

    short = all_outcomes()
    assert {("taker", "tint", "u64"), ("taker", "tbytes", "Address")} <= compiling.compile_source(GIVER).routes
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "_compiled", compiling._compiled.__wrapped__)
        patch.setattr("contracts.routes._copies", lambda *_: None)
        assert all_outcomes() == short
    assert sum(receipt.ok for receipt in short) == 23
    assert {receipt.code for receipt in short} == {"", "TypeMismatch", "Overflow"}


def test_a_route_follows_the_record_of_its_target() -> None:
    bench = prepared()
    assert bench.value("front", "hold", BOB, 5)[:2] == [5, 6]
    mark = bench.view.checkpoint()
    key = state_contract("holder")
    record = decode(InstanceRecord, bench.view.get(key))
    bench.view.put(key, encode(replace(record, version=2)))
    assert bench.value("front", "hold", BOB, 5)[:2] == [11, 12]
    bench.view.delete(key)
    assert bench.call("front", "hold", BOB, 5).code == "UNKNOWN_CONTRACT"
    bench.view.rollback(mark)
    assert bench.value("front", "hold", BOB, 5)[2] == ALICE
    assert bench.value("front", "sender")[0] == contract_address("front")
