"""A few slots of each market: gateways against the real contracts, and the second set of books against both."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import pytest
from market_days import PlayedDay

from contracts.values import decode_value
from deploy.card import energy_of, money_of
from deploy.market.roster import MARKETS
from ledger.objects import Event

NOON = range(46, 49)


@lru_cache(maxsize=8)
def played(letter: str, sealed: bool = True, silent: frozenset[int] = frozenset()) -> PlayedDay:
    return PlayedDay(MARKETS[letter], NOON, sealed=sealed, silent=silent)


def booked(day: PlayedDay, events: list[Event], change=lambda event, fields: fields):
    books = day.books()
    for event in events:
        fields = change(event, decode_value(event.data))
        books.apply(event.contract, event.name, fields)
    # Approvals came before the first slot; the checker of blocks knows that from their times.
    books.joined = dict.fromkeys(books.joined, 0)
    books.close(day.day.numbers)
    return books


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("letter", MARKETS)
def test_a_day_is_traded_and_the_books_agree_with_the_state(letter, sealed):
    day = played(letter, sealed)
    assert day.refused == {}
    books = booked(day, day.events)
    assert books.problems == []
    assert books.trades > 0
    held = {account: sum(row[:2]) - row[2] for account, row in day.world.accounts().items()}
    assert {account: money for account, money in books.wealth.items() if money} == {
        account: money for account, money in held.items() if money
    }
    assert all(escrow == 0 for _, escrow, _ in day.world.accounts().values())
    energy, money = energy_of(books), money_of(books)
    assert energy.consumption - energy.generation == energy.grid_import - energy.grid_export
    assert energy.consumption > 0
    assert energy.traded > 0
    assert money.tokens_minted == money.tokens_held > 0
    assert all(isinstance(value, int) for value in books.facts().values())
    assert all(text for _, text in day.market.facts(books.facts(), "2016-06-14"))


@pytest.mark.parametrize("letter", MARKETS)
def test_sealed_orders_are_hidden_until_their_window_of_reveals(letter):
    day = played(letter)
    entries = Counter(receipt.entry for receipt in day.world.receipts if receipt.contract == day.market.contract)
    committed = sum(entries[entry] for entry in day.market.promising)
    revealed = sum(entries[entry] for entry in day.market.placing if entry.startswith("reveal"))
    assert committed == revealed > 0
    plain = Counter(receipt.entry for receipt in played(letter, False).world.receipts)
    assert not any(plain[entry] for entry in day.market.promising)


@pytest.mark.parametrize("letter", MARKETS)
def test_a_silent_meter_is_estimated_and_the_books_agree(letter):
    day = played(letter, silent=frozenset({0, 13}))
    assert day.refused == {}
    books = booked(day, day.events)
    assert books.problems == []
    assert sum(held.estimated for (slot, _), held in books.positions.items() if slot in NOON) == 2 * len(NOON)


FIGURES = {
    "A": [("Settled", "net"), ("Settled", "use_wh"), ("Delivered", "paid"), ("HourCleared", "price"), ("Traded", "wh"),
          ("SlotSettled", "grid_sales_wh"), ("HourMatched", "matched_wh"), ("HourCleared", "bought_wh")],
    "B": [("Settled", "net"), ("Settled", "sold_wh"), ("Delivered", "delivered_wh"), ("Delivered", "consumer_fee"),
          ("Traded", "money"), ("SlotSettled", "operator_net"), ("QuotationOffered", "price")],
    "C": [("Settled", "net"), ("Settled", "bought_wh"), ("Trade", "money"), ("SlotSettled", "traded_wh"),
          ("OrderAccepted", "wh")],
    "D": [("Settled", "net"), ("Settled", "sent_wh"), ("OrderSettled", "paid"), ("OrderMade", "wh"),
          ("Placed", "wh"), ("CycleSettled", "grid_fees"), ("OrderSettled", "sent")],
}  # fmt: skip


@pytest.mark.parametrize(("letter", "name", "figure"), [(m, *row) for m, rows in FIGURES.items() for row in rows])
def test_one_changed_figure_is_noticed(letter, name, figure):
    day, changed = played(letter), []

    def change(event: Event, fields: dict) -> dict:
        if event.contract == day.market.contract and event.name == name and not changed and fields[figure]:
            changed.append(event)
            return {**fields, figure: fields[figure] - 1 if name != "QuotationOffered" else 10**9}
        return fields

    problems = booked(day, day.events, change).problems
    assert changed
    assert problems


@pytest.mark.parametrize("letter", MARKETS)
def test_a_settlement_that_is_missing_or_doubled_is_noticed(letter):
    day = played(letter)
    first = next(event for event in day.events if event.name == "Settled")
    without = [event for event in day.events if event is not first]
    assert booked(day, without).problems
    assert booked(day, [*day.events, first]).problems
