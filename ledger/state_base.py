"""The committed side of authenticated state: what a block changes, the base at the head, snapshots for readers.

Import these names from `ledger.state`, which says how they are used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from ledger.codec import MAX_OBJECT_BYTES, decode, encode
from ledger.crypto import Hash
from ledger.errors import InvariantBroken, StoreError
from ledger.schema import DB_BUCKET, DB_STATE, DB_TREE_TOP, db_bucket
from ledger.state_proof import StateProof, build_state_proof
from ledger.state_tree import (
    CHILDREN_SIZE,
    INNER_SIZE,
    TOP_SIZE,
    Nodes,
    place,
    rebuild_sector,
    top_root,
)

NO_LIMIT = 1 << 62
DEFAULT_CACHE_BYTES = 64 * 1024 * 1024
MAX_UNDO_BYTES = 64 * MAX_OBJECT_BYTES
_ENTRY_OVERHEAD = 200


class Unset:
    """Marks a key that a layer says nothing of; None says that the key is absent."""


UNSET = Unset()


class StateReader(Protocol):
    """Read access to state."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT) -> list[tuple[bytes, bytes]]:
        """At most `limit` entries whose keys begin with `prefix` and come after `after`, ascending."""


class StateRows(Protocol):
    """The narrow store that state needs: point reads and ordered scans over database keys."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a database key."""

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` rows whose keys begin with `prefix` and come after `after` (before it, if `reverse`)."""


class _Cache(dict[bytes, bytes | None]):
    """Values by key, oldest forgotten first when their size passes `limit` bytes."""

    __slots__ = ("limit", "size")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.size = 0

    def keep(self, key: bytes, value: bytes | None) -> None:
        """Remember; a key written again counts as new."""
        old = self.pop(key, UNSET)
        if not isinstance(old, Unset):
            self.size -= _ENTRY_OVERHEAD + len(key) + (len(old) if old is not None else 0)
        self[key] = value
        self.size += _ENTRY_OVERHEAD + len(key) + (len(value) if value is not None else 0)
        if self.size > self.limit:
            for oldest in list(islice(self, len(self) // 8 + 1)):
                self.forget(oldest)

    def forget(self, key: bytes) -> None:
        """Drop a key if it is there."""
        if key in self:
            value = self.pop(key)
            self.size -= _ENTRY_OVERHEAD + len(key) + (len(value) if value is not None else 0)


@dataclass(frozen=True, slots=True)
class StateDelta:
    """What one sealed overlay changes, relative to its parent. Keys whose value stays are left out.

    `writes` and `old`: key -> value after and before, None for absent; `nodes`: changed tree nodes by path; `top`:
    digests of all nodes of two digits after it; `groups`: which of their 16 rows changed.
    """

    parent_root: Hash
    root: Hash
    writes: dict[bytes, bytes | None]
    old: dict[bytes, bytes | None]
    nodes: Nodes
    top: bytes
    groups: tuple[int, ...]

    def rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Database rows to put (or to delete, if None) in the batch that commits the block."""
        for key, value in self.writes.items():
            yield DB_STATE + key, value
        for path, blob in self.nodes.items():
            if blob is None or len(blob) == INNER_SIZE:
                yield DB_BUCKET + path.encode("ascii"), None
            else:
                yield DB_BUCKET + path.encode("ascii"), blob
        for group in self.groups:
            yield DB_TREE_TOP + bytes((group,)), self.top[group * CHILDREN_SIZE : (group + 1) * CHILDREN_SIZE]

    def undo(self) -> bytes:
        """The values before, sorted by key, for the undo row."""
        return encode(sorted(self.old.items()))


def decode_undo(raw: bytes) -> list[tuple[bytes, bytes | None]]:
    """The (key, value before) pairs of an undo row."""
    return decode(list[tuple[bytes, bytes | None]], raw, limit=MAX_UNDO_BYTES)


def read_top(rows: StateRows) -> bytes:
    """The digests of all nodes of two digits as stored; zeros for an empty state."""
    top = bytearray(TOP_SIZE)
    for key, children in rows.scan(DB_TREE_TOP):
        start = key[1] * CHILDREN_SIZE
        if len(key) != 2 or key[1] > 15 or len(children) != CHILDREN_SIZE:
            raise StoreError("a top row of the state tree is damaged", found=key.hex(), fix=_REPAIR)
        top[start : start + CHILDREN_SIZE] = children
    return bytes(top)


_REPAIR = "the database is damaged: restore a backup, or remove it and sync again"


def load_sector(rows: StateRows, top: bytes, sector: str) -> tuple[dict[str, bytes], list[tuple[str, bytes]]]:
    """Read a sector: (inner nodes by path, buckets). Raise `StoreError` if `top` says otherwise."""
    found = [(key[1:].decode("ascii"), records) for key, records in rows.scan(db_bucket(sector))]
    digest, inner = rebuild_sector(sector, found)
    index = int(sector, 16)
    expected = top[index * 32 : index * 32 + 32]
    if digest != expected:
        raise StoreError(
            f"the buckets under {sector} do not give the stored digest",
            expected=expected.hex(),
            found=digest.hex(),
            fix=_REPAIR,
        )
    return inner, found


class StateBase:
    """The committed state at the head. `root` and `top` move only by `absorb`, after the batch of the commit is
    durable.
    """

    __slots__ = ("_buckets", "_inner", "_loaded", "_rows", "_values", "root", "top")

    def __init__(self, rows: StateRows, *, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._rows = rows
        self._values = _Cache(cache_bytes)
        self._buckets = _Cache(cache_bytes)
        self._inner: dict[str, bytes] = {}
        self._loaded: set[str] = set()
        self.top = read_top(rows)
        self.root = top_root(self.top)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        found = self._values.get(key, UNSET)
        if isinstance(found, Unset):
            found = self._rows.get(DB_STATE + key)
            self._values.keep(key, found)
        return found

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT) -> list[tuple[bytes, bytes]]:
        """Entries under `prefix` after `after`, ascending; about 1 us an entry and 10 us to begin."""
        start = None if after is None else DB_STATE + after
        return [(key[1:], value) for key, value in self._rows.scan(DB_STATE + prefix, start, limit)]

    def prove(self, key: bytes) -> StateProof:
        """Proof of the value of `key`, or of its absence, under `root`."""
        self.load(place(key).hex()[:2])
        return build_state_proof(self.top, self.node, key)

    def node(self, path: str) -> bytes | None:
        """The bucket or inner node at `path`; its sector must be loaded."""
        blob = self._inner.get(path)
        if blob is None:
            raw = path.encode("ascii")
            found = self._buckets.get(raw, UNSET)
            if not isinstance(found, Unset):
                return found
            blob = self._rows.get(DB_BUCKET + raw)
            self._buckets.keep(raw, blob)
        return blob

    def load(self, sector: str) -> None:
        """Have the inner nodes of a sector in memory: the first touch reads its buckets, 1/256 of all."""
        if sector in self._loaded:
            return
        inner, buckets = load_sector(self._rows, self.top, sector)
        self._inner.update(inner)
        for path, records in buckets:
            self._buckets.keep(path.encode("ascii"), records)
        self._loaded.add(sector)

    def load_all(self) -> Generator[None]:
        """Load every sector, one a step: optional at start, so that no block pays for it. Checks all digests."""
        for sector in range(256):
            self.load(f"{sector:02x}")
            yield

    def absorb(self, delta: StateDelta) -> None:
        """Move to the state after `delta`, which the store holds by now."""
        if delta.parent_root != self.root:
            raise InvariantBroken("a delta is absorbed on another state than it was made on")
        inner, buckets, keep_value = self._inner, self._buckets, self._values.keep
        for path, blob in delta.nodes.items():
            raw = path.encode("ascii")
            if blob is not None and len(blob) == INNER_SIZE:
                inner[path] = blob
                buckets.forget(raw)
            else:
                inner.pop(path, None)
                buckets.keep(raw, blob)
        for key, value in delta.writes.items():
            keep_value(key, value)
        self.top = delta.top
        self.root = delta.root


class StateSnapshot:
    """State at one height over a snapshot of the store: for other threads, beside the ledger thread. Caches nothing."""

    __slots__ = ("_rows", "root", "top")

    def __init__(self, rows: StateRows) -> None:
        self._rows = rows
        self.top = read_top(rows)
        self.root = top_root(self.top)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        return self._rows.get(DB_STATE + key)

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT) -> list[tuple[bytes, bytes]]:
        """Entries under `prefix` after `after`, ascending."""
        start = None if after is None else DB_STATE + after
        return [(key[1:], value) for key, value in self._rows.scan(DB_STATE + prefix, start, limit)]

    def prove(self, key: bytes) -> StateProof:
        """Proof of `key` under `root`; reads 1/256 of all buckets."""
        inner, buckets = load_sector(self._rows, self.top, place(key).hex()[:2])
        return build_state_proof(self.top, {**inner, **dict(buckets)}.get, key)
