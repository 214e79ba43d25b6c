"""Bilateral contracts: two signatures, cover, entry at the window, payment with the slot, the ways out, and that nobody
gains by cheating."""

from __future__ import annotations

from typing import Any

import pytest
from market_world import SLOT_MS, MarketWorld
from shared_world import FUNDS, INSTITUTIONS, NAMES, SLOT, address, agree, found, join, meter, report, trade

PRICE, WH, RETAIL, FEED = 500_000, 300, 670_000, 450_000


def proposed(world: MarketWorld, **changes: Any) -> tuple[Any, ...]:
    given = {
        "seller": meter("anna"), "buyer": meter("carl"), "first": SLOT, "last": SLOT + 1, "profile": [WH],
        "price": PRICE, "expires": world.start(SLOT), **changes,
    }  # fmt: skip
    return ("bilateral", "propose", *given.values())


def read(world: MarketWorld, **values: tuple[int, int]) -> None:
    world.go_slot(SLOT, 1)
    for name in NAMES:
        world.read(name, SLOT, *values.get(name, (0, 0)))


def test_what_nobody_may_propose() -> None:
    world = found("double_auction")
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"last": SLOT - 1}, "BAD_PERIOD"),
        ({"last": SLOT + 672}, "BAD_PERIOD"),
        ({"profile": []}, "BAD_WH"),
        ({"profile": [0, 0]}, "BAD_WH"),
        ({"profile": [1] * 97}, "BAD_WH"),
        ({"profile": [10**7]}, "ABOVE_RATING"),
        ({"price": 10**9}, "BAD_PRICE"),
        ({"expires": 0}, "BAD_EXPIRY"),
        ({"buyer": address("nobody")}, "UNKNOWN_METER"),
        ({"seller": meter("carl"), "buyer": meter("anna")}, "NO_SOURCE"),
        ({"seller": meter("bert")}, "NOT_YOURS"),
        ({"buyer": meter("anna")}, "SELF_TRADE"),
    ]
    for changes, code in refusals:
        assert world.refused(address("anna"), *proposed(world, **changes)) == code, changes


def test_one_owner_has_nothing_to_agree_with_itself() -> None:
    world = MarketWorld()
    join(world, "anna", legal_owner="firm")
    join(world, "carl", legal_owner="firm")
    assert world.refused(address("anna"), *proposed(world)) == "SELF_TRADE"


def test_only_the_other_party_signs_and_only_before_the_window() -> None:
    world = found("double_auction")
    number = world.done(address("carl"), *proposed(world))
    assert world.refused(address("carl"), "bilateral", "accept", number) == "NEEDS_OTHER_PARTY"
    assert world.refused(address("dora"), "bilateral", "accept", number) == "NOT_YOURS"
    assert world.escrow("anna") == world.escrow("carl") == 0
    late = world.done(address("anna"), *proposed(world, first=SLOT + 1))
    world.go_slot(SLOT + 1, -4)
    assert world.refused(address("carl"), "bilateral", "accept", late) == "NOT_OPEN"
    assert world.query("bilateral", "contract", number)["status"] == "expired"
    assert world.refused(address("anna"), *proposed(world)) == "SLOT_BEGUN"


def test_cover_of_the_whole_period_is_locked_or_nothing() -> None:
    world = MarketWorld()
    join(world, "anna", funds=101_999)
    join(world, "carl")
    number = world.done(address("anna"), *proposed(world))
    assert world.refused(address("carl"), "bilateral", "accept", number) == "INSUFFICIENT_FUNDS"
    assert world.escrow("carl") == 0
    world.deposit(address("anna"), 1)
    world.done(address("carl"), "bilateral", "accept", number)
    assert world.query("bilateral", "cover", number) == [102_000, 300_000]
    assert (world.escrow("anna"), world.escrow("carl")) == (2 * WH * 170, 2 * WH * 500)


def test_a_slot_is_paid_in_full_and_what_is_missing_comes_from_the_grid() -> None:
    world = found("double_auction")
    agree(world, "anna", "carl", WH, PRICE)
    world.go_slot(SLOT, -4)
    (entered,) = world.events("Entered")
    assert (entered["wh"], entered["slot"]) == (WH, SLOT)
    read(world, anna=(100, 0), carl=(0, 400))
    assert world.query("bilateral", "trades_of", SLOT)[0]["settled"] is False
    world.go_slot(SLOT, 2)
    assert world.free("anna") - FUNDS == 150_000 - 200 * 670
    assert world.free("carl") - FUNDS == -150_000 - 100 * 670
    assert world.query("metering", "reading", SLOT, meter("anna"))["generation_wh"] == 100
    entry = world.query("double_auction", "settlement", SLOT, meter("anna"))
    assert (entry["use_wh"], entry["grid_buy_wh"], entry["generation_wh"]) == (200, 200, 0)
    (total,) = world.events("SlotSettled", slot=SLOT)
    assert total["use_wh"] - total["generation_wh"] == total["grid_sales_wh"] - total["grid_purchases_wh"] == 300


