"""Random cases of markets A, B and C, their results from the naive models of the tests, run as files."""

from __future__ import annotations

import random
from typing import Any

import pytest
from naive_community import Slot, match, tier_of
from naive_market import clear, settle
from naive_wind import run_day

from node.conformance.runner import run_document

SEEDS = range(12)


def passes(mechanism: str, given: dict[str, Any], expect: dict[str, Any], seed: int) -> None:
    print("seed", seed)
    report = run_document({"mechanism": mechanism, "cases": [{"input": given, "expect": expect}]})
    assert report.first is None, report.first


def auction_orders(draw: random.Random) -> list[dict[str, Any]]:
    """Orders of at most four ids a side, some with several orders, ids of the two sides may be the same."""
    orders = []
    for seq in range(draw.randrange(14)):
        side = draw.choice(("sell", "buy"))
        name = f"n{draw.randrange(4)}"
        wh = draw.choice((0, draw.randrange(1, 900), 300))
        price = draw.choice((500_000, 560_000, draw.randrange(400_000, 720_000)))
        orders.append(
            {"seq": seq, "meter": (side, name), "owner": seq, "side": side, "wh": wh, "price": price, "id": name}
        )
    return orders


@pytest.mark.parametrize("seed", SEEDS)
def test_auctions(seed: int) -> None:
    draw = random.Random(seed)
    orders = auction_orders(draw)
    feed, retail = draw.choice(((450_000, 670_000), (530_000, 560_000)))
    by_id = {f"n{number}": draw.randrange(400_000, 720_000) for number in range(2)} if draw.random() < 0.5 else None
    for order in orders:
        order["requote"] = "reference" if by_id is None else "keep"
    quotes = {order["seq"]: by_id[order["id"]] for order in orders if by_id and order["id"] in by_id}
    model = clear(
        [order for order in orders if order["wh"]], feed=feed, retail=retail, hardened=False, self_trade=True,
        quotes=quotes,
    )  # fmt: skip
    total: dict[tuple[str, str], int] = {}
    for order in orders:
        total[order["meter"]] = total.get(order["meter"], 0) + order["wh"]
    readings = {who: (wh, 0) if who[0] == "sell" else (0, wh) for who, wh in total.items()}
    lines = settle([*model["stage1"], *model["stage2"]], readings, feed=feed, retail=retail)
    alone = settle([], readings, feed=feed, retail=retail)

    def shown(stage: str) -> list[list[Any]]:
        return [[row["seller"][1], row["buyer"][1], row["wh"], row["price"]] for row in model[stage]]

    def left(side: str) -> list[list[Any]]:
        found: dict[str, int] = {}
        for order in orders:
            if order["side"] == side and order["seq"] in model["left"]:
                found[order["id"]] = found.get(order["id"], 0) + model["left"][order["seq"]]
        return [[name, found[name]] for name in sorted(found)]

    def money(of: dict, side: str) -> dict[str, int]:
        return {who[1]: of[who]["net"] if side == "sell" else -of[who]["net"] for who in of if who[0] == side}

    rows = {
        side: [
            {name: order[name] for name in ("id", "price", "wh", "seq")} for order in orders if order["side"] == side
        ]
        for side in ("sell", "buy")
    }
    given = {
        "sellers": rows["sell"][::-1], "buyers": rows["buy"][::-1], "feed_price": feed, "retail_price": retail,
        "stage2_quotes": by_id,
    }  # fmt: skip
    expect = {
        "stage1": shown("stage1"), "pa": model["pa"], "stage2": shown("stage2"), "unsold": left("sell"),
        "unmet": left("buy"), "income": money(lines, "sell"), "cost": money(lines, "buy"),
        "income_grid_only": money(alone, "sell"), "cost_grid_only": money(alone, "buy"),
    }  # fmt: skip
    passes("c.auction", given, expect, seed)


def community_book(draw: random.Random) -> tuple[list[dict], list[dict]]:
    quotations = [
        {"seq": seq, "who": f"p{draw.randrange(3)}", "wh": draw.choice((300, draw.randrange(1, 900))),
         "price": draw.choice((70_000, 90_000, draw.randrange(60_000, 120_000)))}
        for seq in range(draw.randrange(5))
    ]  # fmt: skip
    bids = [
        {"seq": seq, "who": f"c{draw.randrange(4)}", "quotation": draw.randrange(6),
         "wh": draw.choice((0, 200, 300, draw.randrange(1, 1_200))),
         "price": draw.choice((90_000, 100_000, draw.randrange(60_000, 190_000)))}
        for seq in range(10, 10 + draw.randrange(12))
    ]  # fmt: skip
    return quotations, bids


