"""What is wrong with a record, and who is to blame (W1 to W6 of consensus B.2). Pure; every centre finds the same.

A publication is first held against the certified regional header (`judge`): if it differs, its agent lied and the
region is not touched. Then its body is executed again (`audit`): if that differs, more than F of the region's members
certified a lie, and the centres' own result stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from consensus.scheme import Scheme
from consensus.sharded.accounts import RegionLedger, Verify, changed_lines, with_lines
from consensus.sharded.records import (
    Asset,
    Correction,
    Entry,
    Forced,
    InboxItem,
    Publication,
    RegionBody,
    RegionRecord,
    RegionSection,
    Residual,
    Wrong,
    outbox_root,
    publication_bytes,
    record_of,
)
from consensus.sharded.region import Execution, execute_record
from ledger.certificates import Certificate, VoteKind
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import Header, decode_header, extra_root, header_hash, transaction_id
from ledger.validators import ValidatorSet


@dataclass(frozen=True, slots=True)
class RegionIdentity:
    """Who may speak for a region now, and how that is checked."""

    name: str
    chain_id: str
    epoch: int
    validators: ValidatorSet
    scheme: Scheme
    verify: Verify


@dataclass(frozen=True, slots=True)
class Fits:
    """The record is that of a certified block of the region."""


@dataclass(frozen=True, slots=True)
class Lying:
    """The agent signed what the region did not certify. `reason` is stable text."""

    agent: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing to enter and nobody to blame: no honest centre lets it into a block."""

    code: str


Judgement: TypeAlias = Fits | Lying | Refused


def judge(identity: RegionIdentity, publication: Publication) -> Judgement:
    """Hold a publication against the certified header. It says nothing of sequence or body."""
    record = publication.record
    if identity.validators.index_of(publication.agent) is None:
        return Refused("NO_MEMBER")
    signed = publication_bytes(record, publication.headers, publication.section, publication.certificate)
    if not identity.verify(publication.agent, signed, publication.signature):
        return Refused("BAD_SIGNATURE")
    if (record.region, record.epoch) != (identity.name, identity.epoch):
        return Refused("OTHER_EPOCH")
    certificate = publication.certificate
    if certificate.kind is not VoteKind.FINALIZE or not identity.scheme.verify_certificate(
        certificate, identity.validators
    ):
        return Lying(publication.agent, "forged-certificate")
    certified = _certified(identity, publication)
    if certified is None:
        return Lying(publication.agent, "other-header")
    header, section = certified
    if record_of(header, header_hash(publication.headers[0]), section, identity.epoch) != record:
        return Lying(publication.agent, "other-record")
    return Fits()


def _certified(identity: RegionIdentity, publication: Publication) -> tuple[Header, RegionSection] | None:
    """The record's header and section, if the certificate proves them."""
    try:
        headers = [decode_header(raw) for raw in publication.headers]
        section = decode(RegionSection, publication.section)
    except DecodeError:
        return None
    hashes = [header_hash(raw) for raw in publication.headers]
    chained = all(later.parent == earlier for earlier, later in zip(hashes, headers[1:], strict=False))
    first, last = headers[0], headers[-1]
    place = (publication.certificate.epoch, publication.certificate.view, publication.certificate.block_hash)
    if not chained or place != (last.epoch, last.view, hashes[-1]):
        return None
    here = first.chain_id == identity.chain_id and first.extra_root == extra_root(publication.section)
    return (first, section) if here and section.region == identity.name else None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a record is executed on. `inbox`: unconsumed items with the global heights that posted them, in order.
    `height`: of the global block before the one that judges."""

    ledger: RegionLedger
    inbox: Sequence[tuple[int, InboxItem]]
    prev_record: Hash
    height: int


@dataclass(frozen=True, slots=True)
class Audited:
    """The centres' own result; `wrong` None if the record claims the same."""

    ledger: RegionLedger
    residuals: tuple[Residual, ...]
    wrong: Wrong | None
    correction: Correction | None


