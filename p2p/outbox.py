"""What waits to be sent to one peer: three lanes, each bounded, each with a rule for when it is full. No socket here.

| lane | channels | when full |
|---|---|---|
| 0 | VOTES, CONTROL | the peer is too slow for consensus: disconnect, never drop silently |
| 1 | BLOCKS | disconnect, as lane 0 |
| 1 | SYNC, PEERS | the newest is dropped and the caller told: whoever asked asks again |
| 2 | TRANSACTIONS | the newest is dropped and the caller told: it is gossiped again until final |

A lower lane is sent only when the lanes above it are empty. Inside a lane order is kept.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from p2p.frames import Channel

LANES: Final = 3
LANE_OF: Final[dict[Channel, int]] = {
    Channel.CONTROL: 0,
    Channel.VOTES: 0,
    Channel.BLOCKS: 1,
    Channel.SYNC: 1,
    Channel.PEERS: 1,
    Channel.TRANSACTIONS: 2,
}
_NEVER_DROPPED: Final = frozenset({Channel.CONTROL, Channel.VOTES, Channel.BLOCKS})


class Offer(Enum):
    """What became of a frame."""

    QUEUED = "queued"
    DROPPED = "dropped"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Bounds of the lanes in bytes and frames. A lane takes one frame however large when it is empty."""

    bytes_per_lane: tuple[int, int, int] = (8 * 1024 * 1024, 32 * 1024 * 1024, 8 * 1024 * 1024)
    frames_per_lane: tuple[int, int, int] = (16_384, 4_096, 16_384)


class Outbox:
    """The three lanes of one peer."""

    __slots__ = ("_bytes", "_lanes", "_limits", "dropped")

    def __init__(self, limits: LaneLimits) -> None:
        self._lanes: tuple[deque[bytes], ...] = tuple(deque() for _ in range(LANES))
        self._bytes = [0] * LANES
        self._limits = limits
        self.dropped = 0

    def __bool__(self) -> bool:
        return any(self._lanes)

    @property
    def queued_bytes(self) -> int:
        """Bytes in all lanes."""
        return sum(self._bytes)

    def offer(self, channel: Channel, frame: bytes) -> Offer:
        """Queue `frame`, or say by which rule it was not. OVERFLOW: the peer must be disconnected."""
        lane = LANE_OF[channel]
        queue = self._lanes[lane]
        size = self._bytes[lane] + len(frame)
        if queue and (size > self._limits.bytes_per_lane[lane] or len(queue) >= self._limits.frames_per_lane[lane]):
            if channel in _NEVER_DROPPED:
                return Offer.OVERFLOW
            self.dropped += 1
            return Offer.DROPPED
        queue.append(frame)
        self._bytes[lane] = size
        return Offer.QUEUED

    def take(self, limit: int) -> list[bytes]:
        """Remove and return frames, upper lanes first, until at least `limit` bytes are taken or nothing is left."""
        taken: list[bytes] = []
        total = 0
        for lane, queue in enumerate(self._lanes):
            before = total
            while queue and total < limit:
                frame = queue.popleft()
                total += len(frame)
                taken.append(frame)
            self._bytes[lane] -= total - before
            if total >= limit:
                break
        return taken

    def move_to(self, other: Outbox) -> None:
        """Hand everything over to the outbox of the connection that replaces this one, without a bound check."""
        for lane, queue in enumerate(self._lanes):
            other._lanes[lane].extend(queue)
            other._bytes[lane] += self._bytes[lane]
            queue.clear()
            self._bytes[lane] = 0
