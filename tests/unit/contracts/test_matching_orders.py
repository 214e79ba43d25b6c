"""matching: requests and offers, the match, electronic orders and their states, escrow, settlement."""

from __future__ import annotations

import pytest
from matching_world import FEED, RETAIL, SLOT_MS, D, MatchingWorld, address, commitment, meter

CYCLE = 6
DEAL = (2_000, 500_000)
NONCE = bytes(32)


def world_of(*names: str, **changes: object) -> MatchingWorld:
    world = MatchingWorld(**changes)
    for name in names:
        world.member(name, funds=10**9)
    world.deposit(address("community"), 10**6)
    return world


@pytest.fixture
def world() -> MatchingWorld:
    """anna asks for 2,000 Wh of cycle 6, paul offers 3,000 at 500,000; the window is open."""
    world = world_of("anna", "paul", "carl")
    world.go_slot(CYCLE, -4)
    world.offer("paul", CYCLE, 3_000, 500_000)
    world.request("anna", CYCLE, 2_000, 600_000)
    return world


def test_escrow_of_both_sides_and_what_returns_at_the_match(world: MatchingWorld) -> None:
    assert world.escrow("anna") == 600_000 * 2
    assert world.escrow("paul") == (RETAIL - 500_000) * 3
    assert world.matched(CYCLE) == {"anna": "paul"}
    (order,) = world.orders(CYCLE)
    assert (order["wh"], order["price"], order["escrow"], order["reward"]) == (2_000, 500_000, 1_000_000, 10_000)
    assert (order["fee"], order["path"], order["loss"], order["state"]) == (0, [], 60, "matched")
    assert world.escrow("anna") == 1_000_000
    assert world.escrow("paul") == (RETAIL - 500_000) * 2
    assert world.escrow("community") == 10_000
    (made,) = world.events("OrderMade")
    assert made["deadline_ms"] == order["deadline_ms"] == world.start(CYCLE + 5)
    assert world.query(D, "orders_of", meter("anna"), 0, 10) == world.query(D, "orders_of", meter("paul"), 0, 10) == [0]
    world.assert_money_conserved()


