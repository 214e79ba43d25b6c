"""Rules 2.2 to 2.5 of the market rules once more, for one day, written apart from the contract, to compare against."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

ONE = 1_000_000


def part(value: int, whole: int) -> int:
    return floor(Fraction(min(value, whole), whole) * ONE) if whole else 0


def run_day(case: dict[str, Any]) -> dict[str, Any]:
    """A case of `a.day` with all parameters; returns what it expects."""
    params, members = case["params"], case["prosumers"]
    missing = ONE - min(ONE, case["wpp_reputation_yesterday_ppm"])
    dearer = params["s0"] + params["kb"] * missing // ONE
    cheaper = min(ONE, params["s0"] + params["ks"] * missing // ONE)
    count = {member["id"]: [0, 0] for member in members}
    pay = dict.fromkeys(count, 0)
    hours, revenue, alone = [], 0, 0

    def score(name: str) -> int:
        taken, moved = count[name]
        weight = params["b1"]
        return (weight * part(taken, case["N"]) + (ONE - weight) * part(moved, case["V_wh"])) // ONE

    for t, (fore, real, ahead, price, retail) in enumerate(
        zip(
            *(case[name] for name in ("forecast_wh", "actual_wh", "da_price", "p2p_price", "retail_price")), strict=True
        )
    ):
        buy, sell = ahead * (ONE + dearer) // ONE, ahead * (ONE - cheaper) // ONE
        rest, surplus, match = abs(real - fore), real > fore, []
        before = {name: score(name) for name in count}
        queue = sorted(members, key=lambda member: member["id"])
        queue.sort(key=lambda member: before[member["id"]], reverse=True)
        for member in queue:
            willing = price + member["ch"] <= retail if surplus else member["dis"] <= price
            if willing and not (t and before[member["id"]] < params["r_min"]):
                wh = min(rest, member["down" if surplus else "up"][t])
                if wh:
                    rest -= wh
                    match.append([member["id"], wh])
        sign = 1 if surplus else -1
        for name, wh in match:
            money = sign * (price * wh // 1000)
            revenue += money
            pay[name] += money
            count[name][0] += 1
            count[name][1] += wh
        balancing = sell if surplus else buy
        revenue += ahead * fore // 1000 + sign * (balancing * rest // 1000)
        alone += ahead * fore // 1000 + sign * (balancing * abs(real - fore) // 1000)
        hours.append({"t": t, "buy": buy, "sell": sell, "dev": real - fore, "match": match, "rest": rest})
    reputation = {name: score(name) for name in count}
    return {
        "hours": hours, "revenue": revenue, "revenue_no_p2p": alone, "prosumer_pay": pay, "reputation": reputation,
    }  # fmt: skip
