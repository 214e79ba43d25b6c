"""double_auction: admission of orders, both stages of clearing by rule 4.1, and the worked example of 4.2."""

from __future__ import annotations

import pytest
from market_world import SLOT_MS, MarketWorld, address, meter, owner

from contracts.values import decode_value

FEED, RETAIL = 450_000, 670_000
ORDER = ("double_auction", "submit_order")
EXAMPLE = (
    ("S1", "sell", 500, 480_000),
    ("S2", "sell", 400, 560_000),
    ("S3", "sell", 300, 640_000),
    ("B1", "buy", 600, 620_000),
    ("B2", "buy", 500, 540_000),
)


def example(**changes: object) -> MarketWorld:
    world = MarketWorld(**changes)
    for name, *_ in EXAMPLE:
        world.member(name)
    world.go_slot(5, -4)
    for name, side, wh, price in EXAMPLE:
        world.order(name, 5, side, wh, price)
    return world


def trades(world: MarketWorld, slot: int = 5) -> list[tuple]:
    names = {meter(name): name for name, *_ in EXAMPLE}
    names.update({meter(name): name for name in ("anna", "bert", "carl", "dora")})
    return [
        (event["stage"], names[event["seller"]], names[event["buyer"]], event["wh"], event["price"])
        for event in world.events("Trade", slot=slot)
    ]


def test_worked_example_with_the_published_mean() -> None:
    world = example(hardened_pa=False)
    world.go_slot(5, -2)
    assert trades(world) == [(1, "S1", "B1", 500, 550_000), (1, "S2", "B1", 100, 590_000)]
    assert world.events("ReferencePrice") == [{"slot": 5, "pa": 570_000}]
    assert not world.events("SlotCleared", slot=5)
    world.go_slot(5, -1)
    assert trades(world)[2:] == [(2, "S2", "B2", 300, 565_000), (2, "S3", "B2", 200, 570_000)]
    assert world.events("SlotCleared", slot=5) == [
        {"slot": 5, "trades": 4, "traded_wh": 1_100, "traded_money": 617_500, "pa": 570_000, "unsold_wh": 100,
         "unmet_wh": 0}
    ]  # fmt: skip
    left = world.events("OrderExpired", slot=5)
    assert [(event["meter"], event["left_wh"]) for event in left] == [(meter("S3"), 100)]


def test_worked_example_settles_to_the_published_incomes_and_costs() -> None:
    world = example(hardened_pa=False)
    world.go_slot(5, 1)
    for name, side, wh, _ in EXAMPLE:
        world.read(name, 5, wh if side == "sell" else 0, wh if side == "buy" else 0)
    world.go_slot(5, 2)
    net = {name: world.query("double_auction", "settlement", 5, meter(name))["net"] for name, *_ in EXAMPLE}
    assert net == {"S1": 275_000, "S2": 228_500, "S3": 159_000, "B1": -334_000, "B2": -283_500}
    world.assert_money_conserved()


def test_worked_example_with_the_hardened_mean() -> None:
    world = example()
    world.go_slot(5, -1)
    pa = (550_000 * 500 + 590_000 * 100) // 600
    assert world.events("ReferencePrice") == [{"slot": 5, "pa": pa}]
    assert pa == 556_666
    assert trades(world)[2:] == [(2, "S2", "B2", 300, pa), (2, "S3", "B2", 200, pa)]


def clamped(world: MarketWorld) -> int:
    (event,) = world.events("ReferencePrice")
    return event["pa"]


def two_pairs(first_wh: int, first: tuple, second_wh: int, second: tuple, **changes: object) -> MarketWorld:
    """Two crossing pairs and two orders that stay, so that stage 2 follows."""
    world = MarketWorld(**changes)
    for name in ("anna", "bert", "carl", "dora", "S1", "B1"):
        world.member(name)
    world.go_slot(5, -4)
    world.order("anna", 5, "sell", first_wh, first[0])
    world.order("bert", 5, "buy", first_wh, first[1])
    world.order("carl", 5, "sell", second_wh, second[0])
    world.order("dora", 5, "buy", second_wh, second[1])
    world.order("S1", 5, "sell", 100, 5_000_000, "keep")
    world.order("B1", 5, "buy", 100, 1_000, "keep")
    world.go_slot(5, -2)
    return world


