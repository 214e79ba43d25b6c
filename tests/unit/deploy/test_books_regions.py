"""The second set of books of a region that trades with others, against the contracts: fills in time and too late."""

from __future__ import annotations

from typing import Any

import pytest
from crossing_world import Regions
from market_world import INSTITUTIONS, SLOT_MS, MarketWorld, meter

from contracts.values import decode_value
from deploy.books import Tariffs
from deploy.market.auction_books import AuctionBooks

SLOT = 5


def village(late: bool) -> Regions:
    """anna sells 1,000 Wh in the east and has only 900; bert and carl buy in the west."""
    regions = Regions(("east", "west"), first_slot=SLOT, last_slot=SLOT)
    east, west = regions.worlds["east"], regions.worlds["west"]
    east.member("anna", funds=10**7)
    west.member("bert", funds=10**7)
    west.member("carl", funds=10**7)
    regions.everywhere(east.start(SLOT) - 4 * SLOT_MS + 1)
    regions.forecast("east", "anna", SLOT, "generation", 1_000)
    east.order("anna", SLOT, "sell", 1_000, 500_000)
    west.order("bert", SLOT, "buy", 700, 580_000)
    west.order("carl", SLOT, "buy", 700, 540_000)
    regions.everywhere(east.start(SLOT))
    if late:
        for name in regions.worlds:
            regions.missed[name] += regions.close(name)
    else:
        regions.round()
    regions.everywhere(east.start(SLOT + 1) + 1)
    east.read("anna", SLOT, 900, 0)
    west.read("bert", SLOT, 0, 700)
    west.read("carl", SLOT, 0, 650)
    regions.everywhere(east.start(SLOT + 6))
    for _ in range(6):
        regions.round()
    return regions


def booked(world: MarketWorld, changed: dict[str, Any] | None = None) -> AuctionBooks:
    """The books of a region from its events; `changed` falsifies the fills."""
    books = AuctionBooks(Tariffs(450_000, 670_000), bytes(INSTITUTIONS.grid_company), bytes(INSTITUTIONS.community))
    for receipt in world.receipts:
        for event in receipt.events:
            data = decode_value(event.data)
            assert isinstance(data, dict)
            fields = {str(name): value for name, value in data.items()}
            if event.name == "Elsewhere" and changed:
                fields |= changed
            books.apply(event.contract, event.name, fields)
    books.close([SLOT])
    return books


@pytest.mark.parametrize("late", [False, True])
def test_the_books_of_regions_agree_with_their_contracts(late: bool) -> None:
    regions = village(late)
    given = taken = 0
    for name, world in regions.worlds.items():
        books = booked(world)
        assert books.problems == []
        assert bool(books.revised) is late
        held = {account: sum(row[:2]) - row[2] for account, row in world.accounts().items()}
        assert {k: v for k, v in books.wealth.items() if v} == {k: v for k, v in held.items() if v}
        assert books.locks == {}
        assert books.crossings == 2
        given += sum(one.given for one in books.positions.values())
        taken += sum(one.taken for one in books.positions.values())
        if name == "west":
            carl = books.positions[SLOT, meter("carl")]
            assert (carl.use, carl.taken, carl.grid_buy, carl.elsewhere) == (650, 300, 350, -156_000)
    assert given == taken == 1_000


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"price": 590_000}, "Wh at 590000"),
        ({"wh": 2_000}, "2000 Wh"),
        ({"money": 1}, "paid: expected"),
        ({"lock": bytes(32)}, "cannot be booked"),
        ({"meter": meter("carl")}, "whose: expected"),
    ],
)
def test_a_false_fill_is_found(changed: dict[str, Any], complaint: str) -> None:
    books = booked(village(late=False).worlds["west"], changed)
    assert any(complaint in problem for problem in books.problems), books.problems
