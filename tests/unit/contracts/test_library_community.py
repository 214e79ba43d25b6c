"""community_vpp: quotations, bids, both passes, settlement by rule 3.3, and the worked example of 3.4 on the chain."""

from __future__ import annotations

from typing import Any

import pytest
from community_world import FEE, PUBLISHED, SBP, SSP, VPP, CommunityWorld, address, commitment, meter

from contracts.library_sources import library_source

SLOT = 9
NONCE = bytes(range(32))


def world(*names: str, **changes: Any) -> CommunityWorld:
    found = CommunityWorld(**changes)
    for name in names:
        found.member(name)
    return found


def opened(*names: str, **changes: Any) -> CommunityWorld:
    found = world(*names, **changes)
    found.go_slot(SLOT, -4)
    return found


def test_worked_example_3_4_on_the_chain() -> None:
    chain = world("P1", "C1", "C2", "D", **PUBLISHED)
    slot = chain.earn_good("P1", "D", 0, 5)
    assert (chain.good("P1"), chain.entry(slot - 5, "P1")["fees"]) == (5, FEE)
    chain.go_slot(slot, -3)
    quotation = chain.offer("P1", slot, 1_000, 80_000)
    first = chain.bid("C1", slot, quotation, 500, 120_000)
    second = chain.bid("C2", slot, quotation, 700, 90_000)
    chain.go_slot(slot, -2)
    assert chain.trades(slot, "P1", "C1", "C2") == [("P1", "C2", 700, 90_000), ("P1", "C1", 300, 120_000)]
    statuses = {event["seq"]: event["status"] for event in chain.events("BidDecided", slot=slot)}
    assert statuses == {first: "reserved", second: "confirmed"}
    before = chain.accounts()
    chain.settled(slot, {"P1": (900, 0), "C1": (0, 270), "C2": (0, 600), "D": (0, 0)})
    assert chain.nets(slot, "P1", "C1", "C2", "D") == {"P1": 84_910, "C1": -32_040, "C2": -54_270, "D": 0}
    (total,) = chain.events("SlotSettled", slot=slot)
    assert (total["grid_net"], total["operator_net"], total["members_net"]) == (-1_800, 3_200, -1_400)
    rows = [
        tuple(event[name] for name in ("delivered_wh", "paid", "subsidy", "consumer_fee", "prosumer_fee"))
        for event in chain.events("Delivered", slot=slot)
    ]
    assert rows == [(630, 56_700, 630, 0, 1_600), (270, 32_400, 360, 0, 1_600)]
    after = chain.accounts()
    for name, net in chain.nets(slot, "P1", "C1", "C2", "D").items():
        (free, escrow, _), (free_now, escrow_now, _) = before[address(name)], after[address(name)]
        assert (free_now, escrow_now) == (free + escrow + net, 0)
    assert chain.query(VPP, "performance_of", meter("C2"))["waive"] is True
    assert chain.query(VPP, "performance_of", meter("P1")) == {
        "good": 5, "defaults": 1, "discount": 200_000, "waive": False,
    }  # fmt: skip
    chain.assert_money_conserved()


def test_a_waiver_serves_the_next_trade_once() -> None:
    chain = opened("P1", "C1")
    chain.bid("C1", SLOT, chain.offer("P1", SLOT, 1_000, 80_000), 1_000, 100_000)
    chain.settled(SLOT, {"P1": (800, 0), "C1": (0, 800)})
    fees = [chain.entry(SLOT, "C1")["fees"]]
    for slot in (SLOT + 5, SLOT + 10):
        chain.go_slot(slot, -3)
        chain.bid("C1", slot, chain.offer("P1", slot, 1_000, 80_000), 1_000, 100_000)
        chain.settled(slot, {"P1": (1_000, 0), "C1": (0, 1_000)})
        fees.append(chain.entry(slot, "C1")["fees"])
    assert fees == [0, 0, FEE]


