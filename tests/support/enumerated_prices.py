"""The bilevel problem of market A by brute force: every price list, each follower's best answer by a linear programme
of its own, written apart from the solver (states of charge as sums, one list of columns by kind)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

from contracts.solvers.price_problem import ONE, Follower, Problem, Store

KINDS = 5
TIE = 1e-5
"""Share of the leader's gain in a follower's objective: enough to break ties its way, too little to change an
answer."""


def random_problem(seed: int, followers: int, slots: int, tolerance: int = 2_000) -> Problem:
    rng = random.Random(seed)
    ahead = [rng.randrange(40_000, 80_000) for _ in range(slots)]
    deviation = [rng.choice((-1, 1)) * rng.randrange(500, 6_000) for _ in range(slots)]
    found = []
    for _ in range(followers):
        capacity = rng.randrange(1_000, 6_000)
        store = Store(
            capacity, capacity // 2, rng.randrange(800_000, 1_000_000), rng.randrange(4_000), rng.randrange(4_000),
            rng.randrange(capacity),
        )  # fmt: skip
        net = tuple(rng.randrange(-1_500, 2_500) for _ in range(slots))
        quota = tuple(rng.randrange(abs(wh) // followers + 1) for wh in deviation)
        found.append(Follower(store, net, quota))
    return Problem(
        0, tuple(price * 3 // 4 for price in ahead), tuple(price * 13 // 10 for price in ahead), tuple(deviation),
        tuple(found), 20_000, tuple(price * rng.randrange(105, 140) // 100 for price in ahead), tolerance,
    )  # fmt: skip


class Answer:
    """One follower; only its costs change with the price list."""

    def __init__(self, problem: Problem, follower: Follower) -> None:
        import highspy
        import numpy

        self.problem, self.follower, self.numpy = problem, follower, numpy
        self.solver = highspy.Highs()
        self.solver.setOptionValue("output_flag", False)
        count, store = len(problem.low), follower.store
        kept = store.efficiency / ONE
        tops: list[Sequence[float]] = [
            [1e9] * count, [1e9] * count, [store.power] * count, [store.power] * count, follower.quota,
        ]  # fmt: skip
        for top in itertools.chain.from_iterable(tops):
            self.solver.addVar(0.0, float(top))
        for at in problem.slots:
            columns = [at, count + at, 2 * count + at, 3 * count + at, 4 * count + at]
            net = float(follower.net[at])
            self._row(net, net, columns, [1.0, -1.0, -1.0, 1.0, problem.sign(at)])
            columns = [2 * count + earlier for earlier in range(at + 1)] + [3 * count + e for e in range(at + 1)]
            low, high = -float(store.soc), float(store.capacity - store.soc)
            if at + 1 == count:
                low = high = 0.0
            self._row(low, high, columns, [kept] * (at + 1) + [-1.0] * (at + 1))

    def _row(self, low: float, high: float, columns: list[int], values: list[float]) -> None:
        self.solver.addRow(low, high, len(columns), self.numpy.array(columns), self.numpy.array(values))

    def leader_gain(self, prices: Sequence[int]) -> float:
        """What the leader gains by this follower's trades, compared with balancing."""
        problem, store, count = self.problem, self.follower.store, len(prices)
        gains = [
            prices[at] - problem.low[at] if problem.sign(at) > 0 else problem.high[at] - prices[at]
            for at in problem.slots
        ]
        trade = [problem.sign(at) * prices[at] - TIE * gains[at] for at in problem.slots]
        costs = [*problem.retail, *[-problem.feed] * count, *[store.charge] * count, *[store.discharge] * count, *trade]
        every = self.numpy.arange(KINDS * count)
        self.solver.changeColsCost(KINDS * count, every, self.numpy.array(costs, dtype=float))
        self.solver.run()
        values: Any = self.solver.getSolution().col_value
        return sum(gains[at] * values[4 * count + at] for at in problem.slots)


def all_lists(problem: Problem, levels: Sequence[Sequence[int]]) -> dict[tuple[int, ...], float]:
    """The leader's gain of every price list."""
    answers = [Answer(problem, follower) for follower in problem.followers]
    return {prices: sum(answer.leader_gain(prices) for answer in answers) for prices in itertools.product(*levels)}
