"""double_auction: metered settlement by rule 4.1.6; late, missing and corrected readings by 1.1; laws of every slot."""

from __future__ import annotations

import pytest
from market_world import AUCTION, SLOT_MS, MarketWorld, address, meter

from contracts.values import decode_value
from ledger.schema import state_storage
from ledger.state import verify_state_proof

FEED, RETAIL = 450, 670  # micro-currency per Wh


@pytest.fixture
def world() -> MarketWorld:
    """anna has sold 1,000 Wh of slot 5 to bert at 500,000; carl neither bought nor sold. Delivery has just ended."""
    world = MarketWorld()
    for name in ("anna", "bert", "carl"):
        world.member(name, funds=10_000_000)
    world.deposit(address("grid"), 10_000_000)
    world.go_slot(5, -4)
    world.order("anna", 5, "sell", 1_000, 480_000)
    world.order("bert", 5, "buy", 1_000, 520_000)
    world.go_slot(5, 1)
    return world


def entry(world: MarketWorld, name: str, slot: int = 5) -> dict:
    found = world.query("double_auction", "settlement", slot, meter(name))
    assert found is not None
    return found


def grid_balance(world: MarketWorld) -> int:
    balance, escrow, debt = world.accounts()[address("grid")]
    assert escrow == 0
    return balance - debt


def phase(world: MarketWorld, slot: int = 5) -> str:
    return world.query("double_auction", "slot", slot)["phase"]


@pytest.mark.parametrize(
    ("generation", "use", "seller_net", "buyer_net"),
    [
        (1_000, 1_000, 500_000, -500_000),
        (700, 1_000, 500_000 - 300 * RETAIL, -500_000),
        (1_200, 1_000, 500_000 + 200 * FEED, -500_000),
        (0, 0, 500_000 - 1_000 * RETAIL, -500_000 + 1_000 * FEED),
        (1_000, 1_300, 500_000, -500_000 - 300 * RETAIL),
        (1_000, 400, 500_000, -500_000 + 600 * FEED),
    ],
)
def test_trades_are_owed_in_full_and_differences_go_to_the_grid(
    world: MarketWorld, generation: int, use: int, seller_net: int, buyer_net: int
) -> None:
    before = grid_balance(world)
    earlier = sum(event["net"] for event in world.events("Settled"))
    world.read("anna", 5, generation, 0)
    world.read("bert", 5, 0, use)
    world.read("carl", 5, 0, 100)
    assert phase(world) == "cleared"
    world.go_slot(5, 2)
    assert phase(world) == "settled"
    assert (entry(world, "anna")["net"], entry(world, "bert")["net"]) == (seller_net, buyer_net)
    assert entry(world, "carl")["net"] == -100 * RETAIL
    assert (world.escrow("anna"), world.escrow("bert")) == (0, 0)
    assert world.free("anna") == 10_000_000 + seller_net
    (total,) = world.events("SlotSettled", slot=5)
    assert total["members_net"] + total["grid_net"] == 0
    assert total["use_wh"] - total["generation_wh"] == total["grid_sales_wh"] - total["grid_purchases_wh"]
    assert (total["meters"], total["estimated"], total["traded_wh"]) == (3, 0, 1_000)
    assert earlier == 0
    assert grid_balance(world) == before + total["grid_net"]
    assert world.accounts()[bytes(AUCTION)] == (0, 0, 0)
    world.assert_money_conserved()


def test_a_seller_that_consumes_instead_buys_both(world: MarketWorld) -> None:
    world.read("anna", 5, 0, 50)
    world.read("bert", 5, 30, 0)
    world.read("carl", 5, 0, 0)
    world.go_slot(5, 2)
    anna, bert = entry(world, "anna"), entry(world, "bert")
    assert (anna["grid_buy_wh"], anna["grid_sell_wh"]) == (1_050, 0)
    assert (bert["grid_buy_wh"], bert["grid_sell_wh"]) == (0, 1_030)


