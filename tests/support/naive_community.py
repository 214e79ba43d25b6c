"""Section 3 of the market rules once more, on plain dicts and written apart from the contract, to compare against.

Quotations are dicts {seq, who, owner, wh, price}, bids {seq, who, owner, quotation, wh, price, tier}. Trades are dicts
{bid, quotation, seller, buyer, wh, price}. Nothing here is fast, bounded or persistent.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

ONE = 1_000_000


def money(price: int, wh: int) -> int:
    return floor(Fraction(price * wh, 1000))


def tier_of(good: int) -> int:
    return next((share for least, share in ((20, 60), (10, 40), (5, 20)) if good >= least), 0)


def match(
    quotations: list[dict], bids: list[dict], self_trade: bool
) -> tuple[list[dict], dict[int, int], dict[int, int]]:
    """Trades in match order, what is left of each bid and of each quotation."""
    left_bid = {bid["seq"]: bid["wh"] for bid in bids}
    left_quotation = {quotation["seq"]: quotation["wh"] for quotation in quotations}
    trades = []

    def trade(quotation: dict, bid: dict) -> None:
        wh = min(left_quotation[quotation["seq"]], left_bid[bid["seq"]])
        if wh and (self_trade or quotation["owner"] != bid["owner"]):
            left_quotation[quotation["seq"]] -= wh
            left_bid[bid["seq"]] -= wh
            trades.append(
                {"bid": bid["seq"], "quotation": quotation["seq"], "seller": quotation["who"], "buyer": bid["who"],
                 "wh": wh, "price": bid["price"]}
            )  # fmt: skip

    ranked = sorted(bids, key=lambda bid: bid["seq"])
    ranked.sort(key=lambda bid: bid["wh"], reverse=True)
    ranked.sort(key=lambda bid: bid["price"] * bid["wh"], reverse=True)
    ranked.sort(key=lambda bid: bid["tier"], reverse=True)
    by_seq = sorted(quotations, key=lambda quotation: quotation["seq"])
    for quotation in by_seq:
        for bid in ranked:
            if bid["quotation"] == quotation["seq"]:
                trade(quotation, bid)
    for bid in ranked:
        for quotation in by_seq:
            if quotation["price"] <= bid["price"]:
                trade(quotation, bid)
    return trades, left_bid, left_quotation


def shares(total: int, weights: list[int]) -> list[int]:
    if not sum(weights):
        return [0 for _ in weights]
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    found = [floor(part) for part in exact]
    for at, weight in enumerate(weights):
        if sum(found) < total and found[at] < weight:
            found[at] += 1
    return found


class Slot:
    """One settlement. `terms`: sbp, ssp, fee, pool. By member: readings (generation, use), forecasts, good, waive."""

    def __init__(
        self, trades: list[dict], readings: dict, forecasts: dict, good: dict, waive: dict, terms: Any
    ) -> None:
        self.trades, self.readings, self.terms = trades, readings, terms
        self.sbp, self.ssp, self.fee, self.pool = terms
        self.good, self.waive = dict(good), dict(waive)
        self.before = dict(good)
        self.net = dict.fromkeys(readings, 0)
        self.grid = self.operator = 0
        self.delivered = [0] * len(trades)
        self.short = [False] * len(trades)
        self.inside: dict[Any, bool] = {}
        self.deliver()
        self.charge()
        self.judge(forecasts)
        self.share_the_rest()

    def of(self, side: str, who: Any) -> list[int]:
        return [at for at, trade in enumerate(self.trades) if trade[side] == who]

    def deliver(self) -> None:
        for seller in self.readings:
            mine = self.of("seller", seller)
            volumes = [self.trades[at]["wh"] for at in mine]
            metered = self.readings[seller][0]
            parts = volumes if metered >= sum(volumes) else shares(metered, volumes)
            below = Fraction(metered) < Fraction(95, 100) * sum(volumes)
            for at, part in zip(mine, parts, strict=True):
                trade = self.trades[at]
                self.delivered[at] = part
                paid = money(trade["price"], part)
                missing = money(trade["price"], trade["wh"] - part)
                subsidy = missing // 10 if below else 0
                self.short[at] = below and part < trade["wh"]
                self.net[seller] += paid - subsidy
                self.net[trade["buyer"]] += subsidy - paid

    def charge(self) -> None:
        for at, trade in enumerate(self.trades):
            for who, waivable in ((trade["buyer"], True), (trade["seller"], False)):
                fee = self.fee * (100 - tier_of(self.before.get(who, 0))) // 100
                if waivable and self.short[at]:
                    fee, self.waive[who] = 0, True
                elif waivable and self.waive.get(who):
                    fee, self.waive[who] = 0, False
                self.net[who] -= fee
                self.operator += fee

    def judge(self, forecasts: dict) -> None:
        for who, (generation, use) in self.readings.items():
            sold = sum(self.trades[at]["wh"] for at in self.of("seller", who))
            bought = sum(self.trades[at]["wh"] for at in self.of("buyer", who))
            for volume, real, promised in ((sold, generation, forecasts.get(who, sold)), (bought, use, bought)):
                if volume:
                    self.inside[who] = 20 * abs(real - promised) <= promised
                    self.good[who] = self.good.get(who, 0) + int(self.inside[who])

    def share_the_rest(self) -> None:
        over, under = {}, {}
        for who, (generation, use) in self.readings.items():
            out = sum(self.delivered[at] for at in self.of("seller", who))
            came = sum(self.delivered[at] for at in self.of("buyer", who))
            over[who] = generation - out + max(0, came - use)
            under[who] = max(0, use - came)
        if self.pool:
            rank = sorted(self.readings, key=lambda who: (-self.before.get(who, 0), who))
            for giver in rank:
                for taker in rank:
                    if wh := min(over[giver], under[taker]):
                        over[giver] -= wh
                        under[taker] -= wh
                        price = money((self.sbp + self.ssp) // 2, wh)
                        self.net[giver] += price
                        self.net[taker] -= price
        for who in self.readings:
            line = money(self.sbp, over[who]) - money(self.ssp, under[who])
            self.net[who] += line
            self.grid -= line
