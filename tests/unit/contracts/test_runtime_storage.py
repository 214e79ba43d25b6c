"""Storage, records, events: typed, ordered, copied, bounded."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

from typing import Any

import pytest
from contract_bench import ALICE, BOB, Bench

from contracts.executor import QueryFailed
from contracts.values import decode_value

SHOP = '''
"""A shop."""
Item = record("Item", price=u64, name=str, tags=list[str], owner=Address, big=u256, signed=int, flag=bool)
Pair = record("Pair", left=Item, note=bytes)

count = Var(u64, default=0)
motto = Var(str)
names = Var(list[str])
items = Map(u64, Item)
grid = Map((u64, Address), u64, default=0)
by_name = Map(str, u64)
by_int = Map(int, bool)
wide = Map(u256, int)
pairs = Map((bool, bytes), Pair)

Added = event("Added", indexed=("number",), number=u64, name=str, tags=list[str], big=u256)


@init
def setup(words: list[str]) -> None:
    names.set(words)


@export
def add(price: u64, name: str, tags: list[str], big: u256, signed: int) -> u64:
    number = count.get()
    count.set(number + 1)
    item = Item(price=price, name=name, tags=tags, owner=ctx.sender, big=big, signed=signed, flag=True)
    items[number] = item
    by_name[name] = number
    grid[number, ctx.sender] += price
    emit(Added, number=number, name=name, tags=tags, big=big)
    return number


@export
def rename(number: u64, name: str) -> None:
    items[number] = items[number].replace(name=name, tags=["renamed"])


@export
def drop(number: u64) -> None:
    del items[number]


@export
def mutate(number: u64) -> list:
    item = items[number]
    tags = item.tags
    tags.append("local")
    words = names.get()
    words.append("local")
    return [tags, item.tags, names.get()]


@export
def pair(number: u64) -> bytes:
    pairs[(True, b"x")] = Pair(left=items[number], note=b"n")
    return pairs[(True, b"x")].note


@export
def ints(values: list[int]) -> list:
    for value in values:
        by_int[value] = value > 0
    for value in values:
        if value >= 0:
            wide[value] = -value
    return [by_int.keys(), by_int.items(limit=2), wide.items(), by_int.keys((), after=0, limit=1)]


@export
def untyped(value: int, who: bytes) -> int:
    return grid[value, who]


@view
def get(number: u64) -> dict | None:
    found = items.get(number)
    if found is None:
        return None
    return {"price": found.price, "name": found.name, "tags": found.tags, "big": found.big, "signed": found.signed}


@view
def whole(number: u64) -> Item:
    return items[number]


@view
def page(number: u64, limit: u64) -> list:
    return grid.items((number,), limit=limit)


@view
def all_names() -> list:
    return [by_name.items(), by_name.keys(limit=1), "a" in by_name, "zz" in by_name, by_name.get("zz", 7)]


@view
def the_motto() -> str:
    return motto.get()
'''


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.installed("shop", SHOP, ["one", "two"])
    return made


def test_records_and_maps_come_back_as_written(bench: Bench) -> None:
    assert bench.value("shop", "add", 5, "a", ["x", "y"], 2**200, -(2**100)) == 0
    assert bench.value("shop", "add", 2**64 - 1, "b", [], 0, -1) == 1
    assert bench.query("shop", "get", 0) == {
        "price": 5, "name": "a", "tags": ["x", "y"], "big": 2**200, "signed": -(2**100),
    }  # fmt: skip
    assert bench.query("shop", "get", 7) is None
    assert bench.query("shop", "whole", 1)["owner"] == ALICE
    assert bench.query("shop", "all_names") == [[["a", 0], ["b", 1]], ["a"], True, False, 7]
    bench.value("shop", "rename", 0, "aa")
    assert bench.query("shop", "get", 0)["name"] == "aa"
    assert bench.query("shop", "get", 0)["tags"] == ["renamed"]
    bench.value("shop", "drop", 0)
    assert bench.query("shop", "get", 0) is None
    assert bench.call("shop", "drop", 0).code == "KeyMissing"
    assert bench.value("shop", "pair", 1) == b"n"


def test_what_storage_gives_is_a_copy(bench: Bench) -> None:
    bench.value("shop", "add", 5, "a", ["x"], 0, 0)
    assert bench.value("shop", "mutate", 0) == [["x", "local"], ["x"], ["one", "two"]]
    assert bench.query("shop", "get", 0)["tags"] == ["x"]


def test_keys_are_in_order_and_pages_go_on_behind_a_key(bench: Bench) -> None:
    values = [5, -3, 0, 2**254, -(2**255), 1]
    found = bench.value("shop", "ints", values)
    assert found[0] == sorted(values)
    assert found[1] == [[-(2**255), False], [-3, False]]
    assert found[2] == [[0, 0], [1, -1], [5, -5], [2**254, -(2**254)]]
    assert found[3] == [1]


def test_prefix_pages(bench: Bench) -> None:
    for sender in (BOB, ALICE):
        for _ in range(3):
            bench.value("shop", "add", 1, "n", [], 0, 0, sender=sender)
    assert bench.query("shop", "page", 0, 10) == [[[0, BOB], 1]]
    assert bench.query("shop", "page", 9, 10) == []
    with pytest.raises(QueryFailed) as failed:
        bench.query("shop", "page", 0, 5_000)
    assert failed.value.code == "BadValue"
    assert failed.value.message.startswith("shop.page failed at line ")


def test_events_carry_their_fields_canonically(bench: Bench) -> None:
    receipt = bench.call("shop", "add", 5, "a", ["x"], 2**99, 0)
    assert [(event.contract, event.name) for event in receipt.events] == [("shop", "Added")]
    assert decode_value(receipt.events[0].data) == {"number": 0, "name": "a", "tags": ["x"], "big": 2**99}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((2**64, "a", [], 0, 0), "Overflow"),
        ((-1, "a", [], 0, 0), "Overflow"),
        ((5, "a", [], -1, 0), "Overflow"),
        ((5, 7, [], 0, 0), "TypeMismatch"),
        ((5, "a", [1], 0, 0), "TypeMismatch"),
        ((5, "a", "no", 0, 0), "TypeMismatch"),
        ((True, "a", [], 0, 0), "TypeMismatch"),
        ((5, "a", []), "TypeMismatch"),
        ((5, "a", [], 0, 0, 0), "TypeMismatch"),
        ((5, "a" * 65_537, [], 0, 0), "BadValue"),
        ((5, "a", ["t" * 60_000, "t" * 30_000], 0, 0), "BadValue"),
        ((None, "a", [], 0, 0), "TypeMismatch"),
    ],
)
def test_arguments_are_checked_by_their_types(bench: Bench, arguments: tuple[Any, ...], code: str) -> None:
    before = dict(bench.view.rows)
    receipt = bench.call("shop", "add", *arguments)
    assert (receipt.ok, receipt.code, receipt.events) == (False, code, ())
    assert {key: row for key, row in bench.view.rows.items() if key[:1] != b"n"} == {
        key: row for key, row in before.items() if key[:1] != b"n"
    }


def test_keys_are_checked_by_their_types(bench: Bench) -> None:
    assert bench.value("shop", "untyped", 0, ALICE) == 0
    assert bench.call("shop", "untyped", -1, ALICE).code == "Overflow"
    assert bench.call("shop", "untyped", 0, b"short").code == "BadValue"


def test_a_cell_without_value_or_default_is_missing(bench: Bench) -> None:
    with pytest.raises(QueryFailed) as failed:
        bench.query("shop", "the_motto")
    assert failed.value.code == "KeyMissing"


def test_a_view_called_by_a_transaction_gives_its_value(bench: Bench) -> None:
    assert bench.value("shop", "get", 7) is None


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("C072", "x = Var(u64)\n\n@view\ndef f() -> int:\n    x.set(1)\n    return 1\n"),
        ("C072", "x = Map(u64, u64)\n\ndef g():\n    x[1] = 2\n\n@view\ndef f() -> int:\n    g()\n    return 1\n"),
        ("C072", "x = Map(u64, u64)\n\n@view\ndef f() -> int:\n    del x[1]\n    return 1\n"),
        ("C072", "E = event('E', a=u64)\n\n@view\ndef f() -> int:\n    emit(E, a=1)\n    return 1\n"),
        ("C072", "@view\ndef f() -> int:\n    call('a', 'b')\n    return 1\n"),
        ("C071", "@export\ndef f(a) -> int:\n    return 1\n"),
        ("C071", "@export\ndef f(a: int):\n    return 1\n"),
        ("C071", "@export(scheduled=True)\ndef f() -> None:\n    pass\n"),
        ("C073", "@export\ndef f() -> None:\n    schedule(1, 'g')\n"),
        ("C073", "@export\ndef f() -> None:\n    schedule(1, 'f')\n"),
        ("C073", "@init\ndef g() -> None:\n    pass\n\n@export\ndef f() -> None:\n    g()\n"),
        ("C077", "@export(scheduled=True)\ndef g(due: int, a: int) -> None:\n    pass\n\n@export\ndef f() -> None:\n    schedule(1, 'g')\n"),
        ("C070", "@init\ndef g() -> None:\n    pass\n\n@init\ndef f() -> None:\n    pass\n"),
        ("C074", "R = record('Q', a=u64)\n"),
        ("C074", "R = record('R')\n"),
        ("C074", "R = record('R', replace=u64)\n"),
        ("C074", "R = record('R', a=dict)\n"),
        ("C074", "R = record('R', a=u64)\n\ndef f():\n    return R(1)\n"),
        ("C074", "R = record('R', a=u64)\n\ndef f():\n    return R(b=1)\n"),
        ("C054", "R = record('R', a=u64)\n\ndef f(r: R):\n    return r.b\n"),
        ("C074", "R = record('R', a=u64)\n\ndef f(r: R):\n    return r.replace(b=1)\n"),
        ("C054", "R = record('R', a=u64)\n\ndef f(r: R):\n    r.a = 1\n"),
        ("C052", "R = record('R', __class__=u64)\n"),
        ("C075", "E = event('E', indexed=('b',), a=u64)\n"),
        ("C075", "E = event('E', a=u64)\n\ndef f():\n    emit(E)\n"),
        ("C075", "E = event('E', a=u64)\n\ndef f():\n    emit(E, a=1, b=2)\n"),
        ("C075", "def f(E):\n    emit(E, a=1)\n"),
        ("C076", "x = Var()\n"),
        ("C076", "x = Var(u64, default='a')\n"),
        ("C076", "x = Var(u64, default=-1)\n"),
        ("C076", "x = Map(list, u64)\n"),
        ("C076", "x = Map((u64, u64, u64, u64, u64), u64)\n"),
        ("C076", "x = Map(u64, dict)\n"),
        ("C076", "x = Var(u64)\n\ndef f():\n    return x[1]\n"),
        ("C076", "x = Map((u64, u64), u64)\n\ndef f():\n    return x[1, 2, 3]\n"),
        ("C066", "x = Var(u64)\n\ndef f():\n    return x\n"),
        ("C066", "x = Map(u64, u64)\n\ndef f():\n    return [x]\n"),
        ("C057", "x = Var(u64)\n\ndef f():\n    return x.pop()\n"),
        ("C057", "x = Map(u64, u64)\n\ndef f():\n    return x.values()\n"),
        ("C053", "int = 1\n"),
        ("C053", "def list(x):\n    return 1\n"),
        ("C056", "sum = 1\n\ndef f():\n    return sum([1])\n"),
        ("C059", "x = Map(u64, float)\n"),
        ("C059", "@export\ndef f(a: x) -> None:\n    pass\n"),
        ("C071", "@export\ndef f(a: int | str) -> None:\n    pass\n"),
        ("C060", "@export\ndef f() -> None:\n    pass\n\nf()\n"),
        ("C079", "@export\ndef f() -> None:\n    revert('Internal')\n"),
    ],
)  # fmt: skip
def test_declarations_and_their_use_are_checked(rule: str, source: str) -> None:
    bench = Bench()
    receipt = bench.install("c", source)
    assert (receipt.ok, receipt.code) == (False, rule)
    assert bench.view.rows == {}
