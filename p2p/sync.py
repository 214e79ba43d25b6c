"""Catching up: asks peers for certified headers and bodies, believes nothing, yields segments ready to be committed.

    async for segment in client.segments(position):
        ...commit it; `position()` must have advanced before the next is asked for

Heights that peers claim are hints; only verified certificates move anything. Each request has a deadline. A peer
that does not answer in time is left alone for a while, twice as long each time, and its hint is forgotten; one that
has less than it claimed lowers the target; one that lies is reported (`fault`) and banned there. Bodies are asked of
all peers that have them, in turn, so that one slow peer does not hold up the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from ledger.certificates import Certificate
from ledger.crypto import Hash
from ledger.errors import PeerFault
from ledger.merkle import merkle_root
from ledger.objects import Block
from p2p.frames import PeerId
from p2p.snapshot_messages import SnapshotRequest
from p2p.snapshot_server import SnapshotServer
from p2p.sync_check import CertifiedHeaders, SyncPosition, check_body, check_range
from p2p.sync_messages import (
    BodiesRequest,
    BodiesResponse,
    RangeRequest,
    RangeResponse,
    SyncRequest,
    SyncResponse,
    Tip,
    TipRequest,
    decode_sync,
    encode_sync,
)
from p2p.sync_server import SyncServer

_log = structlog.get_logger("p2p")
_MAX_REST_S: Final = 30.0

R = TypeVar("R", RangeResponse, BodiesResponse)


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """`range_headers`: headers asked for at once (at most 256). `segment_bytes`: bodies held in memory at once, about.
    `deadline_s`: time for one answer. `body_batch`: bodies asked of one peer at once."""

    range_headers: int = 128
    segment_bytes: int = 16 * 1024 * 1024
    body_batch: int = 16
    deadline_s: float = 3.0
    rest_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive final blocks and what proves them: commit all of them or none. Not executed yet: the caller compares
    state and receipts roots. `closing`: headers of closing blocks, ascending, if the finalization certifies one."""

    blocks: tuple[Block, ...]
    finalization: Certificate
    closing: tuple[bytes, ...]


@dataclass(slots=True)
class _Standing:
    """What is known of a peer: the height it claims, and until when it is left alone."""

    height: int = 0
    rest_until: float = 0.0
    rest_s: float = 0.0


