"""A slot of market C in three regions and the global chain, in memory: the library's contracts, records, inboxes."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from chain_world import seeded_key
from sharded_chains import DEPOSIT, ShardedWorld, network_genesis

from consensus.sharded.records import Asset
from contracts.library_crossing import Crossing
from contracts.library_sources import AuctionMode, Calendar, Institutions, LibraryParameters, library_contracts
from ledger.crypto import SigningKey, address_of
from ledger.engine_settings import GLOBAL
from ledger.genesis import Genesis, GenesisContract, MarketClockSettings, make_genesis

SLOT_MS, SPEED, SLOT, LAST = 900_000, 900, 8, 8
FUNDS = 10_000_000
INSTITUTIONS = {name: seeded_key(800 + at) for at, name in enumerate(("bureau", "grid", "notary", "center", "common"))}


def owner(region: str, name: str) -> SigningKey:
    return seeded_key(int.from_bytes(hashlib.sha256(f"{region} {name}".encode()).digest()[:3], "big"))


def meter(region: str, name: str) -> SigningKey:
    return owner(region, f"meter of {name}")


def country() -> Genesis:
    """Three regions with market C; a slot of a quarter of an hour takes a second."""
    seats = (bytes(address_of(key.public)) for key in INSTITUTIONS.values())
    parameters = LibraryParameters(
        Institutions(*seats),
        Calendar(SLOT_MS, 0, SLOT, LAST),
        AuctionMode(sealed=False),
        crossing=Crossing(blocks=6),
    )
    plain = network_genesis(round_ms=500)
    found = [GenesisContract(i.name, i.source, i.arguments, i.calls) for i in library_contracts(parameters)]
    kept = [contract for contract in plain.contracts if contract.chain == GLOBAL]
    head = msgspec.structs.replace(plain, market_clock=MarketClockSettings(0, SPEED))
    return make_genesis(head, [*kept, *found])


class Country(ShardedWorld):
    """Households join, trade and read; what a transaction comes to is looked at when its block is made."""

    def call(self, region: str, key: SigningKey, contract: str, entry: str, *arguments: Any) -> None:
        self.send(region, key, contract, entry, *arguments)

    def join(self, region: str, name: str) -> None:
        key, device = owner(region, name), meter(region, name)
        mine = hashlib.sha256(f"{region} {name}".encode()).digest()
        self.call(
            region, key, "registry", "apply", bytes(address_of(device.public)), mine, ["prosumer"], ["pv"], [20_000],
            "bus-1", region, ["name"], [mine],
        )  # fmt: skip
        self.block(region)
        account = bytes(address_of(key.public))
        digest = self.ask(region, "registry", "member", account)["digest"]
        self.call(region, INSTITUTIONS["bureau"], "registry", "attest", account, digest, ["licence"])
        self.call(region, INSTITUTIONS["grid"], "registry", "attest", account, digest, ["meter", "connection"])
        self.call(region, INSTITUTIONS["center"], "token", "deposit", account, FUNDS, f"bank {name}")
        self.block(region)

    def ask(self, region: str, contract: str, view: str, *arguments: Any) -> Any:
        return self.head(region).query(contract, view, *arguments)

    def bill(self, region: str, name: str) -> list[tuple[str, int, int]]:
        found = self.ask(region, "bills", "bill", bytes(address_of(meter(region, name).public)), SLOT, SLOT)
        return [(line["kind"], line["wh"], line["amount"]) for line in found["lines"]]

    def until_slot(self, slot: float) -> None:
        genesis_ms = self.network.time_ms
        self.run(max(0, genesis_ms + int(slot * 1_000) - self.now))

    def check_conserved(self) -> None:
        """Confirmed regions, locks, inboxes and the pool hold no more than was minted, and in the end just that."""
        assert self.state.conserved(Asset.ENERGY) == 0

    def check_whole(self) -> None:
        minted = sum(self.ask(region, "token", "supply")["minted"] for region in self.regions)
        assert self.state.conserved(Asset.MONEY) == minted + len(self.regions) * 4 * DEPOSIT


def test_a_slot_is_cleared_at_home_then_globally_and_a_region_that_was_away_settles_again() -> None:
    world = Country(country())
    people = {"ra": ("anna",), "rb": ("bert", "carl"), "rc": ("dora", "emil")}
    for region, names in people.items():
        for name in names:
            world.join(region, name)
    world.until_slot(SLOT - 3.9)
    for region, name, side, wh, price in (
        ("ra", "anna", "sell", 2_000, 500_000),
        ("rb", "bert", "buy", 700, 580_000),
        ("rb", "carl", "buy", 400, 560_000),
        ("rc", "dora", "sell", 300, 480_000),
        ("rc", "emil", "buy", 800, 600_000),
    ):
        if side == "sell":
            world.call(region, meter(region, name), "metering", "submit_forecast", SLOT, "generation", wh)
        world.call(region, owner(region, name), "double_auction", "submit_order", SLOT, side, wh, price, "keep")
    world.until_slot(SLOT - 1.2)
    world.deaf = {id(process) for process in world.members["rc"]}  # what rc says is heard, what it should hear is not
    world.until_slot(SLOT + 1.1)
    readings = {"anna": (1_900, 0), "bert": (0, 700), "carl": (0, 400), "dora": (300, 0), "emil": (0, 800)}
    for region, names in people.items():
        for name in names:
            world.call(region, meter(region, name), "metering", "submit_reading", SLOT, *readings[name])
    world.until_slot(SLOT + 3)
    assert world.bill("rc", "emil") == [("trade_bought", 300, -162_000), ("grid_bought", 500, -335_000)]
    world.deaf = set()
    world.follow(GLOBAL)
    world.until_slot(SLOT + 10)
    assert not world.state.locks
    assert all(not view.inbox for view in world.state.regions)
    world.check_whole()
    assert world.bill("ra", "anna") == [("grid_sold", 300, 135_000), ("elsewhere_sold", 1_600, 864_135)]
    assert world.bill("rb", "bert") == [("elsewhere_bought", 700, -378_000)]
    assert world.bill("rb", "carl") == [("elsewhere_bought", 400, -212_000)]
    assert world.bill("rc", "dora") == [("trade_sold", 300, 162_000)]
    assert world.bill("rc", "emil") == [("trade_bought", 300, -162_000), ("elsewhere_bought", 500, -275_000)]
    assert world.ask(GLOBAL, "shards", "pool") == 378 + 212 + 275
    for region in world.regions:
        roots = {process.chains[region].chain.state().root for process in (*world.members[region], *world.centres)}
        assert len(roots) == 1
