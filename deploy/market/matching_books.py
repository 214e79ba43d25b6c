"""The second set of books of market D: electronic orders by rule 6.4, meters with the grid (spec, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from contracts.library_sources import MATCHING, MatchingMode
from deploy.books import Booking, Books, Fields, Position, Tariffs, amount

_ONE = 1_000_000
_OPTIONS = MatchingMode(sealed=True)
"""The reasonable loss and the reward that the demo's networks are founded with."""


def tokens_of(money: int, rate: int) -> int:
    """Money in tokens at `rate` tokens a unit (ppm)."""
    return money * rate // _ONE


@dataclass(slots=True)
class MatchingPosition(Position):
    """What a meter's orders sent and received. `sold` and `bought` are agreed, `rate` is the cycle's."""

    sent: int = 0
    received: int = 0
    fees: int = 0
    rewards: int = 0
    rate: int = _ONE

    @property
    def grid_buy(self) -> int:
        """Wh from the grid: sent but not made, used but not received."""
        return max(0, self.sent - self.generation) + max(0, self.use - self.received)

    @property
    def grid_sell(self) -> int:
        """Wh to the grid."""
        return max(0, self.generation - self.sent) + max(0, self.received - self.use)

    @property
    def lost(self) -> int:
        """Wh sent less received; it is whole over the two sides of an order."""
        return self.sent - self.received

    def grid_money(self, tariffs: Tariffs) -> int:
        """What the grid pays the meter less what it asks, in tokens."""
        income = tokens_of(amount(tariffs.feed, self.grid_sell), self.rate)
        return income - tokens_of(amount(tariffs.retail, self.grid_buy), self.rate)

    def net(self, tariffs: Tariffs) -> int:
        """Orders, grid fees, rewards, the grid."""
        return self.receipts - self.fees + self.rewards - self.payments + self.grid_money(tariffs)


