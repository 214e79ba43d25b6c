"""The operators' word that a chain may go on after too many nodes lost their logs (consensus A.6).

A node that may have forgotten votes observes until a quorum of others shows that it cannot contradict itself. If more
than n - q are held at once there is no such quorum, and nothing in the protocol may decide: their operators do. A
quorum of the committee's keys signs that `head` is the last final block, and that nobody has voted above `view` of its
epoch. Every node that is given the certificate goes on in `view` + 1, on that head, and forgets what was between.

The signers promise what no program can know. A block above `head` that is final somewhere forks the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from ledger.codec import Bytes32, Bytes64, Uint, Wire, encode
from ledger.crypto import SigningKey, domain, verify
from ledger.errors import ProofError
from ledger.validators import MAX_VALIDATORS, ValidatorSet

DOMAIN_RESTART: Final = domain("restart")


class RestartStatement(Wire, frozen=True):
    """What is signed. `epoch`: the one that the block after `head` belongs to; `validators`: hash of its committee;
    `view`: nobody has voted above it in that epoch; `height` and `head`: of the last final block."""

    chain_id: str
    epoch: Uint
    validators: Bytes32
    view: Uint
    height: Uint
    head: Bytes32


class RestartShare(Wire, frozen=True):
    """One member's signature."""

    statement: RestartStatement
    signer: Uint
    signature: Bytes64


class RestartCertificate(Wire, frozen=True):
    """Signatures of a quorum, `signers` ascending."""

    statement: RestartStatement
    signers: Annotated[tuple[Uint, ...], msgspec.Meta(min_length=1, max_length=MAX_VALIDATORS)]
    signatures: Annotated[tuple[Bytes64, ...], msgspec.Meta(min_length=1, max_length=MAX_VALIDATORS)]


def sign_restart(statement: RestartStatement, validators: ValidatorSet, key: SigningKey) -> RestartShare:
    """Sign as a member of `validators`. Raise `ProofError` for a stranger."""
    signer = validators.index_of(key.public)
    if signer is None:
        raise ProofError("this key has no seat in the committee", code="NOT_A_VALIDATOR", found=key.public.hex())
    return RestartShare(statement, signer, key.sign(DOMAIN_RESTART, encode(statement)))


def combine_restart(shares: Sequence[RestartShare], validators: ValidatorSet) -> RestartCertificate:
    """Make the certificate of shares that say the same. Raise `ProofError` if they do not, are forged, or too few."""
    statements = {share.statement for share in shares}
    if len(statements) != 1:
        raise ProofError(
            "the signatures are for different restarts",
            code="RESTART_DIFFERS",
            expected="one epoch, view and head",
            found=[f"epoch {s.epoch}, view {s.view}, block {s.height} {s.head.hex()[:16]}" for s in statements],
            fix="agree on the greatest view that `sign` suggests, and sign that everywhere",
        )
    by_signer = {share.signer: share.signature for share in shares}
    signers = tuple(sorted(by_signer))
    certificate = RestartCertificate(statements.pop(), signers, tuple(by_signer[signer] for signer in signers))
    check_restart(certificate, certificate.statement.chain_id, validators)
    return certificate


def check_restart(certificate: RestartCertificate, chain_id: str, validators: ValidatorSet) -> None:
    """Raise `ProofError` unless a quorum of `validators` signed, each once, in order."""
    statement, signers = certificate.statement, certificate.signers
    if (statement.chain_id, statement.validators) != (chain_id, validators.hash):
        raise ProofError(
            "a restart of another chain or committee",
            code="RESTART_FOREIGN",
            expected=f"{chain_id}, committee {validators.hash.hex()[:16]}",
            found=f"{statement.chain_id}, committee {statement.validators.hex()[:16]}",
        )
    ordered = list(signers) == sorted(set(signers)) and signers[-1] < len(validators)
    if not ordered or len(signers) != len(certificate.signatures):
        raise ProofError("signers must be members, distinct, ascending, one signature each", code="RESTART_SIGNERS")
    message = encode(statement)
    for signer, signature in zip(signers, certificate.signatures, strict=True):
        if not verify(validators.validators[signer].public_key, DOMAIN_RESTART, message, signature):
            name = validators.validators[signer].name
            raise ProofError(f"the signature of {name} does not hold", code="RESTART_SIGNATURE", found=name)
    weight = validators.weight_of(list(signers))
    if weight < validators.quorum:
        raise ProofError(
            "too few have signed the restart", code="RESTART_QUORUM", expected=validators.quorum, found=weight,
            fix="collect the signatures of more members",
        )  # fmt: skip


def restart_fault(statement: RestartStatement, epoch: int, height: int, head: bytes) -> str:
    """Why a restart is not for a chain that stands at this head, in this epoch; "" if it is."""
    if statement.epoch != epoch:
        return f"it is for epoch {statement.epoch}, the chain is in epoch {epoch}"
    if (statement.height, statement.head) != (height, head):
        return f"it is for block {statement.height} {statement.head.hex()[:16]}, the head is {height} {head.hex()[:16]}"
    return ""
