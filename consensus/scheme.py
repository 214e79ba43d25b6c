"""How votes are checked and added up. An engine is given a scheme; a scheme cannot sign.

The core calls a scheme at most once for each vote, and lazily: when votes reach a quorum, when a vote decides
something by itself (a leader's proposal or nullification), or when two votes contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from consensus.messages import Complaint, ComplaintReason
from ledger.certificates import Certificate, Vote, assemble, check_certificate, verify_vote
from ledger.codec import Bytes32, Uint, Wire, encode
from ledger.crypto import Hash, domain, verify
from ledger.errors import ProofError
from ledger.validators import ValidatorSet

DOMAIN_COMPLAINT: Final = domain("complaint")


class _ComplaintStatement(Wire, frozen=True):
    chain_id: str
    epoch: Uint
    validators: Bytes32
    view: Uint
    block_hash: Bytes32
    reason: ComplaintReason


def complaint_bytes(
    chain_id: str, validators: Hash, epoch: int, view: int, block_hash: bytes, reason: ComplaintReason
) -> bytes:
    """The bytes that a complaint signs, after the domain prefix `DOMAIN_COMPLAINT`."""
    return encode(_ComplaintStatement(chain_id, epoch, validators, view, block_hash, reason))


class Scheme(Protocol):
    """Pure checks of one chain's votes. Committees are given with each call, since epochs change them."""

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        """Tell whether a member of `validators` signed `vote`."""
        ...

    def verify_complaint(self, complaint: Complaint, validators: ValidatorSet) -> bool:
        """Tell whether a member of `validators` signed `complaint`."""
        ...

    def verify_certificate(self, certificate: Certificate, validators: ValidatorSet) -> bool:
        """Tell whether exactly a quorum of `validators` signed, in canonical form (invariant I5)."""
        ...

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        """Make the certificate of verified, equal votes that reach the quorum."""
        ...


class Ed25519Scheme:
    """Signature lists over Ed25519 (`ledger.certificates`): 64 bytes and one verification for each signer."""

    __slots__ = ("_chain_id",)

    def __init__(self, chain_id: str) -> None:
        self._chain_id = chain_id

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        """See `Scheme`; about 70 us of libsodium."""
        return verify_vote(vote, self._chain_id, validators)

    def verify_complaint(self, complaint: Complaint, validators: ValidatorSet) -> bool:
        """See `Scheme`."""
        if complaint.signer >= len(validators):
            return False
        message = complaint_bytes(
            self._chain_id,
            validators.hash,
            complaint.epoch,
            complaint.view,
            complaint.block_hash,
            complaint.reason,
        )
        key = validators.validators[complaint.signer].public_key
        return verify(key, DOMAIN_COMPLAINT, message, complaint.signature)

    def verify_certificate(self, certificate: Certificate, validators: ValidatorSet) -> bool:
        """See `Scheme`; one verification for each signer."""
        try:
            check_certificate(certificate, self._chain_id, validators)
        except ProofError:
            return False
        return True

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        """See `Scheme`."""
        return assemble(list(votes), validators)
