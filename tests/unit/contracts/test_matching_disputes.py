"""matching: a dispute freezes what is disputed; the notary rules, else the grid company's meter, else the reports."""

from __future__ import annotations

import pytest
from matching_world import FEED, RETAIL, D, MatchingWorld, address, meter

CYCLE = 6
NOTARY, GRID = address("notary"), address("grid")


@pytest.fixture
def world() -> MatchingWorld:
    """2,000 Wh at 500,000; paul's device says 2,000, anna's 1,500, her meter 1,900. paul claims that 2,000 arrived."""
    world = MatchingWorld()
    for name in ("anna", "paul"):
        world.member(name, funds=10**9)
    world.deposit(address("community"), 10**6)
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, 2_000, 500_000)
    world.request("anna", CYCLE, 2_000)
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    (order,) = world.orders(CYCLE)
    world.report("paul", order, 2_000)
    world.report("anna", order, 1_500)
    world.done(address("paul"), D, "dispute", 0, 2_000, 2_000)
    world.readings(CYCLE, {"paul": (2_000, 0), "anna": (0, 1_900)})
    return world


def paid(world: MatchingWorld) -> tuple[str, int, int, int]:
    order = world.orders(CYCLE)[0]
    return order["state"], order["paid"], order["reward_paid"], order["held"]


def test_what_both_sides_grant_is_paid_and_the_rest_waits(world: MatchingWorld) -> None:
    world.go_slot(CYCLE, 2)
    assert paid(world) == ("disputed", 750_000, 0, 250_000)
    assert (world.escrow("anna"), world.escrow("community")) == (250_000, 10_000)
    assert world.free("paul") == 10**9 + 750_000
    assert world.query(D, "cycle", CYCLE)["phase"] == "settled"
    world.assert_money_conserved()


def test_the_notary_rules_and_the_difference_is_booked(world: MatchingWorld) -> None:
    assert world.refused(NOTARY, D, "rule", 0, 2_000, 1_950) == "NOT_SETTLED"
    world.done(address("anna"), D, "evidence", 0, bytes(32))
    assert world.refused(address("eve"), D, "evidence", 0, bytes(32)) == "NOT_ALLOWED"
    world.go_slot(CYCLE, 2)
    assert world.entry(CYCLE, "anna")["grid_buy_wh"] == 400
    assert world.refused(GRID, D, "rule", 0, 2_000, 1_950) == "NOT_ALLOWED"
    world.done(NOTARY, D, "rule", 0, 2_000, 1_950)
    assert paid(world) == ("settled", 1_000_000, 5_000, 0)
    assert world.query(D, "claim", 0)["evidence"] == [bytes(32)]
    anna = world.query(D, "corrections_of", CYCLE, meter("anna"))[0]
    assert (anna["received_wh"], anna["grid_buy_wh"], anna["grid_sell_wh"]) == (1_950, 0, 50)
    assert world.free("anna") == 10**9 + anna["net"]
    assert world.free("paul") == 10**9 + 1_005_000
    assert world.refused(NOTARY, D, "rule", 0, 0, 0) == "SETTLED"
    world.go_slot(CYCLE, 20)
    assert len(world.events("OrderRuled")) == 1
    world.assert_closed()


def test_a_ruling_below_what_was_paid_takes_it_back(world: MatchingWorld) -> None:
    world.go_slot(CYCLE, 2)
    world.done(NOTARY, D, "rule", 0, 0, 0)
    assert paid(world) == ("settled", 0, 0, 0)
    assert world.free("paul") == 10**9 + 2_000 * FEED // 1000, "what he made counts as fed in"
    assert world.free("anna") == 10**9 - 1_900 * RETAIL // 1000
    world.assert_closed()


@pytest.mark.parametrize(
    ("third", "decided", "by"), [((2_000, 1_980), 1_000_000, "grid meter"), (None, 750_000, "reports")]
)
def test_without_a_ruling_the_third_meter_decides_else_the_reports(
    world: MatchingWorld, third: tuple[int, int] | None, decided: int, by: str
) -> None:
    if third is not None:
        assert world.refused(NOTARY, D, "third_reading", 0, *third) == "NOT_ALLOWED"
        world.done(GRID, D, "third_reading", 0, *third)
        assert world.refused(GRID, D, "third_reading", 0, *third) == "REPORTED"
    world.go_slot(CYCLE, 9, -1)
    assert paid(world)[0] == "disputed"
    world.go_slot(CYCLE, 9)
    assert paid(world)[:2] == ("settled", decided)
    (ruled,) = world.events("OrderRuled")
    assert ruled["by"] == by
    world.assert_closed()


def test_a_report_that_comes_during_a_dispute_does_not_end_it_but_counts_at_its_end() -> None:
    world = MatchingWorld()
    for name in ("anna", "paul"):
        world.member(name, funds=10**9)
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, 2_000, 500_000)
    world.request("anna", CYCLE, 2_000)
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    world.report("anna", world.orders(CYCLE)[0], 500)
    world.done(address("anna"), D, "dispute", 0, 0, 0)
    world.readings(CYCLE, {"paul": (2_000, 0), "anna": (0, 500)})
    world.go_slot(CYCLE, 2)
    assert paid(world) == ("disputed", 0, 0, 250_000)
    world.report("paul", world.orders(CYCLE)[0], 2_000)
    assert paid(world) == ("disputed", 0, 0, 250_000)
    world.go_slot(CYCLE, 9)
    assert paid(world) == ("settled", 250_000, 0, 0)
    assert world.orders(CYCLE)[0]["settled_sent"] == 2_000
    world.assert_closed()


def test_who_may_dispute_and_when(world: MatchingWorld) -> None:
    assert world.refused(address("anna"), D, "dispute", 0, 0, 0) == "DISPUTED"
    assert world.refused(address("paul"), D, "apply_settlement", 0) == "DISPUTED"
    assert world.refused(address("paul"), D, "dispute", 1, 0, 0) == "NO_ORDER"
    assert world.refused(GRID, D, "third_reading", 1, 0, 0) == "NO_DISPUTE"
    world.go_slot(10, -3)
    world.offer("paul", 10, 1_000, 500_000)
    world.request("anna", 10, 1_000)
    world.matched(10)
    assert world.refused(address("anna"), D, "dispute", 1, 0, 0) == "NOT_DISPUTABLE"
    world.go_slot(10, 1)
    assert world.refused(address("eve"), D, "dispute", 1, 0, 0) == "NOT_YOURS"
    assert world.refused(address("anna"), D, "dispute", 1, 10**9, 0) == "BAD_WH"
    world.readings(10, {"paul": (1_000, 0), "anna": (0, 1_000)})
    world.go_slot(10, 2)
    assert world.refused(address("anna"), D, "dispute", 1, 0, 0) == "NOT_DISPUTABLE"
