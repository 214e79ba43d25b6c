"""The second set of books of market C: trades against orders, settlement by rule 6 (spec, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from contracts.library_crossing import CROSSING
from contracts.library_sources import AUCTION
from deploy.books import Booking, Books, Fields, Position, Tariffs, amount


@dataclass(slots=True)
class AuctionPosition(Position):
    """A meter that sells or buys; what it measures beyond its trades is settled with the grid. `given`, `taken`: Wh to
    and from other regions, which are delivered first; `earned`: money for them, less what was paid."""

    given: int = 0
    taken: int = 0
    earned: int = 0

    @property
    def metered(self) -> tuple[int, int]:
        """What other regions leave of the reading."""
        net = self.generation - self.use - self.given + self.taken
        return (max(0, net), max(0, -net)) if self.given or self.taken else (self.generation, self.use)

    @property
    def elsewhere(self) -> int:
        """Money earned in other regions, less what was paid there."""
        return self.earned

    def read_back(self, generation: int, use: int) -> None:
        """Take over what a settlement or correction says is left of a reading."""
        net = generation - use + self.given - self.taken
        moved = self.given or self.taken
        self.generation, self.use = (max(0, net), max(0, -net)) if moved else (generation, use)

    @property
    def grid_buy(self) -> int:
        """Wh from the grid: a seller's shortfall and a buyer's rest."""
        generation, use = self.metered
        return max(0, self.sold - generation) + max(0, use - self.bought)

    @property
    def grid_sell(self) -> int:
        """Wh to the grid: a seller's surplus and what a buyer bought and did not use."""
        generation, use = self.metered
        return max(0, generation - self.sold) + max(0, self.bought - use)

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
class Lock:
    """An order that went to other regions: what of it is open there. `money`: a buyer's, that left with it."""

    slot: int
    meter: bytes
    side: str
    limit: int
    wh: int
    money: int


@dataclass(slots=True)
class AuctionBooks(Books[AuctionPosition]):
    """Orders, trades and settlements of the double auction."""

    orders: dict[tuple[int, int], Order] = field(default_factory=dict)
    locks: dict[bytes, Lock] = field(default_factory=dict)
    """Open orders in other regions by lock."""
    crossings: int = 0
    """Fills that came from there."""
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
        if held.estimated:
            held.read_back(event["generation_wh"], event["use_wh"])
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
        held.read_back(event["generation_wh"], event["use_wh"])
        where = f"slot {key[0]}, correction of {key[1].hex()[:8]}"
        self._compare(where, held, event)
        self.expect(f"{where}, difference", self._book(event), event["difference"])

    def _book(self, event: Fields) -> int:
        """The grid company is the other side of whatever members do not trade among themselves."""
        key, net = (event["slot"], event["meter"]), event["net"]
        return self.book(key, event["account"], net, [(self.grid, -net)])

    def _compare(self, where: str, held: AuctionPosition, event: Fields) -> None:
        values = {
            "generation_wh": held.metered[0],
            "use_wh": held.metered[1],
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

    # --- other regions ------------------------------------------------------------------------------------------------

    def _locked(self, event: Fields) -> None:
        sells = event["side"] == "sell"
        self.expect(
            f"lock {event['lock'].hex()[:8]}, money",
            0 if sells else amount(event["limit"], event["wh"]),
            event["money"],
        )
        self.locks[event["lock"]] = Lock(
            event["slot"], event["meter"], event["side"], event["limit"], event["wh"], event["money"]
        )

    def _filled(self, event: Fields) -> None:
        """A trade with another region; a seller's money is less the global chain's fee."""
        lock, where = self.locks[event["lock"]], f"lock {event['lock'].hex()[:8]}"
        named = (event["slot"], event["meter"], event["side"])
        self.expect(f"{where}, whose", (lock.slot, lock.meter, lock.side), named)
        worth, sells = amount(event["price"], event["wh"]), lock.side == "sell"
        fair = event["price"] >= lock.limit if sells else event["price"] <= lock.limit
        if not fair or not 0 < event["wh"] <= lock.wh or event["money"] > worth:
            self.problems.append(f"{where}: {event['wh']} Wh at {event['price']} for {event['money']}")
        lock.wh -= event["wh"]
        held = self.position(lock.slot, lock.meter)
        if sells:
            held.given += event["wh"]
            held.earned += event["money"]
        else:
            self.expect(f"{where}, paid", worth, event["money"])
            held.taken += event["wh"]
            held.earned -= event["money"]
            lock.money -= event["money"] + event["returned"]
        self.crossings += 1
        self._ended(event, lock, event["ended"])

    def _returned(self, event: Fields) -> None:
        lock = self.locks[event["lock"]]
        self.expect(f"lock {event['lock'].hex()[:8]}, returned", (lock.wh, lock.money), (event["wh"], event["money"]))
        lock.wh = lock.money = 0
        self._ended(event, lock, True)

    def _ended(self, event: Fields, lock: Lock, ended: bool) -> None:
        if ended:
            self.expect(f"lock {event['lock'].hex()[:8]}, left at its end", (0, 0), (lock.wh, lock.money))
            del self.locks[event["lock"]]

    BOOKINGS: ClassVar[Mapping[tuple[str, str], Booking]] = {
        (AUCTION, "OrderAccepted"): _ordered,
        (AUCTION, "OrderWithdrawn"): _withdrew,
        (AUCTION, "OrderCommitted"): Books.committed,
        (AUCTION, "DepositLost"): Books.deposit_lost,
        (AUCTION, "Trade"): _traded,
        (AUCTION, "Settled"): _settled,
        (AUCTION, "Corrected"): _corrected,
        (AUCTION, "SlotSettled"): _slot_settled,
        (CROSSING, "Locked"): _locked,
        (CROSSING, "Elsewhere"): _filled,
        (CROSSING, "Returned"): _returned,
    }
