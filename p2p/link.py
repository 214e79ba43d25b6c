"""One connection: bytes in, frames out, and frames in, bytes out. Serves the handshake first, an open peer after it.

Writing: frames go to an `Outbox`; once per loop turn everything due is joined into one `write` of at most about
`_CHUNK` bytes, so that a vote never waits behind more than one chunk of lower lanes. The transport's own buffer is
kept small (pause and resume of writing), so that the lanes, not the transport, decide what comes next.

Reading: until `open` is called frames are kept for `next_control`; afterwards they go to the sink. A fault of
framing is given to whoever reads; no exception leaves a callback.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from ledger.errors import PeerFault
from p2p.frames import Channel, Frame, FrameDecoder, encode_frame
from p2p.hello import Control, Refuse, encode_control, refusal
from p2p.outbox import LaneLimits, Offer, Outbox

_CHUNK = 128 * 1024
_HIGH_WATER = 64 * 1024
_MAX_EARLY_UNTRUSTED = 4
_MAX_EARLY = 64
_FAREWELL_S = 0.5
_SHUTDOWN_S = 1.0


class LinkSink(Protocol):
    """Who takes what an open link brings. Called on the loop; must not raise."""

    def link_frames(self, link: Link, frames: list[Frame]) -> None:
        """Whole frames, in order."""
        ...

    def link_faulted(self, link: Link, fault: PeerFault) -> None:
        """The peer broke the framing; nothing more will be read."""
        ...

    def link_lost(self, link: Link, reason: str) -> None:
        """The connection is gone. Called once, and only if the link was opened."""
        ...


class Link(asyncio.Protocol):
    """One connection, from its first byte to its last."""

    def __init__(self, limits: LaneLimits, made: Callable[[Link], None] | None = None) -> None:
        self._made = made
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder((Channel.CONTROL,))
        self._early: deque[Frame] = deque()
        self._fault: PeerFault | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: LinkSink | None = None
        self.in_tls = False
        self._trusted = False
        self._deaf = False
        self._holding = False
        self._scheduled = False
        self._blocked = False
        self.outbox = Outbox(limits)
        self.closed = asyncio.Event()
        self.reason = "closed"
        self.bytes_in = 0
        self.bytes_out = 0
        self.writes = 0
        self.heard_at = self._loop.time()
        self.remote = ""

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. Called once, in clear."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        peer = transport.get_extra_info("peername")
        self.remote = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) and len(peer) >= 2 else ""
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        """Cut bytes into frames."""
        self.bytes_in += len(data)
        self.heard_at = self._loop.time()
        if self._deaf:
            return
        try:
            frames = self._decoder.feed(data)
        except PeerFault as fault:
            self._deaf = True
            self._fault = fault
            self._wake()
            if self._sink is not None:
                self._sink.link_faulted(self, fault)
            return
        if self._sink is not None:
            if frames:
                self._sink.link_frames(self, frames)
            return
        self._keep(frames)

    def eof_received(self) -> bool:
        """Close with the peer."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why, wake whoever waits."""
        self._lost(_reason(exc))

    def pause_writing(self) -> None:
        """The transport has enough for now."""
        self._blocked = True

    def resume_writing(self) -> None:
        """The transport has drained."""
        self._blocked = False
        self._schedule()

    # --- handshake ----------------------------------------------------------------------------------------------------

    def say(self, message: Control) -> None:
        """Write a control message at once, past the outbox: for the handshake."""
        if self._transport is not None and not self._transport.is_closing():
            frame = encode_frame(Channel.CONTROL, encode_control(message))
            self.bytes_out += len(frame)
            self._transport.write(frame)

    async def next_control(self) -> bytes:
        """Wait for the next control payload. Raise `PeerFault`, or `ConnectionResetError` when the peer is gone."""
        while not self._early:
            if self._fault is not None:
                raise self._fault
            if self.closed.is_set():
                raise ConnectionResetError(self.reason)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        channel, payload = self._early.popleft()
        if channel is not Channel.CONTROL:
            raise refusal("BAD_CHANNEL", Channel.CONTROL.name, channel.name)
        return payload

    async def upgrade(self, context: ssl.SSLContext, *, server_side: bool, timeout_s: float) -> None:
        """Go on inside TLS. Nothing of the clear text may be left over. Raise `PeerFault`, `OSError` (TLS included)."""
        if self._early or not self._decoder.idle:
            raise refusal("MALFORMED_HELLO", "nothing between the hellos and TLS", "surplus bytes")
        if self._transport is None or self._transport.is_closing() or self.closed.is_set():
            raise ConnectionResetError(self.reason)
        clear = self._transport
        self.in_tls = True
        try:
            inner = await self._loop.start_tls(
                clear,
                self,
                context,
                server_side=server_side,
                ssl_handshake_timeout=timeout_s,
                ssl_shutdown_timeout=_SHUTDOWN_S,
            )
        except BaseException as error:
            clear.abort()
            self._lost(_reason(error))
            raise
        if inner is None:
            self._lost("closed during TLS")
            raise ConnectionResetError(self.reason)
        self._transport = inner
        inner.set_write_buffer_limits(high=_HIGH_WATER)

    def trust(self) -> None:
        """Accept every channel from now on. Before, nobody can make this node hold more than a few small frames."""
        self._trusted = True
        self._decoder.allow(tuple(Channel))

    def peer_certificate(self) -> bytes:
        """DER of the certificate that TLS has verified."""
        secured = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        certificate = secured.getpeercert(binary_form=True) if secured is not None else None
        if certificate is None:
            raise ConnectionResetError("no TLS session")
        return cast(bytes, certificate)

    async def farewell(self, message: Refuse | None) -> None:
        """Say why, let the peer read it, close. Bounded in time; what still arrives is thrown away."""
        self._deaf = True
        if self._transport is None or self.closed.is_set():
            self.abort()
            return
        if message is not None:
            self.say(message)
        if not self.in_tls and self._transport.can_write_eof():
            # Half-close and wait: closing with unread bytes would reset the connection and take the refusal with it.
            self._transport.resume_reading()
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset the connection, and the loop has not heard of it yet
                self._transport.close()
        else:
            self._transport.close()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self.closed.wait()
        except TimeoutError:
            pass
        finally:
            self.abort()

    @property
    def opened(self) -> bool:
        """Whether a sink has taken over; it will be told when the connection is lost."""
        return self._sink is not None

    # --- open ---------------------------------------------------------------------------------------------------------

    def open(self, sink: LinkSink) -> None:
        """From now on frames go to `sink`; first those that came while the handshake ended."""
        self._sink = sink
        early = list(self._early)
        self._early.clear()
        if early:
            sink.link_frames(self, early)
        if self._fault is not None:
            sink.link_faulted(self, self._fault)
        elif self.closed.is_set():
            sink.link_lost(self, self.reason)
        else:
            self.resume_reading()

    def send(self, channel: Channel, frame: bytes) -> Offer:
        """Queue an encoded frame for this turn's write."""
        offer = self.outbox.offer(channel, frame)
        if offer is Offer.QUEUED and not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return offer

    def pause_reading(self) -> None:
        """Let the kernel hold what the peer sends: the node is behind."""
        if not self._holding and self._transport is not None and not self._transport.is_closing():
            self._holding = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._holding and self._transport is not None and not self._transport.is_closing():
            self._holding = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what the transport holds, then close. Frames in the outbox are lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if self.outbox and not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        transport = self._transport
        if transport is None or self._blocked or transport.is_closing():
            return
        frames = self.outbox.take(_CHUNK)
        if frames:
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            self.bytes_out += len(data)
            self.writes += 1
            transport.write(data)
            self._schedule()

    def _keep(self, frames: list[Frame]) -> None:
        self._early.extend(frames)
        if not self._trusted and len(self._early) > _MAX_EARLY_UNTRUSTED:
            self._early.clear()
            self._deaf = True
            self._fault = refusal("MALFORMED_HELLO", f"at most {_MAX_EARLY_UNTRUSTED} frames at once", "more")
        elif len(self._early) > _MAX_EARLY:
            self.pause_reading()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lost(self, reason: str) -> None:
        if self.closed.is_set():
            return
        self.reason = reason
        self.closed.set()
        self._wake()
        if self._sink is not None:
            self._sink.link_lost(self, reason)


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "closed by the peer"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
