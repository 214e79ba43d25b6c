"""ABI documents: codes of each entry, and an OpenAPI document whose references and paths are right."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.abi_openapi import abi_openapi
from contracts.abi_schema import abi_schema
from contracts.compile import compile_source
from contracts.error_codes import HOST_CODES, ErrorCodes, error_codes
from contracts.library_sources import library_source
from contracts.lifecycle import interface_source

SHOP = """
Item = record("Item", price=u64)
items = Map(u64, Item)
Sold = event("Sold", indexed=("number",), number=u64)


@init
def setup() -> None:
    revert("NEVER")


def checked(price: u64) -> None:
    require(price > 0, "FREE")


@export(auth=("seller",))
def offer(number: u64, price: u64) -> None:
    checked(price)
    if number in items:
        raise Revert("TAKEN")
    items[number] = Item(price=price)


@export
def buy(number: u64) -> None:
    require(number in items, "NO_ITEM", {"number": number})
    call("token", "transfer", ctx.self_address, 1)


@export
def other(code: str) -> None:
    revert(code)


@export(scheduled=True)
def tick(due: u64) -> None:
    pass


@view
def item(number: u64) -> Item | None:
    return items.get(number)
"""


@pytest.mark.parametrize(
    ("entry", "own", "more"),
    [
        ("offer", ("FREE", "TAKEN"), False),
        ("buy", ("NO_ITEM",), True),
        ("other", (), True),
        ("item", (), False),
        ("setup", ("NEVER",), False),
    ],
)
def test_codes_that_an_entry_reaches(entry: str, own: tuple[str, ...], more: bool) -> None:
    assert error_codes(compile_source(SHOP).contract, entry) == ErrorCodes(own, more)


def test_the_schema_lists_codes_rights_and_indexes() -> None:
    entries = abi_schema(compile_source(SHOP))["entries"]
    assert entries["offer"]["errors"] == {"codes": ["FREE", "TAKEN"], "more": False}
    assert (entries["offer"]["auth"], entries["buy"]["auth"]) == (["seller"], [])


def test_paths_are_those_that_a_node_serves() -> None:
    document = abi_openapi(compile_source(SHOP), "shop")
    assert {(path, *methods) for path, methods in document["paths"].items()} == {
        ("/v1/contracts/shop/offer", "post"),
        ("/v1/contracts/shop/buy", "post"),
        ("/v1/contracts/shop/other", "post"),
        ("/v1/contracts/shop/item", "get"),
    }
    schemas = document["components"]["schemas"]
    assert schemas["offer.code"]["enum"] == ["", "FREE", "TAKEN", *HOST_CODES]
    assert schemas["buy.code"]["anyOf"][1] == {"type": "string"}
    assert schemas["event.Sold"]["indexed"] == ["number"]


@pytest.mark.parametrize(
    "name", ["registry", "token", "metering", "double_auction", "matching", "routing", "governance", "lifecycle"]
)
def test_every_reference_of_a_document_of_the_library_leads_somewhere(name: str) -> None:
    source = interface_source() if name == "lifecycle" else library_source(name)
    document = abi_openapi(compile_source(source), name)
    found = references(document)
    assert found
    for reference in found:
        assert reference.startswith("#/components/schemas/")
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for item in value.values() for found in references(item)]
    return [found for item in value for found in references(item)] if isinstance(value, list) else []
