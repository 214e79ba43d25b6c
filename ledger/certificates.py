"""Votes and the certificates they add up to: Ed25519 signature lists.

What is signed: domain, then (chain_id, epoch, validators hash, kind, view, block hash). A certificate holds exactly the
votes of a quorum, ordered by index, none surplus: every changed byte is refused (consensus A.2).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec

from ledger.codec import Bytes32, Bytes64, Uint, Wire, encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, verify
from ledger.errors import ProofError
from ledger.validators import MAX_VALIDATORS, ValidatorSet


class VoteKind(IntEnum):
    """What a vote says about (epoch, view)."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


class Vote(Wire, frozen=True):
    """One signed statement. `block_hash` is all zeros for NULLIFY."""

    kind: VoteKind
    epoch: Uint
    view: Uint
    block_hash: Bytes32
    signer: Uint
    signature: Bytes64


class Certificate(Wire, frozen=True):
    """A quorum of equal votes: `signers` ascending, `signatures` in the same order, never more than seats."""

    kind: VoteKind
    epoch: Uint
    view: Uint
    block_hash: Bytes32
    signers: Annotated[tuple[Uint, ...], msgspec.Meta(max_length=MAX_VALIDATORS)]
    signatures: Annotated[tuple[Bytes64, ...], msgspec.Meta(max_length=MAX_VALIDATORS)]


class _Statement(Wire, frozen=True):
    chain_id: str
    epoch: Uint
    validators: Bytes32
    kind: VoteKind
    view: Uint
    block_hash: Bytes32


def vote_bytes(chain_id: str, validators: bytes, kind: VoteKind, epoch: int, view: int, block_hash: bytes) -> bytes:
    """The bytes that a vote signs, after the domain prefix `DOMAIN_VOTE`."""
    return encode(_Statement(chain_id, epoch, validators, kind, view, block_hash))


def verify_vote(vote: Vote, chain_id: str, validators: ValidatorSet) -> bool:
    """Tell whether a vote is by a member of `validators` and its signature holds."""
    if vote.signer >= len(validators) or (vote.kind is VoteKind.NULLIFY) != (vote.block_hash == ZERO_HASH):
        return False
    message = vote_bytes(chain_id, validators.hash, vote.kind, vote.epoch, vote.view, vote.block_hash)
    return verify(validators.validators[vote.signer].public_key, DOMAIN_VOTE, message, vote.signature)


def assemble(votes: list[Vote], validators: ValidatorSet) -> Certificate:
    """Make the certificate of verified, equal votes that reach the quorum: the fewest, lowest indexes first."""
    chosen: list[Vote] = []
    weight = 0
    for vote in sorted(votes, key=lambda v: (-validators.validators[v.signer].weight, v.signer)):
        if weight >= validators.quorum:
            break
        chosen.append(vote)
        weight += validators.validators[vote.signer].weight
    if weight < validators.quorum:
        raise ProofError("not enough votes for a certificate", expected=validators.quorum, found=weight)
    chosen.sort(key=lambda v: v.signer)
    first = chosen[0]
    return Certificate(
        first.kind,
        first.epoch,
        first.view,
        first.block_hash,
        tuple(v.signer for v in chosen),
        tuple(v.signature for v in chosen),
    )


def check_certificate(certificate: Certificate, chain_id: str, validators: ValidatorSet) -> None:
    """Raise `ProofError` unless exactly a quorum of distinct members of `validators` signed, in order."""
    signers = certificate.signers
    if len(signers) != len(certificate.signatures) or list(signers) != sorted(set(signers)):
        raise ProofError("signers must be distinct, ascending, one signature each")
    if (certificate.kind is VoteKind.NULLIFY) != (certificate.block_hash == ZERO_HASH):
        raise ProofError("a nullification names no block, every other certificate names one")
    if not signers or signers[-1] >= len(validators):
        raise ProofError("a signer outside the validator set", expected=f"below {len(validators)}", found=signers)
    weights = [validators.validators[signer].weight for signer in signers]
    if sum(weights) < validators.quorum:
        raise ProofError("less than a quorum", expected=validators.quorum, found=sum(weights))
    if sum(weights) - min(weights) >= validators.quorum:
        raise ProofError("surplus signatures", expected=validators.quorum, found=sum(weights))
    message = vote_bytes(
        chain_id, validators.hash, certificate.kind, certificate.epoch, certificate.view, certificate.block_hash
    )
    for signer, signature in zip(signers, certificate.signatures, strict=True):
        if not verify(validators.validators[signer].public_key, DOMAIN_VOTE, message, signature):
            raise ProofError("a signature in the certificate is bad", found=f"signer {signer}")
