"""The committed side of authenticated state: what a block changes, and the base at the head.

Import these names from `ledger.state`, which says how they are used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

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

    def get(self, key: bytes, /) -> bytes | None:
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


K = TypeVar("K", str, bytes)


class _Cache(Generic[K]):
    """Values by key, oldest forgotten first when their size passes `limit` bytes. `held` is there to be read."""

    __slots__ = ("_limit", "_size", "held")

    def __init__(self, limit: int) -> None:
        self.held: dict[K, bytes | None] = {}
        self._limit = limit
        self._size = 0

    def keep(self, key: K, value: bytes | None) -> None:
        """Remember; a key written again counts as new."""
        self.keep_all(((key, value),))

    def keep_all(self, entries: Iterable[tuple[K, bytes | None]]) -> None:
        """Remember all."""
        held, size = self.held, self._size
        for key, value in entries:
            if key in held:
                size -= _cost(key, held.pop(key))
            held[key] = value
            size += _ENTRY_OVERHEAD + len(key) + (len(value) if value is not None else 0)
        while size > self._limit and held:
            for oldest in list(islice(held, len(held) // 8 + 1)):
                size -= _cost(oldest, held.pop(oldest))
        self._size = size


def _cost(key: str | bytes, value: bytes | None) -> int:
    return _ENTRY_OVERHEAD + len(key) + (len(value) if value is not None else 0)


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

    def rows(self) -> list[tuple[bytes, bytes | None]]:
        """Database rows to put (or to delete, if None) in the batch that commits the block."""
        rows = [(DB_STATE + key, value) for key, value in self.writes.items()]
        rows += [
            (DB_BUCKET + path.encode(), None if blob is None or len(blob) == INNER_SIZE else blob)
            for path, blob in self.nodes.items()
        ]
        for group in self.groups:
            children = self.top[group * CHILDREN_SIZE : (group + 1) * CHILDREN_SIZE]
            rows.append((DB_TREE_TOP + bytes((group,)), children))
        return rows

    def undo(self) -> bytes:
        """The values before, for the undo row."""
        return encode(list(self.old.items()))


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
        self._values: _Cache[bytes] = _Cache(cache_bytes)
        self._buckets: _Cache[str] = _Cache(cache_bytes)
        self._inner: dict[str, bytes] = {}
        self._loaded: set[str] = set()
        self.top = read_top(rows)
        self.root = top_root(self.top)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        found = self._values.held.get(key, UNSET)
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
        if blob is not None:
            return blob
        found = self._buckets.held.get(path, UNSET)
        if isinstance(found, Unset):
            found = self._rows.get(db_bucket(path))
            self._buckets.keep(path, found)
        return found

    def load(self, sector: str) -> None:
        """Have the inner nodes of a sector in memory: the first touch reads its buckets, 1/256 of all."""
        if sector in self._loaded:
            return
        inner, buckets = load_sector(self._rows, self.top, sector)
        self._inner.update(inner)
        self._buckets.keep_all(buckets)
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
        inner = self._inner
        for path, blob in delta.nodes.items():
            if blob is not None and len(blob) == INNER_SIZE:
                inner[path] = blob
            else:
                inner.pop(path, None)
        self._buckets.keep_all(
            (path, blob if blob is None or len(blob) != INNER_SIZE else None) for path, blob in delta.nodes.items()
        )
        self._values.keep_all(delta.writes.items())
        self.top = delta.top
        self.root = delta.root
