"""assignment: the best one against brute force, the bounds, what a solution from outside must satisfy, the solver."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from contracts.library_sources import library_source
from contracts.solvers.assignment import Solution, solve
from gridchain.testing import Deployer, ExpectRevert, Instance

STEPS = 1_000_000
SEEDS = tuple(range(40))
Case = tuple[list[int], list[int], list[list[int]]]


@pytest.fixture
def rules(deploy: Deployer) -> Instance:
    return deploy(library_source("assignment"), name="assignment")


def degree(price: int, wh: int, rc: int) -> int:
    income = price * wh // 1000
    return income * rc // (income + rc) if income + rc else 0


def random_case(seed: int, users: int, providers: int) -> Case:
    """Half of the cases are markets, half are small integers full of ties and forbidden pairs."""
    print("seed", seed)
    rng = random.Random(seed)
    if seed % 2:
        wh = [rng.randrange(1, 5) for _ in range(users)]
        capacity = [rng.randrange(1, 9) for _ in range(providers)]
        return wh, capacity, [[rng.choice((-1, 0, 0, 1, 2)) for _ in range(providers)] for _ in range(users)]
    wh = [rng.randrange(200, 5_000) for _ in range(users)]
    share = sum(wh) * rng.choice((50, 80, 120)) // 100 // max(1, providers)
    capacity = [max(1, rng.randrange(share // 2, share * 3 // 2 + 2)) for _ in range(providers)]
    terms = [(rng.randrange(400_000, 670_000), rng.randrange(10**6)) for _ in range(providers)]
    return wh, capacity, [[degree(price, need, rc) for price, rc in terms] for need in wh]


def brute(case: Case, served_only: int | None = None) -> tuple[int, int, list[int]]:
    """(served, sum of M, choice): of the largest the first in lexicographic order; of all, or of those that serve so
    many."""
    wh, capacity, m = case
    nobody = len(capacity)
    best: tuple[int, int, list[int]] = (-1, 0, [])
    for choice in itertools.product(range(nobody + 1), repeat=len(wh)):
        left = [*capacity, sum(wh)]
        for user, at in enumerate(choice):
            left[at] -= wh[user]
        taken = [(user, at) for user, at in enumerate(choice) if at < nobody]
        if min(left) < 0 or any(m[user][at] < 0 for user, at in taken):
            continue
        found = (len(taken), sum(m[user][at] for user, at in taken))
        if served_only is not None and found[0] != served_only:
            continue
        if found > best[:2]:
            best = (*found, list(choice))
    return best


def test_example_of_rule_6_3(rules: Instance) -> None:
    found = rules.solve([2_000, 1_500], [2_000, 4_000], [[336_231, 163_636], [294_915, 154_285]], STEPS)
    assert found == {
        "choice": [0, 1], "proven": True, "served": 2, "served_bound": 2, "sum_m": 490_516, "m_bound": 490_516,
    }  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_branch_and_bound_equals_brute_force(rules: Instance, seed: int) -> None:
    case = random_case(seed, 1 + seed % 6, 1 + seed % 3)
    served, total, choice = brute(case)
    found = rules.solve(*case, STEPS)
    assert (found["choice"], found["proven"]) == (choice, True)
    assert (found["served"], found["sum_m"]) == (served, total)


def test_nobody_to_serve_or_to_be_served(rules: Instance) -> None:
    assert rules.solve([], [5], [], STEPS)["choice"] == []
    assert rules.solve([5, 6], [], [[], []], STEPS)["choice"] == [0, 0]
    assert rules.solve([5], [4], [[9]], STEPS)["choice"] == [1]
    assert rules.solve([5], [5], [[-1]], STEPS)["choice"] == [1]


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_what_stops_early_is_feasible_no_worse_than_greedy_and_says_so(rules: Instance, seed: int) -> None:
    case = random_case(2 * seed, 12, 6)
    found, fallback = rules.solve(*case, 20), rules.fallback(*case)
    assert not found["proven"]
    assert (found["served"], found["sum_m"]) >= (fallback["served"], fallback["sum_m"])
    rules.check(*case, found["choice"], 0, [0] * 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_hold_whatever_the_multipliers(rules: Instance, seed: int) -> None:
    case = random_case(seed, 5, 2)
    served, total, choice = brute(case)
    rng = random.Random(seed)
    service, multipliers = rng.randrange(2**30), [rng.randrange(2 ** rng.randrange(1, 34)) for _ in range(2)]
    fallback = rules.fallback(*case)
    assert fallback["served"] <= served <= fallback["served_bound"]
    assert (fallback["served"], fallback["sum_m"]) <= (served, total)
    assert fallback["m_bound"] >= brute(case, fallback["served"])[1]
    found = rules.check(*case, choice, service, multipliers)
    assert (found["served"], found["sum_m"]) == (served, total)
    assert found["m_bound"] >= total


def test_a_solution_from_outside_is_refused_if_anything_is_wrong(rules: Instance, expect_revert: ExpectRevert) -> None:
    case: Case = ([3, 2, 2], [4, 3], [[9, 5], [8, -1], [4, 3]])
    assert rules.solve(*case, STEPS)["choice"] == [1, 0, 0]
    good = [1, 0, 0]
    assert rules.check(*case, good, 0, [0, 0])["sum_m"] == 17
    for choice, code in (
        ([1, 0], "BAD_ASSIGNMENT"),
        ([1, 0, 3], "BAD_ASSIGNMENT"),
        ([1, 1, 0], "PAIR_NOT_ALLOWED"),
        ([0, 0, 1], "OVERLOADED"),
        ([2, 2, 2], "BELOW_GREEDY"),
        ([1, 0, 2], "BELOW_GREEDY"),
    ):
        with expect_revert(code):
            rules.check(*case, choice, 0, [0, 0])
    with expect_revert("BAD_MULTIPLIERS"):
        rules.check(*case, good, 0, [0])


def test_a_solution_that_a_single_move_betters_is_refused(rules: Instance, expect_revert: ExpectRevert) -> None:
    """So many users that greedy makes no exchanges: better than it by far, but the last user could move from C to B."""
    case: Case = ([1] * 67, [33, 34, 1], [[10, 9, -1]] * 33 + [[10, 0, -1]] * 33 + [[-1, 5, 0]])
    assert rules.fallback(*case)["sum_m"] == 335
    assert rules.check(*case, [1] * 33 + [0] * 33 + [1], 0, [0] * 3)["sum_m"] == 297 + 330 + 5
    with expect_revert("MOVE_BETTER"):
        rules.check(*case, [1] * 33 + [0] * 33 + [2], 0, [0] * 3)


@pytest.mark.parametrize(("seed", "users", "providers"), [(2, 14, 4), (4, 30, 5), (6, 40, 8), (8, 40, 8)])
def test_the_solver_is_checked_by_the_contract_and_is_close_to_its_bound(
    rules: Instance, seed: int, users: int, providers: int
) -> None:
    case = random_case(seed, users, providers)
    found = solve(*case)
    checked = rules.check(*case, list(found.choice), found.service, list(found.multipliers))
    assert (checked["served"], checked["sum_m"]) == (found.served, found.sum_m)
    assert checked["m_bound"] == found.m_bound >= found.sum_m
    fallback = rules.fallback(*case)
    assert (found.served, found.sum_m) >= (fallback["served"], fallback["sum_m"])
    assert found.gap_ppm < 120_000, found.gap_ppm
    assert solve(*case) == found


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_the_solver_bounds_the_best_of_small_cases(seed: int) -> None:
    case = random_case(seed, 5, 3)
    found: Solution = solve(*case)
    served, total, _ = brute(case)
    assert (found.served, found.sum_m) <= (served, total)
    assert found.m_bound >= brute(case, found.served)[1]


def test_the_solver_on_nothing() -> None:
    empty: list[Any] = []
    assert solve(empty, [5], empty).choice == ()
    assert solve([5], empty, [[]]).choice == (0,)
