"""What this node serves to those who begin with the state at an epoch's end (`p2p.snapshot_server.SnapshotSource`)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ledger.boundaries import Boundary
from ledger.chain import ChainStore
from ledger.chain_snapshot import BoundaryState, stored_boundary
from ledger.errors import StoreError


class BoundarySource:
    """Reads the chain and its kept states. The newest state is sorted into sectors when somebody asks, beside the loop;
    until then it is not offered."""

    def __init__(self, chain: ChainStore) -> None:
        self._chain = chain
        self._sorting: dict[int, asyncio.Future[None]] = {}

    def boundary(self, epoch: int) -> Boundary | None:
        """See `SnapshotSource`."""
        chain = self._chain
        height = chain.boundary_of(epoch + 1)
        if height is None:
            for kept in chain.boundaries.heights():
                header = chain.header(kept)
                if header is not None and header.epoch == epoch:
                    height = kept
        return None if height is None or height == 0 else stored_boundary(chain, height)

    def states(self) -> tuple[int, ...]:
        """See `SnapshotSource`."""
        heights = self._chain.boundaries.heights()
        if heights:
            self._sorted(heights[-1])
        return tuple(height for height in heights if (state := self._chain.boundaries.at(height)) and state.index)

    def top(self, height: int) -> bytes | None:
        """See `SnapshotSource`."""
        state = self._chain.boundaries.at(height)
        return None if state is None else state.top()

    def sector(
        self, height: int, sector: int, skip: int, most_bytes: int
    ) -> tuple[list[tuple[bytes, bytes]], bool] | None:
        """See `SnapshotSource`."""
        state = self._sorted(height)
        return None if state is None else state.entries(sector, skip, most_bytes)

    def _sorted(self, height: int) -> BoundaryState | None:
        state = self._chain.boundaries.at(height)
        if state is None or state.index:
            return state
        running = self._sorting.get(height)
        if running is None:
            loop = asyncio.get_running_loop()
            self._sorting = {height: loop.run_in_executor(None, self._sort, state)}
        elif running.done():
            running.result()
        return None

    def _sort(self, state: BoundaryState) -> None:
        """On another thread: the store is not closed meanwhile, and a closed one is not read."""
        with suppress(StoreError), self._chain.guard():
            state.make_index()
