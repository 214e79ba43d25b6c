"""The market of `market_world` with `matching` as its market: requests, offers, electronic orders, device reports."""

from __future__ import annotations

import hashlib
from typing import Any

from market_world import SLOT_MS, MarketWorld, address, meter

from contracts.library_sources import MatchingMode
from contracts.values import decode_value

D = "matching"
FEED, RETAIL = 450_000, 670_000
PUBLISHED: dict[str, Any] = {
    "v_cap": 0, "self_trade": True, "checked": False, "weighted": False, "third_meter": False, "ceiling": False,
}  # fmt: skip
"""What a node's defaults differ from the published rules in, beside sealed orders."""


def commitment(name: str, cycle: int, side: str, wh: int, price: int, nonce: bytes) -> bytes:
    text = bytes([side == "request"]) + wh.to_bytes(8, "big") + price.to_bytes(8, "big")
    return hashlib.sha256(text + nonce + address(name) + cycle.to_bytes(8, "big")).digest()


class MatchingWorld(MarketWorld):
    """Plain requests and offers unless `sealed=True`. All members stand at bus-1 unless `place` says otherwise."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(mode=MatchingMode, **{"feed": FEED, "retail": RETAIL, **changes})
        self.names: list[str] = []

    def member(self, name: str, funds: int = 10**12, **details: Any) -> None:
        super().member(name, funds, **details)
        self.names.append(name)

    def name_of(self, found: bytes) -> str:
        return next(name for name in self.names if found in (meter(name), address(name)))

    def by_id(self, *names: str) -> list[str]:
        """Names in the order of their meters, which is the order of ids."""
        return sorted(names, key=lambda name: bytes(meter(name)))

    def offer(self, name: str, cycle: int, wh: int, price: int) -> None:
        self.done(address(name), D, "offer", cycle, wh, price)

    def request(self, name: str, cycle: int, wh: int, limit: int = RETAIL) -> None:
        self.done(address(name), D, "request", cycle, wh, limit)

    def matched(self, cycle: int) -> dict[str, str]:
        """Go on to the match of a cycle; user -> provider."""
        self.go_slot(cycle, -1)
        return {self.name_of(row["user"]): self.name_of(row["provider"]) for row in self.orders(cycle)}

    def orders(self, cycle: int) -> list[dict[str, Any]]:
        found = self.query(D, "cycle", cycle)
        numbers = range(found["first_order"], found["first_order"] + found["orders"])
        return [self.query(D, "order", number) for number in numbers]

    def order_of(self, user: str, cycle: int) -> dict[str, Any]:
        return next(row for row in self.orders(cycle) if row["user"] == meter(user))

    def report(self, name: str, order: dict[str, Any], wh: int) -> None:
        self.done(meter(name), D, "report", order["order"], wh)

    def readings(self, cycle: int, values: dict[str, tuple[int, int]]) -> None:
        """Meter readings (generation, use) of the slot, 0 for all others."""
        for name in self.names:
            self.read(name, cycle, *values.get(name, (0, 0)))

    def entry(self, cycle: int, name: str) -> dict[str, Any]:
        found = self.query(D, "settlement", cycle, meter(name))
        assert found is not None, (cycle, name)
        return dict(found)

    def rc(self, name: str) -> int:
        return int(self.query(D, "performance", meter(name))["rc"])

    def trade(self, cycle: int, user: str, provider: str, deal: tuple[int, int], devices: tuple[int, int]) -> None:
        """One whole cycle of a pair: `deal` = Wh and price, `devices` = what they report as sent and received."""
        self.go_slot(cycle, -3)
        self.offer(provider, cycle, *deal)
        self.request(user, cycle, deal[0])
        assert self.matched(cycle) == {user: provider}
        self.go_slot(cycle, 1)
        order = self.order_of(user, cycle)
        self.report(provider, order, devices[0])
        self.report(user, order, devices[1])
        self.readings(cycle, {provider: (devices[0], 0), user: (0, devices[1])})
        self.go_slot(cycle, 2)

    def net_worth(self) -> int:
        return sum(balance + escrow - debt for balance, escrow, debt in self.accounts().values())

    def assert_closed(self) -> None:
        """No escrow is left anywhere, the contract's account is untouched, money is conserved."""
        self.assert_money_conserved()
        assert all(escrow == 0 for _, escrow, _ in self.accounts().values()), self.accounts()


def value_of(receipt: Any) -> Any:
    return decode_value(receipt.value) if receipt.value else None


__all__ = ["FEED", "PUBLISHED", "RETAIL", "SLOT_MS", "D", "MatchingWorld", "address", "commitment", "meter", "value_of"]
