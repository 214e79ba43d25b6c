"""Checking a whole chain on disk: every hash, root, certificate, index and the state tree, from genesis to the head.

Reads rows only and trusts none of them but the genesis document's hash. It does not execute: that a block's state root
follows from its transactions is what the committee's certificates say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger.boundaries import check_boundary
from ledger.chain_reader import ChainReader, past_state, read_head
from ledger.chain_snapshot import stored_boundary
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import GridchainError, StoreError
from ledger.finality import FinalityProof, verify_finality
from ledger.genesis import GenesisSummary
from ledger.merkle import receipts_root, transactions_root
from ledger.objects import Header, Receipt, decode_transaction, extra_root, header_hash, verify_transaction
from ledger.schema import (
    DB_ACCOUNT,
    DB_BODY,
    DB_BUCKET,
    DB_FINAL_BY,
    DB_FINALITY,
    DB_FIRST_STATE,
    DB_HEADER,
    DB_HEIGHT_OF,
    DB_RECEIPTS,
    DB_STATE,
    DB_TRANSACTION,
    DB_UNDO,
    db_bucket,
)
from ledger.state import StateBase
from ledger.state_base import read_top
from ledger.state_tree import EMPTY_TOP, build, place, top_root, value_digest
from ledger.store import Store, StoreReader
from ledger.succession import succession_of

_PAGE = 1024


@dataclass(slots=True)
class ChainReport:
    """What a walk over a chain found. `fault` is the first fault, None if there is none."""

    height: int = 0
    blocks: int = 0
    transactions: int = 0
    receipts: int = 0
    certificates: int = 0
    state_keys: int = 0
    fault: GridchainError | None = None
    accounts: set[tuple[bytes, int]] = field(default_factory=set, repr=False)


def verify_chain(store: Store, genesis: GenesisSummary) -> ChainReport:
    """Walk everything on a snapshot of `store`. About 80 us a transaction, most of it the signature."""
    report = ChainReport()
    snapshot = store.snapshot()
    try:
        _walk(snapshot, genesis, report)
    except GridchainError as error:
        report.fault = error
    finally:
        snapshot.close()
    return report


def _walk(rows: StoreReader, genesis: GenesisSummary, report: ChainReport) -> None:
    chain = ChainReader(rows)
    report.height, head_hash = read_head(rows)
    parent: Header | None = None
    parent_hash = genesis.hash
    first = chain.first
    if chain.began > first:
        parent, parent_hash = _check_beginning(chain, genesis, report)
        first = chain.began + 1
    for height in range(first, report.height + 1):
        header = _check_block(chain, genesis, height, report)
        _check_link(genesis, parent, parent_hash, header)
        if parent is not None and header.epoch != parent.epoch:
            _same("boundary index", parent.height, chain.boundary_of(header.epoch), height)
        _check_finality(chain, header, report)
        parent, parent_hash = header, Hash(chain_hash(chain, height))
        report.blocks += 1
    _same("hash of the head", head_hash, parent_hash, report.height)
    _check_counts(rows, report)
    if parent is not None:
        _check_state(rows, parent, report)
        _check_undo(chain, rows, report)
    if succession_of(genesis) is not None:
        _check_first_state(chain, rows)


def _check_beginning(chain: ChainReader, genesis: GenesisSummary, report: ChainReport) -> tuple[Header, Hash]:
    """Of a chain that began with a fetched state: the first block, and each boundary under the committee of the one
    before."""
    height, epoch = chain.first, 0
    header, block_hash = _check_block(chain, genesis, height, report), chain_hash(chain, height)
    _check_link(genesis, None, genesis.hash, header)
    voters = chain.validators(header.next_validators) or genesis.validator_set
    report.blocks += 1
    while height < chain.began:
        epoch += 1
        following = chain.boundary_of(epoch + 1) or chain.began
        raw = stored_boundary(chain, following)
        if raw is None or following <= height:
            raise StoreError(f"the last block of epoch {epoch} is missing", code="CHAIN_FAULT", found=following)
        known = check_boundary(raw, epoch, genesis.chain_id, voters, lambda _: True)
        _same("height of its hash", following, chain.height_of(known.hash), following)
        height, header, block_hash, voters = following, known.header, known.hash, known.committee
        report.blocks += 1
        report.certificates += 1
    return header, block_hash


def chain_hash(chain: ChainReader, height: int) -> Hash:
    """Hash of the stored header at a height. Raise `StoreError` if there is none."""
    raw = chain.header_bytes(height)
    if raw is None:
        raise StoreError(f"the header of height {height} is missing", code="CHAIN_FAULT", found=height)
    return header_hash(raw)


def _same(what: str, expected: object, found: object, height: int) -> None:
    if expected != found:
        raise StoreError(
            f"block {height}: wrong {what}", code="CHAIN_FAULT", expected=_text(expected), found=_text(found)
        )


def _text(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _check_block(chain: ChainReader, genesis: GenesisSummary, height: int, report: ChainReport) -> Header:
    chain_hash(chain, height)
    block = chain.block(height)
    if block is None:
        raise StoreError(f"the body of height {height} is missing", code="CHAIN_FAULT", found=height)
    header = block.header
    _same("height", height, header.height, height)
    _same("chain id", genesis.chain_id, header.chain_id, height)
    _same("height of its hash", height, chain.height_of(block.hash), height)
    _same("body size", header.body_size, len(block.body_bytes), height)
    _same("extra root", header.extra_root, extra_root(block.body.extra), height)
    _same("transactions root", header.transactions_root, transactions_root(block.body.transactions), height)
    receipts = chain.receipt_bytes(height) or []
    _same("receipts root", header.receipts_root, receipts_root(receipts), height)
    counts = chain.counts(height)
    found = None if counts is None else (counts.transactions, counts.receipts)
    _same("counts", (len(block.body.transactions), len(receipts)), found, height)
    _check_transactions(chain, height, block.body.transactions, receipts, report)
    return header


def _check_transactions(
    chain: ChainReader, height: int, raws: tuple[bytes, ...], receipts: list[bytes], report: ChainReport
) -> None:
    scheduled = len(receipts) - len(raws)
    decoded = [decode(Receipt, raw) for raw in receipts]
    called = [receipt.subject for receipt in decoded[max(0, scheduled) :]]
    senders: dict[bytes, list[tuple[int, int]]] = {}
    for index, raw in enumerate(raws):
        transaction = decode_transaction(raw)
        if verify_transaction(transaction) is None:
            raise StoreError(f"block {height}: a bad signature", code="CHAIN_FAULT", found=transaction.id.hex())
        _same("transaction index", (height, index), chain.locate(transaction.id), height)
        _same("receipt index", (height, scheduled + index), chain.find_transaction(transaction.id), height)
        _same("subject of a receipt", transaction.id, called[index] if index < len(called) else None, height)
        senders.setdefault(transaction.sender, []).append((height, index))
    for sender, places in senders.items():
        found = chain.account_transactions(sender, after=height - 1 if height else None, limit=1)
        _same("account index", places, found, height)
        report.accounts.add((sender, height))
    report.transactions += len(raws)
    report.receipts += len(receipts)


def _check_link(genesis: GenesisSummary, parent: Header | None, parent_hash: bytes, header: Header) -> None:
    height = header.height
    _same("parent", parent_hash, header.parent, height)
    _same("closing flag", False, header.closing, height)
    if parent is None:
        _same("committee", genesis.validator_set.hash, header.validators, height)
        if succession_of(genesis) is None:
            _same("time", genesis.time_ms, header.time_ms, height)
        return
    if header.time_ms <= parent.time_ms:
        raise StoreError(
            f"block {height} is not later than its parent",
            code="CHAIN_FAULT",
            expected=parent.time_ms,
            found=header.time_ms,
        )
    if header.epoch == parent.epoch:
        _same("committee", parent.validators, header.validators, height)
        _same("parent view", parent.view, header.parent_view, height)
    else:
        _same("epoch", parent.epoch + 1, header.epoch, height)
        _same("committee", parent.next_validators, header.validators, height)
        _same("parent view", 0, header.parent_view, height)


def _check_finality(chain: ChainReader, header: Header, report: ChainReport) -> None:
    """The block at a `final_by` has a certificate; every other one names a later such block of its epoch."""
    height = header.height
    final_by = chain.final_by(height)
    if height == chain.first:
        _same("finality height", height, final_by, height)
        return
    final = None if final_by is None else chain.header(final_by)
    if final_by is None or final is None or final_by < height:
        raise StoreError(f"block {height} has no finality height", code="CHAIN_FAULT", found=final_by)
    _same("epoch of its finality", header.epoch, final.epoch, height)
    finality = chain.finality(final_by)
    if finality is None:
        raise StoreError(f"block {height}: no certificate at {final_by}", code="CHAIN_FAULT", found=final_by)
    if final_by != height:
        return
    validators = chain.validators(header.validators)
    if validators is None:
        raise StoreError(f"block {height}: its committee is unknown", code="CHAIN_FAULT", found=header.validators.hex())
    raw = chain.header_bytes(height) or b""
    verify_finality(FinalityProof((raw, *finality.closing), finality.certificate), header.chain_id, validators)
    report.certificates += 1


def _check_counts(rows: StoreReader, report: ChainReport) -> None:
    """No row is surplus: above the head, or of a block that is not there."""
    chain = ChainReader(rows)
    blocks, began = report.blocks, chain.began
    for prefix, expected in (
        (DB_HEADER, blocks),
        (DB_BODY, 1 + report.height - began),
        (DB_HEIGHT_OF, blocks),
        (DB_FINAL_BY, blocks),
        (DB_FINALITY, report.certificates),
        (DB_TRANSACTION, report.transactions),
        (DB_ACCOUNT, len(report.accounts)),
        (DB_UNDO, report.height - chain.oldest(report.height)),
    ):
        _same(f"number of rows {prefix.decode()}", expected, sum(1 for _ in _all(rows, prefix)), report.height)
    for key, _ in _all(rows, DB_RECEIPTS):
        if int.from_bytes(key[1:9], "big") > report.height:
            raise StoreError("receipts above the head", code="CHAIN_FAULT", found=key.hex())


def _check_first_state(chain: ChainReader, rows: StoreReader) -> None:
    """What a chain that continues another has kept to be executed again from."""
    records, _ = _records(rows, DB_FIRST_STATE)
    digests = [build(f"{number:02x}", b"".join(sorted(sector)), {})[0] for number, sector in enumerate(records)]
    header = chain.header(chain.first)
    _same("first state", None if header is None else header.state_root, top_root(b"".join(digests)), chain.first)


def _records(rows: StoreReader, prefix: bytes) -> tuple[list[list[bytes]], int]:
    """Leaves of the state tree by sector, and how many there are."""
    records: list[list[bytes]] = [[] for _ in range(256)]
    count = 0
    for key, value in _all(rows, prefix):
        where = place(key[1:])
        records[where[0]].append(where + value_digest(value))
        count += 1
    return records, count


def _check_state(rows: StoreReader, head: Header, report: ChainReport) -> None:
    """Build the whole tree from the values and compare with the stored buckets and the head's root."""
    records, report.state_keys = _records(rows, DB_STATE)
    top = bytearray(EMPTY_TOP)
    for number, sector in enumerate(records):
        nodes: dict[str, bytes | None] = {}
        digest, _ = build(f"{number:02x}", b"".join(sorted(sector)), nodes)
        top[number * 32 : number * 32 + 32] = digest
        expected = {db_bucket(path): blob for path, blob in nodes.items() if blob is not None and len(blob) % 64 == 0}
        if dict(rows.scan(DB_BUCKET + f"{number:02x}".encode())) != expected:
            raise StoreError(
                "the stored buckets are not those of the state", code="CHAIN_FAULT", found=f"sector {number:02x}"
            )
    _same("top of the state tree", bytes(top), read_top(rows), head.height)
    _same("state root", ChainReader(rows).root_of(head.height), top_root(bytes(top)), head.height)


def _check_undo(chain: ChainReader, rows: StoreReader, report: ChainReport) -> None:
    """The undo rows together lead back to the state root of the oldest height they reach."""
    oldest = chain.oldest(report.height)
    if oldest == report.height:
        return
    past = past_state(rows, StateBase(rows), oldest)
    past.prove(b"")


def _all(rows: StoreReader, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    after: bytes | None = None
    while page := rows.scan(prefix, after, _PAGE):
        yield from page
        after = page[-1][0]