@dataclass(slots=True)
class MatchingBooks(Books[MatchingPosition]):
    """Electronic orders, their settlement by two devices, meters."""

    rates: dict[int, int] = field(default_factory=dict)
    placed: dict[tuple[int, bytes], Fields] = field(default_factory=dict)
    orders: dict[int, Fields] = field(default_factory=dict)
    done: dict[int, tuple[int, int, int, int, int]] = field(default_factory=dict)
    """(sent, received, paid, fee, reward) of settled orders as they are booked."""
    requested: int = 0
    bounds: list[tuple[int, int]] = field(default_factory=list)
    """(sum of M, its bound) by cycle."""
    curtailed: int = 0
    grid_fees: int = 0

    def fresh(self) -> MatchingPosition:
        """An empty position."""
        return MatchingPosition()

    def facts(self) -> dict[str, int]:
        """What the assignment reached and what the grid took."""
        best = sum(bound for _, bound in self.bounds)
        return {
            "requests": self.requested,
            "orders": self.trades,
            "delivered_wh": sum(row[1] for row in self.done.values()),
            "curtailed_wh": self.curtailed,
            "grid_fees_micro": sum(row[3] for row in self.done.values()),
            "rewards_micro": sum(row[4] for row in self.done.values()),
            "assignment_ppm": sum(found for found, _ in self.bounds) * _ONE // best if best else _ONE,
        }

    def _opened(self, event: Fields) -> None:
        self.rates[event["cycle"]] = event["rate"]

    def _placed(self, event: Fields) -> None:
        self.placed[event["cycle"], event["meter"]] = event
        self.requested += event["side"] == "request"

    def _withdrew(self, event: Fields) -> None:
        self.placed.pop((event["cycle"], event["meter"]))
        self.requested -= event["side"] == "request"

    def _matched(self, event: Fields) -> None:
        self.bounds.append((event["sum_m"], max(event["sum_m"], event["m_bound"])))
        self.curtailed += event["curtailed_wh"]

    def _made(self, event: Fields) -> None:
        number, cycle, wh = event["order"], event["cycle"], event["wh"]
        user, provider = self.placed[cycle, event["user"]], self.placed[cycle, event["provider"]]
        where = f"order {number}"
        self.expect(f"{where}, sides", ("request", "offer"), (user["side"], provider["side"]))
        self.expect(f"{where}, price", provider["price"], event["price"])
        self.expect(f"{where}, Wh", user["wh"], wh + event["curtailed_wh"])
        escrow = tokens_of(amount(event["price"], wh), self.rates[cycle])
        self.expect(f"{where}, escrow", escrow, event["escrow"])
        if event["price"] > user["price"]:
            self.problems.append(f"{where}: {event['price']} is above the limit {user['price']}")
        seller = self.position(cycle, event["provider"])
        seller.sold += wh
        if seller.sold > provider["wh"]:
            self.problems.append(f"{where}: {seller.sold} Wh sold of an offer of {provider['wh']}")
        self.position(cycle, event["user"]).bought += wh
        self.orders[number] = event
        self.trades += wh > 0

    def _outcome(self, order: Fields, event: Fields, reward: int) -> None:
        """Book an order on readings and take back what was booked before. The user pays the bill, of which the grid
        fee goes to the grid company; a reward comes from the community."""
        number, sent, received = event["order"], event["sent"], event["received"]
        now = (sent, min(sent, received), event["paid"], event["grid_fee"], reward)
        before = self.done.get(number, (0, 0, 0, 0, 0))
        change = [new - old for new, old in zip(now, before, strict=True)]
        self.done[number] = now
        seller = self.position(order["cycle"], order["provider"])
        buyer = self.position(order["cycle"], order["user"])
        seller.sent += change[0]
        buyer.received += change[1]
        bill = change[2] + change[3]
        seller.receipts += bill
        seller.fees += change[3]
        seller.rewards += change[4]
        buyer.payments += bill
        self.move(self.owners[order["user"]], -bill)
        self.move(self.owners[order["provider"]], change[2] + change[4])
        self.move(self.grid, change[3])
        self.move(self.community, -change[4])

    def _bill(self, order: Fields, sent: int, received: int) -> int:
        """Rule 6.4 with what is missing beyond the reasonable loss deducted: what the user pays, in tokens."""
        wh = order["wh"]
        missing = max(0, wh - received)
        gross = amount(order["price"], wh)
        deduction = amount(order["price"], missing) if sent < wh or missing > wh * _OPTIONS.loss_ppm // _ONE else 0
        return tokens_of(gross - deduction, order["rate"])

    def _order_settled(self, event: Fields) -> None:
        order, where = self.orders[event["order"]], f"order {event['order']}"
        self.expect(f"{where}, settled once", False, event["order"] in self.done)
        bill = event["paid"] + event["grid_fee"]
        if event["state"] == "settled":
            self.expect(f"{where}, bill", self._bill(order, event["sent"], event["received"]), bill)
        self.expect(f"{where}, escrow", order["escrow"], bill + event["refund"] + event["held"])
        if event["grid_fee"] > order["fee"] or event["reward"] > order["reward"]:
            self.problems.append(f"{where}: fee {event['grid_fee']} or reward {event['reward']} above the agreed")
        self._outcome(order, event, event["reward"])

    def _order_corrected(self, event: Fields) -> None:
        order, where = self.orders[event["order"]], f"order {event['order']}, correction"
        bill = event["paid"] + event["grid_fee"]
        self.expect(f"{where}, bill", self._bill(order, event["sent"], event["received"]), bill)
        booked = self.done[event["order"]][2:]
        self.expect(f"{where}, before", booked, (event["paid_before"], event["fee_before"], event["reward_before"]))
        self._outcome(order, event, event["reward"])

    def _settled(self, event: Fields) -> None:
        cycle, meter = event["cycle"], event["meter"]
        held = self.measured(cycle, event)
        held.rate = self.rates[cycle]
        where = f"cycle {cycle}, meter {meter.hex()[:8]}"
        self._compare(where, held, event)
        values = {
            "sent_wh": held.sent,
            "received_wh": held.received,
            "trade_receipts": held.receipts,
            "trade_payments": held.payments,
            "grid_fees": held.fees,
            "rewards": held.rewards,
        }
        self.compare(where, values, event)
        self._book(event["account"], cycle, meter, held)

    def _corrected(self, event: Fields) -> None:
        cycle, meter = event["cycle"], event["meter"]
        before = self.nets[cycle, meter]
        held = self.corrected(cycle, event)
        where = f"cycle {cycle}, correction of {meter.hex()[:8]}"
        self._compare(where, held, event)
        self.expect(f"{where}, difference", event["net"] - before, event["difference"])
        self._book(event["account"], cycle, meter, held)

    def _book(self, account: bytes, cycle: int, meter: bytes, held: MatchingPosition) -> None:
        """Orders are booked by themselves: of a meter's net only the grid's lines move here."""
        money = held.grid_money(self.tariffs)
        self.book((cycle, meter), account, money, [(self.grid, -money)])

    def _compare(self, where: str, held: MatchingPosition, event: Fields) -> None:
        values = {
            "generation_wh": held.generation,
            "use_wh": held.use,
            "grid_buy_wh": held.grid_buy,
            "grid_sell_wh": held.grid_sell,
            "net": held.net(self.tariffs),
        }
        self.compare(where, values, event)
        self.one_side(where, held)

    def _cycle_settled(self, event: Fields) -> None:
        cycle = event["cycle"]
        held = self.slot(cycle)
        sums = {
            "sent_wh": sum(one.sent for one in held),
            "received_wh": sum(one.received for one in held),
            "trade_money": sum(one.payments for one in held),
            "grid_fees": sum(one.fees for one in held),
        }
        self.expect(f"cycle {cycle}, receipts = payments", sums["trade_money"], sum(one.receipts for one in held))
        self.close_slot(cycle, event, sums)
        grid = event["grid_sales_money"] - event["grid_purchases_money"]
        members = sum(one.net(self.tariffs) for one in held)
        rewards = sum(one.rewards for one in held)
        self.expect(f"cycle {cycle}, money", 0, members + grid + event["grid_fees"] - rewards)

    COMMITTED_FOR: ClassVar[str] = "cycle"
    BOOKINGS: ClassVar[Mapping[tuple[str, str], Booking]] = {
        (MATCHING, "CycleOpened"): _opened,
        (MATCHING, "Placed"): _placed,
        (MATCHING, "Withdrawn"): _withdrew,
        (MATCHING, "Committed"): Books.committed,
        (MATCHING, "DepositLost"): Books.deposit_lost,
        (MATCHING, "CycleMatched"): _matched,
        (MATCHING, "OrderMade"): _made,
        (MATCHING, "OrderSettled"): _order_settled,
        (MATCHING, "OrderCorrected"): _order_corrected,
        (MATCHING, "Settled"): _settled,
        (MATCHING, "Corrected"): _corrected,
        (MATCHING, "CycleSettled"): _cycle_settled,
    }
