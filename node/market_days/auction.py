"""A day of market C with what each member orders by its strategy.

`collude`: the ring orders last. Where orders are plain it asks and bids what the best opposite order in the book gives
away, and its buyers move the mean of stage 1 with three orders of one Wh each at twice the retail price.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.library_sources import AUCTION, AuctionMode
from contracts.sealed_orders import auction_order
from node.market_days.day import REVEAL, HouseholdDay
from node.market_days.members import Household
from node.market_days.strategies import Order, Players

PUBLISHED = AuctionMode(sealed=False, hardened_pa=False, self_trade=True)
DEFAULT = AuctionMode(sealed=True)
_TINY_ORDERS = 3


def gains(members: Sequence[Household], players: Players, mode: AuctionMode) -> dict[str, int]:
    """What each member gains over the grid alone on a day, in micro-currency."""
    day = HouseholdDay(AUCTION, mode, players, members)
    return day.play(lambda hour: _order(day, hour), day.read_all)


def _order(day: HouseholdDay, hour: int) -> None:
    honest, ring = day.orders(hour)
    if day.sealed:
        _sealed(day, hour, honest + ring)
        return
    orders = honest + ring
    if day.players.strategy == "collude":
        orders = honest + [order for own in ring for order in _informed(own, honest, day.players)]
    for order in orders:
        day.call(order.name, "submit_order", hour, order.side, order.wh, order.price, "reference")


def _sealed(day: HouseholdDay, hour: int, orders: Sequence[Order]) -> None:
    texts = [auction_order(order.side, order.wh, order.price, "reference") for order in orders]
    nonces = [day.seal(order.name, "commit_order", hour, text) for order, text in zip(orders, texts, strict=True)]
    day.go_slot(hour, -REVEAL)
    for order, nonce in zip(orders, nonces, strict=True):
        day.call(order.name, "reveal_order", hour, order.side, order.wh, order.price, "reference", nonce)


def _informed(own: Order, book: Sequence[Order], players: Players) -> list[Order]:
    """What a member of the ring orders that has read the book."""
    opposite = [order.price for order in book if order.side != own.side]
    if own.side == "sell":
        return [Order(own.name, "sell", own.wh, max([players.feed, *opposite]))]
    best = Order(own.name, "buy", own.wh, min([players.retail, *opposite]))
    return [best] + [Order(own.name, "buy", 1, 2 * players.retail)] * _TINY_ORDERS
