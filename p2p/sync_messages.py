"""What nodes ask each other to catch up, on SYNC. One tag byte, then the canonical encoding; tags are never reused.

Heights name blocks here: only certified blocks are served, and there is one certified block of a height.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from ledger.certificates import Certificate
from ledger.codec import Uint, Wire, decode, encode
from ledger.errors import DecodeError, PeerFault
from p2p.frames import LIMITS, Channel
from p2p.snapshot_messages import (
    BoundariesRequest,
    BoundariesResponse,
    SectorRequest,
    SectorResponse,
    SnapshotRequest,
    SnapshotResponse,
    StatesRequest,
    StatesResponse,
    TopRequest,
    TopResponse,
)

MAX_RANGE: Final = 512
MAX_CLOSING: Final = 256
MAX_BODIES: Final = 256
MAX_HEADER_BYTES: Final = 4096

_HeaderBytes = Annotated[bytes, msgspec.Meta(max_length=MAX_HEADER_BYTES)]


class TipRequest(Wire, frozen=True):
    """How far are you?"""


class Tip(Wire, frozen=True):
    """The height of the sender's last final block: a hint."""

    height: Uint


class RangeRequest(Wire, frozen=True):
    """Headers from height `first` on, about `limit` of them, of one epoch, with the finalization of the last."""

    number: Uint
    first: Uint
    limit: Uint


class RangeResponse(Wire, frozen=True):
    """Answer `number`. `height`: the sender's last final block. No headers: the sender has none from `first` on.

    `finalization` certifies the last of `closing` if there are any, else the last of `headers`.
    """

    number: Uint
    height: Uint
    headers: Annotated[tuple[_HeaderBytes, ...], msgspec.Meta(max_length=MAX_RANGE)]
    closing: Annotated[tuple[_HeaderBytes, ...], msgspec.Meta(max_length=MAX_CLOSING)]
    finalization: Certificate | None


class BodiesRequest(Wire, frozen=True):
    """The bodies of `count` blocks from height `first` on."""

    number: Uint
    first: Uint
    count: Uint


class BodiesResponse(Wire, frozen=True):
    """Answer `number`: bodies from the asked height on, as many as fit; none if the sender does not have the first."""

    number: Uint
    bodies: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_BODIES)]


SyncRequest: TypeAlias = TipRequest | RangeRequest | BodiesRequest
SyncResponse: TypeAlias = Tip | RangeResponse | BodiesResponse
SyncMessage: TypeAlias = SyncRequest | SyncResponse | SnapshotRequest | SnapshotResponse

_TAGS: Final[dict[int, type[SyncMessage]]] = {
    1: TipRequest,
    2: Tip,
    3: RangeRequest,
    4: RangeResponse,
    5: BodiesRequest,
    6: BodiesResponse,
    7: BoundariesRequest,
    8: BoundariesResponse,
    9: StatesRequest,
    10: StatesResponse,
    11: TopRequest,
    12: TopResponse,
    13: SectorRequest,
    14: SectorResponse,
}
_TAG_OF: Final[dict[type[SyncMessage], bytes]] = {kind: bytes([tag]) for tag, kind in _TAGS.items()}


def encode_sync(message: SyncMessage) -> bytes:
    """Tag and canonical encoding."""
    return _TAG_OF[type(message)] + encode(message)


def decode_sync(payload: bytes) -> SyncMessage:
    """Decode strictly. Raise `PeerFault`."""
    kind = _TAGS.get(payload[0]) if payload else None
    if kind is None:
        found = payload[:1].hex() or "nothing"
        raise PeerFault("not a sync message", code="MALFORMED_SYNC", expected=f"a tag of {sorted(_TAGS)}", found=found)
    try:
        return decode(kind, payload[1:], limit=LIMITS[Channel.SYNC])
    except DecodeError as error:
        raise PeerFault(
            f"a malformed sync message: {error.message}",
            code="MALFORMED_SYNC",
            expected=kind.__name__,
            found=f"{len(payload)} bytes",
        ) from None
