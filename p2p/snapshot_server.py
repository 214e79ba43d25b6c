"""Serves boundary blocks, and the states after the last of them, to nodes that begin with one."""

from __future__ import annotations

from typing import Final, Protocol, assert_never

from ledger.boundaries import Boundary
from ledger.codec import encode
from p2p.snapshot_messages import (
    MAX_BOUNDARIES,
    MAX_ENTRIES,
    MAX_OFFERED,
    BoundariesRequest,
    BoundariesResponse,
    SectorRequest,
    SectorResponse,
    SnapshotRequest,
    SnapshotResponse,
    StateEntry,
    StatesRequest,
    StatesResponse,
    TopRequest,
    TopResponse,
)

_ANSWER_BYTES: Final = 1024 * 1024


class SnapshotSource(Protocol):
    """What is served; None or nothing for what is not there (any more, or yet)."""

    def boundary(self, epoch: int) -> Boundary | None:
        """The last block of a finished epoch, with its proof."""

    def states(self) -> tuple[int, ...]:
        """Heights of the boundary blocks whose states are ready to be read. Asking may set a state to be made ready."""

    def top(self, height: int) -> bytes | None:
        """The digests below the root of such a state."""

    def sector(
        self, height: int, sector: int, skip: int, most_bytes: int
    ) -> tuple[list[tuple[bytes, bytes]], bool] | None:
        """Entries of a sector after the first `skip`, at most about `most_bytes`, and whether there are more."""


class SnapshotServer:
    """Answers requests."""

    def __init__(self, source: SnapshotSource) -> None:
        self._source = source

    def answer(self, request: SnapshotRequest) -> SnapshotResponse:
        """What the peer gets, at once."""
        match request:
            case BoundariesRequest():
                return BoundariesResponse(request.number, tuple(self._boundaries(request.first_epoch)))
            case StatesRequest():
                return StatesResponse(request.number, self._source.states()[-MAX_OFFERED:])
            case TopRequest():
                return TopResponse(request.number, self._source.top(request.height) or b"")
            case SectorRequest():
                return self._sector(request)
            case _:
                assert_never(request)

    def _boundaries(self, first: int) -> list[Boundary]:
        found: list[Boundary] = []
        size = 0
        for epoch in range(first, first + MAX_BOUNDARIES):
            boundary = self._source.boundary(epoch)
            if boundary is None:
                break
            size += len(encode(boundary))
            if found and size > _ANSWER_BYTES:
                break
            found.append(boundary)
        return found

    def _sector(self, request: SectorRequest) -> SectorResponse:
        found = self._source.sector(request.height, request.sector, request.skip, _ANSWER_BYTES)
        if found is None:
            return SectorResponse(request.number, False, (), False)
        entries, more = found[0][:MAX_ENTRIES], found[1] or len(found[0]) > MAX_ENTRIES
        return SectorResponse(request.number, True, tuple(StateEntry(key, value) for key, value in entries), more)
