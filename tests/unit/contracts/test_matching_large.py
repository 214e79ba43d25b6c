"""matching: cycles above 12 users; solutions from outside, tampered, withheld; routing, fees, curtailment of orders."""

from __future__ import annotations

import random
from typing import Any

import pytest
from matching_world import D, MatchingWorld, address, commitment, meter

from contracts.solvers.assignment import Solution, solve

CYCLE = 6
USERS = tuple(f"u{number:02d}" for number in range(15))
PROVIDERS = ("pa", "pb", "pc")
NEEDS = (900, 1_700, 2_400, 1_100, 700, 2_900, 1_300, 600, 2_100, 1_500, 800, 2_600, 1_900, 1_000, 1_200)
OFFERS = ((6_000, 460_000), (6_100, 520_000), (5_000, 600_000))


@pytest.fixture
def world() -> MatchingWorld:
    """15 users ask for 22,700 Wh of 17,100; the gate has just closed. Reputations differ by earlier deliveries."""
    world = MatchingWorld()
    for name in (*USERS, *PROVIDERS):
        world.member(name, funds=10**9)
    for name, sent in zip(PROVIDERS, (500, 900, 1_000), strict=True):
        cycle = 5 * (1 + PROVIDERS.index(name))
        world.trade(cycle, "u00", name, (1_000, 500_000), (sent, sent))
    world.go_slot(20, -3)
    for name, offer in zip(PROVIDERS, OFFERS, strict=True):
        world.offer(name, 20, *offer)
    for name, wh in zip(USERS, NEEDS, strict=True):
        world.request(name, 20, wh)
    world.go_slot(20, -2)
    return world


def solved(world: MatchingWorld) -> tuple[dict[str, Any], Solution]:
    table = world.query(D, "table", 20)
    return table, solve(table["wh"], table["capacity"], table["m"])


def outcome(world: MatchingWorld) -> dict[str, Any]:
    world.go_slot(20, -1)
    (found,) = world.events("CycleMatched", cycle=20)
    return found


def test_the_table_shows_what_the_assignment_is_made_from(world: MatchingWorld) -> None:
    table, _ = solved(world)
    assert table["users"] == [meter(name) for name in world.by_id(*USERS)]
    assert table["providers"] == [meter(name) for name in world.by_id(*PROVIDERS)]
    rc = dict(zip(world.by_id(*PROVIDERS), table["rcs"], strict=True))
    assert rc == {"pa": 200_000, "pb": 360_000, "pc": 400_000}
    income = table["prices"][0] * table["wh"][0] // 1000
    assert table["m"][0][0] == income * table["rcs"][0] // (income + table["rcs"][0])
    (closed,) = world.events("CycleClosed", cycle=20)
    assert (closed["users"], closed["providers"], closed["exact"]) == (15, 3, False)


def test_a_withheld_solution_falls_back_to_greedy_in_time(world: MatchingWorld) -> None:
    table, _ = solved(world)
    found = outcome(world)
    greedy = world.query("assignment", "fallback", table["wh"], table["capacity"], table["m"])
    assert (found["by"], found["served"], found["sum_m"]) == ("greedy", greedy["served"], greedy["sum_m"])
    assert found["gap_ppm"] == (greedy["m_bound"] - greedy["sum_m"]) * 1_000_000 // greedy["m_bound"]
    assert len(world.orders(20)) == greedy["served"]
    world.go_slot(20, 5)
    assert world.query(D, "cycle", 20)["phase"] == "settled"
    world.assert_closed()


def test_a_better_solution_is_taken_and_its_gap_told(world: MatchingWorld) -> None:
    table, best = solved(world)
    greedy = world.query("assignment", "fallback", table["wh"], table["capacity"], table["m"])
    assert (best.served, best.sum_m) > (greedy["served"], greedy["sum_m"]), "a case in which the solver is better"
    told = world.done(address("u03"), D, "submit", 20, list(best.choice), best.service, list(best.multipliers))
    assert (told["served"], told["sum_m"], told["m_bound"]) == (best.served, best.sum_m, best.m_bound)
    again = (D, "submit", 20, list(best.choice), best.service, list(best.multipliers))
    assert world.refused(address("u04"), *again) == "NOT_BETTER"
    worse = (D, "submit", 20, greedy["choice"], 0, [0, 0, 0])
    assert world.refused(address("u04"), *worse) == "NOT_BETTER"
    assert world.query(D, "solution", 20)["by"] == address("u03")
    found = outcome(world)
    assert (found["by"], found["served"], found["sum_m"]) == ("submitted", best.served, best.sum_m)
    assert found["gap_ppm"] == best.gap_ppm
    for order in world.orders(20):
        user = table["users"].index(order["user"])
        assert table["providers"][best.choice[user]] == order["provider"]


