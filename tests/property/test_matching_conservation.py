"""Random days of market D: money and energy stay conserved through outages, duplicates, disputes and corrections, and
the account of every member is what a naive model of rule 6.4 makes of its orders and readings."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import address, meter
from matching_world import FEED, PUBLISHED, RETAIL, D, MatchingWorld

ONE = 1_000_000
CYCLE = 6
NAMES = ("anna", "bert", "carl", "dora", "emil", "fred")
FUNDS = 10**9

wh = st.one_of(st.integers(1, 300), st.integers(1, 5_000))
devices = st.one_of(st.none(), st.integers(0, 6_000))
member = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(("own", "firm")),
        "role": st.sampled_from(("offer", "offer", "request", "request", "request", "none")),
        "wh": wh,
        "price": st.integers(300_000, RETAIL),
        "reading": st.one_of(st.none(), st.tuples(st.booleans(), st.integers(0, 6_000))),
        "late": st.booleans(),
        "bus": st.sampled_from(("a", "b", "c")),
    }
)
market = st.fixed_dictionaries(
    {
        "members": st.lists(member, min_size=len(NAMES), max_size=len(NAMES)),
        "reports": st.lists(st.tuples(devices, devices, st.booleans(), st.booleans()), min_size=5, max_size=5),
        "disputes": st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6_000), st.integers(0, 6_000)), max_size=3),
        "rulings": st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6_000), st.integers(0, 6_000)), max_size=2),
        "corrections": st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 6_000)), max_size=3),
        "published": st.booleans(),
        "rate": st.sampled_from((ONE, 1_033_333, 912_345)),
        "fees": st.sampled_from((0, 20_000, 900_000)),
        "line_w": st.sampled_from((2_000, 10_000, 10**6)),
        "fund": st.sampled_from((0, 15_000, 10**6)),
    }
)


def opened(case: dict[str, Any]) -> MatchingWorld:
    world = MatchingWorld(first_slot=CYCLE, last_slot=CYCLE, **(PUBLISHED if case["published"] else {}))
    lines = (
        ["a", "b", "c"],
        [0, 0, 1],
        ["ab", "bc"],
        [[0, 1], [2, 1]],
        [[3, case["line_w"], 100], [4, case["line_w"], 50]],
    )
    world.done(address("grid"), "routing", "post_grid", CYCLE, 0, *lines)
    world.done(address("grid"), "routing", "post_fees", CYCLE, [0, 1_000], [120], [case["fees"], 2 * case["fees"]])
    if case["rate"] != ONE:
        world.done(address("center"), D, "post_rate", CYCLE, case["rate"])
    for name, details in zip(NAMES, case["members"], strict=True):
        world.member(name, funds=FUNDS, legal_owner=name if details["owner"] == "own" else "firm", bus=details["bus"])
    if case["fund"]:
        world.deposit(address("community"), case["fund"])
    return world


def place(world: MatchingWorld, case: dict[str, Any]) -> None:
    world.go_slot(CYCLE, -4)
    for name, details in zip(NAMES, case["members"], strict=True):
        if details["role"] != "none":
            what = (CYCLE, details["wh"], details["price"])
            world.done(address(name), D, details["role"], *what)
            assert world.refused(address(name), D, details["role"], *what) == "PLACED"
    world.assert_money_conserved()


def check_match(world: MatchingWorld) -> list[dict[str, Any]]:
    """Whole requests less what the lines do not take, within capacity; prices within limits; lines within capacity."""
    world.go_slot(CYCLE, -1)
    table, orders = world.query(D, "table", CYCLE), world.orders(CYCLE)
    used: dict[bytes, int] = {}
    for order in orders:
        user, at = table["users"].index(order["user"]), table["providers"].index(order["provider"])
        assert order["wh"] + order["curtailed_wh"] == table["wh"][user]
        assert table["m"][user][at] >= 0
        used[order["provider"]] = used.get(order["provider"], 0) + table["wh"][user]
        assert used[order["provider"]] <= table["capacity"][at]
        assert order["escrow"] == order["price"] * order["wh"] // 1000 * order["rate"] // ONE
    grid = world.query("routing", "grid", CYCLE)
    for line, flow in zip(grid["lines"], world.query("routing", "summary", CYCLE)["flows"], strict=False):
        assert abs(flow) * 4 <= line["capacity_w"]
    world.assert_money_conserved()
    return orders


def deliver(world: MatchingWorld, case: dict[str, Any], orders: list[dict[str, Any]]) -> None:
    """Reports and readings in time, disputes, then the late ones, rulings, corrections."""
    world.go_slot(CYCLE, 1)
    send_reports(world, case, orders, late=False)
    for number, sent, received in case["disputes"]:
        if number < len(orders):
            payer = address(world.name_of(orders[number]["user"]))
            world.send(payer, D, "dispute", orders[number]["order"], sent, received)
    send_readings(world, case, late=False)
    world.go_slot(CYCLE, 2)
    world.assert_money_conserved()
    send_readings(world, case, late=True)
    send_reports(world, case, orders, late=True)
    world.go_slot(CYCLE, 6)
    send_reports(world, case, orders, late=True)
    for number, sent, received in case["rulings"]:
        if number < len(orders):
            world.send(address("notary"), D, "rule", orders[number]["order"], sent, received)
            world.assert_money_conserved()
    for who, made, value in case["corrections"]:
        if case["members"][who]["reading"] is not None:
            values = (value, 0) if made else (0, value)
            world.done(meter(NAMES[who]), "metering", "correct_reading", CYCLE, *values, "checked")
            world.assert_money_conserved()
    world.go_slot(CYCLE, 12)


def send_reports(world: MatchingWorld, case: dict[str, Any], orders: list[dict[str, Any]], late: bool) -> None:
    for order, (sent, received, sent_late, received_late) in zip(orders, case["reports"], strict=False):
        for who, value, when in ((order["provider"], sent, sent_late), (order["user"], received, received_late)):
            if value is not None and when == late:
                key = meter(world.name_of(who))
                receipt = world.send(key, D, "report", order["order"], value)
                assert receipt.ok or receipt.code in ("REPORTED", "SETTLED", "BAD_WH"), receipt.code
                assert not world.send(key, D, "report", order["order"], value).ok


def send_readings(world: MatchingWorld, case: dict[str, Any], late: bool) -> None:
    for name, details in zip(NAMES, case["members"], strict=True):
        found = details["reading"]
        if found is not None and details["late"] == late:
            world.read(name, CYCLE, *((found[1], 0) if found[0] else (0, found[1])))


def tokens(money: int, rate: int) -> int:
    return money * rate // ONE


def amount(price: int, energy: int) -> int:
    return price * energy // 1000


def naive_order(order: dict[str, Any], checked: bool) -> tuple[int, int, int]:
    """(paid to the provider, grid fee, reward) of rule 6.4 on the readings that the order was settled on."""
    sent, received, agreed = order["settled_sent"], order["settled_received"], order["wh"]
    if order["state"] == "expired":
        return 0, 0, 0
    missing = max(0, agreed - received)
    whole = amount(order["price"], agreed)
    bill = whole - amount(order["price"], missing) if sent < agreed or (checked and missing > order["loss"]) else whole
    reward = 0
    if missing == 0:
        reward = order["reward"]
    elif sent >= agreed and received >= agreed - order["loss"]:
        reward = order["reward"] // 2
    fee = tokens(min(order["fee"], bill), order["rate"])
    return tokens(bill, order["rate"]) - fee, fee, reward


def expected_accounts(world: MatchingWorld, case: dict[str, Any]) -> dict[str, int]:
    """What everyone has at the end, from orders and readings alone; `grid` and `community` too."""
    found = dict.fromkeys(NAMES, FUNDS) | {"grid": 0, "community": case["fund"]}
    explained = {name: [0, 0] for name in NAMES}
    for order in world.orders(CYCLE):
        user, provider = world.name_of(order["user"]), world.name_of(order["provider"])
        paid, fee, reward = naive_order(order, not case["published"])
        assert (paid, fee, reward) == (order["paid"], order["fee_paid"], order["reward_paid"])
        found[user] -= paid + fee
        found[provider] += paid + reward
        found["grid"] += fee
        found["community"] -= reward
        if order["state"] != "expired":
            explained[provider][0] += order["settled_sent"]
            explained[user][1] += min(order["settled_sent"], order["settled_received"])
    for name in NAMES:
        sent, received = explained[name]
        reading = world.query("metering", "reading", CYCLE, meter(name))
        made = reading["generation_wh"] if reading else sent
        used = reading["use_wh"] if reading else received
        cost = tokens(amount(RETAIL, max(0, sent - made) + max(0, used - received)), case["rate"])
        income = tokens(amount(FEED, max(0, made - sent) + max(0, received - used)), case["rate"])
        found[name] += income - cost
        found["grid"] += cost - income
    return found


def check_energy(world: MatchingWorld) -> None:
    """In the first settlement and with all corrections: use - generation + lost = sold by the grid - bought by it."""
    (total,) = world.events("CycleSettled", cycle=CYCLE)
    lost = total["sent_wh"] - total["received_wh"]
    assert lost >= 0
    traded = total["use_wh"] - total["generation_wh"] + lost
    assert traded == total["grid_sales_wh"] - total["grid_purchases_wh"]
    last = [(world.query(D, "corrections_of", CYCLE, meter(name)) or [world.entry(CYCLE, name)])[-1] for name in NAMES]
    left = sum(row["use_wh"] - row["generation_wh"] + row["sent_wh"] - row["received_wh"] for row in last)
    assert left == sum(row["grid_buy_wh"] - row["grid_sell_wh"] for row in last)


@settings(max_examples=40, deadline=None)
@given(case=market)
def test_random_days_conserve_and_equal_the_naive_model(case: dict[str, Any]) -> None:
    world = opened(case)
    place(world, case)
    orders = check_match(world)
    deliver(world, case, orders)
    world.assert_closed()
    check_energy(world)
    accounts = world.accounts()
    for name, money in expected_accounts(world, case).items():
        balance, escrow, debt = accounts.get(address(name), (0, 0, 0))
        assert (balance - debt, escrow) == (money, 0), name
    for name in NAMES:
        last = (world.query(D, "corrections_of", CYCLE, meter(name)) or [world.entry(CYCLE, name)])[-1]
        balance, _, debt = accounts[address(name)]
        assert balance - debt == FUNDS + last["net"], "the lines of the bill add up to the chain's transfers"