class SyncClient:
    """Follows the peers' chain. `send` queues a payload on SYNC; `fault` reports a peer that lies."""

    def __init__(
        self,
        chain_id: str,
        send: Callable[[PeerId, bytes], bool],
        fault: Callable[[PeerId, PeerFault], None],
        settings: SyncSettings | None = None,
        transactions_root: Callable[[Sequence[bytes]], Hash] = merkle_root,
    ) -> None:
        self._chain_id = chain_id
        self._send = send
        self._fault = fault
        self._settings = settings or SyncSettings()
        self._root = transactions_root
        self._standing: dict[PeerId, _Standing] = {}
        self._waiting: dict[tuple[PeerId, int], asyncio.Future[SyncResponse | None]] = {}
        self._number = 0
        self._range_turn = 0
        self._body_turn = 0

    # --- what comes in ------------------------------------------------------------------------------------------------

    def peer_up(self, peer: PeerId) -> None:
        """A peer is there: ask how far it is."""
        self._standing[peer] = _Standing()
        self._send(peer, encode_sync(TipRequest()))

    def peer_down(self, peer: PeerId) -> None:
        """A peer is gone: forget its claim, stop waiting for it."""
        self._standing.pop(peer, None)
        for (asked, _), future in list(self._waiting.items()):
            if asked == peer and not future.done():
                future.set_result(None)

    def hint(self, peer: PeerId, height: int) -> None:
        """A peer claims a height (its status, a proposal). Taken as a hint, up or down."""
        standing = self._standing.get(peer)
        if standing is not None:
            standing.height = height

    def on_response(self, peer: PeerId, response: SyncResponse) -> None:
        """Take an answer. One that nobody waits for any more is ignored."""
        if isinstance(response, Tip):
            self.hint(peer, response.height)
            return
        future = self._waiting.get((peer, response.number))
        if future is not None and not future.done():
            future.set_result(response)

    def target(self) -> int:
        """The greatest height that a present peer claims, 0 without peers."""
        return max((standing.height for standing in self._standing.values()), default=0)

    # --- following ----------------------------------------------------------------------------------------------------

    async def segments(self, position: Callable[[], SyncPosition]) -> AsyncIterator[Segment]:
        """Yield verified segments after `position()` until no peer claims more."""
        limit = self._settings.range_headers
        while True:
            here = position()
            peer = await self._choose(here.height + 1)
            if peer is None:
                return
            headers = await self._headers(peer, here, limit)
            if headers is None:
                continue
            sizes = [header.body_size for header in headers.headers]
            if sum(sizes) > self._settings.segment_bytes and limit > 1 and len(sizes) > 1:
                limit = max(1, min(limit, len(sizes)) // 2)
                continue
            blocks = await self._bodies(headers, here.height + 1)
            if blocks is not None:
                limit = min(2 * limit, self._settings.range_headers)
                yield Segment(blocks, headers.finalization, headers.closing)

    async def _headers(self, peer: PeerId, here: SyncPosition, limit: int) -> CertifiedHeaders | None:
        self._number += 1
        response = await self._ask(peer, RangeRequest(self._number, here.height + 1, limit), RangeResponse)
        if response is None:
            return None
        self.hint(peer, response.height)
        if not response.headers:
            # It claimed more than it has, or has pruned what is asked for: not above the own height until it says so.
            self.hint(peer, min(response.height, here.height))
            return None
        try:
            return check_range(response, here, self._chain_id)
        except PeerFault as fault:
            self._accuse(peer, fault)
            return None

    async def _bodies(self, headers: CertifiedHeaders, first: int) -> tuple[Block, ...] | None:
        """All bodies of certified headers, from whoever has them; None if nobody has them now."""
        total = len(headers.headers)
        blocks: list[Block | None] = [None] * total
        todo = [(at, min(at + self._settings.body_batch, total)) for at in range(0, total, self._settings.body_batch)]
        while todo:
            peers = self._candidates(first + total - 1) or self._candidates(first)
            if not peers:
                return None
            self._body_turn += 1
            now, later = todo[: len(peers)], todo[len(peers) :]
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._batch(peers[(self._body_turn + n) % len(peers)], headers, first, span, blocks)
                    )
                    for n, span in enumerate(now)
                ]
            todo = [span for task in tasks if (span := task.result()) is not None] + later
        return tuple(block for block in blocks if block is not None)

    async def _batch(
        self, peer: PeerId, headers: CertifiedHeaders, first: int, span: tuple[int, int], blocks: list[Block | None]
    ) -> tuple[int, int] | None:
        """Ask one peer for some bodies; return what is still missing of the span, None if nothing."""
        at, end = span
        self._number += 1
        response = await self._ask(peer, BodiesRequest(self._number, first + at, end - at), BodiesResponse)
        if response is None:
            return span
        if not response.bodies:
            self.hint(peer, first + at - 1)
            return span
        for raw in response.bodies[: end - at]:
            try:
                blocks[at] = check_body(headers, at, raw, self._root)
            except PeerFault as fault:
                self._accuse(peer, fault)
                break
            at += 1
            await asyncio.sleep(0)
        return (at, end) if at < end else None

    # --- peers --------------------------------------------------------------------------------------------------------

    async def _choose(self, height: int) -> PeerId | None:
        """A peer that claims `height`, in turn; waits for one that rests. None if nobody claims it."""
        while True:
            peers = self._candidates(height)
            if peers:
                self._range_turn += 1
                return peers[self._range_turn % len(peers)]
            resting = [standing.rest_until for standing in self._standing.values() if standing.height >= height]
            if not resting:
                return None
            await asyncio.sleep(max(0.01, min(resting) - asyncio.get_running_loop().time()))

    def _candidates(self, height: int) -> list[PeerId]:
        now = asyncio.get_running_loop().time()
        return [peer for peer, at in self._standing.items() if at.height >= height and at.rest_until <= now]

    async def _ask(self, peer: PeerId, request: RangeRequest | BodiesRequest, kind: type[R]) -> R | None:
        """Send a request and wait for its answer; None when there is none in time."""
        future: asyncio.Future[SyncResponse | None] = asyncio.get_running_loop().create_future()
        self._waiting[peer, request.number] = future
        try:
            if not self._send(peer, encode_sync(request)):
                raise TimeoutError("not sent")
            async with asyncio.timeout(self._settings.deadline_s):
                response = await future
        except TimeoutError as error:
            self._rest(peer, str(error) or f"no answer in {self._settings.deadline_s:g} s")
            return None
        finally:
            del self._waiting[peer, request.number]
        if response is None:
            return None
        if not isinstance(response, kind):
            self._accuse(peer, PeerFault("an answer of another kind", code="BAD_SYNC", expected=kind.__name__))
            return None
        standing = self._standing.get(peer)
        if standing is not None:
            standing.rest_s = 0.0
        return response

    def _rest(self, peer: PeerId, why: str) -> None:
        """Leave a peer alone for a while; it must claim its height anew."""
        standing = self._standing.get(peer)
        if standing is not None:
            standing.rest_s = min(max(self._settings.rest_s, 2 * standing.rest_s), _MAX_REST_S)
            standing.rest_until = asyncio.get_running_loop().time() + standing.rest_s
            standing.height = 0
            _log.info("sync.peer_rests", peer=peer.hex()[:16], why=why, seconds=standing.rest_s)

    def _accuse(self, peer: PeerId, fault: PeerFault) -> None:
        self._standing.pop(peer, None)
        self._fault(peer, fault)


class Sync:
    """Both sides of SYNC on one channel: give it every payload that comes. `snapshots`: serves whole states."""

    def __init__(self, server: SyncServer, client: SyncClient, snapshots: SnapshotServer | None = None) -> None:
        self.server = server
        self.client = client
        self.snapshots = snapshots

    def on_frame(self, peer: PeerId, payload: bytes) -> None:
        """Decode and hand on. Raise `PeerFault`."""
        message = decode_sync(payload)
        if isinstance(message, SyncRequest):
            self.server.on_request(peer, message)
        elif isinstance(message, SnapshotRequest):
            if self.snapshots is not None:
                self.server.reply(peer, self.snapshots.answer(message))
        elif isinstance(message, SyncResponse):
            self.client.on_response(peer, message)  # answers for who begins come before a node has a chain
