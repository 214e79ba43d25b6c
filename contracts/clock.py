"""Market time: a demo day runs in minutes while consensus uses block time only."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import GenesisError


@dataclass(frozen=True, slots=True)
class MarketClock:
    """market time = origin + speed * (block time - genesis time), in integer ms."""

    genesis_ms: int
    origin_ms: int
    speed: int

    def __post_init__(self) -> None:
        if self.speed < 1 or self.genesis_ms < 0:
            raise GenesisError("a market clock runs forward", expected="speed of at least 1", found=self.speed)

    def market_time(self, block_ms: int) -> int:
        """Market time at a block time."""
        return self.origin_ms + self.speed * (block_ms - self.genesis_ms)

    def block_time(self, market_ms: int) -> int:
        """The first block time whose market time reaches `market_ms`; never before genesis."""
        return self.genesis_ms + max(0, -((self.origin_ms - market_ms) // self.speed))