def test_hardened_mean_ignores_small_trades_weighs_by_energy_and_is_clamped() -> None:
    assert clamped(two_pairs(99, (460_000, 500_000), 300, (600_000, 600_000))) == 600_000
    only_small = two_pairs(60, (480_000, 500_000), 40, (470_000, 470_000))
    assert [(event["wh"], event["price"]) for event in only_small.events("Trade")] == [(40, 485_000), (20, 490_000)]
    assert clamped(only_small) == (485_000 * 40 + 490_000 * 20) // 60
    assert clamped(two_pairs(100, (1_000, 100_000), 100, (2_000, 90_000))) == FEED
    assert clamped(two_pairs(100, (900_000, 1_000_000), 100, (900_000, 950_000))) == RETAIL


def test_published_mean_counts_every_trade_alike_and_is_not_clamped() -> None:
    world = two_pairs(99, (1_000, 100_000), 300, (2_000, 90_000), hardened_pa=False)
    prices = [event["price"] for event in world.events("Trade")]
    assert clamped(world) == sum(prices) // len(prices) < FEED


def test_ties_are_broken_by_seq() -> None:
    world = MarketWorld()
    for name in ("anna", "bert", "carl", "dora"):
        world.member(name)
    world.go_slot(5, -4)
    world.order("bert", 5, "sell", 100, 500_000)
    world.order("anna", 5, "sell", 100, 500_000)
    world.order("carl", 5, "buy", 60, 500_001)
    world.order("dora", 5, "buy", 60, 500_001)
    world.go_slot(5, -2)
    assert trades(world)[:3] == [
        (1, "bert", "carl", 60, 500_000),
        (1, "bert", "dora", 40, 500_000),
        (1, "anna", "dora", 20, 500_000),
    ]


def test_no_stage_two_without_a_stage_one_trade_or_without_two_sides() -> None:
    world = MarketWorld()
    for name in ("anna", "bert"):
        world.member(name)
    world.go_slot(5, -4)
    world.order("anna", 5, "sell", 100, 600_000)
    world.order("bert", 5, "buy", 100, 500_000)
    world.go_slot(5, -2)
    assert trades(world) == []
    assert [event["pa"] for event in world.events("SlotCleared", slot=5)] == [None]
    world.order("anna", 6, "sell", 100, 500_000)
    world.order("bert", 6, "buy", 90, 500_000)
    world.go_slot(6, -2)
    assert trades(world, 6) == [(1, "anna", "bert", 90, 500_000)]
    assert [event["pa"] for event in world.events("SlotCleared", slot=6)] == [None]
    assert not world.events("ReferencePrice")


def test_one_owner_never_trades_with_itself() -> None:
    world = MarketWorld()
    world.member("anna", legal_owner="firm")
    world.member("bert", legal_owner="firm")
    world.member("carl")
    world.go_slot(5, -4)
    world.order("anna", 5, "sell", 100, 400_000)
    world.order("bert", 5, "buy", 100, 900_000)
    world.order("carl", 5, "buy", 30, 500_000)
    world.go_slot(5, -1)
    assert trades(world) == [(1, "anna", "carl", 30, 450_000)]


def test_published_mode_lets_one_owner_trade_with_itself() -> None:
    world = MarketWorld(self_trade=True)
    world.member("anna", legal_owner="firm")
    world.member("bert", legal_owner="firm")
    world.go_slot(5, -4)
    world.order("anna", 5, "sell", 100, 400_000)
    world.order("bert", 5, "buy", 100, 900_000)
    world.go_slot(5, -1)
    assert trades(world) == [(1, "anna", "bert", 100, 650_000)]


