"""Authenticated state: the committed base, and overlays stacked on it.

`StateBase` is the state at the head, over a store. `Overlay` adds writes on a base or on another overlay: execution of
a block reads and writes one overlay; dropping it leaves base and store byte-identical. `seal` makes one batched update
of the bucket tree (`ledger.state_tree`) and yields the root; `delta` is what the commit writes.

One thread owns a base and all overlays on it (the ledger thread). Sealing is plain Python and holds the interpreter
lock, in turns of the switch interval; `seal_slices` is the same work as a generator of steps below 5 ms, for an owner
that must not be away for longer. Another thread makes its own
`StateBase`, over a snapshot of the store (`ledger.chain.ChainStore.view`).

Memory: inner nodes of the sectors touched so far stay in memory, at most about 30 bytes a key of state; buckets and
values are in caches bounded by `cache_bytes` each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import Any, NoReturn

from ledger.crypto import Hash
from ledger.errors import InvariantBroken
from ledger.state_base import (
    NO_LIMIT,
    UNSET,
    StateBase,
    StateDelta,
    StateReader,
    StateRows,
    Unset,
    decode_undo,
)
from ledger.state_proof import StateProof, build_state_proof, verify_state_proof
from ledger.state_tree import CHILDREN_SIZE, Item, Nodes, TreeUpdate, place, top_root, value_digest

__all__ = [
    "NO_LIMIT",
    "Overlay",
    "StateBase",
    "StateDelta",
    "StateProof",
    "StateReader",
    "StateRows",
    "decode_undo",
    "verify_state_proof",
]

_INSORT_AT_MOST = 24
_SLICE = 512
_LONGEST_LOOK = 1_024


class _Shown(dict[bytes, bytes | None]):
    """What an overlay shows of the keys that were written or read; any other key is read from below, once.

    A look-up of a known key runs no Python: execution reads state some ten times a transaction.
    """

    __slots__ = ("below",)

    def __init__(self, below: Callable[[bytes], bytes | None]) -> None:
        self.below = below

    def __missing__(self, key: bytes) -> bytes | None:
        below = self.below
        value = self[key] = below(key)
        return value


Journal = list[Any]
"""Written keys in order, each followed by what was shown before: `bytes`, `None` or `UNSET`. Flat, because a tuple for
each write is one more object for the garbage collector to look at."""


def _writer(shown: _Shown, journal: Journal) -> tuple[Callable[[bytes, bytes], None], Callable[[], None]]:
    """`Overlay.put`, and what ends it. A closure, because execution writes five times a transaction."""
    record, before = journal.extend, shown.get

    def put(key: bytes, value: bytes) -> None:
        record((key, before(key, UNSET)))
        shown[key] = value

    def stop() -> None:
        nonlocal record
        record = _sealed

    return put, stop


def _sealed(*_: object) -> NoReturn:
    raise InvariantBroken("a sealed overlay was written")


class Overlay:
    """Writes over a parent, copied on write. Unsealed it may be written; sealed it has a `root` and never changes.

    What is below must not change while an overlay on it is unsealed: it remembers what it read. `get(key)` gives the
    value of a key, None if it is absent; `put(key, value)` writes one.
    """

    __slots__ = (
        "_delta",
        "_index",
        "_indexed",
        "_journal",
        "_nodes",
        "_parent",
        "_parent_root",
        "_root",
        "_shown",
        "_stop",
        "_top",
        "get",
        "put",
    )

    def __init__(self, parent: Overlay | StateBase) -> None:
        self._parent = parent
        self._shown = _Shown(parent.get)
        self.get: Callable[[bytes], bytes | None] = self._shown.__getitem__
        self._journal: Journal = []
        self.put, self._stop = _writer(self._shown, self._journal)
        self._index: list[bytes] = []
        self._indexed = 0
        self._nodes: Nodes = {}
        self._top = b""
        self._root: Hash | None = None
        self._parent_root: Hash | None = parent.root if isinstance(parent, StateBase) else None
        self._delta: StateDelta | None = None

    # -- reading

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT) -> list[tuple[bytes, bytes]]:
        """Entries under `prefix` after `after`, ascending, own writes over the parent's.

        A page costs its own length: written keys are kept in order and merged page by page. Behind rows that were
        deleted here pages grow, so that the first row behind many of them is found in few looks.
        """
        own = self._range(prefix, after)
        if not own:
            return self._parent.scan(prefix, after, limit)
        found: list[tuple[bytes, bytes]] = []
        cursor, start, looked = after, 0, 0
        while len(found) < limit:
            looked = want = max(limit - len(found), min(4 * looked, _LONGEST_LOOK))
            page = self._parent.scan(prefix, cursor, want)
            last = page[-1][0] if len(page) == want else None
            stop = len(own) if last is None else bisect_right(own, last, start)
            found.extend(self._merge(page, own[start:stop]))
            if last is None:
                break
            cursor, start = last, stop
        return found[:limit]

    def _merge(self, page: list[tuple[bytes, bytes]], own: list[bytes]) -> list[tuple[bytes, bytes]]:
        if not own:
            return page
        merged = dict(page)
        for key in own:
            value = self._shown.get(key, UNSET)
            if value is None:
                merged.pop(key, None)
            elif not isinstance(value, Unset):
                merged[key] = value
        return sorted(merged.items())

    def _range(self, prefix: bytes, after: bytes | None) -> list[bytes]:
        """Own written keys under `prefix` after `after`, ascending; a key whose write was rolled back may be there."""
        self._sort()
        start = (
            bisect_left(self._index, prefix) if after is None or after < prefix else bisect_right(self._index, after)
        )
        stripped = prefix.rstrip(b"\xff")
        if not stripped:
            return self._index[start:]
        return self._index[start : bisect_left(self._index, stripped[:-1] + bytes((stripped[-1] + 1,)), start)]

    def _sort(self) -> None:
        index, journal = self._index, self._journal
        if self._indexed == len(journal):
            return
        new = journal[self._indexed :: 2]
        self._indexed = len(journal)
        if len(new) <= _INSORT_AT_MOST and len(index) > len(new):
            for key in new:
                at = bisect_left(index, key)
                if at == len(index) or index[at] != key:
                    index.insert(at, key)
        else:
            index.extend(new)
            index.sort()
            index[:] = dict.fromkeys(index)

    # -- writing

    def delete(self, key: bytes) -> None:
        """Remove a key; nothing happens if it is absent."""
        if self._root is not None:
            _sealed()
        self._journal.extend((key, self._shown.get(key, UNSET)))
        self._shown[key] = None

    def checkpoint(self) -> int:
        """A mark to roll back to: one per call frame."""
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Undo the writes since `mark`, which stays valid."""
        journal, shown = self._journal, self._shown
        while len(journal) > mark:
            before, key = journal.pop(), journal.pop()
            if isinstance(before, Unset):
                del shown[key]
            else:
                shown[key] = before
        self._indexed = min(self._indexed, len(journal))

    # -- sealing

    @property
    def root(self) -> Hash:
        """The state root after this overlay; it must be sealed."""
        if self._root is None:
            raise InvariantBroken("an overlay has no root before it is sealed")
        return self._root

    def seal(self) -> Hash:
        """Freeze, update the tree once for all writes, return the root. Repeated calls return the same."""
        for _ in self.seal_slices():
            pass
        return self.root

    def seal_slices(self) -> Generator[None]:
        """The work of `seal` in slices: keys to sort, 512 writes to hash, one of 256 sectors of the tree, 512 old
        values to read."""
        if self._root is not None:
            return
        layers, base = self._below()
        parent_top = self._parent._top if isinstance(self._parent, Overlay) else base.top
        self._parent_root = self._parent.root
        update = TreeUpdate(layers, base.node)
        self._sort()
        yield
        shown = self._shown
        written = {key: shown[key] for key in self._journal[::2]}
        items: list[Item] = []
        for part in _parts(written):
            for key, value in part:
                where = place(key)
                items.append((where.hex(), where, None if value is None else value_digest(value), key))
            yield
        items.sort()
        top = bytearray(parent_top)
        groups: set[int] = set()
        at = 0
        while at < len(items):
            sector = items[at][0][:2]
            end = at + 1
            while end < len(items) and items[end][0].startswith(sector):
                end += 1
            base.load(sector)
            offset = int(sector, 16) * 32
            before = bytes(top[offset : offset + 32])
            after = update.apply(sector, before, items, at, end)
            if after != before:
                top[offset : offset + 32] = after
                groups.add(offset // CHILDREN_SIZE)
            at = end
            yield
        yield from self._finish(written, update, bytes(top), tuple(sorted(groups)))

    def _finish(
        self, written: dict[bytes, bytes | None], update: TreeUpdate, top: bytes, groups: tuple[int, ...]
    ) -> Generator[None]:
        """Keep what changed. Old values are read only for keys that the tree knew: a new key costs no read."""
        self._nodes = update.nodes
        self._top = top
        root = top_root(top) if groups else self._parent.root
        present, same, before = update.present, update.same, self._parent.get
        writes: dict[bytes, bytes | None] = {}
        old: dict[bytes, bytes | None] = {}
        for part in _parts(written):
            for key, value in part:
                known = key in present
                if key in same or (value is None and not known):
                    continue
                writes[key] = value
                old[key] = before(key) if known else None
            yield
        self._delta = StateDelta(self._parent.root, root, writes, old, update.nodes, top, groups)
        self._root = root
        self._stop()
        self._journal.clear()
        self._indexed = 0

    def _below(self) -> tuple[tuple[Nodes, ...], StateBase]:
        """Tree nodes of the overlays below, newest first, and the base, which must still be what they were made on.

        An overlay whose parents were committed but that was not rebased is fine; one of an abandoned fork is not.
        """
        layers: list[Nodes] = []
        roots = [self._parent_root]
        layer: Overlay | StateBase = self._parent
        while isinstance(layer, Overlay):
            if layer._root is None:
                raise InvariantBroken("an overlay is sealed before its parent")
            layers.append(layer._nodes)
            roots += (layer._root, layer._parent_root)
            layer = layer._parent
        if layer.root not in roots and layer.root != self._root:
            raise InvariantBroken("an overlay of an abandoned fork was sealed or read for a proof")
        return tuple(layers), layer

    def delta(self) -> StateDelta:
        """What this sealed overlay changes relative to its parent."""
        if self._delta is None:
            raise InvariantBroken("an overlay has no delta before it is sealed")
        return self._delta

    def prove(self, key: bytes) -> StateProof:
        """Proof of `key` under `root`; the overlay must be sealed."""
        root = self.root
        layers, base = self._below()
        base.load(place(key).hex()[:2])

        def node(path: str) -> bytes | None:
            for layer in (self._nodes, *layers):
                if path in layer:
                    return layer[path]
            return base.node(path)

        if top_root(self._top) != root:
            raise InvariantBroken("the top of a sealed overlay does not give its root")
        return build_state_proof(self._top, node, key)

    def rebase(self, base: StateBase) -> None:
        """The parent was committed and absorbed: read from `base`, so that the parent's memory is freed."""
        expected = self._parent_root if self._parent_root is not None else self._parent.root
        if base.root != expected:
            raise InvariantBroken("an overlay is rebased onto another state than its parent's")
        self._parent = base
        self._shown.below = base.get
        self._parent_root = base.root


def _parts(writes: dict[bytes, bytes | None]) -> Iterator[list[tuple[bytes, bytes | None]]]:
    entries = iter(writes.items())
    while part := list(islice(entries, _SLICE)):
        yield part
