"""A database that loses at a kill what was not synced, for crash tests of real processes (`[dev] lose_unsynced`).

The page cache survives SIGKILL, so a killed process does not show what a power cut would take. Here batches written
without sync stay in this process, visible to every reader, until a synced write performs them and its own together.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from ledger.errors import StoreError
from ledger.store import NO_LIMIT, Batch, Snapshot, Store, StoreReader

_Rows = Mapping[bytes, bytes | None]


class UnsyncedLostStore:
    """A `Store` over another; see the module."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[bytes, bytes | None] = {}
        self._closed = False
        self._lock = Lock()

    def get(self, key: bytes) -> bytes | None:
        """See `Store`."""
        with self._lock:
            return _get(self._store, self._pending, key)

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """See `Store`."""
        with self._lock:
            return _scan(self._store, self._pending, prefix, (after, limit, reverse))

    def write(self, batch: Batch, sync: bool) -> None:
        """See `Store`. With `sync` all that was remembered is written too, in one batch."""
        with self._lock:
            if self._closed:
                raise StoreError(
                    "the database is closed",
                    code="STORE_CLOSED",
                    expected="an open one",
                    found="closed",
                    fix="start the node again",
                )
            pending = self._pending | dict(batch.rows)
            if not sync:
                self._pending = pending
                return
            whole = Batch()
            whole.extend(pending.items())
            self._store.write(whole, True)
            self._pending = {}

    def snapshot(self) -> Snapshot:
        """See `Store`."""
        with self._lock:
            return _Snapshot(self._store.snapshot(), self._pending)

    def approximate_size(self) -> int:
        """See `Store`."""
        return self._store.approximate_size()

    def close(self) -> None:
        """Forget what was not synced."""
        with self._lock:
            self._closed = True
            self._pending = {}
            self._store.close()


class _Snapshot:
    def __init__(self, base: Snapshot, pending: _Rows) -> None:
        self._base = base
        self._pending = pending  # a write replaces the store's rows and never changes these

    def get(self, key: bytes) -> bytes | None:
        return _get(self._base, self._pending, key)

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return _scan(self._base, self._pending, prefix, (after, limit, reverse))

    def close(self) -> None:
        self._base.close()


def _get(base: StoreReader, pending: _Rows, key: bytes) -> bytes | None:
    return pending[key] if key in pending else base.get(key)


def _scan(
    base: StoreReader, pending: _Rows, prefix: bytes, page: tuple[bytes | None, int, bool]
) -> list[tuple[bytes, bytes]]:
    """Rows of `base` with those of `pending` laid over; `page`: after, limit, reverse of `StoreReader.scan`."""
    after, limit, reverse = page
    limit = max(0, limit)
    over = {
        key: value
        for key, value in pending.items()
        if key.startswith(prefix) and (after is None or (key < after if reverse else key > after))
    }
    # each remembered row hides at most one row of the base
    rows: dict[bytes, bytes | None] = dict(base.scan(prefix, after, min(NO_LIMIT, limit + len(over)), reverse))
    rows |= over
    kept = [(key, value) for key, value in sorted(rows.items(), reverse=reverse) if value is not None]
    return kept[:limit]