# Admission


@pytest.fixture
def world() -> MarketWorld:
    world = MarketWorld()
    world.member("anna", funds=1_000_000)
    world.member("bert", funds=1_000_000)
    world.go_slot(5, -4)
    return world


def test_window(world: MarketWorld) -> None:
    assert world.refused(address("anna"), *ORDER, 6, "sell", 100, 500_000, "keep") == "WINDOW_CLOSED"
    assert world.refused(address("anna"), *ORDER, -1, "sell", 100, 500_000, "keep") == "WINDOW_CLOSED"
    world.go_slot(5, -2, -1)
    world.order("anna", 5, "sell", 100, 500_000)
    world.go_slot(5, -2)
    assert world.refused(address("anna"), *ORDER, 5, "sell", 100, 500_000, "keep") == "ORDER_LATE"
    assert world.refused(address("anna"), *ORDER, 0, "sell", 100, 500_000, "keep") == "ORDER_LATE"
    assert [event["slot"] for event in world.events("SlotOpened")] == list(range(8))


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ((5, "sell", 0, 500_000, "keep"), "BAD_WH"),
        ((5, "sell", -100, 500_000, "keep"), "BAD_WH"),
        ((5, "sell", 10**9, 500_000, "keep"), "BAD_WH"),
        ((5, "sell", 10**70, 500_000, "keep"), "BAD_WH"),
        ((5, "buy", 100, -1, "keep"), "BAD_PRICE"),
        ((5, "buy", 100, 10**12, "keep"), "BAD_PRICE"),
        ((5, "give", 100, 500_000, "keep"), "BAD_SIDE"),
        ((5, "buy", 100, 500_000, "maybe"), "BAD_REQUOTE"),
    ],
)
def test_absurd_orders_are_refused(world: MarketWorld, order: tuple, code: str) -> None:
    assert world.refused(address("anna"), *ORDER, *order) == code
    assert world.escrow("anna") == 0


def test_only_approved_members_order(world: MarketWorld) -> None:
    assert world.refused(address("nobody"), *ORDER, 5, "sell", 100, 500_000, "keep") == "NOT_MEMBER"
    assert world.apply("carl").ok
    world.deposit(address("carl"), 10**9)
    assert world.refused(address("carl"), *ORDER, 5, "sell", 100, 500_000, "keep") == "NOT_MEMBER"
    world.done(meter("anna"), *ORDER, 5, "sell", 100, 500_000, "keep")


@pytest.mark.parametrize(
    ("side", "price", "requote", "cover"),
    [
        ("buy", 500_000, "keep", 500_000),
        ("buy", 500_000, "reference", RETAIL),
        ("buy", 700_000, "reference", 700_000),
        ("sell", 500_000, "keep", RETAIL - 500_000),
        ("sell", 500_000, "reference", RETAIL - FEED),
        ("sell", 400_000, "reference", RETAIL - 400_000),
        ("sell", 700_000, "keep", 0),
    ],
)
def test_cover_is_the_worst_case(world: MarketWorld, side: str, price: int, requote: str, cover: int) -> None:
    required = cover * 1_000 // 1_000
    world.order("anna", 5, side, 1_000, price, requote)
    assert world.escrow("anna") == required
    assert world.free("anna") == 1_000_000 - required
    assert world.events("OrderAccepted")[0]["escrow"] == required


def test_order_without_cover_is_refused_with_both_figures(world: MarketWorld) -> None:
    world.order("anna", 5, "buy", 1_900, 500_000, "keep")
    receipt = world.send(address("anna"), *ORDER, 5, "buy", 101, 500_000, "keep")
    assert (receipt.ok, receipt.code) == (False, "INSUFFICIENT_FUNDS")
    assert decode_value(receipt.value) == {"required": 50_500, "available": 50_000}
    world.order("anna", 5, "buy", 100, 500_000, "keep")
    assert (world.free("anna"), world.escrow("anna")) == (0, 1_000_000)


