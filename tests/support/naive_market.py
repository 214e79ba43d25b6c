"""Section 4 of the market rules once more, on plain lists and written apart from the contract, to compare against.

Orders are dicts {seq, meter, owner, side, wh, price, requote}. Nothing here is fast, batched or persistent.
"""

from __future__ import annotations

from typing import Any

MAX_PASSED = 32


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def one_price(asks: list[dict], bids: list[dict], self_trade: bool, pricing: str) -> tuple | None:
    """`clear` and `mcafee` on sorted queues: what sellers get, what buyers pay, how many asks and bids are let in. Each
    order is an interval of the cumulated energy; what of two intervals overlaps is a pair."""

    def intervals(orders: list[dict]) -> list[tuple[int, int]]:
        ends = [sum(order["left"] for order in orders[: index + 1]) for index in range(len(orders))]
        return list(zip([0, *ends], ends, strict=False))

    crossing = [
        (i, j)
        for i, sold in enumerate(intervals(asks))
        for j, bought in enumerate(intervals(bids))
        if max(sold[0], bought[0]) < min(sold[1], bought[1])
        and asks[i]["quote"] <= bids[j]["quote"]
        and (self_trade or asks[i]["owner"] != bids[j]["owner"])
    ]
    if not crossing:
        return None
    i, j = crossing[-1]
    low, high = asks[i]["quote"], bids[j]["quote"]
    if pricing == "clear":
        return (low + high) // 2, (low + high) // 2, i + 1, j + 1
    if i + 1 < len(asks) and j + 1 < len(bids):
        middle = (asks[i + 1]["quote"] + bids[j + 1]["quote"]) // 2
        if low <= middle <= high:
            return middle, middle, i + 1, j + 1
    return low, high, i, j


def run_stage(asks: list[dict], bids: list[dict], self_trade: bool, pricing: str = "midpoint") -> list[dict]:
    """Match in place (`left`) by 4.1.1 and 4.1.2; an order passes those of its own owner."""
    asks = sorted((order for order in asks if order["left"]), key=lambda order: (order["quote"], order["seq"]))
    bids = sorted((order for order in bids if order["left"]), key=lambda order: (-order["quote"], order["seq"]))
    prices = None if pricing == "midpoint" else one_price(asks, bids, self_trade, pricing)
    if pricing != "midpoint":
        asks, bids = ([], []) if prices is None else (asks[: prices[2]], bids[: prices[3]])
    trades = []
    for ask in asks:
        passed = 0
        for bid in bids:
            if not ask["left"] or bid["quote"] < ask["quote"]:
                break
            if not bid["left"]:
                continue
            if not self_trade and ask["owner"] == bid["owner"]:
                if passed == MAX_PASSED:
                    break
                passed += 1
                continue
            wh = min(ask["left"], bid["left"])
            price = (ask["quote"] + bid["quote"]) // 2 if prices is None else prices[0]
            extra = 0 if prices is None else amount(prices[1], wh) - amount(price, wh)
            mark = price if prices is None else (prices[0] + prices[1]) // 2
            ask["left"] -= wh
            bid["left"] -= wh
            trades.append(
                {"seller": ask["meter"], "buyer": bid["meter"], "wh": wh, "price": price, "surplus": extra,
                 "sell_seq": ask["seq"], "buy_seq": bid["seq"], "mark": mark}
            )  # fmt: skip
    return trades


def reference_price(trades: list[dict], hardened: bool, feed: int, retail: int) -> int:
    if not hardened:
        return sum(trade["mark"] for trade in trades) // len(trades)
    counted = [trade for trade in trades if trade["wh"] >= 100] or trades
    mean = sum(trade["mark"] * trade["wh"] for trade in counted) // sum(trade["wh"] for trade in counted)
    return max(feed, min(mean, retail))


def clear(
    orders: list[dict],
    *,
    feed: int,
    retail: int,
    hardened: bool = True,
    self_trade: bool = False,
    quotes: Any = None,
    pricing: str = "midpoint",
) -> dict:
    """Both stages. `quotes`: seq -> new price of `keep` orders re-quoted for stage 2."""
    book = [{**order, "left": order["wh"], "quote": order["price"]} for order in orders]
    asks = [order for order in book if order["side"] == "sell"]
    bids = [order for order in book if order["side"] == "buy"]
    stage1 = run_stage(asks, bids, self_trade, pricing)
    stage2: list[dict] = []
    pa = None
    if stage1 and any(order["left"] for order in asks) and any(order["left"] for order in bids):
        pa = reference_price(stage1, hardened, feed, retail)
        for order in book:
            if order["requote"] == "reference":
                if order["side"] == "sell":
                    order["quote"] = min(order["price"], max(pa, feed))
                else:
                    order["quote"] = max(order["price"], min(pa, retail))
            elif quotes and order["seq"] in quotes:
                order["quote"] = quotes[order["seq"]]
        stage2 = run_stage(asks, bids, self_trade, pricing)
    return {
        "stage1": stage1,
        "pa": pa,
        "stage2": stage2,
        "left": {order["seq"]: order["left"] for order in book if order["left"]},
        "unsold": sum(order["left"] for order in asks),
        "unmet": sum(order["left"] for order in bids),
    }


def settle(trades: list[dict], readings: dict, *, feed: int, retail: int) -> dict:
    """`readings`: meter -> (generation, use). Rule 6: per meter the lines with trades and grid, and the net."""
    lines = {}
    for meter, (generation, use) in readings.items():
        sold = sum(trade["wh"] for trade in trades if trade["seller"] == meter)
        bought = sum(trade["wh"] for trade in trades if trade["buyer"] == meter)
        earned = sum(amount(trade["price"], trade["wh"]) for trade in trades if trade["seller"] == meter)
        paid = sum(
            amount(trade["price"], trade["wh"]) + trade["surplus"] for trade in trades if trade["buyer"] == meter
        )
        shortfall = max(0, sold - generation)
        surplus = max(0, generation - sold)
        missing = max(0, use - bought)
        excess = max(0, bought - use)
        cost = amount(retail, shortfall + missing)
        income = amount(feed, surplus + excess)
        lines[meter] = {
            "sold_wh": sold,
            "bought_wh": bought,
            "grid_buy_wh": shortfall + missing,
            "grid_sell_wh": surplus + excess,
            "trade_receipts": earned,
            "trade_payments": paid,
            "grid_cost": cost,
            "grid_income": income,
            "net": earned - paid + income - cost,
        }
    return lines