def test_without_readings_it_is_paid_when_the_late_slots_have_passed_and_corrected_by_the_meter() -> None:
    world = found("double_auction")
    agree(world, "anna", "carl", WH, PRICE)
    world.go_slot(SLOT, 4)
    assert world.escrow("carl") == 150_000
    world.go_slot(SLOT, 5)
    assert world.free("anna") - FUNDS == 150_000
    world.read("anna", SLOT, 0, 0)
    assert world.free("anna") - FUNDS == 150_000 - WH * 670
    world.done(meter("anna"), "metering", "correct_reading", SLOT, 500, 0, "checked")
    assert world.free("anna") - FUNDS == 150_000 + 200 * 450
    world.assert_money_conserved()


def test_energy_sold_twice_is_bought_once_more() -> None:
    """Gaming: a seller that promises its output to a neighbour and to the market. Were the market to settle the whole
    reading, 300 Wh would be paid twice for nothing."""
    world = found("double_auction")
    agree(world, "anna", "carl", WH, PRICE)
    trade(world, {"anna": WH}, {"dora": WH})
    read(world, anna=(WH, 0), carl=(0, WH), dora=(0, WH))
    world.go_slot(SLOT, 2)
    gain = world.free("anna") - FUNDS
    sold = WH * 540
    assert gain == 150_000 + sold - WH * 670
    assert gain < WH * max(500, 540)  # than an honest seller of the same output
    rows = world.query("bills", "period_trades", SLOT)
    assert sum(row["delivered_wh"] for row in rows) == WH
    assert sum(row["wh"] for row in rows) == 2 * WH


def test_curtailed_by_the_grid_is_not_owed_and_its_cover_returns() -> None:
    world = MarketWorld()
    join(world, "anna", bus="bus-0")
    join(world, "carl", bus="bus-1")
    grid = (5, 0, ["bus-0", "bus-1"], [1, 1], ["line"], [[0, 1]], [[1, 800, 50]])
    world.done(INSTITUTIONS.grid_company, "routing", "post_grid", *grid)
    number = agree(world, "anna", "carl", WH, PRICE)
    world.go_slot(SLOT, -4)
    queued = world.query("routing", "queue", SLOT, 0, 10)
    assert [(row["wh"], row["granted"], row["path"]) for row in queued] == [(WH, 200, [0])]
    assert (world.escrow("anna"), world.escrow("carl")) == (200 * 170, 200 * 500)
    assert world.query("bilateral", "contract", number)["status"] == "ended"
    world.go_slot(SLOT, 6)
    assert world.free("anna") - FUNDS == 200 * 500  # silent: taken to have delivered


def test_a_connection_that_the_grid_does_not_know_moves_nothing() -> None:
    world = MarketWorld()
    join(world, "anna", bus="elsewhere")
    join(world, "carl")
    grid = (5, 0, ["bus-0", "bus-1"], [1, 1], ["line"], [[0, 1]], [[1, 800, 50]])
    world.done(INSTITUTIONS.grid_company, "routing", "post_grid", *grid)
    agree(world, "anna", "carl", WH, PRICE)
    world.go_slot(SLOT, 6)
    assert (world.free("anna"), world.free("carl")) == (FUNDS, FUNDS)


def test_both_cancel_what_is_not_entered_one_alone_does_not() -> None:
    world = found("double_auction")
    number = agree(world, "anna", "carl", WH, PRICE, slots=3)
    world.go_slot(SLOT, -4)
    assert world.done(address("anna"), "bilateral", "cancel", number) is False
    assert world.refused(address("anna"), "bilateral", "cancel", number) == "SAID_ALREADY"
    assert world.query("bilateral", "contract", number)["status"] == "active"
    assert world.done(address("carl"), "bilateral", "cancel", number) is True
    assert world.escrow("carl") == 150_000  # the slot that is entered stays
    read(world, anna=(WH, 0), carl=(0, WH))
    world.go_slot(SLOT, 6)
    assert world.escrow("carl") == world.escrow("anna") == 0
    assert world.free("anna") - FUNDS == 150_000
    assert world.query("metering", "agreed_of", SLOT + 1, meter("anna")) == [0, 0]


