"""Ordered indexes: pages in the order of the fields, rows in step with every write, whatever is refused or undone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from contract_bench import Bench
from governed_bench import GovernedBench

from contracts.values import decode_value
from ledger.schema import state_storage

BOOK = """
Order = record("Order", hour=u64, price=int, who=str, note=bytes)
orders = Map((u64, str), Order)
book = Index(orders, by=("hour", "price"))
names = Index(orders, by=("who",))


@export
def put(number: u64, side: str, hour: u64, price: int, who: str, note: bytes) -> None:
    orders[number, side] = Order(hour=hour, price=price, who=who, note=note)


@export
def drop(number: u64, side: str) -> None:
    del orders[number, side]


@export
def careful(number: u64, who: str, note: bytes) -> str:
    try:
        orders[number, "b"] = Order(hour=1, price=1, who=who, note=note)
    except BadValue:
        return "refused"
    return "kept"


@export
def failing(number: u64) -> None:
    put(number, "b", 9, 9, "x", b"")
    revert("NO")


@view
def keys(prefix: list, after: list, limit: u64) -> list:
    start = tuple(prefix)
    if len(after) > 0:
        return book.keys(start, after=tuple(after), limit=limit)
    return book.keys(start, limit=limit)


@view
def items(hour: u64) -> list:
    return [[key, order.who] for key, order in book.items((hour,), limit=100)]


@view
def by_name(who: str) -> list:
    return names.keys((who,))
