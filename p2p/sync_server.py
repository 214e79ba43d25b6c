"""Serves certified headers and bodies to nodes that were away. Reads the chain through the narrow `ChainSource`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, assert_never

from ledger.certificates import Certificate
from ledger.errors import DecodeError, StoreError
from ledger.objects import decode_header
from p2p.frames import PeerId
from p2p.snapshot_messages import SnapshotResponse
from p2p.sync_messages import (
    MAX_BODIES,
    MAX_CLOSING,
    MAX_RANGE,
    BodiesRequest,
    BodiesResponse,
    RangeRequest,
    RangeResponse,
    SyncRequest,
    SyncResponse,
    Tip,
    TipRequest,
    encode_sync,
)

_ANSWER_BYTES: Final = 2 * 1024 * 1024


class ChainSource(Protocol):
    """What the server needs of a chain. Heights start at 1 (0 is genesis); None for what is not held."""

    def height(self) -> int:
        """The last final block, 0 at genesis."""
        ...

    def header_bytes(self, height: int) -> bytes | None:
        """The header of a final block."""
        ...

    def body_bytes(self, height: int) -> bytes | None:
        """The body of a final block."""
        ...

    def final_by(self, height: int) -> int | None:
        """The height of the certified block, itself or a descendant of the same epoch, that proves `height` final."""
        ...

    def finalization(self, height: int) -> tuple[Certificate, tuple[bytes, ...]] | None:
        """The finalization kept at `height`, and the headers of the closing blocks, ascending, whose last it certifies
        (none: it certifies the block of `height`)."""
        ...


class SyncServer:
    """Answers requests of peers."""

    def __init__(self, source: ChainSource, send: Callable[[PeerId, bytes], bool]) -> None:
        self._source = source
        self._send = send

    def on_request(self, peer: PeerId, request: SyncRequest) -> None:
        """Answer at once. An answer that the queue has no room for is dropped: the peer asks again."""
        self._send(peer, encode_sync(self._answer(request)))

    def reply(self, peer: PeerId, answer: SnapshotResponse) -> None:
        """Send an answer that was made elsewhere."""
        self._send(peer, encode_sync(answer))

    def announce(self, peer: PeerId) -> None:
        """Tell a peer how far this node is."""
        self._send(peer, encode_sync(Tip(self._source.height())))

    def _answer(self, request: SyncRequest) -> SyncResponse:
        match request:
            case TipRequest():
                return Tip(self._source.height())
            case RangeRequest():
                return self._range(request)
            case BodiesRequest():
                return self._bodies(request)
            case _:
                assert_never(request)

    def _range(self, request: RangeRequest) -> RangeResponse:
        source = self._source
        height = source.height()
        nothing = RangeResponse(request.number, height, (), (), None)
        first = request.first
        if not 1 <= first <= height:
            return nothing
        wanted = min(first + max(1, min(request.limit, MAX_RANGE // 2)) - 1, height)
        headers = self._same_epoch(first, wanted)
        if not headers:
            return nothing
        end = source.final_by(first + len(headers) - 1)
        if end is None or end > height or end - first >= MAX_RANGE:
            return nothing
        headers += self._same_epoch(first + len(headers), end)
        kept = source.finalization(end)
        if len(headers) != end - first + 1 or kept is None or len(kept[1]) > MAX_CLOSING:
            return nothing
        certificate, closing = kept
        return RangeResponse(request.number, height, tuple(headers), closing, certificate)

    def _same_epoch(self, first: int, last: int) -> list[bytes]:
        """Headers from `first` to `last`, cut where the epoch of `first` ends or a header is not held."""
        headers: list[bytes] = []
        epoch: int | None = None
        for height in range(first, last + 1):
            raw = self._source.header_bytes(height)
            if raw is None:
                break
            here = _epoch(raw)
            if epoch is not None and here != epoch:
                break
            epoch = here
            headers.append(raw)
        return headers

    def _bodies(self, request: BodiesRequest) -> BodiesResponse:
        bodies: list[bytes] = []
        total = 0
        for height in range(request.first, request.first + min(request.count, MAX_BODIES)):
            raw = self._source.body_bytes(height) if height <= self._source.height() else None
            if raw is None or (bodies and total + len(raw) > _ANSWER_BYTES):
                break
            bodies.append(raw)
            total += len(raw)
        return BodiesResponse(request.number, tuple(bodies))


def _epoch(raw: bytes) -> int:
    try:
        return decode_header(raw).epoch
    except DecodeError as error:
        raise StoreError(f"a damaged header in the own chain: {error.message}") from None
