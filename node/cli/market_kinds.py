"""What `gridchain market` knows of a market: one small interface, one module for each of the four.

A wish is what a person wants; the market says which call places it, what is committed to where orders are sealed, and
when that may happen. An account of orders is made from events by `Ledger.see`, one event after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from contracts.values import Value
from ledger.errors import ConfigError
from node.cli.market_units import Calendar
from node.client import Client

Parameters = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """An entry of the market's contract and its arguments."""

    entry: str
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """An order as a person wants it. `wh`, `prices`: one value, or one for each slot of a day (market A). `requote`:
    market C. `quotation`: the one that a bid of market B is for."""

    period: int
    side: str
    wh: tuple[int, ...]
    prices: tuple[int, ...]
    requote: str = "reference"
    quotation: int | None = None


@dataclass(frozen=True, slots=True)
class Sealing:
    """How an order is hidden: the text that is committed to, the call that commits, the call that reveals (the nonce
    comes behind its arguments)."""

    text: bytes
    commit: str
    reveal: Call


@dataclass(frozen=True, slots=True)
class Window:
    """Market ms: orders (sealed: commitments) are taken from `open_ms` until `close_ms`, revelations from `reveal_ms`
    until `end_ms`. Plain markets: `reveal_ms` is None, orders until `end_ms`."""

    open_ms: int
    reveal_ms: int | None
    end_ms: int

    @property
    def close_ms(self) -> int:
        """When nothing new is taken."""
        return self.end_ms if self.reveal_ms is None else self.reveal_ms


@dataclass(slots=True)
class Orders:
    """Orders by their key, as the events tell them so far."""

    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)

    def commit(self, period: int, meter: str, mark: str, deposit: int) -> None:
        """Something was committed to; nobody but its sender knows what."""
        row = {"period": period, "meter": meter, "commitment": mark, "deposit": deposit}
        self.rows["sealed", period, mark] = {"state": "committed", "traded_wh": 0, **row}

    def opened(self, period: int, meter: str) -> None:
        """A commitment of this meter was revealed; which one, events do not tell: the first one goes."""
        for key, row in self.rows.items():
            if key[0] == "sealed" and (row["period"], row["meter"]) == (period, meter) and row["state"] == "committed":
                del self.rows[key]
                return

    def lost(self, period: int, meter: str, mark: str) -> None:
        """A commitment was not revealed."""
        for key, row in self.rows.items():
            if key[0] == "sealed" and (row["period"], row["meter"]) == (period, meter) and row["state"] == "committed":
                row.update(state="deposit lost", commitment=mark)
                return

    def add(self, key: tuple[Any, ...], **row: Any) -> None:
        """A new order; it is `placed` unless the row says another state."""
        self.rows[key] = {"state": "placed", "traded_wh": 0, **row}

    def change(self, key: tuple[Any, ...], **changes: Any) -> None:
        """Note what became of an order; one whose beginning was not asked for is passed over."""
        if key in self.rows:
            self.rows[key].update(changes)

    def trade(self, key: tuple[Any, ...], wh: int) -> None:
        """An order traded."""
        row = self.rows.get(key)
        if row is not None:
            row["traded_wh"] += wh
            row["state"] = "traded" if row["traded_wh"] >= row["wh"] else "partly traded"

    def of(self, period: str) -> list[Row]:
        """All rows in their order; what is committed to names its period as the others do."""
        return [
            {period: row["period"], **{name: row[name] for name in row if name != "period"}} if "period" in row else row
            for row in self.rows.values()
        ]


class Market(ABC):
    """One of the four markets. `period`: what its orders are for."""

    letter: ClassVar[str]
    contract: ClassVar[str]
    period: ClassVar[str] = "slot"
    open_view: ClassVar[str] = "open_slots"
    order_events: ClassVar[tuple[str, ...]]
    trade_events: ClassVar[tuple[str, ...]]
    forfeit_events: ClassVar[tuple[str, ...]] = ("DepositLost",)

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.calendar = Calendar(parameters["slot0_ms"], parameters["slot_ms"])

    @property
    def sealed(self) -> bool:
        """Whether orders are committed to and revealed later."""
        return bool(self.parameters["sealed"])

    async def open_periods(self, client: Client) -> list[int]:
        """The periods that take orders at the time of the head, ascending."""
        found = await client.view(self.contract, self.open_view)
        return found if isinstance(found, list) else []

    def slots_of(self, period: int) -> range:
        """The slots that an order for this period delivers in."""
        return range(period, period + 1)

    def period_of(self, slot: int) -> int:
        """The period that a slot is in."""
        return slot

    def market_slots(self) -> tuple[int, int]:
        """The first and the last slot of the market."""
        return int(self.parameters["first_slot"]), int(self.parameters["last_slot"])

    def forfeit(self, data: Mapping[str, Any]) -> tuple[int, str, int]:
        """Slot, meter and money of a deposit that one of `forfeit_events` says is lost; 0 if none is."""
        return self.slots_of(data[self.period]).start, data["meter"], int(data["deposit"])

    @abstractmethod
    async def window(self, client: Client, period: int) -> Window:
        """When orders for a period are taken and revealed."""

    @abstractmethod
    def plain(self, wish: Wish) -> Call:
        """The call that places the order in clear. Raise `ConfigError` for an order that this market does not have."""

    @abstractmethod
    def sealing(self, wish: Wish) -> Sealing | None:
        """How the order is hidden; None for one that this market always takes in clear."""

    @abstractmethod
    def withdrawal(self, order: Row) -> Call:
        """The call that takes an order back."""

    @abstractmethod
    def see(self, orders: Orders, name: str, data: Mapping[str, Any]) -> None:
        """Book one of `order_events` or `trade_events`."""

    @abstractmethod
    def trades(self, name: str, data: Mapping[str, Any]) -> list[Row]:
        """The trades that one of `trade_events` tells: slot, seller, buyer, wh, price, money and what else it knows."""

    @abstractmethod
    async def book(self, client: Client, period: int) -> list[Row]:
        """The orders that are readable in the book of a period: side, meter, wh, price and what else it knows."""

    @abstractmethod
    async def schedule(self, client: Client, slot: int) -> list[Row]:
        """What the chain has scheduled and matched for a slot, a row for the slot and one for each that was ranked."""


def single(wish: Wish, letter: str) -> tuple[int, int]:
    """The one energy and price of an order. Raise `ConfigError` (BAD_LENGTH)."""
    if len(wish.wh) == 1 and len(wish.prices) == 1:
        return wish.wh[0], wish.prices[0]
    raise ConfigError(
        f"an order of market {letter} has one energy and one price",
        code="BAD_LENGTH",
        expected="one value each",
        found=f"{len(wish.wh)} and {len(wish.prices)}",
        fix="lists are for the days of market A",
    )


def rows_of(value: Value, **more: Any) -> list[Row]:
    """A view's list of dicts, with fields in front of each."""
    rows: list[Row] = []
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        rows = [{**more, **shown(row)} for row in value if isinstance(row, dict)]
    return rows


def shown(value: Any) -> Any:
    """A view's value as it is printed: bytes as 0x hex."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value