def test_a_missing_reading_keeps_the_slot_open_until_it_comes(world: MarketWorld) -> None:
    world.read("anna", 5, 1_000, 0)
    world.read("bert", 5, 0, 1_000)
    world.go_slot(5, 3, 1)
    assert phase(world) == "cleared"
    assert not world.events("Settled", slot=5)
    world.read("carl", 5, 0, 70)
    world.go(world.now + 1)
    assert phase(world) == "settled"
    assert entry(world, "carl")["net"] == -70 * RETAIL
    assert not entry(world, "carl")["estimated"]
    assert world.events("ReadingAccepted", slot=5)[-1]["late"]
    world.go_slot(5, 9)
    assert len(world.events("SlotSettled", slot=5)) == 1


def test_a_reading_that_never_comes_is_estimated_after_the_late_slots(world: MarketWorld) -> None:
    world.read("bert", 5, 0, 900)
    world.go_slot(5, 5, -1)
    assert phase(world) == "cleared"
    world.go_slot(5, 5)
    assert phase(world) == "settled"
    anna, bert, carl = entry(world, "anna"), entry(world, "bert"), entry(world, "carl")
    assert (anna["estimated"], bert["estimated"], carl["estimated"]) == (True, False, True)
    assert (anna["generation_wh"], anna["net"]) == (1_000, 500_000)
    assert (carl["generation_wh"], carl["use_wh"], carl["net"]) == (0, 0, 0)
    (total,) = world.events("SlotSettled", slot=5)
    assert total["estimated"] == 2


def test_the_estimate_is_the_forecast_where_there_is_one() -> None:
    world = MarketWorld()
    for name in ("anna", "bert"):
        world.member(name)
    world.go_slot(5, -4)
    world.done(meter("anna"), "metering", "submit_forecast", 5, "generation", 900)
    world.done(meter("bert"), "metering", "submit_forecast", 5, "demand", 250)
    world.order("anna", 5, "sell", 1_000, 480_000)
    world.go_slot(5, 5)
    anna, bert = entry(world, "anna"), entry(world, "bert")
    assert (anna["generation_wh"], anna["use_wh"], anna["estimated"]) == (900, 0, True)
    assert (bert["generation_wh"], bert["use_wh"], bert["net"]) == (0, 250, -250 * RETAIL)


def test_a_reading_after_the_estimate_is_a_visible_correction(world: MarketWorld) -> None:
    world.read("bert", 5, 0, 1_000)
    world.go_slot(5, 6)
    before = grid_balance(world)
    world.read("anna", 5, 600, 0)
    difference = -400 * RETAIL
    assert entry(world, "anna")["net"] == 500_000
    (fix,) = world.query("double_auction", "corrections_of", 5, meter("anna"))
    assert (fix["generation_wh"], fix["net"], fix["difference"], fix["estimated"]) == (
        600, 500_000 + difference, difference, False
    )  # fmt: skip
    (event,) = world.events("Corrected")
    assert (event["meter"], event["revision"], event["difference"]) == (meter("anna"), 1, difference)
    assert world.free("anna") == 10_000_000 + 500_000 + difference
    assert grid_balance(world) == before - difference
    world.assert_money_conserved()


def test_corrections_after_settlement_book_the_difference_each_time(world: MarketWorld) -> None:
    world.read("anna", 5, 1_000, 0)
    world.read("bert", 5, 0, 1_000)
    world.read("carl", 5, 0, 0)
    world.go_slot(5, 2)
    for generation, use in ((900, 0), (1_100, 0), (0, 10)):
        world.done(meter("anna"), "metering", "correct_reading", 5, generation, use, "checked")
    nets = [500_000 - 100 * RETAIL, 500_000 + 100 * FEED, 500_000 - 1_010 * RETAIL]
    fixes = world.query("double_auction", "corrections_of", 5, meter("anna"))
    assert [fix["net"] for fix in fixes] == nets
    assert world.free("anna") == 10_000_000 + nets[-1]
    bill = entry(world, "anna")["difference"] + sum(fix["difference"] for fix in fixes)
    assert bill == nets[-1]
    world.assert_money_conserved()


