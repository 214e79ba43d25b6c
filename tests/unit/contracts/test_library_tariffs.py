"""Tariffs with validity: posted ahead of every window, used by cover, settlement and correction of their own slots."""

from __future__ import annotations

import pytest
from shared_world import (
    INSTITUTIONS,
    SLOT,
    address,
    assert_bills_are_the_books,
    found,
    meter,
    slot_ms,
    trade,
)

GRID = INSTITUTIONS.grid_company
OLD = {"double_auction": (450_000, 670_000), "community_vpp": (60_000, 180_000), "matching": (450_000, 670_000)}
NEW = (400_000, 900_000)


def test_only_the_grid_company_posts_ahead_of_the_window_and_in_order() -> None:
    world = found("double_auction")
    world.go_slot(SLOT, -4)
    post = ("tariffs", "post")
    assert world.refused(address("anna"), *post, SLOT + 5, *NEW) == "NOT_ALLOWED"
    assert world.refused(GRID, *post, SLOT, *NEW) == "SLOT_BEGUN"
    assert world.refused(GRID, *post, SLOT + 5, 900_000, 400_000) == "BAD_PRICE"
    assert world.refused(GRID, *post, SLOT + 5, 1, 2**40) == "BAD_PRICE"
    world.done(GRID, *post, SLOT + 5, *NEW)
    assert world.refused(GRID, *post, SLOT + 5, *NEW) == "NOT_AFTER_LAST"
    assert [world.query("tariffs", "prices", slot) for slot in (SLOT, SLOT + 4, SLOT + 5, SLOT + 99)] == [
        [450_000, 670_000], [450_000, 670_000], list(NEW), list(NEW),
    ]  # fmt: skip
    assert world.query("tariffs", "at", SLOT) is None
    assert world.query("tariffs", "tariffs", 0, 10) == [{"from_slot": SLOT + 5, "feed": NEW[0], "retail": NEW[1]}]
    assert world.query("double_auction", "parameters")["retail"] == 670_000


@pytest.mark.parametrize("market", list(OLD))
def test_each_slot_is_settled_and_corrected_by_its_own_tariff(market: str) -> None:
    world = found(market)
    world.done(GRID, "tariffs", "post", SLOT, *NEW)
    world.go_slot(SLOT - 1, 1)
    for slot, (feed, retail) in ((SLOT - 1, OLD[market]), (SLOT, NEW)):
        world.go_slot(slot, 1)
        for name, values in (("anna", (500, 0)), ("bert", (0, 0)), ("carl", (0, 900)), ("dora", (0, 0))):
            world.read(name, slot, *values)
        world.go_slot(slot, 2)
        shared = 500 if market == "community_vpp" else 0  # by the pool, at the middle
        entry = world.query(market, "settlement", slot, meter("carl"))
        assert entry["net"] == -((900 - shared) * retail + shared * ((feed + retail) // 2)) // 1_000
        world.done(meter("dora"), "metering", "correct_reading", slot, 0, 100, "checked")
        world.run_due()
        (fixed,) = world.query(market, "corrections_of", slot, meter("dora"))
        assert fixed["net"] == -100 * retail // 1_000
        bill = world.query("bills", "bill", meter("carl"), slot, slot)
        assert bill["grid_only"] == -900 * retail // 1_000
    world.go(world.now + 8 * slot_ms(world))
    assert_bills_are_the_books(world)


def test_cover_is_locked_at_the_tariff_of_the_slot() -> None:
    world = found("double_auction")
    world.done(GRID, "tariffs", "post", SLOT, *NEW)
    world.go_slot(SLOT - 1, -4)
    world.order("anna", SLOT - 1, "sell", 1_000, 500_000, "keep")
    assert world.escrow("anna") == 170_000
    world.go_slot(SLOT, -4)
    world.order("anna", SLOT, "sell", 1_000, 500_000, "keep")
    assert world.escrow("anna") == 170_000 + 400_000
    for name, market, cover in (("bert", "matching", 400_000), ("bert", "community_vpp", 820_000 + 135_000 + 2_000)):
        other = found(market)
        other.done(GRID, "tariffs", "post", SLOT, *NEW)
        other.go_slot(SLOT, -4)
        ask = 500_000 if market == "matching" else 80_000
        other.done(address(name), market, "offer", SLOT, 1_000, ask)
        assert other.escrow(name) == cover


def test_a_seller_cannot_be_caught_by_a_tariff_after_it_has_ordered() -> None:
    """Gaming: the grid company raises retail when it sees who will fall short."""
    world = found("double_auction")
    trade(world, {"anna": 1_000}, {"carl": 1_000})
    assert world.refused(GRID, "tariffs", "post", SLOT, *NEW) == "SLOT_BEGUN"
    assert world.refused(GRID, "tariffs", "post", SLOT + 4, *NEW) == "SLOT_BEGUN"
    world.done(GRID, "tariffs", "post", SLOT + 5, *NEW)
    world.go_slot(SLOT, 1)
    world.read("anna", SLOT, 0, 0)
    world.go_slot(SLOT, 6)
    assert world.query("double_auction", "settlement", SLOT, meter("anna"))["grid_cost"] == 670_000


def test_market_a_keeps_the_prices_of_genesis_and_says_so() -> None:
    world = found("wind")
    assert world.refused(GRID, "tariffs", "post", SLOT + 90, 50_000, 130_000) == "FIXED_TARIFF"
    assert world.query("tariffs", "prices", SLOT + 90) == [40_000, 120_000]
