"""Table 6.5 of the market rules: each gaming case works under the published rule and not under the hardened one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from matching_world import PUBLISHED, RETAIL, D, MatchingWorld, address, commitment, meter

from contracts import library_sources

CYCLE = 6
NONCE = bytes(32)
BOTH: tuple[tuple[str, dict[str, Any]], ...] = (("published", PUBLISHED), ("default", {}))


def world_of(*names: str, owners: dict[str, str] | None = None, **changes: Any) -> MatchingWorld:
    world = MatchingWorld(**changes)
    for name in names:
        world.member(name, funds=10**10, legal_owner=(owners or {}).get(name, name))
    world.deposit(address("community"), 10**7)
    return world


def test_a_provider_that_claims_to_have_sent_all_avoids_the_deduction_unless_the_loss_is_checked() -> None:
    """Agreed 2,000 Wh, 1,000 arrived, the provider's own device says 2,000."""
    paid = {}
    for name, changes in BOTH:
        world = world_of("anna", "paul", **changes)
        world.trade(CYCLE, "anna", "paul", (2_000, 500_000), (2_000, 1_000))
        paid[name] = world.order_of("anna", CYCLE)["paid"]
    assert paid == {"published": 1_000_000, "default": 500_000}


def under_reported(**changes: Any) -> tuple[int, int]:
    """1,990 of 2,000 Wh were sent and 1,985 arrived; the user reports 0. What the provider has got before and after the
    time for a ruling."""
    world = world_of("anna", "paul", **changes)
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, 2_000, 500_000)
    world.request("anna", CYCLE, 2_000)
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    (order,) = world.orders(CYCLE)
    world.report("paul", order, 1_990)
    world.report("anna", order, 0)
    receipt = world.send(address("paul"), D, "dispute", 0, 1_990, 1_985)
    if receipt.ok:
        world.done(address("grid"), D, "third_reading", 0, 1_990, 1_985)
    else:
        assert receipt.code == "NO_DISPUTES"
    world.readings(CYCLE, {"paul": (1_990, 0), "anna": (0, 1_985)})
    world.go_slot(CYCLE, 2)
    first = world.order_of("anna", CYCLE)["paid"]
    if receipt.ok:
        assert world.order_of("anna", CYCLE)["held"] == world.escrow("anna") == 992_500
    world.go_slot(CYCLE, 10)
    world.assert_closed()
    return first, world.order_of("anna", CYCLE)["paid"]


def test_a_user_that_under_reports_pays_nothing_unless_a_third_meter_decides() -> None:
    assert under_reported(**PUBLISHED) == (0, 0)
    assert under_reported() == (0, 992_500)


def dearer(**changes: Any) -> tuple[list[str], dict[str, str]]:
    """Two providers of equal reputation; `dear` asks three times the retail price, or retail where more is refused."""
    world = world_of("anna", "cheap", "dear", **{"first_rc": 900_000, **changes})
    world.go_slot(CYCLE, -3)
    world.offer("cheap", CYCLE, 2_000, 460_000)
    refusals = []
    for price in (3 * RETAIL, RETAIL):
        receipt = world.send(address("dear"), D, "offer", CYCLE, 2_000, price)
        refusals.append(receipt.code)
        if receipt.ok:
            break
    limit = 3 * RETAIL if not changes.get("ceiling", True) else RETAIL
    world.request("anna", CYCLE, 2_000, limit)
    return refusals, world.matched(CYCLE)


def test_a_dearer_provider_is_preferred_but_not_above_retail_and_not_if_the_saving_counts() -> None:
    """The default is the published rule with the ceiling; counting the user's saving is the option."""
    assert dearer(**PUBLISHED) == ([""], {"anna": "dear"})
    assert dearer() == (["BAD_PRICE", ""], {"anna": "dear"})
    assert dearer(saving=True) == (["BAD_PRICE", ""], {"anna": "cheap"})


def test_over_delivery_lifts_reputation_above_one_unless_v_is_capped() -> None:
    found = {}
    for name, changes in BOTH:
        world = world_of("anna", "paul", **changes)
        world.trade(CYCLE, "anna", "paul", (1_000, 500_000), (5_000, 1_000))
        found[name] = world.rc("paul")
    assert found == {"published": 2_000_000, "default": 400_000}


def newcomer(cycle: int, **changes: Any) -> dict[str, str]:
    """`old` has delivered half of what it sold; `new` is cheaper and has no record."""
    world = world_of("anna", "old", "new", **changes)
    world.trade(CYCLE, "anna", "old", (1_000, 600_000), (500, 500))
    world.go_slot(cycle, -3)
    world.offer("old", cycle, 2_000, 600_000)
    world.offer("new", cycle, 2_000, 500_000)
    world.request("anna", cycle, 2_000)
    return world.matched(cycle)


