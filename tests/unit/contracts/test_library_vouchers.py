"""Vouchers: claimed by anyone for who bought, moved and retired by their holder, taken back when a trade shrinks."""

from __future__ import annotations

from market_world import MarketWorld
from shared_world import (
    INSTITUTIONS,
    NAMES,
    SLOT,
    address,
    assert_vouchers_are_the_deliveries,
    found,
    meter,
    trade,
)

WH = 600


def settled(sold: int = WH, silent: bool = False) -> MarketWorld:
    """Market C: anna sold 600 Wh to carl and generated `sold`."""
    world = found("double_auction")
    trade(world, {"anna": WH}, {"carl": WH})
    world.go_slot(SLOT, 1)
    for name in NAMES:
        if name != "anna" or not silent:
            world.read(name, SLOT, *{"anna": (sold, 0), "carl": (0, WH)}.get(name, (0, 0)))
    world.go_slot(SLOT, 6)
    return world


def correct(world: MarketWorld, wh: int) -> None:
    world.done(meter("anna"), "metering", "correct_reading", SLOT, wh, 0, "checked")


def wh_of(world: MarketWorld, number: int) -> int:
    return int(world.query("vouchers", "voucher", number)["wh"])


def test_a_voucher_names_source_slot_parties_and_is_retired_once() -> None:
    world = settled()
    assert world.done(address("dora"), "vouchers", "claim", SLOT, 0, 10) == 1
    assert world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10) == 0
    (voucher,) = world.query("vouchers", "vouchers_of", address("carl"), 0, 10)
    assert (voucher["wh"], voucher["source"], voucher["slot"], voucher["trade"]) == (WH, "pv", SLOT, 0)
    assert (voucher["seller"], voucher["buyer"]) == (meter("anna"), meter("carl"))
    assert world.refused(address("anna"), "vouchers", "retire", 1, "mine") == "NOT_YOURS"
    assert world.refused(address("carl"), "vouchers", "retire", 1, "") == "BAD_TEXT"
    assert world.refused(address("carl"), "vouchers", "retire", 9, "x") == "NO_VOUCHER"
    assert world.done(address("carl"), "vouchers", "retire", 1, "green tariff") == WH
    assert world.refused(address("carl"), "vouchers", "retire", 1, "again") == "RETIRED"
    assert world.refused(address("carl"), "vouchers", "transfer", 1, address("dora")) == "RETIRED"
    assert world.query("vouchers", "supply") == {
        "issued_wh": WH, "retired_wh": WH, "accounted_wh": WH, "overdrawn_wh": 0,
    }  # fmt: skip


def test_a_voucher_moves_to_members_and_institutions_only() -> None:
    world = settled()
    world.done(address("dora"), "vouchers", "claim", SLOT, 0, 10)
    for receiver in (address("nobody"), meter("dora"), address("carl")):
        assert world.refused(address("carl"), "vouchers", "transfer", 1, receiver) == "BAD_RECEIVER"
    world.done(address("carl"), "vouchers", "transfer", 1, address("dora"))
    assert world.query("vouchers", "vouchers_of", address("carl"), 0, 10) == []
    world.done(address("dora"), "vouchers", "transfer", 1, INSTITUTIONS.energy_bureau)
    assert world.done(INSTITUTIONS.energy_bureau, "vouchers", "retire", 1, "audit") == WH


def test_a_larger_trade_gets_another_voucher_a_smaller_one_gives_back_the_newest_first() -> None:
    world = settled(sold=300)
    assert_vouchers_are_the_deliveries(world)
    correct(world, 500)
    assert_vouchers_are_the_deliveries(world)
    assert [row["wh"] for row in world.query("vouchers", "vouchers_for", SLOT, 0)] == [300, 200]
    correct(world, 250)
    assert [row["trade"] for row in world.query("vouchers", "claimable", SLOT)] == [0]
    assert_vouchers_are_the_deliveries(world)
    assert [row["wh"] for row in world.query("vouchers", "vouchers_for", SLOT, 0)] == [250, 0]
    assert world.refused(address("carl"), "vouchers", "retire", 2, "x") == "EMPTY_VOUCHER"


def test_a_holder_cannot_use_or_sell_what_was_corrected_away() -> None:
    """Gaming: hurry to retire or to sell before anyone claims the correction."""
    world = settled()
    world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10)
    correct(world, 100)
    assert wh_of(world, 1) == WH
    world.done(address("carl"), "vouchers", "transfer", 1, address("dora"))
    assert wh_of(world, 1) == 100
    correct(world, 40)
    assert world.done(address("dora"), "vouchers", "retire", 1, "x") == 40
    assert_vouchers_are_the_deliveries(world)


def test_what_was_retired_too_early_is_paid_off_by_the_next_vouchers() -> None:
    world = settled()
    world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10)
    world.done(address("carl"), "vouchers", "retire", 1, "x")
    correct(world, 100)
    assert_vouchers_are_the_deliveries(world)
    assert world.query("vouchers", "overdraft", meter("carl")) == 500
    correct(world, 400)
    assert_vouchers_are_the_deliveries(world)
    assert world.query("vouchers", "overdraft", meter("carl")) == 200
    assert len(world.query("vouchers", "vouchers_for", SLOT, 0)) == 1
    correct(world, 600)
    assert_vouchers_are_the_deliveries(world)
    assert world.query("vouchers", "overdraft", meter("carl")) == 0


def test_silence_makes_no_vouchers_and_neither_does_energy_of_the_grid() -> None:
    """Gaming: a seller whose meter says nothing is settled as if it had delivered; one that delivers nothing buys from
    the grid what it owes. Neither is a neighbour's energy."""
    world = settled(silent=True)
    assert world.query("bills", "period_trades", SLOT)[0]["estimated"] is True
    assert world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10) == 0
    world.done(meter("anna"), "metering", "submit_reading", SLOT, 0, 0)
    world.run_due()
    assert world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10) == 0
    correct(world, 50)
    assert world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10) == 1
    assert wh_of(world, 1) == 50


def test_nothing_is_claimed_before_the_slot_is_settled() -> None:
    world = found("double_auction")
    trade(world, {"anna": WH}, {"carl": WH})
    assert world.done(address("carl"), "vouchers", "claim", SLOT, 0, 10) == 0
    assert world.query("vouchers", "claimable", SLOT) == []
