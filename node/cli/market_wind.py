"""Market A at the command line: the wind market's day-ahead floor, and what producers and prosumers announce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.sealed_orders import day_ahead_order
from ledger.errors import ConfigError
from node.cli.market_kinds import Call, Market, Orders, Row, Sealing, Window, Wish, rows_of, shown
from node.client import Client


class WindMarket(Market):
    """One order a meter and day, with energy and price for each of its slots."""

    letter = "A"
    contract = "wind"
    period = "day"
    open_view = "open_days"
    order_events = ("DayOrdered", "DayWithdrawn", "DayCommitted", "DepositLost", "Announced", "Reserved")
    trade_events = ("Traded", "Netted")

    @property
    def periods(self) -> int:
        """Slots of a day."""
        return int(self.parameters["periods"])

    def slots_of(self, period: int) -> range:
        """The slots of a day."""
        first = self.parameters["first_slot"] + period * self.periods
        return range(first, first + self.periods)

    def period_of(self, slot: int) -> int:
        """The day of a slot, before the first one day 0."""
        return max(0, (slot - int(self.parameters["first_slot"])) // self.periods)

    async def window(self, client: Client, period: int) -> Window:
        """When orders for a day are taken and revealed."""
        start, terms = self.calendar.start(self.slots_of(period).start), self.parameters
        reveal = start - terms["close_ms"] if self.sealed else None
        return Window(start - terms["open_ms"], reveal, start - terms["t1_ms"])

    def plain(self, wish: Wish) -> Call:
        """The call that places an order for a day in clear."""
        wh, prices = self._day(wish)
        return Call("offer_day" if wish.side == "sell" else "bid_day", (wish.period, wh, prices))

    def sealing(self, wish: Wish) -> Sealing:
        """How an order for a day is hidden."""
        wh, prices = self._day(wish)
        reveal = Call("reveal_day", (wish.period, wish.side, wh, prices))
        return Sealing(day_ahead_order(wish.side, wh, prices), "commit_day", reveal)

    def withdrawal(self, order: Row) -> Call:
        """The call that takes an order for a day back."""
        return Call("withdraw_day", (order["day"],))

    def see(self, orders: Orders, name: str, data: Mapping[str, Any]) -> None:
        """Book an event."""
        if name in self.trade_events:
            return
        meter = data["meter"]
        day = data["day"] if "day" in data else self.period_of(data["slot"])
        match name:
            case "Announced":
                key = ("announced", data["slot"], meter)
                orders.add(key, day=day, slot=data["slot"], seq=None, meter=meter, side="announce", wh=data["wh"])
            case "Reserved":
                fields = {field: data[field] for field in ("slot", "up", "down", "charge", "discharge", "soc")}
                key = ("reserved", data["slot"], meter)
                escrow = int(data["escrow"])
                orders.add(key, day=day, seq=None, meter=meter, side="reserve", wh=None, escrow=escrow, **fields)
            case "DayOrdered":
                orders.opened(day, meter)
                orders.add(
                    (day, meter), day=day, seq=data["seq"], meter=meter, side=data["side"], escrow=int(data["escrow"])
                )
            case "DayWithdrawn":
                orders.change((day, meter), state="withdrawn", escrow=0)
            case "DayCommitted":
                orders.commit(day, meter, data["commitment"], int(data["deposit"]))
            case "DepositLost":
                orders.lost(day, meter, data["commitment"])
            case _:
                pass  # events that change no order

    def trades(self, name: str, data: Mapping[str, Any]) -> list[Row]:
        """The trades that an event tells."""
        if name == "Netted":
            seller, buyer = data["seller"], data["buyer"]
        else:
            seller, buyer = data["prosumer"], data["producer"]
            if data["surplus"]:
                seller, buyer = buyer, seller
        wh, price = data["wh"], data["price"]
        money = price * wh // 1000
        kind = "netting" if name == "Netted" else "match"
        row = {"slot": data["slot"], "seller": seller, "buyer": buyer, "wh": wh, "price": price, "money": money}
        return [{**row, "kind": kind}]

    async def book(self, client: Client, period: int) -> list[Row]:
        """What is readable in the book."""
        found = shown(await client.view(self.contract, "day_book", period))
        offers = [{"side": "sell", **row} for row in found["offers"]]
        return offers + [{"side": "buy", **row} for row in found["bids"]]

    async def schedule(self, client: Client, slot: int) -> list[Row]:
        """What the chain has scheduled and matched."""
        head = {"slot": slot, **shown(await client.view(self.contract, "slot", slot))}
        return [head, *rows_of(await client.view(self.contract, "ranking", slot), slot=slot)]

    def _day(self, wish: Wish) -> tuple[list[int], list[int]]:
        """Energy and price of each slot; one value stands for all. Raise `ConfigError` (BAD_LENGTH)."""
        lists = [list(values) * (self.periods if len(values) == 1 else 1) for values in (wish.wh, wish.prices)]
        for values in lists:
            if len(values) != self.periods:
                raise ConfigError(
                    "an order of market A has a value for each slot of the day",
                    code="BAD_LENGTH",
                    expected=f"1 or {self.periods} values",
                    found=len(values),
                    fix=f"as 0.5x{self.periods - 1},0.2",
                )
        return lists[0], lists[1]
