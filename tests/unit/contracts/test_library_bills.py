"""Bills in one form: lines by hand, flags, sources, comparison, the path queue of markets that do not route."""

from __future__ import annotations

from typing import Any

import pytest
from market_world import MarketWorld
from shared_world import (
    INSTITUTIONS,
    NAMES,
    SLOT,
    address,
    agree,
    assert_bills_are_the_books,
    found,
    meter,
    trade,
)

from contracts.executor import QueryFailed


def lines(world: MarketWorld, name: str) -> list[tuple[Any, ...]]:
    fields = ("kind", "wh", "price", "amount", "source")
    return [tuple(row[field] for field in fields) for row in world.query("bills", "bill_lines", SLOT, meter(name))]


def day(**readings: tuple[int, int]) -> MarketWorld:
    world = found("double_auction")
    agree(world, "anna", "carl", 200, 500_000)
    trade(world, {"anna": 600}, {"dora": 600})
    world.go_slot(SLOT, 1)
    for name in NAMES:
        if name in readings:
            world.read(name, SLOT, *readings[name])
    world.go_slot(SLOT, 6)
    return world


def test_the_lines_of_a_slot_by_hand() -> None:
    world = day(anna=(700, 0), bert=(90, 0), carl=(0, 150), dora=(0, 650))
    assert lines(world, "anna") == [
        ("trade_sold", 600, 540_000, 324_000, "pv"),
        ("grid_bought", 100, 670_000, -67_000, "grid"),
        ("bilateral_sold", 200, 500_000, 100_000, "pv"),
    ]
    assert lines(world, "bert") == [("grid_sold", 90, 450_000, 40_500, "hydro+storage")]
    assert lines(world, "carl") == [
        ("grid_sold", 50, 450_000, 22_500, "resale"),
        ("bilateral_bought", 200, 500_000, -100_000, "pv"),
    ]
    bill = world.query("bills", "bill", meter("dora"), SLOT, SLOT)
    assert bill["amount"] == -(600 * 540 + 50 * 670)
    assert (bill["use_wh"], bill["grid_only"], bill["gain"]) == (650, -650 * 670, 600 * 130)
    assert (bill["self_sufficiency_ppm"], bill["self_consumption_ppm"]) == (600 * 10**6 // 650, None)
    assert_bills_are_the_books(world)


def test_estimates_and_corrections_are_flagged_and_counted() -> None:
    world = day(bert=(90, 0), carl=(0, 150), dora=(0, 650))
    row = world.query("bills", "bill_lines", SLOT, meter("anna"))[0]
    assert (row["estimated"], row["late"], row["corrected"]) == (True, False, 0)
    world.done(meter("anna"), "metering", "submit_reading", SLOT, 900, 0)
    world.done(meter("anna"), "metering", "correct_reading", SLOT, 800, 0, "checked")
    row = world.query("bills", "bill_lines", SLOT, meter("anna"))[0]
    assert (row["estimated"], row["late"], row["corrected"]) == (False, True, 2)
    bill = world.query("bills", "bill", meter("anna"), SLOT, SLOT)
    assert (bill["settled"], bill["estimated"], bill["corrected"], bill["generation_wh"]) == (1, 0, 1, 800)
    assert_bills_are_the_books(world)


def test_a_price_of_yesterday_is_flagged_in_the_bill() -> None:
    world = found("wind", da_clearing=False)
    world.go_slot(SLOT, -4)
    world.done(address("anna"), "wind", "offer_day", SLOT // 4, [500] * 4, [0] * 4)
    world.go_slot(SLOT, 6)
    row = world.query("bills", "bill_lines", SLOT, meter("anna"))[0]
    assert (row["kind"], row["published_price"]) == ("day_ahead_sold", True)


def test_a_period_is_bounded() -> None:
    world = found("double_auction")
    for first, last in ((5, 4), (0, 96)):
        with pytest.raises(QueryFailed) as failed:
            world.query("bills", "bill", meter("anna"), first, last)
        assert failed.value.code == "BAD_PERIOD"
    assert world.query("bills", "bill", meter("anna"), 0, 95)["lines"] == []


def test_the_path_queue_of_a_market_that_does_not_route_itself_says_what_would_be_curtailed() -> None:
    world = found("double_auction")
    grid = (SLOT, 0, ["bus-0", "bus-1"], [1, 1], ["line"], [[0, 1]], [[1, 800, 50]])
    world.done(INSTITUTIONS.grid_company, "routing", "post_grid", *grid)
    trade(world, {"anna": 600, "bert": 500}, {"dora": 700, "carl": 400})
    queue = world.query("bills", "path_queue", SLOT)
    rows = world.query("bills", "period_trades", SLOT)
    assert len(queue) == len(rows) == 3
    order = sorted(rows, key=lambda row: (row["seller"], row["buyer"], row["trade"]))
    assert [row["seq"] for row in queue] == [row["trade"] for row in order]
    assert all(row["granted"] == row["wh"] for row in queue)  # all at one bus


def test_a_bus_that_the_grid_does_not_know_takes_no_other_trade_out_of_the_path_queue() -> None:
    world = found("double_auction")
    grid = (SLOT, 0, ["bus-7", "bus-8"], [1, 1], ["line"], [[0, 1]], [[1, 800, 50]])
    world.done(INSTITUTIONS.grid_company, "routing", "post_grid", *grid)
    trade(world, {"anna": 600, "bert": 500}, {"dora": 700, "carl": 400})
    queue = world.query("bills", "path_queue", SLOT)
    assert len(queue) == len(world.query("bills", "period_trades", SLOT)) == 3
    assert all((row["path"], row["weight"], row["granted"]) == ([], 0, row["wh"]) for row in queue)


@pytest.mark.parametrize(
    ("market", "terms"),
    [
        ("double_auction", set()),
        ("community_vpp", {"good", "defaults", "discount", "waive"}),
        ("matching", {"rc", "cycles", "last_cycle"}),
        ("wind", {"reputation", "efficiency", "hours", "promised_wh", "missed_wh"}),
    ],
)
def test_a_provider_is_shown_with_its_sources_trades_and_reputation(market: str, terms: set[str]) -> None:
    world = found(market)
    agree(world, "anna", "carl", 200, 100_000)
    world.go_slot(SLOT, 1)
    world.read("anna", SLOT, 150, 0)
    world.go_slot(SLOT, 6)
    shown = world.query("bills", "provider", meter("anna"), SLOT)
    assert shown["source"] == ("wind" if market == "wind" else "pv")
    assert (shown["promised_wh"], shown["paid_wh"], shown["delivered_wh"], shown["asked"]) == (200, 200, 150, 20_000)
    assert set(shown["reputation"]) == terms
    assert (shown["status"], shown["trades"]) == ("approved", [2**33 + 1])
    assert world.query("bills", "provider", address("anna"), SLOT) is None


@pytest.mark.parametrize("pricing", ["clear", "mcafee"])
def test_bills_add_up_where_buyers_pay_more_than_sellers_get(pricing: str) -> None:
    world = found("double_auction", pricing=pricing)
    world.go_slot(SLOT, -4)
    for name, side, price in (
        ("anna", "sell", 480_000), ("bert", "sell", 560_000), ("carl", "buy", 640_000), ("dora", "buy", 580_000),
    ):  # fmt: skip
        world.order(name, SLOT, side, 500, price, "keep")
    world.go_slot(SLOT, 1)
    for name, values in (("anna", (500, 0)), ("bert", (500, 0)), ("carl", (0, 500)), ("dora", (0, 500))):
        world.read(name, SLOT, *values)
    world.go_slot(SLOT, 6)
    rows = world.query("bills", "period_trades", SLOT)
    assert rows
    assert any(row["surplus"] for row in rows) == (pricing == "mcafee")
    assert_bills_are_the_books(world)
    world.assert_money_conserved()
