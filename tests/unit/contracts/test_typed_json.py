"""JSON arguments are read by the declared types: what the schema of an ABI says may travel is what arrives."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.abi_schema import schema_of
from contracts.compile import compile_source
from contracts.limits import PYC1
from contracts.solo_run import run_solo
from contracts.typed_json import typed_arguments
from contracts.values import ValueRefused, encode_value

SOURCE = """
Offer = record("Offer", price=u64, note=str, tags=list[bytes])

@view
def typed(number: u64, wide: int, text: str, data: bytes, who: Address, some: u64 | None = None) -> None:
    return None

@view
def nested(offers: list[Offer], pairs: dict[u64, str], names: dict[str, u64], point: tuple[u64, str]) -> None:
    return None

@view
def loose(anything, *more: u64) -> None:
    return None
"""
PROGRAM = compile_source(SOURCE, pure=True)


def read(entry: str, *arguments: Any) -> list[Any]:
    found: list[Any] = typed_arguments(list(arguments), PROGRAM.contract.functions[entry], PROGRAM.contract.records)
    return found


def test_scalars_by_their_types() -> None:
    who = "0x" + "ab" * 32
    assert read("typed", "18446744073709551615", "-5", "0xff", "0xff", who, "7") == [
        2**64 - 1, -5, "0xff", b"\xff", b"\xab" * 32, 7
    ]  # fmt: skip
    assert read("typed", 5, str(2**255), "12", "0x", who, None) == [5, 2**255, "12", b"", b"\xab" * 32, None]


@pytest.mark.parametrize("text", ["01", "+1", "-0", " 1", "1_0", "0x10g", "1.0", "", "٣"])
def test_what_is_no_decimal_text_is_left_for_the_entry_to_refuse(text: str) -> None:
    if text.startswith("0x"):
        with pytest.raises(ValueRefused):
            read("typed", text)
    else:
        assert read("typed", text) == [text]


def test_containers_item_by_item() -> None:
    offer = {"price": "9007199254740993", "note": "0xaa", "tags": ["0xaa"]}
    assert read("nested", [offer], [["1", "0x01"], [2, "b"]], {"a": "3"}, ["4", "5"]) == [
        [{"price": 2**53 + 1, "note": "0xaa", "tags": [b"\xaa"]}], {1: "0x01", 2: "b"}, {"a": 3}, [4, "5"]
    ]  # fmt: skip
    # a dict has each key once: what does not is left as rows, which the entry refuses
    assert read("nested", [], [["1", "a"], [1, "b"]]) == [[], [[1, "a"], [1, "b"]]]
    assert read("nested", [], [[[["1"]], "a"]]) == [[], [[[["1"]], "a"]]]


def test_what_nothing_declares_is_read_as_ever() -> None:
    assert read("loose", ["12", "0xff", {"a": "0x"}], "3", 4) == [["12", b"\xff", {"a": b""}], 3, 4]
    assert read("typed", 1, 2, "t", "0x", "0x", None, "0x05") == [1, 2, "t", b"", b"", None, b"\x05"]


BORDER = [
    ("str", lambda n: "a" * n, PYC1.text, "BadValue", ("maxLength", PYC1.text)),
    ("bytes", lambda n: "0x" + "00" * n, PYC1.text, "BadValue", ("maxLength", 2 + 2 * PYC1.text)),
    ("list[u64]", lambda n: [1] * n, PYC1.items, "BadValue", ("maxItems", PYC1.items)),
    ("list", lambda n: [1] * n, PYC1.items, "BadValue", ("maxItems", PYC1.items)),
    ("u64", lambda n: 2**64 - 1 - PYC1.items + n, PYC1.items, "Overflow", None),
    ("u256", lambda n: 2**255 - 1 - PYC1.items + n, PYC1.items, "Overflow", None),
    ("int", lambda n: 2**255 - 1 - PYC1.items + n, PYC1.items, "Overflow", None),
    ("Address", lambda n: "0x" + "00" * n, 32, "BadValue", ("pattern", "^0x[0-9a-f]{64}$")),
]


@pytest.mark.parametrize(("declared", "make", "most", "code", "said"), BORDER, ids=[row[0] for row in BORDER])
def test_the_border_refuses_what_the_schema_does_not_allow(
    declared: str, make: Any, most: int, code: str, said: tuple[str, Any] | None
) -> None:
    source = f"def main(x: {declared}) -> int:\n    return 1\n"
    for size, expected in ((most, None), (most + 1, code)):
        found = run_solo(source.encode(), "main", [make(size)], gas=10_000_000)
        assert found.code == expected, (size, found)
    schema = schema_of(compile_source(source, pure=True).contract.functions["main"].parameters[0].shape)
    assert said is None or schema[said[0]] == said[1]


def test_depth_and_floats_are_refused() -> None:
    deep: Any = "1"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(ValueRefused):
        read("loose", deep)
    with pytest.raises(ValueRefused):
        read("typed", 1.5)
    fits: Any = "1"
    for _ in range(PYC1.nesting - 1):
        fits = [fits]
    encode_value(read("loose", fits))
