"""wind: the three floors of market A on the real executor, with numbers worked out by hand."""

from __future__ import annotations

import pytest
from wind_world import FEED, OPERATOR, PUBLISHED, RETAIL, A, WindWorld, address, commitment, meter

from contracts.library_sources import ONE
from ledger.errors import GenesisError

DAY = [1_000, 2_000, 500, 0]
PRICE = 50_000


def opened(*names: str, **changes: object) -> WindWorld:
    """Members by their first letter: W producers, P prosumers, C loads. The first day's floor is open."""
    chain = WindWorld(**changes)
    for name in names:
        chain.join(name, {"W": "producer", "P": "prosumer", "C": "consumer"}[name[0]])
    chain.go_slot(0, -4)
    return chain


def listed(*names: str, **changes: object) -> WindWorld:
    """The published day-ahead floor: the operator's list, W1 sells its forecast."""
    chain = opened(*names, **{"da_clearing": False, "first_reputation": 900_000, **changes})
    chain.done(OPERATOR, A, "post_day", 0, [PRICE] * 4)
    chain.offer("W1", 0, DAY)
    return chain


def test_a_deficit_is_matched_by_rank_and_the_rest_is_balanced() -> None:
    chain = listed("W1", "P1", "P2", "C1")
    chain.bid("C1", 0, [600] * 4)
    chain.done(OPERATOR, A, "post_prices", 0, [48_000])
    for name in ("P1", "P2"):
        chain.forecast(name, 0, 1_000)
    chain.go_slot(0, -1, -1)
    chain.announce("W1", 0, 500)
    chain.reserve("P1", 0, 300, 0, discharge=30_000)
    chain.reserve("P2", 0, 250, 0, discharge=48_001)
    chain.go_slot(0, -1)
    assert chain.trades(0) == [("W1", "P1", 300)]
    found = chain.query(A, "slot", 0)
    assert (found["phase"], found["da_price"], found["p2p_price"], found["matched_wh"]) == (
        "matched", PRICE, 48_000, 300,
    )  # fmt: skip
    assert chain.query(A, "balancing", 0, meter("W1")) == {
        "reputation": 900_000, "announced": 500, "deviation": -500, "buy": 55_000, "sell": 45_000, "rest_wh": 200,
    }  # fmt: skip
    chain.readings(0, {"W1": (500, 0), "P1": (0, 700), "P2": (0, 1_000), "C1": (0, 700)})
    wind = chain.entry(0, "W1")
    assert (wind["da_money"], wind["p2p_money"], wind["bl_money"]) == (50_000, -48 * 300, -55 * 200)
    assert chain.entry(0, "P1")["net"] == 48 * 300 - RETAIL * 1_000 // 1000
    assert chain.entry(0, "P2")["net"] == -RETAIL
    load = chain.entry(0, "C1")
    assert (load["da_bought_wh"], load["grid_buy_wh"]) == (600, 100)
    assert load["net"] == -50 * 600 - 120 * 100
    (total,) = chain.events("SlotSettled", slot=0)
    assert total["use_wh"] - total["generation_wh"] == total["grid_sales_wh"] - total["grid_purchases_wh"]
    assert total["members_net"] + total["grid_net"] == 0
    assert chain.score("P1", 0) == (ONE // 4 + 300 * ONE // 100_000) // 2
    chain.go_slot(3, 6)
    chain.assert_closed()


def test_a_surplus_is_absorbed_and_identity_of_the_hour_holds() -> None:
    chain = listed("W1", "P1")
    chain.forecast("P1", 1, 500)
    chain.go_slot(1, -1, -1)
    chain.announce("W1", 1, 2_400)
    chain.reserve("P1", 1, 0, 300, charge=10_000)
    chain.readings(0, {"W1": (1_000, 0)})
    chain.readings(1, {"W1": (2_450, 0), "P1": (0, 800)})
    wind = chain.entry(1, "W1")
    sold, bought = wind["p2p_sold_wh"], wind["p2p_bought_wh"]
    assert 2_000 + sold - bought + wind["bl_sold_wh"] - wind["bl_bought_wh"] == 2_450
    assert (sold, wind["bl_sold_wh"]) == (300, 150)
    assert wind["p2p_money"] == 50 * 300  # the middle of 45 and 55: nobody posted a price
    assert chain.entry(1, "P1")["net"] == -50 * 300 - 120 * 500


def test_a_shortfall_of_delivery_is_priced_as_balancing_energy() -> None:
    chain = listed("W1", "P1")
    chain.forecast("P1", 0, 1_000)
    chain.announce("W1", 0, 600)
    chain.reserve("P1", 0, 400, 0)
    chain.readings(0, {"W1": (600, 0), "P1": (0, 900)})
    wind, prosumer = chain.entry(0, "W1"), chain.entry(0, "P1")
    assert (wind["p2p_bought_wh"], wind["bl_bought_wh"]) == (100, 300)
    assert prosumer["shortfall"] == -(55 - 50) * 300
    assert wind["shortfall"] + wind["bl_money"] == -50 * 300  # the producer is as well off as with delivery
    assert chain.query(A, "performance", meter("P1"), 0)["volume_wh"] == 100


def test_loads_and_producers_clear_at_one_price() -> None:
    chain = opened("W1", "W2", "C1", "C2")
    chain.offer("W1", 0, [1_000] * 4, 50_000)
    chain.offer("W2", 0, [1_000] * 4, 70_000)
    chain.bid("C1", 0, [800, 1_500, 2_500, 0], 90_000)
    chain.bid("C2", 0, [100, 200, 0, 0], 60_000)
    chain.go_slot(0, -2)
    rows = [chain.events("HourCleared", slot=at)[0] for at in range(4)]
    assert [row["price"] for row in rows] == [50_000, 70_000, 90_000, FEED]
    assert [(row["sold_wh"], row["bought_wh"]) for row in rows] == [(900, 900), (1_500, 1_500), (2_000, 2_000), (0, 0)]
    assert chain.query(A, "position", 1, meter("W2"))["sold"] == 500
    chain.go_slot(3, 6)
    chain.assert_closed()


def test_without_a_list_yesterdays_is_taken_and_flagged_in_every_bill() -> None:
    chain = listed("W1", "C1")
    chain.go_slot(0, 0)
    chain.offer("W1", 1, DAY)
    for slot in range(4):
        chain.readings(slot, {"W1": (DAY[slot], 0)})
    assert not chain.entry(1, "C1")["flagged"]
    chain.readings(4, {"W1": (1_000, 0)})
    found = chain.query(A, "slot", 4)
    assert (found["da_price"], found["flagged"]) == (PRICE, True)
    assert chain.entry(4, "C1")["flagged"]
    assert chain.refused(address("W1"), A, "post_day", 2, [1] * 4) == "NOT_ALLOWED"


def test_reputation_of_the_settled_hours_sets_the_balancing_price_of_the_next_day() -> None:
    chain = listed("W1", a1=600_000)
    chain.done(chain.parameters.institutions.grid_company, A, "post_efficiency", meter("W1"), 800_000)
    chain.go_slot(0, 0)
    chain.offer("W1", 1, DAY)
    chain.readings(0, {"W1": (900, 0)})
    chain.readings(1, {"W1": (2_200, 0)})
    chain.go_slot(4, -1)
    (told,) = chain.events("ReputationUpdated", day=1)
    assert told["reputation"] == (600_000 * 900_000 + 400_000 * 800_000) // ONE
    assert chain.query(A, "balancing", 4, meter("W1"))["reputation"] == told["reputation"]


def test_several_producers_net_first_then_are_served_by_reputation() -> None:
    chain = listed("W1", "W2", "W3", "P1")
    for name in ("W2", "W3"):
        chain.offer(name, 0, DAY)
    chain.forecast("P1", 0, 1_000)
    chain.announce("W1", 0, 1_300)
    chain.announce("W2", 0, 800)
    chain.announce("W3", 0, 600)
    chain.reserve("P1", 0, 250, 250)
    chain.go_slot(0, -1)
    netted = chain.events("Netted")
    assert sum(event["wh"] for event in netted) == 300
    assert {chain.name_of(event["seller"]) for event in netted} == {"W1"}
    assert {event["price"] for event in netted} == {50_000}
    assert sum(wh for _, _, wh in chain.trades(0)) == 250
    chain.readings(0, {"W1": (1_300, 0), "W2": (800, 0), "W3": (600, 0), "P1": (0, 750)})
    assert sum(chain.entry(0, name)["bl_bought_wh"] for name in ("W2", "W3")) == 50
    chain.assert_money_conserved()


def test_a_missing_reading_waits_is_estimated_and_corrected() -> None:
    chain = listed("W1", "C1")
    chain.go_slot(0, 1)
    chain.read("C1", 0, 0, 10)
    chain.go_slot(0, 2)
    assert chain.query(A, "settlement", 0, meter("W1")) is None
    chain.go_slot(0, 5)
    guess = chain.entry(0, "W1")
    assert (guess["estimated"], guess["generation_wh"]) == (True, 1_000)
    chain.read("W1", 0, 700, 0)
    chain.run_due()
    (fixed,) = chain.query(A, "corrections_of", 0, meter("W1"))
    assert (fixed["bl_bought_wh"], fixed["difference"], fixed["estimated"]) == (300, -55 * 300, False)
    assert chain.query(A, "provider", meter("W1"))["missed_wh"] == 300
    chain.assert_money_conserved()


@pytest.mark.parametrize("shown", [True, False])
def test_sealed_day_orders_are_revealed_or_lose_their_deposit(shown: bool) -> None:
    chain = opened("W1", sealed=True)
    order = (0, "sell", DAY, [45_000] * 4, bytes(32))
    assert chain.refused(address("W1"), A, "offer_day", 0, DAY, [0] * 4) == "SEALED"
    chain.done(address("W1"), A, "commit_day", 0, commitment("W1", *order))
    assert chain.refused(address("W1"), A, "commit_day", 0, bytes(32)) == "COMMITTED"
    assert chain.refused(address("W1"), A, "reveal_day", *order) == "WINDOW_CLOSED"
    chain.go_slot(0, -3)
    assert chain.query(A, "day_book", 0) == {"offers": [], "bids": []}
    wrong = (0, "sell", DAY, [45_001] * 4, bytes(32))
    assert chain.refused(address("W1"), A, "reveal_day", *wrong) == "NO_COMMITMENT"
    if shown:
        chain.done(address("W1"), A, "reveal_day", *order)
        assert len(chain.query(A, "day_book", 0)["offers"]) == 1
    chain.go_slot(0, -2)
    assert len(chain.events("DepositLost")) == (0 if shown else 1)
    chain.go_slot(3, 6)
    chain.assert_closed()


def test_orders_are_withdrawn_refused_and_covered() -> None:
    chain = opened("W1", "P1", "C1")
    before = chain.free("C1")
    chain.bid("C1", 0, [1_000] * 4, 60_000)
    assert chain.escrow("C1") == 240_000
    assert chain.done(address("C1"), A, "withdraw_day", 0) == 240_000
    assert chain.free("C1") == before
    cases = (
        ("C1", "offer_day", (0, DAY, [0] * 4), "NOT_PRODUCER"),
        ("W1", "bid_day", (0, DAY, [0] * 4), "NOT_LOAD"),
        ("W1", "offer_day", (0, DAY, [0] * 3), "BAD_LENGTH"),
        ("W1", "offer_day", (0, [10**9] * 4, [0] * 4), "BAD_WH"),
        ("W1", "offer_day", (7, DAY, [0] * 4), "WINDOW_CLOSED"),
        ("C1", "withdraw_day", (0,), "NO_ORDER"),
        ("C1", "announce", (0, 5), "NOT_PRODUCER"),
        ("C1", "reserve", (0, 5, 5, 0, 0, 0), "NOT_PROSUMER"),
        ("P1", "reserve", (0, 5, 5, 0, 0, 0), "ABOVE_RESERVE"),
        ("P1", "post_prices", (0, [1]), "NOT_ALLOWED"),
        ("P1", "post_efficiency", (meter("W1"), 1), "NOT_ALLOWED"),
        ("P1", "readmit", (meter("P1"), "x"), "NOT_ALLOWED"),
        ("X", "announce", (0, 5), "NOT_MEMBER"),
    )
    for name, entry, arguments, code in cases:
        assert chain.refused(address(name), A, entry, *arguments) == code, (name, entry)
    chain.done(chain.parameters.institutions.energy_bureau, "registry", "suspend", address("P1"), "audit")
    assert chain.refused(address("P1"), A, "reserve", 0, 5, 5, 0, 0, 9) == "SUSPENDED"
    chain.go_slot(0, -2)
    assert chain.refused(address("W1"), A, "offer_day", 0, DAY, [0] * 4) == "ORDER_LATE"
    chain.go_slot(0, -1)
    assert chain.refused(address("W1"), A, "announce", 0, 5) == "ORDER_LATE"


def test_a_reserve_is_replaced_and_its_cover_returns() -> None:
    chain = opened("P1")
    worst = chain.query(A, "parameters")["worst"]
    chain.reserve("P1", 0, 400, 300)
    assert chain.escrow("P1") == worst * 400 // 1000
    chain.reserve("P1", 0, 100, 200)
    assert chain.escrow("P1") == worst * 200 // 1000
    chain.go_slot(0, -1)
    assert chain.escrow("P1") == 0
    assert chain.reasons(0) == {"P1": "NO_FORECAST"}


def test_the_calendar_may_end_inside_a_day() -> None:
    chain = opened("W1", "C1", last_slot=1)
    chain.offer("W1", 0, DAY)
    chain.bid("C1", 0, [100] * 4)
    chain.go_slot(1, 8)
    chain.assert_closed()
    assert len(chain.events("SlotSettled")) == 2


def test_published_options_run_the_published_rules() -> None:
    chain = opened("W1", "P1", **PUBLISHED)
    chain.done(OPERATOR, A, "post_day", 0, [PRICE] * 4)
    chain.offer("W1", 0, DAY)
    chain.forecast("P1", 0, 0)
    chain.done(OPERATOR, A, "post_prices", 0, [100_000] * 4)
    chain.announce("W1", 0, 900)
    chain.reserve("P1", 0, 500, 0)
    chain.go_slot(0, -1)
    assert chain.trades(0) == [("W1", "P1", 100)]
    assert chain.query(A, "slot", 0)["p2p_price"] == 100_000
    assert chain.score("P1", 0) == (ONE // 4 + 100 * ONE // 100_000) // 2


@pytest.mark.parametrize("wrong", [{"periods": 0}, {"periods": 97}, {"b1": ONE + 1}, {"s0": -1}, {"reference": 2**40}])
def test_terms_that_no_market_can_run_on_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(GenesisError):
        WindWorld(**wrong)


def test_what_a_prosumer_moved_is_delivered_once_though_two_producers_count_on_it() -> None:
    chain = listed("W1", "W2", "P1")
    chain.offer("W2", 0, DAY)
    chain.forecast("P1", 0, 1_000)
    for name in ("W1", "W2"):
        chain.announce(name, 0, 800)
    chain.reserve("P1", 0, 400, 400)
    chain.go_slot(0, -1)
    assert [wh for _, _, wh in chain.trades(0)] == [200, 200]
    chain.readings(0, {"W1": (800, 0), "W2": (800, 0), "P1": (0, 700)})
    assert [event["delivered_wh"] for event in chain.events("Delivered", slot=0)] == [200, 100]
    assert chain.entry(0, "P1")["p2p_sold_wh"] == 300
    assert sum(chain.entry(0, name)["bl_bought_wh"] for name in ("W1", "W2")) == 100


def test_a_prosumer_moves_in_one_direction_a_slot() -> None:
    """Two producers of one owner are not netted: one has too much, the other too little."""
    chain = WindWorld(da_clearing=False, first_reputation=900_000)
    for name in ("W1", "W2"):
        chain.join(name, "producer", legal_owner="firm")
    chain.join("P1", "prosumer")
    chain.go_slot(0, -4)
    chain.done(OPERATOR, A, "post_day", 0, [PRICE] * 4)
    for name, made in (("W1", 800), ("W2", 1_200)):
        chain.offer(name, 0, DAY)
        chain.announce(name, 0, made)
    chain.forecast("P1", 0, 1_000)
    chain.reserve("P1", 0, 400, 400)
    chain.go_slot(0, -1)
    assert [wh for _, _, wh in chain.trades(0)] == [200]
