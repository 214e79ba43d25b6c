"""Table 4.3 of the market rules: each gaming case works under the published rule and not under the hardened one."""

from __future__ import annotations

import hashlib
from typing import Any

from market_world import SLOT_MS, MarketWorld, address, meter

SLOT = 5
NONCE = bytes(range(32))
FEED, RETAIL = 450_000, 670_000
AUCTION = "double_auction"


def market(*names: str, owners: dict[str, str] | None = None, **changes: Any) -> MarketWorld:
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT, **changes)
    for name in names:
        world.member(name, funds=10**9, legal_owner=(owners or {}).get(name, name))
    world.go_slot(SLOT, -4)
    return world


def commitment(name: str, side: str, wh: int, price: int, requote: str = "keep", nonce: bytes = NONCE) -> bytes:
    text = bytes([side == "buy"]) + wh.to_bytes(8, "big") + price.to_bytes(8, "big") + bytes([requote == "reference"])
    return hashlib.sha256(text + nonce + address(name) + SLOT.to_bytes(8, "big")).digest()


def quote_commitment(name: str, seq: int, price: int, nonce: bytes = NONCE) -> bytes:
    text = seq.to_bytes(8, "big") + price.to_bytes(8, "big") + nonce
    return hashlib.sha256(text + address(name) + SLOT.to_bytes(8, "big")).digest()


def income(world: MarketWorld, name: str) -> int:
    return sum(event["money"] for event in world.events("Trade", seller=meter(name)))


def sealed_book(world: MarketWorld, orders: list[tuple[str, str, int, int]]) -> dict[str, int]:
    """Commit and reveal `orders`; seq by name."""
    for name, side, wh, price in orders:
        world.done(address(name), AUCTION, "commit_order", SLOT, commitment(name, side, wh, price))
    world.go_slot(SLOT, -3)
    return {
        name: world.done(address(name), AUCTION, "reveal_order", SLOT, side, wh, price, "keep", NONCE)
        for name, side, wh, price in orders
    }


# Orders readable before T1 ends


def test_a_rival_undercuts_the_plain_book_and_reads_nothing_of_a_sealed_one() -> None:
    """Two sellers want the one buyer. The rival's cost is 560,000; what it reads tells it how much to ask."""
    plain = market("anna", "bert", "rival", sealed=False)
    plain.order("anna", SLOT, "sell", 1_000, 600_000, "keep")
    plain.order("bert", SLOT, "buy", 1_000, 640_000, "keep")
    (seen,) = plain.query(AUCTION, "book_of", SLOT, "sell", 10)
    plain.order("rival", SLOT, "sell", 1_000, seen["price"] - 1, "keep")
    plain.go_slot(SLOT, -2)
    assert income(plain, "anna") == 0
    assert income(plain, "rival") == 619_999, "one micro-currency below what it had read"

    hidden = market("anna", "bert", "rival", sealed=True, sealed_deposit=100_000)
    for name, side, price in (("anna", "sell", 600_000), ("bert", "buy", 640_000)):
        hidden.done(address(name), AUCTION, "commit_order", SLOT, commitment(name, side, 1_000, price))
    for side in ("sell", "buy"):
        assert hidden.query(AUCTION, "book_of", SLOT, side, 10) == []
    told = [event for receipt in hidden.receipts for event in receipt.events if event.name == "OrderCommitted"]
    assert told
    for event in told:
        assert (600_000).to_bytes(3, "big") not in event.data
        assert (640_000).to_bytes(3, "big") not in event.data
    hidden.go_slot(SLOT, -3)
    hidden.done(address("anna"), AUCTION, "reveal_order", SLOT, "sell", 1_000, 600_000, "keep", NONCE)
    assert hidden.query(AUCTION, "book_of", SLOT, "sell", 10)[0]["price"] == 600_000
    undercut = commitment("rival", "sell", 1_000, 599_999)
    assert hidden.refused(address("rival"), AUCTION, "commit_order", SLOT, undercut) == "ORDER_LATE"
    assert hidden.refused(address("rival"), AUCTION, "submit_order", SLOT, "sell", 1_000, 599_999, "keep") == "SEALED"


# Many tiny trades move the plain mean


def tiny_trades(**mode: Any) -> int:
    """A big honest trade at 500,000 and ten of 1 Wh at 660,000; Pa."""
    world = market("S1", "B1", "S2", "B2", "S3", "B3", **mode)
    for _ in range(10):
        world.order("B2", SLOT, "buy", 1, 660_000, "keep")
    world.order("B1", SLOT, "buy", 2_000, 500_000, "keep")
    world.order("S1", SLOT, "sell", 2_000, 500_000, "keep")
    for _ in range(10):
        world.order("S2", SLOT, "sell", 1, 499_999, "keep")
    world.order("S3", SLOT, "sell", 100, 660_000, "keep")
    world.order("B3", SLOT, "buy", 100, 460_000, "keep")
    world.go_slot(SLOT, -2)
    (event,) = world.events("ReferencePrice")
    return int(event["pa"])


