"""Keyed-hash signatures: whoever has the world has every key, and only then does a signature mean nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from consensus.messages import Complaint
from consensus.scheme import Ed25519Scheme, Scheme, bisected, complaint_bytes, listed_votes
from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.crypto import ZERO_HASH, Hash
from ledger.errors import ProofError
from ledger.validators import ValidatorSet

LARGE_COMMITTEE: Final = 20
"""From so many members on, verdicts on signatures are remembered: all members check the same ones."""
MOST_REMEMBERED: Final = 100_000


def scheme_of(chain_id: str, members: int, real: bool) -> Scheme:
    """The scheme of a world: `real` Ed25519 or keyed hashes."""
    scheme: Scheme = Ed25519Scheme(chain_id) if real else MockScheme(chain_id)
    return RememberingScheme(scheme) if members >= LARGE_COMMITTEE else scheme


def mock_sign(public_key: bytes, data: bytes) -> bytes:
    """64 bytes bound to a key and the data."""
    return hashlib.blake2b(data, key=public_key).digest()


def well_formed(certificate: Certificate, validators: ValidatorSet) -> bool:
    """Whether a certificate lists exactly a quorum in canonical form, whatever its signatures are."""
    signers = certificate.signers
    if len(signers) != len(certificate.signatures) or any(a >= b for a, b in pairwise(signers)):
        return False
    if not signers or signers[-1] >= len(validators):
        return False
    weights = [validators.validators[signer].weight for signer in signers]
    if sum(weights) < validators.quorum or sum(weights) - min(weights) >= validators.quorum:
        return False
    return (certificate.kind is VoteKind.NULLIFY) == (certificate.block_hash == ZERO_HASH)


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
        if not well_formed(certificate, validators):
            return False
        of = certificate
        data = self.vote_bytes(of.kind, of.epoch, of.view, of.block_hash, validators.hash)
        keys = [validators.validators[signer].public_key for signer in of.signers]
        return all(mock_sign(key, data) == shown for key, shown in zip(keys, certificate.signatures, strict=True))

    def votes_of(self, certificate: Certificate) -> tuple[Vote, ...]:
        """See `Scheme`."""
        return listed_votes(certificate)

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        """See `Scheme`."""
        certificate = assemble(list(votes), validators)
        if not self.verify_certificate(certificate, validators):
            raise ProofError("assembled a certificate that does not verify")
        return certificate


class RememberingScheme:
    """Another scheme, which is pure, with its verdicts on votes and certificates: what one member of a large committee
    has checked, the next 149 need not compute again.

    A certificate of votes that are all known to be good, for a statement of which the scheme has accepted a certificate
    before, is judged by its form alone.
    """

    __slots__ = ("_certified", "_scheme", "_verdicts")

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._verdicts: dict[tuple[Vote, Hash], bool] = {}
        self._certified: set[tuple[VoteKind, int, int, bytes, Hash]] = set()

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        """See `Scheme`."""
        key = (vote, validators.hash)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._remember(key, self._scheme.verify_vote(vote, validators))
        return verdict

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        """See `Scheme`; votes that nobody has asked about are looked at together."""
        fresh = [vote for vote in votes if (vote, validators.hash) not in self._verdicts]
        bad = set(self._scheme.forged(fresh, validators)) if fresh else set()
        for position, vote in enumerate(fresh):
            self._remember((vote, validators.hash), position not in bad)
        return tuple(position for position, vote in enumerate(votes) if not self.verify_vote(vote, validators))

    def verify_complaint(self, complaint: Complaint, validators: ValidatorSet) -> bool:
        """See `Scheme`."""
        return self._scheme.verify_complaint(complaint, validators)

    def verify_certificate(self, certificate: Certificate, validators: ValidatorSet) -> bool:
        """See `Scheme` and above."""
        statement = (certificate.kind, certificate.epoch, certificate.view, certificate.block_hash, validators.hash)
        if statement in self._certified and well_formed(certificate, validators):
            known = (self._verdicts.get((vote, validators.hash), False) for vote in listed_votes(certificate))
            if all(known):
                return True
        good = self._scheme.verify_certificate(certificate, validators)
        if good:
            self._certified.add(statement)
            for vote in listed_votes(certificate):
                self._remember((vote, validators.hash), True)
        return good

    def votes_of(self, certificate: Certificate) -> tuple[Vote, ...]:
        """See `Scheme`."""
        return self._scheme.votes_of(certificate)

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        """See `Scheme`."""
        return assemble(list(votes), validators)

    def _remember(self, key: tuple[Vote, Hash], verdict: bool) -> bool:
        if len(self._verdicts) >= MOST_REMEMBERED:
            self._verdicts.clear()
            self._certified.clear()
        self._verdicts[key] = verdict
        return verdict