def test_the_band_counts_its_edge_as_inside() -> None:
    for metered, penalty in ((950, 0), (949, 100_000 * (100_000 * 51 // 1000) // 1_000_000)):
        chain = opened("P1", "C1")
        chain.bid("C1", SLOT, chain.offer("P1", SLOT, 1_000, 80_000), 1_000, 100_000)
        chain.settled(SLOT, {"P1": (metered, 0), "C1": (0, metered)})
        assert chain.entry(SLOT, "P1")["penalty"] == penalty == chain.entry(SLOT, "C1")["subsidy"]


def test_second_pass_serves_what_is_left_by_rank_over_quotations_by_seq() -> None:
    chain = opened("P1", "P2", "P3", "C1", "C2", "C3")
    first = chain.offer("P1", SLOT, 500, 80_000)
    chain.offer("P2", SLOT, 300, 95_000)
    chain.offer("P3", SLOT, 400, 85_000)
    chain.bid("C1", SLOT, first, 400, 90_000)
    chain.bid("C2", SLOT, first, 500, 100_000)
    chain.bid("C3", SLOT, first, 100, 99_000)
    chain.go_slot(SLOT, -2)
    assert chain.trades(SLOT, "P1", "P2", "P3", "C1", "C2", "C3") == [
        ("P1", "C2", 500, 100_000),
        ("P3", "C1", 400, 90_000),
        ("P2", "C3", 100, 99_000),
    ]
    (done,) = chain.events("SlotMatched", slot=SLOT)
    assert (done["trades"], done["unsold_wh"], done["unmet_wh"]) == (3, 200, 0)
    shown = chain.query(VPP, "book_of", SLOT)
    assert (shown["supply_wh"], shown["unsold_wh"]) == (1_200, 200)


def test_excess_goes_to_other_members_before_the_grid() -> None:
    chain = opened("P1", "C1", "E")
    chain.bid("C1", SLOT, chain.offer("P1", SLOT, 500, 80_000), 500, 100_000)
    chain.settled(SLOT, {"P1": (800, 0), "C1": (0, 600), "E": (0, 500)})
    middle = (SBP + SSP) // 2
    seller, short, other = (chain.entry(SLOT, name) for name in ("P1", "C1", "E"))
    assert (seller["pool_out_wh"], seller["grid_sell_wh"]) == (300, 0)
    moved = {short["pool_in_wh"], other["pool_in_wh"]}
    assert short["pool_in_wh"] + other["pool_in_wh"] == 300
    assert moved == ({100, 200} if meter("C1") < meter("E") else {0, 300})
    assert seller["receipts"] == 50_000 + sum(middle * wh // 1000 for wh in moved)
    assert short["grid_buy_wh"] + other["grid_buy_wh"] == 300
    chain.assert_money_conserved()


def test_a_surplus_without_a_pool_goes_to_the_grid() -> None:
    chain = opened("P1", "E", pool=False)
    chain.settled(SLOT, {"P1": (800, 0), "E": (0, 500)})
    assert chain.nets(SLOT, "P1", "E") == {"P1": SBP * 800 // 1000, "E": -SSP * 500 // 1000}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("offer", SLOT, 0, 80_000), "BAD_WH"),
        (("offer", SLOT, 10**9, 80_000), "BAD_WH"),
        (("offer", SLOT, 100, -1), "BAD_PRICE"),
        (("offer", SLOT + 3, 100, 80_000), "WINDOW_CLOSED"),
        (("offer", SLOT - 2, 100, 80_000), "ORDER_LATE"),
        (("submit_bid", SLOT, 77, 100, 90_000), "UNKNOWN_QUOTATION"),
        (("submit_bid", SLOT, -1, 100, 90_000), "UNKNOWN_QUOTATION"),
        (("submit_bid", SLOT, 0, 1_001, 90_000), "BAD_WH"),
        (("submit_bid", SLOT, 0, 0, 90_000), "BAD_WH"),
        (("submit_bid", SLOT, 0, 100, 79_999), "BELOW_ASK"),
        (("submit_bid", SLOT, 0, 100, 10**12), "BAD_PRICE"),
        (("commit_bid", SLOT, bytes(32)), "NOT_SEALED"),
        (("reveal_bid", SLOT, 0, 100, 90_000, NONCE), "NOT_SEALED"),
        (("withdraw_offer", SLOT, 0), "NOT_YOURS"),
        (("withdraw_offer", SLOT, 5), "NO_QUOTATION"),
        (("settle", SLOT), "NOT_MATCHED"),
    ],
)
def test_refusals(call: tuple[Any, ...], code: str) -> None:
    chain = opened("P1", "C1")
    assert chain.offer("P1", SLOT, 1_000, 80_000) == 0
    assert chain.refused(address("C1"), VPP, *call) == code
    chain.assert_money_conserved()


def test_a_second_valid_bid_is_refused_and_a_refused_one_blocks_nothing() -> None:
    chain = opened("P1", "P2", "C1")
    quotation, other = chain.offer("P1", SLOT, 1_000, 80_000), chain.offer("P2", SLOT, 500, 80_000)
    assert chain.refused(address("C1"), VPP, "submit_bid", SLOT, quotation, 2_000, 90_000) == "BAD_WH"
    chain.bid("C1", SLOT, quotation, 900, 90_000)
    assert chain.refused(address("C1"), VPP, "submit_bid", SLOT, quotation, 100, 90_000) == "BID_EXISTS"
    chain.bid("C1", SLOT, other, 500, 90_000)
    assert chain.refused(address("P1"), VPP, "submit_bid", SLOT, other, 100, 90_000) == "ONE_SIDE"
    assert chain.refused(address("C1"), VPP, "offer", SLOT, 100, 90_000) == "ONE_SIDE"


def test_cover_is_locked_and_what_is_not_traded_returns() -> None:
    chain = opened("P1", "C1", **PUBLISHED)
    funds = chain.free("C1")
    quotation = chain.offer("P1", SLOT, 1_000, 80_000)
    penalty = 150_000 * (SSP * 1_000 // 1000) // 1_000_000
    assert chain.escrow("P1") == (SSP - 80_000) * 1_000 // 1000 + penalty + FEE
    chain.bid("C1", SLOT, quotation, 400, 100_000)
    assert chain.escrow("C1") == 40_000 + FEE
    assert chain.free("C1") == funds - 40_000 - FEE
    chain.go_slot(SLOT, -2)
    sold = 150_000 * (SSP * 400 // 1000) // 1_000_000
    assert chain.escrow("P1") == (SSP - 80_000) * 400 // 1000 + sold + FEE
    chain.deposit(address("poor"), 1)
    chain.member("poor", funds=0)
    chain.go_slot(SLOT + 4, -4)
    quotation = chain.offer("P1", SLOT + 4, 1_000, 80_000)
    receipt = chain.send(address("poor"), VPP, "submit_bid", SLOT + 4, quotation, 400, 100_000)
    assert receipt.code == "INSUFFICIENT_FUNDS"


def test_a_withdrawn_quotation_rejects_its_bids_and_returns_all_escrow_until_bids_close() -> None:
    chain = opened("P1", "C1", "C2")
    quotation = chain.offer("P1", SLOT, 1_000, 80_000)
    chain.bid("C1", SLOT, quotation, 400, 100_000)
    chain.bid("C2", SLOT, quotation, 500, 100_000)
    assert chain.done(address("P1"), VPP, "withdraw_offer", SLOT, quotation) == 2
    assert [chain.escrow(name) for name in ("P1", "C1", "C2")] == [0, 0, 0]
    assert chain.refused(address("C1"), VPP, "submit_bid", SLOT, quotation, 10, 90_000) == "UNKNOWN_QUOTATION"
    later = chain.offer("P1", SLOT, 200, 80_000)
    chain.go_slot(SLOT, -2)
    assert chain.trades(SLOT, "P1", "C1", "C2") == []
    assert chain.refused(address("P1"), VPP, "withdraw_offer", SLOT, later) == "QUOTATION_CLOSED"
    assert {item["status"] for item in chain.query(VPP, "book_of", SLOT)["bids"]} == {"rejected"}
    assert chain.escrow("P1") == 0


def sealed(*names: str) -> CommunityWorld:
    return opened(*names, sealed=True)


def test_sealed_bids_are_revealed_after_bids_close() -> None:
    chain = sealed("P1", "C1", "C2")
    quotation = chain.offer("P1", SLOT, 1_000, 80_000)
    assert chain.refused(address("C1"), VPP, "submit_bid", SLOT, quotation, 100, 90_000) == "SEALED"
    for name in ("C1", "C2"):
        chain.done(address(name), VPP, "commit_bid", SLOT, commitment(name, SLOT, quotation, 400, 90_000, NONCE))
    deposit = chain.parameters.tariffs.sealed_deposit
    assert chain.escrow("C1") == deposit
    reveal = (VPP, "reveal_bid", SLOT, quotation, 400, 90_000, NONCE)
    assert chain.refused(address("C1"), *reveal) == "WINDOW_CLOSED"
    chain.go_slot(SLOT, -3)
    assert chain.refused(address("P1"), VPP, "withdraw_offer", SLOT, quotation) == "QUOTATION_CLOSED"
    assert chain.refused(address("C1"), VPP, "commit_bid", SLOT, bytes(32)) == "ORDER_LATE"
    assert chain.refused(address("C1"), VPP, "reveal_bid", SLOT, quotation, 401, 90_000, NONCE) == "NO_COMMITMENT"
    assert isinstance(chain.done(address("C1"), *reveal), int)
    assert chain.escrow("C1") == 36_000 + FEE
    chain.go_slot(SLOT, -2)
    assert chain.trades(SLOT, "P1", "C1", "C2") == [("P1", "C1", 400, 90_000)]
    assert chain.escrow("C2") == 0
    assert chain.accounts()[address("community")][0] == deposit
    chain.assert_money_conserved()


def test_a_revealed_bid_that_the_rules_refuse_gets_its_deposit_back() -> None:
    chain = sealed("P1", "C1")
    quotation = chain.offer("P1", SLOT, 1_000, 80_000)
    chain.done(address("C1"), VPP, "commit_bid", SLOT, commitment("C1", SLOT, quotation, 400, 79_000, NONCE))
    chain.go_slot(SLOT, -3)
    assert chain.done(address("C1"), VPP, "reveal_bid", SLOT, quotation, 400, 79_000, NONCE) is None
    assert [event["reason"] for event in chain.events("BidRejected")] == ["BELOW_ASK"]
    assert chain.escrow("C1") == 0


def test_missing_readings_wait_and_are_then_estimated() -> None:
    chain = world("P1", "C1")
    chain.go_slot(SLOT, -4)
    chain.bid("C1", SLOT, chain.offer("P1", SLOT, 1_000, 80_000), 1_000, 100_000)
    chain.done(meter("C1"), "metering", "submit_forecast", SLOT, "demand", 1_200)
    chain.go_slot(SLOT, 2)
    assert chain.query(VPP, "settlement", SLOT, meter("P1")) is None
    chain.go_slot(SLOT, 5)
    seller, buyer = chain.entry(SLOT, "P1"), chain.entry(SLOT, "C1")
    assert (seller["generation_wh"], seller["estimated"]) == (1_000, True)
    assert (buyer["use_wh"], buyer["estimated"], buyer["grid_buy_wh"]) == (1_200, True, 200)


def test_a_correction_settles_everyone_again_and_books_the_difference() -> None:
    chain = opened("P1", "C1", "C2")
    quotation = chain.offer("P1", SLOT, 1_000, 80_000)
    chain.bid("C1", SLOT, quotation, 600, 100_000)
    chain.bid("C2", SLOT, quotation, 400, 100_000)
    chain.settled(SLOT, {"P1": (1_000, 0), "C1": (0, 600), "C2": (0, 500)})
    assert chain.good("P1") == 1
    first = chain.nets(SLOT, "P1", "C1", "C2")
    held = {name: chain.free(name) for name in first}
    chain.done(meter("P1"), "metering", "correct_reading", SLOT, 800, 0, "inverter clock")
    chain.run_due()
    fresh = opened("P1", "C1", "C2")
    quotation = fresh.offer("P1", SLOT, 1_000, 80_000)
    fresh.bid("C1", SLOT, quotation, 600, 100_000)
    fresh.bid("C2", SLOT, quotation, 400, 100_000)
    fresh.settled(SLOT, {"P1": (800, 0), "C1": (0, 600), "C2": (0, 500)})
    again = fresh.nets(SLOT, "P1", "C1", "C2")
    assert again != first
    for name in first:
        (entry,) = chain.query(VPP, "corrections_of", SLOT, meter(name))
        assert (entry["net"], entry["difference"]) == (again[name], again[name] - first[name])
        assert chain.free(name) == held[name] + again[name] - first[name]
    assert chain.query(VPP, "performance_of", meter("P1"))["defaults"] == 1
    assert chain.good("P1") == 0
    chain.assert_money_conserved()


def test_a_correction_leaves_the_pool_as_it_was_settled() -> None:
    chain = opened("P1", "E")
    chain.settled(SLOT, {"P1": (300, 0), "E": (0, 300)})
    chain.done(meter("P1"), "metering", "correct_reading", SLOT, 100, 0, "wrong phase")
    chain.run_due()
    (entry,) = chain.query(VPP, "corrections_of", SLOT, meter("P1"))
    assert (entry["pool_out_wh"], entry["grid_buy_wh"], entry["grid_cost"]) == (300, 200, SSP * 200 // 1000)
    assert chain.query(VPP, "corrections_of", SLOT, meter("E")) == []
    chain.assert_money_conserved()


def test_anyone_may_ask_for_settlement_when_all_readings_are_in() -> None:
    chain = opened("P1", "C1")
    chain.bid("C1", SLOT, chain.offer("P1", SLOT, 1_000, 80_000), 1_000, 100_000)
    chain.go_slot(SLOT, 1)
    chain.read("P1", SLOT, 1_000, 0)
    assert chain.refused(address("stranger"), VPP, "settle", SLOT) == "READINGS_MISSING"
    chain.read("C1", SLOT, 0, 1_000)
    chain.done(address("stranger"), VPP, "settle", SLOT)
    chain.run_due()
    assert chain.nets(SLOT, "P1", "C1") == {"P1": 98_000, "C1": -102_000}
    assert chain.refused(address("stranger"), VPP, "settle", SLOT) == "NOT_MATCHED"
    chain.done(meter("C1"), "metering", "correct_reading", SLOT, 0, 1_100, "pulse counted late")
    chain.go_slot(SLOT, 2)
    (entry,) = chain.query(VPP, "corrections_of", SLOT, meter("C1"))
    assert (entry["use_wh"], entry["difference"]) == (1_100, -SSP * 100 // 1000)
    assert chain.query(VPP, "corrections_of", SLOT, meter("P1")) == []
    chain.assert_money_conserved()


def test_the_community_is_bounded_and_suspended_members_do_not_order() -> None:
    chain = opened("P1")
    registry = chain.parameters.institutions.energy_bureau
    chain.done(registry, "registry", "suspend", address("P1"), "unpaid")
    assert chain.refused(address("P1"), VPP, "offer", SLOT, 100, 80_000) == "SUSPENDED"
    assert chain.refused(address("P1"), VPP, "enrol", address("x"), meter("x"), bytes(32), 1) == "NOT_ALLOWED"
    assert chain.refused(address("nobody"), VPP, "offer", SLOT, 100, 80_000) == "NOT_MEMBER"


def test_the_source_fits_and_its_parts_are_joined_in_order() -> None:
    source = library_source(VPP)
    marks = [source.index(f"def {name}(") for name in ("setup", "matched", "offer", "advance", "settle_slot", "slot")]
    assert marks == sorted(marks)
    assert len(source.encode()) < 64 * 1024
