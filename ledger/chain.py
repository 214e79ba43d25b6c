"""The chain on disk: blocks, receipts, indexes, finality and state, each commit in one synced batch.

After a crash the store holds the old head or the new one, never something between. Nothing is executed again: a commit
takes what the block's own overlay found (`StateDelta`). `ledger.schema` lists every row.

The ledger thread owns `append` and `state`. All other reads go straight to the store and are safe on any thread;
`view` gives any thread a consistent chain and state of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from ledger.certificates import Certificate, VoteKind
from ledger.chain_reader import (
    RECEIPT_CHUNK,
    REPAIR,
    UNDO_BLOCKS,
    UNDO_MOST,
    ChainReader,
    ChainView,
    Counts,
    Finality,
    PastState,
    StateView,
    past_state,
    read_head,
)
from ledger.chain_snapshot import BoundaryStates
from ledger.codec import encode
from ledger.crypto import Hash
from ledger.errors import InvariantBroken, StoreError
from ledger.genesis import Genesis, GenesisSummary
from ledger.objects import Block, Header, Transaction, header_hash
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
    DB_TRANSACTION,
    DB_UNDO,
    DB_VALIDATORS,
    db_height,
    db_meta,
    db_receipts,
    u32,
    u64,
)
from ledger.state import StateBase, StateDelta
from ledger.store import Batch, Store
from ledger.succession import decode_summary, succession_of
from ledger.validators import ValidatorSet

__all__ = ["ChainReader", "ChainStore", "ChainView", "CommittedBlock", "Counts", "Finality", "PastState", "StateView"]

FORMAT_VERSION = 1
_VIEW_CACHE = 1024 * 1024
_UNDO_STEP = 4_096
"""Undo rows that one commit deletes at most: some milliseconds."""


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """A final block with what its execution gave. `receipts` are encoded: scheduled calls first, then one a
    transaction. `differs`: a quorum has certified other roots than this node's execution gives, and this chain is one
    whose quorum may be wrong (ADR 0290): the own result is kept beside the header.
    """

    block: Block
    transactions: Sequence[Transaction]
    receipts: Sequence[bytes]
    delta: StateDelta
    differs: bool = False


class ChainStore(ChainReader):
    """Committed blocks over a store. Make it with `create` or `open`."""

    def __init__(self, store: Store, genesis: GenesisSummary) -> None:
        super().__init__(store)
        self._store = store
        self.genesis = genesis
        self._head_height, self._head_hash = read_head(store)
        self._head = self._stored_header(self._head_height)
        self._state = StateBase(store)
        self.boundaries = BoundaryStates()
        self._oldest, self._oldest_named = self.oldest(self._head_height), self.names_oldest
        self.wanted: Callable[[], int] | None = None
        """The lowest height whose state somebody may still ask for: undo rows stay back to there, `UNDO_MOST` at most.
        Asked on the thread that writes; None for the last `UNDO_BLOCKS` alone."""
        self.guard: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered for as long as a view is open: whoever closes the store counts them."""
        root = self.root_of(self._head_height)
        if root is None or header_hash(encode(self._head)) != self._head_hash or self._state.root != root:
            raise StoreError(
                "the state is not that of the head",
                code="STORE_CORRUPT",
                expected=self._head.state_root.hex() if root is None else root.hex(),
                found=self._state.root.hex(),
                fix=REPAIR,
            )

    @staticmethod
    def is_empty(store: Store) -> bool:
        """Tell whether the store holds no chain yet."""
        return store.get(db_meta("head")) is None

    @classmethod
    def create(
        cls, store: Store, genesis: Genesis, block: Block, receipts: Sequence[bytes], delta: StateDelta
    ) -> ChainStore:
        """Write the first block and the state that genesis installs, in one synced batch. The height is 0, but where a
        chain continues another (`ledger.succession`): then the state is kept a second time, as it is at first."""
        if not cls.is_empty(store):
            raise StoreError("there is a chain already", code="CHAIN_EXISTS", fix="use another directory")
        height, continues = block.header.height, succession_of(genesis) is not None
        fits = delta.root == block.header.state_root and block.header.parent == genesis.hash
        if not fits or (height and not continues):
            raise InvariantBroken("the first block does not fit its genesis")
        batch = Batch()
        batch.put(db_meta("format"), u64(FORMAT_VERSION))
        if height:
            batch.put(db_meta("first"), u64(height))
        if continues:
            batch.extend((DB_FIRST_STATE + key, value) for key, value in delta.writes.items())
        batch.put(db_meta("genesis"), encode(genesis.summary))
        validators = genesis.validator_set
        batch.put(DB_VALIDATORS + validators.hash, encode(validators.validators))
        _put_block(batch, CommittedBlock(block, (), receipts, delta), height, undo=False)
        _put_head(batch, block)
        store.write(batch, sync=True)
        return cls(store, genesis.summary)

    @classmethod
    def open(cls, store: Store, genesis: Genesis | None = None) -> ChainStore:
        """Open the chain in `store`; with `genesis`, only if it is that network's. Raise `StoreError`."""
        raw = store.get(db_meta("genesis"))
        if raw is None:
            raise StoreError("there is no chain in the database", code="CHAIN_EMPTY", fix="start the node once")
        version = int.from_bytes(store.get(db_meta("format")) or b"", "big")
        if version != FORMAT_VERSION:
            raise StoreError(
                "the database has another format",
                code="STORE_FORMAT",
                expected=FORMAT_VERSION,
                found=version,
                fix="remove it and sync again",
            )
        summary = decode_summary(raw)
        if genesis is not None and genesis.hash != summary.hash:
            raise StoreError(
                "the database belongs to another network",
                code="CHAIN_GENESIS",
                expected=genesis.chain_id,
                found=summary.chain_id,
                fix="use the directory of this network, or the genesis document of that one",
            )
        return cls(store, summary)

    # -- the head

    @property
    def height(self) -> int:
        """Height of the head."""
        return self._head_height

    @property
    def head(self) -> Header:
        """Header of the last committed block."""
        return self._head

    @property
    def head_hash(self) -> Hash:
        """Hash of the last committed block."""
        return self._head_hash

    def state(self) -> StateBase:
        """State at the head, for overlays; owned by the ledger thread."""
        return self._state

    # -- writing

    def keep_boundary(self) -> None:
        """The head ends an epoch: keep its state for those who begin with it. On the thread that writes."""
        if self._state.root == self._head.state_root:
            self.boundaries.keep(self._store, self._head_height, self._head_hash)

    def append(
        self,
        blocks: Sequence[CommittedBlock],
        finalization: Certificate,
        closing: Sequence[bytes] = (),
        validator_sets: Sequence[ValidatorSet] = (),
    ) -> None:
        """Commit `blocks` (ascending, none closing) that `finalization` makes final, in one synced batch; then move
        state.

        `closing`: headers of the closing blocks on the last block, if the certificate is for the last of them.
        `validator_sets`: committees that these blocks name first. Raises `InvariantBroken` if the parts do not fit and
        `StoreError` if the disk fails: then nothing moved, and the node has to stop, since the disk's state is unknown.
        """
        self._check_links(blocks, finalization, closing)
        final_by = blocks[-1].block.header.height
        batch = Batch()
        for validators in validator_sets:
            batch.put(DB_VALIDATORS + validators.hash, encode(validators.validators))
        for committed in blocks:
            _put_block(batch, committed, final_by)
        _put_epochs(batch, self._head, blocks)
        batch.put(db_height(DB_FINALITY, final_by), encode(Finality(finalization, tuple(closing))))
        _put_head(batch, blocks[-1].block)
        oldest = self._forget(batch, final_by)
        self._store.write(batch, sync=True)
        self._oldest = oldest
        for committed in blocks:
            self._state.absorb(committed.delta)
        self._head = blocks[-1].block.header
        self._head_hash = blocks[-1].block.hash
        self._head_height = final_by

    def _forget(self, batch: Batch, height: int) -> int:
        """Delete the undo rows that nobody needs with `height` for the head; the oldest state that is left."""
        unwanted = height - UNDO_BLOCKS
        if self.wanted is not None:
            unwanted = min(unwanted, max(height - UNDO_MOST, min(self._head_height, self.wanted())))
        oldest = max(self._oldest, min(unwanted, self._oldest + _UNDO_STEP))
        for number in range(self._oldest + 1, oldest + 1):
            batch.delete(db_height(DB_UNDO, number))
        if self._oldest_named or self.wanted is not None:
            self._oldest_named = True
            batch.put(db_meta("undo"), u64(oldest))
        return oldest

    def _check_links(
        self, blocks: Sequence[CommittedBlock], finalization: Certificate, closing: Sequence[bytes]
    ) -> None:
        if not blocks:
            raise InvariantBroken("a commit without a block")
        parent, height, root = self._head_hash, self._head_height, self._state.root
        for committed in blocks:
            header = committed.block.header
            fits = header.parent == parent and header.height == height + 1 and not header.closing
            sound = committed.differs or committed.delta.root == header.state_root
            if not fits or not sound or committed.delta.parent_root != root:
                raise InvariantBroken(f"block {header.height} does not continue the chain at {height}")
            if len(committed.transactions) > len(committed.receipts):
                raise InvariantBroken(f"block {header.height} has fewer receipts than transactions")
            parent, height, root = committed.block.hash, header.height, committed.delta.root
        certified = header_hash(closing[-1]) if closing else parent
        if finalization.kind is not VoteKind.FINALIZE or finalization.block_hash != certified:
            raise InvariantBroken("the finalization is not for the last block")

    # -- state for other threads, and of the past

    @contextmanager
    def view(self, height: int | None = None) -> Generator[ChainView]:
        """The chain and one of its last 256 states (the head's, if None) as they are now, for the thread that asks.
        Where more is `wanted`, older states too.

        Raises `StoreError` with code STATE_PRUNED for an older height, STATE_UNKNOWN for one above the head, and what
        `guard` raises.
        """
        with self.guard():
            snapshot = self._store.snapshot()
            try:
                head, _ = read_head(snapshot)
                base = StateBase(snapshot, cache_bytes=_VIEW_CACHE)
                state = base if height is None else past_state(snapshot, base, height)
                yield ChainView(ChainReader(snapshot), head if height is None else height, state)
            finally:
                snapshot.close()

    def state_at(self, height: int) -> StateView:
        """The same over the head's state; for the ledger thread, until the next `append`."""
        return past_state(self._store, self._state, height)

    def _stored_header(self, height: int) -> Header:
        header = self.header(height)
        if header is None:
            raise StoreError(f"the header of height {height} is missing", code="STORE_CORRUPT", fix=REPAIR)
        return header


