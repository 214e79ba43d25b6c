"""The guard refuses every pair of votes that no honest member signs, in one life and across lives."""

from __future__ import annotations

import itertools

import pytest

from consensus.engine import EpochStart, WalRecovery
from consensus.messages import ComplaintReason, Proposal
from consensus.scheme import Ed25519Scheme
from ledger.certificates import Vote, VoteKind, verify_vote
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash, SigningKey
from ledger.objects import Header, header_hash
from ledger.validators import Validator, ValidatorSet
from node.signer import GuardRefused, Signer

KEY = SigningKey(b"\x07" * 32)
CHAIN = "dev-guard-00"
COMMITTEE = ValidatorSet((Validator("other", SigningKey(b"\x08" * 32).public), Validator("own", KEY.public)))
A, B = b"\xaa" * 32, b"\xbb" * 32


def header(view: int = 1) -> Header:
    zero = bytes(32)
    return Header(
        1, CHAIN, 1, view, 1, 10, zero, 0, False, zero, 0, zero, zero, COMMITTEE.hash, COMMITTEE.hash, zero, KEY.public
    )


def signer(recovery: WalRecovery | None = None, held: str = "") -> Signer:
    made = Signer(KEY, CHAIN, recovery or WalRecovery(), held)
    made.begin_epoch(EpochStart(1, header(), Hash(A), COMMITTEE, (0, 1)))
    return made


NOTARIZE_A = (VoteKind.NOTARIZE, A)
NOTARIZE_B = (VoteKind.NOTARIZE, B)
NULLIFY = (VoteKind.NULLIFY, ZERO_HASH)
FINALIZE_A = (VoteKind.FINALIZE, A)
FINALIZE_B = (VoteKind.FINALIZE, B)
ALL = (NOTARIZE_A, NOTARIZE_B, NULLIFY, FINALIZE_A, FINALIZE_B)
ALLOWED = {
    (NOTARIZE_A, NULLIFY),
    (NOTARIZE_B, NULLIFY),
    (NOTARIZE_A, FINALIZE_A),
    (NOTARIZE_B, FINALIZE_B),
    (FINALIZE_A, NOTARIZE_A),
    (FINALIZE_B, NOTARIZE_B),
    (NOTARIZE_A, FINALIZE_B),  # the engine's business: the guard judges per kind, as consensus A.6 lists
    (NOTARIZE_B, FINALIZE_A),
    (FINALIZE_A, NOTARIZE_B),
    (FINALIZE_B, NOTARIZE_A),
    *((same, same) for same in ALL),
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("first", "second"), list(itertools.product(ALL, ALL)))
def test_every_pair_in_one_view(first: tuple[VoteKind, bytes], second: tuple[VoteKind, bytes], restart: bool) -> None:
    own = signer()
    vote = own.vote(first[0], 1, 5, first[1])
    assert verify_vote(vote, CHAIN, COMMITTEE)
    if restart:
        own = signer(WalRecovery(votes=(vote,)))
    if (first, second) in ALLOWED:
        own.vote(second[0], 1, 5, second[1])
        assert own.stopped == ""
    else:
        with pytest.raises(GuardRefused):
            own.vote(second[0], 1, 5, second[1])
        assert own.stopped.startswith("double-sign-guard")
        with pytest.raises(GuardRefused):
            own.vote(VoteKind.NULLIFY, 1, 6, ZERO_HASH)


def test_a_recovered_proposal_is_a_notarize_vote() -> None:
    raw = encode(header(view=5))
    proposal = Proposal(raw, bytes(64), (), (), b"", ())
    own = signer(WalRecovery(proposals=(proposal,)))
    assert own.vote(VoteKind.NOTARIZE, 1, 5, header_hash(raw)).block_hash == header_hash(raw)
    with pytest.raises(GuardRefused):
        own.vote(VoteKind.NOTARIZE, 1, 5, A)


@pytest.mark.parametrize("place", [(1, 1), (1, 7), (0, 99)])
def test_nothing_at_or_below_the_floor(place: tuple[int, int]) -> None:
    own = signer(WalRecovery(floor=(1, 7)))
    with pytest.raises(GuardRefused):
        own.vote(VoteKind.NULLIFY, *place, ZERO_HASH)
    above = signer(WalRecovery(floor=(1, 7)))
    above.vote(VoteKind.NULLIFY, 1, 8, ZERO_HASH)
    above.raise_floor(1, 8)
    with pytest.raises(GuardRefused):
        above.vote(VoteKind.NULLIFY, 1, 8, ZERO_HASH)


def test_a_held_node_signs_nothing() -> None:
    own = signer(held="WAL_MISSING")
    with pytest.raises(GuardRefused):
        own.vote(VoteKind.NOTARIZE, 1, 1, A)


def test_a_stranger_to_the_committee_signs_nothing() -> None:
    own = Signer(SigningKey(b"\x09" * 32), CHAIN, WalRecovery())
    own.begin_epoch(EpochStart(1, header(), Hash(A), COMMITTEE, (0, 1)))
    with pytest.raises(GuardRefused):
        own.vote(VoteKind.NOTARIZE, 1, 1, A)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("other", [(B, ComplaintReason.INVALID), (A, ComplaintReason.TIMEOUT)])
def test_one_complaint_in_a_view(other: tuple[bytes, ComplaintReason], restart: bool) -> None:
    own = signer()
    complaint = own.complaint(1, 5, A, ComplaintReason.INVALID)
    assert Ed25519Scheme(CHAIN).verify_complaint(complaint, COMMITTEE)
    if restart:
        own = signer(WalRecovery(complaints=(complaint,)))
    assert own.complaint(1, 5, A, ComplaintReason.INVALID) == complaint
    own.complaint(1, 6, *other)
    with pytest.raises(GuardRefused):
        own.complaint(1, 5, *other)
    assert own.stopped.startswith("double-sign-guard")


def test_no_complaint_below_the_floor_nor_while_held() -> None:
    with pytest.raises(GuardRefused):
        signer(WalRecovery(floor=(1, 7))).complaint(1, 7, A, ComplaintReason.TIMEOUT)
    with pytest.raises(GuardRefused):
        signer(held="WAL_MISSING").complaint(1, 1, A, ComplaintReason.TIMEOUT)


def test_recovered_votes_verify_again() -> None:
    vote = signer().vote(VoteKind.FINALIZE, 1, 3, A)
    again = signer(WalRecovery(votes=(vote,))).vote(VoteKind.FINALIZE, 1, 3, A)
    assert again == vote
    assert isinstance(again, Vote)
