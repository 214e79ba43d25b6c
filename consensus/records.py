"""What a node writes to its log and signs: the records inside `Publish`, and what the log gives back to a new life.

The names are also those of `consensus.engine`, where the contract that they belong to is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from consensus.messages import Complaint, ComplaintReason, Part, Proposal
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import Hash


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """Header and full body as bytes: what must be durable under the same sync as a NOTARIZE vote for it."""

    hash: Hash
    header_bytes: bytes
    body_bytes: bytes


@dataclass(frozen=True, slots=True)
class WalRecovery:
    """Everything of the log that still matters, in the order it was written; views at or below `floor` are left out.

    `floor`: (epoch, view) below and at which nothing may be signed any more. `held`: the amnesia guard is set, the node
    observes and does not vote. `region_records`: (region, epoch, seq, id) of the newest regional records that were
    signed, whatever the floor.
    """

    votes: tuple[Vote, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    blocks: tuple[StoredBlock, ...] = ()
    floor: tuple[int, int] = (0, 0)
    held: bool = False
    complaints: tuple[Complaint, ...] = ()
    region_records: tuple[tuple[str, int, int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class SignVote:
    """Sign, log and broadcast a vote. `block` is set for NOTARIZE: its body goes into the log before the vote."""

    kind: VoteKind
    epoch: int
    view: int
    block_hash: Hash
    block: StoredBlock | None = None


@dataclass(frozen=True, slots=True)
class SignProposal:
    """Sign (as a NOTARIZE vote), log with its body, and broadcast a proposal."""

    epoch: int
    view: int
    block: StoredBlock
    transaction_ids: tuple[Hash, ...]
    prefill: tuple[Part, ...]
    extra: bytes
    justification: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class SignComplaint:
    """Sign, log and broadcast a complaint: one per (signer, view), over all lives."""

    epoch: int
    view: int
    block_hash: Hash
    reason: ComplaintReason


@dataclass(frozen=True, slots=True)
class LogCertificate:
    """Append a certificate to the log (unsynced by itself): no vote is durable without what led to it."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class LogBlock:
    """Append a block's bytes to the log without a vote (a notarised block fetched later)."""

    block: StoredBlock


@dataclass(frozen=True, slots=True)
class LiftHold:
    """The amnesia guard is satisfied: write `floor`, then remove the hold."""

    epoch: int
    floor_view: int


@dataclass(frozen=True, slots=True)
class SetHold:
    """A peer showed a vote of ours that our log lacks: write the durable hold marker, sign nothing more."""

    reason: str


Record: TypeAlias = SignVote | SignProposal | SignComplaint | LogCertificate | LogBlock | LiftHold | SetHold
