"""What a node asks its peers that wants to begin with the state at an epoch's end, on SYNC (`p2p.sync_messages`)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ledger.boundaries import Boundary
from ledger.codec import Uint, Wire

MAX_BOUNDARIES: Final = 64
MAX_OFFERED: Final = 8
MAX_ENTRIES: Final = 65_536


class BoundariesRequest(Wire, frozen=True):
    """The boundary blocks from that of `first_epoch` on."""

    number: Uint
    first_epoch: Uint


class BoundariesResponse(Wire, frozen=True):
    """Answer `number`: of consecutive epochs, ascending, as many as fit; none if the sender has not even the first."""

    number: Uint
    boundaries: Annotated[tuple[Boundary, ...], msgspec.Meta(max_length=MAX_BOUNDARIES)]


class StatesRequest(Wire, frozen=True):
    """States after which blocks do you have?"""

    number: Uint


class StatesResponse(Wire, frozen=True):
    """Answer `number`: heights of boundary blocks, ascending."""

    number: Uint
    heights: Annotated[tuple[Uint, ...], msgspec.Meta(max_length=MAX_OFFERED)]


class TopRequest(Wire, frozen=True):
    """The digests below the state root after block `height`."""

    number: Uint
    height: Uint


class TopResponse(Wire, frozen=True):
    """Answer `number`: 256 digests, joined; nothing if the sender no longer has that state."""

    number: Uint
    top: Annotated[bytes, msgspec.Meta(max_length=8_192)]


class SectorRequest(Wire, frozen=True):
    """Entries of one of 256 sectors of that state, without the first `skip`."""

    number: Uint
    height: Uint
    sector: Annotated[int, msgspec.Meta(ge=0, le=255)]
    skip: Uint


class StateEntry(Wire, frozen=True):
    """A key and its value."""

    key: bytes
    value: bytes


class SectorResponse(Wire, frozen=True):
    """Answer `number`. `held`: whether the sender has that state; `more`: whether the sector goes on."""

    number: Uint
    held: bool
    entries: Annotated[tuple[StateEntry, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
    more: bool


SnapshotRequest = BoundariesRequest | StatesRequest | TopRequest | SectorRequest
SnapshotResponse = BoundariesResponse | StatesResponse | TopResponse | SectorResponse
