"""What is wrong with a record, and who is to blame (W1 to W6 of consensus B.2). Pure; every centre finds the same.

A publication is first held against the certified regional header (`judge`): if it differs, its agent lied and the
region is not touched. Then its blocks are executed again (`RecordAuditor`): if that differs, more than F of the
region's members certified a lie, and the centres' own result stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from consensus.scheme import Scheme
from consensus.sharded.records import (
    Asset,
    Correction,
    Entry,
    InboxItem,
    Publication,
    RegionPosition,
    RegionRecord,
    RegionSection,
    Residual,
    Wrong,
    publication_bytes,
    record_of,
)
from ledger.certificates import Certificate, VoteKind
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import Header, decode_header, extra_root, header_hash
from ledger.validators import ValidatorSet

Verify: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""(public key, signed bytes, signature) -> whether it holds."""


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
    `height`: of the global block before the one that entered the record."""

    position: RegionPosition
    inbox: Sequence[tuple[int, InboxItem]]
    prev_record: Hash
    height: int

    def inbox_height(self, record: RegionRecord, consumed: int) -> int:
        """Up to which global block a region has consumed its inbox after a record: as far as it says, if it has
        consumed all of that, else no further than before."""
        here = min(record.inbox_height, self.height)
        whole = sum(height <= here for height, _ in self.inbox)
        return max(self.position.inbox_height, here) if consumed == whole else self.position.inbox_height


@dataclass(frozen=True, slots=True)
class Audited:
    """The centres' own result; `wrong` and `correction` None if the record claims the same."""

    position: RegionPosition
    residuals: tuple[Residual, ...]
    wrong: Wrong | None
    correction: Correction | None


class RecordAuditor(Protocol):
    """How centres find out what a record's blocks really do: by executing a body that came with it, or in their own
    copy of the region's chain. Every centre's auditor finds the same, from the arguments and what they name by hash."""

    def refusal(self, record: RegionRecord, body: bytes) -> str:
        """Why a publication with this body is not entered at all, "" if it may be. A body that the centre lacks is not
        refused here: who cannot audit a block does not vote on it."""
        ...

    def audit(self, region: str, basis: Basis, record: RegionRecord, body: bytes) -> Audited:
        """Execute a record that was entered."""
        ...


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
