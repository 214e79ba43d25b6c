"""Random days of market A at solved prices, with outages and late readings: money and energy are conserved, nothing
stays locked, and every member's price is within the balancing prices."""

from __future__ import annotations

import random

import pytest
from price_world import PRICES, PriceWorld
from wind_world import OPERATOR, A

from contracts.solvers.bilevel import Horizon, submission
from contracts.solvers.milp import installed

SLOTS = 4


@pytest.mark.skipif(not installed(), reason="highspy is not installed (extra: solvers)")
@pytest.mark.parametrize("seed", range(3))
def test_days_at_solved_prices_conserve_money_and_energy(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    hardened = {"metered": True, "clamp": True, "tiny": False} if seed % 2 else {}
    chain = PriceWorld(20 + seed, 5, SLOTS, **hardened)
    problem = chain.sheet()
    values = submission(chain.query(PRICES, "sheet", 0), 4, Horizon(window=SLOTS, step=SLOTS))
    chain.done(OPERATOR, PRICES, "submit", *values)
    late: list[tuple[str, int]] = []
    for slot in range(SLOTS):
        chain.go_slot(slot, 1)
        shown = chain.query(A, "slot", slot)
        assert problem.low[slot] <= shown["p2p_price"] <= problem.high[slot]
        for name in chain.names:
            outage = rng.random()
            if outage < 0.2:
                late.append((name, slot))
            elif outage < 0.9:
                wh = rng.randrange(9_000 if name == "w" else 3_000)
                chain.read(name, slot, *((wh, 0) if name == "w" else (0, wh)))
    chain.go_slot(SLOTS, 8)
    for name, slot in late:
        chain.read(name, slot, 0, rng.randrange(500))
    chain.go_slot(SLOTS, 20)
    assert len(chain.events("SlotSettled")) == SLOTS
    for slot in range(SLOTS):
        entries = [chain.entry(slot, name) for name in chain.names]
        assert sum(row["p2p_sold_wh"] for row in entries) == sum(row["p2p_bought_wh"] for row in entries)
        assert sum(row["p2p_money"] + row["shortfall"] for row in entries) == 0
    assert sum(len(chain.query(A, "trades_of", slot)) for slot in range(SLOTS)) > 0
    chain.assert_closed()
