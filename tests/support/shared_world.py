"""The shared contracts beside each of the four markets: one way to trade a slot, to read meters, to check sums."""

from __future__ import annotations

from typing import Any

from community_world import CommunityWorld
from market_world import INSTITUTIONS, SLOT_MS, MarketWorld, address, meter, owner
from matching_world import MatchingWorld
from wind_world import WindWorld

FUNDS = 10**12
NAMES = ("anna", "bert", "carl", "dora")
"""anna and bert generate (in market A: a wind producer and a prosumer), carl and dora use."""
DEVICES = {"anna": ["pv", "load"], "bert": ["hydro", "storage"], "carl": ["load"], "dora": ["load", "ev"]}
MARKETS = ("double_auction", "community_vpp", "matching", "wind")
SLOT = 8
"""A slot whose window and whose day (market A, four hours) are both ahead when `found` returns."""


def world_of(market: str, **changes: Any) -> MarketWorld:
    """A chain of that market without members; in market A prices of day-ahead are cleared by the contract."""
    worlds: dict[str, Any] = {
        "double_auction": MarketWorld, "community_vpp": CommunityWorld, "matching": MatchingWorld, "wind": WindWorld,
    }  # fmt: skip
    return worlds[market](**changes)  # type: ignore[no-any-return]  # each is a MarketWorld


def join(world: MarketWorld, name: str, legal_owner: str = "", funds: int = FUNDS, bus: str = "bus-1") -> None:
    """Register, approve and fund one of `NAMES`."""
    kind = "producer" if name == "anna" else "prosumer"
    devices = DEVICES[name]
    if isinstance(world, WindWorld) and name == "anna":
        devices = ["wind"]
    account = address(name)
    world.done(
        account, "registry", "apply", meter(name), owner(legal_owner or name), [kind], devices,
        [20_000] * len(devices), bus, "west", ["name"], [bytes(32)],
    )  # fmt: skip
    digest = world.query("registry", "member", account)["digest"]
    world.done(INSTITUTIONS.energy_bureau, "registry", "attest", account, digest, ["licence"])
    world.done(INSTITUTIONS.grid_company, "registry", "attest", account, digest, ["meter", "connection"])
    if funds:
        world.deposit(account, funds)


def found(market: str, **changes: Any) -> MarketWorld:
    """A chain with all members, before the window (and the day) of `SLOT` opens."""
    world = world_of(market, **changes)
    for name in NAMES:
        join(world, name)
    world.go(world.start(SLOT) - 10 * slot_ms(world))
    return world


def slot_ms(world: MarketWorld) -> int:
    return world.start(1) - world.start(0)


def market_of(world: MarketWorld) -> str:
    return str(world.query("bills", "market"))


def agree(world: MarketWorld, seller: str, buyer: str, wh: int, price: int, slots: int = 1) -> int:
    """A bilateral contract from `SLOT` on, signed by both."""
    number = world.done(
        address(seller), "bilateral", "propose", meter(seller), meter(buyer), SLOT, SLOT + slots - 1, [wh], price,
        world.start(SLOT),
    )  # fmt: skip
    world.done(address(buyer), "bilateral", "accept", number)
    return int(number)


def trade(world: MarketWorld, sales: dict[str, int], purchases: dict[str, int]) -> None:
    """Orders of `SLOT` at prices that cross; goes on to the start of delivery."""
    match market_of(world):
        case "double_auction":
            world.go_slot(SLOT, -4)
            for name, wh in sales.items():
                world.order(name, SLOT, "sell", wh, 480_000)
            for name, wh in purchases.items():
                world.order(name, SLOT, "buy", wh, 600_000)
        case "community_vpp":
            world.go_slot(SLOT, -4)
            seqs = [
                (world.done(address(name), "community_vpp", "offer", SLOT, wh, 80_000), wh)
                for name, wh in sales.items()
            ]
            for name, wanted in purchases.items():
                for seq, wh in seqs:
                    bid = (SLOT, seq, min(wanted, wh), 100_000)
                    world.done(address(name), "community_vpp", "submit_bid", *bid)
        case "matching":
            world.go_slot(SLOT, -4)
            for name, wh in sales.items():
                world.done(address(name), "matching", "offer", SLOT, wh, 500_000)
            for name, wh in purchases.items():
                world.done(address(name), "matching", "request", SLOT, wh, 670_000)
        case _:
            trade_wind(world, sales, purchases)
    world.go_slot(SLOT, 0)


