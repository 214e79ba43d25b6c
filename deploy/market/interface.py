"""What the demo, the audit and the founding of networks need to know of a market, and nothing more.

A market is four things: the options and gates that genesis fixes, what a household's gateway answers to committed
events, what institutions do besides, and the second set of books that the audit keeps. Everything else (onboarding,
following, posting, checking blocks, screen, card) is the same for all.

The sealed slot of a household, told by events alone (`lead` = slots from the opening of a window to its reveals):

    window of n opens        forecast; commit (plain: order)
    window of n + lead opens reveal what was committed for n
    matched                  market A and D: what to deliver
    delivery of n has ended  reading; market D: a report for each order

So the calendar goes on for `lead` slots beyond the last one that is traded.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from contracts.library_sources import Calendar
from contracts.sealed_orders import NONCE_SIZE, commitment
from contracts.values import Value, decode_value
from deploy.books import Books, Tariffs
from deploy.gateway import Household, Signer
from deploy.neighbourhood import Member, Neighbourhood, Plan, Side
from deploy.network import MarketMode
from deploy.pace import FEWEST_WINDOW, SLOWEST_SLOT_MS
from ledger.errors import GenesisError

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """The institutions' keys that a day needs."""

    energy_bureau: Signer
    grid_company: Signer
    trading_center: Signer
    community: bytes


@dataclass(frozen=True, slots=True)
class MarketDay:
    """What is traded: consecutive slots of one day by all households, orders drawn from `seed`. Market time =
    `origin_ms` + `speed` * (block time - `genesis_ms`). `after_joining`: what members post once all are approved."""

    street: Neighbourhood
    plan: Plan
    households: tuple[Household, ...]
    desk: Desk
    tariffs: Tariffs
    calendar: Calendar
    sealed: bool
    first_slot: int
    slots: int
    genesis_ms: int
    origin_ms: int
    speed: int
    seed: int
    after_joining: tuple[bytes, ...] = ()

    @property
    def numbers(self) -> range:
        """The slots' indices in the day."""
        return range(self.first_slot, self.first_slot + self.slots)

    @property
    def member_of(self) -> Mapping[str, str]:
        """Names of members by their meter's address as the API shows it."""
        return {f"0x{house.meter.address.hex()}": house.member.name for house in self.households}

    @property
    def slot_s(self) -> float:
        """Seconds of a slot."""
        return self.calendar.slot_ms / self.speed / 1000

    def seconds_until(self, market_ms: int) -> float:
        """Seconds until market time reaches `market_ms`, below 0 if it has passed."""
        return (self.genesis_ms + (market_ms - self.origin_ms) / self.speed) / 1000 - time.time()

    @property
    def lead(self) -> int:
        """Slots from the opening of a window to its reveals."""
        return self.calendar.open_slots - self.calendar.reveal_slots


@dataclass(frozen=True, slots=True)
class Signals:
    """Events of a market's contract by what they mean. `period`: the field with the slot. `opened` is told when members
    may act for a slot (`ahead` slots before its delivery; None: as the calendar opens windows), `delivered` when its
    meters stand still, `settled` when it is closed, `trade` for each pair. All gateways hear `opened`, `delivered` and
    what is in `public`; `parties` names the fields with the meters which an event concerns."""

    period: str
    opened: str
    delivered: str
    settled: str
    trade: str
    public: frozenset[str] = frozenset()
    parties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ahead: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A transaction that an institution posts when market time has reached `at_ms`."""

    at_ms: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """A trade as the screen shows it: Wh and money for the sums, one text a column."""

    wh: int
    money: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """Energy of a slot that members traded through the grid company's books, and what it cost."""

    slot: int
    wh: int
    money: int