def test_a_party_that_would_rather_not_cannot_empty_its_account() -> None:
    """Gaming: the price turned, the buyer tries to leave. Its cover stays until the last slot is settled."""
    world = found("double_auction")
    agree(world, "anna", "carl", WH, PRICE, slots=2)
    free = world.free("carl")
    assert world.refused(address("carl"), "token", "transfer", address("dora"), free + 1) == "INSUFFICIENT_FUNDS"
    world.done(address("carl"), "token", "transfer", address("dora"), free)
    read(world, anna=(WH, 0), carl=(0, WH))
    world.go_slot(SLOT + 1, 8)
    assert world.free("anna") >= FUNDS + 150_000
    assert world.query("token", "account", address("carl"))["debt"] == 0


def test_the_bureau_dissolves_a_contract_of_a_suspended_party_only() -> None:
    world = found("double_auction")
    number = agree(world, "anna", "carl", WH, PRICE, slots=2)
    call = ("bilateral", "dissolve", number, "licence lost")
    assert world.refused(address("anna"), *call) == "NOT_ALLOWED"
    assert world.refused(INSTITUTIONS.energy_bureau, *call) == "NOT_SUSPENDED"
    world.done(INSTITUTIONS.energy_bureau, "registry", "suspend", address("anna"), "licence lost")
    world.done(INSTITUTIONS.energy_bureau, *call)
    assert world.escrow("carl") == world.escrow("anna") == 0
    assert world.refused(address("carl"), *proposed(world)) == "SUSPENDED"


def test_proposals_are_withdrawn_refused_and_bounded() -> None:
    world = found("double_auction")
    first = world.done(address("anna"), *proposed(world))
    world.done(address("anna"), "bilateral", "withdraw", first)
    second = world.done(address("anna"), *proposed(world))
    world.done(address("carl"), "bilateral", "withdraw", second)
    states = [world.query("bilateral", "contract", number)["status"] for number in (first, second)]
    assert states == ["withdrawn", "refused"]
    assert world.refused(address("carl"), "bilateral", "accept", first) == "NOT_OPEN"
    for _ in range(8):
        world.done(address("anna"), *proposed(world))
    assert world.refused(address("anna"), *proposed(world)) == "TOO_MANY_CONTRACTS"
    assert world.query("bilateral", "contracts_of", meter("anna"), first, 3) == [2, 3, 4]


def test_only_the_contracts_themselves_enter_energy() -> None:
    world = found("double_auction")
    assert world.refused(address("anna"), "metering", "agree", SLOT, meter("carl"), meter("anna"), 1) == "NOT_ALLOWED"
    assert not world.send(address("anna"), "bilateral", "settle", world.now, 1, SLOT, True).ok


def test_the_profile_repeats_over_the_period() -> None:
    world = found("double_auction")
    number = world.done(address("anna"), *proposed(world, last=SLOT + 4, profile=[100, 0, 50]))
    world.done(address("carl"), "bilateral", "accept", number)
    world.go(world.start(SLOT + 4) + 8 * SLOT_MS)
    assert [(event["slot"] - SLOT, event["wh"]) for event in world.events("Entered")] == [
        (0, 100), (2, 50), (3, 100),
    ]  # fmt: skip
    assert world.free("anna") - FUNDS == (100 + 50 + 100) * 500
    assert world.escrow("anna") == world.escrow("carl") == 0


@pytest.mark.parametrize("market", ["community_vpp", "double_auction", "matching"])
def test_the_same_output_brings_no_more_when_it_is_sold_twice(market: str) -> None:
    """Gaming, in each market that owes what was traded: anna makes 300 Wh and sells 300 to a neighbour, and 300 again
    where devices (market D) say that all was sent. Beside it an honest day: the neighbour only."""
    gains = []
    for sales in ({"anna": WH}, {}):
        world = found(market)
        agree(world, "anna", "carl", WH, 90_000)
        trade(world, sales, {"dora": WH} if sales else {})
        read(world, anna=(WH, 0), carl=(0, WH), dora=(0, WH))
        report(world, {"anna": WH})
        world.go_slot(SLOT, 8)
        rows = world.query("bills", "period_trades", SLOT)
        assert sum(row["delivered_wh"] for row in rows) == WH
        assert len(rows) == 1 + len(sales)
        gains.append(world.free("anna") - FUNDS)
    assert gains[1] == WH * 90
    assert gains[0] < gains[1]
