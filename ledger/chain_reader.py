"""Reading the chain on disk: blocks, receipts, indexes, finality, and state of the last 256 heights,
or of as many as a chain has kept old values for.

Everything here reads rows of a store or of a snapshot of one, keeps nothing, and is safe on any thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.certificates import Certificate
from ledger.codec import Wire, decode
from ledger.crypto import Hash
from ledger.errors import StoreError
from ledger.objects import Block, Body, Header, Receipt, decode_header, header_hash
from ledger.schema import (
    DB_ACCOUNT,
    DB_BODY,
    DB_EPOCH,
    DB_FINAL_BY,
    DB_FINALITY,
    DB_FIRST_STATE,
    DB_HEADER,
    DB_HEIGHT_OF,
    DB_OWN_ROOT,
    DB_RECEIPTS,
    DB_TRANSACTION,
    DB_UNDO,
    DB_VALIDATORS,
    db_account,
    db_height,
    db_meta,
    db_receipts,
    u64,
)
from ledger.state import Overlay, StateBase, StateProof, decode_undo
from ledger.store import StoreReader
from ledger.validators import Validator, ValidatorSet

UNDO_BLOCKS = 256
UNDO_MOST = 65_536
"""Undo rows that a chain keeps at most whose older states may still be asked for: with a block a second those of 18
hours. A row is about as large as what its block writes of state, so all of them are less than the blocks themselves."""
RECEIPT_CHUNK = 64
MAX_BLOCK_BYTES = 64 * 1024 * 1024
REPAIR = "the database is damaged: restore a backup, or remove it and sync again"


class Finality(Wire, frozen=True):
    """Why a block is final: a finalization of it, or of the last of the `closing` headers built on it."""

    certificate: Certificate
    closing: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """What the chain says of a block beside its bytes."""

    final_by: int
    transactions: int
    receipts: int


class PastState:
    """State after a former block, by the undo rows above it. A `StateReader` with root and proofs."""

    def __init__(self, overlay: Overlay, root: Hash) -> None:
        self._overlay = overlay
        self.root = root
        self.get = overlay.get
        self.scan = overlay.scan

    def prove(self, key: bytes) -> StateProof:
        """Proof of `key` under `root`. The first one rebuilds that height's tree: about 10 us a key changed since."""
        return self.sealed().prove(key)

    def sealed(self) -> Overlay:
        """The same with its tree, to execute on. Raise `StoreError` (STORE_CORRUPT)."""
        if self._overlay.seal() != self.root:
            raise StoreError(
                "the undo rows do not lead back to the header's state root", code="STORE_CORRUPT", fix=REPAIR
            )
        return self._overlay


StateView = StateBase | PastState


