"""Contracts as plain Python: the same lines, the types that mypy sees, functions that a debugger can step through."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.library_sources import library_source
from contracts.rules import SourceRejected
from contracts.vocabulary import API, CATCHABLE_NAMES, CTX_FIELDS, DECLARATIONS, DECORATORS
from gridchain.testing import load
from ledger.errors import GridchainError
from node.cli.contract_files import CONTRACT
from node.contract_testing import language
from node.contract_testing.plain import as_python

SHOP = '''"""A shop."""

Item = record(
    "Item",
    price=u64,
    owner=Address,
)
Sold = event("Sold", indexed=("number",), number=u64, buyer=Address)

items = Map(
    (u64, str), Item
)
by_price = Index(items, by=("price",))
names = Map(str, u64, default=7)
last = Var(u64, default=0)
gone = Var(list[u64])


@export
def offer(number: u64, name: str, price: u64) -> u64:
    require(price > 0, "BAD_PRICE", {"price": price})
    items[(number, name)] = Item(price=price, owner=ctx.sender)
    return len(items.items(number))


@export(scheduled=True)
def close(due: u64) -> None:
    emit(Sold, number=due, buyer=ctx.sender)
    schedule(due + 1, "close")


@export
def buy(number: u64, name: str) -> u64:
    try:
        item = items[(number, name)]
    except KeyMissing:
        revert("NO_ITEM", {"number": number})
    try:
        check(item.price)
    except TOO_DEAR:
        return 0
    items[(number, name)] = item.replace(owner=ctx.sender)
    return call("token", "pay", item.price)


def check(price: u64) -> None:
    if price > 100:
        raise Revert("TOO_DEAR")


@view
def count() -> u64:
    return names["x"] + len(gone.get())
'''


def lines_of(text: str) -> dict[str, int]:
    return {node.name: node.lineno for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    "name", ["registry", "token", "metering", "double_auction", "governance", "matching", "routing", "assignment"]
)
def test_every_function_stays_on_its_line(name: str) -> None:
    text = library_source(name)
    found = as_python(text)
    assert found is not None
    assert lines_of(found) == lines_of(text)
    assert not {"record", "event"} & {
        node.value.func.id
        for node in ast.parse(found).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
    }


def test_declarations_become_classes_in_place() -> None:
    found = as_python(SHOP)
    assert found is not None
    assert lines_of(found) == lines_of(SHOP)
    rows = found.split("\n")
    assert rows[2] == "class Item(Record): price: u64; owner: Address"
    assert rows[7] == "class Sold(Event): number: u64; buyer: Address"
    assert rows[9:12] == ["items = Map[tuple[u64, str], Item]()", "", ""]
    assert rows[12] == 'by_price = Index(items, by=("price",))'
    assert rows[13] == "names = MapWithDefault[str, u64](default=7)"
    assert "class TOO_DEAR(Revert): ..." in rows


@pytest.mark.parametrize(
    "text",
    ["import os\n\n@export\ndef f() -> None:\n    pass\n", "def f():\n    pass\n", "def f(:\n", "x = 1\n", "\x00"],
)
def test_other_modules_are_left_alone(text: str) -> None:
    assert as_python(text) is None


def test_the_typed_names_are_those_of_the_language() -> None:
    wanted = API | DECORATORS | CATCHABLE_NAMES | {"ctx", "u64", "u256", "Address", "Var", "Map", "Index"}
    assert wanted | {"Record", "Event", "MapWithDefault"} == set(language.__all__)
    assert all(hasattr(language.ctx, field) for field in CTX_FIELDS)


def test_the_stub_for_editors_has_every_name_of_the_language() -> None:
    text = (Path(language.__file__).parent / "editor_names.pyi").read_text(encoding="utf-8")
    body = ast.parse(text).body
    bound = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                bound.add(name)
            case _:
                pass
    assert API | DECORATORS | CATCHABLE_NAMES | DECLARATIONS | {"ctx", "u64", "u256", "Address"} == {
        name for name in bound if not name.startswith("_")
    }
    context = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == "_Context")
    fields = {
        node.target.id for node in context.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert fields == CTX_FIELDS


def test_a_contract_runs_as_a_plain_module(tmp_path: Path) -> None:
    token = tmp_path / "token.py"
    token.write_text(
        "@export\ndef pay(amount: u64) -> u64:\n    require(amount != 13, 'THIRTEEN')\n    return amount + 1\n"
    )
    file = tmp_path / "shop.py"
    file.write_text(SHOP)
    shop = load(file, contracts={"token": load(token)})
    shop.ctx.sender = b"\x01" * 32
    assert shop.offer(2, "b", 5) == 1
    assert shop.offer(2, "a", 9) == 2
    assert [key for key, _ in shop.items.items(2)] == [(2, "a"), (2, "b")]
    assert shop.items.keys(2, after=(2, "a"), limit=5) == [(2, "b")]
    assert shop.by_price.keys(limit=5) == [(5, 2, "b"), (9, 2, "a")]
    assert [item.price for _, item in shop.by_price.items(9, limit=1)] == [9]
    assert shop.offer(3, "dear", 500) == 1
    assert shop.buy(3, "dear") == 0
    assert shop.buy(2, "b") == 6
    assert shop.items[(2, "b")].owner == b"\x01" * 32
    with pytest.raises(Exception, match="NO_ITEM") as caught:
        shop.buy(9, "x")
    assert caught.value.details == {"number": 9}
    assert [found.lineno + 1 for found in caught.traceback if found.path == file] == [lines_of(SHOP)["buy"] + 4]
    with pytest.raises(KeyError):
        shop.count()
    shop.gone.set([1, 2])
    shop.gone.get().append(3)
    assert shop.count() == 9
    shop.close(5)
    assert shop.events == [("Sold", {"number": 5, "buyer": b"\x01" * 32})]
    assert shop.scheduled == [(6, "close", ())]
    with pytest.raises(GridchainError, match="UNKNOWN_CONTRACT"):
        load(file).view_call("bank", "balance")
    file.write_text("@export\ndef f() -> None:\n    import os\n")
    with pytest.raises(SourceRejected, match="C031"):
        load(file)


def test_mypy_checks_contracts_through_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\nwarn_return_any = false\nplugins = node.contract_testing.mypy_plugin\n"
    )
    (tmp_path / "jar.py").write_text(CONTRACT)
    (tmp_path / "shop.py").write_text(SHOP)
    wrong = SHOP.replace('"BAD_PRICE", {', "5, {").replace("number=due, buyer", "number='x', buyer")
    wrong = wrong.replace("item.replace(owner=ctx.sender)", "item.prize").replace('names["x"]', "names[1]")
    (tmp_path / "wrong.py").write_text(wrong)
    (tmp_path / "other.py").write_text("x: int = u64\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "jar.py", "shop.py", "wrong.py", "other.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    where = lines_of(SHOP)
    told = done.stdout
    assert done.stderr == ""
    for line, words in (
        (where["offer"] + 1, 'Argument 2 to "require" has incompatible type "int"; expected "str"'),
        (where["close"] + 1, 'Argument "number" has incompatible type "str"; expected "int"'),
        (where["buy"] + 9, '"Item" has no attribute "prize"'),
        (where["count"] + 1, "Invalid index type"),
    ):
        assert any(found.startswith(f"wrong.py:{line}: ") and words in found for found in told.split("\n")), told
    assert 'other.py:1: error: Name "u64" is not defined' in told
    assert "Found 5 errors in 2 files" in told
