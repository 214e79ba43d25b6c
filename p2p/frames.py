"""Frames, without a socket: length (u32, of the payload), channel (u8), payload.

Every channel has its own size limit, checked from the five header bytes before anything is stored. The decoder takes
any bytes in any cut and raises nothing but `PeerFault`; after a fault it raises the same fault for ever, since a
stream that lost its framing cannot find it again.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from enum import IntEnum
from typing import Final, NewType, TypeAlias

from ledger.errors import PeerFault, TooLarge

PeerId = NewType("PeerId", bytes)
"""SHA-256 of the 32 bytes of a node's public key (`p2p.certificates.node_id_of`)."""


class Channel(IntEnum):
    """What a frame is about. Numbers are wire format and never reused. CONTROL is the p2p room's own."""

    CONTROL = 0
    VOTES = 1
    BLOCKS = 2
    TRANSACTIONS = 3
    PEERS = 4
    SYNC = 5


LIMITS: Final[dict[Channel, int]] = {
    Channel.CONTROL: 4 * 1024,
    Channel.VOTES: 4 * 1024 * 1024 + 64,
    Channel.BLOCKS: 4 * 1024 * 1024 + 64,
    Channel.TRANSACTIONS: 1024 * 1024,
    Channel.PEERS: 128 * 1024,
    Channel.SYNC: 8 * 1024 * 1024 + 64 * 1024,
}
"""Largest payload of a channel in bytes."""

Frame: TypeAlias = tuple[Channel, bytes]

_HEADER: Final = struct.Struct(">IB")
_BY_NUMBER: Final[dict[int, Channel]] = {int(channel): channel for channel in Channel}
HEADER_BYTES: Final = _HEADER.size


def encode_frame(channel: Channel, payload: bytes) -> bytes:
    """Return the bytes of one frame. Raise `TooLarge` for a payload above the channel's limit: a caller's own
    mistake.
    """
    if len(payload) > LIMITS[channel]:
        raise TooLarge(
            f"payload on {channel.name} is too large", expected=f"at most {LIMITS[channel]}", found=len(payload)
        )
    return _HEADER.pack(len(payload), channel) + payload


class FrameDecoder:
    """Cuts a stream of bytes into frames. Holds at most one unfinished frame."""

    __slots__ = ("_allowed", "_fault", "_need", "_tail")

    def __init__(self, allowed: Collection[Channel] = tuple(Channel)) -> None:
        self._tail = bytearray()
        self._need = 0
        self._fault: PeerFault | None = None
        self._allowed = {int(channel): LIMITS[channel] for channel in allowed}

    def allow(self, channels: Collection[Channel]) -> None:
        """Accept these channels from now on."""
        self._allowed = {int(channel): LIMITS[channel] for channel in channels}

    @property
    def idle(self) -> bool:
        """Whether no byte of an unfinished frame is held."""
        return not self._tail

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the stream; return the frames that are complete. Raise `PeerFault`."""
        if self._fault is not None:
            raise self._fault
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data = bytes(self._tail)
            self._tail = bytearray()
        frames: list[Frame] = []
        at, end = 0, len(data)
        need = HEADER_BYTES
        while end - at >= HEADER_BYTES:
            length, number = _HEADER.unpack_from(data, at)
            if length > self._allowed.get(number, -1):
                raise self._refuse(length, number)
            stop = at + HEADER_BYTES + length
            if stop > end:
                need = stop - at
                break
            frames.append((_BY_NUMBER[number], data[at + HEADER_BYTES : stop]))
            at = stop
        if at < end:
            self._tail += data[at:]
            self._need = need
        return frames

    def _refuse(self, length: int, number: int) -> PeerFault:
        limit = self._allowed.get(number)
        if limit is None:
            self._fault = PeerFault(
                "a frame on a channel that is not open",
                code="BAD_CHANNEL",
                expected=f"one of {sorted(self._allowed)}",
                found=number,
                fix="the peer runs another protocol on this port; check its address and version",
            )
        else:
            self._fault = PeerFault(
                f"a frame on {_BY_NUMBER[number].name} is too large",
                code="FRAME_TOO_LARGE",
                expected=f"at most {limit} bytes",
                found=f"{length} bytes",
                fix="the peer runs another protocol on this port, or another version",
            )
        self._tail.clear()
        return self._fault