def test_an_order_goes_through_its_states_and_the_provider_applies(world: MatchingWorld) -> None:
    """Example 6.4, first case: R 2000, r 500,000, rho 2100, gamma 1950: reward 5,000, paid 1,000,000."""
    world.matched(CYCLE)
    (order,) = world.orders(CYCLE)
    assert world.refused(meter("paul"), D, "progress", 0, 10) == "NOT_DELIVERING"
    world.go_slot(CYCLE, 0)
    assert world.order_of("anna", CYCLE)["state"] == "delivering"
    world.done(meter("paul"), D, "progress", 0, 900)
    assert world.refused(meter("paul"), D, "progress", 0, 1_000) == "TOO_SOON"
    world.go(world.now + 60_000)
    assert world.refused(meter("paul"), D, "progress", 0, 899) == "NOT_MONOTONE"
    assert world.refused(meter("carl"), D, "progress", 0, 1_000) == "NOT_YOURS"
    assert world.refused(meter("paul"), D, "report", 0, 2_100) == "REPORT_EARLY"
    world.go_slot(CYCLE, 1)
    assert world.refused(meter("paul"), D, "report", 0, 899) == "BELOW_PROGRESS"
    world.report("paul", order, 2_100)
    assert world.refused(meter("paul"), D, "report", 0, 2_000) == "REPORTED"
    assert world.refused(address("paul"), D, "apply_settlement", 0) == "NOT_REPORTED"
    world.report("anna", order, 1_950)
    assert world.order_of("anna", CYCLE)["state"] == "delivered"
    assert world.refused(address("paul"), D, "apply_settlement", 0) == "TOO_SOON"
    world.go(world.now + SLOT_MS // 4)
    assert world.refused(address("anna"), D, "apply_settlement", 0) == "NOT_YOURS"
    world.done(address("paul"), D, "apply_settlement", 0)
    settled = world.order_of("anna", CYCLE)
    assert (settled["state"], settled["paid"], settled["reward_paid"]) == ("settled", 1_000_000, 5_000)
    assert world.escrow("anna") == world.escrow("community") == 0
    assert world.refused(address("paul"), D, "apply_settlement", 0) == "SETTLED"
    world.readings(CYCLE, {"paul": (2_100, 0), "anna": (0, 2_000)})
    world.go_slot(CYCLE, 2)
    assert world.query(D, "cycle", CYCLE)["phase"] == "settled"
    assert world.free("paul") == 10**9 + 1_000_000 + 5_000
    assert world.free("anna") == 10**9 - 1_000_000 - 50 * RETAIL // 1000
    (total,) = world.events("CycleSettled", cycle=CYCLE)
    assert (total["sent_wh"], total["received_wh"], total["grid_sales_wh"]) == (2_100, 1_950, 50)
    world.assert_closed()


@pytest.mark.parametrize(
    ("devices", "checked", "reward", "paid"),
    [
        ((2_100, 1_950), True, 5_000, 1_000_000),
        ((1_900, 1_850), True, 0, 925_000),
        ((2_100, 1_900), False, 0, 1_000_000),
        ((2_100, 1_900), True, 0, 950_000),
        ((2_000, 2_000), True, 10_000, 1_000_000),
        ((0, 0), True, 0, 0),
    ],
)
def test_settlement_by_what_the_devices_say(devices: tuple[int, int], checked: bool, reward: int, paid: int) -> None:
    world = world_of("anna", "paul", checked=checked)
    world.trade(CYCLE, "anna", "paul", DEAL, devices)
    order = world.order_of("anna", CYCLE)
    assert (order["paid"], order["reward_paid"]) == (paid, reward)
    assert world.free("paul") == 10**9 + paid + reward
    assert world.free("anna") == 10**9 - paid
    assert world.free("community") == 10**6 - reward
    world.assert_closed()


def test_without_reports_the_meters_decide_and_it_is_marked(world: MatchingWorld) -> None:
    """paul made 1,500 of 2,000 Wh; anna used 1,800: 300 of them come from the grid."""
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    world.readings(CYCLE, {"paul": (1_500, 0), "anna": (0, 1_800)})
    world.go_slot(CYCLE, 2)
    order = world.order_of("anna", CYCLE)
    assert (order["state"], order["estimated"], order["sent"]) == ("settled", True, None)
    assert (order["settled_sent"], order["settled_received"], order["paid"]) == (1_500, 1_500, 750_000)
    assert world.entry(CYCLE, "anna")["net"] == -750_000 - 300 * RETAIL // 1000
    assert world.entry(CYCLE, "paul")["net"] == 750_000
    assert world.entry(CYCLE, "carl")["net"] == 0
    assert world.rc("paul") == 400_000 * 3 // 4
    world.assert_closed()


def test_a_late_report_corrects_an_estimate_visibly(world: MatchingWorld) -> None:
    world.matched(CYCLE)
    (order,) = world.orders(CYCLE)
    world.go_slot(CYCLE, 1)
    world.report("anna", order, 1_700)
    world.readings(CYCLE, {"paul": (1_900, 0), "anna": (0, 1_700)})
    world.go_slot(CYCLE, 2)
    assert world.order_of("anna", CYCLE)["paid"] == 850_000
    assert world.refused(meter("anna"), D, "report", 0, 2_000) == "REPORTED"
    world.report("paul", order, 1_900)
    done = world.order_of("anna", CYCLE)
    assert (done["paid"], done["sent"], done["estimated"]) == (850_000, 1_900, False)
    (corrected,) = world.events("OrderCorrected")
    assert (corrected["paid"], corrected["paid_before"], corrected["sent"]) == (850_000, 850_000, 1_900)
    (before, after) = (world.entry(CYCLE, "paul"), world.query(D, "corrections_of", CYCLE, meter("paul"))[0])
    assert (before["grid_sell_wh"], after["grid_sell_wh"]) == (200, 0)
    assert after["difference"] == -200 * FEED // 1000
    world.assert_closed()


def test_an_order_of_which_nothing_is_known_expires_and_its_escrow_returns(world: MatchingWorld) -> None:
    world.matched(CYCLE)
    world.go_slot(CYCLE, 2)
    assert world.query(D, "cycle", CYCLE)["phase"] == "matched"
    world.go_slot(CYCLE, 5)
    assert world.order_of("anna", CYCLE)["state"] == "expired"
    assert (world.free("anna"), world.free("paul")) == (10**9, 10**9)
    assert all(event["estimated"] for event in world.events("Settled", cycle=CYCLE))
    assert world.rc("paul") == 0
    world.assert_closed()
    world.read("paul", CYCLE, 2_000, 0)
    assert world.query(D, "corrections_of", CYCLE, meter("paul"))[0]["net"] == 2_000 * FEED // 1000
    world.report("paul", world.orders(CYCLE)[0], 2_000)
    assert world.order_of("anna", CYCLE)["paid"] == 1_000_000
    assert world.query(D, "corrections_of", CYCLE, meter("paul"))[-1]["net"] == 1_000_000 + 10_000
    world.assert_closed()


@pytest.mark.parametrize("checked", [True, False])
def test_a_user_that_claims_more_than_was_sent_gains_nothing(checked: bool) -> None:
    """paul sends 2,000 as agreed; anna uses 5,000 and says that all of it came from paul."""
    world = world_of("anna", "paul", checked=checked)
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, *DEAL)
    world.request("anna", CYCLE, DEAL[0])
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    (order,) = world.orders(CYCLE)
    world.report("paul", order, 2_000)
    world.report("anna", order, 5_000)
    world.readings(CYCLE, {"paul": (2_000, 0), "anna": (0, 5_000)})
    world.go_slot(CYCLE, 2)
    assert world.free("anna") == 10**9 - 1_000_000 - 3_000 * RETAIL // 1000
    assert world.free("paul") == 10**9 + 1_010_000
    world.assert_closed()


