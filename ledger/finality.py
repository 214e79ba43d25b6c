"""Finality of a block, as a proof that travels: headers up to a certified one, and its certificate.

A finalization proves a block and all its ancestors of the same epoch (consensus A.5, A.7). Where the last block of an
epoch became final through closing blocks, their headers stand between it and the certificate.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from ledger.certificates import Certificate, VoteKind, check_certificate
from ledger.codec import Wire
from ledger.crypto import Hash
from ledger.errors import ProofError
from ledger.objects import Header, decode_header, header_hash
from ledger.validators import ValidatorSet

MAX_HEADERS = 4096


class FinalityProof(Wire, frozen=True):
    """`headers`: of heights h to final_by, then closing ones; the certificate finalizes the last of them."""

    headers: Annotated[tuple[bytes, ...], msgspec.Meta(min_length=1, max_length=MAX_HEADERS)]
    certificate: Certificate


def verify_finality(proof: FinalityProof, chain_id: str, validators: ValidatorSet) -> tuple[Header, Hash]:
    """Check that the first header is final under the committee of its epoch; return it and its hash.

    Raises `ProofError` (or `DecodeError` for bytes that are no header).
    """
    headers = [decode_header(raw) for raw in proof.headers]
    hashes = [header_hash(raw) for raw in proof.headers]
    first = headers[0]
    if first.chain_id != chain_id:
        raise ProofError("a header of another chain", expected=chain_id, found=first.chain_id)
    if first.validators != validators.hash:
        raise ProofError(
            "the header names another committee", expected=validators.hash.hex(), found=first.validators.hex()
        )
    if first.closing:
        raise ProofError("a closing block has no height of its own")
    for parent, parent_hash, child in zip(headers, hashes, headers[1:], strict=False):
        check_child(parent, parent_hash, child)
    certificate, last = proof.certificate, headers[-1]
    if certificate.kind is not VoteKind.FINALIZE or certificate.block_hash != hashes[-1]:
        raise ProofError("the certificate does not finalize the last header", found=certificate.block_hash.hex())
    if (certificate.epoch, certificate.view) != (last.epoch, last.view):
        raise ProofError(
            "the certificate is of another view",
            expected=(last.epoch, last.view),
            found=(certificate.epoch, certificate.view),
        )
    check_certificate(certificate, chain_id, validators)
    return first, hashes[0]


def check_child(parent: Header, parent_hash: bytes, child: Header) -> None:
    """Raise `ProofError` unless `child` may follow `parent` inside one epoch."""
    height = parent.height if child.closing else parent.height + 1
    linked = child.parent == parent_hash and child.height == height and child.parent_view == parent.view
    same = (child.chain_id, child.epoch, child.validators) == (parent.chain_id, parent.epoch, parent.validators)
    if not linked or not same or child.view <= parent.view or child.time_ms <= parent.time_ms:
        raise ProofError("the headers of a finality proof are not a chain in one epoch", found=child.height)
    if child.closing:
        if child.state_root != parent.state_root or child.next_validators != parent.next_validators:
            raise ProofError("a closing block carries its boundary block's state", found=child.height)
    elif parent.closing:
        raise ProofError("only closing blocks follow a closing block", found=child.height)
