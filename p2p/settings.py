"""What a network is told when it is opened, whom it calls, and what it counts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from p2p.dialer import DialPolicy
from p2p.frames import Channel, PeerId
from p2p.hello import MAX_CLOCK_SKEW_MS
from p2p.limits import TrafficLimits
from p2p.outbox import LaneLimits
from p2p.peer import PeerInfo
from p2p.topology import LinkPolicy

Clock: TypeAlias = Callable[[], int]
"""Milliseconds since 1970."""


class PeerHandler(Protocol):
    """Whom the network calls: on the loop, from one task, never concurrently. Must not block."""

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """One payload on VOTES, BLOCKS, TRANSACTIONS or SYNC. Raising `GridchainError` disconnects and bans the
        peer.
        """
        ...

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        """A peer is there; frames may be sent to it."""
        ...

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """A peer is gone; what it had sent before has been handed over."""
        ...


def _anybody(_node: PeerId) -> str | None:
    return None


def _everybody(_node: PeerId) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """How a node takes part. Times in seconds unless the name says otherwise.

    `name`: shown in the address book. `listen_port` 0 takes a free one. `seeds` and `advertise` are `host:port`;
    `advertise` is what others dial, by default the listen address. `admit(node_id)`: None lets a node in, else the
    reason why not (the member register decides). `is_validator(node_id)`: who is dialed first and fastest.
    """

    chain_id: str
    genesis_hash: bytes
    name: str
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    advertise: str = ""
    seeds: tuple[str, ...] = ()
    known_addresses: tuple[bytes, ...] = ()
    admit: Callable[[PeerId], str | None] = _anybody
    is_validator: Callable[[PeerId], bool] = _everybody
    max_clock_skew_ms: int = MAX_CLOCK_SKEW_MS
    handshake_timeout_s: float = 5.0
    max_handshakes: int = 64
    ping_interval_s: float = 2.0
    silence_timeout_s: float = 15.0
    ban_s: float = 5.0
    kept_refusals: int = 64
    links: LinkPolicy = field(default_factory=LinkPolicy)
    dial: DialPolicy = field(default_factory=DialPolicy)
    lanes: LaneLimits = field(default_factory=LaneLimits)
    traffic: TrafficLimits = field(default_factory=TrafficLimits)
    jitter: Callable[[], float] = random.random


@dataclass(slots=True)
class NetworkStatistics:
    """Counters since the start, for metrics. `dropped`: own frames that a full queue refused; `throttled`: received
    frames above a peer's limit."""

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    writes: int = 0
    dropped: int = 0
    throttled: int = 0
    connects: int = 0
    disconnects: int = 0
