"""The library as package data: sources, installations, and parameters that no market can run on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from market_world import INSTITUTIONS, SLOT_MS, parameters

from contracts.compile import compile_source
from contracts.library_sources import Installation, LibraryParameters, library_contracts, library_source
from contracts.values import decode_value
from ledger.errors import GenesisError

SHARED = ["routing", "tariffs", "bilateral", "bills", "vehicles", "vouchers", "disputes"]
NAMES = ["registry", "token", "metering", "double_auction", *SHARED]


def test_every_contract_is_installed_with_its_callees() -> None:
    installed = library_contracts(parameters())
    assert [item.name for item in installed] == NAMES
    assert {item.name: item.calls for item in installed} == {
        "registry": ("metering", "double_auction"),
        "token": (),
        "metering": ("double_auction",),
        "double_auction": ("token", "metering", "tariffs"),
        "routing": (),
        "tariffs": (),
        "bilateral": ("registry", "token", "metering", "routing"),
        "bills": ("registry", "metering", "routing", "tariffs", "bilateral", "vehicles", "double_auction"),
        "vehicles": ("registry", "token"),
        "vouchers": ("registry", "bills"),
        "disputes": ("registry", "token", "metering", "tariffs", "bills"),
    }
    for item in installed:
        assert item.source == library_source(item.name)
        assert item.source.startswith('"""')
        assert isinstance(decode_value(item.arguments), list)


def test_parts_are_joined_in_order() -> None:
    source = library_source("double_auction")
    marks = [source.index(f"def {name}(") for name in ("setup", "submit_order", "advance", "settle_slot", "slot")]
    assert marks == sorted(marks)
    assert len(source.encode()) < 64 * 1024


def test_unknown_contract_is_named() -> None:
    with pytest.raises(GenesisError, match="lottery"):
        library_source("lottery")


def test_same_parameters_give_the_same_bytes() -> None:
    first: list[Installation] = library_contracts(parameters())
    assert library_contracts(parameters()) == first
    assert library_contracts(parameters(sealed=True)) != first


@pytest.mark.parametrize(
    "change",
    [
        {"slot_ms": 7 * 60_000},
        {"slot0_ms": SLOT_MS},
        {"first_slot": -1},
        {"first_slot": 5, "last_slot": 4},
        {"open_slots": 1},
        {"reveal_slots": 5},
        {"t2_slots": 2},
        {"t1_slots": 4, "reveal_slots": 4},
        {"grace_slots": 5},
        {"feed": 700_000},
        {"max_price": 2**41},
        {"debt_limit": -1},
    ],
)
def test_parameters_that_no_market_can_run_on_are_refused(change: dict) -> None:
    with pytest.raises(GenesisError):
        library_contracts(parameters(**change))


def test_institutions_are_addresses() -> None:
    given: LibraryParameters = replace(parameters(), institutions=replace(INSTITUTIONS, notary=b"notary"))
    with pytest.raises(GenesisError, match="32"):
        library_contracts(given)


def test_the_examples_of_the_language_reference_are_admitted() -> None:
    text = (Path(__file__).parents[3] / "docs" / "contract-language.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        assert compile_source(example).contract.functions
