"""The bilevel problem of market A (rule 2.6) in integers: its data, a solution, and the check of the contract
`wind_prices`, written once more so that a solver knows what the contract will say.

Wh, micro-currency per kWh, ppm. Objectives are in price * Wh (micro-currency times 1,000).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.values import Value

ONE: Final = 1_000_000
GAP_WEIGHT: Final = 2


@dataclass(frozen=True, slots=True)
class Store:
    """A follower's storage: Wh, Wh a slot, ppm kept of what is charged, costs per kWh, state of charge before the first
    slot (Wh)."""

    capacity: int
    power: int
    efficiency: int
    charge: int
    discharge: int
    soc: int


@dataclass(frozen=True, slots=True)
class Follower:
    """A prosumer: its storage, load less generation and quota of each slot (Wh)."""

    store: Store
    net: tuple[int, ...]
    quota: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A sheet. By slot: `low` and `high`, what the leader gets and pays for balancing energy, between which the price
    lies; `deviation` (Wh, above 0: surplus, which followers buy; below: deficit, which they cover)."""

    first: int
    low: tuple[int, ...]
    high: tuple[int, ...]
    deviation: tuple[int, ...]
    followers: tuple[Follower, ...]
    feed: int
    retail: tuple[int, ...]
    tolerance: int

    @property
    def slots(self) -> range:
        """Positions of the slots."""
        return range(len(self.low))

    def sign(self, at: int) -> int:
        """1 where followers buy, -1 where they sell."""
        return -1 if self.deviation[at] < 0 else 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How a follower answers, Wh by slot, and what energy is worth to it at the meter and in the storage."""

    charge: tuple[int, ...]
    discharge: tuple[int, ...]
    traded: tuple[int, ...]
    worth: tuple[int, ...]
    stored: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Solution:
    """A price list with the followers' answers. `gap_ppm`: the widest gap that the solver left in a window."""

    prices: tuple[int, ...]
    plans: tuple[Plan, ...]
    gap_ppm: float = 0.0


def problem_of(sheet: Mapping[str, Any]) -> Problem:
    """From the view `sheet` of the contract."""
    followers = tuple(
        Follower(Store(*store), tuple(net), tuple(quota))
        for store, net, quota in zip(sheet["stores"], sheet["net"], sheet["quota"], strict=True)
    )
    return Problem(
        int(sheet["first"]), tuple(sheet["low"]), tuple(sheet["high"]), tuple(sheet["deviation"]), followers,
        int(sheet["feed"]), (int(sheet["retail"]),) * len(sheet["low"]), int(sheet["tolerance"]),
    )  # fmt: skip


def cost_of(problem: Problem, follower: Follower, prices: Sequence[int], plan: Plan) -> int | None:
    """What a plan costs its follower; None if it is not feasible."""
    store = follower.store
    level, cost = store.soc * ONE, 0
    for at in problem.slots:
        charge, discharge, traded, sign = plan.charge[at], plan.discharge[at], plan.traded[at], problem.sign(at)
        level += store.efficiency * charge - ONE * discharge
        in_range = 0 <= charge <= store.power and 0 <= discharge <= store.power and 0 <= traded <= follower.quota[at]
        if not in_range or not 0 <= level <= store.capacity * ONE:
            return None
        rest = follower.net[at] + charge - discharge - sign * traded
        cost += sign * prices[at] * traded + (problem.retail[at] if rest > 0 else problem.feed) * rest
        cost += store.charge * charge + store.discharge * discharge
    return cost if level >= store.soc * ONE else None


def bound_of(problem: Problem, follower: Follower, prices: Sequence[int], plan: Plan) -> int | None:
    """The dual objective at a plan's shadow prices: no feasible plan costs less. None if they are not dual feasible."""
    store, count = follower.store, len(prices)
    total = small = 0
    for at in problem.slots:
        worth, stored = plan.worth[at], plan.stored[at]
        if not problem.feed <= worth <= problem.retail[at] or stored < 0:
            return None
        total += worth * follower.net[at]
        total -= follower.quota[at] * max(0, problem.sign(at) * (worth - prices[at]))
        small -= store.power * max(0, store.efficiency * stored - ONE * (store.charge + worth))
        total -= store.power * max(0, worth - store.discharge - stored)
        if at + 1 < count:
            total -= store.capacity * max(0, plan.stored[at + 1] - stored)
    total += store.soc * (plan.stored[-1] - plan.stored[0])
    return total + small // ONE


