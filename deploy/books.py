"""The books of a market, kept a second time from the events in committed receipts alone: what all markets share.

Nothing here shares a line with the contracts. Accounts, members, readings and the laws of a slot are the same
everywhere; what a market trades and how a meter is settled is added by one subclass a market (`deploy.market`). A
meter's settlement is computed again from its trades and its reading, and the contract's own entry has to agree. What
does not add up becomes a sentence in `problems`.
Units: Wh, micro-currency, micro-currency per kWh.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

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
class Position(ABC):
    """What one meter traded and measured in one slot. `sold`, `bought`: contracted between members."""

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
    @abstractmethod
    def grid_buy(self) -> int:
        """Wh from the grid."""

    @property
    @abstractmethod
    def grid_sell(self) -> int:
        """Wh to the grid."""

    @property
    def metered(self) -> tuple[int, int]:
        """(generation, use) that the market settles: what the meter said, less what was delivered before."""
        return self.generation, self.use

    @property
    def elsewhere(self) -> int:
        """Money earned in other regions, less what was paid there."""
        return 0

    @property
    def lost(self) -> int:
        """Wh that one side sent and the other did not receive."""
        return 0

    @abstractmethod
    def net(self, tariffs: Tariffs) -> int:
        """What the meter's account receives (negative: pays) for the slot."""


P = TypeVar("P", bound=Position)
Booking = Callable[[Any, Fields], None]


