"""The one quorum function against its golden table, and certificates that refuse every change."""

from __future__ import annotations

from itertools import combinations

import pytest
from chain_world import seeded_key
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.certificates import Certificate, Vote, VoteKind, assemble, check_certificate, verify_vote, vote_bytes
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH
from ledger.errors import DecodeError, GenesisError, ProofError
from ledger.validators import MAX_VALIDATORS, Validator, ValidatorSet, fault_bound, quorum

GOLDEN = dict(zip(range(1, 16), [1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10], strict=True)) | {50: 34, 150: 100}
CHAIN = "dev-test-0123"
BLOCK = b"\x22" * 32


@pytest.mark.parametrize(("total", "least"), GOLDEN.items())
def test_the_golden_table(total: int, least: int) -> None:
    assert quorum(total) == least


@given(st.integers(1, 10**12))
def test_two_quorums_share_an_honest_member_and_the_honest_reach_one(total: int) -> None:
    faulty, least = fault_bound(total), quorum(total)
    assert 3 * faulty < total <= 3 * (faulty + 1)
    assert 2 * least - total >= faulty + 1
    assert least <= total - faulty


def committee_of(weights: list[int]) -> ValidatorSet:
    return ValidatorSet(tuple(Validator(f"v{n}", seeded_key(n).public, w) for n, w in enumerate(weights, 1)))


def vote(voters: ValidatorSet, index: int, kind: VoteKind = VoteKind.FINALIZE, block: bytes = BLOCK) -> Vote:
    message = vote_bytes(CHAIN, voters.hash, kind, 2, 7, block)
    return Vote(kind, 2, 7, block, index, seeded_key(index + 1).sign(DOMAIN_VOTE, message))


def certificate_of(voters: ValidatorSet) -> Certificate:
    return assemble([vote(voters, index) for index in range(len(voters))], voters)


EQUAL = committee_of([1, 1, 1, 1])
WEIGHTED = committee_of([5, 1, 3, 2, 1])


@pytest.mark.parametrize("voters", [committee_of([1]), EQUAL, WEIGHTED])
def test_an_assembled_certificate_verifies(voters: ValidatorSet) -> None:
    certificate = certificate_of(voters)
    check_certificate(certificate, CHAIN, voters)
    assert list(certificate.signers) == sorted(certificate.signers)
    assert voters.weight_of(list(certificate.signers)) >= voters.quorum


@pytest.mark.parametrize("voters", [EQUAL, WEIGHTED])
def test_every_changed_byte_is_refused(voters: ValidatorSet) -> None:
    raw = encode(certificate_of(voters))
    for at in range(len(raw)):
        for flip in (1 << at % 8, 0x80):
            changed = raw[:at] + bytes((raw[at] ^ flip,)) + raw[at + 1 :]
            with pytest.raises((DecodeError, ProofError)):
                check_certificate(decode(Certificate, changed), CHAIN, voters)


def test_surplus_short_unordered_and_repeated_signatures() -> None:
    votes = [vote(EQUAL, index) for index in range(4)]
    full = Certificate(
        VoteKind.FINALIZE, 2, 7, BLOCK, tuple(v.signer for v in votes), tuple(v.signature for v in votes)
    )
    good = certificate_of(EQUAL)
    bad = [
        full,
        replace(good, signers=good.signers[:-1], signatures=good.signatures[:-1]),
        replace(good, signers=good.signers[::-1], signatures=good.signatures[::-1]),
        replace(good, signers=(0, 0, 1), signatures=(good.signatures[0], *good.signatures[:2])),
        replace(good, signatures=good.signatures[:-1]),
        replace(good, signatures=good.signatures[::-1]),
        replace(good, signers=(0, 1, 4)),
        replace(good, signers=(), signatures=()),
        replace(good, epoch=3),
        replace(good, view=8),
        replace(good, kind=VoteKind.NOTARIZE),
        replace(good, block_hash=ZERO_HASH),
        replace(good, kind=VoteKind.NULLIFY),
    ]
    for certificate in bad:
        with pytest.raises(ProofError):
            check_certificate(certificate, CHAIN, EQUAL)
    for chain, voters in (
        ("other", EQUAL),
        (CHAIN, committee_of([1, 1, 1, 1, 1])),
        (CHAIN, committee_of([2, 1, 1, 1])),
    ):
        with pytest.raises(ProofError):
            check_certificate(good, chain, voters)


def test_no_certificate_has_more_signers_than_a_committee_may_have_seats() -> None:
    good = certificate_of(EQUAL)
    wide = replace(good, signers=tuple(range(MAX_VALIDATORS)), signatures=good.signatures[:1] * MAX_VALIDATORS)
    assert decode(Certificate, encode(wide)) == wide
    for surplus in (
        replace(wide, signers=(*wide.signers, MAX_VALIDATORS)),
        replace(wide, signatures=(*wide.signatures, wide.signatures[0])),
    ):
        with pytest.raises(DecodeError):
            decode(Certificate, encode(surplus))
    seats = tuple(Validator("v", n.to_bytes(32, "big")) for n in range(MAX_VALIDATORS + 1))
    assert len(ValidatorSet(seats[:-1])) == MAX_VALIDATORS
    with pytest.raises(GenesisError):
        ValidatorSet(seats)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_weighted_sets_accept_exactly_the_minimal_quorums(weights: list[int]) -> None:
    voters = committee_of(weights)
    votes = [vote(voters, index) for index in range(len(weights))]
    for size in range(len(weights) + 1):
        for chosen in combinations(range(len(weights)), size):
            held = [weights[index] for index in chosen]
            certificate = Certificate(
                VoteKind.FINALIZE, 2, 7, BLOCK, chosen, tuple(votes[index].signature for index in chosen)
            )
            minimal = bool(held) and sum(held) >= voters.quorum > sum(held) - min(held)
            if minimal:
                check_certificate(certificate, CHAIN, voters)
            else:
                with pytest.raises(ProofError):
                    check_certificate(certificate, CHAIN, voters)


def test_votes_below_a_quorum_make_no_certificate() -> None:
    with pytest.raises(ProofError) as refused:
        assemble([vote(EQUAL, 0), vote(EQUAL, 1)], EQUAL)
    assert (refused.value.expected, refused.value.found) == (3, 2)


def test_single_votes() -> None:
    good = vote(EQUAL, 2)
    assert verify_vote(good, CHAIN, EQUAL)
    nullify = vote(EQUAL, 2, VoteKind.NULLIFY, ZERO_HASH)
    assert verify_vote(nullify, CHAIN, EQUAL)
    for bad in (
        replace(good, signer=1),
        replace(good, signer=4),
        replace(good, view=8),
        replace(good, kind=VoteKind.NOTARIZE),
        replace(good, block_hash=ZERO_HASH),
        replace(nullify, block_hash=BLOCK),
        replace(good, signature=bytes(64)),
    ):
        assert not verify_vote(bad, CHAIN, EQUAL)


def test_sets_that_are_none() -> None:
    one = Validator("a", seeded_key(1).public)
    for members in ((), (one, replace(one, name="b")), (replace(one, weight=0),)):
        with pytest.raises(GenesisError):
            ValidatorSet(members)
    assert EQUAL.index_of(seeded_key(2).public) == 1
    assert EQUAL.index_of(bytes(32)) is None