def test_tiny_trades_move_the_plain_mean_and_not_the_weighted_one() -> None:
    assert tiny_trades(hardened_pa=False) > 560_000, "20 Wh have moved it by 60,000"
    assert tiny_trades() == 500_000


# One price for all is wanted


def prices(**mode: Any) -> list[int]:
    world = market("S1", "S2", "B1", "B2", **mode)
    for name, side, price in (("S1", "sell", 460), ("S2", "sell", 540), ("B1", "buy", 660), ("B2", "buy", 560)):
        world.order(name, SLOT, side, 1_000, price * 1_000, "keep")
    world.go_slot(SLOT, -2)
    return [event["price"] for event in world.events("Trade")]


def test_equal_energy_has_one_price_with_pay_as_clear() -> None:
    """Published: who is matched with whom decides, 560,000 or 550,000. Option: all at the midpoint of S2 and B2."""
    assert prices() == [560_000, 550_000]
    assert prices(pricing="clear") == [550_000, 550_000]


# Self-trade at an extreme price


def pumped(**mode: Any) -> int:
    """One owner with two meters trades 1,000 Wh with itself at 670,000 ahead of all others; Pa."""
    owners = {"left hand": "pump", "right hand": "pump"}
    world = market("S1", "B1", "S2", "B2", "left hand", "right hand", owners=owners, **mode)
    world.order("S1", SLOT, "sell", 1_000, 490_000, "keep")
    world.order("B1", SLOT, "buy", 1_000, 510_000, "keep")
    world.order("right hand", SLOT, "buy", 1_000, 1_000_000, "keep")
    world.order("left hand", SLOT, "sell", 1_000, 340_000, "keep")
    world.order("S2", SLOT, "sell", 100, 660_000, "keep")
    world.order("B2", SLOT, "buy", 100, 460_000, "keep")
    world.go_slot(SLOT, -2)
    (event,) = world.events("ReferencePrice")
    return int(event["pa"])


def test_a_trade_with_oneself_moves_pa_only_under_the_published_rule() -> None:
    """Published: the own trade at 670,000 counts. Default: it is never made; the owner's two orders meet others', at
    prices that it pays."""
    assert pumped(self_trade=True, hardened_pa=False) == (670_000 + 500_000) // 2
    world = market("left hand", "right hand", owners={"left hand": "pump", "right hand": "pump"})
    world.order("left hand", SLOT, "sell", 1_000, 340_000)
    world.order("right hand", SLOT, "buy", 1_000, 1_000_000)
    world.go_slot(SLOT, -2)
    assert world.events("Trade") == []
    assert world.events("ReferencePrice") == []


def test_own_pairs_set_no_price_for_all() -> None:
    """Pay-as-clear: the last crossing pair is one owner's, at 900,000; the price is that of the last honest pair."""
    owners = {"left hand": "pump", "right hand": "pump"}
    found = {}
    for allowed in (True, False):
        world = market("S1", "B1", "left hand", "right hand", owners=owners, pricing="clear", self_trade=allowed)
        world.order("S1", SLOT, "sell", 1_000, 490_000, "keep")
        world.order("B1", SLOT, "buy", 1_000, 1_010_000, "keep")
        world.order("left hand", SLOT, "sell", 1_000, 900_000, "keep")
        world.order("right hand", SLOT, "buy", 1_000, 900_000, "keep")
        world.go_slot(SLOT, -2)
        found[allowed] = [(event["seller"], event["price"]) for event in world.events("Trade")]
    assert found[True] == [(meter("S1"), 900_000), (meter("left hand"), 900_000)]
    assert found[False] == [(meter("S1"), 750_000)]


# Stage 2 lets a trader wait for Pa


def waiting_game(world: MarketWorld) -> None:
    """What the others do: S1 and B1 trade in stage 1, `honest` is left with an ask, B2 with a bid."""
    world.order("S1", SLOT, "sell", 1_000, 500_000, "keep")
    world.order("B1", SLOT, "buy", 1_000, 600_000, "keep")
    world.order("honest", SLOT, "sell", 1_000, 650_000, "keep")
    world.order("B2", SLOT, "buy", 1_000, 480_000, "keep")
    world.order("waiter", SLOT, "sell", 1_000, 100_000_000, "keep")