@dataclass(slots=True)
class Books(ABC, Generic[P]):
    """Accounts, members and positions as the events tell them. A subclass names its market's bookings in `BOOKINGS`."""

    BOOKINGS: ClassVar[Mapping[tuple[str, str], Booking]] = {}
    COMMITTED_FOR: ClassVar[str] = "slot"
    """The field that says for which period an order was committed."""

    tariffs: Tariffs
    grid: bytes
    community: bytes = b""
    """Who gets the deposits of commitments that were not revealed, and runs what a market runs in common."""
    problems: list[str] = field(default_factory=list)
    wealth: dict[bytes, int] = field(default_factory=dict)
    minted: int = 0
    departed: int = 0
    """Money that left this chain for others, less what came from there."""
    owners: dict[bytes, bytes] = field(default_factory=dict)
    next_slot: int = 0
    """The first slot that begins after the block being booked: a meter approved in it is settled from there on."""
    joined: dict[bytes, int] = field(default_factory=dict)
    applied: dict[bytes, Fields] = field(default_factory=dict)
    """The newest application by account; it means nothing before its approval."""
    producers: set[bytes] = field(default_factory=set)
    commitments: dict[tuple[int, bytes, bytes], int] = field(default_factory=dict)
    """Deposit by (slot, meter, commitment)."""
    positions: dict[Key, P] = field(default_factory=dict)
    booked: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    """What settlements have moved so far: the meter's account, then the others."""
    nets: dict[Key, int] = field(default_factory=dict)
    """The net that the chain told last."""
    revised: set[Key] = field(default_factory=set)
    """Whose settlement was corrected."""
    trades: int = 0
    closed: set[int] = field(default_factory=set)

    @abstractmethod
    def fresh(self) -> P:
        """The position of a meter that has neither traded nor reported."""

    def facts(self) -> dict[str, int]:
        """Figures that only this market has, for the card: Wh (`_wh`), money (`_micro`), shares (`_ppm`), counts."""
        return {}

    def passed(self, slot: int) -> int:
        """Wh of a slot that the grid company only passed on from one member to another; they are in both its sales and
        its purchases."""
        return 0

    def apply(self, contract: str, name: str, event: Fields) -> None:
        """Book one event. Events that move neither money nor energy are passed over."""
        booking = _COMMON.get((contract, name)) or self.BOOKINGS.get((contract, name))
        if booking is None:
            return
        try:
            booking(self, event)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            self.problems.append(f"{contract}.{name} cannot be booked: {error!r}")

    def held(self) -> int:
        """Balances plus escrows minus debts over all accounts. Locking and releasing move nothing between accounts."""
        return sum(self.wealth.values())

    def slot(self, slot: int) -> list[P]:
        """The settled positions of a slot."""
        return [held for (number, _), held in self.positions.items() if number == slot and held.settled]

    def missed(self, slots: range) -> int:
        """Meter-slots of `slots` that had begun before their meter was approved: nobody settles them."""
        return sum(min(max(joined - slots.start, 0), len(slots)) for joined in self.joined.values())

    # --- for the markets ----------------------------------------------------------------------------------------------

    def move(self, account: bytes, delta: int) -> None:
        """Book a change of an account."""
        self.wealth[account] = self.wealth.get(account, 0) + delta

    def expect(self, what: str, expected: object, found: object) -> None:
        """Complain if two things differ."""
        if expected != found:
            self.problems.append(f"{what}: expected {expected}, found {found}")

    def position(self, slot: int, meter: bytes) -> P:
        """The position of a meter in a slot, new if there was none."""
        key = (slot, meter)
        if key not in self.positions:
            self.positions[key] = self.fresh()
        return self.positions[key]

    def measured(self, slot: int, event: Fields) -> P:
        """The position that a first settlement speaks of, marked settled, with the estimate if nothing was read."""
        key = (slot, event["meter"])
        held = self.position(*key)
        where = f"slot {slot}, meter {key[1].hex()[:8]}"
        if held.settled:
            self.problems.append(f"{where} was settled twice")
        held.settled = True
        self.nets[key] = event["net"]
        held.estimated = event["estimated"]
        if held.estimated:
            held.generation, held.use = event["generation_wh"], event["use_wh"]
        else:
            self.expect(f"{where}, a reading", True, held.read)
        self.expect(f"{where}, account", self.owners.get(key[1]), event["account"])
        return held

    def corrected(self, slot: int, event: Fields) -> P:
        """The position that a correction speaks of, on its new reading."""
        held = self.positions[slot, event["meter"]]
        self.nets[slot, event["meter"]] = event["net"]
        self.revised.add((slot, event["meter"]))
        held.generation, held.use = event["generation_wh"], event["use_wh"]
        held.estimated = False
        return held

    def compare(self, where: str, values: Mapping[str, object], event: Fields) -> None:
        """The contract's figures against ours."""
        for name, value in values.items():
            self.expect(f"{where}, {name}", value, event[name])

    def one_side(self, where: str, held: P) -> None:
        """A meter counts one direction in a slot."""
        if min(held.generation, held.use) != 0:
            self.problems.append(f"{where}: a meter has one side a slot")

    def book(self, key: Key, account: bytes, net: int, others: Sequence[tuple[bytes, int]]) -> int:
        """Book what a settlement changes of a meter's account and of `others` (account, share); the meter's change."""
        now = (net, *(share for _, share in others))
        before = self.booked.get(key, (0,) * len(now))
        for who, new, old in zip((account, *(other for other, _ in others)), now, before, strict=True):
            self.move(who, new - old)
        self.booked[key] = now
        return net - before[0]

    def committed(self, event: Fields) -> None:
        """An order was committed to, with a deposit."""
        self.commitments[self._commitment(event)] = event["deposit"]

    def deposit_lost(self, event: Fields) -> None:
        """A deposit is lost once, as it was given."""
        key = self._commitment(event)
        where = f"{self.COMMITTED_FOR} {key[0]}, deposit of {key[1].hex()[:8]}"
        self.expect(where, self.commitments.pop(key, None), event["deposit"])
        self.forfeit(key[1], event["deposit"])

    def _commitment(self, event: Fields) -> tuple[int, bytes, bytes]:
        """Market D has one commitment a meter and cycle and does not tell it again."""
        mark = b"" if self.COMMITTED_FOR == "cycle" else event["commitment"]
        return event[self.COMMITTED_FOR], event["meter"], mark

    def forfeit(self, meter: bytes, deposit: int) -> None:
        """A deposit moves from the member to the community."""
        self.move(self.owners[meter], -deposit)
        self.move(self.community, deposit)

    def close_slot(self, slot: int, event: Fields, sums: Mapping[str, int]) -> list[P]:
        """The totals of a slot that every market tells, and `sums` of this one; the settled positions."""
        held, where = self.slot(slot), f"slot {slot}"
        self.expect(f"{where}, settled once", False, slot in self.closed)
        self.closed.add(slot)
        common = {
            "meters": len(held),
            "generation_wh": sum(one.metered[0] for one in held),
            "use_wh": sum(one.metered[1] for one in held),
            "grid_sales_wh": sum(one.grid_buy for one in held),
            "grid_purchases_wh": sum(one.grid_sell for one in held),
        }
        self.compare(where, common | dict(sums), event)
        self.expect(
            f"{where}, energy",
            event["use_wh"] - event["generation_wh"] + sum(one.lost for one in held),
            event["grid_sales_wh"] - event["grid_purchases_wh"],
        )
        return held

    def close(self, slots: Iterable[int]) -> None:
        """Last checks, when the day is over: every slot settled for every meter, energy whole, money whole."""
        for slot in slots:
            self.expect(f"slot {slot} settled", True, slot in self.closed)
            rows = self.slot(slot)
            due = sum(joined <= slot for joined in self.joined.values())
            self.expect(f"slot {slot}, meters settled", due, len(rows))
            used = sum(one.metered[1] - one.metered[0] + one.lost for one in rows)
            grid = sum(one.grid_buy - one.grid_sell for one in rows)
            self.expect(f"slot {slot}, consumption - generation = import - export", used, grid)
        for (slot, meter), held in self.positions.items():
            if held.settled:
                where = f"slot {slot}, meter {meter.hex()[:8]}, net in the end"
                self.expect(where, held.net(self.tariffs), self.nets[slot, meter])
        self.expect("tokens held = tokens minted", self.minted - self.departed, self.held())

    # --- what every market books --------------------------------------------------------------------------------------

    def _deposited(self, event: Fields) -> None:
        self.minted += event["amount"]
        self.move(event["account"], event["amount"])

    def _withdrawn(self, event: Fields) -> None:
        self.minted -= event["amount"]
        self.move(event["account"], -event["amount"])

    def _transferred(self, event: Fields) -> None:
        self.move(event["sender"], -event["amount"])
        self.move(event["receiver"], event["amount"])

    def _departed(self, event: Fields) -> None:
        self.departed += event["amount"]
        self.move(event["account"], -event["amount"])

    def _arrived(self, event: Fields) -> None:
        self.departed -= event["amount"]
        self.move(event["account"], event["amount"])

    def _applied(self, event: Fields) -> None:
        self.applied[event["account"]] = event

    def _approved(self, event: Fields) -> None:
        if event["meter"] in self.owners:
            self.problems.append(f"meter {event['meter'].hex()[:8]} was approved twice")
        applied = self.applied[event["account"]]
        self.expect(f"approved meter of {event['account'].hex()[:8]}", applied["meter"], event["meter"])
        if "producer" in applied["roles"]:
            self.producers.add(event["meter"])
        self.owners[event["meter"]] = event["account"]
        self.joined[event["meter"]] = self.next_slot

    def _read(self, event: Fields) -> None:
        held = self.position(event["slot"], event["meter"])
        if held.read:
            self.problems.append(f"slot {event['slot']}: a second reading of {event['meter'].hex()[:8]}")
        held.read = True
        if not held.settled:
            held.generation, held.use = event["generation_wh"], event["use_wh"]

    def _reread(self, event: Fields) -> None:
        held = self.position(event["slot"], event["meter"])
        if not held.settled:
            held.generation, held.use = event["generation_wh"], event["use_wh"]


_COMMON: Mapping[tuple[str, str], Booking] = {
    ("token", "Deposited"): Books._deposited,
    ("token", "Withdrawn"): Books._withdrawn,
    ("token", "Transferred"): Books._transferred,
    ("token", "Departed"): Books._departed,
    ("token", "Arrived"): Books._arrived,
    ("registry", "Applied"): Books._applied,
    ("registry", "Approved"): Books._approved,
    ("metering", "ReadingAccepted"): Books._read,
    ("metering", "ReadingCorrected"): Books._reread,
}