def test_a_solution_tampered_in_any_field_is_refused(world: MatchingWorld) -> None:
    table, best = solved(world)
    good = list(best.choice)
    by = address("u03")
    served = next(user for user, at in enumerate(good) if at < 3)
    for choice, codes in (
        (good[:-1], {"BAD_ASSIGNMENT"}),
        ([*good, 0], {"BAD_ASSIGNMENT"}),
        ([4, *good[1:]], {"BAD_ASSIGNMENT"}),
        ([0] * 15, {"OVERLOADED"}),
        ([3] * 15, {"BELOW_GREEDY"}),
        ([3 if user == served else at for user, at in enumerate(good)], {"BELOW_GREEDY", "MOVE_BETTER"}),
    ):
        assert world.refused(by, D, "submit", 20, choice, best.service, list(best.multipliers)) in codes
    assert world.refused(by, D, "submit", 20, good, best.service, [1, 2]) == "BAD_MULTIPLIERS"
    assert world.refused(by, D, "submit", 19, good, best.service, list(best.multipliers)) == "NOT_CLOSED"
    assert world.refused(address("eve"), D, "submit", 20, good, best.service, list(best.multipliers)) == "NOT_MEMBER"
    loose = world.done(by, D, "submit", 20, good, 0, [0, 0, 0])
    assert loose["m_bound"] > best.m_bound, "other multipliers prove less, they claim nothing"
    tight = world.done(by, D, "submit", 20, good, best.service, list(best.multipliers))
    assert tight["m_bound"] == best.m_bound
    world.go_slot(20, -1)
    assert world.refused(by, D, "submit", 20, good, best.service, list(best.multipliers)) == "NOT_CLOSED"
    assert table["users"]


def test_orders_are_routed_pay_the_grid_fee_and_are_curtailed_by_the_lines() -> None:
    """bus-1 - bus-2: 4 kW are 1,000 Wh a quarter of an hour; 300 m; fee 1,000 + 2,000 per kWh."""
    world = MatchingWorld()
    grid = address("grid")
    line = (["bus-1", "bus-2"], [0, 1], ["line"], [[0, 1]], [[5, 4_000, 300]])
    world.done(grid, "routing", "post_grid", CYCLE, 0, *line)
    world.done(grid, "routing", "post_fees", CYCLE, [0, 1_000], [299, 500], [0, 2_000, 5_000])
    for name in ("anna", "bert"):
        world.member(name, funds=10**9)
    world.member("paul", funds=10**9, bus="bus-2")
    world.go_slot(CYCLE, -3)
    assert world.refused(grid, "routing", "post_fees", CYCLE + 1, [0], [], [0]) == "SLOT_BEGUN"
    world.offer("paul", CYCLE, 3_000, 500_000)
    for name in ("anna", "bert"):
        world.request(name, CYCLE, 800)
    assert set(world.matched(CYCLE)) == {"anna", "bert"}
    orders = {world.name_of(row["user"]): row for row in world.orders(CYCLE)}
    first, second = (orders[name] for name in world.by_id("anna", "bert"))
    assert (first["wh"], first["curtailed_wh"], first["fee"], first["path"]) == (800, 0, 2_400, [0])
    assert (second["wh"], second["curtailed_wh"], second["fee"], second["path"]) == (200, 600, 600, [0])
    assert second["escrow"] == 100_000
    (queue,) = world.events("PathQueue", slot=CYCLE)
    assert (queue["trades"], queue["curtailed_wh"]) == (2, 600)
    rows = world.query("routing", "queue", CYCLE, 0, 10)
    assert [row["seq"] for row in rows] == [first["order"], second["order"]]
    world.go_slot(CYCLE, 1)
    world.readings(CYCLE, {"paul": (1_000, 0), "anna": (0, 800), "bert": (0, 800)})
    world.go_slot(CYCLE, 2)
    assert world.entry(CYCLE, "paul")["grid_fees"] == 3_000
    assert world.free("paul") == 10**9 + 500_000 - 3_000
    assert world.accounts()[grid][0] - world.accounts()[grid][2] >= 3_000
    world.assert_closed()


