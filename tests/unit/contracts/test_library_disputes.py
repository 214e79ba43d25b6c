"""Disputes about readings in all markets, and the progress that meters state during delivery."""

from __future__ import annotations

import pytest
from market_world import MarketWorld
from shared_world import (
    FUNDS,
    INSTITUTIONS,
    MARKETS,
    NAMES,
    SLOT,
    address,
    agree,
    assert_bills_are_the_books,
    assert_vouchers_are_the_deliveries,
    found,
    meter,
    report,
    slot_ms,
    trade,
)

GRID, NOTARY = INSTITUTIONS.grid_company, INSTITUTIONS.notary
READ = {"anna": (1_000, 0), "bert": (0, 0), "carl": (0, 600), "dora": (0, 500)}


def settled(market: str) -> MarketWorld:
    world = found(market)
    agree(world, "anna", "carl", 300, 100_000)
    trade(world, {"anna": 600}, {"dora": 500})
    world.go_slot(SLOT, 1)
    for name in NAMES:
        world.read(name, SLOT, *READ[name])
    report(world, {"anna": 500})
    world.go_slot(SLOT, 2)
    return world


def retail(world: MarketWorld) -> int:
    return int(world.query("tariffs", "prices", SLOT)[1])


@pytest.mark.parametrize("market", MARKETS)
def test_a_ruling_settles_the_slot_again_and_stands(market: str) -> None:
    world = settled(market)
    free, before = world.free("anna"), (world.escrow("anna"), world.escrow("carl"))
    closes = world.done(address("carl"), "disputes", "open", SLOT, meter("anna"), 400, 0)
    frozen = 600 * retail(world) // 1_000
    assert (world.escrow("anna") - before[0], world.escrow("carl") - before[1]) == (frozen, frozen)
    assert world.free("anna") == free - frozen
    world.done(address("carl"), "disputes", "evidence", SLOT, meter("anna"), bytes(32))
    world.done(NOTARY, "disputes", "rule", SLOT, meter("anna"), 450, 0, "seal was broken")
    world.run_due()
    assert world.query("metering", "reading", SLOT, meter("anna"))["generation_wh"] == 450
    assert world.query("metering", "history", SLOT, meter("anna"))[-1]["reason"] == "seal was broken"
    assert world.query("bills", "bill", meter("anna"), SLOT, SLOT)["generation_wh"] == 450
    assert world.query("disputes", "dispute", SLOT, meter("anna"))["status"] == "ruled"
    correction = ("metering", "correct_reading", SLOT, 1_000, 0, "I was right")
    assert world.refused(meter("anna"), *correction) == "RULED"
    world.go(closes + slot_ms(world))
    assert_bills_are_the_books(world)
    assert_vouchers_are_the_deliveries(world)


def test_without_a_ruling_the_grid_meter_decides_else_the_reading_stands() -> None:
    world = settled("double_auction")
    closes = world.done(address("carl"), "disputes", "open", SLOT, meter("anna"), 400, 0)
    world.done(GRID, "disputes", "third_reading", SLOT, meter("anna"), 900, 0)
    world.done(GRID, "disputes", "open", SLOT, meter("dora"), 0, 900)
    assert world.refused(GRID, "disputes", "third_reading", SLOT, meter("anna"), 1, 0) == "REPORTED"
    world.go(closes)
    assert world.query("metering", "reading", SLOT, meter("anna"))["generation_wh"] == 900
    assert [row["status"] for row in world.query("disputes", "disputes_of", SLOT)].count("grid meter") == 1
    assert world.query("metering", "reading", SLOT, meter("dora"))["use_wh"] == 500
    assert world.query("disputes", "dispute", SLOT, meter("dora"))["status"] == "dismissed"
    assert_bills_are_the_books(world)


def test_a_third_reading_that_no_meter_can_have_locks_nobody() -> None:
    world = settled("double_auction")
    closes = world.done(address("carl"), "disputes", "open", SLOT, meter("anna"), 400, 0)
    world.done(GRID, "disputes", "third_reading", SLOT, meter("anna"), 2**50, 0)
    world.go(closes)
    assert world.query("disputes", "dispute", SLOT, meter("anna"))["status"] == "dismissed"
    assert_bills_are_the_books(world)


