"""Catching up by certified headers, beside the engine: who was away commits what the others have made final.

Runs when a peer is more than `LEAD` blocks ahead; nearer than that the engine gets there by itself. Each segment is
certified before it is fetched, executed and compared by the application, and committed through the same queue as the
engine's own commits; the engine hears of it by `Committed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ledger.errors import DecodeError
from ledger.objects import Transaction, decode_transaction
from node.blocks import Blocks
from node.commit import SyncedBlock, SyncedBlocks
from node.log import Logger
from p2p.frames import PeerId
from p2p.sync import Segment, SyncClient
from p2p.sync_check import SyncPosition

LEAD: Final = 2
LOOK_S: Final = 0.5


class Catchup:
    """Follows the peers' chain while this node is behind. `position` is where the own chain stands. `lead`: how far
    behind it waits for the engine; 0 on a chain that no engine continues."""

    def __init__(
        self,
        client: SyncClient,
        blocks: Blocks,
        position: Callable[[], SyncPosition],
        log: Logger,
        lead: int = LEAD,
    ) -> None:
        self._client = client
        self._blocks = blocks
        self._position = position
        self._log = log
        self._lead = lead
        self._wake = asyncio.Event()
        self.running = False

    def behind(self, peer: bytes, height: int) -> None:
        """The engine says that a peer is ahead."""
        self._client.hint(PeerId(peer), height)
        self._wake.set()

    def alone(self) -> None:
        """The engine commits nothing more: fetch every block."""
        self._lead = 0
        self._wake.set()

    async def run(self) -> None:
        """Look, and catch up when it is worth it, until this life commits nothing more."""
        while not self._blocks.ended:
            woken = self._wake.is_set()
            self._wake.clear()
            behind = self._client.target() - self._position().height
            if behind > (0 if woken else self._lead):
                self._log.info("catching up", height=self._position().height, target=self._client.target())
                self.running = True
                await self._follow()
                self.running = False
                self._log.info("caught up", height=self._position().height)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _follow(self) -> None:
        async for segment in self._client.segments(self._position):
            blocks = await asyncio.to_thread(_decoded, segment)
            if not await self._blocks.commit_synced(blocks):
                return


def _decoded(segment: Segment) -> SyncedBlocks:
    """Decode the transactions of a segment. A quorum has judged them; a malformed one shows as a divergence."""
    blocks = []
    for block in segment.blocks:
        transactions: list[Transaction] = []
        try:
            transactions.extend(decode_transaction(raw) for raw in block.body.transactions)
        except DecodeError:
            transactions.clear()
        blocks.append(SyncedBlock(block.header, block.hash, tuple(transactions), block.body.extra))
    return SyncedBlocks(tuple(blocks), segment.finalization, segment.closing)
