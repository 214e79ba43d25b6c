"""Market D at the command line: requests and offers that are matched by degree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.sealed_orders import matching_order
from node.cli.market_kinds import Call, Market, Orders, Row, Sealing, Window, Wish, rows_of, shown, single
from node.client import Client

_ENTRY = {"sell": "offer", "buy": "request"}
_SIDE = {"offer": "sell", "request": "buy"}


class Matching(Market):
    """One request or offer a meter and cycle; a cycle is one slot."""

    letter = "D"
    contract = "matching"
    period = "cycle"
    open_view = "open_cycles"
    order_events = ("Placed", "Withdrawn", "Committed", "DepositLost", "CycleMatched")
    trade_events = ("OrderMade",)

    def market_slots(self) -> tuple[int, int]:
        """The first and the last slot of the market."""
        return int(self.parameters["first"]), int(self.parameters["last"])

    async def window(self, client: Client, period: int) -> Window:
        """When requests and offers are taken and revealed."""
        found = shown(await client.view(self.contract, "cycle", period))
        return Window(found["open_ms"], found["reveal_ms"] if self.sealed else None, found["gate_ms"])

    def plain(self, wish: Wish) -> Call:
        """The call that places a request or offer in clear."""
        wh, price = single(wish, self.letter)
        return Call(_ENTRY[wish.side], (wish.period, wh, price))

    def sealing(self, wish: Wish) -> Sealing:
        """How a request or offer is hidden."""
        wh, price = single(wish, self.letter)
        side = _ENTRY[wish.side]
        reveal = Call("reveal", (wish.period, side, wh, price))
        return Sealing(matching_order(side, wh, price), "commit", reveal)

    def withdrawal(self, order: Row) -> Call:
        """The call that takes a request or offer back."""
        return Call("withdraw", (order["cycle"], _ENTRY[order["side"]]))

    def see(self, orders: Orders, name: str, data: Mapping[str, Any]) -> None:
        """Book an event."""
        cycle, meter = data["cycle"], data.get("meter", "")
        match name:
            case "Placed":
                orders.opened(cycle, meter)
                row = {field: data[field] for field in ("meter", "wh", "price")}
                side = _SIDE[data["side"]]
                orders.add((cycle, meter), cycle=cycle, seq=None, side=side, escrow=int(data["escrow"]), **row)
            case "Withdrawn":
                orders.change((cycle, meter), state="withdrawn", escrow=0)
            case "Committed":
                orders.commit(cycle, meter, data["commitment"], int(data["deposit"]))
            case "DepositLost":
                orders.lost(cycle, meter, "")
            case "OrderMade":
                for party in (data["provider"], data["user"]):
                    orders.trade((cycle, party), data["wh"])
            case "CycleMatched":
                for row in orders.rows.values():
                    if row.get("cycle") == cycle and row["state"] == "placed":
                        row["state"] = "not served" if row["side"] == "buy" else "expired"
            case _:
                pass  # events that change no order

    def trades(self, name: str, data: Mapping[str, Any]) -> list[Row]:
        """The trades that an event tells."""
        wh, price = data["wh"], data["price"]
        more = {"order": data["order"], "fee": data["fee"], "path": data["path"], "curtailed_wh": data["curtailed_wh"]}
        return [
            {
                "slot": data["cycle"], "seller": data["provider"], "buyer": data["user"], "wh": wh, "price": price,
                "money": price * wh // 1000, **more,
            }
        ]  # fmt: skip

    async def book(self, client: Client, period: int) -> list[Row]:
        """What is readable in the book."""
        found = shown(await client.view(self.contract, "book", period))
        offers = [{"side": "sell", **row} for row in found["offers"]]
        return offers + [{"side": "buy", **row} for row in found["requests"]]

    async def schedule(self, client: Client, slot: int) -> list[Row]:
        """What the chain has scheduled and matched."""
        head = {"slot": slot, **shown(await client.view(self.contract, "cycle", slot))}
        ways = await client.view(self.contract, "schedule_of", slot)
        return [head, *rows_of(ways["users"] if isinstance(ways, dict) else [], slot=slot)]
