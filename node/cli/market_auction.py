"""Market C at the command line: the two-stage double auction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.sealed_orders import auction_order, auction_quote
from node.cli.market_kinds import Call, Market, Orders, Row, Sealing, Window, Wish, rows_of, shown, single
from node.client import Client

_BOOK_ROWS: Final = 256


class DoubleAuction(Market):
    """Orders to sell and to buy in a slot; what stage 1 leaves may get another price."""

    letter = "C"
    contract = "double_auction"
    order_events = (
        "OrderAccepted", "OrderWithdrawn", "OrderRequoted", "OrderCommitted", "DepositLost", "OrderExpired",
    )  # fmt: skip
    trade_events = ("Trade",)
    forfeit_events = ("DepositLost", "OrderWithdrawn")

    async def window(self, client: Client, period: int) -> Window:
        """When orders are taken and revealed."""
        start, terms = self.calendar.start(period), self.parameters
        reveal = start - terms["reveal_ms"] if self.sealed else None
        return Window(start - terms["open_ms"], reveal, start - terms["t1_ms"])

    def requote_window(self, slot: int) -> Window:
        """When the orders that stage 1 left may get another price."""
        start, terms = self.calendar.start(slot), self.parameters
        first, last = start - terms["t1_ms"], start - terms["t2_ms"]
        return Window(first, (first + last) // 2 if self.sealed else None, last)

    def plain(self, wish: Wish) -> Call:
        """The call that places an order in clear."""
        wh, price = single(wish, self.letter)
        return Call("submit_order", (wish.period, wish.side, wh, price, wish.requote))

    def sealing(self, wish: Wish) -> Sealing:
        """How an order is hidden."""
        wh, price = single(wish, self.letter)
        reveal = Call("reveal_order", (wish.period, wish.side, wh, price, wish.requote))
        return Sealing(auction_order(wish.side, wh, price, wish.requote), "commit_order", reveal)

    def requote(self, order: Row, price: int) -> tuple[Call, Sealing]:
        """The call that gives an order that stage 1 left its price for stage 2: in clear, and how it is hidden."""
        place = (order["slot"], order["side"], order["price"], order["seq"], price)
        sealing = Sealing(auction_quote(order["seq"], price), "commit_requote", Call("reveal_requote", place))
        return Call("requote_order", place), sealing

    def withdrawal(self, order: Row) -> Call:
        """The call that takes an order back."""
        return Call("withdraw_order", (order["slot"], order["side"], order["price"], order["seq"]))

    def see(self, orders: Orders, name: str, data: Mapping[str, Any]) -> None:
        """Book an event."""
        slot = data["slot"]
        key = (slot, data.get("seq"))
        match name:
            case "OrderAccepted":
                orders.opened(slot, data["meter"])
                fields = ("seq", "meter", "side", "wh", "price", "requote")
                row = {field: data[field] for field in fields}
                orders.add(key, slot=slot, **row, escrow=int(data["escrow"]))
            case "OrderWithdrawn":
                orders.change(key, state="withdrawn", escrow=0)
            case "OrderRequoted":
                orders.opened(slot, data["meter"])
                orders.change(key, quote=data["price"])
            case "OrderCommitted":
                orders.commit(slot, data["meter"], data["commitment"], int(data["deposit"]))
            case "DepositLost":
                orders.lost(slot, data["meter"], data["commitment"])
            case "OrderExpired":
                row = orders.rows.get(key, {})
                state = "partly traded" if row.get("traded_wh") else "expired"
                orders.change(key, state=state, left_wh=data["left_wh"], released=int(data["released"]))
            case "Trade":
                for seq in (data["sell_seq"], data["buy_seq"]):
                    orders.trade((slot, seq), data["wh"])
            case _:
                pass  # events that change no order

    def trades(self, name: str, data: Mapping[str, Any]) -> list[Row]:
        """The trades that an event tells."""
        fields = ("slot", "seller", "buyer", "wh", "price")
        row = {field: data[field] for field in fields}
        more = {"stage": data["stage"], "sell_seq": data["sell_seq"], "buy_seq": data["buy_seq"]}
        return [{**row, "money": int(data["money"]), "surplus": int(data["surplus"]), **more}]

    async def book(self, client: Client, period: int) -> list[Row]:
        """What is readable in the book."""
        found: list[Row] = []
        for side in ("sell", "buy"):
            rows = await client.view(self.contract, "book_of", period, side, _BOOK_ROWS)
            found += rows_of(rows, side=side)
        return found

    async def schedule(self, client: Client, slot: int) -> list[Row]:
        """What the chain has scheduled and matched."""
        return [{"slot": slot, **shown(await client.view(self.contract, "slot", slot))}]
