"""Keyed-hash signatures: whoever has the world has every key, and only then does a signature mean nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

from consensus.messages import Complaint
from consensus.scheme import bisected, complaint_bytes, listed_votes
from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.crypto import ZERO_HASH, Hash
from ledger.errors import ProofError
from ledger.validators import ValidatorSet


def mock_sign(public_key: bytes, data: bytes) -> bytes:
    """64 bytes bound to a key and the data."""
    return hashlib.blake2b(data, key=public_key).digest()


class MockScheme:
    """The same rules as `Ed25519Scheme` at a fiftieth of the cost; many votes are compared in one operation."""

    __slots__ = ("_chain_id",)

    def __init__(self, chain_id: str) -> None:
        self._chain_id = chain_id

    def vote_bytes(self, kind: VoteKind, epoch: int, view: int, block_hash: bytes, validators: Hash) -> bytes:
        """What a vote signs."""
        return vote_bytes(self._chain_id, validators, kind, epoch, view, block_hash)

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        """See `Scheme`."""
        if vote.signer >= len(validators) or (vote.kind is VoteKind.NULLIFY) != (vote.block_hash == ZERO_HASH):
            return False
        data = self.vote_bytes(vote.kind, vote.epoch, vote.view, vote.block_hash, validators.hash)
        return mock_sign(validators.validators[vote.signer].public_key, data) == vote.signature

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        """See `Scheme`: the joined signatures are what they should be, or each half is."""
        one = votes[0]
        data = self.vote_bytes(one.kind, one.epoch, one.view, one.block_hash, validators.hash)
        keys = [v.public_key for v in validators.validators]
        owed = [mock_sign(keys[vote.signer], data) if vote.signer < len(keys) else b"" for vote in votes]
        shown = [vote.signature for vote in votes]
        return bisected(len(votes), lambda begin, end: b"".join(owed[begin:end]) == b"".join(shown[begin:end]))

    def verify_complaint(self, complaint: Complaint, validators: ValidatorSet) -> bool:
        """See `Scheme`."""
        if complaint.signer >= len(validators):
            return False
        data = complaint_bytes(
            self._chain_id,
            validators.hash,
            complaint.epoch,
            complaint.view,
            complaint.block_hash,
            complaint.reason,
        )
        return mock_sign(validators.validators[complaint.signer].public_key, data) == complaint.signature

    def verify_certificate(self, certificate: Certificate, validators: ValidatorSet) -> bool:
        """See `Scheme`; written apart from `ledger.certificates`, so that each checks the other."""
        signers = certificate.signers
        if len(signers) != len(certificate.signatures) or any(a >= b for a, b in pairwise(signers)):
            return False
        if not signers or signers[-1] >= len(validators):
            return False
        weights = [validators.validators[signer].weight for signer in signers]
        if sum(weights) < validators.quorum or sum(weights) - min(weights) >= validators.quorum:
            return False
        return all(self.verify_vote(vote, validators) for vote in listed_votes(certificate))

    def votes_of(self, certificate: Certificate) -> tuple[Vote, ...]:
        """See `Scheme`."""
        return listed_votes(certificate)

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        """See `Scheme`."""
        certificate = assemble(list(votes), validators)
        if not self.verify_certificate(certificate, validators):
            raise ProofError("assembled a certificate that does not verify")
        return certificate
