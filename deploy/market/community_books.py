"""The second set of books of market B: deliveries, the pool, fees and the grid by rule 3.3 (spec, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from contracts.library_sources import COMMUNITY
from deploy.books import Booking, Books, Fields, Position, Tariffs, amount

_LINES: Final = (
    "out", "in", "pool_out", "pool_in", "grid_buy", "grid_sell", "receipts", "payments", "subsidy", "penalty", "fees",
    "grid_cost", "grid_income",
)  # fmt: skip
"""`lines` of `Settled` in order (docs/contracts.md)."""
_MOST_POOL_MOVES: Final = 512


@dataclass(slots=True)
class CommunityPosition(Position):
    """What is delivered, what the pool moves and what fees and penalties come to. `receipts` and `payments` are of
    deliveries and of the pool."""

    out_wh: int = 0
    in_wh: int = 0
    pool_out: int = 0
    pool_in: int = 0
    pool_money: int = 0
    subsidy: int = 0
    penalty: int = 0
    fees: int = 0

    @property
    def _over(self) -> int:
        """Wh left over after deliveries and the pool; below 0: more was given to the pool than there is."""
        return self.generation - self.out_wh + max(0, self.in_wh - self.use) - self.pool_out

    @property
    def _short(self) -> int:
        return max(0, self.use - self.in_wh) - self.pool_in

    @property
    def grid_buy(self) -> int:
        """Wh from the grid: what neither trades nor the pool brought."""
        return max(0, self._short) + max(0, -self._over)

    @property
    def grid_sell(self) -> int:
        """Wh to the grid."""
        return max(0, self._over) + max(0, -self._short)

    def net(self, tariffs: Tariffs) -> int:
        """Deliveries, the pool, subsidy or penalty, fees, the grid."""
        grid = amount(tariffs.feed, self.grid_sell) - amount(tariffs.retail, self.grid_buy)
        return self.receipts - self.payments + self.pool_money + self.subsidy - self.penalty - self.fees + grid


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quotation and what is left of it."""

    meter: bytes
    price: int
    left: int


