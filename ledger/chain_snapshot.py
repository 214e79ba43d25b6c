"""State at the end of an epoch, taken out of one chain and put into another.

`BoundaryStates` keeps views of the store as it was at the last two boundaries, to be read by whoever serves others.
`SnapshotWriter` lays the rows of such a state into an empty store, sector by sector (1/256 of the tree); a sector is
held against the top of the tree, and the top against the `state_root` of a final header, before anything is written.
Only `finish` makes the store a chain: until then a node that opens it finds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.boundaries import Boundary, KnownBoundary
from ledger.chain_reader import ChainReader, Finality
from ledger.codec import encode
from ledger.crypto import Hash
from ledger.errors import ProofError
from ledger.schema import (
    DB_BODY,
    DB_EPOCH,
    DB_FINAL_BY,
    DB_FINALITY,
    DB_HEADER,
    DB_HEIGHT_OF,
    DB_RECEIPTS,
    DB_STATE,
    DB_TREE_TOP,
    DB_VALIDATORS,
    db_bucket,
    db_height,
    db_meta,
    u32,
    u64,
)
from ledger.state_base import read_top
from ledger.state_sectors import Entry, Sector
from ledger.state_tree import CHILDREN_SIZE, INNER_SIZE, SECTORS, TOP_SIZE, place
from ledger.store_protocol import Batch, Snapshot, Store, StoreReader

_TARGET = db_meta("sync-target")
_PAGE = 512
KEPT = 2


@dataclass(slots=True)
class BoundaryState:
    """The store as it was when a boundary block was its head. `index`: keys by sector, once somebody has asked."""

    height: int
    hash: Hash
    rows: Snapshot
    index: list[list[bytes]] = field(default_factory=list)

    def top(self) -> bytes:
        """The 256 digests below the state root."""
        return read_top(self.rows)

    def make_index(self) -> None:
        """Sort all keys into sectors: about 2 us a key, and some 100 bytes of memory. Any thread."""
        index: list[list[bytes]] = [[] for _ in range(SECTORS)]
        after: bytes | None = None
        while page := self.rows.scan(DB_STATE, after, _PAGE):
            for key, _ in page:
                index[place(key[1:])[0]].append(key[1:])
            after = page[-1][0]
        self.index = index

    def entries(self, sector: int, skip: int, most_bytes: int) -> tuple[list[Entry], bool]:
        """Entries of a sector after the first `skip`, of `most_bytes` about, and whether there are more."""
        found: list[Entry] = []
        size = 0
        keys = self.index[sector]
        for key in keys[skip:]:
            value = self.rows.get(DB_STATE + key) or b""
            if found and size + len(key) + len(value) > most_bytes:
                break
            found.append((key, value))
            size += len(key) + len(value)
        return found, skip + len(found) < len(keys)


class BoundaryStates:
    """The states of the last boundaries that this life has seen, newest last."""

    def __init__(self) -> None:
        self._kept: tuple[BoundaryState, ...] = ()
        self._leaving: tuple[BoundaryState, ...] = ()

    def keep(self, store: Store, height: int, block_hash: Hash) -> None:
        """The head is a boundary block: keep this view. On the thread that writes. What leaves is closed only when the
        next leaves: another thread may be reading it."""
        kept = (*self._kept, BoundaryState(height, block_hash, store.snapshot()))
        gone, self._leaving, self._kept = self._leaving, kept[:-KEPT], kept[-KEPT:]
        for state in gone:
            state.rows.close()

    def heights(self) -> tuple[int, ...]:
        """What can be served, ascending."""
        return tuple(state.height for state in self._kept)

    def at(self, height: int) -> BoundaryState | None:
        """The state after a boundary block, if it is kept."""
        return next((state for state in self._kept if state.height == height), None)

    def close(self) -> None:
        """Let go of all."""
        for state in (*self._leaving, *self._kept):
            state.rows.close()
        self._leaving, self._kept = (), ()


def stored_boundary(chain: ChainReader, height: int) -> Boundary | None:
    """A boundary block of a chain with its proof; None if it is not there, or is none."""
    raw, header, finality = chain.header_bytes(height), chain.header(height), chain.finality(height)
    if raw is None or header is None or finality is None:
        return None
    committee = chain.validators(header.next_validators)
    return None if committee is None else Boundary(raw, finality.closing, finality.certificate, committee.validators)


class SnapshotWriter:
    """Fills an empty store with the state after `target`; goes on where an earlier attempt at it was torn."""

    def __init__(self, store: Store, target: KnownBoundary) -> None:
        self._store = store
        self._target = target
        if store.get(_TARGET) != target.hash:
            batch = Batch()
            batch.put(_TARGET, target.hash)
            store.write(batch, sync=True)

    @staticmethod
    def target_of(rows: StoreReader) -> bytes | None:
        """The boundary block that an unfinished store is being filled for; None if there is none."""
        return rows.get(_TARGET)

    def missing(self) -> list[int]:
        """Sectors that are still to come."""
        return [number for number in range(SECTORS) if self._store.get(_done(number)) is None]

    def put(self, sectors: Sequence[Sector]) -> None:
        """Write checked sectors, in one synced batch."""
        batch = Batch()
        for sector in sectors:
            for key, value in sector.entries:
                batch.put(DB_STATE + key, value)
            for path, blob in sector.nodes.items():
                if blob is not None and len(blob) != INNER_SIZE:
                    batch.put(db_bucket(path), blob)
            batch.put(_done(sector.number), b"")
        self._store.write(batch, sync=True)

    def finish(self, genesis: StoreReader, boundaries: Sequence[KnownBoundary], top: bytes) -> None:
        """Make it a chain whose head is the target: block 0 as `genesis` has it, the boundaries, nothing between.

        `genesis`: a chain of height 0. `boundaries`: of all epochs up to the target's.
        """
        batch = Batch()
        for name in ("format", "genesis"):
            batch.put(db_meta(name), genesis.get(db_meta(name)) or b"")
        _copy_block_zero(genesis, batch)
        for boundary in boundaries:
            _put_boundary(batch, boundary)
            if boundary is not boundaries[-1]:
                batch.put(DB_EPOCH + u64(boundary.header.epoch + 1), u64(boundary.header.height))
        for group in range(TOP_SIZE // CHILDREN_SIZE):
            children = top[group * CHILDREN_SIZE : (group + 1) * CHILDREN_SIZE]
            if any(children):
                batch.put(DB_TREE_TOP + bytes((group,)), children)
        height = u64(self._target.header.height)
        batch.put(db_meta("snapshot"), height)
        batch.put(db_meta("head"), height + self._target.hash)
        batch.delete(_TARGET)
        for number in range(SECTORS):
            batch.delete(_done(number))
        self._store.write(batch, sync=True)


def _done(number: int) -> bytes:
    return db_meta(f"sync-sector-{number:02x}")


def _copy_block_zero(genesis: StoreReader, batch: Batch) -> None:
    chain = ChainReader(genesis)
    for prefix in (DB_HEADER, DB_BODY, DB_FINAL_BY, DB_RECEIPTS, DB_HEIGHT_OF, DB_VALIDATORS):
        batch.extend(genesis.scan(prefix))
    if chain.header_bytes(0) is None:
        raise ProofError("no block 0 to begin with")


def _put_boundary(batch: Batch, boundary: KnownBoundary) -> None:
    header, raw = boundary.header, boundary.raw
    height = u64(header.height)
    batch.put(DB_HEADER + height, raw.header)
    batch.put(DB_HEIGHT_OF + boundary.hash, height)
    batch.put(DB_FINAL_BY + height, height + u32(0) + u32(0))
    batch.put(db_height(DB_FINALITY, header.height), encode(Finality(raw.finalization, raw.closing)))
    batch.put(DB_VALIDATORS + boundary.committee.hash, encode(boundary.committee.validators))
