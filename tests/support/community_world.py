"""The market of `market_world` with `community_vpp` as its market: quotations, bids, sealed bids, readings."""

from __future__ import annotations

import hashlib
from typing import Any

from market_world import SLOT_MS, MarketWorld, address, meter

from contracts.library_sources import CommunityMode

VPP = "community_vpp"
SBP, SSP, FEE = 60_000, 180_000, 2_000
PUBLISHED = {"priority": False, "self_trade": True, "pool": False}
"""What a node's defaults differ from the published rules in, beside sealed bids."""


def commitment(name: str, slot: int, quotation: int, wh: int, price: int, nonce: bytes) -> bytes:
    order = quotation.to_bytes(8, "big") + wh.to_bytes(8, "big") + price.to_bytes(8, "big")
    return hashlib.sha256(order + nonce + address(name) + slot.to_bytes(8, "big")).digest()


class CommunityWorld(MarketWorld):
    """Plain bids unless `sealed=True`; grid prices 6 and 18 p/kWh."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(mode=CommunityMode, **{"feed": SBP, "retail": SSP, **changes})
        self.names: list[str] = []

    def member(self, name: str, funds: int = 10**12, **details: Any) -> None:
        super().member(name, funds, **details)
        self.names.append(name)

    def offer(self, name: str, slot: int, wh: int, price: int) -> int:
        return int(self.done(address(name), VPP, "offer", slot, wh, price))

    def bid(self, name: str, slot: int, quotation: int, wh: int, price: int) -> int:
        return int(self.done(address(name), VPP, "submit_bid", slot, quotation, wh, price))

    def settled(self, slot: int, readings: dict[str, tuple[int, int]]) -> None:
        """Post readings (generation, use) after delivery, 0 for all others, and go on until grace has passed."""
        self.go_slot(slot, 1)
        for name in self.names:
            self.read(name, slot, *readings.get(name, (0, 0)))
        self.go_slot(slot, 2)

    def entry(self, slot: int, name: str) -> dict[str, Any]:
        found = self.query(VPP, "settlement", slot, meter(name))
        assert found is not None, (slot, name)
        return dict(found)

    def nets(self, slot: int, *names: str) -> dict[str, int]:
        return {name: self.entry(slot, name)["net"] for name in names}

    def trades(self, slot: int, *names: str) -> list[tuple[str, str, int, int]]:
        """(seller, buyer, Wh, price) in match order, by the names given."""
        known = {meter(name): name for name in names}
        return [
            (known[row["seller"]], known[row["buyer"]], row["wh"], row["price"])
            for row in self.query(VPP, "trades_of", slot)
        ]

    def good(self, name: str) -> int:
        return int(self.query(VPP, "performance_of", meter(name))["good"])

    def earn_good(self, seller: str, buyer: str, first: int, slots: int) -> int:
        """Slots in which both keep their word, from `first`, every fifth; returns the next slot."""
        for slot in range(first, first + 5 * slots, 5):
            self.go_slot(slot, -3)
            self.bid(buyer, slot, self.offer(seller, slot, 100, 90_000), 100, 90_000)
            self.settled(slot, {seller: (100, 0), buyer: (0, 100)})
        return first + 5 * slots


__all__ = ["FEE", "PUBLISHED", "SBP", "SLOT_MS", "SSP", "VPP", "CommunityWorld", "address", "commitment", "meter"]
