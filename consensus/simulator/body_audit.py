"""The simulator's auditor of records: executes the body that came with a record on the region's model ledger.

The global state names a region's ledger by its root only; the auditor keeps the ledgers themselves, as a centre keeps a
copy of the region's state. What it finds depends on its arguments and on the ledger of that root, on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from consensus.sharded.accounts import RegionLedger, changed_lines, with_lines
from consensus.sharded.records import (
    Correction,
    Entry,
    Forced,
    InboxItem,
    RegionBody,
    RegionRecord,
    Wrong,
    outbox_root,
)
from consensus.sharded.region import Execution, execute_record
from consensus.sharded.verdicts import Audited, Basis, Verify
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import transaction_id


class BodyAuditor:
    """See the module; a `RecordAuditor`. `ledgers`: by root; those of genesis are given."""

    def __init__(self, verify: Verify, ledgers: Iterable[RegionLedger]) -> None:
        self.verify: Final = verify
        self.ledgers = {ledger.root: ledger for ledger in ledgers}

    def refusal(self, record: RegionRecord, body: bytes) -> str:
        """See `RecordAuditor`: the body must be the one that the record names."""
        try:
            found = decode(RegionBody, body)
        except DecodeError:
            return "OTHER_BODY"
        return "" if found.root == record.body_root else "OTHER_BODY"

    def audit(self, region: str, basis: Basis, record: RegionRecord, body: bytes) -> Audited:
        """See `RecordAuditor`."""
        before, claimed = self.ledgers[Hash(basis.position.root)], decode(RegionBody, body)
        consumable = [item for height, item in basis.inbox if height <= record.inbox_height]
        execution = execute_record(region, before, consumable, claimed.blocks, self.verify)
        wrong: Wrong | None = Wrong.STATE
        offending: tuple[bytes, ...] = ()
        if execution is None:
            execution = Execution(replace(before, seq=before.seq + 1), claimed, (), ())
        else:
            wrong, offending = _compare(basis, before, record, claimed, execution, consumable)
        after = execution.ledger
        self.ledgers.setdefault(after.root, after)
        consumed = after.inbox_count - before.inbox_count
        correction = None
        if wrong is not None:
            entries = _entries(before, claimed, after)
            correction = Correction(record.id, wrong.label, offending, after.root, entries)
        return Audited(after.position(basis.inbox_height(record, consumed)), execution.residuals, wrong, correction)


def _compare(
    basis: Basis,
    before: RegionLedger,
    record: RegionRecord,
    body: RegionBody,
    own: Execution,
    consumable: Sequence[InboxItem],
) -> tuple[Wrong | None, tuple[bytes, ...]]:
    consumed = consumable[: own.ledger.inbox_count - before.inbox_count]
    answered = {receipt.transaction for receipt in body.receipts}
    forced = [transaction_id(item.transaction) for item in consumed if isinstance(item, Forced)]
    unanswered = tuple(name for name in forced if name not in answered)
    if unanswered:
        return Wrong.FORCED_MISSING, unanswered
    if own.faults:
        metered = all(fault.kind is Wrong.METER for fault in own.faults)
        names = tuple(sorted({bytes(fault.transaction) for fault in own.faults}))
        return Wrong.METER if metered else Wrong.STATE, names
    if body.fills != own.body.fills:
        return Wrong.CLEARING, ()
    if body.receipts != own.body.receipts:
        differing = {bytes(one.transaction) for one in {*body.receipts} ^ {*own.body.receipts}}
        return Wrong.STATE, tuple(sorted(differing))
    claimed = (record.prev_record, record.pre_root, record.post_root, record.outbox_root, record.n_tx)
    counted = sum(len(block.transactions) for block in body.blocks)
    true = (basis.prev_record, before.root, own.ledger.root, outbox_root(own.residuals), counted)
    inbox = (record.inbox_count, record.inbox_count, record.seq, record.inbox_height <= basis.height)
    whole = (own.ledger.inbox_count, before.inbox_count + len(consumable), own.ledger.seq, True)
    same = claimed == true and inbox == whole and body.changed == own.body.changed
    return (None, ()) if same else (Wrong.STATE, ())


def _entries(before: RegionLedger, body: RegionBody, after: RegionLedger) -> tuple[Entry, ...]:
    """Lead from the lines that the body claims to the centres' own."""
    claimed = with_lines(before.lines, body.changed)
    return tuple(
        Entry(line.account, line.asset, line.amount - claimed.get((line.account, line.asset), 0))
        for line in changed_lines(claimed, after.lines)
    )
