"""Trade reduction: nobody with one order of the common size gains by saying another price than its own (McAfee 1992).

One stage; each case is played twice on one chain, in two slots: as it is, and with one trader that lies. A random day
under each pricing then conserves money and energy.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import AUCTION, MarketWorld, address, meter

WH = 1_000
TRUE, LIE = 5, 6
SELLERS = tuple(f"S{number}" for number in range(4))
BUYERS = tuple(f"B{number}" for number in range(4))

price = st.one_of(st.integers(450_000, 670_000), st.integers(45, 67).map(lambda tens: tens * 10_000))
street = st.fixed_dictionaries(
    {
        "values": st.lists(price, min_size=8, max_size=8),
        "order": st.permutations(range(8)),
        "absent": st.sets(st.integers(0, 7), max_size=4),
        "liar": st.integers(0, 7),
        "says": st.one_of(price, st.integers(0, 1_500_000)),
    }
)


def gain(world: MarketWorld, slot: int, name: str, value: int) -> int:
    """What a trader gains at its true value: the contract's trades, in Wh and money."""
    sold = world.events("Trade", slot=slot, seller=meter(name))
    bought = world.events("Trade", slot=slot, buyer=meter(name))
    income = sum(event["money"] - value * event["wh"] // 1_000 for event in sold)
    saved = sum(value * event["wh"] // 1_000 - event["money"] - event["surplus"] for event in bought)
    return income + saved


@settings(max_examples=40, deadline=None)
@given(case=street)
def test_no_unilateral_lie_gains_under_trade_reduction(case: dict[str, Any]) -> None:
    names = (*SELLERS, *BUYERS)
    world = MarketWorld(first_slot=TRUE, last_slot=LIE, pricing="mcafee", two_stages=False)
    for name in names:
        world.member(name)
    for slot in (TRUE, LIE):
        world.go_slot(slot, -4)
        for who in case["order"]:
            if who not in case["absent"] or who == case["liar"]:
                said = case["says"] if slot == LIE and who == case["liar"] else case["values"][who]
                world.order(names[who], slot, "sell" if who < 4 else "buy", WH, said, "keep")
    world.go_slot(LIE, -1)
    liar, value = names[case["liar"]], case["values"][case["liar"]]
    assert gain(world, TRUE, liar, value) >= 0
    assert gain(world, LIE, liar, value) <= gain(world, TRUE, liar, value)


NAMES = ("anna", "bert", "carl", "dora")
SLOTS = range(5, 9)
trade = st.tuples(st.integers(0, 3), st.integers(1, 4_000), st.integers(440_000, 700_000), st.booleans())
meter_slot = st.tuples(
    st.sampled_from(("in time", "never", "late", "twice")),
    st.integers(0, 5_000),
    st.lists(st.integers(0, 5_000), max_size=1),
)
day = st.fixed_dictionaries(
    {
        "pricing": st.sampled_from(("midpoint", "clear", "mcafee")),
        "orders": st.lists(st.lists(trade, min_size=2, max_size=8), min_size=4, max_size=4),
        "readings": st.lists(st.lists(meter_slot, min_size=4, max_size=4), min_size=4, max_size=4),
    }
)


def read_slot(world: MarketWorld, slot: int, rows: list[tuple], moments: tuple[str, ...]) -> None:
    for who, (when, wh, fixes) in enumerate(rows):
        if when in moments:
            values = (slot, wh, 0) if who < 2 else (slot, 0, wh)
            world.done(meter(NAMES[who]), "metering", "submit_reading", *values)
            if when == "twice":
                assert world.refused(meter(NAMES[who]), "metering", "submit_reading", *values) == "READING_EXISTS"
            for fix in fixes:
                values = (slot, fix, 0) if who < 2 else (slot, 0, fix)
                world.done(meter(NAMES[who]), "metering", "correct_reading", *values, "checked")


@settings(max_examples=20, deadline=None)
@given(case=day)
def test_a_day_with_outages_duplicates_and_corrections_conserves_under_each_pricing(case: dict[str, Any]) -> None:
    world = MarketWorld(first_slot=SLOTS[0], last_slot=SLOTS[-1], pricing=case["pricing"])
    for name in NAMES:
        world.member(name, funds=10**9)
    for slot, orders in zip(SLOTS, case["orders"], strict=True):
        world.go_slot(slot, -4)
        for who, wh, said, reference in orders:
            world.order(NAMES[who], slot, "sell" if who < 2 else "buy", wh, said, "reference" if reference else "keep")
    for slot, rows in zip(SLOTS, case["readings"], strict=True):
        world.go_slot(slot, 1)
        read_slot(world, slot, rows, ("in time", "twice"))
        world.assert_money_conserved()
    world.go_slot(SLOTS[-1], 6)
    for slot, rows in zip(SLOTS, case["readings"], strict=True):
        read_slot(world, slot, rows, ("late",))
    world.assert_money_conserved()
    accounts = world.accounts()
    assert accounts.get(bytes(AUCTION), (0, 0, 0)) == (0, 0, 0)
    assert all(escrow == 0 for _, escrow, _ in accounts.values())
    totals = world.events("SlotSettled")
    assert sorted(total["slot"] for total in totals) == list(SLOTS)
    for total in totals:
        assert total["use_wh"] - total["generation_wh"] == total["grid_sales_wh"] - total["grid_purchases_wh"]
        assert total["members_net"] + total["grid_net"] + total["surplus"] == 0
    assert accounts.get(address("community"), (0, 0, 0))[0] == sum(total["surplus"] for total in totals)
