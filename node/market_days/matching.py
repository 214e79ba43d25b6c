"""A day of market D with what each member offers and asks for by its strategy.

A cycle is an hour. Users ask for all they need with their price as limit, providers for their own price. `collude`: the
providers of the ring send nine tenths of what was agreed while their own devices report all of it, and sell the rest to
the grid.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.library_sources import MATCHING, MatchingMode
from contracts.sealed_orders import matching_order
from node.conformance.world import meter
from node.market_days.day import REVEAL, HouseholdDay
from node.market_days.members import Household
from node.market_days.strategies import Order, Players

PUBLISHED = MatchingMode(
    sealed=False, v_cap=0, self_trade=True, checked=False, weighted=False, third_meter=False, ceiling=False, reward=0
)
DEFAULT = MatchingMode(sealed=True, reward=0)
_SENT = (9, 10)


def gains(members: Sequence[Household], players: Players, mode: MatchingMode) -> dict[str, int]:
    """What each member gains over the grid alone on a day, in micro-currency."""
    day = HouseholdDay(MATCHING, mode, players, members)
    return day.play(lambda hour: _place(day, hour), lambda hour: _report(day, hour))


def _place(day: HouseholdDay, hour: int) -> None:
    honest, ring = day.orders(hour)
    orders = honest + ring
    if not day.sealed:
        for order in orders:
            day.call(order.name, _entry(order), hour, order.wh, order.price)
        return
    texts = [matching_order(_entry(order), order.wh, order.price) for order in orders]
    nonces = [day.seal(order.name, "commit", hour, text) for order, text in zip(orders, texts, strict=True)]
    day.go_slot(hour, -REVEAL)
    for order, nonce in zip(orders, nonces, strict=True):
        day.call(order.name, "reveal", hour, _entry(order), order.wh, order.price, nonce)


def _entry(order: Order) -> str:
    return "offer" if order.side == "sell" else "request"


def _report(day: HouseholdDay, hour: int) -> None:
    """Both devices of each order report, then all meters."""
    ring = day.players.strategists if day.players.strategy == "collude" else frozenset()
    names = {bytes(meter(name)): name for name in day.names}
    cycle = day.query(MATCHING, "cycle", hour)
    for number in range(cycle["first_order"], cycle["first_order"] + cycle["orders"]):
        order = day.query(MATCHING, "order", number)
        provider, user, wh = names[order["provider"]], names[order["user"]], order["wh"]
        day.by_meter(provider, MATCHING, "report", number, wh)
        day.by_meter(user, MATCHING, "report", number, wh * _SENT[0] // _SENT[1] if provider in ring else wh)
    day.read_all(hour)
