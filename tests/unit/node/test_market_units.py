"""What people type and read at `gridchain market`."""

from __future__ import annotations

import pytest

from ledger.errors import ConfigError
from node.cli.market_units import (
    Calendar,
    parse_energy,
    parse_price,
    parse_slots,
    parts_of,
    show_energy,
    show_money,
    show_share,
    show_time,
)


@pytest.mark.parametrize(
    ("text", "wh"),
    [("1.5", 1_500), ("0.001", 1), ("1.5kWh", 1_500), ("1500Wh", 1_500), ("2 kwh", 2_000), ("0", 0), ("1.5000", 1_500)],
)
def test_energy(text: str, wh: int) -> None:
    assert parse_energy(text) == wh


@pytest.mark.parametrize("text", ["", "1.0005", "1.5Wh", "-1", "1e3", "1,5", "0x10", "kWh", "1 MWh", "١"])
def test_energy_that_is_none_or_too_fine_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_energy(text)
    assert (refused.value.code, refused.value.found) == ("BAD_ENERGY", text)
    assert refused.value.expected
    assert refused.value.fix


@pytest.mark.parametrize(("text", "micro"), [("0.55", 550_000), ("0", 0), ("0.000001", 1), ("12", 12_000_000)])
def test_prices(text: str, micro: int) -> None:
    assert parse_price(text) == micro


@pytest.mark.parametrize("text", ["", "-0.5", "0.0000001", "0,5", "1e-3", "NaN", "0.55 EUR"])
def test_prices_that_are_none_or_too_fine_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_price(text)
    assert refused.value.code == "BAD_PRICE"


def test_slots_and_lists() -> None:
    assert parse_slots("7") == range(7, 8)
    assert parse_slots("5-9") == parse_slots("5..9") == range(5, 10)
    assert parts_of("0.5,0.2x3") == ["0.5", "0.2", "0.2", "0.2"]
    assert parts_of("500Wh") == ["500Wh"]
    for text in ("", "9-5", "-1", "a", "1-", "1-2-3"):
        with pytest.raises(ConfigError) as refused:
            parse_slots(text)
        assert refused.value.code == "BAD_SLOTS"


def test_the_slots_of_a_day_begin_on_it() -> None:
    hours = Calendar(slot0_ms=0, slot_ms=3_600_000)
    assert hours.day("1970-01-01") == range(24)
    assert hours.day("1970-01-03") == range(48, 72)
    assert Calendar(slot0_ms=1_800_000, slot_ms=3_600_000).day("1970-01-02") == range(24, 48)
    assert hours.day("1969-12-31") == range(0)
    for text in ("1970-13-01", "19700101", "1970-01-01T00:00", "yesterday", ""):
        with pytest.raises(ConfigError) as refused:
            hours.day(text)
        assert refused.value.code == "BAD_DAY"


def test_what_is_shown_is_exact() -> None:
    assert [show_energy(wh) for wh in (0, 1, 1_500, -250)] == ["0.000 kWh", "0.001 kWh", "1.500 kWh", "-0.250 kWh"]
    assert [show_money(micro) for micro in (0, 1, 550_000, -1_234_560, 10**13)] == [
        "0.00", "0.000001", "0.55", "-1.23456", "10000000.00",
    ]  # fmt: skip
    assert [show_share(ppm) for ppm in (None, 0, 123_456, 1_000_000)] == ["-", "0.0 %", "12.3 %", "100.0 %"]
    assert show_time(0) == "1970-01-01 00:00:00"
