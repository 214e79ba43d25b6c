"""The books and the card against a naive model that knows only the spec's example and rule 6."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from io import StringIO
from random import Random

import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy import commands_demo
from deploy.books import Tariffs
from deploy.card import (
    Energy,
    Money,
    NodeRow,
    Orders,
    Result,
    Run,
    as_json,
    energy_of,
    money_of,
    percentile,
    render,
)
from deploy.market.auction_books import AuctionBooks
from deploy.market.roster import market_of
from deploy.market.words import change, currency, kwh, tokens

FEED, RETAIL = 450_000, 670_000
GRID = b"G" * 32


def key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def day(seed: int, sellers: int = 3, buyers: int = 5, slots: int = 6):
    """Events as the contracts tell them and the figures that a naive bookkeeper would write down, from one seed."""
    random = Random(seed)
    events: list[tuple[str, str, dict]] = []
    naive = dict.fromkeys(
        ("income", "cost", "income_grid", "cost_grid", "use", "made", "traded", "imported", "exported", "trades"), 0
    )
    makers, users = [f"s{n}" for n in range(sellers)], [f"b{n}" for n in range(buyers)]
    for name in makers + users:
        role = "producer" if name in makers else "consumer"
        events.append(("registry", "Applied", {"meter": key(name), "roles": [role], "account": key("of" + name)}))
        events.append(("registry", "Approved", {"meter": key(name), "account": key("of" + name)}))
        events.append(("token", "Deposited", {"account": key("of" + name), "amount": 10**9, "reference": name}))
    events.append(("token", "Deposited", {"account": GRID, "amount": 5 * 10**9, "reference": "grid"}))
    for slot in range(slots):
        sold, bought = dict.fromkeys(makers, 0), dict.fromkeys(users, 0)
        earned, paid = dict.fromkeys(makers, 0), dict.fromkeys(users, 0)
        seq = 0
        for _ in range(random.randrange(6)):
            seller, buyer = random.choice(makers), random.choice(users)
            wh, price = random.randint(1, 4000), random.randint(FEED, RETAIL)
            for side, who, number in (("sell", seller, seq), ("buy", buyer, seq + 1)):
                events.append(
                    (
                        "double_auction",
                        "OrderAccepted",
                        {"slot": slot, "seq": number, "meter": key(who), "side": side, "wh": wh, "price": price},
                    )
                )
            money = price * wh // 1000
            events.append(
                (
                    "double_auction",
                    "Trade",
                    {
                        "slot": slot,
                        "seller": key(seller),
                        "buyer": key(buyer),
                        "wh": wh,
                        "price": price,
                        "money": money,
                        "surplus": 0,
                        "sell_seq": seq,
                        "buy_seq": seq + 1,
                    },
                )
            )
            seq += 2
            sold[seller] += wh
            bought[buyer] += wh
            earned[seller] += money
            paid[buyer] += money
            naive["trades"] += 1
            naive["traded"] += wh
        total = dict.fromkeys(
            ("generation_wh", "use_wh", "traded_wh", "grid_sales_wh", "grid_purchases_wh", "members_net"), 0
        )
        for name in makers + users:
            value = random.randrange(6000)
            made, used = (value, 0) if name in makers else (0, value)
            events.append(
                (
                    "metering",
                    "ReadingAccepted",
                    {"slot": slot, "meter": key(name), "generation_wh": made, "use_wh": used},
                )
            )
            if name in makers:
                short, over = max(0, sold[name] - made), max(0, made - sold[name])
                net = earned[name] + over * FEED // 1000 - short * RETAIL // 1000
                naive["income"] += net
                naive["income_grid"] += made * FEED // 1000
            else:
                short, over = max(0, used - bought[name]), max(0, bought[name] - used)
                net = over * FEED // 1000 - short * RETAIL // 1000 - paid[name]
                naive["cost"] -= net
                naive["cost_grid"] += used * RETAIL // 1000
            naive["imported"] += short
            naive["exported"] += over
            naive["use"] += used
            naive["made"] += made
            events.append(
                (
                    "double_auction",
                    "Settled",
                    {
                        "slot": slot,
                        "meter": key(name),
                        "account": key("of" + name),
                        "sold_wh": sold.get(name, 0),
                        "bought_wh": bought.get(name, 0),
                        "generation_wh": made,
                        "use_wh": used,
                        "grid_buy_wh": short,
                        "grid_sell_wh": over,
                        "trade_receipts": earned.get(name, 0),
                        "trade_payments": paid.get(name, 0),
                        "grid_cost": short * RETAIL // 1000,
                        "grid_income": over * FEED // 1000,
                        "net": net,
                        "estimated": False,
                    },
                )
            )
            for field, value in (
                ("generation_wh", made),
                ("use_wh", used),
                ("traded_wh", sold.get(name, 0)),
                ("grid_sales_wh", short),
                ("grid_purchases_wh", over),
                ("members_net", net),
            ):
                total[field] += value
        events.append(
            (
                "double_auction",
                "SlotSettled",
                {"slot": slot, "meters": sellers + buyers, "grid_net": -total["members_net"], "surplus": 0, **total},
            )
        )
    return events, naive


def booked(events, slots: int = 6) -> AuctionBooks:
    books = AuctionBooks(Tariffs(FEED, RETAIL), GRID)
    for contract, name, fields in events:
        books.apply(contract, name, fields)
    books.close(range(slots))
    return books


@pytest.mark.parametrize("seed", range(12))
def test_the_card_agrees_with_a_naive_bookkeeper(seed):
    events, naive = day(seed)
    books = booked(events)
    assert books.problems == []
    money, energy = money_of(books), energy_of(books)
    assert (money.sellers_income, money.buyers_cost) == (naive["income"], naive["cost"])
    assert (money.sellers_income_grid_only, money.buyers_cost_grid_only) == (naive["income_grid"], naive["cost_grid"])
    assert money.tokens_minted == money.tokens_held == 8 * 10**9 + 5 * 10**9
    assert (energy.consumption, energy.generation, energy.traded) == (naive["use"], naive["made"], naive["traded"])
    assert (energy.grid_import, energy.grid_export) == (naive["imported"], naive["exported"])
    assert energy.consumption - energy.generation == energy.grid_import - energy.grid_export
    assert books.trades == naive["trades"]


NUMBERS = {
    "Trade": ("wh", "price", "money"),
    "Settled": (
        "sold_wh",
        "bought_wh",
        "generation_wh",
        "use_wh",
        "grid_buy_wh",
        "grid_sell_wh",
        "trade_receipts",
        "trade_payments",
        "grid_cost",
        "grid_income",
        "net",
    ),
    "SlotSettled": (
        "meters",
        "generation_wh",
        "use_wh",
        "traded_wh",
        "grid_sales_wh",
        "grid_purchases_wh",
        "members_net",
        "grid_net",
    ),
    "ReadingAccepted": ("generation_wh", "use_wh"),
}


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in NUMBERS.items() for field in fields])
@pytest.mark.parametrize("by", [1, -1, 1_000_000])
def test_one_changed_number_in_one_event_is_noticed(name, field, by):
    events, _ = day(3)
    places = [place for place, event in enumerate(events) if event[1] == name]
    place = places[len(places) // 2]
    contract, _, fields = events[place]
    events[place] = (contract, name, {**fields, field: fields[field] + by})
    assert booked(events).problems != []


@pytest.mark.parametrize("name", ["Trade", "Settled", "SlotSettled", "ReadingAccepted", "Approved"])
def test_one_lost_or_doubled_event_is_noticed(name):
    events, _ = day(3)
    places = [place for place, event in enumerate(events) if event[1] == name]
    place = places[len(places) // 2]
    assert booked(events[:place] + events[place + 1 :]).problems != []
    assert booked([*events[: place + 1], events[place], *events[place + 1 :]]).problems != []


def test_an_event_without_its_fields_is_a_complaint_and_no_crash():
    events, _ = day(1)
    events.append(("token", "Transferred", {"sender": b"x"}))
    assert any("Transferred" in problem for problem in booked(events).problems)


def test_a_meter_counts_as_a_producers_only_by_its_approved_application():
    """Replaced applications, those of others for the same meter and those never approved leave no mark."""
    books = AuctionBooks(Tariffs(FEED, RETAIL), GRID)
    for account, meter, role in (
        ("anna", "m1", "producer"),
        ("bert", "m1", "producer"),
        ("carl", "m2", "producer"),
        ("anna", "m1", "consumer"),
        ("dora", "m3", "consumer"),
        ("dora", "m4", "producer"),
    ):
        books.apply("registry", "Applied", {"meter": key(meter), "roles": [role], "account": key(account)})
    assert books.producers == set()
    for account, meter in (("anna", "m1"), ("dora", "m4")):
        books.apply("registry", "Approved", {"meter": key(meter), "account": key(account)})
    assert books.producers == {key("m4")}
    assert books.problems == []
    books.apply("registry", "Approved", {"meter": key("m9"), "account": key("carl")})
    assert any("approved meter" in problem for problem in books.problems)


def test_a_correction_books_the_difference():
    events, _ = day(2, sellers=1, buyers=1, slots=1)
    before = booked(events, 1)
    ((_, _, old),) = [event for event in events if event[1] == "Settled" and event[2]["meter"] == key("b0")]
    used = old["use_wh"] + 100
    short, over = max(0, used - old["bought_wh"]), max(0, old["bought_wh"] - used)
    net = over * FEED // 1000 - short * RETAIL // 1000 - old["trade_payments"]
    fields = {
        "slot": 0,
        "meter": key("b0"),
        "account": old["account"],
        "generation_wh": 0,
        "use_wh": used,
        "grid_buy_wh": short,
        "grid_sell_wh": over,
        "grid_cost": short * RETAIL // 1000,
        "grid_income": over * FEED // 1000,
        "net": net,
        "difference": net - old["net"],
    }
    after = booked([*events, ("double_auction", "Corrected", fields)], 1)
    assert after.problems == []
    assert after.wealth[old["account"]] == before.wealth[old["account"]] + net - old["net"]
    assert after.held() == after.minted
    assert booked([*events, ("double_auction", "Corrected", {**fields, "difference": 1})], 1).problems != []


def test_the_example_of_the_specification():
    """Two traders of the example in section 4.2, read exactly as traded: income 275,000 and cost 275,000."""
    events = []
    for name, role in (("S1", "producer"), ("B1", "consumer")):
        events.append(("registry", "Applied", {"meter": key(name), "roles": [role], "account": key("a" + name)}))
        events.append(("registry", "Approved", {"meter": key(name), "account": key("a" + name)}))
    books = AuctionBooks(Tariffs(FEED, RETAIL), GRID)
    for side, name, seq, price in (("sell", "S1", 0, 480_000), ("buy", "B1", 1, 620_000)):
        events.append(
            (
                "double_auction",
                "OrderAccepted",
                {"slot": 1, "seq": seq, "meter": key(name), "side": side, "wh": 500, "price": price},
            )
        )
    events.append(
        (
            "double_auction",
            "Trade",
            {
                "slot": 1,
                "seller": key("S1"),
                "buyer": key("B1"),
                "wh": 500,
                "price": 550_000,
                "money": 275_000,
                "surplus": 0,
                "sell_seq": 0,
                "buy_seq": 1,
            },
        )
    )
    for contract, name, fields in events:
        books.apply(contract, name, fields)
    for name, made, used in (("S1", 500, 0), ("B1", 0, 500)):
        books.apply(
            "metering", "ReadingAccepted", {"slot": 1, "meter": key(name), "generation_wh": made, "use_wh": used}
        )
        held = books.positions[1, key(name)]
        held.settled = True
    assert books.problems == []
    money = money_of(books)
    assert (money.sellers_income, money.buyers_cost) == (275_000, 275_000)
    assert (money.sellers_income_grid_only, money.buyers_cost_grid_only) == (225_000, 335_000)


def a_result(problems: tuple[str, ...] = (), first_trade: float | None = 12.3456, sealed: bool = False) -> Result:
    books = booked(day(5)[0])
    rows = tuple(NodeRow(name, 40, "ab" * 32) for name in ("bureau", "grid", "notary", "trading"))
    run = Run(
        "demo-1-2",
        "bft",
        market_of("C"),
        rows,
        "2016-06-14",
        44,
        6,
        7,
        1500,
        "previous_day",
        8,
        sealed,
        first_trade,
        20.0,
        (1.0, 2.0, 9.5),
    )
    return Result(run, Orders(9, 1, 2), books.trades, 0, energy_of(books), money_of(books), 40, 200, problems)


def test_the_document_has_the_fields_that_the_issue_lists():
    document = as_json(a_result())
    assert document["conserved"] is True
    assert document["validators"] == 4
    assert document["nodes"][0] == {"name": "bureau", "height": 40, "state_root": "ab" * 32}
    assert document["orders"] == {"accepted": 9, "rejected": 1, "late": 2}
    assert document["first_trade_s"] == 12.346
    assert document["latency_ms"] == {"p50": 2.0, "p95": 9.5}
    assert set(document["energy_wh"]) == {"consumption", "generation", "traded", "grid_import", "grid_export"}
    assert set(document["money_micro"]) == {
        "sellers_income",
        "buyers_cost",
        "sellers_income_grid_only",
        "buyers_cost_grid_only",
        "tokens_minted",
        "tokens_held",
    }
    assert as_json(a_result(("lost",)))["conserved"] is False
    assert as_json(a_result(first_trade=None))["first_trade_s"] is None


def test_the_card_says_what_must_be_said():
    def shown(result: Result) -> str:
        console = Console(record=True, width=160, file=StringIO())
        console.print(render(result))
        return console.export_text()

    text = shown(a_result())
    for part in ("sealed = false", "previous_day", "seed 7", "all state roots equal", "conserved", "self-sufficiency"):
        assert part in text
    assert "NOT CONSERVED" in shown(a_result(("three Wh are missing",)))
    assert "no trade was possible" in shown(a_result(first_trade=None))
    assert "sealed = true" in shown(a_result(sealed=True))
    assert as_json(a_result(sealed=True))["sealed"] is True
    assert as_json(a_result())["sealed"] is False


@pytest.mark.parametrize(
    ("orders", "warned", "out_of_time"),
    [
        (Orders(9, 1, 0), False, False),
        (Orders(9, 1, 2), True, False),
        (Orders(0, 1, 12), True, True),
        (Orders(), False, False),
    ],
)
def test_late_orders_are_told_and_nothing_but_late_orders_is_no_success(orders, warned, out_of_time):
    result = replace(a_result(), orders=orders)
    console = Console(record=True, width=80, file=StringIO())
    console.print(render(result))
    text = " ".join(console.export_text().split())
    assert (f"{orders.late} of {orders.posted} orders came after their window closed" in text) is warned
    assert bool(as_json(result)["warnings"]) is warned
    assert result.out_of_time is out_of_time


def test_slots_that_began_before_a_member_joined_are_told_because_no_figure_holds_them():
    books = booked(day(5)[0])
    early, late, never = list(books.joined)[:3]
    books.joined.update({early: 3, late: 46, never: 99})
    assert books.missed(range(44, 50)) == 2 + 6
    result = replace(a_result(), orders=Orders(9), missed=8)
    assert as_json(result)["warnings"] == ["8 of 48 meter-slots began before their member joined: not counted"]
    assert not result.out_of_time
    console = Console(record=True, width=80, file=StringIO())
    console.print(render(result))
    assert "8 of 48 meter-slots began before" in console.export_text()


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (a_result(), 0),
        (replace(a_result(), orders=Orders(0, 0, 12)), 5),
        (a_result(("three Wh are missing",)), 1),
    ],
)
def test_the_exit_code_of_a_demo_says_what_its_card_says(result, code, monkeypatch):
    async def played(options: object, screen: object) -> Result:
        return result

    monkeypatch.setattr(commands_demo, "play", played)
    done = CliRunner().invoke(commands_demo.app, ["--json", "--headless"])
    assert done.exit_code == code, done.output
    assert json.loads(done.stdout)["orders"]["late"] == result.orders.late


def test_a_late_order_is_no_rejected_one():
    orders = Orders()
    for code in ("", "", "ORDER_LATE", "BAD_WH", "OVERSIZED"):
        orders = orders.after(code)
    assert orders == Orders(2, 2, 1)


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.00"), (5_000, "0.01"), (4_999, "0.00"), (-1_234_567_890, "-1,234.57"), (10**12, "1,000,000.00")],
)
def test_currency(micro, text):
    assert currency(micro) == text


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.000000"), (1, "0.000001"), (-1_000_001, "-1.000001"), (1_841_000_000_999_999, "1,841,000,000.999999")],
)
def test_tokens_are_shown_whole(micro, text):
    assert tokens(micro) == text


def test_the_card_fits_a_terminal_of_80_columns_with_nothing_cut_off():
    """Large figures and long names wrap at most; every word is there."""
    small = a_result()
    run = replace(
        small.run,
        chain_id="demo-c27a-aa956a11e432ea4806f317f715bf6e0c",
        seed=2**64,
        members=150,
        incidents=("trading killed (SIGKILL) at height 12345",),
        latencies_ms=(12345.6,) * 3,
    )
    large = 123_456_789_012_345
    result = replace(small, run=run, money=Money(*(large,) * 6), energy=Energy(*(10**9,) * 6), transactions=10**6)
    console = Console(record=True, width=80, file=StringIO())
    console.print(render(result))
    text = console.export_text()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\u2026" not in text, "nothing is cut off"
    for part in (
        run.chain_id,
        str(2**64),
        "123,456,789.012345 minted",
        "123,456,789.01",
        "12345.6 ms",
        "1,000,000.0 kWh",
    ):
        assert part in text, part


def test_small_formats():
    assert kwh(123_456) == "123.5 kWh"
    assert change(115, 100) == "+15.0 %"
    assert change(924, 1000) == "-7.6 %"
    assert change(-50, -100) == "+50.0 %"
    assert change(5, 0) == "no comparison"
    assert percentile([], 50) is None
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 95) == 4.0
