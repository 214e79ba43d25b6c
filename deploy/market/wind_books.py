"""The second set of books of market A: three floors, deliveries, balancing by rules 2.1 to 2.4 (spec, section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from contracts.library_sources import WIND
from contracts.wind_mode import WindMode
from deploy.books import Booking, Books, Fields, Position, Tariffs, amount

_ONE: Final = 1_000_000
_MODE: Final = WindMode(sealed=True)
"""Spreads and slopes that the demo's networks are founded with."""
_LINES: Final = (
    "da_sold", "da_bought", "p2p_sold", "p2p_bought", "bl_sold", "bl_bought", "grid_buy", "grid_sell", "da", "p2p",
    "shortfall", "bl", "grid",
)  # fmt: skip
"""`lines` of `Settled` in order (docs/contracts.md)."""


def balancing(price: int, reputation: int) -> tuple[int, int]:
    """Rule 2.2: what a producer pays and gets per kWh on the balancing floor."""
    penalty = _ONE - min(_ONE, reputation)
    buy = _MODE.s0 + _MODE.kb * penalty // _ONE
    sell = min(_ONE, _MODE.s0 + _MODE.ks * penalty // _ONE)
    return price * (_ONE + buy) // _ONE, price * (_ONE - sell) // _ONE


@dataclass(slots=True)
class WindPosition(Position):
    """A meter on the three floors. `sold` and `bought` hold day-ahead and peer-to-peer energy; `receipts` and
    `payments` peer-to-peer money with what is owed for missing deliveries. `da_price`, `bounds`: what balances it."""

    da_sold: int = 0
    da_bought: int = 0
    p2p_sold: int = 0
    p2p_bought: int = 0
    da_price: int = 0
    bounds: tuple[int, int] | None = None
    """(buys at, sells at) of a producer."""

    @property
    def rest(self) -> int:
        """Wh that no trade explains, above 0 too much."""
        base = self.generation + self.da_bought + self.p2p_bought - self.da_sold - self.p2p_sold
        return base if self.bounds is not None else base - self.use

    @property
    def grid_buy(self) -> int:
        """Wh from the grid company: retail, balancing, and bought day-ahead, where it is the other side."""
        own = self.use if self.bounds is not None else 0
        return max(0, -self.rest) + own + self.da_bought

    @property
    def grid_sell(self) -> int:
        """Wh to the grid company."""
        return max(0, self.rest) + self.da_sold

    @property
    def lost(self) -> int:
        """Peer-to-peer energy that leaves this meter less what comes in: 0 over all meters."""
        return self.p2p_sold - self.p2p_bought

    def floor_money(self, tariffs: Tariffs) -> int:
        """Day-ahead, balancing and grid: the grid company is the other side of all three."""
        day = amount(self.da_price, self.da_sold) - amount(self.da_price, self.da_bought)
        over, short = max(0, self.rest), max(0, -self.rest)
        if self.bounds is None:
            return day + amount(tariffs.feed, over) - amount(tariffs.retail, short)
        balanced = amount(self.bounds[1], over) - amount(self.bounds[0], short)
        return day + balanced - amount(tariffs.retail, self.use)

    def net(self, tariffs: Tariffs) -> int:
        """All floors."""
        return self.floor_money(tariffs) + self.receipts - self.payments


@dataclass(slots=True)
class WindBooks(Books[WindPosition]):
    """Hours cleared, matches, deliveries and settlements."""

    hours: dict[int, Fields] = field(default_factory=dict)
    reputations: dict[bytes, int] = field(default_factory=dict)
    matches: dict[tuple[int, bytes, bytes], Fields] = field(default_factory=dict)
    told: dict[tuple[int, bytes, bytes], Fields] = field(default_factory=dict)
    """Delivery of a match as it was told last."""
    netted: dict[tuple[int, bytes], tuple[int, int, int]] = field(default_factory=dict)
    """Wh sold, Wh bought and money of a producer's deviations that met another's."""
    ends: dict[int, Fields] = field(default_factory=dict)
    """Totals of slots."""
    matched: int = 0

    def fresh(self) -> WindPosition:
        """An empty position."""
        return WindPosition()

    def passed(self, slot: int) -> int:
        """What members bought day-ahead came from producers, through the grid company's books."""
        held = self.slot(slot)
        return min(sum(one.da_sold for one in held), sum(one.da_bought for one in held))

    def facts(self) -> dict[str, int]:
        """What each floor took."""
        held = [one for one in self.positions.values() if one.settled]
        made = [one for one in held if one.bounds is not None]
        return {
            "wind_wh": sum(one.generation for one in made),
            "day_ahead_wh": sum(one.da_sold for one in made),
            "day_ahead_to_members_wh": sum(one.da_bought for one in held),
            "deviation_wh": sum(abs(one.generation - one.da_sold) for one in made),
            "matched_wh": self.matched,
            "delivered_wh": sum(row["delivered_wh"] for row in self.told.values()),
            "balanced_wh": sum(abs(one.rest) for one in made),
            "reputation_ppm": min(self.reputations.values(), default=_MODE.first_reputation),
        }

    def _cleared(self, event: Fields) -> None:
        self.expect(f"slot {event['slot']}, cleared once", False, event["slot"] in self.hours)
        self.hours[event["slot"]] = event

    def _renewed(self, event: Fields) -> None:
        self.reputations[event["meter"]] = event["reputation"]

    def _traded(self, event: Fields) -> None:
        key = (event["slot"], event["producer"], event["prosumer"])
        self.expect(f"slot {key[0]}, one match of a pair", False, key in self.matches)
        self.matches[key] = event
        self.matched += event["wh"]
        self.trades += 1

    def _netted(self, event: Fields) -> None:
        wh, money = event["wh"], amount(event["price"], event["wh"])
        for meter, change in ((event["seller"], (wh, 0, money)), (event["buyer"], (0, wh, -money))):
            row = self.netted.get((event["slot"], meter), (0, 0, 0))
            self.netted[event["slot"], meter] = (row[0] + change[0], row[1] + change[1], row[2] + change[2])
        self.trades += 1

    def _hour(self, event: Fields) -> None:
        rows = [row for key, row in self.matches.items() if key[0] == event["slot"]]
        self.expect(f"slot {event['slot']}, matches", len(rows), event["matches"])
        self.expect(f"slot {event['slot']}, matched Wh", sum(row["wh"] for row in rows), event["matched_wh"])

    def _settled(self, event: Fields) -> None:
        slot = event["slot"]
        held = self.measured(slot, event)
        self._take(held, event)
        self._book(event)
        end = self.ends[slot]
        if len(self.slot(slot)) == end["meters"]:
            self._finish(end)

    def _corrected(self, event: Fields) -> None:
        held = self.corrected(event["slot"], event)
        self._take(held, event)
        where = f"slot {event['slot']}, correction of {event['meter'].hex()[:8]}"
        self.expect(f"{where}, difference", self._book(event), event["difference"])

    def _take(self, held: WindPosition, event: Fields) -> None:
        """Sales of the day ahead are told hour by hour for all, and of each member only here: their sums are checked
        with the slot. Peer-to-peer lines are checked in the end, because deliveries are told after the entries."""
        slot, meter, line = event["slot"], event["meter"], _line(event)
        where = f"slot {slot}, meter {meter.hex()[:8]}"
        held.da_price = self.hours[slot]["price"]
        held.da_sold, held.da_bought = line["da_sold"], line["da_bought"]
        held.p2p_sold, held.p2p_bought = line["p2p_sold"], line["p2p_bought"]
        between = line["p2p"] + line["shortfall"]
        held.receipts, held.payments = max(0, between), max(0, -between)
        held.sold, held.bought = held.da_sold + held.p2p_sold, held.da_bought + held.p2p_bought
        if meter in self.producers:
            reputation = self.reputations.get(meter, _MODE.first_reputation)
            held.bounds = balancing(held.da_price, reputation)
        over, short = max(0, held.rest), max(0, -held.rest)
        made = held.bounds is not None
        mine = {
            "bl_sold": over if made else 0,
            "bl_bought": short if made else 0,
            "grid_buy": held.use if made else short,
            "grid_sell": 0 if made else over,
        }
        self.compare(where, mine, line)
        self.expect(f"{where}, day-ahead, balancing and grid", held.floor_money(self.tariffs), _floors(line))
        measured = {"generation_wh": held.generation, "use_wh": held.use, "net": held.net(self.tariffs)}
        self.compare(where, measured, event)
        self.one_side(where, held)

    def _book(self, event: Fields) -> int:
        floors = _floors(_line(event))
        key = (event["slot"], event["meter"])
        return self.book(key, event["account"], event["net"], [(self.grid, -floors)])

    def _delivered(self, event: Fields) -> None:
        key = (event["slot"], event["producer"], event["prosumer"])
        where, match = f"slot {key[0]}, delivery of {key[2].hex()[:8]}", self.matches[key]
        self.expect(f"{where}, paid", amount(match["price"], event["delivered_wh"]), event["paid"])
        if not 0 <= event["delivered_wh"] <= match["wh"]:
            self.problems.append(f"{where}: {event['delivered_wh']} of {match['wh']} Wh")
        bounds = balancing(self.hours[key[0]]["price"], self.reputations.get(key[1], _MODE.first_reputation))
        dearer = match["price"] - bounds[1] if match["surplus"] else bounds[0] - match["price"]
        owed = amount(max(0, dearer), match["wh"] - event["delivered_wh"])
        self.expect(f"{where}, owed for what is missing", owed, event["shortfall"])
        self.told[key] = event

    def _slot_settled(self, event: Fields) -> None:
        """The totals are told before the entries that they sum up."""
        self.ends[event["slot"]] = event

    def _finish(self, event: Fields) -> None:
        slot = event["slot"]
        held, hour = self.slot(slot), self.hours[slot]
        where = f"slot {slot}"
        sold, bought = sum(one.da_sold for one in held), sum(one.da_bought for one in held)
        self.expect(f"{where}, sold and bought day-ahead", (hour["sold_wh"], hour["bought_wh"]), (sold, bought))
        p2p = sum(one.p2p_sold for one in held)
        self.expect(f"{where}, peer-to-peer", p2p, sum(one.p2p_bought for one in held))
        between = sum(one.receipts - one.payments for one in held)
        self.expect(f"{where}, money between members", 0, between)
        self.close_slot(slot, event, {"members_net": sum(one.net(self.tariffs) for one in held)})
        self.expect(f"{where}, money", 0, event["members_net"] + event["grid_net"])

    def close(self, slots: Iterable[int]) -> None:
        """Deliveries were told after the entries: now each meter's peer-to-peer lines are those of its deliveries."""
        books: dict[tuple[int, bytes], list[int]] = {}
        for (slot, producer, prosumer), told in self.told.items():
            seller, buyer = (producer, prosumer) if told["surplus"] else (prosumer, producer)
            wh, paid, owed = told["delivered_wh"], told["paid"], told["shortfall"]
            for meter, change in ((seller, [wh, 0, paid]), (buyer, [0, wh, -paid])):
                row = books.setdefault((slot, meter), [0, 0, 0])
                books[slot, meter] = [old + new for old, new in zip(row, change, strict=True)]
            books[slot, producer][2] += owed
            books[slot, prosumer][2] -= owed
        for key, held in self.positions.items():
            if held.settled:
                row = books.get(key, [0, 0, 0])
                netted = self.netted.get(key, (0, 0, 0))
                mine = [one + other for one, other in zip(row, netted, strict=True)]
                told_of = [held.p2p_sold, held.p2p_bought, held.receipts - held.payments]
                self.expect(f"slot {key[0]}, meter {key[1].hex()[:8]}, peer-to-peer", mine, told_of)
        super(WindBooks, self).close(slots)

    COMMITTED_FOR: ClassVar[str] = "day"
    BOOKINGS: ClassVar[Mapping[tuple[str, str], Booking]] = {
        (WIND, "DayCommitted"): Books.committed,
        (WIND, "DepositLost"): Books.deposit_lost,
        (WIND, "HourCleared"): _cleared,
        (WIND, "ReputationUpdated"): _renewed,
        (WIND, "Traded"): _traded,
        (WIND, "Netted"): _netted,
        (WIND, "HourMatched"): _hour,
        (WIND, "Settled"): _settled,
        (WIND, "Corrected"): _corrected,
        (WIND, "Delivered"): _delivered,
        (WIND, "SlotSettled"): _slot_settled,
    }


def _line(event: Fields) -> dict[str, int]:
    return dict(zip(_LINES, event["lines"], strict=True))


def _floors(line: Mapping[str, int]) -> int:
    return line["da"] + line["bl"] + line["grid"]
