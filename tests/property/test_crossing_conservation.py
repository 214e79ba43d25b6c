"""Random days of three regions that trade with each other: money and energy are whole after every global block, and
every bill is what the account has moved by."""

from __future__ import annotations

from typing import Any

from crossing_world import BLOCKS, Regions
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import SLOT_MS, MarketWorld, address, meter

from consensus.sharded.discipline import ShardRules

NAMES = ("east", "north", "west")
EACH = 3
SLOTS = (5, 6)
FUNDS = 10**9

wh = st.one_of(st.integers(1, 80), st.integers(1, 3_000))
order = st.tuples(
    st.sampled_from(NAMES), st.integers(0, EACH - 1), st.sampled_from(SLOTS), wh, st.integers(440_000, 690_000)
)
day = st.fixed_dictionaries(
    {
        "orders": st.lists(order, min_size=4, max_size=24),
        "readings": st.lists(st.one_of(st.none(), st.integers(0, 3_000)), min_size=18, max_size=18),
        "away": st.lists(st.sets(st.sampled_from(NAMES), max_size=2), min_size=9, max_size=9),
        "fee": st.sampled_from((0, 1_000, 50_000)),
        "limit": st.sampled_from((2, 10_000)),
    }
)


def selling(at: int) -> bool:
    """The first of each region generates, the others use."""
    return at == 0


def name_of(region: str, at: int) -> str:
    return f"{region} {at}"


def tick(regions: Regions, case: dict[str, Any], at: int) -> None:
    """One global block, with some regions away."""
    regions.away = set(case["away"][at])
    regions.round()


@given(day)
@settings(max_examples=10, deadline=None, print_blob=True)
def test_days_of_three_regions_are_whole(case: dict[str, Any]) -> None:
    regions = Regions(NAMES, ShardRules(fee_ppm=case["fee"], inbox_limit=case["limit"]))
    for region, world in regions.worlds.items():
        for at in range(EACH):
            world.member(name_of(region, at), funds=FUNDS)
    first = regions.worlds[NAMES[0]]
    regions.everywhere(first.start(SLOTS[0]) - 3 * SLOT_MS + 1)
    promised: dict[tuple[str, int, int], int] = {}
    for region, at, slot, volume, price in case["orders"]:
        world = regions.worlds[region]
        side = "sell" if selling(at) else "buy"
        world.order(name_of(region, at), slot, side, volume, price)
        promised[region, at, slot] = promised.get((region, at, slot), 0) + volume
        if selling(at):
            expected = min(4_000, promised[region, at, slot])
            regions.forecast(region, name_of(region, at), slot, "generation", expected)
    regions.everywhere(first.start(SLOTS[0]) - SLOT_MS)
    tick(regions, case, 0)
    regions.everywhere(first.start(SLOTS[0]))
    tick(regions, case, 1)
    read = iter(case["readings"])
    for number, slot in enumerate(SLOTS):
        regions.everywhere(first.start(slot + 1) + 1)
        for region, world in regions.worlds.items():
            for at in range(EACH):
                value = next(read)
                if value is not None:
                    world.read(name_of(region, at), slot, *((value, 0) if selling(at) else (0, value)))
        tick(regions, case, 2 + 2 * number)
        regions.everywhere(first.start(slot + 1) + SLOT_MS // 2)
        tick(regions, case, 3 + 2 * number)
    for at in range(6, 9):
        regions.everywhere(first.start(SLOTS[-1] + at - 3))
        tick(regions, case, at)
    regions.away = set()
    for _ in range(BLOCKS + 2):
        regions.round()
    assert regions.state.locks == {}
    regions.everywhere(first.start(SLOTS[-1] + 8))
    for region, world in regions.worlds.items():
        judge(region, world, promised)


def judge(region: str, world: MarketWorld, promised: dict[tuple[str, int, int], int]) -> None:
    """A region when all is over: nothing is locked, every line is where the money went, and energy adds up."""
    for at in range(EACH):
        name = name_of(region, at)
        bill = world.query("bills", "bill", meter(name), 0, SLOTS[-1])
        balance, escrow, debt = world.accounts()[address(name)]
        assert (balance - debt, escrow) == (FUNDS + bill["amount"], 0), name
        for slot in SLOTS:
            lines = [line for line in bill["lines"] if line["slot"] == slot]
            sold = sum(line["wh"] for line in lines if line["kind"] in ("elsewhere_sold", "trade_sold"))
            bought = sum(line["wh"] for line in lines if line["kind"] in ("elsewhere_bought", "trade_bought"))
            assert sold + bought <= promised.get((region, at, slot), 0)
            given, taken = world.query("metering", "agreed_of", slot, meter(name))
            known = world.query("metering", "valid", slot, [meter(name)])[0]
            if known[0] > 0:
                grid = sum(line["wh"] for line in lines if line["kind"] == "grid_bought")
                grid -= sum(line["wh"] for line in lines if line["kind"] == "grid_sold")
                home = sum(line["wh"] for line in lines if line["kind"] == "trade_bought")
                home -= sum(line["wh"] for line in lines if line["kind"] == "trade_sold")
                assert known[2] - known[1] == grid + home + taken - given, (name, slot)
