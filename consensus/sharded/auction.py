"""The one clearing of regions and of the global chain: a double auction in a total order.

Integers; a price is the floor of the midpoint of the two limits, so it is within both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Quote:
    """An order in an auction: `id` breaks ties, `owner` never trades with itself. Wh, micro-units per kWh."""

    id: bytes
    owner: bytes
    wh: int
    limit: int


@dataclass(frozen=True, slots=True)
class Match:
    """A trade of two quotes."""

    buy: bytes
    sell: bytes
    wh: int
    price: int


def cost(price: int, wh: int) -> int:
    """Micro-units of `wh` at `price`: floor(price * wh / 1000) (markets 1)."""
    return price * wh // 1000


def clear(buys: Sequence[Quote], sells: Sequence[Quote]) -> tuple[Match, ...]:
    """Highest buyer meets lowest seller, ties by id; each goes on down the other side until limits cross. The order of
    the arguments does not matter."""
    left = {sell.id: sell.wh for sell in sells}
    ranked = sorted(sells, key=lambda sell: (sell.limit, sell.id))
    found: list[Match] = []
    first = 0  # all before it is sold
    for buy in sorted(buys, key=lambda one: (-one.limit, one.id)):
        wanted = buy.wh
        while first < len(ranked) and left[ranked[first].id] == 0:
            first += 1
        for sell in islice(ranked, first, None):
            if wanted == 0 or sell.limit > buy.limit:
                break
            traded = min(wanted, left[sell.id])
            if traded == 0 or sell.owner == buy.owner:
                continue
            found.append(Match(buy.id, sell.id, traded, (buy.limit + sell.limit) // 2))
            left[sell.id] -= traded
            wanted -= traded
    return tuple(found)