def allowed_gap(problem: Problem, follower: Follower) -> int:
    """How far cost and bound may be apart: the tolerance of all that a follower can move, and two Wh a slot, at
    retail."""
    moved = follower.store.capacity + sum(map(abs, follower.net)) + sum(follower.quota)
    return max(problem.retail) * (problem.tolerance * moved // ONE + 2 * len(problem.low))


def leader_value(problem: Problem, prices: Sequence[int], plans: Sequence[Plan]) -> int:
    """What the producers get on the real-time and the balancing floor."""
    value = 0
    for at in problem.slots:
        traded = sum(plan.traded[at] for plan in plans)
        if problem.sign(at) < 0:
            value -= prices[at] * traded + problem.high[at] * (-problem.deviation[at] - traded)
        else:
            value += prices[at] * traded + problem.low[at] * (problem.deviation[at] - traded)
    return value


def score_of(problem: Problem, solution: Solution) -> int:
    """What solutions compete by: the leader's value less the followers' gaps twice. Plans are feasible."""
    gaps = 0
    for follower, plan in zip(problem.followers, solution.plans, strict=True):
        cost = cost_of(problem, follower, solution.prices, plan)
        bound = bound_of(problem, follower, solution.prices, plan)
        assert cost is not None, "followers answer with feasible plans"
        assert bound is not None, "shadow prices are kept within the grid's prices"
        gaps += cost - bound
    return leader_value(problem, solution.prices, solution.plans) - GAP_WEIGHT * gaps


def digest(numbers: Sequence[int]) -> bytes:
    """SHA-256 of the numbers of a solution, in decimal with commas between them."""
    return hashlib.sha256(",".join(map(str, numbers)).encode()).digest()


def arguments(problem: Problem, solution: Solution) -> list[Value]:
    """The arguments of `wind_prices.submit`."""
    plans: list[Value] = [[list(plan.charge), list(plan.discharge), list(plan.traded)] for plan in solution.plans]
    duals: list[Value] = [[list(plan.worth), list(plan.stored)] for plan in solution.plans]
    numbers: list[int] = [problem.first, *solution.prices]
    for plan in solution.plans:
        numbers += [*plan.charge, *plan.discharge, *plan.traded]
    for plan in solution.plans:
        numbers += [*plan.worth, *plan.stored]
    claims: list[Value] = []
    for follower, plan in zip(problem.followers, solution.plans, strict=True):
        cost = cost_of(problem, follower, solution.prices, plan)
        bound = bound_of(problem, follower, solution.prices, plan)
        claim = [-1 if cost is None else cost, -1 if bound is None else bound]
        claims.append([*claim])
        numbers += claim
    leader = leader_value(problem, solution.prices, solution.plans)
    return [
        problem.first, list(solution.prices), plans, duals, claims, leader, digest([*numbers, leader]),
    ]  # fmt: skip


def refusals(problem: Problem, solution: Solution) -> list[str]:
    """What the contract would not accept, in words; empty for a solution."""
    found = [
        f"slot {at}: price {price} outside {problem.low[at]} .. {problem.high[at]}"
        for at, price in enumerate(solution.prices)
        if not problem.low[at] <= price <= problem.high[at]
    ]
    for number, (follower, plan) in enumerate(zip(problem.followers, solution.plans, strict=True)):
        cost = cost_of(problem, follower, solution.prices, plan)
        bound = bound_of(problem, follower, solution.prices, plan)
        if cost is None or bound is None:
            found.append(f"follower {number}: infeasible")
        elif cost - bound > allowed_gap(problem, follower):
            found.append(f"follower {number}: gap {cost - bound} above {allowed_gap(problem, follower)}")
    return found
