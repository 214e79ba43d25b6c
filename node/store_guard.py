"""Two things that a node adds to its store: how far the log was durable at each commit, and no write on a full disk.

The log's position goes into every batch, so that a log that is shorter than the store remembers is noticed (consensus
A.6). LevelDB cannot go on after a failed write, so a write is refused *before* it is tried when the disk has less room
than `RESERVE_BYTES` (a quarter of a small disk): nothing moved then, and the same write may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.errors import InvariantBroken, StoreError
from ledger.schema import db_meta
from ledger.store import NO_LIMIT, Batch, Snapshot, Store
from node.disk import Disk, SystemDisk
from node.wal import WalPosition

RESERVE_BYTES: Final = 64 * 1024 * 1024
_LOG_ROW: Final = db_meta("log")


class DiskFull(StoreError):
    """The disk has hardly room left; nothing was written, and the write may be tried again."""

    code = "STORE_FULL"


class GuardedStore:
    """A `Store`; see the module. `path`: where to look for room, None for a store in memory."""

    def __init__(self, store: Store, path: Path | None, disk: Disk | None = None) -> None:
        self._store = store
        self._path = path
        self._disk = disk or SystemDisk()
        self.log_position: Callable[[], WalPosition] | None = None

    def synced_log(self) -> WalPosition | None:
        """How far the log was durable when the last batch was written."""
        raw = self._store.get(_LOG_ROW)
        return None if raw is None else WalPosition.decode(raw)

    def get(self, key: bytes) -> bytes | None:
        """See `Store`."""
        return self._store.get(key)

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """See `Store`."""
        return self._store.scan(prefix, after, limit, reverse)

    def write(self, batch: Batch, sync: bool) -> None:
        """See `Store`. Raise `DiskFull` before anything is written. A node writes nothing that a power cut may take."""
        if not sync:
            raise InvariantBroken("an unsynced write")
        self._check_room()
        if self.log_position is not None:
            batch.put(_LOG_ROW, self.log_position().encode())
        self._store.write(batch, sync)

    def snapshot(self) -> Snapshot:
        """See `Store`."""
        return self._store.snapshot()

    def approximate_size(self) -> int:
        """See `Store`."""
        return self._store.approximate_size()

    def close(self) -> None:
        """See `Store`."""
        self._store.close()

    def _check_room(self) -> None:
        if self._path is None:
            return
        free, size = self._disk.room(self._path)
        reserve = min(RESERVE_BYTES, size // 4)
        if free < reserve:
            raise DiskFull(
                f"the disk of {self._path} is full",
                expected=f"at least {reserve} bytes free",
                found=f"{free} bytes",
                fix="free disk space; the node goes on by itself and nothing committed is lost",
            )