@dataclass(slots=True)
class CommunityBooks(Books[CommunityPosition]):
    """Quotations, trades, deliveries and settlements of the community's plant."""

    quotations: dict[tuple[int, int], Quotation] = field(default_factory=dict)
    bids: dict[tuple[int, int], Fields] = field(default_factory=dict)
    contracted: dict[tuple[int, int, int], Fields] = field(default_factory=dict)
    """Trades by (slot, quotation, bid)."""
    deliveries: dict[tuple[int, int, int], Fields] = field(default_factory=dict)
    """What was told last of each."""

    def fresh(self) -> CommunityPosition:
        """An empty position."""
        return CommunityPosition()

    def facts(self) -> dict[str, int]:
        """What the plant itself did."""
        held = [one for one in self.positions.values() if one.settled]
        return {
            "delivered_wh": sum(one.in_wh for one in held),
            "pool_wh": sum(one.pool_in for one in held),
            "subsidies_micro": sum(one.subsidy for one in held),
            "operator_fees_micro": sum(one.fees for one in held),
        }

    def _offered(self, event: Fields) -> None:
        self.quotations[event["slot"], event["seq"]] = Quotation(event["meter"], event["price"], event["wh"])

    def _placed(self, event: Fields) -> None:
        self.bids[event["slot"], event["seq"]] = event

    def _traded(self, event: Fields) -> None:
        slot, wh, where = event["slot"], event["wh"], f"slot {event['slot']}, trade {self.trades}"
        self.expect(f"{where}, money", amount(event["price"], wh), event["money"])
        quotation, bid = self.quotations[slot, event["quotation"]], self.bids[slot, event["bid"]]
        self.expect(f"{where}, seller", quotation.meter, event["seller"])
        self.expect(f"{where}, buyer and price", (bid["meter"], bid["price"]), (event["buyer"], event["price"]))
        if not 0 < wh <= quotation.left or event["price"] < quotation.price:
            self.problems.append(f"{where}: {wh} Wh at {event['price']} of a quotation of {quotation}")
        self.quotations[slot, event["quotation"]] = Quotation(quotation.meter, quotation.price, quotation.left - wh)
        self.position(slot, event["seller"]).sold += wh
        self.position(slot, event["buyer"]).bought += wh
        self.contracted[slot, event["quotation"], event["bid"]] = event
        self.trades += 1

    def _delivered(self, event: Fields) -> None:
        """A delivery: Wh of a trade, paid at its price; a later one replaces the first."""
        slot, key = event["slot"], (event["slot"], event["quotation"], event["bid"])
        where = f"slot {slot}, delivery of bid {event['bid']}"
        trade = self.contracted[key]
        self.expect(f"{where}, paid", amount(trade["price"], event["delivered_wh"]), event["paid"])
        if not 0 <= event["delivered_wh"] <= trade["wh"]:
            self.problems.append(f"{where}: {event['delivered_wh']} of {trade['wh']} Wh")
        seller, buyer = self.position(slot, trade["seller"]), self.position(slot, trade["buyer"])
        for sign, told in ((-1, self.deliveries.get(key)), (1, event)):
            if told is not None:
                seller.out_wh += sign * told["delivered_wh"]
                seller.receipts += sign * told["paid"]
                seller.penalty += sign * told["subsidy"]
                seller.fees += sign * told["prosumer_fee"]
                buyer.in_wh += sign * told["delivered_wh"]
                buyer.payments += sign * told["paid"]
                buyer.subsidy += sign * told["subsidy"]
                buyer.fees += sign * told["consumer_fee"]
        self.deliveries[key] = event

    def _settled(self, event: Fields) -> None:
        slot, meter = event["slot"], event["meter"]
        held = self.measured(slot, event)
        where, line = f"slot {slot}, meter {meter.hex()[:8]}", _line(event)
        held.pool_out, held.pool_in = line["pool_out"], line["pool_in"]
        self.compare(where, {"sold_wh": held.sold, "bought_wh": held.bought}, event)
        delivered = min(held.sold, held.generation)
        self.expect(f"{where}, delivered as far as it was made", delivered, held.out_wh)
        self._compare(where, held, event)
        self._book(event)

    def _corrected(self, event: Fields) -> None:
        """Deliveries of a correction are told after it, so its lines are checked in themselves; the rest when all is
        over."""
        held, line = self.corrected(event["slot"], event), _line(event)
        where = f"slot {event['slot']}, correction of {event['meter'].hex()[:8]}"
        self.expect(f"{where}, energy", held.use - held.generation, _use_in(line))
        self.expect(f"{where}, net", _net(line), event["net"])
        self.expect(f"{where}, difference", self._book(event), event["difference"])

    def _book(self, event: Fields) -> int:
        """The grid is the other side of the grid's lines, the operator of fees, members of all else."""
        line = _line(event)
        others = [(self.grid, line["grid_cost"] - line["grid_income"]), (self.community, line["fees"])]
        return self.book((event["slot"], event["meter"]), event["account"], event["net"], others)

    def _compare(self, where: str, held: CommunityPosition, event: Fields) -> None:
        """Every line but the pool's money, which is rounded move by move and bounded here."""
        line = _line(event)
        held.pool_money = line["receipts"] - line["payments"] - held.receipts + held.payments
        middle = (self.tariffs.feed + self.tariffs.retail) // 2
        pool = amount(middle, held.pool_out) - amount(middle, held.pool_in)
        if abs(held.pool_money - pool) > _MOST_POOL_MOVES:
            self.problems.append(f"{where}, money of the pool: expected about {pool}, found {held.pool_money}")
        mine = {
            "out": held.out_wh,
            "in": held.in_wh,
            "grid_buy": held.grid_buy,
            "grid_sell": held.grid_sell,
            "subsidy": held.subsidy,
            "penalty": held.penalty,
            "fees": held.fees,
            "grid_cost": amount(self.tariffs.retail, held.grid_buy),
            "grid_income": amount(self.tariffs.feed, held.grid_sell),
        }
        self.compare(where, mine, line)
        self.compare(
            where,
            {"generation_wh": held.generation, "use_wh": held.use, "net": held.net(self.tariffs)},
            event,
        )
        self.one_side(where, held)

    def _slot_settled(self, event: Fields) -> None:
        slot = event["slot"]
        held = self.slot(slot)
        out = sum(one.out_wh for one in held)
        self.expect(f"slot {slot}, delivered = received", out, sum(one.in_wh for one in held))
        self.expect(f"slot {slot}, the pool", sum(one.pool_out for one in held), sum(one.pool_in for one in held))
        sums = {
            "delivered_wh": out,
            "pool_wh": sum(one.pool_in for one in held),
            "members_net": sum(one.net(self.tariffs) for one in held),
            "operator_net": sum(one.fees for one in held),
        }
        self.close_slot(slot, event, sums)
        self.expect(f"slot {slot}, money", 0, event["members_net"] + event["grid_net"] + event["operator_net"])

    BOOKINGS: ClassVar[Mapping[tuple[str, str], Booking]] = {
        (COMMUNITY, "QuotationOffered"): _offered,
        (COMMUNITY, "BidPlaced"): _placed,
        (COMMUNITY, "BidCommitted"): Books.committed,
        (COMMUNITY, "DepositLost"): Books.deposit_lost,
        (COMMUNITY, "Traded"): _traded,
        (COMMUNITY, "Delivered"): _delivered,
        (COMMUNITY, "Settled"): _settled,
        (COMMUNITY, "Corrected"): _corrected,
        (COMMUNITY, "SlotSettled"): _slot_settled,
    }


def _line(event: Fields) -> dict[str, int]:
    return dict(zip(_LINES, event["lines"], strict=True))


def _use_in(line: Mapping[str, int]) -> int:
    """Use less generation that the lines explain."""
    brought = line["in"] + line["pool_in"] + line["grid_buy"]
    return brought - line["out"] - line["pool_out"] - line["grid_sell"]


def _net(line: Mapping[str, int]) -> int:
    plus = line["receipts"] + line["subsidy"] + line["grid_income"]
    return plus - line["payments"] - line["penalty"] - line["fees"] - line["grid_cost"]
