"""The second set of books of market C: trades against orders, settlement by rule 6 (spec, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from contracts.library_sources import AUCTION
from deploy.books import Booking, Books, Fields, Position, Tariffs, amount


@dataclass(slots=True)
class AuctionPosition(Position):
    """A meter that sells or buys; what it measures beyond its trades is settled with the grid."""

    @property
    def grid_buy(self) -> int:
        """Wh from the grid: a seller's shortfall and a buyer's rest."""
        return max(0, self.sold - self.generation) + max(0, self.use - self.bought)

    @property
    def grid_sell(self) -> int:
        """Wh to the grid: a seller's surplus and what a buyer bought and did not use."""
        return max(0, self.generation - self.sold) + max(0, self.bought - self.use)

    def net(self, tariffs: Tariffs) -> int:
        """Trades and the grid."""
        grid = amount(tariffs.feed, self.grid_sell) - amount(tariffs.retail, self.grid_buy)
        return self.receipts - self.payments + grid


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted order and what is left of it."""

    meter: bytes
    side: str
    left: int


@dataclass(slots=True)
class AuctionBooks(Books[AuctionPosition]):
    """Orders, trades and settlements of the double auction."""

    orders: dict[tuple[int, int], Order] = field(default_factory=dict)
    surplus: dict[int, int] = field(default_factory=dict)
    """What buyers of a slot pay beyond what sellers get; the grid company's here until the slot is settled."""

    def fresh(self) -> AuctionPosition:
        """An empty position."""
        return AuctionPosition()

    def _ordered(self, event: Fields) -> None:
        self.orders[event["slot"], event["seq"]] = Order(event["meter"], event["side"], event["wh"])

    def _withdrew(self, event: Fields) -> None:
        """Where orders are sealed a revealed one that goes costs its deposit."""
        order = self.orders.pop((event["slot"], event["seq"]))
        self.forfeit(order.meter, event["deposit"])

    def _traded(self, event: Fields) -> None:
        slot, wh, where = event["slot"], event["wh"], f"slot {event['slot']}, trade {self.trades}"
        self.expect(f"{where}, money", amount(event["price"], wh), event["money"])
        if wh <= 0:
            self.problems.append(f"{where}: a trade of {wh} Wh")
        for number, side in (("sell_seq", "sell"), ("buy_seq", "buy")):
            order = self.orders[slot, event[number]]
            meter = event["seller" if side == "sell" else "buyer"]
            self.expect(f"{where}, {side} order", (meter, side), (order.meter, order.side))
            if wh > order.left:
                self.problems.append(f"{where}: {wh} Wh of an order that has {order.left} left")
            self.orders[slot, event[number]] = Order(order.meter, order.side, order.left - wh)
        seller, buyer = self.position(slot, event["seller"]), self.position(slot, event["buyer"])
        seller.sold += wh
        seller.receipts += event["money"]
        buyer.bought += wh
        buyer.payments += event["money"] + event["surplus"]
        self.surplus[slot] = self.surplus.get(slot, 0) + event["surplus"]
        self.trades += 1

    def _settled(self, event: Fields) -> None:
        slot, meter = event["slot"], event["meter"]
        held = self.measured(slot, event)
        where = f"slot {slot}, meter {meter.hex()[:8]}"
        self._compare(where, held, event)
        values = {
            "sold_wh": held.sold,
            "bought_wh": held.bought,
            "trade_receipts": held.receipts,
            "trade_payments": held.payments,
        }
        self.compare(where, values, event)
        self._book(event)

    def _corrected(self, event: Fields) -> None:
        key = (event["slot"], event["meter"])
        held = self.corrected(key[0], event)
        where = f"slot {key[0]}, correction of {key[1].hex()[:8]}"
        self._compare(where, held, event)
        self.expect(f"{where}, difference", self._book(event), event["difference"])

    def _book(self, event: Fields) -> int:
        """The grid company is the other side of whatever members do not trade among themselves."""
        key, net = (event["slot"], event["meter"]), event["net"]
        return self.book(key, event["account"], net, [(self.grid, -net)])

    def _compare(self, where: str, held: AuctionPosition, event: Fields) -> None:
        values = {
            "generation_wh": held.generation,
            "use_wh": held.use,
            "grid_buy_wh": held.grid_buy,
            "grid_sell_wh": held.grid_sell,
            "grid_cost": amount(self.tariffs.retail, held.grid_buy),
            "grid_income": amount(self.tariffs.feed, held.grid_sell),
            "net": held.net(self.tariffs),
        }
        self.compare(where, values, event)
        self.one_side(where, held)

    def _slot_settled(self, event: Fields) -> None:
        where = f"slot {event['slot']}"
        held = self.slot(event["slot"])
        sold, bought = sum(one.sold for one in held), sum(one.bought for one in held)
        self.expect(f"{where}, sold = bought", sold, bought)
        net = sum(one.net(self.tariffs) for one in held)
        surplus = self.surplus.get(event["slot"], 0)
        self.close_slot(event["slot"], event, {"traded_wh": sold, "members_net": net, "surplus": surplus})
        self.expect(f"{where}, money", 0, event["members_net"] + event["grid_net"] + surplus)
        self.move(self.grid, -surplus)
        self.move(self.community, surplus)

    BOOKINGS: ClassVar[Mapping[tuple[str, str], Booking]] = {
        (AUCTION, "OrderAccepted"): _ordered,
        (AUCTION, "OrderWithdrawn"): _withdrew,
        (AUCTION, "OrderCommitted"): Books.committed,
        (AUCTION, "DepositLost"): Books.deposit_lost,
        (AUCTION, "Trade"): _traded,
        (AUCTION, "Settled"): _settled,
        (AUCTION, "Corrected"): _corrected,
        (AUCTION, "SlotSettled"): _slot_settled,
    }
