"""Market B at the command line: the community virtual power plant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.sealed_orders import community_bid
from ledger.errors import ConfigError
from node.cli.market_kinds import Call, Market, Orders, Row, Sealing, Window, Wish, shown, single
from node.client import Client


class CommunityPlant(Market):
    """Quotations, always in clear, and bids on them."""

    letter = "B"
    contract = "community_vpp"
    order_events = (
        "QuotationOffered", "QuotationWithdrawn", "BidPlaced", "BidRejected", "BidCommitted", "DepositLost",
        "BidDecided",
    )  # fmt: skip
    trade_events = ("Traded",)

    async def window(self, client: Client, period: int) -> Window:
        """When quotations and bids are taken and revealed."""
        start, terms = self.calendar.start(period), self.parameters
        reveal = start - terms["close_ms"] if self.sealed else None
        return Window(start - terms["open_ms"], reveal, start - terms["t1_ms"])

    def plain(self, wish: Wish) -> Call:
        """The call that places a quotation or bid in clear."""
        wh, price = single(wish, self.letter)
        if wish.side == "sell":
            return Call("offer", (wish.period, wh, price))
        return Call("submit_bid", (wish.period, _quotation(wish), wh, price))

    def sealing(self, wish: Wish) -> Sealing | None:
        """How a quotation or bid is hidden."""
        if wish.side == "sell":
            return None
        wh, price = single(wish, self.letter)
        number = _quotation(wish)
        reveal = Call("reveal_bid", (wish.period, number, wh, price))
        return Sealing(community_bid(number, wh, price), "commit_bid", reveal)

    def withdrawal(self, order: Row) -> Call:
        """The call that takes a quotation or bid back."""
        if order["side"] != "sell":
            raise ConfigError(
                "a bid cannot be withdrawn",
                code="NO_WITHDRAWAL",
                expected="a quotation",
                found=f"bid {order['seq']}",
                fix="a sealed bid that is not revealed costs its deposit",
            )
        return Call("withdraw_offer", (order["slot"], order["seq"]))

    def see(self, orders: Orders, name: str, data: Mapping[str, Any]) -> None:
        """Book an event."""
        slot, meter = data["slot"], data.get("meter", "")
        key = (slot, data.get("seq"))
        match name:
            case "QuotationOffered" | "BidPlaced":
                side = "sell" if name == "QuotationOffered" else "buy"
                if side == "buy":
                    orders.opened(slot, meter)
                fields = {field: data[field] for field in ("seq", "meter", "wh", "price")}
                orders.add(
                    key, slot=slot, side=side, quotation=data.get("quotation"), escrow=int(data["escrow"]), **fields
                )
            case "QuotationWithdrawn":
                orders.change(key, state="withdrawn", escrow=0)
            case "BidRejected":
                orders.opened(slot, meter)
                fields = {field: data[field] for field in ("meter", "quotation", "wh", "price", "reason")}
                refused = (slot, "refused", len(orders.rows))
                orders.add(refused, slot=slot, seq=None, side="buy", **fields)
                orders.change(refused, state="rejected")
            case "BidCommitted":
                orders.commit(slot, meter, data["commitment"], int(data["deposit"]))
            case "DepositLost":
                orders.lost(slot, meter, data["commitment"])
            case "BidDecided":
                orders.change(key, state=data["status"], left_wh=data["left_wh"], released=int(data["released"]))
            case "Traded":
                for seq in (data["quotation"], data["bid"]):
                    orders.trade((slot, seq), data["wh"])
            case _:
                pass  # events that change no order

    def trades(self, name: str, data: Mapping[str, Any]) -> list[Row]:
        """The trades that an event tells."""
        fields = ("slot", "seller", "buyer", "wh", "price")
        row = {field: data[field] for field in fields}
        return [{**row, "money": int(data["money"]), "quotation": data["quotation"], "bid": data["bid"]}]

    async def book(self, client: Client, period: int) -> list[Row]:
        """What is readable in the book."""
        found = shown(await client.view(self.contract, "book_of", period))
        offers = [{"side": "sell", **row} for row in found["quotations"]]
        return offers + [{"side": "buy", **row} for row in found["bids"]]

    async def schedule(self, client: Client, slot: int) -> list[Row]:
        """What the chain has scheduled and matched."""
        return [{"slot": slot, **shown(await client.view(self.contract, "slot", slot))}]


def _quotation(wish: Wish) -> int:
    if wish.quotation is None:
        raise ConfigError(
            "a bid of market B is for one quotation",
            code="NO_QUOTATION",
            expected="--quotation NUMBER",
            found="none",
            fix=f"gridchain market list --book {wish.period} shows them",
        )
    return wish.quotation
