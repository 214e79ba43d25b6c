"""The market of `market_world` with `wind` as its market: producers, prosumers and loads on three floors, in hours."""

from __future__ import annotations

import hashlib
from typing import Any

from market_world import INSTITUTIONS, MarketWorld, address, meter, owner

from contracts.library_sources import HOUR_MS
from contracts.wind_mode import WindMode
from ledger.objects import Receipt

A = "wind"
FEED, RETAIL = 40_000, 120_000
OPERATOR = INSTITUTIONS.trading_center
PUBLISHED: dict[str, Any] = {
    "da_clearing": False, "netting": False, "removal": False, "tiny": True, "capped": False, "metered": False,
    "clamp": False, "self_trade": True,
}  # fmt: skip
"""What a node's defaults differ from the published rules in, beside sealed orders."""


def commitment(name: str, day: int, side: str, wh: list[int], prices: list[int], nonce: bytes) -> bytes:
    text = bytes([side == "buy"]) + b"".join(value.to_bytes(8, "big") for value in wh + prices)
    return hashlib.sha256(text + nonce + address(name) + day.to_bytes(8, "big")).digest()


class WindWorld(MarketWorld):
    """Plain orders unless `sealed=True`; days of four hours unless `periods` says otherwise."""

    def __init__(self, **changes: Any) -> None:
        self.periods = changes.get("periods", 4)
        given = {"slot_ms": HOUR_MS, "slot0_ms": 40 * HOUR_MS, "feed": FEED, "retail": RETAIL, "periods": 4, **changes}
        super().__init__(mode=WindMode, **given)
        self.names: list[str] = []
        self.kinds: dict[str, str] = {}

    def start(self, slot: int) -> int:
        return 40 * HOUR_MS + slot * HOUR_MS

    def go_slot(self, slot: int, offset_slots: int, plus_ms: int = 0) -> list[Receipt]:
        return self.go(self.start(slot) + offset_slots * HOUR_MS + plus_ms)

    # -- members

    def join(self, name: str, kind: str, watts: int = 1_000_000, legal_owner: str = "", device: str = "") -> None:
        """Register and approve a producer (wind), prosumer (storage) or consumer (load), with money."""
        devices = {"producer": "wind", "prosumer": "storage", "consumer": "load"}
        account = address(name)
        self.done(
            account, "registry", "apply", meter(name), owner(legal_owner or name), [kind], [device or devices[kind]],
            [watts], "bus-1", "west", ["name"], [bytes(32)],
        )  # fmt: skip
        digest = self.query("registry", "member", account)["digest"]
        self.done(INSTITUTIONS.energy_bureau, "registry", "attest", account, digest, ["licence"])
        self.done(INSTITUTIONS.grid_company, "registry", "attest", account, digest, ["meter", "connection"])
        self.deposit(account, 10**12)
        self.names.append(name)
        self.kinds[name] = kind

    def name_of(self, found: bytes) -> str:
        return next(name for name in self.names if meter(name) == found)

    # -- floors

    def offer(self, name: str, day: int, wh: list[int], price: int = 0) -> int:
        return int(self.done(address(name), A, "offer_day", day, wh, [price] * len(wh)))

    def bid(self, name: str, day: int, wh: list[int], price: int = RETAIL) -> int:
        return int(self.done(address(name), A, "bid_day", day, wh, [price] * len(wh)))

    def announce(self, name: str, slot: int, wh: int) -> None:
        self.done(address(name), A, "announce", slot, wh)

    def forecast(self, name: str, slot: int, wh: int, side: str = "demand") -> None:
        self.done(meter(name), "metering", "submit_forecast", slot, side, wh)

    def reserve(self, name: str, slot: int, up: int, down: int, charge: int = 0, discharge: int = 0) -> None:
        soc = 10**6
        self.done(address(name), A, "reserve", slot, up, down, charge, discharge, soc)

    def trades(self, slot: int) -> list[tuple[str, str, int]]:
        """(producer, prosumer, Wh) in match order."""
        return [
            (self.name_of(row["producer"]), self.name_of(row["prosumer"]), row["wh"])
            for row in self.query(A, "trades_of", slot)
        ]

    def readings(self, slot: int, values: dict[str, tuple[int, int]]) -> None:
        """Readings (generation, use) of a slot, 0 for all others; goes to the end of the grace time."""
        self.go_slot(slot, 1)
        for name in self.names:
            self.read(name, slot, *values.get(name, (0, 0)))
        self.go_slot(slot, 2)

    # -- looking

    def entry(self, slot: int, name: str) -> dict[str, Any]:
        found = self.query(A, "settlement", slot, meter(name))
        assert found is not None, (slot, name)
        return dict(found)

    def reasons(self, slot: int) -> dict[str, str]:
        return {self.name_of(row["meter"]): row["reason"] for row in self.query(A, "ranking", slot)}

    def score(self, name: str, day: int) -> int:
        return int(self.query(A, "performance", meter(name), day)["reputation"])

    def assert_closed(self) -> None:
        """No escrow is left, money is conserved, the contract's own account was never used."""
        self.assert_money_conserved()
        assert all(escrow == 0 for _, escrow, _ in self.accounts().values()), self.accounts()


__all__ = ["FEED", "OPERATOR", "PUBLISHED", "RETAIL", "A", "WindWorld", "address", "commitment", "meter"]
