"""Random days of a community on the real executor against a naive model of section 3; money and energy stay conserved,
with meters that say nothing, that say it twice, and that correct themselves."""

from __future__ import annotations

from typing import Any

from community_world import FEE, SBP, SSP, VPP, CommunityWorld, address, meter
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_community import Slot, match, tier_of

SLOTS = (0, 10, 20)
NAMES = ("p1", "p2", "p3", "c1", "c2", "c3", "c4")
SELLERS = 3

ask = st.one_of(st.sampled_from((70_000, 90_000)), st.integers(60_000, 120_000))
price = st.one_of(st.sampled_from((90_000, 100_000)), st.integers(60_000, 190_000))
volume = st.one_of(st.sampled_from((300, 600)), st.integers(1, 2_000))
quotation = st.tuples(st.integers(0, SELLERS - 1), volume, ask)
bid = st.tuples(st.integers(SELLERS, len(NAMES) - 1), st.integers(0, 5), volume, price)
reading = st.one_of(st.none(), st.sampled_from(("100 %", "97 %", "90 %", "110 %")), st.integers(0, 4_000))
slot_of_a_day = st.fixed_dictionaries(
    {
        "quotations": st.lists(quotation, min_size=1, max_size=4),
        "bids": st.lists(bid, min_size=2, max_size=10),
        "readings": st.lists(reading, min_size=len(NAMES), max_size=len(NAMES)),
        "forecasts": st.lists(st.one_of(st.none(), st.integers(0, 4_000)), min_size=SELLERS, max_size=SELLERS),
    }
)
day = st.fixed_dictionaries(
    {
        "owners": st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)),
        "self_trade": st.booleans(),
        "pool": st.booleans(),
        "priority": st.booleans(),
        "slots": st.lists(slot_of_a_day, min_size=len(SLOTS), max_size=len(SLOTS)),
        "corrections": st.lists(
            st.tuples(st.integers(0, len(SLOTS) - 1), st.integers(0, len(NAMES) - 1), st.integers(0, 4_000)), max_size=3
        ),
    }
)


