"""Fetches the state at the end of an epoch from peers that are not believed (consensus A.7).

    target = await client.newest(known, is_boundary)      # follow the boundaries, find a state that somebody has
    async for sector in client.sectors(...): ...          # each held against the state root before it is given out

Boundaries are followed from genesis on, each under the committee that the one before names, none skipped; so everything
that decides who votes and leads comes from final headers and from state under their roots, never from a peer's word.
A peer that lies is reported (`fault`) and asked no more; one that is silent or has nothing is asked again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from ledger.boundaries import KnownBoundary, Trust, check_boundary, check_trust
from ledger.errors import DecodeError, GridchainError, PeerFault, ProofError
from ledger.objects import Header
from ledger.state_sectors import Entry, Sector, check_sector, check_top
from ledger.validators import ValidatorSet
from p2p.frames import PeerId
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
from p2p.sync_messages import encode_sync

MAX_SECTOR_BYTES: Final = 64 * 1024 * 1024

R = TypeVar("R", BoundariesResponse, StatesResponse, TopResponse, SectorResponse)


class SnapshotClient:
    """`send` queues a payload on SYNC; `fault` reports a peer that lies."""

    def __init__(
        self,
        chain_id: str,
        send: Callable[[PeerId, bytes], bool],
        fault: Callable[[PeerId, PeerFault], None],
        deadline_s: float = 5.0,
    ) -> None:
        self._chain_id = chain_id
        self._send = send
        self._fault = fault
        self._deadline_s = deadline_s
        self._peers: dict[PeerId, None] = {}
        self._liars: set[PeerId] = set()
        self._waiting: dict[tuple[PeerId, int], asyncio.Future[SnapshotResponse | None]] = {}
        self._number = 0
        self._turn = 0
        self.answered = 0

    # --- what comes in ------------------------------------------------------------------------------------------------

    def peer_up(self, peer: PeerId) -> None:
        """A peer is there."""
        if peer not in self._liars:
            self._peers[peer] = None

    def peer_down(self, peer: PeerId) -> None:
        """A peer is gone: stop waiting for it."""
        self._peers.pop(peer, None)
        for (asked, _), future in list(self._waiting.items()):
            if asked == peer and not future.done():
                future.set_result(None)

    def on_response(self, peer: PeerId, response: SnapshotResponse) -> None:
        """Take an answer; one that nobody waits for is ignored."""
        future = self._waiting.get((peer, response.number))
        if future is not None and not future.done():
            future.set_result(response)

    # --- boundaries ---------------------------------------------------------------------------------------------------

    async def boundaries(
        self, voters: ValidatorSet, is_boundary: Callable[[Header], bool], trust: Trust | None = None
    ) -> list[KnownBoundary]:
        """All boundaries that present peers can prove, from epoch 1 on; `voters` vote in it. `answered`: how many peers
        have said anything."""
        chain: list[KnownBoundary] = []
        answered: set[PeerId] = set()
        for peer in list(self._peers):
            while peer in self._peers:
                request = BoundariesRequest(self._next(), len(chain) + 1)
                response = await self._ask(peer, request, BoundariesResponse)
                if response is not None:
                    answered.add(peer)
                if response is None or not response.boundaries:
                    break
                for raw in response.boundaries:
                    before = chain[-1].committee if chain else voters
                    try:
                        known = check_boundary(raw, len(chain) + 1, self._chain_id, before, is_boundary)
                        _follows(chain, known)
                        if trust is not None:
                            check_trust(trust, known)
                    except (ProofError, DecodeError) as error:
                        self._accuse(peer, error)
                        break
                    chain.append(known)
        self.answered = len(answered)
        return chain

    async def offers(self) -> dict[int, list[PeerId]]:
        """Who says to have which state, by height."""
        found: dict[int, list[PeerId]] = {}
        for peer in list(self._peers):
            response = await self._ask(peer, StatesRequest(self._next()), StatesResponse)
            for height in response.heights if response is not None else ():
                found.setdefault(height, []).append(peer)
        return found

    # --- state --------------------------------------------------------------------------------------------------------

    async def top(self, target: KnownBoundary, peers: Sequence[PeerId]) -> bytes | None:
        """The digests below the state root of a boundary; None if none of these peers has them."""
        for peer in [peer for peer in peers if peer in self._peers]:
            response = await self._ask(peer, TopRequest(self._next(), target.header.height), TopResponse)
            if response is None or not response.top:
                continue
            try:
                check_top(response.top, target.header.state_root)
            except ProofError as error:
                self._accuse(peer, error)
                continue
            return response.top
        return None

    async def sectors(
        self, target: KnownBoundary, top: bytes, numbers: Sequence[int], peers: Sequence[PeerId]
    ) -> AsyncIterator[Sector]:
        """Yield these sectors, checked, each from the peer whose turn it is; fewer when no peer has them any more."""
        left = [peer for peer in peers if peer in self._peers]
        for number in numbers:
            while True:
                left = [peer for peer in left if peer in self._peers]
                if not left:
                    return
                self._turn += 1
                peer = left[self._turn % len(left)]
                entries = await self._entries(peer, target.header.height, number)
                if entries is None:
                    left.remove(peer)
                    continue
                try:
                    sector = check_sector(number, entries, top)
                except ProofError as error:
                    self._accuse(peer, error)
                    continue
                yield sector
                break

    async def _entries(self, peer: PeerId, height: int, number: int) -> list[Entry] | None:
        """What a peer says is in a sector; None if it does not answer, or has it no more."""
        entries: list[Entry] = []
        size = 0
        while True:
            request = SectorRequest(self._next(), height, number, len(entries))
            response = await self._ask(peer, request, SectorResponse)
            if response is None or not response.held:
                return None
            entries.extend((entry.key, entry.value) for entry in response.entries)
            size += sum(len(entry.key) + len(entry.value) for entry in response.entries)
            if not response.more:
                return entries
            if not response.entries or size > MAX_SECTOR_BYTES:
                self._accuse(peer, ProofError("a sector without end", found=f"sector {number:02x}, {size} bytes"))
                return None

    # --- peers --------------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _ask(self, peer: PeerId, request: SnapshotRequest, kind: type[R]) -> R | None:
        future: asyncio.Future[SnapshotResponse | None] = asyncio.get_running_loop().create_future()
        self._waiting[peer, request.number] = future
        try:
            if not self._send(peer, encode_sync(request)):
                return None
            async with asyncio.timeout(self._deadline_s):
                response = await future
        except TimeoutError:
            return None
        finally:
            del self._waiting[peer, request.number]
        if response is not None and not isinstance(response, kind):
            self._accuse(peer, ProofError("an answer of another kind", expected=kind.__name__))
            return None
        return response

    def _accuse(self, peer: PeerId, error: GridchainError) -> None:
        self._peers.pop(peer, None)
        self._liars.add(peer)
        fix = "the peer lies or is damaged"
        self._fault(
            peer, PeerFault(error.message, code="BAD_SYNC", expected=error.expected, found=error.found, fix=fix)
        )


def _follows(chain: Sequence[KnownBoundary], known: KnownBoundary) -> None:
    """Raise `ProofError` unless a boundary is higher and later than the one before."""
    if chain and (known.header.height, known.header.time_ms) <= (chain[-1].header.height, chain[-1].header.time_ms):
        raise ProofError("a boundary that is not above the one before", found=known.header.height)