def test_who_waits_for_pa_reads_the_others_quotes_only_where_they_are_plain() -> None:
    """The waiter's ask of stage 1 means nothing. In stage 2 it reads what the others quote and goes just below."""
    plain = market("S1", "B1", "honest", "B2", "waiter")
    waiting_game(plain)
    plain.go_slot(SLOT, -2)
    seq = {
        row["meter"]: row["seq"] for side in ("sell", "buy") for row in plain.query(AUCTION, "book_of", SLOT, side, 9)
    }
    plain.done(address("B2"), AUCTION, "requote_order", SLOT, "buy", 480_000, seq[meter("B2")], 600_000)
    plain.done(address("honest"), AUCTION, "requote_order", SLOT, "sell", 650_000, seq[meter("honest")], 560_000)
    told = plain.events("OrderRequoted", meter=meter("honest"))[0]["price"]
    below = ("sell", 100_000_000, seq[meter("waiter")], told - 1)
    plain.done(address("waiter"), AUCTION, "requote_order", SLOT, *below)
    plain.go_slot(SLOT, -1)
    assert income(plain, "waiter") > 0
    assert income(plain, "honest") == 0

    names = ("S1", "B1", "honest", "B2", "waiter")
    hidden = market(*names, sealed=True, sealed_deposit=100_000)
    orders = [("S1", "sell", 500_000), ("B1", "buy", 600_000), ("honest", "sell", 650_000), ("B2", "buy", 480_000)]
    seqs = sealed_book(
        hidden, [(name, side, 1_000, price) for name, side, price in [*orders, ("waiter", "sell", 10**8)]]
    )
    hidden.go_slot(SLOT, -2)
    for name, price in (("B2", 600_000), ("honest", 560_000)):
        hidden.done(address(name), AUCTION, "commit_requote", SLOT, quote_commitment(name, seqs[name], price))
    assert hidden.refused(address("waiter"), AUCTION, "requote_order", SLOT, *below) == "SEALED"
    hidden.go_slot(SLOT, -2, SLOT_MS // 2)
    hidden.done(address("honest"), AUCTION, "reveal_requote", SLOT, "sell", 650_000, seqs["honest"], 560_000, NONCE)
    hidden.done(address("B2"), AUCTION, "reveal_requote", SLOT, "buy", 480_000, seqs["B2"], 600_000, NONCE)
    late = quote_commitment("waiter", seqs["waiter"], 559_999)
    assert hidden.refused(address("waiter"), AUCTION, "commit_requote", SLOT, late) == "ORDER_LATE"
    hidden.go_slot(SLOT, -1)
    assert income(hidden, "waiter") == 0
    assert income(hidden, "honest") == 580_000
    hidden.assert_money_conserved()


def test_looking_at_others_orders_and_leaving_costs_the_deposit_where_orders_are_sealed() -> None:
    """With plain orders withdrawal is free until T1. Sealed: who withdraws after the others have revealed pays."""
    plain = market("anna")
    seq = plain.order("anna", SLOT, "sell", 1_000, 500_000, "keep")
    plain.done(address("anna"), AUCTION, "withdraw_order", SLOT, "sell", 500_000, seq)
    assert plain.free("anna") == 10**9

    hidden = market("anna", sealed=True, sealed_deposit=100_000)
    seqs = sealed_book(hidden, [("anna", "sell", 1_000, 500_000)])
    hidden.done(address("anna"), AUCTION, "withdraw_order", SLOT, "sell", 500_000, seqs["anna"])
    assert hidden.accounts()[address("anna")] == (10**9 - 100_000, 0, 0)
    assert hidden.accounts()[address("community")] == (100_000, 0, 0)
    (event,) = hidden.events("OrderWithdrawn")
    assert (event["released"], event["deposit"]) == (170_000, 100_000)
    hidden.assert_money_conserved()


# The midpoint price is not truthful


def gain(world: MarketWorld, said: int, cost: int = 460_000) -> int:
    """What a seller with `cost` gains that says `said`, against three others."""
    world.order("S1", SLOT, "sell", 1_000, said, "keep")
    for name, side, price in (("S2", "sell", 560), ("S3", "sell", 640), ("B1", "buy", 650), ("B2", "buy", 600)):
        world.order(name, SLOT, side, 1_000, price * 1_000, "keep")
    world.order("B3", SLOT, "buy", 1_000, 500_000, "keep")
    world.go_slot(SLOT, -1)
    sold = sum(event["wh"] for event in world.events("Trade", seller=meter("S1")))
    return income(world, "S1") - cost * sold // 1_000


def test_a_seller_gains_by_asking_more_than_its_cost_only_at_the_midpoint() -> None:
    names = ("S1", "S2", "S3", "B1", "B2", "B3")
    truth, shaded = (gain(market(*names, two_stages=False), said) for said in (460_000, 555_000))
    assert shaded > truth > 0
    for said in (300_000, 555_000, 570_000, 599_000, 641_000):
        assert gain(market(*names, two_stages=False, pricing="mcafee"), said) <= gain(
            market(*names, two_stages=False, pricing="mcafee"), 460_000
        )