def _put_head(batch: Batch, block: Block) -> None:
    batch.put(db_meta("head"), u64(block.header.height) + block.hash)


def _put_epochs(batch: Batch, head: Header, blocks: Sequence[CommittedBlock]) -> None:
    before = head
    for committed in blocks:
        header = committed.block.header
        if header.epoch != before.epoch:
            batch.put(DB_EPOCH + u64(header.epoch), u64(before.height))
        before = header


def _put_block(batch: Batch, committed: CommittedBlock, final_by: int, *, undo: bool = True) -> None:
    """All rows of one block. The cost is that of the rows: about three a transaction and three a state key."""
    block, receipts, put = committed.block, committed.receipts, batch.put
    number = block.header.height
    height = u64(number)
    scheduled = len(receipts) - len(committed.transactions)
    put(DB_HEADER + height, block.header_bytes)
    put(DB_BODY + height, block.body_bytes)
    put(DB_HEIGHT_OF + block.hash, height)
    if committed.differs:
        put(DB_OWN_ROOT + height, committed.delta.root)
    put(DB_FINAL_BY + height, u64(final_by) + u32(len(committed.transactions)) + u32(len(receipts)))
    for start in range(0, len(receipts), RECEIPT_CHUNK):
        put(db_receipts(number, start // RECEIPT_CHUNK), encode(list(receipts[start : start + RECEIPT_CHUNK])))
    by_sender: dict[bytes, list[bytes]] = {}
    for index, transaction in enumerate(committed.transactions):
        place = u32(index)
        put(DB_TRANSACTION + transaction.id, height + place + u32(scheduled + index))
        by_sender.setdefault(transaction.sender, []).append(place)
    for sender, places in by_sender.items():
        put(DB_ACCOUNT + sender + height, b"".join(places))
    batch.extend(committed.delta.rows())
    if undo:
        put(DB_UNDO + height, committed.delta.undo())
