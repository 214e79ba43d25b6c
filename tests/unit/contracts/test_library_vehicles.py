"""Electric vehicles: reserve inside the plug-in window only, away with the declared charge or it is paid for."""

from __future__ import annotations

from market_world import MarketWorld
from shared_world import FUNDS, SLOT, address, assert_bills_are_the_books, found, meter

PRICE = 120_000 * 155 // 100
"""The dearest balancing energy of the test's market A: retail and both spreads."""


def planned(charge: int = 500, leave: int = 400, slots: int = 2) -> MarketWorld:
    world = found("wind")
    world.done(meter("dora"), "vehicles", "plug", SLOT, SLOT + slots - 1, charge, leave)
    return world


def offers(world: MarketWorld, slot: int, up: int, down: int, charge: int) -> str:
    receipt = world.send(address("dora"), "wind", "reserve", slot, up, down, 1_000, 1_000, charge)
    return receipt.code


def test_a_vehicle_gives_reserve_only_while_it_is_plugged_in() -> None:
    world = planned()
    world.go_slot(SLOT, -2, 1)
    assert offers(world, SLOT, 300, 0, 500) == ""
    assert offers(world, SLOT, 600, 0, 500) == "ABOVE_RESERVE"
    assert offers(world, SLOT + 1, 0, 300, 500) == ""
    assert offers(world, SLOT + 2, 0, 300, 500) == "NOT_PLUGGED"
    assert offers(world, SLOT + 2, 300, 0, 500) == "NOT_PLUGGED"
    assert offers(world, SLOT + 2, 0, 0, 500) == ""
    fixed = world.send(address("bert"), "wind", "reserve", SLOT + 2, 300, 300, 1_000, 1_000, 500)
    assert fixed.ok  # a storage that stands still needs no window


def test_what_is_missing_at_departure_costs_balancing_energy_and_stands_in_the_bill() -> None:
    world = planned()
    assert world.escrow("dora") == 400 * PRICE // 1_000
    assert world.refused(meter("dora"), "vehicles", "depart", SLOT, 400) == "REPORT_EARLY"
    world.go_slot(SLOT, 2)
    assert world.refused(meter("bert"), "vehicles", "depart", SLOT, 400) == "NO_SESSION"
    world.done(meter("dora"), "vehicles", "depart", SLOT, 150)
    assert world.free("dora") - FUNDS == -250 * PRICE // 1_000
    assert world.refused(meter("dora"), "vehicles", "depart", SLOT, 400) == "REPORTED"
    (row,) = world.query("bills", "bill_lines", SLOT + 1, meter("dora"))
    assert (row["kind"], row["wh"], row["amount"], row["source"]) == ("departure_bought", 250, -46_500, "grid")
    world.go_slot(SLOT, 9)
    assert world.query("vehicles", "session", meter("dora"), SLOT)["status"] == "stated"
    assert_bills_are_the_books(world)


def test_silence_is_charged_as_if_nothing_was_left_until_the_meter_says_more() -> None:
    """Gaming: give all away and say nothing."""
    world = planned()
    world.go_slot(SLOT, 6)
    assert world.free("dora") - FUNDS == -400 * PRICE // 1_000
    assert world.query("bills", "bill_lines", SLOT + 1, meter("dora"))[-1]["estimated"] is True
    world.done(meter("dora"), "vehicles", "depart", SLOT, 390)
    assert world.free("dora") - FUNDS == -10 * PRICE // 1_000
    world.go_slot(SLOT, 9)
    assert_bills_are_the_books(world)
    world.assert_money_conserved()


def test_more_than_declared_costs_nothing_and_windows_do_not_overlap() -> None:
    world = planned()
    plug = ("vehicles", "plug")
    for first, last in ((SLOT, SLOT), (SLOT + 1, SLOT + 3), (SLOT - 1, SLOT + 3), (SLOT - 1, SLOT)):
        assert world.refused(meter("dora"), *plug, first, last, 0, 0) == "OVERLAPS"
    assert world.refused(meter("dora"), *plug, SLOT + 3, SLOT + 2, 0, 0) == "BAD_PERIOD"
    assert world.refused(meter("dora"), *plug, SLOT + 3, SLOT + 99, 0, 0) == "BAD_PERIOD"
    assert world.refused(meter("dora"), *plug, SLOT + 3, SLOT + 4, 0, 10**7) == "BAD_WH"
    assert world.refused(meter("bert"), *plug, SLOT + 3, SLOT + 4, 0, 0) == "NO_VEHICLE"
    assert world.refused(address("dora"), *plug, SLOT + 3, SLOT + 4, 0, 0) == "NO_VEHICLE"
    world.done(meter("dora"), *plug, SLOT + 2, SLOT + 2, 0, 0)
    world.go_slot(SLOT, 2)
    assert world.refused(meter("dora"), *plug, SLOT + 1, SLOT + 1, 0, 0) == "SLOT_BEGUN"
    world.done(meter("dora"), "vehicles", "depart", SLOT, 900)
    assert world.free("dora") == FUNDS
