"""A day on the deployed market with the published options is the day of rule 2.5, number by number."""

from __future__ import annotations

import random
from typing import Any

import pytest
from naive_wind import run_day
from wind_world import OPERATOR, PUBLISHED, RETAIL, A, WindWorld, meter

HOURS = 6
NAMES = ("p1", "p2", "p3", "p4")
TERMS = {"b1": 300_000, "s0": 50_000, "kb": 500_000, "ks": 500_000, "r_min": 20_000}


def random_case(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    forecast = [rng.randrange(1, 3_000) for _ in range(HOURS)]

    def listed(low: int, high: int) -> list[int]:
        return [rng.randrange(low, high) for _ in range(HOURS)]

    return {
        "forecast_wh": forecast,
        "actual_wh": [max(0, wh + rng.choice((0, rng.randrange(-900, 900)))) for wh in forecast],
        "da_price": listed(20_000, 80_000),
        "p2p_price": listed(20_000, 100_000),
        "retail_price": [RETAIL] * HOURS,
        "wpp_reputation_yesterday_ppm": rng.randrange(300_000, 1_100_000),
        "N": HOURS,
        "V_wh": 2_000,
        "params": TERMS,
        "prosumers": [
            {"id": bytes(meter(name)), "up": listed(0, 400), "down": listed(0, 400), "ch": rng.randrange(60_000),
             "dis": rng.randrange(70_000)}
            for name in NAMES
        ],
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_a_published_day_is_the_day_of_the_rules(seed: int) -> None:
    print("seed", seed)
    case = random_case(seed)
    told = run_day(case)
    chain = WindWorld(
        **PUBLISHED, **TERMS, periods=HOURS, last_slot=HOURS - 1, late_slots=3 * HOURS, reference=case["V_wh"],
        first_reputation=case["wpp_reputation_yesterday_ppm"],
    )  # fmt: skip
    chain.join("w", "producer")
    for name in NAMES:
        chain.join(name, "prosumer")
    chain.go_slot(0, -4)
    chain.done(OPERATOR, A, "post_day", 0, case["da_price"])
    chain.done(OPERATOR, A, "post_prices", 0, case["p2p_price"])
    chain.offer("w", 0, case["forecast_wh"])
    for slot in range(HOURS):
        chain.announce("w", slot, case["actual_wh"][slot])
        for name, row in zip(NAMES, case["prosumers"], strict=True):
            chain.forecast(name, slot, 1_000)
            chain.reserve(name, slot, row["up"][slot], row["down"][slot], row["ch"], row["dis"])
    chain.go_slot(HOURS - 1, 1)
    for slot in range(HOURS):
        for name in ("w", *NAMES):
            chain.read(name, slot, case["actual_wh"][slot] if name == "w" else 0, 0)
    chain.go_slot(HOURS, 1)
    entries = [chain.entry(slot, "w") for slot in range(HOURS)]
    for slot, hour in enumerate(told["hours"]):
        found = [[bytes(meter(name)), wh] for _, name, wh in chain.trades(slot)]
        assert found == hour["match"], slot
        shown = chain.query(A, "balancing", slot, meter("w"))
        assert (shown["buy"], shown["sell"], shown["deviation"]) == (hour["buy"], hour["sell"], hour["dev"])
        assert shown["rest_wh"] == hour["rest"]
    assert sum(entry["net"] for entry in entries) == told["revenue"]
    for name in NAMES:
        assert chain.score(name, 0) == told["reputation"][bytes(meter(name))]
        paid = sum(chain.entry(slot, name)["p2p_money"] for slot in range(HOURS))
        assert -paid == told["prosumer_pay"][bytes(meter(name))]
    chain.assert_money_conserved()
