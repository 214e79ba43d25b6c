"""A day of market B with what each member offers and bids by its strategy.

Sellers quote what is left over; buyers bid for what they need on the quotations that they can pay, the cheapest first
and equal ones by lot, a bid on each until the need is covered. `collude`: the ring's buyers bid last. Where bids are
plain they read the totals (price times Wh) that rank a quotation's bids, and bid their whole need at the lowest price
that outranks them. Nobody asks or bids a price at which the fee alone makes the grid the better side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.library_sources import COMMUNITY, CommunityMode
from contracts.sealed_orders import community_bid
from ledger.draws import draw
from node.market_days.day import REVEAL, HouseholdDay
from node.market_days.members import Household
from node.market_days.strategies import Order, Players

PUBLISHED = CommunityMode(sealed=False, priority=False, self_trade=True, pool=False)
DEFAULT = CommunityMode(sealed=True)
_BIDS_EACH = 8


def _fee_per_kwh(wh: int) -> int:
    """What the fee of a trade of so many Wh is on a kWh, rounded up."""
    return -(-DEFAULT.fee * 1_000 // wh)


@dataclass(frozen=True, slots=True)
class _Quotation:
    seq: int
    wh: int
    price: int


@dataclass(frozen=True, slots=True)
class _Bid:
    name: str
    quotation: int
    wh: int
    price: int


def gains(members: Sequence[Household], players: Players, mode: CommunityMode) -> dict[str, int]:
    """What each member gains over the grid alone on a day, in micro-currency."""
    day = HouseholdDay(COMMUNITY, mode, players, members)
    return day.play(lambda hour: _trade(day, hour), day.read_all)


def _trade(day: HouseholdDay, hour: int) -> None:
    honest, ring = day.orders(hour)
    quotations = []
    for order in honest + ring:
        price = max(order.price, day.players.feed + _fee_per_kwh(order.wh))
        if order.side == "sell" and price <= day.players.retail:
            quotations.append(_Quotation(day.call(order.name, "offer", hour, order.wh, price), order.wh, price))
    bids = [bid for order in honest if order.side == "buy" for bid in _bids(order, quotations, day.players, hour)]
    for order in ring:
        if order.side == "buy":
            if day.players.strategy == "collude" and not day.sealed:
                bids += _outranking(order, quotations, bids, day.players)
            else:
                bids += _bids(order, quotations, day.players, hour)
    _bid(day, hour, bids)


def _bids(order: Order, quotations: Sequence[_Quotation], players: Players, hour: int) -> list[_Bid]:
    payable = [found for found in quotations if found.price <= order.price]
    payable.sort(key=lambda found: (found.price, draw(players.seed, "lot", order.name, hour, found.seq)))
    left, bids = order.wh, []
    for found in payable[:_BIDS_EACH]:
        wh = min(left, found.wh)
        price = min(order.price, players.retail - _fee_per_kwh(wh)) if wh else 0
        if wh and price >= found.price:
            bids.append(_Bid(order.name, found.seq, wh, price))
            left -= wh
    return bids


def _outranking(order: Order, quotations: Sequence[_Quotation], book: Sequence[_Bid], players: Players) -> list[_Bid]:
    """The whole need, as far as a quotation has it, on the one that costs least to lead."""
    found: list[tuple[int, int, int]] = []
    for quotation in quotations:
        wh = min(order.wh, quotation.wh)
        best = max((bid.price * bid.wh for bid in book if bid.quotation == quotation.seq), default=0)
        price = max(quotation.price, best // wh + 1)
        if price <= players.retail - _fee_per_kwh(wh):
            found.append((price, quotation.seq, wh))
    return [_Bid(order.name, seq, wh, price) for price, seq, wh in sorted(found)[:1]]


def _bid(day: HouseholdDay, hour: int, bids: Sequence[_Bid]) -> None:
    if not day.sealed:
        for bid in bids:
            day.call(bid.name, "submit_bid", hour, bid.quotation, bid.wh, bid.price)
        return
    nonces = [day.seal(bid.name, "commit_bid", hour, community_bid(bid.quotation, bid.wh, bid.price)) for bid in bids]
    day.go_slot(hour, -REVEAL)
    for bid, nonce in zip(bids, nonces, strict=True):
        day.call(bid.name, "reveal_bid", hour, bid.quotation, bid.wh, bid.price, nonce)