def trade_wind(world: MarketWorld, sales: dict[str, int], purchases: dict[str, int]) -> None:
    """The producer sells half of what it offers the day before and announces less; prosumers give reserves."""
    hours = 4
    world.go_slot(SLOT, -4)
    world.done(meter("dora"), "vehicles", "plug", SLOT, SLOT, 500, 0)
    for name in sales:
        if name == "anna":
            world.done(address(name), "wind", "offer_day", SLOT // hours, [sales[name]] * hours, [0] * hours)
    for name, wh in purchases.items():
        world.done(address(name), "wind", "bid_day", SLOT // hours, [wh] * hours, [120_000] * hours)
    for name in (*sales, *purchases):
        if name != "anna":
            world.done(meter(name), "metering", "submit_forecast", SLOT, "demand", 200)
    world.go_slot(SLOT, -2, 1)
    for name in (*sales, *purchases):
        if name != "anna":
            world.done(address(name), "wind", "reserve", SLOT, 400, 400, 1_000, 1_000, 10**6)
    if "anna" in sales:
        world.done(address("anna"), "wind", "announce", SLOT, sales["anna"] // 2)


def report(world: MarketWorld, sent: dict[str, int | None]) -> None:
    """Market D: the devices of both sides of every order say the same, or nothing at all (None)."""
    if market_of(world) == "matching":
        for row in world.query("bills", "period_trades", SLOT):
            name = next((one for one in NAMES if meter(one) == row["seller"]), "")
            wh = sent.get(name)
            if row["kind"] == "trade" and wh is not None:
                world.done(row["seller"], "matching", "report", row["trade"], min(wh, row["wh"]))
                world.done(row["buyer"], "matching", "report", row["trade"], min(wh, row["wh"]))


def assert_bills_are_the_books(world: MarketWorld, names: tuple[str, ...] = NAMES) -> None:
    """The lines of everyone's bill add up to what its account shows beyond what was deposited."""
    accounts = world.accounts()
    for name in names:
        bill = world.query("bills", "bill", meter(name), 0, SLOT + 20)
        balance, escrow, debt = accounts[address(name)]
        assert escrow == 0, name
        assert bill["amount"] == sum(row["amount"] for row in bill["lines"])
        assert bill["amount"] == balance - debt - FUNDS, (name, bill)


def assert_vouchers_are_the_deliveries(world: MarketWorld) -> None:
    """After a claim: vouchers of each trade = what is settled of it, less what was retired too much; so in the sum."""
    world.done(address("dora"), "vouchers", "claim", SLOT, 0, 256)
    assert world.query("vouchers", "claimable", SLOT) == []
    supply = world.query("vouchers", "supply")
    rows = [row for row in world.query("bills", "period_trades", SLOT) if row["settled"] and not row["estimated"]]
    assert supply["accounted_wh"] == sum(row["delivered_wh"] for row in rows)
    assert supply["issued_wh"] == supply["accounted_wh"] + supply["overdrawn_wh"]
    vouchers = [item for row in rows for item in world.query("vouchers", "vouchers_for", SLOT, row["trade"])]
    assert sum(item["wh"] for item in vouchers) == supply["issued_wh"]
    assert sum(item["wh"] for item in vouchers if item["retired"]) == supply["retired_wh"]
    if market_of(world) != "wind":  # where a prosumer delivers by using less, too
        made = [world.query("metering", "valid", SLOT, [meter(name)])[0] for name in NAMES]
        assert sum(row["delivered_wh"] for row in rows) <= sum(row[1] for row in made)
    assert supply["overdrawn_wh"] == sum(world.query("vouchers", "overdraft", meter(name)) for name in NAMES)


__all__ = ["FUNDS", "INSTITUTIONS", "MARKETS", "NAMES", "SLOT", "SLOT_MS", "address", "meter"]