@pytest.mark.parametrize("seed", SEEDS)
def test_communities(seed: int) -> None:
    draw = random.Random(seed)
    quotations, bids = community_book(draw)
    good = {f"{kind}{number}": draw.choice((0, 4, 5, 9, 10, 19, 20, 40)) for kind in "pc" for number in range(4)}
    waive = {f"c{number}": draw.random() < 0.3 for number in range(4)}
    priority, check_ask = draw.random() < 0.5, draw.random() < 0.7
    by_seq = {quotation["seq"]: quotation for quotation in quotations}
    valid: list[dict] = []
    for bid in bids:
        target = by_seq.get(bid["quotation"])
        taken = any((other["who"], other["quotation"]) == (bid["who"], bid["quotation"]) for other in valid)
        if (
            target
            and not taken
            and 1 <= bid["wh"] <= target["wh"]
            and (not check_ask or bid["price"] >= target["price"])
        ):
            valid.append({**bid, "owner": bid["who"], "tier": tier_of(good[bid["who"]]) if priority else 0})
    sold = [{**quotation, "owner": quotation["who"]} for quotation in quotations]
    trades, left, unsold = match(sold, valid, True)
    accepted = {bid["seq"]: bid for bid in valid}

    def status(seq: int) -> str:
        if seq not in accepted or left[seq] == accepted[seq]["wh"]:
            return "rejected"
        return "reserved" if left[seq] else "confirmed"

    rows = [
        {"offer": f"q{row['quotation']}", "bid": f"b{row['bid']}", "prosumer": row["seller"], "consumer": row["buyer"],
         "wh": row["wh"], "price": row["price"]}
        for row in trades
    ]  # fmt: skip
    params = {"priority": priority, "check_ask": check_ask}
    given = {
        "offers": [[f"q{row['seq']}", row["who"], row["wh"], row["price"], row["seq"]] for row in quotations[::-1]],
        "bids": [
            [f"b{row['seq']}", row["who"], f"q{row['quotation']}", row["wh"], row["price"], row["seq"]] for row in bids
        ],
        "params": params,
        "state": {"good": good},
    }
    expect = {
        "trades": rows,
        "status": {f"b{bid['seq']}": status(bid["seq"]) for bid in bids},
        "left_wh": {f"q{seq}": wh for seq, wh in unsold.items()},
    }
    passes("b.match", given, expect, seed)
    settlement(draw, trades, rows, good, waive, seed)


def settlement(draw: random.Random, trades: list[dict], rows: list[dict], good: dict, waive: dict, seed: int) -> None:
    readings, forecasts = {}, {}
    for name in good:
        side = "seller" if name[0] == "p" else "buyer"
        traded = sum(row["wh"] for row in trades if row[side] == name)
        wh = draw.choice((traded, traded * 97 // 100, traded * 95 // 100, traded * 90 // 100, draw.randrange(1_500)))
        readings[name] = (wh, 0) if name[0] == "p" else (0, wh)
        if name[0] == "p" and draw.random() < 0.5:
            forecasts[name] = draw.choice((wh, wh + 20, 400))
    sbp, ssp, fee = draw.randrange(50_000, 70_000), draw.randrange(150_000, 190_000), draw.choice((0, 1_999, 2_000))
    pool = draw.random() < 0.4
    model = Slot(trades, readings, forecasts, good, waive, (sbp, ssp, fee, pool))
    given = {
        "trades": rows,
        "generation_wh": {name: wh[0] for name, wh in readings.items() if name[0] == "p"},
        "use_wh": {name: wh[1] for name, wh in readings.items() if name[0] == "c"},
        "forecast_wh": forecasts,
        "state": {name: {"good": good[name], "waive": waive.get(name, False)} for name in good},
        "params": {"sbp": sbp, "ssp": ssp, "fee": fee, "excess_pool": pool},
    }
    expect = {
        "money": model.net,
        "grid": model.grid,
        "operator": model.operator,
        "state": {"good": model.good, "waive": model.waive},
    }
    passes("b.settle", given, expect, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_days_of_wind(seed: int) -> None:
    draw = random.Random(seed)
    hours = draw.randrange(1, 25)

    def listed(low: int, high: int) -> list[int]:
        return [draw.randrange(low, high) for _ in range(hours)]

    prosumers = [
        {"id": f"q{number}", "up": listed(0, 400), "down": listed(0, 400), "ch": draw.choice((5_000, 20_000, 60_000)),
         "dis": draw.choice((20_000, 50_000, 52_000))}
        for number in draw.sample(range(12), draw.randrange(8))
    ]  # fmt: skip
    forecast = listed(0, 2_000)
    given = {
        "forecast_wh": forecast,
        "actual_wh": [draw.choice((wh, max(0, wh + draw.randrange(-900, 900)))) for wh in forecast],
        "da_price": listed(30_000, 70_000),
        "p2p_price": [draw.choice((50_000, draw.randrange(30_000, 70_000))) for _ in range(hours)],
        "retail_price": listed(70_000, 110_000),
        "wpp_reputation_yesterday_ppm": draw.choice((0, 650_000, 900_001, 1_000_000, 1_100_000)),
        "N": draw.choice((0, 6, 24)),
        "V_wh": draw.choice((0, 1_000, 3_333)),
        "params": {
            "a1": 700_000,
            "b1": draw.choice((0, 200_000, 800_000, 1_000_000)),
            "s0": draw.choice((0, 50_000, 200_000)),
            "kb": draw.choice((500_000, 2_000_000)),
            "ks": draw.choice((500_000, 1_500_000)),
            "r_min": draw.choice((0, 0, 60_000)),
        },
        "prosumers": prosumers,
    }  # fmt: skip
    passes("a.day", given, run_day(given), seed)
