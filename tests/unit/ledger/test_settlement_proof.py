"""Proof files: they verify offline against either trust root, and no changed byte ever does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chain_world import ChainWorld, certify, committee
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.certificates import VoteKind
from ledger.codec import encode
from ledger.errors import DecodeError, GenesisError, ProofError
from ledger.finality import FinalityProof, verify_finality
from ledger.merkle import merkle_path, merkle_root
from ledger.objects import Receipt, decode_header, header_hash
from ledger.proof_export import build_finality, build_settlement, trust_root_at
from ledger.proofs import (
    SettlementProof,
    TrustRoot,
    decode_proof,
    encode_proof,
    merkle_sides,
    verify_merkle_path,
    verify_settlement,
)

REFUSED = (ProofError, DecodeError, GenesisError)


def grown_world() -> ChainWorld:
    """Two epochs, the first one ended through two closing blocks."""
    world = ChainWorld()
    world.commit(3)
    world.end_epoch([3, 4, 5, 6], closing=2)
    world.commit(2)
    return world


@pytest.fixture(scope="module")
def world() -> ChainWorld:
    return grown_world()


def export(world: ChainWorld, trust_height: int | None = None, receipt: tuple[int, int] = (2, 0)) -> bytes:
    with world.chain.view() as view:
        return build_settlement(view, world.chain.genesis, b"bill2", receipt, trust_height)


def test_from_genesis(world: ChainWorld) -> None:
    trust = TrustRoot(world.document.hash)
    found = verify_settlement(export(world), trust)
    assert (found.key, found.value) == (b"bill2", b"settled 2")
    assert (found.state_height, found.receipt_height, found.epochs) == (6, 2, 2)
    assert found.chain_id == world.document.chain_id
    assert found.receipt.scheduled
    assert isinstance(found.receipt, Receipt)
    assert found.state_block == world.chain.head_hash
    assert TrustRoot.parse(str(trust)) == trust


@pytest.mark.parametrize("height", [0, 1, 3, 4])
def test_from_a_known_block(world: ChainWorld, height: int) -> None:
    trust = trust_root_at(world.chain, height)
    assert TrustRoot.parse(str(trust)) == trust
    assert verify_settlement(export(world, height), trust).receipt_height == 2
    for other in (
        TrustRoot(trust.hash, height + 1),
        TrustRoot(b"\x01" * 32, height),
        TrustRoot(trust.hash),
        TrustRoot(world.document.hash),
    ):
        with pytest.raises(ProofError):
            verify_settlement(export(world, height), other)


def test_a_block_of_the_same_epoch_is_enough(world: ChainWorld) -> None:
    found = verify_settlement(export(world, 5, (6, 1)), trust_root_at(world.chain, 5))
    assert (found.epochs, found.receipt_height) == (1, 6)


def test_what_cannot_be_built(world: ChainWorld) -> None:
    with world.chain.view() as view:
        for key, receipt, height, code in (
            (b"bill2", (2, 0), 5, "TRUST_TOO_NEW"),
            (b"bill2", (2, 9), None, "NO_RECEIPT"),
            (b"bill2", (99, 0), None, "NO_RECEIPT"),
            (b"nothing", (2, 0), None, "NO_ENTRY"),
            (b"bill2", (2, 0), 99, "NOT_FINAL"),
        ):
            with pytest.raises(ProofError) as refused:
                build_settlement(view, world.chain.genesis, key, receipt, height)
            assert refused.value.code == code
    fresh = ChainWorld()
    with fresh.chain.view() as view, pytest.raises(ProofError) as early:
        build_settlement(view, fresh.chain.genesis, b"m\x05token", (0, 0))
    assert early.value.code == "NOT_FINAL"


def test_no_flipped_byte_verifies() -> None:
    world = ChainWorld(voters=1, transactions=2)
    world.commit(1)
    world.end_epoch([1, 2], closing=1)
    world.commit(1)
    trust = TrustRoot(world.document.hash)
    for raw in (export(world, None, (1, 1)), export(world, 0, (1, 1))):
        root = trust if raw == export(world, None, (1, 1)) else trust_root_at(world.chain, 0)
        verify_settlement(raw, root)
        for at in range(len(raw)):
            for flip in (1 << at % 8, 0xFF):
                with pytest.raises(REFUSED):
                    verify_settlement(raw[:at] + bytes((raw[at] ^ flip,)) + raw[at + 1 :], root)


def test_no_cut_or_longer_file_verifies(world: ChainWorld) -> None:
    raw, trust = export(world), TrustRoot(world.document.hash)
    for changed in (b"", raw[:-1], raw[:100], raw + b"\x00", raw + raw):
        with pytest.raises(REFUSED):
            verify_settlement(changed, trust)


Change = Callable[[SettlementProof], SettlementProof]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: replace(p, version=2),
        lambda p: replace(p, kind="other"),
        lambda p: replace(p, committees=p.committees[:1], boundaries=()),
        lambda p: replace(p, committees=p.committees[:1]),
        lambda p: replace(p, committees=p.committees[::-1]),
        lambda p: replace(p, committees=((), *p.committees[1:])),
        lambda p: replace(p, boundaries=(p.receipt.finality,)),
        lambda p: replace(p, boundaries=(*p.boundaries, p.boundaries[0])),
        lambda p: replace(p, state=replace(p.state, key=b"bill1")),
        lambda p: replace(p, state=replace(p.state, value=None)),
        lambda p: replace(p, state=replace(p.state, finality=p.boundaries[0])),
        lambda p: replace(p, receipt=replace(p.receipt, finality=p.state.finality)),
        lambda p: replace(p, receipt=replace(p.receipt, path=merkle_sides(b"", 0, 1, ()))),
        lambda p: replace(p, receipt=replace(p.receipt, path=replace(p.receipt.path, left=1 << 40))),
    ],
)
def test_no_rearranged_proof_verifies(world: ChainWorld, change: Change) -> None:
    raw, trust = export(world), TrustRoot(world.document.hash)
    changed = encode_proof(change(decode_proof(raw)))
    with pytest.raises(REFUSED):
        verify_settlement(changed, trust)


def test_surplus_committees_are_refused(world: ChainWorld) -> None:
    """A receipt and state of epoch 0 with the (true) history of epoch 1 attached."""
    early = ChainWorld()
    early.commit(3)
    first = decode_proof(export(early))
    later = decode_proof(export(world))
    mixed = replace(first, committees=later.committees, boundaries=later.boundaries)
    with pytest.raises(ProofError):
        verify_settlement(encode_proof(mixed), TrustRoot(world.document.hash))


def test_the_state_may_not_be_older_than_the_receipt(world: ChainWorld) -> None:
    early, late = ChainWorld(), ChainWorld()
    early.commit(2)
    late.commit(2)
    late.commit(1)
    old, new = decode_proof(export(early)), decode_proof(export(late, None, (3, 0)))
    with pytest.raises(ProofError) as refused:
        verify_settlement(encode_proof(replace(old, receipt=new.receipt)), TrustRoot(late.document.hash))
    assert "older" in refused.value.message


def test_finality_needs_a_chain_in_one_epoch(world: ChainWorld) -> None:
    chain_id, voters = world.document.chain_id, committee([1, 2, 3, 4])
    proof = build_finality(world.chain, 1)
    assert verify_finality(proof, chain_id, voters)[0].height == 1
    first, second, third = proof.headers
    other = build_finality(world.chain, 4)
    for headers in (
        (first, third),
        (first, second),
        (second, first, third),
        (first, first, second, third),
        (third, *other.headers[1:]),
        other.headers,
    ):
        with pytest.raises(ProofError):
            verify_finality(FinalityProof(headers, proof.certificate), chain_id, voters)
    for wrong_chain, wrong_voters in (("other", voters), (chain_id, committee([1, 2, 3]))):
        with pytest.raises(ProofError):
            verify_finality(proof, wrong_chain, wrong_voters)


def test_only_a_finalization_of_the_last_header_counts(world: ChainWorld) -> None:
    chain_id, numbers = world.document.chain_id, [1, 2, 3, 4]
    voters = committee(numbers)
    proof = build_finality(world.chain, 1)
    last = decode_header(proof.headers[-1])
    notarized = certify(chain_id, voters, numbers, last, VoteKind.NOTARIZE)
    later_view = certify(chain_id, voters, numbers, last)
    for certificate in (
        notarized,
        replace(later_view, view=last.view + 1),
        replace(later_view, signers=later_view.signers[:-1], signatures=later_view.signatures[:-1]),
        certify(chain_id, voters, numbers, decode_header(proof.headers[0])),
    ):
        with pytest.raises(ProofError):
            verify_finality(FinalityProof(proof.headers, certificate), chain_id, voters)


def test_closing_blocks_prove_their_boundary_block(world: ChainWorld) -> None:
    chain_id, voters = world.document.chain_id, committee([1, 2, 3, 4])
    proof = build_finality(world.chain, 4)
    assert len(proof.headers) == 3
    header, _ = verify_finality(proof, chain_id, voters)
    assert header.next_validators == committee([3, 4, 5, 6]).hash
    boundary, closing, last = (decode_header(raw) for raw in proof.headers)
    changed = replace(closing, state_root=b"\x01" * 32)
    relinked = replace(last, parent=header_hash(encode(changed)), state_root=changed.state_root)
    forged = FinalityProof(
        (encode(boundary), encode(changed), encode(relinked)), certify(chain_id, voters, [1, 2, 3, 4], relinked)
    )
    with pytest.raises(ProofError):
        verify_finality(forged, chain_id, voters)
    with pytest.raises(ProofError):
        verify_finality(FinalityProof(proof.headers[1:], proof.certificate), chain_id, voters)


@pytest.mark.parametrize("text", ["", "12", "zz", "5:", "x:" + "00" * 32, "-1:" + "00" * 32, "00" * 31])
def test_what_is_no_trust_root(text: str) -> None:
    with pytest.raises(ProofError):
        TrustRoot.parse(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=1), min_size=1, max_size=70), st.data())
def test_paths_with_sides(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root = merkle_root(leaves)
    path = merkle_sides(leaves[index], index, len(leaves), merkle_path(leaves, index))
    verify_merkle_path(path, leaves[index], root)
    with pytest.raises(ProofError):
        verify_merkle_path(path, leaves[index] + b"!", root)
    bit = data.draw(st.integers(0, len(path.siblings)))
    with pytest.raises(ProofError):
        verify_merkle_path(replace(path, left=path.left ^ 1 << bit), leaves[index], root)
