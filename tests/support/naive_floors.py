"""The three floors of market A once more, on plain dicts and written apart from the contract, to compare against.

One slot: who sold and bought day-ahead, what producers announced, what prosumers reserved, and what meters say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

ONE = 1_000_000


def money(price: int, wh: int) -> int:
    return floor(Fraction(price * wh, 1000))


def spread(price: int, reputation: int) -> tuple[int, int]:
    """What a producer pays and gets on the balancing floor, with the default terms."""
    missing = Fraction(ONE - min(ONE, reputation), ONE)
    share = floor((Fraction(5, 100) + Fraction(1, 2) * missing) * ONE)
    return floor(Fraction(price * (ONE + share), ONE)), floor(Fraction(price * (ONE - min(ONE, share)), ONE))


def clear(offers: list[tuple], bids: list[tuple], feed: int, retail: int) -> tuple[int, dict, dict]:
    """One price for [(who, price, Wh)] by trying every price there is; ({seller: Wh}, {buyer: Wh})."""
    marks = sorted({feed, retail} | {row[1] for row in offers + bids if feed < row[1] < retail})
    price = next(
        (
            mark
            for mark in marks
            if sum(row[2] for row in bids if row[1] > mark) <= sum(row[2] for row in offers if row[1] <= mark)
        ),
        retail,
    )
    return price, *fill(offers, bids, price, price == feed)


def fill(offers: list[tuple], bids: list[tuple], price: int, whole: bool) -> tuple[dict, dict]:
    supply = left = sum(row[2] for row in offers if row[1] <= price)
    bought = {}
    for who, _, wh in sorted([row for row in bids if row[1] >= price], key=lambda row: -row[1]):
        bought[who] = min(left, wh)
        left -= bought[who]
    rest = supply if whole else supply - left
    sold = {}
    for who, _, wh in sorted([row for row in offers if row[1] <= price], key=lambda row: row[1]):
        sold[who] = min(rest, wh)
        rest -= sold[who]
    return sold, bought


@dataclass
class Hour:
    """Inputs of a slot; `run` gives the matches, `settle` the nets. Ids are meters (bytes)."""

    da_price: int
    feed: int
    retail: int
    posted: int | None
    reputation: dict[bytes, int]
    sold: dict[bytes, int]
    bought: dict[bytes, int]
    announced: dict[bytes, int]
    owner: dict[bytes, str]
    reserves: dict[bytes, dict[str, int]]
    score: dict[bytes, int]
    price: int = 0
    matches: list[tuple[bytes, bytes, int, bool]] = field(default_factory=list)
    netted: list[tuple[bytes, bytes, int, int]] = field(default_factory=list)

    def prices(self, who: bytes) -> tuple[int, int]:
        return spread(self.da_price, self.reputation[who])

    def run(self) -> None:
        """Net producers, then rank prosumers for each."""
        queue = sorted(self.reputation, key=lambda who: (-self.reputation[who], who))
        low, high = max(self.prices(who)[1] for who in queue), min(self.prices(who)[0] for who in queue)
        self.price = (low + high) // 2 if self.posted is None else min(max(self.posted, low), high)
        dev = {who: self.announced[who] - self.sold[who] if who in self.sold else 0 for who in queue}
        for giver in queue:
            for taker in queue:
                if dev[giver] > 0 > dev[taker] and self.owner[giver] != self.owner[taker]:
                    wh = min(dev[giver], -dev[taker])
                    dev[giver], dev[taker] = dev[giver] - wh, dev[taker] + wh
                    price = (self.prices(giver)[1] + self.prices(taker)[0]) // 2
                    self.netted.append((giver, taker, wh, price))
        left = {who: dict(entry) for who, entry in self.reserves.items()}
        way: dict[bytes, bool] = {}
        for producer in queue:
            surplus = dev[producer] > 0
            for who in sorted(left, key=lambda who: (-self.score[who], who)):
                entry = left[who]
                willing = self.price + entry["ch"] <= self.retail if surplus else entry["dis"] <= self.price
                other = self.owner[who] != self.owner[producer]
                side = "down" if surplus else "up"
                wh = min(abs(dev[producer]), entry[side])
                if willing and other and wh and way.get(who, surplus) == surplus:
                    way[who] = surplus
                    entry[side] -= wh
                    dev[producer] += -wh if surplus else wh
                    self.matches.append((producer, who, wh, surplus))

    def settle(self, metered: dict[bytes, tuple[int, int]], expected: dict[bytes, int]) -> dict[str, Any]:
        """{nets by meter, delivered Wh by prosumer, grid: its net, its sales and purchases in Wh}."""
        net = dict.fromkeys(metered, 0)
        position = {who: made - used for who, (made, used) in metered.items()}
        given: dict[bytes, int] = {}
        for seller, buyer, wh, price in self.netted:
            net[seller] += money(price, wh)
            net[buyer] -= money(price, wh)
            position[seller] -= wh
            position[buyer] += wh
        for producer, who, wh, surplus in self.matches:
            sign = 1 if surplus else -1
            moved = sign * (expected[who] - metered[who][0] + metered[who][1])
            real = min(wh, max(0, moved - given.get(who, 0)))
            given[who] = given.get(who, 0) + real
            buy, sell = self.prices(producer)
            short = money(self.price - sell if surplus else buy - self.price, wh - real)
            pays = sign * money(self.price, real) + short
            net[producer] += pays
            net[who] -= pays
            position[producer] -= sign * real
            position[who] += sign * real
        sales = purchases = 0
        for who in metered:
            sold, bought = self.sold.get(who, 0), self.bought.get(who, 0)
            net[who] += money(self.da_price, sold) - money(self.da_price, bought)
            used = 0
            if who in self.reputation:
                used = metered[who][1]
            rest = position[who] - sold + bought + used
            buy, sell = self.prices(who) if who in self.reputation else (self.retail, self.feed)
            net[who] += money(sell, max(0, rest)) - money(buy, max(0, -rest)) - money(self.retail, used)
            sales += bought + max(0, -rest) + used
            purchases += sold + max(0, rest)
        return {"net": net, "given": given, "grid": -sum(net.values()), "sales": sales, "purchases": purchases}