def test_who_may_do_what_and_when() -> None:
    world = settled("double_auction")
    about = ("disputes", "open", SLOT, meter("anna"))
    assert world.refused(address("bert"), *about, 400, 0) == "NOT_YOURS"
    assert world.refused(address("carl"), *about, 400, 1) == "TWO_SIDES"
    assert world.refused(address("carl"), *about, 1_000, 0) == "NO_DIFFERENCE"
    assert world.refused(address("anna"), "disputes", "open", SLOT + 1, meter("anna"), 1, 0) == "NO_READING"
    world.done(address("anna"), *about, 1_100, 0)
    assert world.refused(address("carl"), *about, 400, 0) == "DISPUTED"
    for who, entry, arguments, code in (
        (address("anna"), "rule", (1, 0, "x"), "NOT_ALLOWED"),
        (GRID, "rule", (1, 0, "x"), "NOT_ALLOWED"),
        (NOTARY, "rule", (1, 0, ""), "BAD_TEXT"),
        (NOTARY, "third_reading", (1, 0), "NOT_ALLOWED"),
        (address("dora"), "evidence", (bytes(32),), "NOT_ALLOWED"),
        (address("anna"), "evidence", (b"short",), "BAD_EVIDENCE"),
    ):
        assert world.refused(who, "disputes", entry, SLOT, meter("anna"), *arguments) == code
    assert world.refused(NOTARY, "disputes", "rule", SLOT, meter("anna"), 10**9, 0, "x") == "BAD_WH"
    assert world.refused(address("anna"), "metering", "rule_reading", SLOT, meter("dora"), 0, 0, "x") == "NOT_ALLOWED"
    world.go_slot(SLOT, 1 + 4 + 8)
    assert world.refused(address("dora"), "disputes", "open", SLOT, meter("dora"), 0, 1) == "WINDOW_CLOSED"


def test_a_frivolous_dispute_freezes_as_much_of_who_opens_it() -> None:
    """Gaming: claim the impossible about a neighbour to freeze its account."""
    world = settled("double_auction")
    world.done(address("carl"), "token", "transfer", address("bert"), world.free("carl"))
    claim = ("disputes", "open", SLOT, meter("anna"), 0, 2**40)
    assert world.refused(address("carl"), *claim) == "INSUFFICIENT_FUNDS"
    assert world.escrow("anna") == 0


def test_a_poor_account_is_frozen_as_far_as_it_goes() -> None:
    world = settled("double_auction")
    world.done(address("anna"), "token", "transfer", address("bert"), world.free("anna") - 5)
    closes = world.done(address("carl"), "disputes", "open", SLOT, meter("anna"), 400, 0)
    assert world.escrow("anna") == 5
    world.go(closes)
    assert (world.escrow("anna"), world.free("anna")) == (0, 5)


def test_progress_is_monotone_rare_and_binds_the_reading() -> None:
    world = found("community_vpp")
    world.go_slot(SLOT, 0)
    say = ("metering", "submit_progress", SLOT)
    assert world.refused(address("anna"), *say, 1, 0) == "UNKNOWN_METER"
    assert world.refused(meter("anna"), "metering", "submit_progress", SLOT + 1, 1, 0) == "NOT_DELIVERING"
    world.done(meter("anna"), *say, 100, 0)
    assert world.refused(meter("anna"), *say, 200, 0) == "TOO_SOON"
    world.go(world.now + 60_000)
    assert world.refused(meter("anna"), *say, 99, 0) == "NOT_MONOTONE"
    assert world.refused(meter("anna"), *say, 0, 100) == "NOT_MONOTONE"
    world.done(meter("anna"), *say, 250, 0)
    assert world.query("metering", "progress_of", SLOT, meter("anna"))["generation_wh"] == 250
    world.go_slot(SLOT, 1)
    assert world.refused(meter("anna"), *say, 300, 0) == "NOT_DELIVERING"
    assert world.refused(meter("anna"), "metering", "submit_reading", SLOT, 249, 0) == "BELOW_PROGRESS"
    world.read("anna", SLOT, 250, 0)
    assert world.free("anna") == FUNDS
