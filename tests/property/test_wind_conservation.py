"""Random days of market A on the real executor against a naive model; money and energy stay conserved, with meters that
say nothing, that say it twice, and that correct themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from naive_floors import Hour, clear
from wind_world import FEED, OPERATOR, RETAIL, A, WindWorld, address, meter

PRODUCERS, PROSUMERS, LOADS = ("w1", "w2", "w3"), ("p1", "p2", "p3"), ("c1", "c2")
NAMES = PRODUCERS + PROSUMERS + LOADS
HOURS = 5
SLOTS = (0, 1, 4)
"""Hours that something happens in; the first is settled before the last is matched, so reputations differ then."""
CAP = 5_000

wh = st.one_of(st.sampled_from((0, 500, 1_000)), st.integers(0, CAP))
price = st.one_of(st.sampled_from((FEED, 60_000, 80_000, RETAIL)), st.integers(0, 150_000))
cost = st.one_of(st.just(0), st.integers(0, 100_000))
reserve = st.one_of(st.none(), st.tuples(wh, wh, cost, cost))
hour_of_a_day = st.fixed_dictionaries(
    {
        "announced": st.lists(st.one_of(st.none(), wh), min_size=3, max_size=3),
        "forecasts": st.lists(st.one_of(st.none(), wh), min_size=3, max_size=3),
        "reserves": st.lists(reserve, min_size=3, max_size=3),
        "posted": st.one_of(st.none(), price),
        "readings": st.lists(st.one_of(st.none(), st.just("as said"), wh), min_size=8, max_size=8),
    }
)
orders = st.lists(st.one_of(st.none(), st.tuples(st.lists(wh, min_size=3, max_size=3), price)), min_size=8, max_size=8)
day = st.fixed_dictionaries(
    {
        "owners": st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)),
        "orders": orders,
        "hours": st.lists(hour_of_a_day, min_size=3, max_size=3),
        "corrections": st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, len(NAMES) - 1), st.integers(0, CAP)), max_size=4
        ),
    }
)


class Day:
    """One random day on both sides: the chain, and what the model says of every slot."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.chain = WindWorld(periods=HOURS, last_slot=HOURS - 1, removal=False, late_slots=2)
        self.owner: dict[bytes, str] = {}
        for name, firm in zip(NAMES, case["owners"], strict=True):
            kind = "producer" if name in PRODUCERS else "prosumer" if name in PROSUMERS else "consumer"
            who = "firm" if firm else name
            self.chain.join(name, kind, legal_owner=who, device="wind" if kind == "producer" else "load")
            self.owner[bytes(meter(name))] = who
        self.models: dict[int, Hour] = {}
        self.metered: dict[int, dict[bytes, tuple[int, int]]] = {}
        self.expected: dict[int, dict[bytes, int]] = {}
        self.known: set[tuple[int, str]] = set()

    def run(self) -> None:
        chain = self.chain
        chain.go_slot(0, -4)
        offers, bids = [], []
        for name, order in zip(NAMES, self.case["orders"], strict=True):
            if order is not None:
                (offers if name in PRODUCERS else bids).append((name, order))
                volumes = [0] * HOURS
                for slot, volume in zip(SLOTS, order[0], strict=True):
                    volumes[slot] = volume
                (chain.offer if name in PRODUCERS else chain.bid)(name, 0, volumes, order[1])
        chain.assert_money_conserved()
        plans = dict(zip(SLOTS, self.case["hours"], strict=True))
        for slot, plan in plans.items():
            self.enter(slot, plan, offers, bids)
        self.compare_match(0)
        self.compare_match(1)
        self.read(0, plans[0])
        self.read(1, plans[1])
        self.compare_match(4)
        self.read(4, plans[4])
        chain.go_slot(HOURS, 4)
        for slot in SLOTS:
            self.compare(slot)

    def enter(self, slot: int, plan: dict[str, Any], offers: list, bids: list) -> None:
        chain = self.chain
        if plan["posted"] is not None:
            chain.done(OPERATOR, A, "post_prices", slot, [plan["posted"]])
        expected: dict[bytes, int] = {}
        entries: dict[bytes, dict[str, int]] = {}
        for at, name in enumerate(PROSUMERS):
            who = bytes(meter(name))
            if plan["forecasts"][at] is not None:
                chain.forecast(name, slot, plan["forecasts"][at])
                expected[who] = -plan["forecasts"][at]
            if plan["reserves"][at] is not None:
                up, down, ch, dis = plan["reserves"][at]
                chain.reserve(name, slot, up, down, ch, dis)
                if who in expected:
                    entries[who] = {"up": up, "down": down, "ch": ch, "dis": dis}
        book = [
            [(bytes(meter(name)), limit, amounts[SLOTS.index(slot)]) for name, (amounts, limit) in rows]
            for rows in (offers, bids)
        ]
        found, sold, bought = clear(*book, FEED, RETAIL)
        if not sum(row[2] for row in book[0]):
            found, sold, bought = FEED, {}, {}
        sold = {who: sold.get(who, 0) for who, _, volume in book[0] if volume}
        announced = dict(sold)
        for at, name in enumerate(PRODUCERS):
            if plan["announced"][at] is not None:
                chain.announce(name, slot, plan["announced"][at])
                announced[bytes(meter(name))] = plan["announced"][at]
        self.expected[slot] = expected
        self.models[slot] = Hour(
            da_price=found, feed=FEED, retail=RETAIL, posted=plan["posted"],
            reputation={bytes(meter(name)): 700_000 for name in PRODUCERS}, sold=sold, bought=bought,
            announced=announced, owner=self.owner, reserves=entries, score=dict.fromkeys(entries, 0),
        )  # fmt: skip

    def compare_match(self, slot: int) -> None:
        """Go to the gate; the model ranks by the scores that the chain knows then, which `test_library_wind` checks."""
        chain, model = self.chain, self.models[slot]
        chain.go_slot(slot, -1)
        model.score = {row["meter"]: row["reputation"] for row in chain.query(A, "ranking", slot)}
        model.run()
        found = chain.query(A, "slot", slot)
        assert (found["da_price"], found["p2p_price"]) == (model.da_price, model.price)
        rows = [(bytes(row["producer"]), bytes(row["prosumer"]), row["wh"], row["surplus"])
                for row in chain.query(A, "trades_of", slot)]  # fmt: skip
        assert rows == model.matches
        assert [
            (row["seller"], row["buyer"], row["wh"], row["price"]) for row in chain.events("Netted", slot=slot)
        ] == (model.netted)
        chain.assert_money_conserved()

    def read(self, slot: int, plan: dict[str, Any]) -> None:
        """Post what there is, each twice; what the settlement goes by."""
        chain, model = self.chain, self.models[slot]
        chain.go_slot(slot, 1)
        found: dict[bytes, tuple[int, int]] = {}
        for name, value in zip(NAMES, plan["readings"], strict=True):
            who = bytes(meter(name))
            told = self.told(slot, who)
            if value == "as said":
                value = told
            if value is None:
                assumed = min(model.announced.get(who, 0), model.sold.get(who, 0)) if name in PRODUCERS else told
                if name not in PRODUCERS and who not in self.expected[slot]:
                    assumed = model.bought.get(who, 0)
                found[who] = self.sides(name, assumed)
                continue
            found[who] = self.sides(name, value)
            self.known.add((slot, name))
            chain.read(name, slot, *found[who])
            assert chain.refused(meter(name), "metering", "submit_reading", slot, 7, 0) == "READING_EXISTS"
        self.metered[slot] = found

    def told(self, slot: int, who: bytes) -> int:
        if who in self.models[slot].reputation:
            return self.models[slot].announced.get(who, 0)
        return -self.expected[slot].get(who, 0)

    @staticmethod
    def sides(name: str, value: int) -> tuple[int, int]:
        return (value, 0) if name in PRODUCERS else (0, value)

    def compare(self, slot: int) -> None:
        chain, done = self.chain, self.models[slot].settle(self.metered[slot], self.expected[slot])
        for name in NAMES:
            who = bytes(meter(name))
            entry = [chain.entry(slot, name), *chain.query(A, "corrections_of", slot, meter(name))][-1]
            assert (entry["generation_wh"], entry["use_wh"]) == self.metered[slot][who], name
            assert entry["net"] == done["net"][who], (slot, name)
        metered = self.metered[slot].values()
        assert sum(used - made for made, used in metered) == done["sales"] - done["purchases"]
        if not chain.events("Corrected", slot=slot):
            (total,) = chain.events("SlotSettled", slot=slot)
            assert (total["grid_sales_wh"], total["grid_purchases_wh"]) == (done["sales"], done["purchases"])
            assert (total["grid_net"], total["delivered_wh"]) == (done["grid"], sum(done["given"].values()))
        chain.assert_money_conserved()


