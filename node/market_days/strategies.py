"""How a member turns what it has into an order. The true value of a kWh is what the grid pays for it or asks for it.

truthful  all of it, at the grid's price for it: the outside option
random    all of it, at a uniform price between the two grid prices
markup    all of it, three fifths of the way to the other grid price
withhold  half of it, at the grid's price
collude   strategists act as one: they order last, see what the chain shows by then, and play the market's known
          weakness together; what that is, each market's day says. With nothing to see it is a markup
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ledger.draws import uniform
from node.market_days.members import HOURS, Household

Strategy = Literal["truthful", "random", "markup", "withhold", "collude"]
STRATEGIES: Final[tuple[Strategy, ...]] = ("truthful", "random", "markup", "withhold", "collude")
Side = Literal["sell", "buy"]

_MARKUP: Final = (3, 5)


@dataclass(frozen=True, slots=True)
class Order:
    """What a member offers or asks for: Wh and price per kWh."""

    name: str
    side: Side
    wh: int
    price: int


@dataclass(frozen=True, slots=True)
class Players:
    """Who plays what, and the two grid prices between which prices make sense."""

    seed: int
    strategy: Strategy
    strategists: frozenset[str]
    feed: int
    retail: int

    def of(self, name: str) -> Strategy:
        """The strategy of a member: those who are no strategists are truthful."""
        return self.strategy if name in self.strategists else "truthful"

    def order(self, name: str, side: Side, wh: int, *period: int) -> Order:
        """The order of a member for what it has (sell) or needs (buy) in a period."""
        own, other = (self.feed, self.retail) if side == "sell" else (self.retail, self.feed)
        match self.of(name):
            case "truthful":
                return Order(name, side, wh, own)
            case "random":
                price = self.feed + uniform(self.retail - self.feed + 1, self.seed, "price", name, *period)
                return Order(name, side, wh, price)
            case "markup" | "collude":
                return Order(name, side, wh, own + (other - own) * _MARKUP[0] // _MARKUP[1])
            case "withhold":
                return Order(name, side, (wh + 1) // 2, own)

    def household(self, member: Household, hour: int) -> Order:
        """The order of a household for what it has left over or needs in an hour."""
        surplus = member.surplus(hour)
        return self.order(member.name, "sell" if surplus > 0 else "buy", abs(surplus), hour)

    def alone(self, member: Household) -> int:
        """What the grid alone pays a household for its day, hour by hour; negative: what it asks."""
        surplus = [member.surplus(hour) for hour in range(HOURS)]
        return sum(self.feed * wh // 1_000 if wh > 0 else -(self.retail * -wh // 1_000) for wh in surplus)

    def in_turn(self, orders: list[Order]) -> tuple[list[Order], list[Order]]:
        """Orders of honest members, and of strategists, who wait for them."""
        honest = [order for order in orders if order.name not in self.strategists]
        return honest, [order for order in orders if order.name in self.strategists]


def chosen_strategists(seed: int, names: list[str], share_ppm: int) -> frozenset[str]:
    """A share of the members, rounded up, in the order of their draws."""
    count = -(-len(names) * share_ppm // 1_000_000)
    return frozenset(sorted(names, key=lambda name: (uniform(2**63, seed, "strategist", name), name))[:count])
