"""The books of the market, kept a second time from the events in committed receipts alone.

Nothing here shares a line with the contracts: a meter's settlement is computed again from its trades and its reading,
and the contract's own entry has to agree (spec, market C, rule 6). What does not add up becomes a sentence in
`problems`.
Units: Wh, micro-currency, micro-currency per kWh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Fields = Mapping[str, Any]
Key = tuple[int, bytes]
"""(slot, meter)"""


@dataclass(frozen=True, slots=True)
class Tariffs:
    """What the grid pays for surplus and asks for supply."""

    feed: int
    retail: int


def amount(price: int, wh: int) -> int:
    """Money for `wh` at `price` per kWh, rounded down once (spec, section 1)."""
    return price * wh // 1000


@dataclass(slots=True)
class Position:
    """What one meter traded and measured in one slot."""

    sold: int = 0
    bought: int = 0
    receipts: int = 0
    payments: int = 0
    generation: int = 0
    use: int = 0
    read: bool = False
    estimated: bool = False
    settled: bool = False

    @property
    def grid_buy(self) -> int:
        """Wh from the grid: a seller's shortfall and a buyer's rest."""
        return max(0, self.sold - self.generation) + max(0, self.use - self.bought)

    @property
    def grid_sell(self) -> int:
        """Wh to the grid: a seller's surplus and what a buyer bought and did not use."""
        return max(0, self.generation - self.sold) + max(0, self.bought - self.use)

    def net(self, tariffs: Tariffs) -> int:
        """What the meter's account receives (negative: pays) for the slot."""
        grid = amount(tariffs.feed, self.grid_sell) - amount(tariffs.retail, self.grid_buy)
        return self.receipts - self.payments + grid


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted order and what is left of it."""

    meter: bytes
    side: str
    left: int


@dataclass(slots=True)
class Books:
    """Accounts, positions and trades as the events tell them."""

    tariffs: Tariffs
    grid: bytes
    community: bytes = b""
    """Who gets the deposits of commitments that were not revealed (`sealed` networks)."""
    problems: list[str] = field(default_factory=list)
    wealth: dict[bytes, int] = field(default_factory=dict)
    minted: int = 0
    owners: dict[bytes, bytes] = field(default_factory=dict)
    next_slot: int = 0
    """The first slot that begins after the block being booked: a meter approved in it is settled from there on."""
    joined: dict[bytes, int] = field(default_factory=dict)
    applied: dict[bytes, Fields] = field(default_factory=dict)
    """The newest application by account; it means nothing before its approval."""
    producers: set[bytes] = field(default_factory=set)
    orders: dict[tuple[int, int], Order] = field(default_factory=dict)
    commitments: dict[tuple[int, bytes, bytes], int] = field(default_factory=dict)
    """Deposit by (slot, meter, commitment)."""
    positions: dict[Key, Position] = field(default_factory=dict)
    nets: dict[Key, int] = field(default_factory=dict)
    trades: int = 0
    closed: set[int] = field(default_factory=set)

    def apply(self, contract: str, name: str, event: Fields) -> None:
        """Book one event. Events that move neither money nor energy are passed over."""
        booking = _BOOKINGS.get((contract, name))
        if booking is None:
            return
        try:
            booking(self, event)
        except (KeyError, TypeError, ValueError) as error:
            self.problems.append(f"{contract}.{name} cannot be booked: {error!r}")

    def held(self) -> int:
        """Balances plus escrows minus debts over all accounts. Locking and releasing move nothing between accounts."""
        return sum(self.wealth.values())

    def slot(self, slot: int) -> list[Position]:
        """The settled positions of a slot."""
        return [held for (number, _), held in self.positions.items() if number == slot and held.settled]

    def missed(self, slots: range) -> int:
        """Meter-slots of `slots` that had begun before their meter was approved: nobody settles them."""
        return sum(min(max(joined - slots.start, 0), len(slots)) for joined in self.joined.values())

    def _move(self, account: bytes, delta: int) -> None:
        self.wealth[account] = self.wealth.get(account, 0) + delta

    def _expect(self, what: str, expected: object, found: object) -> None:
        if expected != found:
            self.problems.append(f"{what}: expected {expected}, found {found}")

    def _position(self, event: Fields, meter: str = "meter") -> Position:
        return self.positions.setdefault((event["slot"], event[meter]), Position())

    def _deposited(self, event: Fields) -> None:
        self.minted += event["amount"]
        self._move(event["account"], event["amount"])

    def _withdrawn(self, event: Fields) -> None:
        self.minted -= event["amount"]
        self._move(event["account"], -event["amount"])

    def _transferred(self, event: Fields) -> None:
        self._move(event["sender"], -event["amount"])
        self._move(event["receiver"], event["amount"])

    def _applied(self, event: Fields) -> None:
        self.applied[event["account"]] = event

    def _approved(self, event: Fields) -> None:
        if event["meter"] in self.owners:
            self.problems.append(f"meter {event['meter'].hex()[:8]} was approved twice")
        applied = self.applied[event["account"]]
        self._expect(f"approved meter of {event['account'].hex()[:8]}", applied["meter"], event["meter"])
        if "producer" in applied["roles"]:
            self.producers.add(event["meter"])
        self.owners[event["meter"]] = event["account"]
        self.joined[event["meter"]] = self.next_slot

    def _ordered(self, event: Fields) -> None:
        self.orders[event["slot"], event["seq"]] = Order(event["meter"], event["side"], event["wh"])

    def _withdrew(self, event: Fields) -> None:
        self.orders.pop((event["slot"], event["seq"]))

    def _committed(self, event: Fields) -> None:
        self.commitments[event["slot"], event["meter"], event["commitment"]] = event["deposit"]

    def _forfeited(self, event: Fields) -> None:
        """A deposit moves from the member to the community, once, as it was given."""
        where = f"slot {event['slot']}, deposit of {event['meter'].hex()[:8]}"
        given = self.commitments.pop((event["slot"], event["meter"], event["commitment"]), None)
        self._expect(where, given, event["deposit"])
        self._move(self.owners[event["meter"]], -event["deposit"])
        self._move(self.community, event["deposit"])

    def _traded(self, event: Fields) -> None:
        slot, wh, where = event["slot"], event["wh"], f"slot {event['slot']}, trade {self.trades}"
        self._expect(f"{where}, money", amount(event["price"], wh), event["money"])
        if wh <= 0:
            self.problems.append(f"{where}: a trade of {wh} Wh")
        for number, side in (("sell_seq", "sell"), ("buy_seq", "buy")):
            order = self.orders[slot, event[number]]
            meter = event["seller" if side == "sell" else "buyer"]
            self._expect(f"{where}, {side} order", (meter, side), (order.meter, order.side))
            if wh > order.left:
                self.problems.append(f"{where}: {wh} Wh of an order that has {order.left} left")
            self.orders[slot, event[number]] = Order(order.meter, order.side, order.left - wh)
        seller, buyer = self._position(event, "seller"), self._position(event, "buyer")
        seller.sold += wh
        seller.receipts += event["money"]
        buyer.bought += wh
        buyer.payments += event["money"]
        self.trades += 1

    def _read(self, event: Fields) -> None:
        held = self._position(event)
        if held.read:
            self.problems.append(f"slot {event['slot']}: a second reading of {event['meter'].hex()[:8]}")
        held.read = True
        if not held.settled:
            held.generation, held.use = event["generation_wh"], event["use_wh"]

    def _reread(self, event: Fields) -> None:
        held = self._position(event)
        if not held.settled:
            held.generation, held.use = event["generation_wh"], event["use_wh"]

    def _settled(self, event: Fields) -> None:
        key = (event["slot"], event["meter"])
        held = self._position(event)
        where = f"slot {key[0]}, meter {key[1].hex()[:8]}"
        if held.settled:
            self.problems.append(f"{where} was settled twice")
        held.settled = True
        held.estimated = event["estimated"]
        if held.estimated:
            held.generation, held.use = event["generation_wh"], event["use_wh"]
        else:
            self._expect(f"{where}, a reading", True, held.read)
        self._expect(f"{where}, account", self.owners.get(key[1]), event["account"])
        self._compare(where, held, event)
        for name, value in (("sold_wh", held.sold), ("bought_wh", held.bought)):
            self._expect(f"{where}, {name}", value, event[name])
        for name, value in (("trade_receipts", held.receipts), ("trade_payments", held.payments)):
            self._expect(f"{where}, {name}", value, event[name])
        self._book(key, event["account"], event["net"])

    def _corrected(self, event: Fields) -> None:
        key = (event["slot"], event["meter"])
        held = self.positions[key]
        where = f"slot {key[0]}, correction of {key[1].hex()[:8]}"
        held.generation, held.use = event["generation_wh"], event["use_wh"]
        held.estimated = False
        self._compare(where, held, event)
        self._expect(f"{where}, difference", event["net"] - self.nets[key], event["difference"])
        self._book(key, event["account"], event["net"])

    def _compare(self, where: str, held: Position, event: Fields) -> None:
        """The contract's arithmetic against ours."""
        values = {
            "generation_wh": held.generation,
            "use_wh": held.use,
            "grid_buy_wh": held.grid_buy,
            "grid_sell_wh": held.grid_sell,
            "grid_cost": amount(self.tariffs.retail, held.grid_buy),
            "grid_income": amount(self.tariffs.feed, held.grid_sell),
            "net": held.net(self.tariffs),
        }
        for name, value in values.items():
            self._expect(f"{where}, {name}", value, event[name])
        if min(held.generation, held.use) != 0:
            self.problems.append(f"{where}: a meter has one side a slot")

    def _book(self, key: Key, account: bytes, net: int) -> None:
        """Book the change of a settlement on both sides: the member and the grid company."""
        change = net - self.nets.get(key, 0)
        self.nets[key] = net
        self._move(account, change)
        self._move(self.grid, -change)

    def _slot_settled(self, event: Fields) -> None:
        slot = event["slot"]
        held, where = self.slot(slot), f"slot {slot}"
        self._expect(f"{where}, settled once", False, slot in self.closed)
        self.closed.add(slot)
        sold, bought = sum(one.sold for one in held), sum(one.bought for one in held)
        self._expect(f"{where}, sold = bought", sold, bought)
        sums = {
            "meters": len(held),
            "generation_wh": sum(one.generation for one in held),
            "use_wh": sum(one.use for one in held),
            "traded_wh": sold,
            "grid_sales_wh": sum(one.grid_buy for one in held),
            "grid_purchases_wh": sum(one.grid_sell for one in held),
            "members_net": sum(one.net(self.tariffs) for one in held),
        }
        for name, value in sums.items():
            self._expect(f"{where}, {name}", value, event[name])
        self._expect(f"{where}, money", 0, event["members_net"] + event["grid_net"])
        self._expect(
            f"{where}, energy",
            event["use_wh"] - event["generation_wh"],
            event["grid_sales_wh"] - event["grid_purchases_wh"],
        )

    def close(self, slots: Iterable[int]) -> None:
        """Last checks, when the day is over: every slot settled for every meter, energy whole, money whole."""
        for slot in slots:
            self._expect(f"slot {slot} settled", True, slot in self.closed)
            held = self.slot(slot)
            due = sum(joined <= slot for joined in self.joined.values())
            self._expect(f"slot {slot}, meters settled", due, len(held))
            use, made = sum(one.use for one in held), sum(one.generation for one in held)
            grid = sum(one.grid_buy for one in held) - sum(one.grid_sell for one in held)
            self._expect(f"slot {slot}, consumption - generation = import - export", use - made, grid)
        self._expect("tokens held = tokens minted", self.minted, self.held())


_BOOKINGS = {
    ("token", "Deposited"): Books._deposited,
    ("token", "Withdrawn"): Books._withdrawn,
    ("token", "Transferred"): Books._transferred,
    ("registry", "Applied"): Books._applied,
    ("registry", "Approved"): Books._approved,
    ("double_auction", "OrderAccepted"): Books._ordered,
    ("double_auction", "OrderWithdrawn"): Books._withdrew,
    ("double_auction", "OrderCommitted"): Books._committed,
    ("double_auction", "DepositLost"): Books._forfeited,
    ("double_auction", "Trade"): Books._traded,
    ("metering", "ReadingAccepted"): Books._read,
    ("metering", "ReadingCorrected"): Books._reread,
    ("double_auction", "Settled"): Books._settled,
    ("double_auction", "Corrected"): Books._corrected,
    ("double_auction", "SlotSettled"): Books._slot_settled,
}
