"""How much a peer may send. Token buckets, one pair (frames, bytes) per channel, on the receiving side.

| channels | above the limit |
|---|---|
| TRANSACTIONS, PEERS | the frame is dropped and counted: gossip comes again |
| CONTROL, VOTES, BLOCKS, SYNC | the peer is disconnected with `FLOOD`: no honest node comes near these limits |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from p2p.frames import Channel

_MIB = 1024 * 1024


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` tokens at `now` (seconds, any origin, not going back); False and unchanged if too few are
        there.
        """
        tokens = self._tokens + (now - self._at) * self._rate
        self._at = now
        tokens = min(tokens, self._burst)
        if tokens < amount:
            self._tokens = tokens
            return False
        self._tokens = tokens - amount
        return True


@dataclass(frozen=True, slots=True)
class Rate:
    """Limits of one channel: per second, and what may come at once."""

    frames: float
    frame_burst: float
    bytes: float
    byte_burst: float


def _default_rates() -> dict[Channel, Rate]:
    return {
        Channel.CONTROL: Rate(50, 200, 64 * 1024, 256 * 1024),
        Channel.VOTES: Rate(20_000, 60_000, 16 * _MIB, 64 * _MIB),
        Channel.BLOCKS: Rate(2_000, 8_000, 64 * _MIB, 256 * _MIB),
        Channel.TRANSACTIONS: Rate(5_000, 20_000, 32 * _MIB, 64 * _MIB),
        Channel.PEERS: Rate(50, 500, _MIB, 4 * _MIB),
        Channel.SYNC: Rate(1_000, 4_000, 128 * _MIB, 512 * _MIB),
    }


@dataclass(frozen=True, slots=True)
class TrafficLimits:
    """The limits of every channel."""

    rates: dict[Channel, Rate] = field(default_factory=_default_rates)


class Passage(Enum):
    """What the limits say of a frame."""

    PASS = "pass"
    DROP = "drop"
    FLOOD = "flood"


_DROPPED = frozenset({Channel.TRANSACTIONS, Channel.PEERS})


class Meter:
    """The buckets of one peer."""

    __slots__ = ("_buckets",)

    def __init__(self, limits: TrafficLimits, now: float) -> None:
        self._buckets = {
            channel: (TokenBucket(rate.frames, rate.frame_burst, now), TokenBucket(rate.bytes, rate.byte_burst, now))
            for channel, rate in limits.rates.items()
        }

    def judge(self, channel: Channel, size: int, now: float) -> Passage:
        """Count one frame of `size` bytes at `now`."""
        frames, size_bucket = self._buckets[channel]
        if frames.take(1, now) and size_bucket.take(size, now):
            return Passage.PASS
        return Passage.DROP if channel in _DROPPED else Passage.FLOOD
