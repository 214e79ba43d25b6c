"""Table 2.7 of the market rules: each gaming case works under the published rule, not under the default."""

from __future__ import annotations

from typing import Any

from wind_world import OPERATOR, PUBLISHED, RETAIL, A, WindWorld, address, meter

from contracts.library_sources import ONE

PRICE = 50_000
DAY = [1_000] * 4


def opened(*names: str, owners: dict[str, str] | None = None, device: str = "load", **changes: Any) -> WindWorld:
    """W produce, P are prosumers. A list of 50 a kWh for the first day, W1 sells 1,000 Wh an hour."""
    chain = WindWorld(**{"da_clearing": False, "first_reputation": 900_000, "periods": 24, **changes})
    for name in names:
        kind = "producer" if name[0] == "W" else "prosumer"
        chain.join(name, kind, legal_owner=(owners or {}).get(name, name), device="wind" if name[0] == "W" else device)
    chain.go_slot(0, -4)
    chain.done(OPERATOR, A, "post_day", 0, [PRICE] * chain.periods)
    chain.offer("W1", 0, [1_000] * chain.periods)
    return chain


def hour(chain: WindWorld, slot: int, made: int, ups: dict[str, int], given: dict[str, int] | None = None) -> None:
    """One whole hour: W1 makes `made`, prosumers reserve `ups` and deliver `given` (else all) of 2,000 Wh of demand."""
    chain.go_slot(slot, -3)
    for name in ups:
        chain.forecast(name, slot, 2_000)
    chain.go_slot(slot, -2)
    chain.announce("W1", slot, made)
    for name, wh in ups.items():
        chain.reserve(name, slot, wh, 0)
    chain.go_slot(slot, -1)
    taken = {name: wh for _, name, wh in chain.trades(slot)}
    real = taken if given is None else given
    chain.readings(slot, {"W1": (made, 0), **{name: (0, 2_000 - real.get(name, 0)) for name in ups}})


def test_tiny_trades_make_a_reputation_unless_only_real_ones_count() -> None:
    def scores(**changes: Any) -> tuple[int, int]:
        chain = opened("W1", "P1", "P2", **changes)
        for slot in (0, 5):
            hour(chain, slot, 600, {"P1": 1, "P2": 399})
        return chain.score("P1", 0), chain.score("P2", 0)

    tiny, real = scores(**PUBLISHED)
    assert tiny >= ONE // 24  # two of 24 periods at half the weight, for 2 Wh
    assert real - tiny < 5_000
    tiny, real = scores()
    assert tiny < 100
    assert real > ONE // 24


def test_a_reserve_beyond_the_rating_takes_all_unless_it_is_checked() -> None:
    def two(**changes: Any) -> WindWorld:
        return opened("W1", "P1", "P2", **changes)

    published = two(**PUBLISHED)
    hour(published, 0, 0, {"P1": 10**9, "P2": 500}, {"P2": 0, "P1": 0})
    assert max(wh for _, _, wh in published.trades(0)) >= 500
    hardened = two()
    hardened.go_slot(0, -3)
    wrong = (0, 10**9, 0, 0, 0, 10**9)
    assert hardened.refused(address("P1"), A, "reserve", *wrong) == "ABOVE_RATING"


def test_a_reserve_that_is_not_delivered_earns_money_and_reputation_unless_delivery_is_metered() -> None:
    def after(**changes: Any) -> tuple[int, int]:
        chain = opened("W1", "P1", **changes)
        hour(chain, 0, 600, {"P1": 400}, {"P1": 0})
        entry = chain.entry(0, "P1")
        return entry["p2p_money"] + entry["shortfall"], chain.score("P1", 0)

    money, score = after(**PUBLISHED)
    assert money == 50 * 400
    assert score > 0
    assert after() == (-(55 - 50) * 400, 0)


def test_a_low_forecast_pleases_an_accuracy_that_counts_shortfalls_only() -> None:
    """The default counts the absolute error of each hour (2.1) and prices surpluses below the day-ahead price."""

    def told(forecast: int, **changes: Any) -> tuple[int, int]:
        chain = WindWorld(da_clearing=False, **changes)
        chain.join("W1", "producer")
        chain.go_slot(0, -4)
        chain.done(OPERATOR, A, "post_day", 0, [PRICE] * 4)
        chain.offer("W1", 0, [forecast] * 4)
        net = 0
        for slot in (0, 1):
            chain.readings(slot, {"W1": (1_000, 0)})
            net += chain.entry(slot, "W1")["net"]
        chain.go_slot(4, -1)
        return chain.query(A, "provider", meter("W1"))["reputation"], net

    assert told(300, one_sided=True)[0] == told(1_000, one_sided=True)[0]
    low, honest = told(300), told(1_000)
    assert low[0] < honest[0]
    assert low[1] < honest[1]


