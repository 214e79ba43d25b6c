"""From events to the rows of orders and trades in each market, and from rows to CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from ledger.errors import ConfigError
from node.cli.market_auction import DoubleAuction
from node.cli.market_community import CommunityPlant
from node.cli.market_export import as_csv, as_json_text
from node.cli.market_kinds import Market, Orders, Wish
from node.cli.market_lines import info_lines
from node.cli.market_matching import Matching
from node.cli.market_place import check_bounds
from node.cli.market_wind import WindMarket

CALENDAR = {"slot0_ms": 0, "slot_ms": 900_000, "sealed": True, "feed": 1, "retail": 2, "first_slot": 10, "periods": 3}


def replay(market: Market, *events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    orders = Orders()
    for name, data in events:
        market.see(orders, name, data)
    return orders.of(market.period)


def accepted(seq: int, meter: str, side: str, wh: int) -> tuple[str, dict[str, Any]]:
    fields = {"slot": 5, "seq": seq, "meter": meter, "side": side, "wh": wh, "price": 500_000}
    return "OrderAccepted", {**fields, "requote": "keep", "escrow": "9007199254740993"}


def committed(meter: str, mark: str) -> tuple[str, dict[str, Any]]:
    return "OrderCommitted", {"slot": 5, "meter": meter, "commitment": mark, "deposit": 100}


def test_states_of_orders_in_the_auction() -> None:
    found = replay(
        DoubleAuction(CALENDAR),
        committed("0xaa", "0x01"),
        committed("0xbb", "0x02"),
        committed("0xbb", "0x03"),
        accepted(1, "0xaa", "sell", 500),
        accepted(2, "0xbb", "buy", 500),
        ("DepositLost", {"slot": 5, "meter": "0xbb", "commitment": "0x02", "deposit": 100}),
        ("Trade", {"slot": 5, "sell_seq": 1, "buy_seq": 2, "wh": 300}),
        ("Trade", {"slot": 5, "sell_seq": 1, "buy_seq": 9, "wh": 200}),
        ("OrderExpired", {"slot": 5, "seq": 2, "left_wh": 200, "released": "40"}),
    )
    states = {row.get("seq", row.get("commitment")): (row["state"], row["traded_wh"]) for row in found}
    assert states == {"0x02": ("deposit lost", 0), 1: ("traded", 500), 2: ("partly traded", 300)}
    assert {row["slot"] for row in found} == {5}
    assert found[-1]["escrow"] == 9007199254740993, "wide integers come as text"


def test_states_of_withdrawn_expired_and_requoted_orders() -> None:
    found = replay(
        DoubleAuction(CALENDAR),
        accepted(1, "0xaa", "sell", 500),
        accepted(2, "0xbb", "buy", 500),
        accepted(3, "0xbb", "buy", 100),
        ("OrderWithdrawn", {"slot": 5, "seq": 1, "meter": "0xaa", "wh": 500, "released": 0, "deposit": 0}),
        ("OrderExpired", {"slot": 5, "seq": 2, "left_wh": 500, "released": 0}),
        ("OrderRequoted", {"slot": 5, "seq": 3, "meter": "0xbb", "price": 540_000, "escrow": 0}),
        ("OrderExpired", {"slot": 5, "seq": 77, "left_wh": 1, "released": 0}),
    )
    assert [row["state"] for row in found] == ["withdrawn", "expired", "placed"]
    assert found[2]["quote"] == 540_000


def test_states_of_orders_in_the_other_markets() -> None:
    quoted = {"slot": 5, "seq": 1, "meter": "0xaa", "wh": 500, "price": 1, "escrow": 0}
    refused = {"slot": 5, "meter": "0xbb", "quotation": 1, "wh": 900, "price": 1, "reason": "BAD_WH"}
    bid = {**quoted, "seq": 2, "meter": "0xcc", "quotation": 1, "wh": 300}
    found = replay(
        CommunityPlant(CALENDAR),
        ("QuotationOffered", quoted),
        ("BidCommitted", {"slot": 5, "meter": "0xbb", "commitment": "0x01", "deposit": 1}),
        ("BidRejected", refused),
        ("BidPlaced", bid),
        ("Traded", {"slot": 5, "quotation": 1, "bid": 2, "wh": 300}),
        ("BidDecided", {"slot": 5, "seq": 2, "status": "confirmed", "left_wh": 0, "released": 0}),
    )
    assert [(row["side"], row["state"]) for row in found] == [
        ("sell", "partly traded"), ("buy", "rejected"), ("buy", "confirmed"),
    ]  # fmt: skip
    placed = {"cycle": 5, "meter": "0xaa", "wh": 500, "price": 1, "escrow": 0}
    found = replay(
        Matching(CALENDAR),
        ("Placed", {**placed, "side": "offer"}),
        ("Placed", {**placed, "side": "request", "meter": "0xbb"}),
        ("Placed", {**placed, "side": "request", "meter": "0xcc"}),
        ("OrderMade", {"cycle": 5, "provider": "0xaa", "user": "0xbb", "wh": 500}),
        ("CycleMatched", {"cycle": 5}),
    )
    assert [(row["side"], row["state"]) for row in found] == [
        ("sell", "traded"), ("buy", "traded"), ("buy", "not served"),
    ]  # fmt: skip
    reserve = {"slot": 14, "meter": "0xaa", "up": 1, "down": 2, "charge": 3, "discharge": 4, "soc": 5, "escrow": 6}
    found = replay(
        WindMarket(CALENDAR),
        ("DayOrdered", {"day": 1, "seq": 4, "meter": "0xaa", "side": "sell", "escrow": 1}),
        ("Reserved", reserve),
        ("DayWithdrawn", {"day": 1, "seq": 4, "meter": "0xaa", "released": 1}),
    )
    assert [(row["day"], row["side"], row["state"]) for row in found] == [
        (1, "sell", "withdrawn"),
        (1, "reserve", "placed"),
    ]


def test_orders_of_a_day_have_a_value_for_each_slot() -> None:
    market = WindMarket(CALENDAR)
    call = market.plain(Wish(2, "buy", (100,), (5, 6, 7)))
    assert (call.entry, call.arguments) == ("bid_day", (2, [100, 100, 100], [5, 6, 7]))
    assert market.slots_of(2) == range(16, 19)
    with pytest.raises(ConfigError) as refused:
        market.plain(Wish(2, "buy", (100, 100), (5,)))
    assert (refused.value.code, refused.value.found) == ("BAD_LENGTH", 2)
    with pytest.raises(ConfigError) as refused:
        DoubleAuction(CALENDAR).plain(Wish(2, "buy", (100, 100), (5,)))
    assert refused.value.code == "BAD_LENGTH"


def test_a_bid_of_market_b_needs_its_quotation_and_cannot_be_withdrawn() -> None:
    market = CommunityPlant(CALENDAR)
    with pytest.raises(ConfigError) as refused:
        market.sealing(Wish(2, "buy", (100,), (5,)))
    assert refused.value.code == "NO_QUOTATION"
    assert market.sealing(Wish(2, "sell", (100,), (5,))) is None, "quotations are in clear"
    with pytest.raises(ConfigError) as refused:
        market.withdrawal({"slot": 2, "seq": 4, "side": "buy"})
    assert refused.value.code == "NO_WITHDRAWAL"


def test_orders_that_could_not_be_revealed_are_refused_before_they_are_committed_to() -> None:
    """10 kW for a quarter of an hour: 2.5 kWh, a quarter more, and what the rounding up of the contract allows."""
    market = DoubleAuction({**CALENDAR, "margin_ppm": 250_000, "max_price": 2_000_000})
    check_bounds(market, Wish(5, "sell", (3_126,), (2_000_000,)), 10_000)
    for wh, price, code in (
        (3_127, 1, "BAD_WH"),
        (0, 1, "BAD_WH"),
        (500_000, 1, "BAD_WH"),
        (1, 2_000_001, "BAD_PRICE"),
    ):
        with pytest.raises(ConfigError) as refused:
            check_bounds(market, Wish(5, "sell", (wh,), (price,)), 10_000)
        assert refused.value.code == code
    check_bounds(WindMarket(CALENDAR), Wish(2, "buy", (0, 100, 0), (5,)), 10_000)


def test_csv_has_every_column_and_is_read_back() -> None:
    rows = [
        {"slot": 1, "text": 'plain, with "quotes"\nand lines', "none": None, "flag": True},
        {"slot": 2, "text": "=SUM(A1)", "list": [1, 2], "money": -5},
    ]
    text = as_csv(rows)
    assert text.startswith("slot,text,none,flag,list,money\r\n")
    back = list(csv.DictReader(io.StringIO(text, newline="")))
    assert back[0]["text"] == rows[0]["text"]
    assert (back[0]["none"], back[0]["flag"], back[0]["money"]) == ("", "true", "")
    assert (back[1]["text"], back[1]["list"], back[1]["money"]) == ("'=SUM(A1)", "[1, 2]", "-5")
    assert as_csv([]) == ""
    document = {"what": "orders", "rows": rows}
    assert json.loads(as_json_text(document)) == document
    assert json.loads(as_json_text({"what": "orders", "rows": []})) == {"what": "orders", "rows": []}


def test_what_is_open_says_whether_orders_are_still_taken_and_else_when() -> None:
    found: dict[str, Any] = {
        "market": "A", "contract": "wind", "chain_id": "dev-x", "period": "day", "sealed": True, "now_ms": 2_000,
        "speed": 1, "feed": 1, "retail": 2, "next": None,
        "open": [
            {"day": 0, "start_ms": 9_000, "close_ms": 2_000, "reveal_ms": 2_000, "end_ms": 3_000, "tariff": [1, 2]}
        ],
    }  # fmt: skip
    assert "day 0 open: no new orders any more, revealed until" in info_lines(found)[-1]
    assert "orders until" in info_lines({**found, "now_ms": 1_999})[-1]
    assert info_lines({**found, "open": []})[-1] == "no day takes orders now"
    later = {**found, "open": [], "next": {"day": 1, "open_ms": 5_000}}
    assert info_lines(later)[-1] == "no day takes orders now; day 1 from 1970-01-01 00:00:05 on"


def test_periods_of_slots_and_the_slots_of_each_market() -> None:
    wind = WindMarket({**CALENDAR, "last_slot": 20})
    assert [wind.period_of(slot) for slot in (0, 10, 12, 13, 16)] == [0, 0, 0, 1, 2]
    assert all(slot in wind.slots_of(wind.period_of(slot)) for slot in range(10, 20))
    assert wind.market_slots() == (10, 20)
    matching = Matching({**CALENDAR, "first": 3, "last": 7})
    assert (matching.period_of(5), matching.market_slots()) == (5, (3, 7))
