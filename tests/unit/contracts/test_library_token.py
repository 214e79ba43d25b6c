"""token: balances, escrow, debt and treasury; money is conserved to the last micro-unit."""

from __future__ import annotations

import pytest
from market_world import INSTITUTIONS, MarketWorld, address, meter

from contracts.values import decode_value

CENTER, GRID = INSTITUTIONS.trading_center, INSTITUTIONS.grid_company
ANNA, BERT = address("anna"), address("bert")


@pytest.fixture
def world() -> MarketWorld:
    return MarketWorld(debt_limit=1_000)


def account(world: MarketWorld, who: bytes) -> tuple[int, int, int]:
    shown = world.query("token", "account", who)
    return shown["balance"], shown["escrow"], shown["debt"]


def test_deposit_mints_and_withdrawal_burns(world: MarketWorld) -> None:
    world.done(CENTER, "token", "deposit", ANNA, 700, "ref 1")
    world.done(CENTER, "token", "deposit", ANNA, 300, "ref 2")
    world.done(CENTER, "token", "withdraw", ANNA, 250, "ref 3")
    assert account(world, ANNA) == (750, 0, 0)
    assert world.query("token", "supply") == {"minted": 1_000, "burned": 250, "left": 0, "arrived": 0}
    assert world.events("Deposited")[0] == {"account": ANNA, "amount": 700, "reference": "ref 1"}
    assert world.events("Withdrawn") == [{"account": ANNA, "amount": 250, "reference": "ref 3"}]
    world.assert_money_conserved()


def test_treasury_alone_moves_money_in_and_out_once_a_reference(world: MarketWorld) -> None:
    world.done(CENTER, "token", "deposit", ANNA, 700, "ref 1")
    for entry in ("deposit", "withdraw"):
        assert world.refused(ANNA, "token", entry, ANNA, 10, "ref 2") == "NOT_ALLOWED"
        assert world.refused(GRID, "token", entry, ANNA, 10, "ref 2") == "NOT_ALLOWED"
        assert world.refused(CENTER, "token", entry, ANNA, 10, "ref 1") == "REFERENCE_USED"
        assert world.refused(CENTER, "token", entry, ANNA, 10, "") == "BAD_REFERENCE"
        for amount in (0, -5, 10**30):
            assert world.refused(CENTER, "token", entry, ANNA, amount, "ref 2") == "BAD_AMOUNT"


def test_shortage_shows_required_and_available(world: MarketWorld) -> None:
    world.done(CENTER, "token", "deposit", ANNA, 700, "ref 1")
    receipt = world.send(CENTER, "token", "withdraw", ANNA, 701, "ref 2")
    assert (receipt.ok, receipt.code) == (False, "INSUFFICIENT_FUNDS")
    assert decode_value(receipt.value) == {"required": 701, "available": 700}
    assert world.refused(ANNA, "token", "transfer", BERT, 701) == "INSUFFICIENT_FUNDS"
    assert account(world, ANNA) == (700, 0, 0)


def test_transfer(world: MarketWorld) -> None:
    world.done(CENTER, "token", "deposit", ANNA, 700, "ref 1")
    world.done(ANNA, "token", "transfer", BERT, 200)
    assert (account(world, ANNA), account(world, BERT)) == ((500, 0, 0), (200, 0, 0))
    assert world.refused(ANNA, "token", "transfer", ANNA, 200) == "BAD_RECEIVER"
    assert world.refused(ANNA, "token", "transfer", BERT, -200) == "BAD_AMOUNT"
    world.assert_money_conserved()


def test_only_markets_lock_and_settle(world: MarketWorld) -> None:
    world.done(CENTER, "token", "deposit", ANNA, 700, "ref 1")
    assert world.refused(ANNA, "token", "lock", ANNA, 10) == "NOT_ALLOWED"
    assert world.refused(CENTER, "token", "settle", [[ANNA, 0, -10], [BERT, 0, 10]]) == "NOT_ALLOWED"


def test_debt_limit_is_set_by_the_grid_company(world: MarketWorld) -> None:
    assert world.query("token", "account", ANNA)["limit"] == 1_000
    assert world.refused(CENTER, "token", "set_debt_limit", ANNA, 5) == "NOT_ALLOWED"
    assert world.refused(GRID, "token", "set_debt_limit", ANNA, -5) == "BAD_AMOUNT"
    world.done(GRID, "token", "set_debt_limit", ANNA, 5)
    assert world.query("token", "account", ANNA)["limit"] == 5


def test_consumption_beyond_cover_is_debt_and_stops_new_orders_at_the_limit(world: MarketWorld) -> None:
    world.member("anna", funds=1_000)
    world.member("bert", funds=10**9)
    world.go_slot(0, 1)
    world.read("anna", 0, 0, 4_000)
    world.read("bert", 0, 0, 0)
    world.go_slot(0, 2)
    owed = 4_000 * 670 - 1_000
    assert account(world, ANNA) == (0, 0, owed)
    receipt = world.send(ANNA, "double_auction", "submit_order", 5, "sell", 100, 700_000, "keep")
    assert (receipt.ok, receipt.code) == (False, "DEBT_LIMIT")
    assert decode_value(receipt.value) == {"debt": owed, "limit": 1_000}
    world.done(GRID, "token", "set_debt_limit", ANNA, owed + 1)
    world.done(ANNA, "double_auction", "submit_order", 5, "sell", 100, 700_000, "keep")
    world.done(CENTER, "token", "deposit", ANNA, owed + 7, "pays its debt")
    assert account(world, ANNA) == (7, 0, 0)
    world.assert_money_conserved()


def test_accounts_are_listed_by_address_in_pages(world: MarketWorld) -> None:
    names = [f"member {number}" for number in range(7)]
    for number, name in enumerate(names):
        world.done(CENTER, "token", "deposit", address(name), 1 + number, f"ref {number}")
    found: list = []
    after = b""
    while rows := world.query("token", "page", after, 3):
        assert len(rows) <= 3
        found.extend(rows)
        after = rows[-1][0]
    assert [row[0] for row in found] == sorted(address(name) for name in names)
    assert sum(row[1] for row in found) == 28
    assert meter("member 0") not in [row[0] for row in found]
