"""Market C in the demo: each member one order a slot, from its forecast, at a price of the reference generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from contracts.library_sources import AUCTION, PRICINGS, AuctionMode, mode_of
from contracts.sealed_orders import auction_order
from deploy.books import Tariffs
from deploy.gateway import Household
from deploy.generator import ask_price, bid_price
from deploy.market.auction_books import AuctionBooks
from deploy.market.interface import Event, Gateway, Market, MarketDay, SealedOrders, Shown, Signals
from deploy.market.words import name, price
from ledger.errors import ConfigError

_REQUOTE = "reference"


class AuctionGateway(Gateway):
    """Orders at the opening of a window, or commits to them; readings when delivery has ended."""

    def __init__(self, household: Household, day: MarketDay, home: int) -> None:
        super().__init__(household, day, home)
        self._sealed = SealedOrders(household.owner, AUCTION)

    def answer(self, name: str, data: Event) -> list[bytes]:
        """Signed transactions for an event."""
        if name == "OrderCommitted":
            self._sealed.confirmed(data["commitment"])
            return []
        slot = data["slot"]
        if name == "SlotDelivered":
            return [self.reading(slot, self.measured[slot], generated=self.selling)] if self.once(name, slot) else []
        ordered = [self.forecasts(slot), *self._order(slot)] if self.once(name, slot) else []
        return [*ordered, *self._sealed.reveal("reveal_order", slot - self.day.lead)]

    def _order(self, slot: int) -> list[bytes]:
        wh, seed, owner = self.forecast[slot], self.day.seed, self.household.owner
        if wh <= 0:
            return []
        side = "sell" if self.selling else "buy"
        micro = ask_price(seed, self.name, slot) if self.selling else bid_price(seed, self.name, slot)
        if not self.day.sealed:
            return [owner.call(AUCTION, "submit_order", slot, side, wh, micro, _REQUOTE)]
        text = auction_order(side, wh, micro, _REQUOTE)
        return [self._sealed.commit("commit_order", slot, text, (side, wh, micro, _REQUOTE))]


class DoubleAuction(Market):
    """Two stages of a double auction, the rest with the grid."""

    letter = "C"
    contract = AUCTION
    title = "double auction"
    signals = Signals(
        period="slot",
        opened="SlotOpened",
        delivered="SlotDelivered",
        settled="SlotSettled",
        trade="Trade",
        parties={"OrderCommitted": ("meter",)},
    )
    columns = ("slot", "stage", "seller", "buyer", "energy", "price")
    placing: ClassVar[frozenset[str]] = frozenset({"submit_order", "reveal_order"})
    promising: ClassVar[frozenset[str]] = frozenset({"commit_order"})

    def mode(self, *, sealed: bool, slots: int) -> AuctionMode:
        """A node's options."""
        return AuctionMode(sealed=sealed)

    def priced(self, *, sealed: bool, pricing: str) -> AuctionMode:
        """The same with another rule for prices. Raise `ConfigError` (PRICING)."""
        if pricing not in PRICINGS:
            raise ConfigError(
                "no such rule for prices", code="PRICING", expected=" ".join(PRICINGS), found=pricing, fix="choose one"
            )
        return AuctionMode(sealed=sealed, pricing=pricing)

    def sealed_in(self, arguments: bytes) -> bool:
        """As the contract's `setup` reads them."""
        return mode_of(arguments).sealed

    def gateway(self, household: Household, day: MarketDay, home: int) -> AuctionGateway:
        """The gateway of one household."""
        return AuctionGateway(household, day, home)

    def books(self, tariffs: Tariffs, grid: bytes, community: bytes) -> AuctionBooks:
        """Empty books."""
        return AuctionBooks(tariffs, grid, community)

    def show(self, data: Event, name_of: Mapping[str, str]) -> Shown:
        """A trade, from the data of the event."""
        wh, micro = data["wh"], data["price"]
        pair = (name(data["seller"], name_of), name(data["buyer"], name_of))
        return Shown(wh, int(data["money"]), (str(data["stage"]), *pair, f"{wh} Wh", price(micro)))
