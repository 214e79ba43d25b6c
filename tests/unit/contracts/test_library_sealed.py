"""double_auction with sealed orders: commit with a deposit, reveal after the commit phase; the silent lose theirs."""

from __future__ import annotations

import hashlib

import pytest
from market_world import MarketWorld, address, meter

NONCE = bytes(range(32))
COMMIT = ("double_auction", "commit_order")
REVEAL = ("double_auction", "reveal_order")


def sealed(name: str, slot: int, side: str, wh: int, price: int, requote: str, nonce: bytes = NONCE) -> bytes:
    text = (
        (side == "buy").to_bytes(1, "big")
        + wh.to_bytes(8, "big")
        + price.to_bytes(8, "big")
        + (requote == "reference").to_bytes(1, "big")
        + nonce
        + address(name)
        + slot.to_bytes(8, "big")
    )
    return hashlib.sha256(text).digest()


@pytest.fixture
def world() -> MarketWorld:
    world = MarketWorld(sealed=True, sealed_deposit=500)
    for name in ("anna", "bert"):
        world.member(name, funds=1_000_000)
    world.go_slot(5, -4)
    return world


def test_plain_orders_are_refused_and_commitments_need_the_mode(world: MarketWorld) -> None:
    assert world.refused(address("anna"), "double_auction", "submit_order", 5, "sell", 9, 9, "keep") == "SEALED"
    plain = MarketWorld()
    plain.member("anna")
    plain.go_slot(5, -4)
    assert plain.refused(address("anna"), *COMMIT, 5, bytes(32)) == "NOT_SEALED"


def test_revealed_orders_trade_and_deposits_return(world: MarketWorld) -> None:
    world.done(address("anna"), *COMMIT, 5, sealed("anna", 5, "sell", 100, 480_000, "keep"))
    world.done(address("bert"), *COMMIT, 5, sealed("bert", 5, "buy", 100, 500_000, "reference"))
    assert (world.free("anna"), world.escrow("anna")) == (999_500, 500)
    assert world.refused(address("anna"), *REVEAL, 5, "sell", 100, 480_000, "keep", NONCE) == "WINDOW_CLOSED"
    world.go_slot(5, -3)
    assert world.refused(address("bert"), *COMMIT, 5, bytes(32)) == "ORDER_LATE"
    assert world.refused(address("anna"), *REVEAL, 5, "sell", 101, 480_000, "keep", NONCE) == "NO_COMMITMENT"
    assert world.refused(address("bert"), *REVEAL, 5, "sell", 100, 480_000, "keep", NONCE) == "NO_COMMITMENT"
    assert world.refused(address("anna"), *REVEAL, 5, "sell", -1, 480_000, "keep", NONCE) == "BAD_REVEAL"
    world.done(address("anna"), *REVEAL, 5, "sell", 100, 480_000, "keep", NONCE)
    world.done(address("bert"), *REVEAL, 5, "buy", 100, 500_000, "reference", NONCE)
    assert world.refused(address("anna"), *REVEAL, 5, "sell", 100, 480_000, "keep", NONCE) == "NO_COMMITMENT"
    assert world.escrow("anna") == 100 * 190
    world.go_slot(5, -2)
    assert [(event["seller"], event["price"]) for event in world.events("Trade")] == [(meter("anna"), 490_000)]
    assert not world.events("DepositLost")


def test_who_does_not_reveal_loses_the_deposit_to_the_community(world: MarketWorld) -> None:
    mark = sealed("anna", 5, "sell", 100, 480_000, "keep")
    world.done(address("anna"), *COMMIT, 5, mark)
    assert world.refused(address("anna"), *COMMIT, 5, mark) == "COMMITTED"
    world.go_slot(5, -2)
    assert world.refused(address("anna"), *REVEAL, 5, "sell", 100, 480_000, "keep", NONCE) == "ORDER_LATE"
    assert world.accounts()[address("anna")] == (999_500, 0, 0)
    assert world.accounts()[address("community")] == (500, 0, 0)
    assert world.events("DepositLost") == [{"slot": 5, "meter": meter("anna"), "commitment": mark, "deposit": 500}]
    world.assert_money_conserved()
