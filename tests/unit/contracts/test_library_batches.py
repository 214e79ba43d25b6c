"""Thousands of orders in one slot clear in bounded batches, with the result of a market cleared at once."""

from __future__ import annotations

import hashlib

from market_world import SLOT_MS, MarketWorld, address, meter
from naive_market import clear

from contracts.limits import ExecutionLimits

SLOT = 5
SEED = 7
LIMIT = ExecutionLimits().scheduled_gas // 4


def draw(*keys: object) -> int:
    """A reproducible number; the seed is in this file."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, (SEED, *keys))).encode()).digest()[:8], "big")


def crowd(world: MarketWorld, members: int, orders: int) -> list[dict]:
    names = [f"m{number}" for number in range(members)]
    for number, name in enumerate(names):
        world.member(name, funds=10**12, legal_owner=f"owner {number // 3}")
    world.go_slot(SLOT, -4)
    placed = []
    for number in range(orders):
        who = draw("who", number) % members
        side = "sell" if who % 2 else "buy"
        wh = 1 + draw("wh", number) % 400
        price = 440_000 + draw("price", number) % 240_000
        requote = "reference" if draw("requote", number) % 2 else "keep"
        seq = world.order(names[who], SLOT, side, wh, price, requote)
        placed.append(
            {"seq": seq, "meter": meter(names[who]), "owner": who // 3, "side": side, "wh": wh, "price": price,
             "requote": requote}
        )  # fmt: skip
    return placed


def test_thousands_of_orders_clear_in_bounded_batches() -> None:
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT)
    orders = crowd(world, 30, 2_000)
    world.go_slot(SLOT, -1)
    names = ("seller", "buyer", "wh", "price", "surplus", "sell_seq", "buy_seq")
    model = clear(orders, feed=450_000, retail=670_000)
    for stage in (1, 2):
        found = [{name: event[name] for name in names} for event in world.events("Trade", stage=stage)]
        assert found == [{name: row[name] for name in names} for row in model[f"stage{stage}"]]
    assert world.events("SlotCleared")[0]["pa"] == model["pa"]
    batches = [receipt for receipt in world.receipts if receipt.entry == "advance"]
    assert len(batches) >= 2_000 // 128
    assert max(receipt.gas for receipt in batches) < LIMIT
    world.go_slot(SLOT, 6)
    world.assert_money_conserved()
    assert all(escrow == 0 for _, escrow, _ in world.accounts().values())


def test_many_members_settle_in_bounded_batches() -> None:
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT)
    for number in range(150):
        world.member(f"m{number}", funds=0)
    world.go_slot(SLOT, 1)
    for number in range(150):
        world.read(f"m{number}", SLOT, 0, number)
    world.go_slot(SLOT, 2)
    (total,) = world.events("SlotSettled")
    assert (total["meters"], total["use_wh"], total["estimated"]) == (150, sum(range(150)), 0)
    batches = [receipt for receipt in world.receipts if receipt.entry in ("settle_slot", "settle_batch")]
    assert len(batches) == 3
    assert max(receipt.gas for receipt in batches) < LIMIT
    world.assert_money_conserved()


def test_orders_of_one_owner_on_top_of_the_book_do_not_stall_the_others() -> None:
    """An ask passes at most 32 bids of its own owner, then it is set aside for the stage; nobody else is hindered."""
    world = MarketWorld(first_slot=SLOT, last_slot=SLOT)
    world.member("anna", legal_owner="firm")
    world.member("bert", legal_owner="firm")
    world.member("carl")
    world.member("dora")
    world.go_slot(SLOT, -4)
    orders = []

    def put(name: str, side: str, wh: int, price: int) -> None:
        seq = world.order(name, SLOT, side, wh, price, "keep")
        owner = "firm" if name in ("anna", "bert") else name
        orders.append({"seq": seq, "meter": meter(name), "owner": owner, "side": side, "wh": wh, "price": price,
                       "requote": "keep"})  # fmt: skip

    for _ in range(200):
        put("bert", "buy", 10, 600_000)
    for _ in range(3):
        put("anna", "sell", 10, 500_000)
    put("carl", "sell", 1_500, 510_000)
    put("dora", "buy", 500, 590_000)
    world.go_slot(SLOT, -1)
    model = clear(orders, feed=450_000, retail=670_000)
    names = ("seller", "buyer", "wh", "price", "surplus", "sell_seq", "buy_seq")
    found = [{name: event[name] for name in names} for event in world.events("Trade", stage=1)]
    assert found == [{name: row[name] for name in names} for row in model["stage1"]]
    assert {event["seller"] for event in world.events("Trade", stage=1)} == {meter("carl")}
    assert world.start(SLOT) - world.now == SLOT_MS
    assert address("anna") in world.accounts()