def test_a_meter_has_one_side_in_a_slot_and_any_number_of_orders(world: MarketWorld) -> None:
    for _ in range(5):
        world.order("anna", 5, "sell", 100, 500_000)
    assert world.refused(address("anna"), *ORDER, 5, "buy", 100, 500_000, "keep") == "ONE_SIDE"
    world.go_slot(6, -4)
    world.order("anna", 6, "buy", 100, 500_000)


def test_withdrawal_returns_the_escrow(world: MarketWorld) -> None:
    seq = world.order("anna", 5, "buy", 100, 500_000)
    assert world.refused(address("bert"), "double_auction", "withdraw_order", 5, "buy", 500_000, seq) == "NOT_YOURS"
    assert world.refused(address("anna"), "double_auction", "withdraw_order", 5, "buy", 500_001, seq) == "NO_ORDER"
    assert world.refused(address("anna"), "double_auction", "withdraw_order", 5, "sell", 500_000, seq) == "NO_ORDER"
    assert world.done(address("anna"), "double_auction", "withdraw_order", 5, "buy", 500_000, seq) == 67_000
    assert (world.free("anna"), world.escrow("anna")) == (1_000_000, 0)
    assert world.refused(address("anna"), "double_auction", "withdraw_order", 5, "buy", 500_000, seq) == "NO_ORDER"
    seq = world.order("anna", 5, "buy", 100, 500_000)
    world.go_slot(5, -2)
    assert world.refused(address("anna"), "double_auction", "withdraw_order", 5, "buy", 500_000, seq) == "ORDER_LATE"


def test_unmatched_escrow_returns_when_the_slot_is_cleared(world: MarketWorld) -> None:
    world.order("anna", 5, "buy", 100, 500_000)
    world.go_slot(5, -2)
    assert (world.free("anna"), world.escrow("anna")) == (1_000_000, 0)
    (expired,) = world.events("OrderExpired")
    assert (expired["left_wh"], expired["released"], expired["side"]) == (100, 67_000, "buy")


def test_open_slots_are_those_that_take_orders() -> None:
    world = MarketWorld(first_slot=2, last_slot=8)
    world.member("anna")
    order = ("sell", 100, 500_000, "keep")
    for offset in range(-6, 9):
        for plus_ms in (0, 1, SLOT_MS - 1):
            world.go(world.start(offset) + plus_ms)
            codes = [world.send(address("anna"), *ORDER, slot, *order).code for slot in range(12)]
            assert world.query("double_auction", "open_slots") == [slot for slot in range(12) if not codes[slot]]


def test_book_view_shows_rank_order(world: MarketWorld) -> None:
    world.order("anna", 5, "sell", 100, 500_000)
    world.order("anna", 5, "sell", 100, 400_000)
    world.order("bert", 5, "buy", 100, 300_000)
    world.order("bert", 5, "buy", 100, 390_000)
    shown = world.query("double_auction", "book_of", 5, "sell", 10)
    assert [row["price"] for row in shown] == [400_000, 500_000]
    assert [row["price"] for row in world.query("double_auction", "book_of", 5, "buy", 10)] == [390_000, 300_000]
    assert world.query("double_auction", "slot", 5)["phase"] == "open"
    assert world.query("double_auction", "slot", 9)["phase"] == "future"