"""


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.installed("c", BOOK)
    return made


def rows_of(bench: Bench, slot: str) -> int:
    prefix = state_storage("c", slot)
    return sum(1 for key in bench.view.rows if key.startswith(prefix))


def test_pages_come_in_the_order_of_the_fields_then_of_the_keys(bench: Bench) -> None:
    for number, (hour, price) in enumerate([(5, 3), (5, -7), (4, 100), (5, 3), (300, 1), (5, 2**200)]):
        bench.value("c", "put", number, "b", hour, price, f"n{number}", b"")
    assert bench.query("c", "keys", [], [], 100) == [
        [4, 100, 2, "b"],
        [5, -7, 1, "b"],
        [5, 3, 0, "b"],
        [5, 3, 3, "b"],
        [5, 2**200, 5, "b"],
        [300, 1, 4, "b"],
    ]
    assert bench.query("c", "keys", [5, 3], [], 100) == [[5, 3, 0, "b"], [5, 3, 3, "b"]]
    assert bench.query("c", "keys", [5], [5, 3, 0, "b"], 1) == [[5, 3, 3, "b"]]
    assert bench.query("c", "items", 5)[0] == [[5, -7, 1, "b"], "n1"]
    assert bench.query("c", "by_name", "n4") == [["n4", 4, "b"]]


def test_a_row_moves_with_its_record_and_goes_with_it(bench: Bench) -> None:
    bench.value("c", "put", 1, "b", 5, 3, "a", b"")
    bench.value("c", "put", 1, "b", 6, 3, "a", b"more")
    assert bench.query("c", "keys", [], [], 10) == [[6, 3, 1, "b"]]
    assert (rows_of(bench, "book"), rows_of(bench, "names")) == (1, 1)
    bench.value("c", "drop", 1, "b")
    assert (rows_of(bench, "book"), rows_of(bench, "names"), rows_of(bench, "orders")) == (0, 0, 0)
    assert bench.call("c", "drop", 1, "b").code == "KeyMissing"


def test_a_write_that_is_refused_leaves_map_and_index_as_they_were(bench: Bench) -> None:
    bench.value("c", "put", 1, "b", 5, 3, "a", b"")
    before = dict(bench.view.rows)
    for who, note in (("x" * 2_000, b""), ("a", bytes(65_530))):
        assert bench.value("c", "careful", 1, who, note) == "refused"
    bench.view.rows = {key: row for key, row in bench.view.rows.items() if key[:1] != b"n"}
    assert bench.view.rows == {key: row for key, row in before.items() if key[:1] != b"n"}


def test_a_revert_undoes_rows_too(bench: Bench) -> None:
    bench.value("c", "put", 1, "b", 5, 3, "a", b"")
    assert bench.call("c", "failing", 1).code == "NO"
    assert bench.query("c", "keys", [], [], 10) == [[5, 3, 1, "b"]]


@pytest.mark.parametrize("seed", range(5))
def test_an_index_is_the_sorted_map_whatever_was_written(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    bench, model = Bench(), {}
    bench.installed("c", BOOK)
    for _ in range(120):
        key = (rng.randrange(12), rng.choice("bs"))
        if rng.random() < 0.3:
            receipt = bench.call("c", "drop", *key)
            assert receipt.ok == (model.pop(key, None) is not None)
        else:
            model[key] = (rng.randrange(4), rng.randrange(-3, 3), rng.choice(("x", "yy", "")))
            assert bench.call("c", "put", *key, *model[key], b"").ok
        if rng.random() < 0.1:
            bench.call("c", "failing", rng.randrange(12))
    expected = sorted([hour, price, *key] for key, (hour, price, _) in model.items())
    assert bench.query("c", "keys", [], [], 1_000) == expected
    paged: list[Any] = []
    while page := bench.query("c", "keys", [], paged[-1] if paged else [], 3):
        paged += page
    assert paged == expected
    assert rows_of(bench, "names") == len(model)


def test_keeping_an_index_is_paid_for(bench: Bench) -> None:
    plain = Bench()
    plain.installed(
        "c",
        BOOK.replace('names = Index(orders, by=("who",))\n', "").replace(
            "    return names.keys((who,))", "    return []"
        ),
    )
    arguments = ("put", 1, "b", 5, 3, "a", b"")
    assert bench.call("c", *arguments).gas > plain.call("c", *arguments).gas + 200
    again = bench.call("c", *arguments).gas
    moved = bench.call("c", "put", 1, "b", 6, 3, "a", b"").gas
    assert moved > again + 400


@pytest.mark.parametrize(
    "declaration",
    [
        "book = Index(orders)",
        "book = Index(orders, by=())",
        "book = Index(orders, by=('hour', 'hour'))",
        "book = Index(orders, by=('nothing',))",
        "book = Index(orders, by=('items',))",
        "book = Index(orders, by='hour')",
        "book = Index(nothing, by=('hour',))",
        "book = Index(cell, by=('hour',))",
        "book = Index(numbers, by=('hour',))",
        "book = Index(by=('hour',))",
        "book = Index(orders, by=('hour',), more=1)",
    ],
)
def test_declarations_are_checked(declaration: str) -> None:
    source = (
        'Order = record("Order", hour=u64, items=list[u64])\norders = Map(u64, Order)\ncell = Var(Order)\n'
        f"numbers = Map(u64, u64)\n{declaration}\n"
    )
    assert Bench().install("c", source).code == "C076"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("book[1]", "C066"),
        ("x = book", "C066"),
        ("book.get(1)", "C057"),
        ("book.items(1, 2)", "C077"),
        ("del book[1]", "C066"),
    ],
)
def test_an_index_is_only_paged(statement: str, code: str) -> None:
    source = (
        'Order = record("Order", hour=u64)\norders = Map(u64, Order)\nbook = Index(orders, by=("hour",))\n\n\n'
        f"@export\ndef f() -> None:\n    {statement}\n"
    )
    assert Bench().install("c", source).code == code


def test_an_index_over_rows_that_were_there_needs_a_migration() -> None:
    bench = GovernedBench()
    old = (
        'Order = record("Order", hour=u64)\norders = Map(u64, Order)\n\n\n@export\ndef put(n: u64, h: u64) -> None:\n'
        "    orders[n] = Order(hour=h)\n"
    )
    added = old + '\n\nbook = Index(orders, by=("hour",))\n\n\n@view\ndef keys() -> list:\n    return book.keys(())\n'
    migrating = added + (
        "\n\n@migrate\ndef move(v: u64, cursor: bytes) -> bytes | None:\n"
        "    for n, order in orders.items((), limit=1000):\n        orders[n] = order\n    return None\n"
    )
    bench.instantiated(old, "c")
    for number in range(5):
        bench.value("c", "put", number, 10 - number)
    artifact = bench.approved(added)
    assert bench.call("governance", "propose", "upgrade", artifact, "c", bench.height + 2).code == "LAYOUT_CHANGED"
    bench.until(bench.planned("c", migrating))
    assert bench.query("c", "keys") == [[10 - number, number] for number in reversed(range(5))]
    both = bench.query("lifecycle", "diff", "c", artifact)
    assert both["storage"] == []


def test_values_of_pages_are_records(bench: Bench) -> None:
    bench.value("c", "put", 1, "b", 5, 3, "a", b"")
    receipt = bench.call("c", "items", 5)
    assert decode_value(receipt.value) == [[[5, 3, 1, "b"], "a"]]
