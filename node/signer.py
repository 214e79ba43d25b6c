"""The only place where the validator key signs, behind a guard with a memory of its own (consensus A.6).

The guard trusts no engine: it refuses another hash for one (epoch, view, kind); FINALIZE with NULLIFY in one view;
NOTARIZE after NULLIFY; a second complaint for one view; anything at or below the log's floor; and another record for
one (region, regional epoch, seq). Its memory is rebuilt from the log. A refusal is never dropped silently: the signer
signs nothing more in this life, and the node says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from consensus.engine import EpochStart, WalRecovery
from consensus.messages import Complaint, ComplaintReason
from consensus.scheme import DOMAIN_COMPLAINT, complaint_bytes
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE, RegionRecord
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.crypto import DOMAIN_VOTE, SigningKey
from ledger.errors import GridchainError
from ledger.objects import decode_header, header_hash
from ledger.validators import ValidatorSet

RECORDS_KEPT: Final = 256
"""Regional records that the guard remembers; the log keeps as many (`node.wal`)."""
_Slot = dict[VoteKind, bytes]


class GuardRefused(GridchainError):
    """An engine asked for a signature that no honest member gives."""

    code = "DOUBLE_SIGN_REFUSED"


class Guard:
    """What was signed, per (epoch, view); nothing else decides whether a vote may be signed."""

    __slots__ = ("_complaints", "_floor", "_records", "_slots")

    def __init__(self, recovery: WalRecovery) -> None:
        self._floor = recovery.floor
        self._slots: dict[tuple[int, int], _Slot] = {}
        for vote in recovery.votes:
            self._slots.setdefault((vote.epoch, vote.view), {})[vote.kind] = vote.block_hash
        for proposal in recovery.proposals:  # its signature is the leader's NOTARIZE vote
            header = decode_header(proposal.header)
            slot = self._slots.setdefault((header.epoch, header.view), {})
            slot[VoteKind.NOTARIZE] = header_hash(proposal.header)
        self._complaints = {(c.epoch, c.view): (c.block_hash, c.reason) for c in recovery.complaints}
        self._records = {(region, epoch, seq): record for region, epoch, seq, record in recovery.region_records}

    def admit(self, kind: VoteKind, epoch: int, view: int, block_hash: bytes) -> None:
        """Mark the slot as signed. Raise `GuardRefused` if that contradicts what was signed before."""
        place = self._above_floor(epoch, view)
        slot = self._slots.setdefault(place, {})
        before = slot.get(kind)
        if before is not None and before != block_hash:
            raise GuardRefused(f"a second {kind.name} in {place}", expected=before.hex(), found=block_hash.hex())
        conflict = _CONFLICTS[kind]
        if conflict is not None and conflict in slot:
            raise GuardRefused(f"{kind.name} after {conflict.name} in {place}")
        slot[kind] = block_hash

    def admit_complaint(self, epoch: int, view: int, block_hash: bytes, reason: ComplaintReason) -> None:
        """Mark the view's one complaint as signed. Raise `GuardRefused` for another one."""
        place = self._above_floor(epoch, view)
        before = self._complaints.setdefault(place, (block_hash, reason))
        if before != (block_hash, reason):
            raise GuardRefused(f"a second complaint in {place}", expected=before[0].hex(), found=block_hash.hex())

    def admit_record(self, place: tuple[str, int, int], record: bytes) -> bool:
        """Mark a region's record as signed; False if it was before. Raise `GuardRefused` for another of its place."""
        before = self._records.get(place)
        if before is not None and before != record:
            raise GuardRefused(f"a second record {place}", expected=before.hex(), found=record.hex())
        self._records[place] = record
        while len(self._records) > RECORDS_KEPT:
            del self._records[next(iter(self._records))]
        return before is None

    def _above_floor(self, epoch: int, view: int) -> tuple[int, int]:
        place = (epoch, view)
        if place <= self._floor:
            raise GuardRefused("a signature at or below the floor", expected=f"above {self._floor}", found=place)
        return place

    def raise_floor(self, epoch: int, view: int) -> None:
        """Refuse everything at or below (epoch, view) from now on, and forget it."""
        if (epoch, view) > self._floor:
            self._floor = (epoch, view)
            self._slots = {place: slot for place, slot in self._slots.items() if place > self._floor}
            self._complaints = {place: said for place, said in self._complaints.items() if place > self._floor}