class Gateway(ABC):
    """Answers for one household, from its plan, to committed events; it has no clock. `home`: the node it prefers."""

    def __init__(self, household: Household, day: MarketDay, home: int) -> None:
        self.household = household
        self.day = day
        self.home = home
        name = household.member.name
        self.forecast = day.plan.forecast[name]
        self.measured = day.plan.measured[name]
        self._answered: set[tuple[str, int]] = set()

    @property
    def name(self) -> str:
        """The data's name of the member."""
        return self.household.member.name

    @property
    def selling(self) -> bool:
        """Whether the member's meter counts generation."""
        return self.household.member.side is Side.GENERATION

    def once(self, name: str, slot: int) -> bool:
        """Whether this is the first time that an event of this name is answered for a slot of the day."""
        if (name, slot) in self._answered or slot not in self.day.numbers:
            return False
        self._answered.add((name, slot))
        return True

    def forecasts(self, slot: int) -> bytes:
        """The forecast of a slot, signed by the meter."""
        return self.household.meter.call(
            "metering", "submit_forecast", slot, self.household.member.side.value, self.forecast[slot]
        )

    def reading(self, slot: int, wh: int, *, generated: bool) -> bytes:
        """The measured value of a slot, signed by the meter."""
        made, used = (wh, 0) if generated else (0, wh)
        return self.household.meter.call("metering", "submit_reading", slot, made, used)

    @abstractmethod
    def answer(self, name: str, data: Event) -> list[bytes]:
        """Signed transactions for an event of the market's contract; none for what was answered before."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """An order that was committed: what reveals it."""

    arguments: tuple[Value, ...]
    mark: bytes
    nonce: bytes


class SealedOrders:
    """The commitments of one account to a market by period. Only those that the chain has confirmed are revealed."""

    def __init__(self, owner: Signer, contract: str) -> None:
        self._owner, self._contract = owner, contract
        self._made: dict[int, list[Commitment]] = {}
        self._confirmed: set[bytes] = set()

    def commit(self, entry: str, period: int, text: bytes, arguments: Sequence[Value]) -> bytes:
        """Keep an order (`text` of its commitment, `arguments` of its reveal less period and nonce); the signed call
        that commits to it."""
        nonce = secrets.token_bytes(NONCE_SIZE)
        mark = commitment(text, nonce, self._owner.address, period)
        self._made.setdefault(period, []).append(Commitment(tuple(arguments), mark, nonce))
        return self._owner.call(self._contract, entry, period, mark)

    def confirmed(self, mark: str) -> None:
        """The chain has taken a commitment (as the API shows it)."""
        self._confirmed.add(bytes.fromhex(mark.removeprefix("0x")))

    def reveal(self, entry: str, period: int) -> list[bytes]:
        """Signed calls that reveal the confirmed commitments of a period, once."""
        return [
            self._owner.call(self._contract, entry, period, *made.arguments, made.nonce)
            for made in self._made.pop(period, [])
            if made.mark in self._confirmed
        ]


class Market(ABC):
    """One of the four markets."""

    letter: ClassVar[str]
    contract: ClassVar[str]
    title: ClassVar[str]
    signals: ClassVar[Signals]
    columns: ClassVar[tuple[str, ...]]
    """Headings of the trades on the screen."""
    dealt: ClassVar[str] = "in {} trades"
    """What the card says of the number of trades."""
    placing: ClassVar[frozenset[str]]
    """Entries whose call is an order, in plain and in sealed mode."""
    promising: ClassVar[frozenset[str]]
    """Entries that commit to an order: one counts if it fails, because then nothing is revealed."""
    offer_slots: ClassVar[int] = 0
    """Slots after the opening in which nobody commits yet."""
    slowest_slot_ms: ClassVar[int] = SLOWEST_SLOT_MS
    """How long a slot of the demo takes at most; shorter ones only make the first trade come in time."""
    spare_ms: ClassVar[int] = 0
    """How much later than expected nodes and members may be there without missing the first window."""
    cover: ClassVar[int] = 1
    """How many times what its energy costs at retail a member is given for the day."""
    match_at_t2: ClassVar[bool] = False
    """Whether trades are made one slot before delivery; else two."""

    @abstractmethod
    def mode(self, *, sealed: bool, slots: int) -> MarketMode:
        """The options of a node with these orders; market A's day has `slots` slots."""

    @abstractmethod
    def sealed_in(self, arguments: bytes) -> bool:
        """Whether the genesis arguments of the market's contract ask for sealed orders. Raise `GenesisError`."""

    @abstractmethod
    def gateway(self, household: Household, day: MarketDay, home: int) -> Gateway:
        """The gateway of one household."""

    @abstractmethod
    def books(self, tariffs: Tariffs, grid: bytes, community: bytes) -> Books[Any]:
        """Empty books."""

    @abstractmethod
    def show(self, data: Event, name_of: Mapping[str, str]) -> Shown:
        """A trade, from the data of the event."""

    def counts(self, contract: str, entry: str, *, failed: bool) -> bool:
        """Whether a call is one order: placed or revealed, or a commitment that failed."""
        return contract == self.contract and (entry in self.placing or (failed and entry in self.promising))

    def passed(self, name: str, data: Event) -> Passed | None:
        """What an event tells of energy that the grid company only passes on; it stands in its sales and purchases."""
        return None

    def imbalance(self, entry: Mapping[str, Any]) -> int:
        """Wh of a settlement in the state that its lines do not explain: 0 over all meters of a slot."""
        return int(entry["use_wh"] - entry["generation_wh"] - entry["grid_buy_wh"] + entry["grid_sell_wh"])

    def residents(self, street: Neighbourhood) -> Neighbourhood:
        """Who takes part, from the people of the data."""
        return street

    def plan(self, street: Neighbourhood, day: str) -> Plan:
        """Forecasts and readings of a day. Raise `DataError` for a day that the data do not hold."""
        return street.plan(day)

    def connection(self, member: Member, number: int, street: Neighbourhood) -> str:
        """The connection point that a member applies for."""
        return f"connection {number}"

    def calendar(
        self, slot_ms: int, slot0_ms: int, slots: range, *, sealed: bool, window: int = FEWEST_WINDOW
    ) -> Calendar:
        """The gates, and slots for as long as reveals need another window to open. Plain orders, commitments and
        reveals have `window` slots each. On a node reveals have one, but there a slot is a quarter of an hour long, not
        half a second."""
        plain = Calendar(slot_ms, slot0_ms, slots.start, slots.stop)
        if not sealed:
            return replace(plain, open_slots=plain.t1_slots + window)
        lead, reveal = window + self.offer_slots, plain.t1_slots + window
        return replace(plain, last_slot=slots.stop - 1 + lead, open_slots=reveal + lead, reveal_slots=reveal)

    def first_trade(self, street: Neighbourhood, plan: Plan, numbers: range, calendar: Calendar) -> int | None:
        """Slots from the opening of the first window to the first possible match: generation and demand at once."""
        gate = calendar.t2_slots if self.match_at_t2 else calendar.t1_slots
        for slot in numbers:
            sides = {member.side for member in street.members if plan.forecast[member.name][slot] > 0}
            if len(sides) == len(Side):
                return slot - numbers.start + calendar.open_slots - gate
        return None

    def preparations(self, day: MarketDay) -> list[bytes]:
        """What institutions post before the first window opens: the grid company its tariff."""
        tariff = (day.first_slot, day.tariffs.feed, day.tariffs.retail)
        return [day.desk.grid_company.call("tariffs", "post", *tariff)]

    def after_approval(self, day: MarketDay) -> list[bytes]:
        """What institutions post when all members are approved."""
        return []

    def notices(self, day: MarketDay) -> list[Notice]:
        """What institutions post at their time."""
        return []

    def facts(self, figures: Mapping[str, int], day: str) -> list[tuple[str, str]]:
        """Lines of the card that only this market has, from `Books.facts` of a day."""
        return []


def bool_at(arguments: bytes, *path: int) -> bool:
    """The truth value at a place of encoded arguments. Raise `GenesisError` if there is none."""
    found: Any = decode_value(arguments)
    for place in path:
        found = found[place] if isinstance(found, list) and place < len(found) else None
    if not isinstance(found, bool):
        raise GenesisError("not the arguments of this market", expected=f"a truth value at {path}", found=found)
    return found
