"""Trade between regions: what becomes a lock, what comes back, exactly once; who pays for what was not delivered."""

from __future__ import annotations

from typing import Any

import pytest
from crossing_world import BLOCKS, Regions
from market_world import GAS, SLOT_MS, MarketWorld, address, meter

from consensus.sharded.records import Filled, Released, Side
from contracts.library_crossing import Crossing
from contracts.values import decode_value

SLOT = 5
FEED, RETAIL = 450_000, 670_000
FUNDS = 10_000_000


def village(**changes: Any) -> Regions:
    """anna generates in the east, bert and carl use in the west; the window of `SLOT` is open."""
    regions = Regions(("east", "west"), **changes)
    east, west = regions.worlds["east"], regions.worlds["west"]
    east.member("anna", funds=FUNDS)
    west.member("bert", funds=FUNDS)
    west.member("carl", funds=FUNDS)
    regions.everywhere(east.start(SLOT) - 4 * SLOT_MS + 1)
    return regions


def offered(regions: Regions, wh: int = 1_000, expected: int = 1_000) -> None:
    """anna asks 0.50 for `wh` of the `expected`; bert bids 0.58 and carl 0.54 for 700 each; both markets clear."""
    regions.forecast("east", "anna", SLOT, "generation", expected)
    regions.worlds["east"].order("anna", SLOT, "sell", wh, 500_000)
    regions.worlds["west"].order("bert", SLOT, "buy", 700, 580_000)
    regions.worlds["west"].order("carl", SLOT, "buy", 700, 540_000)
    regions.everywhere(regions.worlds["east"].start(SLOT))


def settle(regions: Regions, anna: int = 1_000, bert: int = 700, carl: int = 700) -> None:
    """Readings, and the time in which late ones could come."""
    east, west = regions.worlds["east"], regions.worlds["west"]
    regions.everywhere(east.start(SLOT + 1) + 1)
    east.read("anna", SLOT, anna, 0)
    west.read("bert", SLOT, 0, bert)
    west.read("carl", SLOT, 0, carl)
    regions.everywhere(east.start(SLOT + 6))