def test_the_smallest_id_wins_every_tie_unless_ties_go_by_hash() -> None:
    """The default is the published order here; the option makes the order of a slot its own."""

    def winners(**changes: Any) -> set[str]:
        found = set()
        for first in range(6):
            chain = WindWorld(da_clearing=False, first_slot=first, **changes)
            for name, kind in (("W1", "producer"), ("P1", "prosumer"), ("P2", "prosumer")):
                chain.join(name, kind)
            chain.go_slot(first, -4)
            chain.offer("W1", 0, DAY)
            hour(chain, first, 900, {"P1": 100, "P2": 100})
            found |= {name for _, name, _ in chain.trades(first)}
        return found

    assert winners() == {min(("P1", "P2"), key=lambda name: bytes(meter(name)))}
    assert winners(tie_hash=True) == {"P1", "P2"}


def test_a_leader_pushes_prosumers_to_their_outside_option_unless_the_price_is_clamped() -> None:
    def paid(price: int, made: int, **changes: Any) -> int:
        chain = opened("W1", "P1", **changes)
        chain.done(OPERATOR, A, "post_prices", 0, [price])
        chain.forecast("P1", 0, 1_000)
        chain.announce("W1", 0, made)
        chain.reserve("P1", 0, 400, 400)
        chain.go_slot(0, -1)
        assert chain.trades(0) == [("W1", "P1", 400)]
        return int(chain.query(A, "slot", 0)["p2p_price"])

    assert (paid(0, 600, **PUBLISHED), paid(RETAIL, 1_400, **PUBLISHED)) == (0, RETAIL)
    assert (paid(0, 600), paid(RETAIL, 1_400)) == (45_000, 55_000)


def test_a_producer_trades_with_its_own_household_for_reputation_unless_owners_must_differ() -> None:
    same = {"W1": "firm", "P1": "firm"}
    published = opened("W1", "P1", owners=same, **PUBLISHED)
    hour(published, 0, 600, {"P1": 400})
    assert published.score("P1", 0) > 0
    hardened = opened("W1", "P1", owners=same)
    hour(hardened, 0, 600, {"P1": 400})
    assert hardened.trades(0) == []


def test_a_charge_is_sold_twice_unless_the_contract_remembers_what_is_left() -> None:
    def sold(**changes: Any) -> list[int]:
        chain = opened("W1", "P1", device="storage", **changes)
        chain.go_slot(0, -3)
        for slot in (0, 1):
            chain.forecast("P1", slot, 1_000)
            chain.announce("W1", slot, 600)
            chain.reserve("P1", slot, 400, 0)
        chain.go_slot(1, -1)
        return [sum(wh for _, _, wh in chain.trades(slot)) for slot in (0, 1)]

    assert sold(**PUBLISHED) == [400, 400]
    assert sold() == [400, 0]
    chain = opened("W1", "P1", device="storage")
    hour(chain, 0, 600, {"P1": 400})
    assert chain.refused(address("P1"), A, "reserve", 4, 300, 0, 0, 0, 500) == "ABOVE_RESERVE"


def test_who_does_not_deliver_three_times_is_removed_and_back_after_a_test_delivery() -> None:
    chain = opened("W1", "P1", "P2", periods=48)
    for slot in (0, 5, 10):
        hour(chain, slot, 0, {"P1": 300, "P2": 300}, {"P1": 100, "P2": 200})
    (told,) = chain.events("Removed")
    assert (chain.name_of(told["meter"]), told["reason"]) == ("P1", "UNDELIVERED")
    hour(chain, 15, 0, {"P1": 200, "P2": 100}, {"P1": 20, "P2": 100})
    assert chain.trades(15) == [("W1", "P2", 100)]
    assert chain.reasons(15) == {"P1": "UNDELIVERED", "P2": ""}
    assert chain.events("Readmitted") == []
    hour(chain, 20, 0, {"P1": 200}, {"P1": 120})
    (back,) = chain.events("Readmitted")
    assert back["reason"] == "TEST_DELIVERY"
    hour(chain, 25, 0, {"P1": 200})
    assert chain.trades(25) == [("W1", "P1", 200)]


def test_the_idle_and_the_least_reputed_are_removed_and_the_bureau_takes_them_back() -> None:
    chain = opened("W1", "P1", "P2", periods=8)
    hour(chain, 0, 0, {"P1": 1_000})
    assert chain.refused(chain.parameters.institutions.energy_bureau, A, "readmit", meter("P2"), "x") == "NOT_REMOVED"
    chain.go_slot(8, -4)
    chain.offer("W1", 1, [1_000] * 8)
    hour(chain, 8, 0, {"P1": 1_000})
    chain.go_slot(16, -1)
    (told,) = chain.events("Removed")
    assert (chain.name_of(told["meter"]), told["reason"]) == ("P2", "LOW_REPUTATION")
    chain.done(chain.parameters.institutions.energy_bureau, A, "readmit", meter("P2"), "visited")
    assert chain.query(A, "performance", meter("P2"), 2)["removed"] == ""
    chain.go_slot(8 * 8, -1)
    reasons = {(chain.name_of(row["meter"]), row["reason"]) for row in chain.events("Removed")}
    assert ("P1", "IDLE") in reasons
    published = opened("W1", "P1", **{**PUBLISHED, "periods": 8})
    published.go_slot(8 * 9, 0)
    assert published.events("Removed") == []