def test_a_user_cannot_make_a_silent_provider_owe_more_than_the_order(world: MatchingWorld) -> None:
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    world.report("anna", world.orders(CYCLE)[0], 6_000)
    world.readings(CYCLE, {"paul": (2_000, 0), "anna": (0, 6_000)})
    world.go_slot(CYCLE, 2)
    assert world.free("paul") == 10**9 + 1_010_000
    assert world.free("anna") == 10**9 - 1_000_000 - 4_000 * RETAIL // 1000
    world.assert_closed()


def test_a_provider_that_reports_less_than_it_sent_sells_less(world: MatchingWorld) -> None:
    """1,000 of 2,000 Wh reported: the rest counts as fed in, which pays less than the order."""
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    world.report("paul", world.orders(CYCLE)[0], 1_000)
    world.report("anna", world.orders(CYCLE)[0], 2_000)
    world.readings(CYCLE, {"paul": (2_000, 0), "anna": (0, 2_000)})
    world.go_slot(CYCLE, 2)
    assert world.free("paul") == 10**9 + 500_000 + 1_000 * FEED // 1000 < 10**9 + 1_000_000
    assert world.free("anna") == 10**9 - 500_000 - 1_000 * RETAIL // 1000
    world.assert_closed()


def test_a_user_that_nobody_can_serve_has_its_money_back(world: MatchingWorld) -> None:
    world.request("carl", CYCLE, 1_001, 600_000)
    assert world.query(D, "schedule_of", CYCLE) == {"users": [], "left": []}
    assert world.matched(CYCLE) in ({"anna": "paul"}, {"carl": "paul"})
    (found,) = world.events("CycleMatched", cycle=CYCLE)
    assert (found["by"], found["served"], found["served_bound"], found["gap_ppm"]) == ("exact", 1, 1, 0)
    schedule = world.query(D, "schedule_of", CYCLE)
    assert [row["user"] for row in schedule["users"]] == [meter(name) for name in world.by_id("anna", "carl")]
    assert sorted((row["why"], row["order"] is None) for row in schedule["users"]) == [("", False), ("no room", True)]
    assert schedule["left"] == [3_000 - world.orders(CYCLE)[0]["wh"]]
    assert sum(escrow for _, escrow, _ in world.accounts().values()) == sum(
        row["escrow"] + row["reward"] + (RETAIL - row["price"]) * row["wh"] // 1000 for row in world.orders(CYCLE)
    )


def test_a_price_above_the_limit_is_no_pair(world: MatchingWorld) -> None:
    world.request("carl", CYCLE, 500, 499_999)
    assert world.matched(CYCLE) == {"anna": "paul"}
    assert world.free("carl") == 10**9
    rows = {world.name_of(row["user"]): row for row in world.query(D, "schedule_of", CYCLE)["users"]}
    assert (rows["carl"]["why"], rows["anna"]["provider"]) == ("no pair", meter("paul"))


def test_what_is_refused(world: MatchingWorld) -> None:
    anna, carl = address("anna"), address("carl")
    assert world.refused(anna, D, "request", CYCLE, 100, RETAIL) == "PLACED"
    assert world.refused(anna, D, "offer", CYCLE, 100, RETAIL) == "PLACED"
    assert world.refused(carl, D, "offer", CYCLE, 100, RETAIL + 1) == "BAD_PRICE"
    assert world.refused(carl, D, "offer", CYCLE, 10**6, RETAIL) == "BAD_WH"
    assert world.refused(carl, D, "offer", CYCLE, 0, RETAIL) == "BAD_WH"
    assert world.refused(address("nobody"), D, "offer", CYCLE, 100, RETAIL) == "NOT_MEMBER"
    assert world.refused(carl, D, "offer", CYCLE + 4, 100, RETAIL) == "WINDOW_CLOSED"
    assert world.refused(carl, D, "commit", CYCLE, bytes(32)) == "NOT_SEALED"
    assert world.refused(carl, D, "withdraw", CYCLE, "offer") == "NO_ENTRY"
    assert world.refused(carl, D, "submit", CYCLE, [0], 0, [0]) == "NOT_CLOSED"
    world.done(address("bureau"), "registry", "suspend", carl, "unpaid")
    assert world.refused(carl, D, "offer", CYCLE, 100, RETAIL) == "SUSPENDED"
    assert world.done(anna, D, "withdraw", CYCLE, "request") == 1_200_000
    assert world.escrow("anna") == 0
    world.go_slot(CYCLE, -2)
    assert world.refused(anna, D, "request", CYCLE, 100, RETAIL) == "ORDER_LATE"
    assert world.refused(address("paul"), D, "withdraw", CYCLE, "offer") == "ORDER_LATE"
    assert world.matched(CYCLE) == {}
    assert world.escrow("paul") == 0


