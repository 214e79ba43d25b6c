"""How votes are checked and added up. An engine is given a scheme; a scheme cannot sign.

The core shows a scheme each vote at most once, and lazily: all of a tally together when it reaches a quorum
(`Scheme.forged`), else one alone, when it decides something by itself (a leader's proposal or nullification), when it
contradicts another, or before it is passed on. How a scheme finds the forgeries among many is its own affair: a list of
signatures looks at each; one that checks many in one operation halves what fails (`bisected`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from consensus.messages import Complaint, ComplaintReason
from ledger.certificates import Certificate, Vote, assemble, check_certificate, verify_vote, vote_bytes
from ledger.codec import Bytes32, Uint, Wire, encode
from ledger.crypto import DOMAIN_VOTE, Hash, domain, verify
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

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        """Positions, ascending, of the votes that no member of `validators` signed. All say the same: they differ in
        signer and signature only."""
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

    def votes_of(self, certificate: Certificate) -> tuple[Vote, ...]:
        """The single votes that a verified certificate still shows, as evidence against their signers; none if the
        scheme melts them into one."""
        ...


def listed_votes(certificate: Certificate) -> tuple[Vote, ...]:
    """The votes of a certificate that lists one signature for each signer."""
    kind, epoch, view, block_hash = certificate.kind, certificate.epoch, certificate.view, certificate.block_hash
    pairs = zip(certificate.signers, certificate.signatures, strict=True)
    return tuple(Vote(kind, epoch, view, block_hash, signer, signature) for signer, signature in pairs)


def bisected(count: int, holds: Callable[[int, int], bool]) -> tuple[int, ...]:
    """Positions of the bad ones among `count`, ascending. `holds(begin, end)`: whether all of [begin, end) are good.

    All good: one call. One bad: at most 1 + 2 log2(count). A half is not asked about when its sibling has held: the
    fault of the whole must be in it.
    """
    bad: list[int] = []
    waiting = [(0, count, False)] if count else []
    while waiting:
        begin, end, failed = waiting.pop()
        if not failed and holds(begin, end):
            continue
        if end - begin == 1:
            bad.append(begin)
            continue
        middle = (begin + end) // 2
        if holds(begin, middle):
            waiting.append((middle, end, True))
        else:
            waiting += ((middle, end, False), (begin, middle, True))
    return tuple(bad)


class Ed25519Scheme:
    """Signature lists over Ed25519 (`ledger.certificates`): 64 bytes and one verification for each signer.

    libsodium has no check of many signatures at once, so nothing is halved here: each vote is looked at once, which
    for any number of forgeries is as many verifications as for none.
    """

    __slots__ = ("_chain_id",)

    def __init__(self, chain_id: str) -> None:
        self._chain_id = chain_id

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        """See `Scheme`; about 70 us of libsodium."""
        return verify_vote(vote, self._chain_id, validators)

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        """See `Scheme`; the statement is encoded once."""
        if not votes:
            return ()
        one = votes[0]
        message = vote_bytes(self._chain_id, validators.hash, one.kind, one.epoch, one.view, one.block_hash)
        keys = [validator.public_key for validator in validators.validators]
        return tuple(
            position
            for position, vote in enumerate(votes)
            if vote.signer >= len(keys) or not verify(keys[vote.signer], DOMAIN_VOTE, message, vote.signature)
        )

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

    def votes_of(self, certificate: Certificate) -> tuple[Vote, ...]:
        """See `Scheme`; all of them."""
        return listed_votes(certificate)
