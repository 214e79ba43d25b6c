"""What gridchain asks of a database, and the implementation that forgets. Import these names from `ledger.store`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Protocol

from ledger.errors import StoreError

NO_LIMIT = 1 << 62


class Batch:
    """Puts and deletes in order; for one key the last one counts."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        self.rows.append((key, value))

    def delete(self, key: bytes) -> None:
        """Remove a key; nothing happens if it is absent."""
        self.rows.append((key, None))

    def extend(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put, or delete where the value is None."""
        self.rows.extend(rows)

    def __len__(self) -> int:
        return len(self.rows)


class StoreReader(Protocol):
    """Reads. Keys are not empty."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` rows whose keys begin with `prefix`, ascending, after `after`; with `reverse` descending,
        before it.
        """


class Snapshot(StoreReader, Protocol):
    """The store as it was, for one thread at a time; close it, or old data is kept."""

    def close(self) -> None:
        """Let go of it. Repeated calls do nothing."""


class Store(StoreReader, Protocol):
    """A database. One writer; its reads are safe on any thread."""

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch whole or not at all; with `sync` it is on the disk on return. Releases the interpreter lock."""

    def snapshot(self) -> Snapshot:
        """A consistent view that later writes do not change."""

    def approximate_size(self) -> int:
        """Bytes on disk, roughly; what was written last may be missing."""

    def close(self) -> None:
        """Close. Repeated calls do nothing."""


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after all keys that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


class MemoryStore:
    """A store that forgets on close; for tests and simulations."""

    def __init__(self, rows: dict[bytes, bytes] | None = None) -> None:
        self.rows: dict[bytes, bytes] = dict(rows or {})
        self._sorted: list[bytes] = sorted(self.rows)
        self._stale = False
        self._closed = False

    def _check(self) -> None:
        if self._closed:
            raise StoreError("the database is closed", code="STORE_CLOSED")

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        self._check()
        return self.rows.get(key)

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Rows under `prefix`, see `StoreReader.scan`."""
        self._check()
        if self._stale:
            self._sorted = sorted(self.rows)
            self._stale = False
        keys, end = self._sorted, prefix_end(prefix)
        start = bisect_left(keys, prefix)
        stop = len(keys) if end is None else bisect_left(keys, end)
        if after is not None and reverse:
            stop = min(stop, bisect_left(keys, after))
        elif after is not None:
            start = max(start, bisect_right(keys, after))
        limit = max(0, limit)
        chosen = keys[start:stop][::-1][:limit] if reverse else keys[start : min(stop, start + limit)]
        return list(zip(chosen, map(self.rows.__getitem__, chosen), strict=True))

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch."""
        self._check()
        rows = self.rows
        for key, value in batch.rows:
            if value is not None:
                self._stale = self._stale or key not in rows
                rows[key] = value
            elif rows.pop(key, None) is not None:
                self._stale = True

    def snapshot(self) -> Snapshot:
        """A copy."""
        self._check()
        return MemoryStore(self.rows)

    def approximate_size(self) -> int:
        """Bytes of keys and values."""
        return sum(len(key) + len(value) for key, value in self.rows.items())

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True