@settings(max_examples=25, deadline=None, print_blob=True)
@given(case=day)
def test_random_days_equal_the_naive_model_and_conserve(case: dict[str, Any]) -> None:
    one = Day(case)
    one.run()
    chain = one.chain
    assert all(escrow == 0 for _, escrow, _ in chain.accounts().values())
    for index, at, value in case["corrections"]:
        slot, name = SLOTS[index], NAMES[at]
        sides = one.sides(name, value)
        if (slot, name) in one.known:
            chain.done(meter(name), "metering", "correct_reading", slot, *sides, "checked")
        else:
            chain.done(meter(name), "metering", "submit_reading", slot, *sides)
            one.known.add((slot, name))
        chain.run_due()
        one.metered[slot][bytes(meter(name))] = sides
        one.compare(slot)
    for name in NAMES:
        booked = [event["net"] for event in chain.events("Settled", meter=meter(name))]
        booked += [event["difference"] for event in chain.events("Corrected", meter=meter(name))]
        balance, escrow, debt = chain.accounts()[address(name)]
        assert (balance - debt, escrow) == (10**12 + sum(booked), 0)
    delivered = dict.fromkeys(PROSUMERS, 0)
    for slot in SLOTS:
        given = one.models[slot].settle(one.metered[slot], one.expected[slot])["given"]
        for name in PROSUMERS:
            delivered[name] += given.get(bytes(meter(name)), 0)
    for name, total in delivered.items():
        assert chain.query(A, "performance", meter(name), 0)["volume_wh"] == total
