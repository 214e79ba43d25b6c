"""Market D in the demo: requests and offers on the shipped grid, electronic orders, a report of both devices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from contracts.library_sources import MATCHING, MatchingMode
from contracts.sealed_orders import matching_order
from deploy.books import Tariffs
from deploy.gateway import Household
from deploy.generator import ask_price, bid_price
from deploy.grid_lines import GridLines, read_grid
from deploy.market.interface import Event, Gateway, Market, MarketDay, SealedOrders, Shown, Signals, bool_at
from deploy.market.matching_books import MatchingBooks
from deploy.market.words import currency, kwh, name, percent, price
from deploy.neighbourhood import Member, Neighbourhood

FEES_BY_LEVEL: Final = (10_000, 20_000, 40_000)
FEE_BOUNDS_M: Final = (50, 150)
FEES_BY_LENGTH: Final = (5_000, 10_000, 15_000)
"""The grid company's fee table of the demo, micro-currency per kWh: by voltage level and by metres of line."""
_REWARDS: Final = 1_000_000_000
"""What the treasury gives the community for rewards."""


class MatchingGateway(Gateway):
    """One request or offer a cycle. When delivery has ended each device reports every order, and the meter its slot."""

    def __init__(self, household: Household, day: MarketDay, home: int) -> None:
        super().__init__(household, day, home)
        self._sealed = SealedOrders(household.owner, MATCHING)
        self._orders: dict[int, list[Event]] = {}
        self._names = day.member_of
        self._meter = f"0x{household.meter.address.hex()}"

    def answer(self, name: str, data: Event) -> list[bytes]:
        """Signed transactions for an event."""
        cycle = data["cycle"]
        if name == "Committed":
            self._sealed.confirmed(data["commitment"])
        elif name == "OrderMade":
            self._orders.setdefault(cycle, []).append(data)
        elif name == "CycleOpened":
            placed = [self.forecasts(cycle), *self._place(cycle)] if self.once(name, cycle) else []
            return [*placed, *self._sealed.reveal("reveal", cycle - self.day.lead)]
        elif name == "CycleDelivered" and self.once(name, cycle):
            return [self.reading(cycle, self.measured[cycle], generated=self.selling), *self._reports(cycle)]
        return []

    def _place(self, cycle: int) -> list[bytes]:
        wh, seed, owner = self.forecast[cycle], self.day.seed, self.household.owner
        if wh <= 0:
            return []
        side = "offer" if self.selling else "request"
        micro = ask_price(seed, self.name, cycle) if self.selling else bid_price(seed, self.name, cycle)
        if not self.day.sealed:
            return [owner.call(MATCHING, side, cycle, wh, micro)]
        return [self._sealed.commit("commit", cycle, matching_order(side, wh, micro), (side, wh, micro))]

    def _reports(self, cycle: int) -> list[bytes]:
        """What the device of this side counted of each of its orders. A plant that made less than it sold shares it
        among its orders by their Wh; the lines of a street lose nothing worth a report, so both sides agree."""
        orders = [order for order in self._orders.pop(cycle, []) if order["wh"] > 0]
        signed = []
        for order in orders:
            if self._meter in (order["user"], order["provider"]):
                sold = sum(other["wh"] for other in orders if other["provider"] == order["provider"])
                made = self.day.plan.measured[self._names[order["provider"]]][cycle]
                wh = order["wh"] if made >= sold else made * order["wh"] // sold
                signed.append(self.household.meter.call(MATCHING, "report", order["order"], wh))
        return signed


class MatchingMarket(Market):
    """Users and providers assigned by degree, over the grid's lines."""

    letter = "D"
    spare_ms = 2_500
    """The grid company posts lines and fees before the first window."""
    contract = MATCHING
    title = "matching on the grid"
    signals = Signals(
        period="cycle",
        opened="CycleOpened",
        delivered="CycleDelivered",
        settled="CycleSettled",
        trade="OrderMade",
        public=frozenset({"OrderMade"}),
        parties={"Committed": ("meter",)},
    )
    columns = ("slot", "lines", "provider", "user", "energy", "price")
    placing: ClassVar[frozenset[str]] = frozenset({"offer", "request", "reveal"})
    promising: ClassVar[frozenset[str]] = frozenset({"commit"})
    dealt = "in {} electronic orders"
    match_at_t2 = True

    def mode(self, *, sealed: bool, slots: int) -> MatchingMode:
        """A node's options."""
        return MatchingMode(sealed=sealed)

    def sealed_in(self, arguments: bytes) -> bool:
        """As the contract's `setup` reads them."""
        return bool_at(arguments, 4, 0)

    def gateway(self, household: Household, day: MarketDay, home: int) -> MatchingGateway:
        """The gateway of one household."""
        return MatchingGateway(household, day, home)

    def books(self, tariffs: Tariffs, grid: bytes, community: bytes) -> MatchingBooks:
        """Empty books."""
        return MatchingBooks(tariffs, grid, community)

    def imbalance(self, entry: Mapping[str, Any]) -> int:
        """What is lost between the two devices of an order counts besides."""
        return super().imbalance(entry) + int(entry["sent_wh"] - entry["received_wh"])

    def connection(self, member: Member, number: int, street: Neighbourhood) -> str:
        """The bus of the data where there is a grid: its fees and lines decide."""
        grid = grid_of(street)
        return super().connection(member, number, street) if grid is None else grid.bus(member.bus)

    def preparations(self, day: MarketDay) -> list[bytes]:
        """The grid company posts its lines and fees besides, the treasury money for rewards."""
        desk = day.desk
        gift = desk.trading_center.call("token", "deposit", desk.community, _REWARDS, "rewards")
        grid = grid_of(day.street)
        if grid is None:
            return [*super().preparations(day), gift]
        fees = (day.first_slot, list(FEES_BY_LEVEL), list(FEE_BOUNDS_M), list(FEES_BY_LENGTH))
        return [
            *super().preparations(day),
            desk.grid_company.call("routing", "post_grid", *grid.arguments(day.first_slot)),
            desk.grid_company.call("routing", "post_fees", *fees),
            gift,
        ]

    def show(self, data: Event, name_of: Mapping[str, str]) -> Shown:
        """An electronic order, from the data of the event."""
        wh, micro = data["wh"], data["price"]
        pair = (name(data["provider"], name_of), name(data["user"], name_of))
        return Shown(wh, micro * wh // 1000, (str(len(data["path"])), *pair, f"{wh} Wh", price(micro)))

    def facts(self, figures: Mapping[str, int], day: str) -> list[tuple[str, str]]:
        """How well users were served, and what the grid took."""
        return [
            (
                "assignment",
                f"{figures['orders']} of {figures['requests']} requests served; sum of degrees "
                f"{percent(figures['assignment_ppm'])} of its proven bound",
            ),
            ("delivered", f"{kwh(figures['delivered_wh'])}, {kwh(figures['curtailed_wh'])} curtailed by lines"),
            (
                "grid fees",
                f"{currency(figures['grid_fees_micro'])} to the grid company; rewards for full delivery "
                f"{currency(figures['rewards_micro'])}",
            ),
        ]


@lru_cache(maxsize=4)
def _read(folder: Path) -> GridLines:
    return read_grid(folder)


def grid_of(street: Neighbourhood) -> GridLines | None:
    """The lines of the data's grid if the folder holds them and says at which bus each member is. Raise `DataError`."""
    folder = street.folder
    if folder is None or not (folder / "lines.csv").exists() or not all(member.bus for member in street.members):
        return None
    return _read(folder)