def test_corrections_before_settlement_count_at_once(world: MarketWorld) -> None:
    world.read("anna", 5, 1_000, 0)
    world.done(meter("anna"), "metering", "correct_reading", 5, 800, 0, "checked")
    world.read("bert", 5, 0, 1_000)
    world.go_slot(5, 3)
    world.done(meter("bert"), "metering", "correct_reading", 5, 0, 1_100, "checked in the grace time")
    world.go_slot(5, 5)
    assert entry(world, "anna")["generation_wh"] == 800
    assert entry(world, "bert")["use_wh"] == 1_100
    assert not world.events("Corrected")


def test_only_metering_reports_readings(world: MarketWorld) -> None:
    assert world.refused(meter("anna"), "double_auction", "on_reading", 5, meter("anna"), 1, 0, True) == "NOT_ALLOWED"


def test_nobody_but_the_schedule_runs_the_phases(world: MarketWorld) -> None:
    for call, arguments in (
        ("open_slot", (world.now, 50)),
        ("advance", (world.now, 5)),
        ("settle_slot", (world.now, 5, True)),
        ("settle_batch", (world.now, 5)),
    ):
        receipt = world.send(address("anna"), "double_auction", call, *arguments)
        assert not receipt.ok
    assert phase(world) == "cleared"


def test_a_consumer_without_money_is_settled_into_debt_and_never_cut() -> None:
    world = MarketWorld()
    world.member("anna", funds=0)
    world.go_slot(3, 1)
    world.read("anna", 3, 0, 2_000)
    world.go_slot(3, 2)
    assert world.accounts()[address("anna")] == (0, 0, 2_000 * RETAIL)
    assert world.accounts()[address("grid")] == (2_000 * RETAIL, 0, 0)
    world.assert_money_conserved()


def test_every_slot_is_opened_cleared_and_settled_in_order() -> None:
    world = MarketWorld(first_slot=2, last_slot=6)
    world.member("anna")
    world.go_slot(20, 0)
    for name in ("SlotOpened", "SlotCleared", "SlotDelivered", "SlotSettled"):
        assert [event["slot"] for event in world.events(name)] == [2, 3, 4, 5, 6]
    assert world.events("SlotDelivered", slot=2) == [{"slot": 2, "end_ms": world.start(3)}]
    assert world.executor.next_due_ms(world.view) is None
    opened = world.events("SlotOpened")[0]
    start = world.start(2)
    assert (opened["start_ms"], opened["t1_ms"], opened["t2_ms"], opened["end_ms"]) == (
        start, start - 2 * SLOT_MS, start - SLOT_MS, start + SLOT_MS
    )  # fmt: skip
    assert world.refused(address("anna"), "double_auction", "submit_order", 7, "sell", 1, 1, "keep") == "WINDOW_CLOSED"


def test_a_settlement_is_one_provable_state_entry(world: MarketWorld) -> None:
    world.read("anna", 5, 700, 0)
    world.read("bert", 5, 0, 1_000)
    world.read("carl", 5, 0, 0)
    world.go_slot(5, 2)
    root = world.view.seal()
    key = state_storage("double_auction", "settlements") + (5).to_bytes(8, "big") + meter("anna")
    raw = world.view.get(key)
    assert raw is not None
    verify_state_proof(world.view.prove(key), root, key, raw)
    assert decode_value(raw) == [
        address("anna"), 1_000, 0, 700, 0, 300, 0, 500_000, 0, 300 * RETAIL, 0, 299_000, 299_000, False
    ]  # fmt: skip


def test_a_chain_that_slept_settles_all_slots_when_it_wakes() -> None:
    world = MarketWorld(last_slot=9)
    world.member("anna")
    world.now = world.start(40)
    world.run_due()
    assert [event["slot"] for event in world.events("SlotSettled")] == list(range(10))
    world.assert_money_conserved()
