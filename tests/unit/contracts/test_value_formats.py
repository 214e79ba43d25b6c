"""Golden vectors of what the runtime writes: values, storage keys and values, instance records, scheduled calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contract_bench import ALICE, Bench

from contracts.abi import abi_of
from contracts.compile import compile_source
from contracts.limits import GAS_VERSION, LANGUAGE
from contracts.state_format import (
    InstanceRecord,
    ScheduledCall,
    scheduled_contract,
    scheduled_due_ms,
    scheduled_subject,
)
from contracts.values import decode_value, encode_value, from_json, to_json
from ledger.codec import encode
from ledger.schema import state_instance, state_scheduled, state_storage

VECTORS: list[tuple[Any, str]] = [
    (None, "c0"),
    (False, "c2"),
    (0, "00"),
    (-1, "ff"),
    (2**64 - 1, "cfffffffffffffffff"),
    (-(2**63), "d38000000000000000"),
    (2**64, "c70901010000000000000000"),
    (-(2**63) - 1, "c70901ff7fffffffffffffff"),
    (2**255 - 1, "c720017f" + "ff" * 31),
    (-(2**255), "c7200180" + "00" * 31),
    ("", "a0"),
    ("Wh", "a25768"),
    (b"\x01\x02", "c4020102"),
    ([1, "a", None], "9301a161c0"),
    ({"b": 1, "a": 2, "aa": 3}, "83a16102a16201a2616103"),
    ({2: b"", 1: [], (1, "x"): True}, "83" + "0190" + "02c400" + "9201a178" + "c3"),
    ({2**64: 1}, "81c7090101000000000000000001"),
]


@pytest.mark.parametrize(("value", "raw"), VECTORS)
def test_values_encode_to_their_golden_bytes(value: Any, raw: str) -> None:
    assert encode_value(value).hex() == raw
    assert decode_value(bytes.fromhex(raw)) == value


def test_tuples_encode_as_lists() -> None:
    assert encode_value((1, (2,))) == encode_value([1, [2]])


@pytest.mark.parametrize(
    "raw",
    [
        "cc05",  # an integer in a longer form
        "d90161",  # a text with a longer length
        "c70901000000000000000001",  # a wide integer that is not wide
        "c70a0100010000000000000000",  # one with a leading zero byte
        "c70902010000000000000000",  # another extension
        "82a16201a16102",  # keys out of order
        "82a16101a16102",  # a key twice
        "81c001",  # a key that is none
        "cb3ff0000000000000",  # a float
        "9301",  # cut short
        "0101",  # bytes left over
    ],
)
def test_bytes_with_another_encoding_are_refused(raw: str) -> None:
    from ledger.errors import DecodeError

    with pytest.raises(DecodeError):
        decode_value(bytes.fromhex(raw))


def test_json_of_values() -> None:
    value = {"a": b"\xff", "b": 2**60, "c": [None, True, -5], "d": {1: "x"}}
    assert to_json(value) == {"a": "0xff", "b": str(2**60), "c": [None, True, -5], "d": [[1, "x"]]}
    assert from_json({"a": "0xff", "b": [1, "text"]}) == {"a": b"\xff", "b": [1, "text"]}


def test_records_and_schedules_have_their_golden_bytes() -> None:
    record = InstanceRecord(bytes(32), LANGUAGE, 1, ("a", "b"))
    fixed = "98c420" + "00" * 32 + "a57079632f31" + "01" + "92a161a162"
    assert encode(record).hex() == fixed + "c420" + "00" * 32 + "a0" + "a0" + "90"
    assert encode(ScheduledCall(5, "run", b"\x90", 7)).hex() == "9405a372756ec4019007"
    key = state_scheduled(258, "ab", 3)
    assert key.hex() == "71" + "0000000000000102" + "026162" + "0000000000000003"
    assert (scheduled_due_ms(key), scheduled_contract(key)) == (258, "ab")
    assert scheduled_subject(key).hex() == "619b7ef4d907b83dac449c628a0211dc0566c0ceb3cf48800c0bdc9990236589"
    assert (LANGUAGE, GAS_VERSION) == ("pyc/1", 1)


SOURCE = """
R = record("R", a=u64, b=list[str], c=u256)
E = event("E", indexed=("a",), a=u64)
v = Var(R)
m = Map((u64, Address, str, bool), int)
s = Map(int, u64)


@export
def put(a: u64, text: str) -> None:
    v.set(R(a=a, b=[text], c=2**100))
    m[a, ctx.sender, text, True] = -1
    s[-1] = 5
    s[2**200] = 6


@view
def get() -> R:
    return v.get()
"""


def test_storage_has_its_golden_keys_and_values() -> None:
    bench = Bench()
    bench.installed("c", SOURCE)
    bench.value("c", "put", 7, "xy")
    stored = {key: row for key, row in bench.view.rows.items() if key.startswith(state_instance("c"))}
    wide = "c70d01" + "10" + "00" * 12
    assert {key.hex(): row.hex() for key, row in stored.items()} == {
        state_storage("c", "v").hex(): "930791a27879" + wide,
        (state_storage("c", "m") + (7).to_bytes(8, "big") + ALICE + b"\x00\x02xy\x01").hex(): "ff",
        (state_storage("c", "s") + b"\x7f" + b"\xff" * 31).hex(): "05",
        (state_storage("c", "s") + (2**255 + 2**200).to_bytes(32, "big")).hex(): "06",
    }
    assert state_storage("c", "v").hex() == "63" + "0163" + "0176"


def test_the_abi_lists_entries_events_records_and_storage() -> None:
    open_to_all = {"scheduled": False, "auth": [], "signers": [], "reentrant": False}
    assert abi_of(compile_source(SOURCE)) == {
        "entries": {
            "put": {
                "role": "export",
                **open_to_all,
                "parameters": [
                    {"name": "a", "type": "u64", "optional": False},
                    {"name": "text", "type": "str", "optional": False},
                ],
                "returns": "None",
            },
            "get": {"role": "view", **open_to_all, "parameters": [], "returns": "R"},
        },
        "events": {"E": {"fields": {"a": "u64"}, "indexed": ["a"]}},
        "storage": {
            "v": {"key": [], "value": "R"},
            "m": {"key": ["u64", "Address", "str", "bool"], "value": "int"},
            "s": {"key": ["int"], "value": "u64"},
        },
        "indexes": {},
        "records": {"R": {"a": "u64", "b": "list[str]", "c": "u256"}},
    }


def test_the_example_of_the_language_page_runs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "contract-language.md").read_text()
    bench = Bench()
    bench.installed("token", "@export\ndef transfer(to: Address, amount: u64) -> None:\n    pass\n")
    bench.installed("shop", page.split("```python\n")[1].split("```")[0], calls=("token",))
    assert bench.value("shop", "offer", 7) == 1
    assert bench.query("shop", "price", 1) == 7
    assert [event.name for event in bench.call("shop", "buy", 1).events] == ["Sold"]
    assert bench.call("shop", "buy", 2).code == "NO_ITEM"
