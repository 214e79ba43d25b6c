"""Rule 2.6 off the chain: the solver's price list is the best of all lists, its integers are what the contract asks
for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from enumerated_prices import all_lists, random_problem

from contracts.solvers.bilevel import (
    Horizon,
    Scenario,
    expected_value,
    middle_prices,
    price_levels,
    solve,
    solve_stochastic,
)
from contracts.solvers.followers import respond
from contracts.solvers.milp import Programme, SolverError, installed
from contracts.solvers.price_problem import Problem, bound_of, cost_of, leader_value, refusals

pytestmark = pytest.mark.skipif(not installed(), reason="highspy is not installed (extra: solvers)")
WHOLE = Horizon(window=5, step=5, gap_ppm=0.0)


def balanced(problem: Problem) -> int:
    """The leader's value of no trade at all."""
    pairs = zip(problem.deviation, problem.low, problem.high, strict=True)
    return sum(wh * (low if wh > 0 else high) for wh, low, high in pairs)


@pytest.mark.parametrize("seed", range(3))
def test_three_prosumers_five_hours_four_levels_equal_the_enumeration_of_all_lists(seed: int) -> None:
    print("seed", seed)
    problem = random_problem(seed, 3, 5)
    levels = price_levels(problem, 4)
    lists = all_lists(problem, levels)
    assert len(lists) == 4**5
    best = max(lists.values())
    found = solve(problem, levels, WHOLE)
    assert lists[found.prices] == pytest.approx(best, rel=1e-5)
    assert leader_value(problem, found.prices, found.plans) - balanced(problem) == pytest.approx(best, rel=3e-3)
    assert min(lists.values()) < best / 2, "any list would do"
    assert found.gap_ppm < 10


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_exactly_feasible_and_within_the_tolerance(seed: int) -> None:
    print("seed", seed)
    problem = random_problem(seed, 6, 9)
    for prices in (problem.low, middle_prices(problem), problem.high):
        for follower, plan in zip(problem.followers, respond(problem, prices), strict=True):
            cost, bound = cost_of(problem, follower, prices, plan), bound_of(problem, follower, prices, plan)
            assert cost is not None
            assert bound is not None
            assert cost >= bound
    found = solve(problem, price_levels(problem, 3), Horizon(window=3, step=3))
    assert refusals(problem, found) == []


def test_long_horizons_are_solved_in_windows_and_beat_the_middle_price() -> None:
    problem = random_problem(5, 5, 12)
    middle = middle_prices(problem)
    found = solve(problem, price_levels(problem, 4), Horizon(window=6, step=3))
    assert found.gap_ppm <= 5_000
    assert leader_value(problem, found.prices, found.plans) >= leader_value(problem, middle, respond(problem, middle))


def test_the_stochastic_list_is_worth_no_less_than_that_of_the_mean_scenario() -> None:
    base = random_problem(3, 3, 4)
    cheaper = tuple(price * 9 // 10 for price in base.retail)
    turned = replace(base, deviation=tuple(-wh for wh in base.deviation), retail=cheaper)
    worlds = [Scenario(300_000, base), Scenario(700_000, turned)]
    levels = price_levels(base, 4)
    found = solve_stochastic(worlds, base, levels, Horizon(gap_ppm=0.0))
    assert found.value == pytest.approx(expected_value(worlds, found.prices))
    assert found.worth >= -1e-5 * abs(found.value)
    assert found.worth > 0, "the mean scenario's list is as good: the test shows nothing"


def test_a_programme_without_a_solution_says_what_to_do() -> None:
    programme = Programme()
    column = programme.column(high=1.0, whole=True)
    programme.row([(column, 1.0)], low=2.0)
    with pytest.raises(SolverError, match="no solution"):
        programme.solve()
