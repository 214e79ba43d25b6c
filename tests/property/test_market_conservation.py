"""Random markets on the real executor against a naive model of section 4; money and energy stay conserved."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import AUCTION, MarketWorld, address, meter
from naive_market import amount, clear, settle

FEED, RETAIL = 450_000, 670_000
SLOT = 5
NAMES = ("anna", "bert", "carl", "dora", "emil", "fred")

members = st.lists(st.sampled_from(("own", "firm")), min_size=len(NAMES), max_size=len(NAMES))
order = st.fixed_dictionaries(
    {
        "who": st.integers(0, len(NAMES) - 1),
        "wh": st.one_of(st.integers(1, 120), st.integers(1, 5_000)),
        "price": st.one_of(
            st.integers(440_000, 700_000), st.integers(0, 2_000_000), st.sampled_from((500_000, 600_000))
        ),
        "requote": st.sampled_from(("keep", "reference")),
    }
)
reading = st.one_of(st.none(), st.tuples(st.booleans(), st.integers(0, 6_000)))
market = st.fixed_dictionaries(
    {
        "owners": members,
        "sides": st.permutations(("sell", "buy", "sell", "buy", "sell", "buy")),
        "orders": st.one_of(st.lists(order, max_size=5), st.lists(order, min_size=8, max_size=24)),
        "readings": st.lists(reading, min_size=len(NAMES), max_size=len(NAMES)),
        "corrections": st.lists(
            st.tuples(st.integers(0, len(NAMES) - 1), st.booleans(), st.integers(0, 6_000)), max_size=3
        ),
        "withdrawn": st.lists(st.integers(0, 23), max_size=3),
        "quotes": st.lists(st.tuples(st.integers(0, 23), st.integers(400_000, 800_000)), max_size=8),
        "hardened": st.booleans(),
        "self_trade": st.booleans(),
        "pricing": st.sampled_from(("midpoint", "clear", "mcafee")),
    }
)


def place(world: MarketWorld, case: dict[str, Any]) -> list[dict[str, Any]]:
    orders = []
    for item in case["orders"]:
        name = NAMES[item["who"]]
        side = case["sides"][item["who"]]
        seq = world.order(name, SLOT, side, item["wh"], item["price"], item["requote"])
        owner = "firm" if case["owners"][item["who"]] == "firm" else name
        orders.append({**item, "seq": seq, "side": side, "meter": meter(name), "owner": owner})
    for index in sorted(set(case["withdrawn"]), reverse=True):
        if index < len(orders):
            gone = orders.pop(index)
            call = ("double_auction", "withdraw_order", SLOT, gone["side"], gone["price"], gone["seq"])
            world.done(address(NAMES[gone["who"]]), *call)
    return orders


def requote(world: MarketWorld, case: dict[str, Any], orders: list[dict[str, Any]]) -> dict[int, int]:
    """Try new prices between the stages; what the contract takes, by seq."""
    taken = {}
    for index, price in case["quotes"]:
        if orders:
            item = orders[index % len(orders)]
            call = ("double_auction", "requote_order", SLOT, item["side"], item["price"], item["seq"], price)
            receipt = world.send(address(NAMES[item["who"]]), *call)
            if receipt.ok:
                taken[item["seq"]] = price
            else:
                assert receipt.code in ("NO_STAGE_TWO", "NO_ORDER", "REQUOTED")
    return taken


def trade_rows(world: MarketWorld, stage: int) -> list[dict[str, Any]]:
    names = ("seller", "buyer", "wh", "price", "surplus", "sell_seq", "buy_seq")
    return [{name: event[name] for name in names} for event in world.events("Trade", slot=SLOT, stage=stage)]


def compare_clearing(
    world: MarketWorld, case: dict[str, Any], orders: list[dict[str, Any]], quotes: dict[int, int]
) -> list[dict[str, Any]]:
    options = {"hardened": case["hardened"], "self_trade": case["self_trade"], "quotes": quotes}
    model = clear(orders, feed=FEED, retail=RETAIL, pricing=case["pricing"], **options)
    for stage in (1, 2):
        found = trade_rows(world, stage)
        assert found == [{name: trade[name] for name in trade if name != "mark"} for trade in model[f"stage{stage}"]]
        within_limits(orders, quotes, model["pa"], found)
    (cleared,) = world.events("SlotCleared", slot=SLOT)
    assert (cleared["pa"], cleared["unsold_wh"], cleared["unmet_wh"]) == (model["pa"], model["unsold"], model["unmet"])
    assert {event["seq"]: event["left_wh"] for event in world.events("OrderExpired", slot=SLOT)} == model["left"]
    return [*model["stage1"], *model["stage2"]]


def within_limits(orders: list[dict], quotes: dict[int, int], pa: int | None, trades: list[dict[str, Any]]) -> None:
    """Nobody sells below or buys above what it said, as it stands after the reference price is known."""
    worst = {}
    for order in orders:
        worst[order["seq"]] = {order["price"], quotes.get(order["seq"], order["price"])}
        if order["requote"] == "reference" and pa is not None:
            worst[order["seq"]].add(max(pa, FEED) if order["side"] == "sell" else min(pa, RETAIL))
    for trade in trades:
        assert amount(min(worst[trade["sell_seq"]]), trade["wh"]) <= amount(trade["price"], trade["wh"])
        paid = amount(trade["price"], trade["wh"]) + trade["surplus"]
        assert paid <= amount(max(worst[trade["buy_seq"]]), trade["wh"])


def compare_settlement(world: MarketWorld, case: dict[str, Any], trades: list[dict[str, Any]]) -> None:
    readings = {}
    for index, name in enumerate(NAMES):
        found = case["readings"][index]
        if found is None:
            sold = sum(trade["wh"] for trade in trades if trade["seller"] == meter(name))
            bought = sum(trade["wh"] for trade in trades if trade["buyer"] == meter(name))
            readings[meter(name)] = (sold, bought)
        else:
            readings[meter(name)] = (found[1], 0) if found[0] else (0, found[1])
    for who, lines in settle(trades, readings, feed=FEED, retail=RETAIL).items():
        entry = world.query("double_auction", "settlement", SLOT, who)
        assert {key: entry[key] for key in lines} == lines
    (total,) = world.events("SlotSettled", slot=SLOT)
    generation = sum(value[0] for value in readings.values())
    use = sum(value[1] for value in readings.values())
    assert (total["generation_wh"], total["use_wh"]) == (generation, use)
    assert use - generation == total["grid_sales_wh"] - total["grid_purchases_wh"]
    assert total["members_net"] + total["grid_net"] + total["surplus"] == 0
    assert total["surplus"] == sum(trade["surplus"] for trade in trades)
    assert world.accounts().get(address("community"), (0, 0, 0)) == (total["surplus"], 0, 0)
    assert case["pricing"] == "mcafee" or total["surplus"] == 0
    assert total["members_net"] == sum(event["net"] for event in world.events("Settled", slot=SLOT))


@settings(max_examples=60, deadline=None)
@given(case=market)
def test_random_markets_equal_the_naive_model_and_conserve(case: dict[str, Any]) -> None:
    options = {"hardened_pa": case["hardened"], "self_trade": case["self_trade"], "pricing": case["pricing"]}
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT, **options)
    for index, name in enumerate(NAMES):
        world.member(name, funds=10**9, legal_owner="firm" if case["owners"][index] == "firm" else name)
    world.go_slot(SLOT, -4)
    orders = place(world, case)
    world.assert_money_conserved()
    world.go_slot(SLOT, -2)
    quotes = requote(world, case, orders)
    world.assert_money_conserved()
    world.go_slot(SLOT, -1)
    world.assert_money_conserved()
    trades = compare_clearing(world, case, orders, quotes)
    world.go_slot(SLOT, 1)
    for index, name in enumerate(NAMES):
        found = case["readings"][index]
        if found is not None:
            world.read(name, SLOT, found[1] if found[0] else 0, 0 if found[0] else found[1])
    world.go_slot(SLOT, 6)
    compare_settlement(world, case, trades)
    world.assert_money_conserved()
    for who, generates, wh in case["corrections"]:
        if case["readings"][who] is not None:
            values = (wh, 0) if generates else (0, wh)
            world.done(meter(NAMES[who]), "metering", "correct_reading", SLOT, *values, "checked")
            world.assert_money_conserved()
    accounts = world.accounts()
    assert accounts.get(bytes(AUCTION), (0, 0, 0)) == (0, 0, 0)
    assert all(escrow == 0 for _, escrow, _ in accounts.values())
    for name in NAMES:
        booked = [event["net"] for event in world.events("Settled", meter=meter(name))]
        booked += [event["difference"] for event in world.events("Corrected", meter=meter(name))]
        balance, _, debt = accounts[address(name)]
        assert balance - debt == 10**9 + sum(booked)
