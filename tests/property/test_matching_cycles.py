"""Overlapping cycles of market D with seals, duplicates and calls out of turn: every cycle ends, no money stays locked,
and reputations are what a naive model of rule 6.1 makes of the settled orders."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from market_world import address, meter
from matching_world import PUBLISHED, RETAIL, D, MatchingWorld, commitment

ONE = 1_000_000
FIRST, LAST = 6, 10
NAMES = ("anna", "bert", "carl", "dora", "paul", "pete", "pia")
NONCE = bytes(range(32))
SEEDS = tuple(range(12))


def world_of(seed: int) -> MatchingWorld:
    """Even seeds run a node's defaults, odd ones the published rules; every third is sealed."""
    rules: dict[str, Any] = PUBLISHED if seed % 2 else {}
    world = MatchingWorld(
        first_slot=FIRST, last_slot=LAST, sealed=seed % 3 == 0, newcomers=2 if seed % 4 == 0 else 0, **rules
    )
    for name in NAMES:
        world.member(name, funds=10**9, legal_owner="firm" if name in ("dora", "paul") else name)
    world.deposit(address("community"), 10**5)
    return world


def deals(rng: random.Random) -> dict[str, tuple[str, int, int]]:
    return {
        name: ("offer" if name.startswith("p") else "request", rng.randrange(1, 5_000), rng.randrange(300_000, RETAIL))
        for name in NAMES
        if rng.random() < 0.8
    }


def made(world: MatchingWorld) -> list[tuple[int, str, str]]:
    """Numbers of orders with the names of both sides."""
    rows = world.events("OrderMade")
    return [(row["order"], world.name_of(row["user"]), world.name_of(row["provider"])) for row in rows]


def act(world: MatchingWorld, rng: random.Random, placed: dict[int, dict[str, tuple[str, int, int]]]) -> None:
    """One call that may be in turn or not; what is refused changes nothing."""
    name, cycle = rng.choice(NAMES), rng.randrange(FIRST, LAST + 1)
    deal = placed[cycle].get(name, ("request", 10, 400_000))
    kind = rng.randrange(9)
    order, user, provider = rng.choice(made(world) or [(0, name, name)])
    if kind in (0, 1):
        world.send(address(name), D, "commit", cycle, commitment(name, cycle, *deal, NONCE))
        world.send(address(name), D, deal[0], cycle, deal[1], deal[2])
    elif kind in (2, 3):
        world.send(address(name), D, "reveal", cycle, *deal, NONCE)
    elif kind == 4:
        world.send(address(name), D, "withdraw", cycle, deal[0])
    elif kind == 5:
        world.send(meter(rng.choice((user, provider))), D, "progress", order, rng.randrange(2_000))
        world.send(meter(rng.choice((user, provider))), D, "report", order, rng.randrange(5_000))
    elif kind == 6:
        world.send(address(provider), D, "apply_settlement", order)
    elif kind == 7:
        world.send(address(user), D, "dispute", order, rng.randrange(5_000), rng.randrange(5_000))
        world.send(address("notary"), D, "rule", order, rng.randrange(5_000), rng.randrange(5_000))
    else:
        values = (rng.randrange(3_000), 0) if rng.random() < 0.5 else (0, rng.randrange(3_000))
        world.send(meter(name), "metering", "submit_reading", cycle, *values)


def naive_reputations(world: MatchingWorld, capped: bool) -> dict[str, int]:
    """RC by provider from the orders as they were first settled, cycle by cycle in the order of `CycleSettled`."""
    found: dict[str, int] = {}
    for closed in world.events("CycleSettled"):
        sums: dict[str, list[int]] = {}
        for event in world.events("OrderSettled", cycle=closed["cycle"]):
            order = world.query(D, "order", event["order"])
            if event["state"] == "expired":
                continue
            value, weight = event["sent"] * ONE // order["wh"], 1
            if capped:
                actual = min(event["sent"], event["received"] + order["loss"])
                value, weight = min(ONE, actual * ONE // order["wh"]), order["wh"]
            row = sums.setdefault(world.name_of(order["provider"]), [0, 0])
            row[0] += value * weight
            row[1] += weight
        for name, (values, weights) in sums.items():
            found[name] = (400_000 * (values // weights) + 600_000 * found.get(name, 0)) // ONE
    return found


@cache
def played(seed: int) -> MatchingWorld:
    """A market after `LAST` and all its late times, with random calls in every quarter of a slot."""
    rng = random.Random(seed)
    world = world_of(seed)
    placed = {cycle: deals(rng) for cycle in range(FIRST, LAST + 1)}
    for quarter in range(4 * (FIRST - 4), 4 * (LAST + 12)):
        world.go(world.start(0) + quarter * 225_000)
        for _ in range(rng.randrange(16)):
            act(world, rng, placed)
        if quarter % 4 == 0:
            world.assert_money_conserved()
    return world


@pytest.mark.parametrize("seed", SEEDS)
def test_every_cycle_ends_whatever_is_called_and_when(seed: int) -> None:
    print("seed", seed)
    world = played(seed)
    assert [world.query(D, "cycle", cycle)["phase"] for cycle in range(FIRST, LAST + 1)] == ["settled"] * 5
    world.assert_closed()
    assert {event["cycle"] for event in world.events("CycleMatched")} == set(range(FIRST, LAST + 1))
    states = {world.query(D, "order", event["order"])["state"] for event in world.events("OrderMade")}
    assert states <= {"settled", "expired"}
    expected = naive_reputations(world, capped=seed % 2 == 0)
    assert {name: world.rc(name) for name in NAMES if world.rc(name)} == {n: rc for n, rc in expected.items() if rc}


def test_the_seeds_reach_what_they_are_for() -> None:
    """Orders, reports, disputes, rulings, corrections and lost deposits all happen among the seeds."""
    seen = {event.name for seed in SEEDS for receipt in played(seed).receipts for event in receipt.events}
    assert {"OrderMade", "Progressed", "Reported", "OrderSettled", "OrderCorrected", "Corrected", "Withdrawn"} <= seen
    assert {"DepositLost", "OrderDisputed", "OrderRuled", "ReputationUpdated"} <= seen
