"""A peer that both sides have accepted: its connection, its limits, its latency.

Pings go over the votes' lane every `ping_interval_s`; the time to the answer is the latency. A peer that sends
nothing at all for `silence_timeout_s` is taken for dead. A connection may be replaced under a peer (two nodes dialed
each other at once): frames that wait move to the new one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from ledger.errors import PeerFault
from p2p.certificates import CertificateInfo
from p2p.frames import Channel, PeerId, encode_frame
from p2p.handshake import Introduced
from p2p.hello import Control, Ping, Pong, Refuse, as_refuse, decode_control, encode_control, refusal
from p2p.limits import Meter, Passage, TrafficLimits
from p2p.link import Link
from p2p.outbox import Offer


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """What is known of a connected peer. `name` is the organisation of its certificate; `latency_ms` None until the
    first answer; `since_ms` in milliseconds since 1970; byte counts are of the present connection."""

    id: PeerId
    name: str
    node_name: str
    role: str
    address: str
    outbound: bool
    since_ms: int
    latency_ms: float | None
    bytes_in: int
    bytes_out: int
    queued_bytes: int
    dropped: int


class Peer:
    """One accepted peer and the connection it is on."""

    def __init__(
        self, introduced: Introduced, link: Link, traffic: TrafficLimits, *, outbound: bool, since_ms: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.introduced = introduced
        self.link = link
        self.outbound = outbound
        self.since_ms = since_ms
        self.up_at = self._loop.time()
        self.latency_s: float | None = None
        self.inbox_bytes = 0
        self.gone = False
        self.throttled = 0
        self._meter = Meter(traffic, self.up_at)
        self._ping_number = 0
        self._ping_at: float | None = None

    @property
    def id(self) -> PeerId:
        """Who it is."""
        return self.introduced.certificate.node_id

    @property
    def certificate(self) -> CertificateInfo:
        """What it proved by TLS."""
        return self.introduced.certificate

    def info(self) -> PeerInfo:
        """A snapshot for people."""
        certificate = self.certificate
        return PeerInfo(
            id=self.id,
            name=certificate.organisation,
            node_name=certificate.name,
            role=certificate.role,
            address=self.link.remote,
            outbound=self.outbound,
            since_ms=self.since_ms,
            latency_ms=None if self.latency_s is None else self.latency_s * 1000,
            bytes_in=self.link.bytes_in,
            bytes_out=self.link.bytes_out,
            queued_bytes=self.link.outbox.queued_bytes,
            dropped=self.link.outbox.dropped,
        )

    def replace(self, introduced: Introduced, link: Link, *, outbound: bool) -> Link:
        """Go on over another connection; return the old one, whose waiting frames have moved."""
        old = self.link
        old.outbox.move_to(link.outbox)
        link.outbox.dropped += old.outbox.dropped
        self.introduced, self.link, self.outbound = introduced, link, outbound
        self.up_at = self._loop.time()
        self._ping_at = None
        return old

    def send(self, channel: Channel, frame: bytes) -> Offer:
        """Queue an encoded frame."""
        return self.link.send(channel, frame)

    def passage(self, channel: Channel, size: int, now: float) -> Passage:
        """Whether a received frame is within the peer's limits."""
        passage = self._meter.judge(channel, size, now)
        if passage is Passage.DROP:
            self.throttled += 1
        return passage

    def control(self, payload: bytes) -> PeerFault | Refuse | None:
        """Take a control frame of an open connection: answer pings; return the peer's farewell, or a fault."""
        try:
            message = decode_control(payload)
        except PeerFault as fault:
            return fault
        match message:
            case Ping(number):
                self._tell(Pong(number))
            case Pong(number):
                if self._ping_at is not None and number == self._ping_number:
                    self.latency_s = time.perf_counter() - self._ping_at
                    self._ping_at = None
            case Refuse():
                return message
            case _:
                return refusal("MALFORMED_HELLO", "ping, pong or refusal", type(message).__name__)
        return None

    def ping(self) -> None:
        """Send a ping, unless one is under way."""
        if self._ping_at is None:
            self._ping_number += 1
            self._ping_at = time.perf_counter()  # the loop's clock may tick in milliseconds
            self._tell(Ping(self._ping_number))

    def silent_for(self, now: float) -> float:
        """Seconds since the peer was last heard."""
        return now - self.link.heard_at

    def dismiss(self, fault: PeerFault | None) -> None:
        """Close the connection, telling the peer why."""
        if fault is not None:
            self.link.say(as_refuse(fault))
        self.link.close()

    def _tell(self, message: Control) -> None:
        self.link.send(Channel.CONTROL, encode_frame(Channel.CONTROL, encode_control(message)))