def test_a_member_whose_bus_is_not_in_the_grid_of_a_cycle_cannot_trade_in_it() -> None:
    world = MatchingWorld()
    grid = address("grid")
    world.done(grid, "routing", "post_grid", CYCLE + 1, 0, ["bus-1", "b"], [0, 0], ["l"], [[0, 1]], [[1, 1, 1]])
    world.member("anna")
    world.member("paul", bus="bus-9")
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, 100, 500_000)
    assert world.refused(address("paul"), D, "offer", CYCLE + 1, 100, 500_000) == "UNKNOWN_BUS"
    assert world.query(D, "open_cycles") == [CYCLE, CYCLE + 1]


def test_unrevealed_commitments_of_many_are_lost_in_batches() -> None:
    """More than one batch of 128: the gate is reached in two calls, nothing is left behind."""
    world = MatchingWorld(sealed=True)
    names = [f"m{number}" for number in range(130)]
    for name in names:
        world.member(name, funds=10**6)
    world.go_slot(CYCLE, -4)
    for name in names:
        sealed = commitment(name, CYCLE, "request", 1, 1, bytes(32))
        world.done(address(name), D, "commit", CYCLE, sealed)
    world.go_slot(CYCLE, -1)
    assert len(world.events("DepositLost")) == 130
    assert world.free("community") == 130 * 100_000
    assert world.query(D, "cycle", CYCLE)["phase"] == "matched"
    assert all(escrow == 0 for _, escrow, _ in world.accounts().values())


def test_the_largest_cycle_on_the_largest_grid_stays_within_its_gas() -> None:
    """256 users, 32 providers, a random tree of 256 buses; what a cycle takes is bounded, so its calls cannot fail."""
    seed = 4
    print("seed", seed)
    rng = random.Random(seed)
    world = MatchingWorld(first_slot=CYCLE, last_slot=CYCLE)
    buses = [f"n{number}" for number in range(256)]
    ends = [[rng.randrange(max(0, number - 3), number + 1), number + 1] for number in range(255)]
    figures = [[rng.randrange(1, 10**6), 100_000, 50] for _ in ends]
    names = [f"l{number}" for number in range(255)]
    world.done(address("grid"), "routing", "post_grid", CYCLE, 0, buses, [0] * 256, names, ends, figures)
    bounds = list(range(100, 3_200, 100))
    world.done(address("grid"), "routing", "post_fees", CYCLE, [0, 1], bounds, list(range(32)))
    for number in range(32):
        world.member(f"p{number}", funds=10**9, watts=10**6, bus=rng.choice(buses))
    for number in range(257):
        world.member(f"u{number}", funds=10**9, bus=rng.choice(buses))
    world.go_slot(CYCLE, -3)
    for number in range(32):
        world.offer(f"p{number}", CYCLE, rng.randrange(10_000, 25_000), rng.randrange(300_000, 600_000))
    for number in range(256):
        world.request(f"u{number}", CYCLE, rng.randrange(300, 5_000))
    assert world.refused(address("u256"), D, "request", CYCLE, 100, 670_000) == "CYCLE_FULL"
    assert world.refused(address("u256"), D, "offer", CYCLE, 100, 670_000) == "CYCLE_FULL"
    world.go_slot(CYCLE, 1)
    world.readings(CYCLE, {})
    world.go_slot(CYCLE, 2)
    caps = {"close_gate": 19_500_000, "match_cycle": 19_500_000, "settle_cycle": 10**7, "settle_batch": 10**7}
    for entry, cap in caps.items():
        spent = [0] + [row.gas for row in world.receipts if (row.contract, row.entry) == (D, entry)]
        assert 0 < 5 * max(spent) < 4 * cap, (entry, max(spent))
    assert world.query(D, "cycle", CYCLE)["phase"] == "settled"
    world.assert_closed()