def test_what_stands_of_a_meter_and_how_deep_the_book_is_can_be_asked() -> None:
    world = MarketWorld()
    for name in ("S1", "S2", "B1"):
        world.member(name, funds=10_000_000)
    world.go_slot(5, -4)
    world.order("S1", 5, "sell", 500, 500_000)
    dear = world.order("S2", 5, "sell", 300, 660_000)
    world.order("S2", 5, "sell", 40, 410_000)
    world.order("B1", 5, "buy", 600, 600_000)
    view = ("double_auction", "depth", 5)
    before = {"supply_wh": 840, "demand_wh": 600, "traded_wh": 0, "unsold_wh": 840, "unmet_wh": 600}
    assert world.query(*view) == before
    rows = world.query("double_auction", "orders_of", 5, meter("S2"))
    assert [(row["side"], row["price"], row["left_wh"]) for row in rows] == [
        ("sell", 410_000, 40),
        ("sell", 660_000, 300),
    ]
    world.go_slot(5, -2)
    (left,) = world.query("double_auction", "orders_of", 5, meter("S2"))
    assert (left["seq"], left["left_wh"]) == (dear, 300)
    between = world.query(*view)
    assert between == {"supply_wh": 840, "demand_wh": 600, "traded_wh": 540, "unsold_wh": 300, "unmet_wh": 60}
    world.go_slot(5, -1)
    assert world.query("double_auction", "orders_of", 5, meter("S2")) == []
    cleared = world.query(*view)
    assert (cleared["supply_wh"], cleared["demand_wh"]) == (840, 600)
    assert cleared["traded_wh"] + cleared["unsold_wh"] == 840
    assert cleared["traded_wh"] + cleared["unmet_wh"] == 600


# Re-quotes by hand


def left_over(**changes: object) -> tuple[MarketWorld, int, int]:
    """A world between T1 and T2 of slot 5 with a `keep` ask of S2 and a `keep` bid of B2 left."""
    world = MarketWorld(**changes)
    for name in ("S1", "B1", "S2", "B2"):
        world.member(name, funds=10_000_000)
    world.go_slot(5, -4)
    world.order("S1", 5, "sell", 500, 500_000)
    world.order("B1", 5, "buy", 500, 600_000)
    ask = world.order("S2", 5, "sell", 200, 640_000, "keep")
    bid = world.order("B2", 5, "buy", 200, 480_000, "keep")
    world.go_slot(5, -2)
    return world, ask, bid


def test_keep_orders_may_be_requoted_once_between_the_stages_with_cover() -> None:
    world, ask, bid = left_over()
    entry = ("double_auction", "requote_order", 5)
    before = world.escrow("S2")
    world.done(address("S2"), *entry, "sell", 640_000, ask, 520_000)
    assert world.escrow("S2") - before == 200 * (640 - 520)
    assert world.refused(address("S2"), *entry, "sell", 640_000, ask, 510_000) == "REQUOTED"
    assert world.refused(address("S2"), *entry, "buy", 480_000, bid, 510_000) == "NOT_YOURS"
    world.done(address("B2"), *entry, "buy", 480_000, bid, 540_000)
    world.go_slot(5, -1)
    assert trades(world)[1:] == [(2, "S2", "B2", 200, 530_000)]
    assert world.refused(address("B2"), *entry, "buy", 480_000, bid, 540_000) == "NO_STAGE_TWO"


def test_keep_orders_keep_their_price() -> None:
    world, _, _ = left_over()
    world.go_slot(5, -1)
    assert len(trades(world)) == 1
    assert {event["meter"] for event in world.events("OrderExpired", slot=5)} == {meter("S2"), meter("B2")}


def test_requote_needs_cover_and_stage_two() -> None:
    world, ask, bid = left_over()
    receipt = world.send(address("B2"), "double_auction", "requote_order", 5, "buy", 480_000, bid, 90_000_000)
    assert (receipt.ok, receipt.code) == (False, "INSUFFICIENT_FUNDS")
    assert world.refused(address("B2"), "double_auction", "requote_order", 5, "buy", 480_000, bid, -1) == "BAD_PRICE"
    assert world.refused(address("S2"), "double_auction", "requote_order", 9, "sell", 1, ask, 1) == "NO_STAGE_TWO"


def test_owner_is_the_legal_owner_not_the_account(world: MarketWorld) -> None:
    assert world.query("registry", "member", address("anna"))["owner"] == owner("anna")
