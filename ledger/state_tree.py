"""The bucket tree that authenticates state: shape, digests and the batched update.

Shape (design 5). The place of a key is SHA-256 of (domain, key), read as 64 hex digits. A prefix of at least two digits
is a *bucket* if at most 16 keys share it, else an *inner node* with 16 children. So the tree, and with it the root,
depends on the set of (key, value) only, never on the order of writes, and grinding keys into one bucket only makes it
split.

Digests. Record = place ‖ SHA-256(domain, value), 64 bytes. Bucket = H(domain, records in order of place). Inner node =
H(domain, 16 child digests). An empty subtree is 32 zero bytes at every depth.

Nodes are flat byte strings under their path (hex text): a bucket is its records; an inner node is its 512 bytes of
child digests and the number of keys below (8 bytes). In Python node visits are the cost, so there are no node objects,
and one block is one walk over the sorted places, each touched node visited once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from ledger.crypto import DOMAIN_STATE_BUCKET, DOMAIN_STATE_KEY, DOMAIN_STATE_NODE, DOMAIN_STATE_VALUE, Hash
from ledger.errors import InvariantBroken, StoreError

EMPTY = Hash(bytes(32))
RECORD_SIZE = 64
BUCKET_KEYS = 16
BUCKET_SIZE = BUCKET_KEYS * RECORD_SIZE
CHILDREN_SIZE = 16 * 32
INNER_SIZE = CHILDREN_SIZE + 8
SECTORS = 256
TOP_SIZE = SECTORS * 32
HEX = "0123456789abcdef"

_OFFSET = {digit: index * 32 for index, digit in enumerate(HEX)}
_FEW = 6

Nodes = dict[str, bytes | None]
"""Changed nodes by path; None is a node that is no more."""
Item = tuple[str, bytes, bytes | None, bytes]
"""(place as hex, place, value digest or None for a delete, key)."""

_sha256 = hashlib.sha256


@lru_cache(maxsize=1 << 16)
def place(key: bytes) -> bytes:
    """Where a key lies in the tree. The 65,536 keys used last are remembered (about 20 MB)."""
    return _sha256(DOMAIN_STATE_KEY + key).digest()


def value_digest(value: bytes) -> bytes:
    """What a record says of a value."""
    return _sha256(DOMAIN_STATE_VALUE + value).digest()


def bucket_digest(records: bytes) -> Hash:
    """Digest of a bucket's records; of none, `EMPTY`."""
    return Hash(_sha256(DOMAIN_STATE_BUCKET + records).digest()) if records else EMPTY


def node_digest(children: bytes) -> Hash:
    """Digest of 16 child digests (512 bytes); of an inner node without keys, `EMPTY`."""
    if children == _NO_CHILDREN:
        return EMPTY
    return Hash(_sha256(DOMAIN_STATE_NODE + children).digest())


_NO_CHILDREN = bytes(CHILDREN_SIZE)
EMPTY_TOP = bytes(TOP_SIZE)


def top_root(top: bytes) -> Hash:
    """The root over the 256 digests of the nodes of two hex digits, which are always there (8,192 bytes, in order)."""
    groups = (node_digest(top[start : start + CHILDREN_SIZE]) for start in range(0, TOP_SIZE, CHILDREN_SIZE))
    return node_digest(b"".join(groups))