class Day:
    """One random day on both: the chain, and what the model says of every slot."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        options = {name: case[name] for name in ("self_trade", "pool", "priority")}
        self.chain = CommunityWorld(**options)
        self.owner = {name: "firm" if firm else name for name, firm in zip(NAMES, case["owners"], strict=True)}
        for name in NAMES:
            self.chain.member(name, legal_owner=self.owner[name])
        self.good: dict[bytes, int] = {}
        self.waive: dict[bytes, bool] = {}
        self.told: dict[int, Any] = {}

    def orders(self, slot: int, plan: dict[str, Any]) -> tuple[list[dict], list[dict]]:
        chain, quotations, bids = self.chain, [], []
        for who, wh, price in plan["quotations"]:
            seq = chain.offer(NAMES[who], slot, wh, price)
            quotations.append(
                {"seq": seq, "who": bytes(meter(NAMES[who])), "owner": self.owner[NAMES[who]], "wh": wh, "price": price}
            )
        for who, at, wh, price in plan["bids"]:
            name, target = NAMES[who], quotations[at % len(quotations)] if quotations else {"seq": at, "wh": 0}
            receipt = chain.send(address(name), VPP, "submit_bid", slot, target["seq"], wh, price)
            taken = any(found["who"] == meter(name) and found["quotation"] == target["seq"] for found in bids)
            own = quotations and not self.case["self_trade"] and target["owner"] == self.owner[name]
            valid = quotations and not taken and not own and wh <= target["wh"] and price >= target["price"]
            assert receipt.ok == bool(valid), (receipt.code, target, wh, price)
            if valid:
                (placed,) = [event for receipt_event in [receipt] for event in chain.events("BidPlaced")[-1:]]
                tier = tier_of(self.good.get(bytes(meter(name)), 0)) if self.case["priority"] else 0
                bids.append(
                    {"seq": placed["seq"], "who": bytes(meter(name)), "owner": self.owner[name],
                     "quotation": target["seq"], "wh": wh, "price": price, "tier": tier}
                )  # fmt: skip
        return quotations, bids

    def forecasts(self, slot: int, plan: dict[str, Any]) -> dict[bytes, int]:
        found = {}
        for name, wh in zip(NAMES, plan["forecasts"], strict=False):
            if wh is not None:
                self.chain.done(meter(name), "metering", "submit_forecast", slot, "generation", wh)
                found[bytes(meter(name))] = wh
        return found

    def readings(self, slot: int, plan: dict[str, Any], trades: list[dict], forecasts: dict) -> dict[bytes, tuple]:
        """Post what there is, each twice; what the settlement goes by."""
        found = {}
        for at, (name, wh) in enumerate(zip(NAMES, plan["readings"], strict=True)):
            who, sells = bytes(meter(name)), at < SELLERS
            traded = sum(trade["wh"] for trade in trades if trade["seller" if sells else "buyer"] == who)
            if isinstance(wh, str):
                wh = traded * int(wh.removesuffix(" %")) // 100
            if wh is not None:
                self.chain.read(name, slot, wh if sells else 0, 0 if sells else wh)
                again = self.chain.refused(meter(name), "metering", "submit_reading", slot, 7, 0)
                assert again == "READING_EXISTS"
            known = forecasts.get(who, traded) if wh is None else wh
            found[who] = (known, 0) if sells else (0, known)
        return found

    def run(self, slot: int, plan: dict[str, Any]) -> None:
        chain = self.chain
        chain.go_slot(slot, -4)
        forecasts = self.forecasts(slot, plan)
        quotations, bids = self.orders(slot, plan)
        chain.assert_money_conserved()
        chain.go_slot(slot, -2)
        trades, left_bid, left_quotation = match(quotations, bids, self.case["self_trade"])
        assert [
            {**{name: row[name] for name in ("bid", "quotation", "wh", "price")},
             "seller": bytes(row["seller"]), "buyer": bytes(row["buyer"])}
            for row in chain.query(VPP, "trades_of", slot)
        ] == trades  # fmt: skip
        book = chain.query(VPP, "book_of", slot)
        assert {row["seq"]: row["left_wh"] for row in book["bids"]} == left_bid
        assert {row["seq"]: row["left_wh"] for row in book["quotations"]} == left_quotation
        chain.assert_money_conserved()
        chain.go_slot(slot, 1)
        readings = self.readings(slot, plan, trades, forecasts)
        chain.go_slot(slot, 5)
        model = Slot(trades, readings, forecasts, self.good, self.waive, (SBP, SSP, FEE, self.case["pool"]))
        self.compare(slot, model)
        self.told[slot] = (trades, readings, forecasts, dict(self.good), dict(self.waive))
        self.good, self.waive = model.good, model.waive

    def compare(self, slot: int, model: Slot) -> None:
        chain = self.chain
        for name in NAMES:
            who = bytes(meter(name))
            assert chain.entry(slot, name)["net"] == model.net[who], name
            shown = chain.query(VPP, "performance_of", who)
            assert (shown["good"], shown["waive"]) == (model.good.get(who, 0), model.waive.get(who, False)), name
        (total,) = chain.events("SlotSettled", slot=slot)
        assert (total["grid_net"], total["operator_net"]) == (model.grid, model.operator)
        assert sum(model.net.values()) + model.grid + model.operator == 0
        generation, use = (sum(value[at] for value in model.readings.values()) for at in (0, 1))
        assert (total["generation_wh"], total["use_wh"]) == (generation, use)
        assert use - generation == total["grid_sales_wh"] - total["grid_purchases_wh"]
        chain.assert_money_conserved()


@settings(max_examples=25, deadline=None)
@given(case=day)
def test_random_days_equal_the_naive_model_and_conserve(case: dict[str, Any]) -> None:
    one = Day(case)
    chain = one.chain
    for slot, plan in zip(SLOTS, case["slots"], strict=True):
        one.run(slot, plan)
    for at, who, wh in case["corrections"]:
        values = (wh, 0) if who < SELLERS else (0, wh)
        known = case["slots"][at]["readings"][who] is not None
        if known:
            chain.done(meter(NAMES[who]), "metering", "correct_reading", SLOTS[at], *values, "checked")
        else:
            chain.done(meter(NAMES[who]), "metering", "submit_reading", SLOTS[at], *values)
            case["slots"][at]["readings"][who] = wh
        chain.run_due()
        chain.assert_money_conserved()
        trades, readings, forecasts, good, waive = one.told[SLOTS[at]]
        readings[bytes(meter(NAMES[who]))] = values
        if not case["pool"]:
            model = Slot(trades, readings, forecasts, good, waive, (SBP, SSP, FEE, False))
            for name in NAMES:
                entries = [chain.entry(SLOTS[at], name), *chain.query(VPP, "corrections_of", SLOTS[at], meter(name))]
                assert entries[-1]["net"] == model.net[bytes(meter(name))]
    accounts = chain.accounts()
    assert all(escrow == 0 for _, escrow, _ in accounts.values())
    for name in NAMES:
        booked = [event["net"] for event in chain.events("Settled", meter=meter(name))]
        booked += [event["difference"] for event in chain.events("Corrected", meter=meter(name))]
        balance, _, debt = accounts[address(name)]
        assert balance - debt == 10**12 + sum(booked)