def bill(world: MarketWorld, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.query("bills", "bill", meter(name), SLOT, SLOT)
    return found


def kinds(world: MarketWorld, name: str) -> list[tuple[str, int, int]]:
    return [(line["kind"], line["wh"], line["amount"]) for line in bill(world, name)["lines"]]


def test_what_a_region_has_left_meets_what_another_lacks() -> None:
    regions = village()
    offered(regions)
    items = regions.round()
    assert [name for name, _ in items] == ["west", "east", "west", "east"]
    settle(regions)
    east, west = regions.worlds["east"], regions.worlds["west"]
    assert kinds(east, "anna") == [("elsewhere_sold", 1_000, (378_000 - 378) + (156_000 - 156))]
    assert kinds(west, "bert") == [("elsewhere_bought", 700, -378_000)]
    assert kinds(west, "carl") == [("grid_bought", 400, -268_000), ("elsewhere_bought", 300, -156_000)]
    assert bill(west, "carl")["self_sufficiency_ppm"] == 300 * 10**6 // 700
    assert east.free("anna") == FUNDS + 533_466
    assert west.free("bert") == FUNDS - 378_000
    assert [event["wh"] for event in west.events("Elsewhere")] == [700, 300]
    assert regions.state.pool == 534
    assert east.query("crossing", "totals") == [FUNDS + 533_466, -1_000]


def test_the_rest_of_a_partial_fill_waits_and_goes_home_by_the_global_height() -> None:
    regions = village()
    offered(regions)
    regions.round()
    west = regions.worlds["west"]
    assert west.free("carl") == FUNDS - 378_000
    settle(regions)
    for _ in range(BLOCKS - 2):
        assert regions.round() == []
    ((name, item),) = regions.round()
    assert (name, type(item)) == ("west", Released)
    assert west.free("carl") == FUNDS - 156_000 - 268_000
    (told,) = west.events("Returned")
    assert (told["wh"], told["money"], told["reason"]) == (400, 222_000, "expired")
    assert regions.state.locks == {}


def test_a_seller_that_delivers_less_buys_the_rest_at_home_and_the_buyer_is_served() -> None:
    regions = village()
    offered(regions)
    regions.round()
    settle(regions, anna=900)
    assert kinds(regions.worlds["east"], "anna") == [("grid_bought", 100, -67_000), ("elsewhere_sold", 1_000, 533_466)]
    assert kinds(regions.worlds["west"], "bert") == [("elsewhere_bought", 700, -378_000)]


def test_what_a_buyer_does_not_use_goes_to_its_grid() -> None:
    regions = village()
    offered(regions)
    regions.round()
    settle(regions, bert=500)
    assert kinds(regions.worlds["west"], "bert") == [("grid_sold", 200, 90_000), ("elsewhere_bought", 700, -378_000)]


def test_a_fill_that_comes_after_settlement_settles_again() -> None:
    """The west is away when the global chain decides, and its slot is settled with the grid alone."""
    regions = village()
    offered(regions)
    regions.missed["west"] += regions.close("west")
    regions.missed["east"] += regions.close("east")
    regions.away = {"east"}
    settle(regions)
    west, east = regions.worlds["west"], regions.worlds["east"]
    assert kinds(west, "bert") == [("grid_bought", 700, -469_000)]
    assert kinds(east, "anna") == [("grid_sold", 1_000, 450_000)]
    regions.round()
    regions.away = set()
    assert len(regions.round()) == 4
    assert kinds(west, "bert") == [("elsewhere_bought", 700, -378_000)]
    assert kinds(west, "carl") == [("grid_bought", 400, -268_000), ("elsewhere_bought", 300, -156_000)]
    assert kinds(east, "anna") == [("elsewhere_sold", 1_000, 533_466)]
    assert len(east.events("Corrected")) == 1, "two fills of one block are one correction"
    assert east.free("anna") == FUNDS + 533_466
    assert east.escrow("anna") == 0


def test_a_late_fill_of_an_estimated_slot_leaves_it_estimated() -> None:
    regions = village()
    offered(regions)
    regions.missed["east"] += regions.close("east")
    east = regions.worlds["east"]
    regions.everywhere(east.start(SLOT + 6))
    assert kinds(east, "anna") == [("grid_sold", 1_000, 450_000)]
    regions.round()
    assert kinds(east, "anna") == [("elsewhere_sold", 1_000, 533_466)]
    assert bill(east, "anna")["estimated"] == 1


@pytest.mark.parametrize(("expected", "home", "taken"), [(1_000, 0, 1_000), (600, 0, 600), (900, 700, 200)])
def test_nobody_sells_more_than_its_forecast_in_all_markets_together(expected: int, home: int, taken: int) -> None:
    regions = village()
    east = regions.worlds["east"]
    if home:
        east.member("dora")
        east.order("dora", SLOT, "buy", home, 600_000)
    offered(regions, wh=1_500, expected=expected)
    (lock,) = east.events("Locked")
    assert lock["wh"] == taken
    assert lock["bond"] == 170_000 * taken // 1_000
    assert east.escrow("anna") >= lock["bond"]


def test_two_orders_share_one_forecast() -> None:
    regions = village()
    regions.worlds["east"].order("anna", SLOT, "sell", 600, 490_000)
    offered(regions)
    assert [event["wh"] for event in regions.worlds["east"].events("Locked")] == [600, 400]


def test_who_told_no_forecast_sells_nothing_elsewhere() -> None:
    regions = village()
    regions.worlds["east"].order("anna", SLOT, "sell", 600, 490_000)
    regions.everywhere(regions.worlds["east"].start(SLOT))
    assert regions.worlds["east"].events("Locked") == []


def test_who_has_come_into_debt_trades_only_at_home() -> None:
    """bert's money is in escrow when an earlier slot is settled; what the market gives back pays his debt."""
    regions = village()
    west = regions.worlds["west"]
    west.order("bert", SLOT, "buy", 700, 580_000)
    west.done(address("bert"), "token", "transfer", address("carl"), west.free("bert"))
    west.read("bert", 0, 0, 1_000)
    west.read("carl", 0, 0, 0)
    regions.everywhere(west.start(SLOT))
    assert west.accounts()[address("bert")] == (0, 0, 201_000)
    assert west.events("Locked") == []
    regions.check()


def test_members_choose() -> None:
    quiet = village(crossing=Crossing(blocks=BLOCKS, everybody=False))
    quiet.worlds["west"].done(address("bert"), "crossing", "choose", True)
    assert quiet.worlds["west"].refused(address("mallory"), "crossing", "choose", True) == "NOT_MEMBER"
    offered(quiet)
    assert quiet.worlds["east"].events("Locked") == []
    (lock,) = quiet.worlds["west"].events("Locked")
    assert lock["meter"] == meter("bert")
    assert quiet.worlds["west"].query("crossing", "chosen", meter("carl")) is False


def test_only_the_engine_the_market_and_the_bridge_may() -> None:
    regions = village()
    offered(regions)
    west, anyone = regions.worlds["west"], address("bert")
    for contract, entry, arguments in (
        ("crossing", "close", (1, 0)),
        ("crossing", "consume", (3, b"", b"", 0, 0, True, "", 0, 0)),
        ("crossing", "offer", (SLOT, [])),
        ("token", "depart", ([[anyone, 1, 0]],)),
        ("token", "arrive", (anyone, 1)),
        ("metering", "exchange", (SLOT, meter("bert"), 0, 1)),
        ("metering", "retell", (SLOT, meter("bert"))),
    ):
        assert west.refused(anyone, contract, entry, *arguments) == "NOT_ALLOWED", entry


def test_a_market_without_a_bridge_gives_nobody_the_right() -> None:
    world = MarketWorld()
    world.member("anna")
    assert world.refused(address("anna"), "token", "arrive", address("anna"), 1) == "NOT_ALLOWED"
    assert world.query("token", "circulating") == 10**12


def test_records_are_closed_in_order_and_locks_leave_once() -> None:
    regions = village()
    offered(regions)
    west = regions.worlds["west"]
    assert west.query("crossing", "totals") == [2 * FUNDS, 0]
    assert west.engine("crossing", "close", 2, 0).code == "BAD_SEQ"
    rows = decode_value(west.engine("crossing", "close", 1, 7).value)
    assert isinstance(rows, list)
    assert [row[1:2] + row[3:] for row in rows] == [
        [Side.BUY, 700, 580_000, 406_000, 7 + BLOCKS, SLOT], [Side.BUY, 700, 540_000, 378_000, 7 + BLOCKS, SLOT],
    ]  # fmt: skip
    assert west.query("crossing", "totals") == [2 * FUNDS - 406_000 - 378_000, 0]
    assert decode_value(west.engine("crossing", "close", 2, 8).value) == []
    assert west.query("crossing", "position") == [2, 0]


def test_every_item_is_taken_exactly_once_and_as_the_rules_have_it() -> None:
    regions = village()
    offered(regions)
    regions.away = {"east", "west"}
    regions.round()
    regions.away = set()
    for name in ("east", "west"):
        regions.heard[name] = 1
    deliver, regions.deliver = regions.deliver, lambda name: None  # type: ignore[method-assign]  # held back
    items = regions.round()
    view = regions.state.region("west")
    assert view is not None
    fill = view.inbox[0][1]
    assert isinstance(fill, Filled)
    for changes, code in (
        ({"lock": bytes(32)}, "NO_LOCK"),
        ({"kind": 5}, "BAD_KIND"),
        ({"owner": bytes(32)}, "BAD_OWNER"),
        ({"traded": fill.traded + 1, "wh": fill.wh + 1}, "BAD_FILL"),
        ({"traded": 0, "wh": 0}, "BAD_FILL"),
        ({"ended": False}, "BAD_FILL"),
        ({"price": 580_001}, "BAD_FILL"),
        ({"money": fill.money + 1}, "BAD_FILL"),
        ({"kind": 2}, "BAD_RELEASE"),
    ):
        assert regions.consume("west", fill, **changes).code == code, changes
    deliver("west")
    deliver("east")
    assert len(items) == 4
    assert regions.consume("west", fill).code == "LOCK_ENDED"
    assert regions.worlds["west"].query("crossing", "position") == [2, 2]
    regions.check()


def test_a_lock_that_waits_cannot_be_filled() -> None:
    """What no record has carried is not the global chain's."""
    regions = village()
    offered(regions)
    west = regions.worlds["west"]
    lock = west.events("Locked")[0]["lock"]
    owner = b"\x00" * 32
    refused = west.engine("crossing", "consume", 1, lock, owner, 0, 700, True, "", 700, 580_000)
    assert refused.code == "LOCK_ENDED"


def test_a_forced_transaction_counts() -> None:
    regions = village()
    west = regions.worlds["west"]
    assert west.engine("crossing", "consume", 3, b"", b"", 0, 0, True, "", 0, 0).ok
    assert west.query("crossing", "position") == [0, 1]


def test_without_offers_a_region_is_the_same_market() -> None:
    """The engine matrix needs it: nobody wants to trade elsewhere, so all but the bridge is as without one."""
    shown = []
    for crossing in (None, Crossing(everybody=False)):
        world = MarketWorld(crossing=crossing)
        for name in ("anna", "bert", "carl"):
            world.member(name, funds=FUNDS)
        world.go_slot(SLOT, -4, 1)
        world.done(meter("anna"), "metering", "submit_forecast", SLOT, "generation", 900)
        world.order("anna", SLOT, "sell", 1_000, 480_000)
        world.order("bert", SLOT, "buy", 700, 580_000)
        world.order("carl", SLOT, "buy", 700, 470_000)
        world.go_slot(SLOT, 1, 1)
        world.read("anna", SLOT, 950, 0)
        world.read("bert", SLOT, 0, 700)
        world.read("carl", SLOT, 0, 100)
        world.go_slot(SLOT, 6)
        bills = [bill(world, name) for name in ("anna", "bert", "carl")]
        events = [(event.contract, event.name, event.data) for receipt in world.receipts for event in receipt.events]
        shown.append((world.accounts(), bills, events))
    assert shown[0] == shown[1]


def test_a_full_batch_of_offers_fits_its_call() -> None:
    """128 unmatched orders in one clearing call, the most there can be."""
    regions = Regions(("east",))
    world = regions.worlds["east"]
    for number in range(4):
        world.member(f"user {number}", funds=FUNDS)
    world.go_slot(SLOT, -4, 1)
    for number in range(128):
        world.order(f"user {number % 4}", SLOT, "buy", 10, 400_000 + number)
    world.go_slot(SLOT, 0)
    assert len(world.events("Locked")) == 128
    costs = [receipt.gas for receipt in world.receipts if receipt.entry == "advance"]
    assert max(costs) < 10_000_000
    regions.missed["east"] += regions.close("east")
    assert world.receipts[-1].gas < GAS // 4
    regions.check()


def test_money_is_put_down_for_a_voting_key_and_what_is_none_comes_back() -> None:
    regions = village()
    offered(regions)
    west, bert, key = regions.worlds["west"], address("bert"), b"v" * 32
    for arguments, code in (
        ((b"short", 5), "BAD_KEY"), ((key, 0), "BAD_AMOUNT"), ((key, 2**63), "BAD_AMOUNT"),
        ((key, FUNDS), "INSUFFICIENT_FUNDS"),
    ):  # fmt: skip
        assert west.refused(bert, "crossing", "put_down", *arguments) == code
    free, whole = west.free("bert"), west.query("crossing", "totals")
    lock = west.done(bert, "crossing", "put_down", key, 5_000)
    assert west.free("bert") == free - 5_000
    assert west.query("crossing", "totals") == whole, "it waits here until the record leaves"
    rows = decode_value(west.engine("crossing", "close", 1, 7).value)
    assert isinstance(rows, list)
    assert rows[-1] == [lock, Side.DEPOSIT, key, 0, 0, 5_000, 7 + BLOCKS, 0]
    assert west.query("crossing", "totals")[0] == whole[0] - sum(row[5] for row in rows)
    shown = west.query("crossing", "lock_of", lock)
    assert (shown["side"], shown["account"], shown["closed"]) == ("deposit", bert, 1)
    west.assert_money_conserved()
    assert not west.engine("crossing", "consume", 2, lock, key, 4_999, 0, True, "no key", 0, 0).ok
    assert west.engine("crossing", "consume", 2, lock, key, 5_000, 0, True, "no key", 0, 0).ok
    assert west.free("bert") == free
    assert not west.engine("crossing", "consume", 2, lock, key, 5_000, 0, True, "no key", 0, 0).ok


def test_money_that_a_member_took_out_comes_in_for_an_account() -> None:
    """Rewards and deposits were never of this region: it counts them as arrived, debt is paid first."""
    regions = Regions(("west",))
    west = regions.worlds["west"]
    account, before = address("anna"), west.query("token", "circulating")
    had = west.query("token", "account", account)["balance"]
    receipt = west.engine("crossing", "consume", 4, b"", account, 7_000, 0, True, "reward", 0, 0)
    assert receipt.ok, receipt.code
    assert west.query("token", "account", account)["balance"] == had + 7_000
    assert west.query("token", "circulating") == before + 7_000
    assert west.query("crossing", "totals")[0] == before + 7_000
    assert west.query("crossing", "position")[1] == 1
    west.assert_money_conserved()
    assert not west.engine("crossing", "consume", 5, b"", account, 7_000, 0, True, "", 0, 0).ok
