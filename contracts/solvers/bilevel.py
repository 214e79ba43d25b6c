"""The bilevel problem of market A (rule 2.6): the leader's price list, among K levels a slot, at which its followers,
answering as is best for them, leave it most.

Followers are replaced by primal feasibility, dual feasibility and equality of both objectives (strong duality). Each
slot has one binary a level; what is traded and what energy is worth are split by level, bounded by the quota and by the
prices of the grid, which is always open: no other big numbers are needed. Long horizons are solved in overlapping
windows; then the followers' answers to the whole list are computed once more for all slots together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contracts.solvers.followers import add_follower, respond
from contracts.solvers.milp import Programme, SolverError
from contracts.solvers.price_problem import (
    ONE,
    Follower,
    Plan,
    Problem,
    Solution,
    arguments,
    leader_value,
    problem_of,
    refusals,
    score_of,
)
from contracts.values import Value

GAP_PPM = 5_000
"""How far a window's price list may be from its best one."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """`window` slots are solved at a time, `step` of them kept. `seconds` bounds one window; what the solver then has
    is taken, with its gap."""

    window: int = 6
    step: int = 3
    seconds: float = 20.0
    gap_ppm: float = GAP_PPM


def price_levels(problem: Problem, count: int) -> list[list[int]]:
    """At most `count` prices for each slot, evenly within its bounds, retail in place of the nearest if it lies there:
    there followers are indifferent."""
    rows = []
    for at in problem.slots:
        low, high = problem.low[at], problem.high[at]
        row = [low + (high - low) * step // max(1, count - 1) for step in range(count)]
        if low < problem.retail[at] < high:
            nearest = min(range(count), key=lambda step: abs(row[step] - problem.retail[at]))
            row[nearest] = problem.retail[at]
        rows.append(sorted(set(row)))
    return rows


def middle_prices(problem: Problem) -> list[int]:
    """What the market takes where nobody posts prices."""
    return [(low + high) // 2 for low, high in zip(problem.low, problem.high, strict=True)]


class _Model:
    """One mixed-integer programme over weighted scenarios that share the price list."""

    def __init__(self, levels: Sequence[Sequence[int]]) -> None:
        self.levels = levels
        self.programme = Programme()
        self.chosen = [[self.programme.column(high=1.0, whole=True) for _ in row] for row in levels]
        for row in self.chosen:
            self.programme.row([(column, 1.0) for column in row], 1.0, 1.0)

    def add(self, problem: Problem, weight: float) -> None:
        """A scenario: its followers, and what the leader gains by their trades."""
        for follower in problem.followers:
            if any(follower.quota):
                self._follower(problem, follower, weight)

    def _follower(self, problem: Problem, follower: Follower, weight: float) -> None:
        programme, slots = self.programme, problem.slots
        traded: list[list[int]] = []
        for at in slots:
            row = []
            for column, price in zip(self.chosen[at], self.levels[at], strict=True):
                if follower.quota[at]:
                    gain = price - problem.low[at] if problem.sign(at) > 0 else problem.high[at] - price
                    row.append(programme.column(high=follower.quota[at], gain=weight * gain))
                    programme.row([(row[-1], 1.0), (column, -follower.quota[at])], high=0.0)
            traded.append(row)
        block = add_follower(programme, problem, follower, traded)
        terms = self._dual(problem, follower)
        terms += [(column, -value) for column, value in block.costs(problem, follower)]
        for at in slots:
            for column, price in zip(traded[at], self.levels[at], strict=False):
                terms.append((column, -problem.sign(at) * price))
        programme.row(terms, low=0.0)

    def _dual(self, problem: Problem, follower: Follower) -> list[tuple[int, float]]:
        """Dual feasibility; returns the terms of the dual objective."""
        programme, store, slots = self.programme, follower.store, problem.slots
        most = max(problem.retail) + store.charge
        stored = [programme.column(high=most * ONE / store.efficiency) for _ in slots]
        objective = {stored[0]: -float(store.soc)}
        objective[stored[-1]] = objective.get(stored[-1], 0.0) + store.soc
        for at in slots:
            worth = self._worth(problem, follower, at, objective)
            if store.power:
                charging, discharging = programme.column(), programme.column()
                objective[charging] = objective[discharging] = -float(store.power)
                kept = store.efficiency / ONE
                parts = [(column, 1.0) for column in worth]
                programme.row([(charging, 1.0), (stored[at], -kept), *parts], low=-store.charge)
                parts = [(column, -1.0) for column in worth]
                programme.row([(discharging, 1.0), (stored[at], 1.0), *parts], low=-store.discharge)
            if at:
                full = programme.column()
                objective[full] = -float(store.capacity)
                programme.row([(full, 1.0), (stored[at], -1.0), (stored[at - 1], 1.0)], low=0.0)
        return list(objective.items())

    def _worth(self, problem: Problem, follower: Follower, at: int, objective: dict[int, float]) -> list[int]:
        """Columns whose sum is what energy is worth in a slot; one a level where there is a quota."""
        programme, net, quota = self.programme, follower.net[at], follower.quota[at]
        if not quota:
            column = programme.column(problem.feed, problem.retail[at])
            objective[column] = float(net)
            return [column]
        row = []
        for chosen, price in zip(self.chosen[at], self.levels[at], strict=True):
            worth, scarce = programme.column(), programme.column()
            programme.row([(worth, 1.0), (chosen, -problem.feed)], low=0.0)
            programme.row([(worth, 1.0), (chosen, -problem.retail[at])], high=0.0)
            sign = problem.sign(at)
            programme.row([(scarce, 1.0), (worth, -sign), (chosen, sign * price)], low=0.0)
            objective[worth], objective[scarce] = float(net), -float(quota)
            row.append(worth)
        return row

    def solve(self, horizon: Horizon) -> tuple[list[int], float]:
        """The price list and its gap (ppm)."""
        found = self.programme.solve(horizon.gap_ppm, horizon.seconds)
        prices = [
            row[max(range(len(row)), key=lambda step: found.values[self.chosen[at][step]])]
            for at, row in enumerate(self.levels)
        ]
        return prices, found.gap_ppm


def solve(problem: Problem, levels: Sequence[Sequence[int]], horizon: Horizon | None = None) -> Solution:
    """The price list for a sheet, never worth less than the middle of the bounds, which holds without one. Raise
    `SolverError` if there is no solver, or if it finds nothing in time."""
    horizon = horizon or Horizon()
    prices: list[int] = []
    widest = 0.0
    charged = [follower.store.soc for follower in problem.followers]
    while len(prices) < len(problem.low):
        begin = len(prices)
        end = min(len(problem.low), begin + horizon.window)
        part = _part(problem, begin, end, charged)
        found, gap = _priced(part, levels[begin:end], horizon)
        widest = max(widest, gap)
        kept = len(found) if end == len(problem.low) else min(horizon.step, len(found))
        if kept < len(found):
            charged = _charged(part, respond(part, found), kept)
        prices += found[:kept]
    return max(
        (Solution(tuple(row), respond(problem, row), widest) for row in (prices, middle_prices(problem))),
        key=lambda solution: score_of(problem, solution),
    )


def submission(sheet: Mapping[str, Any], levels: int = 5, horizon: Horizon | None = None) -> list[Value]:
    """What to do about an open sheet: the view `wind_prices.sheet` in, the arguments of `wind_prices.submit` out. Raise
    `SolverError` without a solver, without a price list in time, or if the contract would refuse what was found."""
    problem = problem_of(sheet)
    found = solve(problem, price_levels(problem, levels), horizon)
    if refused := refusals(problem, found):
        raise SolverError(
            "whole numbers are too coarse for this sheet",
            expected=f"gaps of at most {problem.tolerance} ppm",
            found="; ".join(refused),
            fix="withhold it: without a solution the middle of the balancing prices holds",
        )
    return arguments(problem, found)


def _priced(problem: Problem, levels: Sequence[Sequence[int]], horizon: Horizon) -> tuple[list[int], float]:
    model = _Model(levels)
    model.add(problem, 1.0)
    return model.solve(horizon)


def _part(problem: Problem, begin: int, end: int, charged: Sequence[int]) -> Problem:
    """Some slots of a problem, storages as they are then; they end as full as they began."""
    followers = tuple(
        Follower(replace(follower.store, soc=soc), follower.net[begin:end], follower.quota[begin:end])
        for follower, soc in zip(problem.followers, charged, strict=True)
    )
    return replace(
        problem, first=problem.first + begin, low=problem.low[begin:end], high=problem.high[begin:end],
        deviation=problem.deviation[begin:end], followers=followers, retail=problem.retail[begin:end],
    )  # fmt: skip


def _charged(problem: Problem, plans: Sequence[Plan], kept: int) -> list[int]:
    """States of charge after some slots, whole Wh."""
    found = []
    for follower, plan in zip(problem.followers, plans, strict=True):
        store = follower.store
        inside = store.efficiency * sum(plan.charge[:kept]) // ONE - sum(plan.discharge[:kept])
        found.append(min(store.capacity, max(0, store.soc + inside)))
    return found


@dataclass(frozen=True, slots=True)
class Scenario:
    """A weighted problem; all of a set have the same slots. `weight`: probability in ppm."""

    weight: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Expectation:
    """The price list of the stochastic form; expected leader's value of it, and of the list that is best for the mean
    scenario. Their difference is the value of the stochastic solution."""

    prices: tuple[int, ...]
    value: float
    of_mean: float
    gap_ppm: float

    @property
    def worth(self) -> float:
        """The value of the stochastic solution, price * Wh."""
        return self.value - self.of_mean


def solve_stochastic(
    scenarios: Sequence[Scenario], mean: Problem, levels: Sequence[Sequence[int]], horizon: Horizon | None = None
) -> Expectation:
    """Rule 2.6, stochastic form: first stage the price list, second stage volumes. `mean`: the problem of the expected
    scenario. The whole horizon is one programme. Raise `SolverError`."""
    horizon = horizon or Horizon()
    model = _Model(levels)
    for scenario in scenarios:
        model.add(scenario.problem, scenario.weight / ONE)
    prices, gap = model.solve(horizon)
    alone, _ = _priced(mean, levels, horizon)
    return Expectation(tuple(prices), expected_value(scenarios, prices), expected_value(scenarios, alone), gap)


def expected_value(scenarios: Sequence[Scenario], prices: Sequence[int]) -> float:
    """What a price list is worth to the leader over the scenarios, followers answering in each."""
    return sum(
        scenario.weight / ONE * leader_value(scenario.problem, prices, respond(scenario.problem, prices))
        for scenario in scenarios
    )