def audit(region: str, basis: Basis, record: RegionRecord, body: RegionBody, verify: Verify) -> Audited:
    """Execute a record again. `body` must be the one that the record names."""
    consumable = [item for height, item in basis.inbox if height <= record.inbox_height]
    execution = execute_record(region, basis.ledger, consumable, body.blocks, verify)
    if execution is None:
        void = replace(basis.ledger, seq=basis.ledger.seq + 1)
        return _corrected(basis, record, body, Execution(void, body, (), ()), Wrong.STATE, ())
    wrong, offending = _compare(basis, record, body, execution, consumable)
    if wrong is None:
        return Audited(execution.ledger, execution.residuals, None, None)
    return _corrected(basis, record, body, execution, wrong, offending)


def _compare(
    basis: Basis, record: RegionRecord, body: RegionBody, own: Execution, consumable: Sequence[InboxItem]
) -> tuple[Wrong | None, tuple[bytes, ...]]:
    consumed = consumable[: own.ledger.inbox_count - basis.ledger.inbox_count]
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
    true = (basis.prev_record, basis.ledger.root, own.ledger.root, outbox_root(own.residuals), counted)
    inbox = (record.inbox_count, record.inbox_count, record.seq, record.inbox_height <= basis.height)
    whole = (own.ledger.inbox_count, basis.ledger.inbox_count + len(consumable), own.ledger.seq, True)
    same = claimed == true and inbox == whole and body.changed == own.body.changed
    return (None, ()) if same else (Wrong.STATE, ())


def _corrected(
    basis: Basis,
    record: RegionRecord,
    body: RegionBody,
    own: Execution,
    wrong: Wrong,
    offending: tuple[bytes, ...],
) -> Audited:
    """Entries lead from the lines that the body claims to the centres' own."""
    claimed = with_lines(basis.ledger.lines, body.changed)
    entries = tuple(
        Entry(line.account, line.asset, line.amount - claimed.get((line.account, line.asset), 0))
        for line in changed_lines(claimed, own.ledger.lines)
    )
    correction = Correction(record.id, wrong.label, offending, own.ledger.root, entries)
    return Audited(own.ledger, own.residuals, wrong, correction)


def apply_entries(claimed: dict[tuple[bytes, Asset], int], entries: Sequence[Entry]) -> dict[tuple[bytes, Asset], int]:
    """What a region's user sees of a correction: entries booked on the claimed lines."""
    lines = dict(claimed)
    for entry in entries:
        place = (entry.account, entry.asset)
        amount = lines.get(place, 0) + entry.difference
        lines.pop(place, None)
        if amount:
            lines[place] = amount
    return lines


def two_records(identity: RegionIdentity, first: Publication, second: Publication) -> tuple[bytes, ...]:
    """W4: the members who signed both of two different records of one (region, epoch, seq), in key order. `identity` is
    the region in that epoch. Two publications of one record are no W4.

    An agent signed what it published. Who voted counts only where both certificates are of one view: finalizations of
    different views may both hold an honest member's vote if more than F others lie, and the votes that make such a fork
    are evidence of their own.
    """
    one, two = first.record, second.record
    if (one.region, one.epoch, one.seq) != (two.region, two.epoch, two.seq) or one.id == two.id:
        return ()
    judged = [judge(identity, publication) for publication in (first, second)]
    if any(isinstance(judgement, Refused) for judgement in judged):
        return ()
    guilty = {bytes(first.agent)} & {bytes(second.agent)}
    views = {(publication.certificate.epoch, publication.certificate.view) for publication in (first, second)}
    if len(views) == 1 and all(isinstance(judgement, Fits) for judgement in judged):
        signers = [certificate_signers(p.certificate, identity.validators) for p in (first, second)]
        guilty |= signers[0] & signers[1]
    return tuple(sorted(guilty))


def certificate_signers(certificate: Certificate, validators: ValidatorSet) -> frozenset[bytes]:
    """Keys of who signed a certificate that was verified."""
    return frozenset(validators.validators[signer].public_key for signer in certificate.signers)