_CONFLICTS: Final[Mapping[VoteKind, VoteKind | None]] = {
    VoteKind.NOTARIZE: VoteKind.NULLIFY,
    VoteKind.FINALIZE: VoteKind.NULLIFY,
    VoteKind.NULLIFY: VoteKind.FINALIZE,
}


class Signer:
    """Signs votes of one validator on one chain. `stopped` is the reason once it signs no more in this life; `held` the
    reason while the amnesia guard holds, which its engine may lift."""

    __slots__ = ("_epochs", "_guard", "_key", "chain_id", "held", "stopped")

    def __init__(self, key: SigningKey | None, chain_id: str, recovery: WalRecovery, held: str = "") -> None:
        self._key = key
        self.chain_id = chain_id
        self._guard = Guard(recovery)
        self._epochs: dict[int, ValidatorSet] = {}
        self.stopped = ""
        self.held = held

    @property
    def public_key(self) -> bytes | None:
        """The key that votes are checked against; None for a node that never votes."""
        return None if self._key is None else self._key.public

    def begin_epoch(self, start: EpochStart) -> None:
        """Learn the committee of an epoch; only the newest three are kept."""
        self._epochs[start.epoch] = start.validators
        for old in [epoch for epoch in self._epochs if epoch < start.epoch - 2]:
            del self._epochs[old]

    def stop(self, reason: str) -> None:
        """Sign nothing more in this life."""
        self.stopped = self.stopped or reason

    def raise_floor(self, epoch: int, view: int) -> None:
        """Refuse everything at or below (epoch, view)."""
        self._guard.raise_floor(epoch, view)

    def vote(self, kind: VoteKind, epoch: int, view: int, block_hash: bytes) -> Vote:
        """Sign a vote. Raise `GuardRefused`, after which the signer has stopped."""
        key, validators, index = self._seat(epoch)
        with self._guarded():
            self._guard.admit(kind, epoch, view, block_hash)
        message = vote_bytes(self.chain_id, validators.hash, kind, epoch, view, block_hash)
        return Vote(kind, epoch, view, block_hash, index, key.sign(DOMAIN_VOTE, message))

    def complaint(self, epoch: int, view: int, block_hash: bytes, reason: ComplaintReason) -> Complaint:
        """Sign a complaint, one per view. Raise `GuardRefused`, after which the signer has stopped."""
        key, validators, index = self._seat(epoch)
        with self._guarded():
            self._guard.admit_complaint(epoch, view, block_hash, reason)
        message = complaint_bytes(self.chain_id, validators.hash, epoch, view, block_hash, reason)
        return Complaint(epoch, view, block_hash, reason, index, key.sign(DOMAIN_COMPLAINT, message))

    def record(self, record: RegionRecord, signed: bytes) -> tuple[bytes, bool]:
        """Sign a region's record; whether it is new. Raise `GuardRefused`, after which the signer has stopped."""
        key = self._key
        if key is None or self.stopped or self.held:
            raise GuardRefused("this node may not sign", found=self.stopped or self.held or "no key")
        with self._guarded():
            new = self._guard.admit_record((record.region, record.epoch, record.seq), bytes(record.id))
        return key.sign(DOMAIN_RECORD_SIGNATURE, signed), new

    def statement(self, signed: bytes) -> bytes:
        """Sign what a centre says of a record (its attestation). Raise `GuardRefused` where this node may not sign."""
        if self._key is None or self.stopped or self.held:
            raise GuardRefused("this node may not sign", found=self.stopped or self.held or "no key")
        return self._key.sign(DOMAIN_RECORD_SIGNATURE, signed)

    def _seat(self, epoch: int) -> tuple[SigningKey, ValidatorSet, int]:
        key, validators = self._key, self._epochs.get(epoch)
        index = None if key is None or validators is None else validators.index_of(key.public)
        closed = self.stopped or self.held
        if closed or key is None or validators is None or index is None:
            raise GuardRefused("this node may not sign", found=closed or f"no seat in epoch {epoch}")
        return key, validators, index

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except GuardRefused as refused:
            self.stop(f"double-sign-guard: {refused.message}")
            raise
