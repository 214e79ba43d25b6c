"""The second set of books against the real contracts, in a sealed market where a member keeps its order to itself."""

from __future__ import annotations

import hashlib

import pytest
from market_world import INSTITUTIONS, MarketWorld, address

from contracts.values import decode_value
from deploy.books import Tariffs
from deploy.market.auction_books import AuctionBooks
from ledger.objects import Event

NONCE = bytes(range(32))
SLOT = 5
COMMIT = ("double_auction", "commit_order")
REVEAL = ("double_auction", "reveal_order")


def sealed(name: str, slot: int, side: str, wh: int, price: int) -> bytes:
    """The commitment to a `keep` order (docs/contracts.md)."""
    numbers = wh.to_bytes(8, "big") + price.to_bytes(8, "big")
    text = (side == "buy").to_bytes(1, "big") + numbers + b"\x00" + NONCE + address(name) + slot.to_bytes(8, "big")
    return hashlib.sha256(text).digest()


@pytest.fixture(scope="module")
def events() -> tuple[list[Event], dict[bytes, int]]:
    """All events of a slot in which anna reveals and bert does not, and what the token contract holds in the end."""
    world = MarketWorld(sealed=True, sealed_deposit=500)
    for name in ("anna", "bert"):
        world.member(name, funds=1_000_000)
    world.go_slot(SLOT, -4)
    world.done(address("anna"), *COMMIT, SLOT, sealed("anna", SLOT, "sell", 100, 480_000))
    for price in (500_000, 510_000):
        world.done(address("bert"), *COMMIT, SLOT, sealed("bert", SLOT, "buy", 100, price))
    world.go_slot(SLOT, -3)
    world.done(address("anna"), *REVEAL, SLOT, "sell", 100, 480_000, "keep", NONCE)
    world.go_slot(SLOT, 7)
    held = {account: sum(row[:2]) - row[2] for account, row in world.accounts().items()}
    return [event for receipt in world.receipts for event in receipt.events], held


def test_the_surplus_of_a_trade_reduction_is_booked_as_the_contract_holds_it() -> None:
    """Two pairs; the last one stays out, 40,000 below what its buyer would pay for 100 Wh at 500,000 and 540,000."""
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT, pricing="mcafee", two_stages=False)
    orders = (("anna", "sell", 460_000), ("bert", "sell", 500_000), ("carl", "buy", 600_000), ("dora", "buy", 540_000))
    for name, _, _ in orders:
        world.member(name, funds=1_000_000)
    world.go_slot(SLOT, -4)
    for name, side, price in orders:
        world.order(name, SLOT, side, 100, price)
    world.go_slot(SLOT, 7)
    books = booked([event for receipt in world.receipts for event in receipt.events])
    assert books.problems == []
    assert books.wealth[bytes(INSTITUTIONS.community)] == 4_000
    held = {account: sum(row[:2]) - row[2] for account, row in world.accounts().items()}
    assert {account: money for account, money in books.wealth.items() if money} == {
        account: money for account, money in held.items() if money
    }


def booked(events: list[Event], **changes: int) -> AuctionBooks:
    feed, retail = 450_000, 670_000
    books = AuctionBooks(Tariffs(feed, retail), bytes(INSTITUTIONS.grid_company), bytes(INSTITUTIONS.community))
    for event in events:
        fields = decode_value(event.data)
        if event.name == "DepositLost":
            fields = {**fields, **changes}
        books.apply(event.contract, event.name, fields)
    return books


def test_lost_deposits_are_booked_as_the_contract_holds_them(events: tuple[list[Event], dict[bytes, int]]) -> None:
    told, held = events
    assert sum(event.name == "DepositLost" for event in told) == 2
    books = booked(told)
    assert books.problems == []
    assert books.wealth[bytes(INSTITUTIONS.community)] == 1_000
    assert {account: money for account, money in books.wealth.items() if money} == {
        account: money for account, money in held.items() if money
    }
    assert books.held() == books.minted


def test_another_deposit_than_was_given_is_a_problem(events: tuple[list[Event], dict[bytes, int]]) -> None:
    assert booked(events[0], deposit=501).problems
    lost = [event for event in events[0] if event.name == "DepositLost"]
    assert booked([*events[0], lost[0]]).problems, "lost twice"
