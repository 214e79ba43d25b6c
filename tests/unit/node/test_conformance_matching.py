"""`d.reputation`, `d.match`, `d.settle` of random cases against section 6 of the market rules written once more."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from ledger.errors import DecodeError
from node.conformance.runner import run_document

ONE = 1_000_000
SEEDS = tuple(range(30))


def passed(mechanism: str, given: dict[str, Any], expect: dict[str, Any]) -> None:
    report = run_document({"mechanism": mechanism, "cases": [{"input": given, "expect": expect}]})
    assert report.first is None, (report.first, given)


def naive_degree(price: int, wh: int, eta: int, rc: int) -> int | None:
    z = price * wh // 1000 - eta
    if z < 0:
        return None
    return z * rc // (z + rc) if z + rc else 0


def naive_match(users: list[list[Any]], providers: list[list[Any]], eta: list[list[int]]) -> dict[str, Any]:
    """Every vector of providers is tried; "not served" comes last."""
    users, providers = sorted(users), sorted(providers)
    m = [[naive_degree(p[1], u[1], eta[i][j], p[3]) for j, p in enumerate(providers)] for i, u in enumerate(users)]
    best: tuple[int, int, tuple[int, ...]] | None = None
    for vector in itertools.product(range(len(providers) + 1), repeat=len(users)):
        loads, served, total = [0] * len(providers), 0, 0
        for i, j in enumerate(vector):
            if j < len(providers):
                degree = m[i][j]
                if degree is None:
                    break
                loads[j] += users[i][1]
                served, total = served + 1, total + degree
        else:
            fits = all(load <= provider[2] for load, provider in zip(loads, providers, strict=True))
            if fits and (best is None or (served, total) > best[:2]):
                best = (served, total, vector)
    assert best is not None
    names = [provider[0] for provider in providers] + [None]
    assignment = {user[0]: names[j] for user, j in zip(users, best[2], strict=True)}
    return {"assignment": assignment, "served": best[0], "sum_m": best[1], "m": m}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_matches_equal_brute_force(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    dear = rng.choice((1, 700_000))
    users = [[f"u{n}", rng.randrange(1, 4_000)] for n in range(rng.randrange(0, 6))]
    providers = [
        [f"p{n}", rng.randrange(0, 700_000), rng.randrange(0, 9_000), rng.choice((0, rng.randrange(2 * ONE)))]
        for n in range(rng.randrange(0, 4))
    ]
    rng.shuffle(users)
    eta = [[rng.randrange(dear) for _ in providers] for _ in users]
    expect = naive_match(users, providers, eta)
    given = {"users_id_wh": users, "providers_id_price_capacity_rc": providers, "eta": eta}
    passed("d.match", given, expect)
    vector = [expect["assignment"][user] for user in sorted(expect["assignment"])]
    rows = [{"user": user, "provider": found} for user, found in expect["assignment"].items()]
    served = {user: found for user, found in expect["assignment"].items() if found is not None}
    pairs = [[user, found] for user, found in served.items()]
    for other in (vector, rows, served, pairs):
        passed("d.match", given, {**expect, "assignment": other})


def test_a_request_of_nothing_that_nobody_may_serve_is_not_counted_as_served() -> None:
    """`a` wants 0 Wh and may have no provider; two small requests fit into `p`, the big one does not beside them."""
    users: list[list[Any]] = [["0", 2_452], ["00", 1_000], ["a", 0], ["b", 1_000], ["c", 2_240]]
    providers: list[list[Any]] = [["p", 400_000, 2_500, 0], ["q", 390_000, 0, 500_000]]
    expect = naive_match(users, providers, [[395_463] * 2 for _ in users])
    assert expect["served"] == 2
    passed("d.match", {"users_id_wh": users, "providers_id_price_capacity_rc": providers, "eta": 395_463}, expect)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_reputations_and_settlements(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    cap, alpha = rng.choice((None, ONE, 1_200_000)), rng.randrange(ONE + 1)
    cycles = [
        [[rng.randrange(4_000), rng.randrange(1, 3_000)] for _ in range(rng.randrange(4))]
        for _ in range(rng.randrange(1, 6))
    ]
    rcs, rc = [], 0
    for trades in cycles:
        values = [actual * ONE // agreed for actual, agreed in trades]
        values = values if cap is None else [min(cap, value) for value in values]
        if values:
            rc = (alpha * (sum(values) // len(values)) + (ONE - alpha) * rc) // ONE
        rcs.append(rc)
    given: dict[str, Any] = {"cycles_actual_agreed_wh": cycles, "alpha_ppm": alpha, "v_cap_ppm": cap}
    passed("d.reputation", given, {"rc_ppm": rcs})
    passed("d.reputation", given, {"rc_ppm": rcs[-1]})

    agreed, price, loss = rng.randrange(1, 3_000), rng.randrange(700_000), rng.randrange(100)
    sent, received = (agreed + rng.randrange(-200, 200) for _ in range(2))
    sent, received = max(0, sent), max(0, received)
    token, rate, fee = rng.randrange(20_000), rng.randrange(1, 2 * ONE), rng.choice((0, rng.randrange(900_000)))
    mode = rng.choice(("published", "hardened"))
    gross = price * agreed // 1000
    deducted = sent < agreed or (mode == "hardened" and agreed - received > loss)
    deduction = price * max(0, agreed - received) // 1000 if deducted else 0
    reward = token if received >= agreed else token // 2 if sent >= agreed and received >= agreed - loss else 0
    bill, kept = gross - deduction, min(fee, gross - deduction)
    given = {
        "mode": mode, "agreed_wh": agreed, "price": price, "sent_wh": sent, "received_wh": received, "loss_wh": loss,
        "token_reward": token, "tokens_per_currency_ppm": rate, "grid_fee": fee,
    }  # fmt: skip
    expect = {
        "escrow": gross * rate // ONE,
        "reward": reward,
        "deduction": deduction,
        "paid": bill * rate // ONE - kept * rate // ONE,
        "grid_fee": kept * rate // ONE,
        "refund": gross * rate // ONE - bill * rate // ONE,
    }
    assert expect["escrow"] == expect["paid"] + expect["grid_fee"] + expect["refund"]
    passed("d.settle", given, expect)


@pytest.mark.parametrize(
    ("mechanism", "given", "told"),
    [
        ("d.settle", {"mode": "kind"}, "no mode"),
        ("d.match", {"eta": [[0]]}, "another shape"),
        ("d.match", {"users_id_wh": [["u", 1], ["u", 2]]}, "there twice"),
        ("d.match", {"providers_id_price_capacity_rc": [["p", 1, 2]]}, "another length"),
    ],
)
def test_cases_that_are_none_are_told(mechanism: str, given: dict[str, Any], told: str) -> None:
    wholes: dict[str, dict[str, Any]] = {
        "d.settle": {
            "agreed_wh": 1, "price": 1, "sent_wh": 1, "received_wh": 1, "loss_wh": 1, "token_reward": 1,
        },
        "d.match": {"users_id_wh": [["u", 1], ["v", 1]], "providers_id_price_capacity_rc": [["p", 1, 2, 3]]},
    }  # fmt: skip
    with pytest.raises(DecodeError, match=told):
        run_document(
            {"mechanism": mechanism, "cases": [{"input": {**wholes[mechanism], **given}, "expect": {"served": 0}}]}
        )
