"""What a genesis fixes for its engine. Integers only; times in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.errors import GenesisError

LAN_DELTA_MS: Final = 150
SOLO_BLOCK_INTERVAL_MS: Final = 100
"""At 20 ms a loaded node makes blocks of 200 and loses a fifth of its throughput to trees and syncs (measured)."""


@dataclass(frozen=True, slots=True)
class EngineParameters:
    """Bounds and paces of the core (consensus A.4, A.8, A.9). The quorum is no parameter.

    `delta_ms`: the bound on one message delay, at least the real one (500, on a LAN 150). `min_block_interval_ms`:
    least distance of two block times. `epoch_blocks`: blocks of an epoch; `epoch_views`: its views, where an engine
    counts those. `heartbeat_ms`: longest silence of an idle chain. `precision_ms`: how far a proposer's clock may be
    ahead; never grows. `max_unfinalised`: notarised blocks without a finalization after which leaders propose only
    empty ones. `keep_blocks`: final blocks kept in memory to serve peers.
    """

    delta_ms: int = 500
    min_block_interval_ms: int = 250
    epoch_blocks: int = 1024
    heartbeat_ms: int = 30_000
    precision_ms: int = 500
    max_delta_ms: int = 30_000
    status_interval_ms: int = 5_000
    max_unfinalised: int = 8
    max_block_txs: int = 4_000
    max_block_bytes: int = 1024 * 1024
    keep_blocks: int = 8
    epoch_views: int = 256

    def __post_init__(self) -> None:
        positive = (
            self.delta_ms,
            self.epoch_blocks,
            self.heartbeat_ms,
            self.precision_ms,
            self.status_interval_ms,
            self.max_unfinalised,
            self.max_block_txs,
            self.max_block_bytes,
            self.keep_blocks,
            self.epoch_views,
        )
        if min(positive) < 1 or self.min_block_interval_ms < 0 or self.max_delta_ms < self.delta_ms:
            raise GenesisError("engine parameters out of range", expected="positive integers", found=self)

    @classmethod
    def defaults(cls, engine: str) -> EngineParameters:
        """What a genesis gets that says nothing: `solo` waits for nobody."""
        return cls(min_block_interval_ms=SOLO_BLOCK_INTERVAL_MS) if engine == "solo" else cls()

    def backoff_delta(self, nullified: int) -> int:
        """Delta_k = min(Delta * 1.5^min(k, 16), max_delta), in integers, saturating."""
        k = min(nullified, len(_GROWTH) - 1)
        numerator, denominator = _GROWTH[k]
        return min(self.delta_ms * numerator // denominator, self.max_delta_ms)


_GROWTH: Final[tuple[tuple[int, int], ...]] = tuple((3**k, 2**k) for k in range(17))