def test_a_newcomer_is_never_chosen_unless_it_starts_with_a_reputation_or_by_price_every_tenth_cycle() -> None:
    """The default is the published rule; both ways out are parameters."""
    assert newcomer(19) == newcomer(19, **PUBLISHED) == {"anna": "old"}
    assert newcomer(19, newcomers=10) == {"anna": "new"}
    assert newcomer(18, newcomers=10) == {"anna": "old"}
    assert newcomer(19, first_rc=900_000) == {"anna": "new"}


def own_trades(**changes: Any) -> int:
    """`paul` fails a big order and keeps a tiny one with its own second meter."""
    world = world_of("anna", "paul", "second", owners={"second": "paul"}, **changes)
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, 3_000, 500_000)
    world.request("anna", CYCLE, 2_000)
    world.request("second", CYCLE, 1)
    world.matched(CYCLE)
    world.go_slot(CYCLE, 1)
    for order in world.orders(CYCLE):
        wh = 0 if order["user"] == meter("anna") else 1
        world.report("paul", order, wh)
        world.report(world.name_of(order["user"]), order, wh)
    world.readings(CYCLE, {})
    world.go_slot(CYCLE, 2)
    return world.rc("paul")


def test_own_small_trades_raise_reputation_unless_they_are_no_pair_and_energy_weighs() -> None:
    assert own_trades(**PUBLISHED) == 200_000
    assert own_trades() == 0
    assert own_trades(self_trade=True) == 199
    assert own_trades(weighted=False) == 0


def test_a_plain_offer_is_read_and_undercut_a_sealed_one_is_not() -> None:
    """Rule for all markets: on a shared ledger a plain bid is not sealed."""
    plain = world_of("anna", "paul")
    plain.go_slot(CYCLE, -4)
    plain.offer("paul", CYCLE, 2_000, 500_000)
    assert plain.query(D, "book", CYCLE)["offers"][0]["price"] == 500_000
    sealed = world_of("anna", "paul", "eve", sealed=True)
    sealed.go_slot(CYCLE, -4)
    deal = ("offer", 2_000, 500_000)
    sealed.done(address("paul"), D, "commit", CYCLE, commitment("paul", CYCLE, *deal, NONCE))
    assert sealed.query(D, "book", CYCLE)["offers"] == []
    (told,) = sealed.events("Committed")
    assert set(told) == {"cycle", "meter", "commitment", "deposit"}
    sealed.go_slot(CYCLE, -3)
    sealed.done(address("paul"), D, "reveal", CYCLE, *deal, NONCE)
    late = commitment("eve", CYCLE, "offer", 2_000, 499_999, NONCE)
    assert sealed.refused(address("eve"), D, "commit", CYCLE, late) == "ORDER_LATE"


def crowded(users: int, providers: int, seed: int) -> MatchingWorld:
    """A cycle that is hard for branch and bound: twice the capacity needed, every pair another M."""
    print("seed", seed)
    rng = random.Random(seed)
    world = MatchingWorld(ceiling=False, first_rc=500_000)
    needs = [rng.randrange(500, 3_000) for _ in range(users)]
    share = 2 * sum(needs) // providers
    for number in range(providers):
        world.member(f"p{number}", funds=10**10)
    for number in range(users):
        world.member(f"u{number}", funds=10**10)
    world.go_slot(CYCLE, -4)
    for number in range(providers):
        price = rng.randrange(1, 2_000)
        world.offer(f"p{number}", CYCLE, min(6_000, rng.randrange(share // 2, share * 3 // 2)), price)
    for number, wh in enumerate(needs):
        world.request(f"u{number}", CYCLE, wh, 10_000)
    return world


def test_a_cycle_made_to_be_hard_is_matched_in_time_all_the_same() -> None:
    """Branch and bound is exponential; it stops at its steps, above 12 users it is not begun."""
    hard = crowded(12, 10, 1)
    hard.go_slot(CYCLE, -1)
    (found,) = hard.events("CycleMatched", cycle=CYCLE)
    assert found["by"] in ("exact", "partial", "greedy")
    many = crowded(13, 4, 2)
    many.go_slot(CYCLE, -1)
    (other,) = many.events("CycleMatched", cycle=CYCLE)
    assert other["by"] == "greedy"
    for world in (hard, many):
        spent = [row.gas for row in world.receipts if row.entry == "match_cycle" and row.gas > 0]
        assert max(spent) < 19_500_000
        world.assert_money_conserved()


def test_a_branch_and_bound_that_runs_out_of_gas_leaves_the_greedy_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = library_sources.library_source

    def poor(name: str) -> str:
        return whole(name).replace("GAS_EXACT = 16_500_000", "GAS_EXACT = 60_000")

    monkeypatch.setattr(library_sources, "library_source", poor)
    world = crowded(6, 3, 3)
    world.go_slot(CYCLE, -1)
    (found,) = world.events("CycleMatched", cycle=CYCLE)
    assert (found["by"], found["served"]) == ("greedy", 6)
    world.assert_money_conserved()