class ChainReader:
    """The rows of a chain, decoded."""

    def __init__(self, rows: StoreReader) -> None:
        self.rows = rows

    # -- reading blocks

    def header_bytes(self, height: int) -> bytes | None:
        """The header at a height as bytes; None above the head."""
        return self.rows.get(db_height(DB_HEADER, height)) if height >= 0 else None

    def header(self, height: int) -> Header | None:
        """The header at a height; None above the head."""
        raw = self.header_bytes(height)
        return None if raw is None else decode_header(raw)

    def root_of(self, height: int) -> Hash | None:
        """State root here after a block: that of its header, unless the own execution differs; None above the head."""
        own = self.rows.get(db_height(DB_OWN_ROOT, height)) if height >= 0 else None
        header = self.header(height) if own is None else None
        return Hash(own) if own is not None else None if header is None else Hash(header.state_root)

    def differing(self, first: int, last: int) -> int | None:
        """The first height from `first` to `last` whose certified roots are not those of this node's own execution
        (`CommittedBlock.differs`); None if there is none."""
        after = db_height(DB_OWN_ROOT, first - 1) if first > 0 else None
        found = self.rows.scan(DB_OWN_ROOT, after, 1)
        height = int.from_bytes(found[0][0][-8:], "big") if found else last + 1
        return height if height <= last else None

    def height_of(self, block_hash: bytes) -> int | None:
        """Height of a committed block by its hash."""
        raw = self.rows.get(DB_HEIGHT_OF + block_hash)
        return None if raw is None else int.from_bytes(raw, "big")

    def header_by_hash(self, block_hash: bytes) -> Header | None:
        """The header of a committed block by its hash."""
        height = self.height_of(block_hash)
        return None if height is None else self.header(height)

    def body_bytes(self, height: int) -> bytes | None:
        """The body at a height as bytes; None above the head."""
        return self.rows.get(db_height(DB_BODY, height)) if height >= 0 else None

    def block(self, height: int) -> Block | None:
        """Header and body at a height; None above the head."""
        header_bytes, body_bytes = self.header_bytes(height), self.body_bytes(height)
        if header_bytes is None or body_bytes is None:
            return None
        body = decode(Body, body_bytes, limit=MAX_BLOCK_BYTES)
        return Block(decode_header(header_bytes), header_bytes, header_hash(header_bytes), body, body_bytes)

    def receipt_bytes(self, height: int) -> list[bytes] | None:
        """All receipts of a block, encoded, in order of execution; None above the head."""
        if self.counts(height) is None:
            return None
        chunks = self.rows.scan(db_height(DB_RECEIPTS, height))
        return [receipt for _, raw in chunks for receipt in _decode_chunk(raw)]

    def receipts(self, height: int) -> list[Receipt] | None:
        """All receipts of a block in order of execution; None above the head."""
        raws = self.receipt_bytes(height)
        return None if raws is None else [decode(Receipt, raw) for raw in raws]

    def receipt(self, height: int, index: int) -> bytes | None:
        """One receipt of a block, encoded, by its position."""
        if index < 0 or height < 0:
            return None
        raw = self.rows.get(db_receipts(height, index // RECEIPT_CHUNK))
        chunk = [] if raw is None else _decode_chunk(raw)
        return chunk[index % RECEIPT_CHUNK] if index % RECEIPT_CHUNK < len(chunk) else None

    @property
    def first(self) -> int:
        """Height of the first block: 0, but where a chain continues another."""
        return int.from_bytes(self.rows.get(db_meta("first")) or b"", "big")

    @property
    def began(self) -> int:
        """Height of the state that this chain began with: the first block's, or that of a boundary block whose state
        was fetched. Below it there are the first block and boundary headers only."""
        fetched = self.rows.get(db_meta("snapshot"))
        return self.first if fetched is None else int.from_bytes(fetched, "big")

    def oldest(self, head: int) -> int:
        """Height of the oldest state that undo rows lead back to. `head`: height of the last block."""
        kept = self.rows.get(db_meta("undo"))
        return max(self.began, head - UNDO_BLOCKS) if kept is None else int.from_bytes(kept, "big")

    @property
    def names_oldest(self) -> bool:
        """Whether a row says which is the oldest, so that it has to be kept up."""
        return self.rows.get(db_meta("undo")) is not None

    def first_state(self, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` entries after a key of the state that a chain which continues another began with, ascending;
        no other chain keeps its first state."""
        start = None if after is None else DB_FIRST_STATE + after
        return [(key[1:], value) for key, value in self.rows.scan(DB_FIRST_STATE, start, limit)]

    # -- indexes

    def locate(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, index in the block) of a committed transaction."""
        raw = self.rows.get(DB_TRANSACTION + transaction_id)
        return None if raw is None else (int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:12], "big"))

    def find_transaction(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, index of its receipt in the block) of a committed transaction."""
        raw = self.rows.get(DB_TRANSACTION + transaction_id)
        return None if raw is None else (int.from_bytes(raw[:8], "big"), int.from_bytes(raw[12:], "big"))

    def receipt_of(self, transaction_id: bytes) -> bytes | None:
        """The encoded receipt of a committed transaction."""
        found = self.find_transaction(transaction_id)
        return None if found is None else self.receipt(*found)

    def account_transactions(
        self, address: bytes, after: int | None = None, limit: int = 100, reverse: bool = False
    ) -> list[tuple[int, int]]:
        """(height, index) of an account's transactions, ascending, of heights after `after` (before it, if `reverse`).

        At most `limit` blocks' worth.
        """
        start = None if after is None else db_account(address, after)
        found: list[tuple[int, int]] = []
        for key, raw in self.rows.scan(DB_ACCOUNT + address, start, limit, reverse):
            height = int.from_bytes(key[-8:], "big")
            indexes = [int.from_bytes(raw[at : at + 4], "big") for at in range(0, len(raw), 4)]
            found.extend((height, index) for index in (reversed(indexes) if reverse else indexes))
        return found

    # -- finality

    def boundary_of(self, epoch: int) -> int | None:
        """Height of the block that `epoch` begins on; genesis for 0 and 1, None if no block of it is committed."""
        if epoch == 0:
            return self.first
        raw = self.rows.get(DB_EPOCH + u64(epoch))
        return None if raw is None else int.from_bytes(raw, "big")

    def counts(self, height: int) -> Counts | None:
        """Finality height and sizes of a block; None above the head."""
        raw = self.rows.get(db_height(DB_FINAL_BY, height)) if height >= 0 else None
        if raw is None:
            return None
        return Counts(*(int.from_bytes(part, "big") for part in (raw[:8], raw[8:12], raw[12:])))

    def final_by(self, height: int) -> int | None:
        """Height of the certified block whose finalization proves this one (genesis: itself); None above the head."""
        found = self.counts(height)
        return None if found is None else found.final_by

    def finality(self, height: int) -> Finality | None:
        """The stored finalization of the block at `height` itself (a `final_by`); None if another block proves it."""
        raw = self.rows.get(db_height(DB_FINALITY, height)) if height >= 0 else None
        return None if raw is None else decode(Finality, raw)

    def validators(self, validators_hash: bytes) -> ValidatorSet | None:
        """A committee that a header names."""
        raw = self.rows.get(DB_VALIDATORS + validators_hash)
        return None if raw is None else ValidatorSet(decode(tuple[Validator, ...], raw))


@dataclass(frozen=True, slots=True)
class ChainView:
    """A chain as it was at one moment, and its state after `height`. For one thread."""

    chain: ChainReader
    height: int
    state: StateView


def past_state(rows: StoreReader, base: StateBase, height: int) -> StateView:
    """State after `height`, over `base`, the state at the head. Raise STATE_PRUNED or STATE_UNKNOWN."""
    head, _ = read_head(rows)
    if not 0 <= height <= head:
        raise StoreError("there is no such height", code="STATE_UNKNOWN", expected=f"0 to {head}", found=height)
    if height == head:
        return base
    oldest = ChainReader(rows).oldest(head)
    if height < oldest:
        raise StoreError(
            "old state is not kept",
            code="STATE_PRUNED",
            expected=f"{oldest} to {head}",
            found=height,
            fix="ask an archive, or use a proof that was saved then",
        )
    root = ChainReader(rows).root_of(height)
    before: dict[bytes, bytes | None] = {}
    for undone in range(height + 1, head + 1):
        raw = rows.get(db_height(DB_UNDO, undone))
        if raw is None or root is None:
            raise StoreError(f"the undo row of height {undone} is missing", code="STORE_CORRUPT", fix=REPAIR)
        for key, value in decode_undo(raw):
            before.setdefault(key, value)
    overlay = Overlay(base)
    for key, value in before.items():
        if value is None:
            overlay.delete(key)
        else:
            overlay.put(key, value)
    return PastState(overlay, Hash(root or b""))


def read_head(rows: StoreReader) -> tuple[int, Hash]:
    """Height and hash of the last committed block."""
    raw = rows.get(db_meta("head")) or b""
    if len(raw) != 40:
        raise StoreError(
            "the head row is damaged", code="STORE_CORRUPT", expected="40 bytes", found=len(raw), fix=REPAIR
        )
    return int.from_bytes(raw[:8], "big"), Hash(raw[8:])


def _decode_chunk(raw: bytes) -> list[bytes]:
    return decode(list[bytes], raw, limit=MAX_BLOCK_BYTES)
