"""`WindWorld` with a day whose prices a solver may set: one producer with surplus and deficit hours, prosumers with
storages, reserves and forecasts, up to the time at which the sheet may be opened."""

from __future__ import annotations

import random
from typing import Any

from wind_world import OPERATOR, PUBLISHED, A, WindWorld, address

from contracts.solvers.price_problem import Problem, problem_of

PRICES = "wind_prices"
MINUTE = 60_000


class PriceWorld(WindWorld):
    """`slots` an only day; day-ahead prices are the operator's list. Capacity of a storage: 1,000 .. 5,000 Wh."""

    def __init__(self, seed: int, followers: int, slots: int, **changes: Any) -> None:
        rng = random.Random(seed)
        given = {"last_slot": slots - 1, "late_slots": 3 * slots, "tolerance": 3_000, **PUBLISHED, **changes}
        super().__init__(periods=slots, **given)
        self.join("w", "producer")
        self.slots = slots
        self.followers = [f"p{at}" for at in range(followers)]
        for name in self.followers:
            self.join(name, "prosumer", watts=5_000)
            capacity = rng.randrange(1_000, 5_000)
            self.done(
                address(name), PRICES, "declare", capacity, min(5_000, capacity // 2),
                rng.randrange(800_000, 1_000_000), rng.randrange(3_000), rng.randrange(3_000), rng.randrange(capacity),
            )  # fmt: skip
        self.go_slot(0, -4)
        self.done(OPERATOR, A, "post_day", 0, [rng.randrange(50_000, 90_000) for _ in range(slots)])
        wh = [rng.randrange(3_000, 9_000) for _ in range(slots)]
        self.offer("w", 0, wh)
        for slot in range(slots):
            self.announce("w", slot, max(0, wh[slot] + rng.choice((-1, 1)) * rng.randrange(200 * followers)))
            for name in self.followers:
                self.forecast(name, slot, rng.randrange(200, 3_000))
                self.done(address(name), A, "reserve", slot, rng.randrange(900), rng.randrange(900), 1_000, 1_000, 900)
        self.go_slot(0, -2)
        self.go(self.start(0) - 90 * MINUTE)

    def sheet(self) -> Problem:
        """The frozen problem, opened if need be."""
        if self.query(PRICES, "sheet", 0) is None:
            self.done(OPERATOR, PRICES, "open_sheet", 0)
        return problem_of(self.query(PRICES, "sheet", 0))


__all__ = ["MINUTE", "PRICES", "PriceWorld"]