def test_an_order_without_cover_is_refused_with_both_figures() -> None:
    world = world_of("anna")
    world.member("poor", funds=100)
    world.go_slot(CYCLE, -4)
    receipt = world.send(address("poor"), D, "request", CYCLE, 1_000, 500_000)
    assert receipt.code == "INSUFFICIENT_FUNDS"
    assert world.refused(address("poor"), D, "offer", CYCLE, 1_000, 500_000) == "INSUFFICIENT_FUNDS"
    world.offer("poor", CYCLE, 1_000, RETAIL)


def test_sealed_requests_show_nothing_and_cost_the_deposit_if_not_revealed() -> None:
    world = world_of("anna", "paul", "carl", sealed=True)
    world.go_slot(CYCLE, -4)
    deals = {"anna": ("request", 2_000, 600_000), "paul": ("offer", 3_000, 500_000), "carl": ("offer", 10, 1)}
    for name, deal in deals.items():
        world.done(address(name), D, "commit", CYCLE, commitment(name, CYCLE, *deal, NONCE))
    assert world.refused(address("anna"), D, "commit", CYCLE, bytes(32)) == "COMMITTED"
    assert world.refused(address("anna"), D, "request", CYCLE, 1, 1) == "SEALED"
    assert world.refused(address("anna"), D, "reveal", CYCLE, *deals["anna"], NONCE) == "WINDOW_CLOSED"
    assert world.query(D, "book", CYCLE)["requests"] == []
    world.go_slot(CYCLE, -3)
    assert world.refused(address("anna"), D, "commit", CYCLE, bytes(32)) == "ORDER_LATE"
    assert world.refused(address("anna"), D, "reveal", CYCLE, "request", 2_001, 600_000, NONCE) == "BAD_REVEAL"
    for name in ("anna", "paul"):
        world.done(address(name), D, "reveal", CYCLE, *deals[name], NONCE)
    assert world.refused(address("anna"), D, "reveal", CYCLE, *deals["anna"], NONCE) == "NO_COMMITMENT"
    assert world.matched(CYCLE) == {"anna": "paul"}
    assert world.free("carl") == 10**9 - 100_000
    assert world.free("community") == 10**6 + 100_000 - 10_000
    world.assert_money_conserved()


def test_the_token_rate_is_posted_in_steps_and_frozen_into_orders() -> None:
    world = world_of("anna", "paul")
    center = address("center")
    assert world.refused(address("anna"), D, "post_rate", CYCLE, 1_050_000) == "NOT_ALLOWED"
    assert world.refused(center, D, "post_rate", CYCLE, 1_200_000) == "RATE_STEP"
    world.done(center, D, "post_rate", CYCLE, 1_050_000)
    assert world.refused(center, D, "post_rate", CYCLE, 1_060_000) == "NOT_AFTER_LAST"
    world.done(center, D, "post_rate", CYCLE + 1, 950_000)
    world.go_slot(CYCLE, -3)
    assert world.refused(center, D, "post_rate", CYCLE + 1, 950_000) == "CYCLE_BEGUN"
    world.trade(CYCLE, "anna", "paul", DEAL, (1_900, 1_850))
    order = world.order_of("anna", CYCLE)
    assert (order["rate"], order["escrow"], order["paid"]) == (1_050_000, 1_050_000, 971_250)
    assert world.free("paul") == 10**9 + 971_250
    world.trade(CYCLE + 5, "anna", "paul", DEAL, (2_000, 2_000))
    assert world.order_of("anna", CYCLE + 5)["escrow"] == 950_000
    world.assert_closed()


def test_rewards_go_as_far_as_the_community_has_money() -> None:
    world = MatchingWorld()
    for name in ("anna", "bert", "carl", "paul"):
        world.member(name, funds=10**9)
    world.deposit(address("community"), 25_000)
    world.go_slot(CYCLE, -4)
    world.offer("paul", CYCLE, 3_000, 500_000)
    for name in ("anna", "bert", "carl"):
        world.request(name, CYCLE, 1_000)
    assert len(world.matched(CYCLE)) == 3
    assert [row["reward"] for row in world.orders(CYCLE)] == [10_000, 10_000, 0]
    assert world.escrow("community") == 20_000