class TreeUpdate:
    """One batched update: reads nodes through `layers` (newest first) and then `fetch`, collects what changes in
    `nodes`.

    `present` holds the written or deleted keys that were in the tree before, `same` those of them whose value stays.
    """

    __slots__ = ("_fetch", "_layers", "nodes", "present", "same")

    def __init__(self, layers: tuple[Mapping[str, bytes | None], ...], fetch: Callable[[str], bytes | None]) -> None:
        self._layers = layers
        self._fetch = fetch
        self.nodes: Nodes = {}
        self.present: set[bytes] = set()
        self.same: set[bytes] = set()

    def apply(self, path: str, digest: bytes, items: list[Item], start: int, end: int) -> bytes:
        """Apply `items[start:end]`, sorted and all below `path`, whose digest was `digest`; return the new digest."""
        return self._node(path, digest, items, start, end)[0]

    def _before(self, path: str) -> bytes:
        for layer in self._layers:
            if path in layer:
                found = layer[path]
                break
        else:
            found = self._fetch(path)
        if found is None:
            raise InvariantBroken(f"the state tree names a node at {path} that is not there")
        return found

    def _node(self, path: str, digest: bytes, items: list[Item], start: int, end: int) -> tuple[bytes, int]:
        """Digest after, and growth in keys. An unchanged node returns the very `digest` it was given."""
        if digest == EMPTY:
            return self._bucket(path, digest, b"", items[start:end])
        blob = self._before(path)
        if len(blob) == INNER_SIZE:
            return self._inner(path, digest, blob, items, start, end)
        return self._bucket(path, digest, blob, items[start:end])

    def _inner(
        self, path: str, digest: bytes, blob: bytes, items: list[Item], start: int, end: int
    ) -> tuple[bytes, int]:
        depth = len(path)
        children: bytearray | None = None
        grown = 0
        while start < end:
            digit = items[start][0][depth]
            stop = start + 1
            while stop < end and items[stop][0][depth] == digit:
                stop += 1
            offset = _OFFSET[digit]
            before = blob[offset : offset + 32]
            after, more = self._node(path + digit, before, items, start, stop)
            if after is not before:
                if children is None:
                    children = bytearray(blob)
                children[offset : offset + 32] = after
                grown += more
            start = stop
        if children is None:
            return digest, 0
        if grown:
            count = int.from_bytes(blob[CHILDREN_SIZE:], "big") + grown
            if count <= BUCKET_KEYS:
                return self._collapse(path, children), grown
            children[CHILDREN_SIZE:] = count.to_bytes(8, "big")
        self.nodes[path] = bytes(children)
        return _sha256(DOMAIN_STATE_NODE + children[:CHILDREN_SIZE]).digest(), grown

    def _bucket(self, path: str, digest: bytes, records: bytes, items: list[Item]) -> tuple[bytes, int]:
        before = records
        records = self._few(records, items) if len(items) <= _FEW else self._many(records, items)
        if records == before:
            return digest, 0
        grown = (len(records) - len(before)) // RECORD_SIZE
        if len(records) > BUCKET_SIZE:
            return self._split(path, records), grown
        if not records:
            self.nodes[path] = None
            return EMPTY, grown
        self.nodes[path] = records
        return _sha256(DOMAIN_STATE_BUCKET + records).digest(), grown

    def _few(self, records: bytes, items: list[Item]) -> bytes:
        for _, where, what, key in items:
            at = records.find(where)
            while at & 63 and at > 0:  # a value digest that happens to hold a place
                at = records.find(where, at + 1)
            if at >= 0:
                self.present.add(key)
                if what is None:
                    records = records[:at] + records[at + RECORD_SIZE :]
                elif records[at + 32 : at + RECORD_SIZE] == what:
                    self.same.add(key)
                else:
                    records = records[: at + 32] + what + records[at + RECORD_SIZE :]
            elif what is not None:
                at = 0
                size = len(records)
                while at < size and records[at : at + 32] < where:
                    at += RECORD_SIZE
                records = records[:at] + where + what + records[at:]
        return records

    def _many(self, records: bytes, items: list[Item]) -> bytes:
        known = {records[at : at + 32]: records[at + 32 : at + 64] for at in range(0, len(records), RECORD_SIZE)}
        for _, where, what, key in items:
            old = known.get(where)
            if old is not None:
                self.present.add(key)
            if what is None:
                known.pop(where, None)
            elif old == what:
                self.same.add(key)
            else:
                known[where] = what
        return b"".join([where + known[where] for where in sorted(known)])

    def _split(self, path: str, records: bytes) -> bytes:
        digest, _ = build(path, records, self.nodes)
        return digest

    def _collapse(self, path: str, children: bytearray) -> bytes:
        """Make an inner node that lost keys a bucket again; with at most 16 keys all its children are buckets."""
        parts: list[bytes] = []
        for index, digit in enumerate(HEX):
            child = path + digit
            if any(children[index * 32 : index * 32 + 32]):
                parts.append(self.nodes.get(child) or self._before(child))
                self.nodes[child] = None
        records = b"".join(parts)
        self.nodes[path] = records or None
        return bucket_digest(records)


def build(path: str, records: bytes, nodes: dict[str, bytes | None]) -> tuple[bytes, int]:
    """Lay out sorted `records`, all below `path`, into `nodes`; return digest and number of keys."""
    count = len(records) // RECORD_SIZE
    if count <= BUCKET_KEYS:
        if records:
            nodes[path] = records
        return bucket_digest(records), count
    byte, high = len(path) // 2, len(path) % 2 == 0
    parts: list[list[bytes]] = [[] for _ in HEX]
    for at in range(0, len(records), RECORD_SIZE):
        digit = records[at + byte] >> 4 if high else records[at + byte] & 15
        parts[digit].append(records[at : at + RECORD_SIZE])
    children = b"".join([build(path + HEX[digit], b"".join(part), nodes)[0] for digit, part in enumerate(parts)])
    nodes[path] = children + count.to_bytes(8, "big")
    return node_digest(children), count


def rebuild_sector(sector: str, buckets: Iterable[tuple[str, bytes]]) -> tuple[Hash, dict[str, bytes]]:
    """Compute the inner nodes above the stored buckets of one sector (paths that begin with its two digits).

    Returns the sector's digest and its inner nodes by path. Raises `StoreError` if the buckets overlap.
    """
    below: dict[str, dict[str, tuple[bytes, int]]] = {}
    leaves: set[str] = set()
    for path, records in buckets:
        leaves.add(path)
        entry = (bucket_digest(records), len(records) // RECORD_SIZE)
        if path == sector:
            below[""] = {sector: entry}
            continue
        below.setdefault(path[:-1], {})[path] = entry
        for depth in range(len(path) - 2, len(sector) - 1, -1):
            below.setdefault(path[:depth], {})
    inner: dict[str, bytes] = {}
    if not below:
        return EMPTY, inner
    for path in sorted(below, key=len, reverse=True):
        if path == "":
            continue
        if path in leaves:
            raise StoreError(
                "the state tree has a bucket above another", found=path, fix="restore or sync the database"
            )
        children = [below[path].get(path + digit, (EMPTY, 0)) for digit in HEX]
        joined = b"".join([digest for digest, _ in children])
        count = sum(number for _, number in children)
        inner[path] = joined + count.to_bytes(8, "big")
        below.setdefault(path[:-1] if path != sector else "", {})[path] = (node_digest(joined), count)
    return Hash(below[""][sector][0]), inner
