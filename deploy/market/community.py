"""Market B in the demo: plants offer, consumers bid on offers, the community's plant matches, pools and settles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from contracts.library_sources import COMMUNITY, CommunityMode
from contracts.sealed_orders import community_bid
from deploy.books import Tariffs
from deploy.gateway import Household
from deploy.generator import ask_price, bid_price
from deploy.market.community_books import CommunityBooks
from deploy.market.interface import Event, Gateway, Market, MarketDay, SealedOrders, Shown, Signals, bool_at
from deploy.market.words import currency, kwh, name, price
from ledger.draws import uniform

_BIDS_EACH = 4
"""Quotations that a consumer bids on at most for one slot."""


class CommunityGateway(Gateway):
    """A plant offers when a window opens. A consumer bids one slot later, when it knows the offers: it begins at one
    that its seed names, so that not all begin at the same, and takes what it may afford until its need is met."""

    def __init__(self, household: Household, day: MarketDay, home: int) -> None:
        super().__init__(household, day, home)
        self._sealed = SealedOrders(household.owner, COMMUNITY)
        self._offers: dict[int, list[tuple[int, int, int]]] = {}

    def answer(self, name: str, data: Event) -> list[bytes]:
        """Signed transactions for an event."""
        slot = data["slot"]
        if name == "BidCommitted":
            self._sealed.confirmed(data["commitment"])
        elif name == "QuotationOffered":
            self._offers.setdefault(slot, []).append((data["seq"], data["wh"], data["price"]))
        elif name == "SlotDelivered":
            if self.once(name, slot):
                return [self.reading(slot, self.measured[slot], generated=self.selling)]
        elif name == "SlotOpened":
            return [
                *self._opened(slot),
                *self._bids(slot - 1),
                *self._sealed.reveal("reveal_bid", slot - self.day.lead),
            ]
        return []

    def _opened(self, slot: int) -> list[bytes]:
        if not self.once("SlotOpened", slot):
            return []
        signed, wh = [self.forecasts(slot)], self.forecast[slot]
        if self.selling and wh > 0:
            ask = ask_price(self.day.seed, self.name, slot)
            signed.append(self.household.owner.call(COMMUNITY, "offer", slot, wh, ask))
        return signed

    def _bids(self, slot: int) -> list[bytes]:
        if self.selling or not self.once("bids", slot):
            return []
        signed, limit = [], bid_price(self.day.seed, self.name, slot)
        for quotation, wh in self._wanted(slot, limit):
            if self.day.sealed:
                text = community_bid(quotation, wh, limit)
                signed.append(self._sealed.commit("commit_bid", slot, text, (quotation, wh, limit)))
            else:
                signed.append(self.household.owner.call(COMMUNITY, "submit_bid", slot, quotation, wh, limit))
        return signed

    def _wanted(self, slot: int, limit: int) -> list[tuple[int, int]]:
        """(quotation, Wh) to bid on."""
        offers = sorted(offer for offer in self._offers.pop(slot, []) if offer[2] <= limit)
        left, wanted = self.forecast[slot], []
        first = uniform(len(offers), self.day.seed, "pick", self.name, slot) if offers else 0
        for quotation, offered, _ in (offers[first:] + offers[:first])[:_BIDS_EACH]:
            wh = min(left, offered)
            if wh > 0:
                wanted.append((quotation, wh))
                left -= wh
        return wanted


class CommunityPlant(Market):
    """The community's virtual power plant."""

    letter = "B"
    contract = COMMUNITY
    title = "community power plant"
    signals = Signals(
        period="slot",
        opened="SlotOpened",
        delivered="SlotDelivered",
        settled="SlotSettled",
        trade="Traded",
        public=frozenset({"QuotationOffered"}),
        parties={"BidCommitted": ("meter",)},
    )
    offer_slots = 1
    """Bids are committed a slot after the offers that they are on."""
    columns = ("slot", "offer", "seller", "buyer", "energy", "price")
    placing: ClassVar[frozenset[str]] = frozenset({"offer", "submit_bid", "reveal_bid"})
    promising: ClassVar[frozenset[str]] = frozenset({"commit_bid"})

    def mode(self, *, sealed: bool, slots: int) -> CommunityMode:
        """A node's options."""
        return CommunityMode(sealed=sealed)

    def sealed_in(self, arguments: bytes) -> bool:
        """As the contract's `setup` reads them."""
        return bool_at(arguments, 5)

    def gateway(self, household: Household, day: MarketDay, home: int) -> CommunityGateway:
        """The gateway of one household."""
        return CommunityGateway(household, day, home)

    def books(self, tariffs: Tariffs, grid: bytes, community: bytes) -> CommunityBooks:
        """Empty books."""
        return CommunityBooks(tariffs, grid, community)

    def show(self, data: Event, name_of: Mapping[str, str]) -> Shown:
        """A trade, from the data of the event."""
        wh, micro = data["wh"], data["price"]
        pair = (name(data["seller"], name_of), name(data["buyer"], name_of))
        return Shown(wh, int(data["money"]), (f"#{data['quotation']}", *pair, f"{wh} Wh", price(micro)))

    def facts(self, figures: Mapping[str, int], day: str) -> list[tuple[str, str]]:
        """What the plant did beyond trades."""
        return [
            (
                "delivered",
                f"{kwh(figures['delivered_wh'])} of what was traded; the pool moved {kwh(figures['pool_wh'])}",
            ),
            (
                "operator",
                f"{currency(figures['operator_fees_micro'])} of fees; "
                f"{currency(figures['subsidies_micro'])} from plants that fell short to those who waited",
            ),
        ]
