"""double_auction: pay-as-clear, trade reduction, where its surplus goes, and sealed prices for stage 2."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from market_world import SLOT_MS, MarketWorld, address, meter
from naive_market import clear

from contracts.library_sources import AuctionMode, library_contracts, mode_of
from ledger.errors import GenesisError

SLOT = 5
NONCE = bytes(reversed(range(32)))
AUCTION = "double_auction"
EXAMPLE = (
    ("S1", "sell", 500, 480_000),
    ("S2", "sell", 400, 560_000),
    ("S3", "sell", 300, 640_000),
    ("B1", "buy", 600, 620_000),
    ("B2", "buy", 500, 540_000),
)


def cleared(orders: tuple[tuple[str, str, int, int], ...], **mode: Any) -> MarketWorld:
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT, **mode)
    for name in dict.fromkeys(order[0] for order in orders):
        world.member(name)
    world.go_slot(SLOT, -4)
    for name, side, wh, price in orders:
        world.order(name, SLOT, side, wh, price)
    world.go_slot(SLOT, -1)
    return world


def told(world: MarketWorld) -> list[tuple]:
    fields = ("stage", "wh", "price", "surplus")
    return [tuple(event[name] for name in fields) for event in world.events("Trade")]


def test_the_worked_example_with_one_price_a_stage() -> None:
    """Stage 1: the last crossing pair is S2-B1, (560,000 + 620,000) / 2. Pa = 590,000; stage 2: S2 560,000, S3 590,000
    and B2 590,000; the last pair is S3-B2 at 590,000."""
    world = cleared(EXAMPLE, pricing="clear")
    assert told(world) == [
        (1, 500, 590_000, 0),
        (1, 100, 590_000, 0),
        (2, 300, 590_000, 0),
        (2, 200, 590_000, 0),
    ]
    assert world.events("StagePriced") == [
        {"slot": SLOT, "stage": stage, "sell_price": 590_000, "buy_price": 590_000} for stage in (1, 2)
    ]
    assert world.events("ReferencePrice") == [{"slot": SLOT, "pa": 590_000}]


UNITS = tuple(
    (name, side, 1_000, price * 1_000)
    for name, side, price in (
        ("S1", "sell", 460), ("S2", "sell", 500), ("S3", "sell", 540), ("S4", "sell", 580),
        ("B1", "buy", 650), ("B2", "buy", 620), ("B3", "buy", 550), ("B4", "buy", 510),
    )
)  # fmt: skip


def test_trade_reduction_at_the_price_of_the_pair_that_stays_out() -> None:
    """S3-B3 is the last crossing pair, S4 and B4 the next: (580,000 + 510,000) / 2 = 545,000 suits 540,000 and 550,000:
    three trades at 545,000 and no surplus."""
    world = cleared(UNITS, pricing="mcafee", two_stages=False)
    assert told(world) == [(1, 1_000, 545_000, 0)] * 3
    assert world.query(AUCTION, "slot", SLOT)["surplus"] == 0


def test_trade_reduction_leaves_the_last_pair_out_and_the_difference_to_the_community() -> None:
    """Without S4 and B4 the price of S3 and B3 is 540,000 to sellers and 550,000 from buyers; both stay out."""
    world = cleared(tuple(order for order in UNITS if order[0] not in ("S4", "B4")), pricing="mcafee", two_stages=False)
    assert told(world) == [(1, 1_000, 540_000, 10_000)] * 2
    assert world.events("StagePriced") == [{"slot": SLOT, "stage": 1, "sell_price": 540_000, "buy_price": 550_000}]
    assert {event["meter"] for event in world.events("OrderExpired")} == {meter("S3"), meter("B3")}
    assert world.query(AUCTION, "slot", SLOT)["surplus"] == 20_000
    world.go_slot(SLOT, 1)
    for name in ("S1", "S2", "S3"):
        world.read(name, SLOT, 1_000, 0)
    for name in ("B1", "B2", "B3"):
        world.read(name, SLOT, 0, 1_000)
    world.go_slot(SLOT, 2)
    net = {name: world.query(AUCTION, "settlement", SLOT, meter(name))["net"] for name in ("S1", "S3", "B1", "B3")}
    assert net == {"S1": 540_000, "S3": 450_000, "B1": -550_000, "B3": -670_000}
    bills = {name: world.query("bills", "bill", meter(name), SLOT, SLOT) for name in net}
    assert {name: bill["amount"] for name, bill in bills.items()} == net
    assert [(line["kind"], line["price"]) for line in bills["B1"]["lines"]] == [("trade_bought", 550_000)]
    (total,) = world.events("SlotSettled")
    assert (total["members_net"] + total["grid_net"], total["surplus"]) == (-20_000, 20_000)
    assert world.accounts()[address("community")] == (20_000, 0, 0)
    world.assert_money_conserved()


def test_one_pair_alone_is_reduced_away() -> None:
    world = cleared((("S1", "sell", 100, 500_000), ("B1", "buy", 100, 600_000)), pricing="mcafee")
    assert told(world) == []
    assert world.events("ReferencePrice") == []
    assert world.query(AUCTION, "slot", SLOT)["phase"] == "cleared"
    assert all(escrow == 0 for _, escrow, _ in world.accounts().values())


def draw(seed: int, *keys: object) -> int:
    return int.from_bytes(hashlib.sha256("|".join(map(str, (seed, *keys))).encode()).digest()[:8], "big")


@pytest.mark.parametrize("pricing", ["clear", "mcafee"])
def test_a_price_for_all_is_found_over_several_pages(pricing: str) -> None:
    """More orders than a call takes on each side, of ten owners with many meters: as the model on the whole book."""
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT, pricing=pricing)
    names = [f"m{number}" for number in range(20)]
    for number, name in enumerate(names):
        world.member(name, legal_owner=f"owner {number % 10}")
    world.go_slot(SLOT, -4)
    orders = []
    for number in range(700):
        who, wh = draw(3, "who", number) % 20, 1 + draw(3, "wh", number) % 300
        side = "sell" if who < 10 else "buy"
        price = 400_000 + draw(3, "price", number) % 200_000 + (0 if side == "sell" else 100_000)
        seq = world.order(names[who], SLOT, side, wh, price)
        orders.append(
            {"seq": seq, "meter": meter(names[who]), "owner": who % 10, "side": side, "wh": wh, "price": price,
             "requote": "reference"}
        )  # fmt: skip
    world.go_slot(SLOT, -1)
    model = clear(orders, feed=450_000, retail=670_000, pricing=pricing)
    fields = ("seller", "buyer", "wh", "price", "surplus", "sell_seq", "buy_seq")
    for stage in (1, 2):
        expected = [{name: trade[name] for name in fields} for trade in model[f"stage{stage}"]]
        assert [{name: event[name] for name in fields} for event in world.events("Trade", stage=stage)] == expected
    assert len(model["stage1"]) > 256
    assert len([receipt for receipt in world.receipts if receipt.entry == "advance"]) > 4


def test_the_options_stand_in_genesis_and_in_the_parameters() -> None:
    for pricing in ("midpoint", "clear", "mcafee"):
        world = MarketWorld(pricing=pricing)
        assert world.query(AUCTION, "parameters")["pricing"] == pricing
        (market,) = (item for item in library_contracts(world.parameters) if item.name == AUCTION)
        assert mode_of(market.arguments) == AuctionMode(sealed=False, pricing=pricing)
    with pytest.raises(GenesisError, match="pricing") as refused:
        MarketWorld(pricing="vickrey")
    assert refused.value.found == "vickrey"


# Sealed prices for stage 2


def quote_commitment(name: str, seq: int, price: int) -> bytes:
    text = seq.to_bytes(8, "big") + price.to_bytes(8, "big") + NONCE + address(name) + SLOT.to_bytes(8, "big")
    return hashlib.sha256(text).digest()


def between() -> tuple[MarketWorld, int, int]:
    """A sealed market between T1 and T2, with an ask of S2 and a bid of B2 left; their seqs."""
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT, sealed=True, sealed_deposit=700)
    orders = (("S1", "sell", 500_000), ("B1", "buy", 600_000), ("S2", "sell", 640_000), ("B2", "buy", 480_000))
    for name, _, _ in orders:
        world.member(name, funds=10**7)
    world.go_slot(SLOT, -4)
    for name, side, price in orders:
        text = bytes([side == "buy"]) + (200).to_bytes(8, "big") + price.to_bytes(8, "big") + bytes(1)
        mark = hashlib.sha256(text + NONCE + address(name) + SLOT.to_bytes(8, "big")).digest()
        world.done(address(name), AUCTION, "commit_order", SLOT, mark)
    world.go_slot(SLOT, -3)
    seq = {
        name: world.done(address(name), AUCTION, "reveal_order", SLOT, side, 200, price, "keep", NONCE)
        for name, side, price in orders
    }
    mark = quote_commitment("S2", seq["S2"], 520_000)
    assert world.refused(address("S2"), AUCTION, "commit_requote", SLOT, mark) == "NO_STAGE_TWO"
    world.go_slot(SLOT, -2)
    return world, seq["S2"], seq["B2"]


def test_prices_for_stage_two_are_committed_then_revealed_with_cover() -> None:
    world, ask, bid = between()
    before = world.escrow("S2")
    world.done(address("S2"), AUCTION, "commit_requote", SLOT, quote_commitment("S2", ask, 520_000))
    world.done(address("B2"), AUCTION, "commit_requote", SLOT, quote_commitment("B2", bid, 540_000))
    assert world.escrow("S2") == before + 700
    reveal = ("sell", 640_000, ask, 520_000, NONCE)
    assert world.refused(address("S2"), AUCTION, "reveal_requote", SLOT, *reveal) == "WINDOW_CLOSED"
    world.go_slot(SLOT, -2, SLOT_MS // 2)
    late = quote_commitment("B2", bid, 550_000)
    assert world.refused(address("B2"), AUCTION, "commit_requote", SLOT, late) == "ORDER_LATE"
    other = ("sell", 640_000, ask, 520_001, NONCE)
    assert world.refused(address("S2"), AUCTION, "reveal_requote", SLOT, *other) == "NO_COMMITMENT"
    world.done(address("S2"), AUCTION, "reveal_requote", SLOT, *reveal)
    assert world.escrow("S2") == before + 200 * (640 - 520)
    assert world.refused(address("S2"), AUCTION, "reveal_requote", SLOT, *reveal) == "NO_COMMITMENT"
    world.done(address("B2"), AUCTION, "reveal_requote", SLOT, "buy", 480_000, bid, 540_000, NONCE)
    world.go_slot(SLOT, -1)
    (trade,) = world.events("Trade", stage=2)
    assert (trade["seller"], trade["buyer"], trade["price"]) == (meter("S2"), meter("B2"), 530_000)
    assert not world.events("DepositLost")
    world.go_slot(SLOT, 6)
    assert all(escrow == 0 for _, escrow, _ in world.accounts().values())


def test_a_price_that_is_not_revealed_costs_its_deposit_and_changes_nothing() -> None:
    world, ask, _ = between()
    world.done(address("S2"), AUCTION, "commit_requote", SLOT, quote_commitment("S2", ask, 470_000))
    world.go_slot(SLOT, -1)
    assert [event["deposit"] for event in world.events("DepositLost")] == [700]
    assert world.accounts()[address("community")] == (700, 0, 0)
    assert world.events("Trade", stage=2) == []
    assert world.refused(address("S2"), AUCTION, "reveal_requote", SLOT, "sell", 640_000, ask, 470_000, NONCE) == (
        "NO_STAGE_TWO"
    )
    world.assert_money_conserved()


def test_plain_markets_take_no_commitments_to_prices() -> None:
    world = MarketWorld()
    world.member("anna")
    assert world.refused(address("anna"), AUCTION, "commit_requote", SLOT, bytes(32)) == "NOT_SEALED"
