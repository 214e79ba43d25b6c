"""The settlement proof file: everything to check one settlement offline, against one trust root.

A file shows that a state entry (a bill, a settlement) has its value under the state root of a final block, and that a
receipt is under the receipts root of a final block. Blocks are final by certificates of their epoch's committee;
committees follow from the trust root by the final boundary block of each epoch, none skipped (consensus A.7). The trust
root is the genesis hash, or height and hash of a block that the verifier knows from elsewhere.

On a chain that continues another (`ledger.succession`), what is known from elsewhere is the genesis of the centres'
chain: the file shows there that the chain was opened, with which committee. That is version 2.

The format is one `SettlementProof` in the canonical codec (MessagePack arrays), frozen: golden vectors hold it. No
field can change without the proof failing, so there is exactly one file for one proof. Building is in
`ledger.proof_export`; nothing here needs a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from ledger.codec import Bytes32, Wire, decode, encode
from ledger.crypto import Hash
from ledger.errors import GenesisError, ProofError
from ledger.finality import FinalityProof, verify_finality
from ledger.genesis import GenesisSummary
from ledger.merkle import leaf_hash, node_hash
from ledger.objects import Header, Receipt, decode_header, header_hash
from ledger.shard_genesis import GLOBAL_ENGINE, check_chain_genesis
from ledger.state_proof import StateProof, verify_state_proof
from ledger.succession import Opening, opening_key
from ledger.validators import Validator, ValidatorSet

PROOF_KIND = "gridchain-settlement-proof"
PROOF_VERSION = 1
SUCCESSOR_VERSION = 2
MAX_PROOF_BYTES = 16 * 1024 * 1024
MAX_EPOCHS = 65_536
FIRST_EPOCH = 1
"""Genesis closes epoch 0; its committee votes in epoch 1."""

Committee = tuple[Validator, ...]


class MerklePath(Wire, frozen=True):
    """Audit path with sides instead of positions, since a position is not bound by the root.

    `siblings`: from the leaf upwards; bit i of `left` is set if sibling i stands on the left. One that equals its
    partner counts as standing on the right, so that there is one path for one leaf.
    """

    left: Annotated[int, msgspec.Meta(ge=0)]
    siblings: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=63)]


class StateClaim(Wire, frozen=True):
    """`key` has `value` (None: is absent) under the state root of the first header of `finality`."""

    finality: FinalityProof
    key: Annotated[bytes, msgspec.Meta(max_length=4096)]
    value: bytes | None
    proof: StateProof


class ReceiptClaim(Wire, frozen=True):
    """`receipt` is under the receipts root of the first header of `finality`."""

    finality: FinalityProof
    receipt: bytes
    path: MerklePath


class OpeningClaim(Wire, frozen=True):
    """That the centres have opened a chain. `start`: the genesis summary of the centres' chain, whose `committees` and
    `boundaries` are as in `SettlementProof`; `state`: the opening under it."""

    start: bytes
    committees: Annotated[tuple[Committee, ...], msgspec.Meta(min_length=1, max_length=MAX_EPOCHS)]
    boundaries: Annotated[tuple[FinalityProof, ...], msgspec.Meta(max_length=MAX_EPOCHS)]
    state: StateClaim


class SettlementProof(Wire, frozen=True):
    """The file. `start` is the genesis summary or, with `from_header`, the header of a trusted block; in version 2 it
    is an `OpeningClaim`.

    `committees`: of the start's epoch and of each epoch after it; `boundaries[i]` makes the block final that ends the
    epoch of `committees[i]` and names `committees[i + 1]`.
    """

    kind: str
    version: int
    from_header: bool
    start: bytes
    committees: Annotated[tuple[Committee, ...], msgspec.Meta(min_length=1, max_length=MAX_EPOCHS)]
    boundaries: Annotated[tuple[FinalityProof, ...], msgspec.Meta(max_length=MAX_EPOCHS)]
    state: StateClaim
    receipt: ReceiptClaim


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """What the verifier knows from elsewhere: the genesis hash (`height` None), or a block's height and hash."""

    hash: bytes
    height: int | None = None

    @classmethod
    def parse(cls, text: str) -> TrustRoot:
        """Read a genesis hash in hex, or HEIGHT:HASH. Raise `ProofError`."""
        head, colon, tail = text.partition(":")
        try:
            digest = bytes.fromhex((tail if colon else head).removeprefix("0x"))
            height = int(head) if colon else None
        except ValueError:
            digest, height = b"", None
        if len(digest) != 32 or (height is not None and height < 0):
            raise ProofError("not a trust root", expected="a genesis hash of 64 hex digits, or HEIGHT:HASH", found=text)
        return cls(digest, height)

    def __str__(self) -> str:
        return self.hash.hex() if self.height is None else f"{self.height}:{self.hash.hex()}"


@dataclass(frozen=True, slots=True)
class VerifiedSettlement:
    """What a proof file shows. Heights and block times (ms) of the blocks that the claims are under."""

    chain_id: str
    trust: TrustRoot
    key: bytes
    value: bytes | None
    state_height: int
    state_time_ms: int
    state_block: Hash
    receipt: Receipt
    receipt_height: int
    receipt_time_ms: int
    receipt_block: Hash
    epochs: int


def encode_proof(proof: SettlementProof) -> bytes:
    """The bytes of a proof file."""
    return encode(proof)


def decode_proof(raw: bytes) -> SettlementProof:
    """Read a proof file; proves nothing yet. Raise `DecodeError` or `ProofError`."""
    proof = decode(SettlementProof, raw, limit=MAX_PROOF_BYTES)
    if proof.kind != PROOF_KIND or proof.version not in (PROOF_VERSION, SUCCESSOR_VERSION):
        raise ProofError(
            "not a settlement proof of this version",
            expected=f"{PROOF_KIND} {PROOF_VERSION} or {SUCCESSOR_VERSION}",
            found=f"{proof.kind} {proof.version}",
        )
    return proof


def verify_settlement(raw: bytes, trust: TrustRoot) -> VerifiedSettlement:
    """Check a proof file against a trust root. Raise `ProofError` or `DecodeError` unless everything in it holds."""
    proof = decode_proof(raw)
    committees = _committees(proof)
    chain_id, epoch = _start(proof, trust, committees[0])
    _check_boundaries(proof, chain_id, epoch, committees)
    state_header, state_block = _final(proof.state.finality, chain_id, epoch, committees)
    receipt_header, receipt_block = _final(proof.receipt.finality, chain_id, epoch, committees)
    if state_header.height < receipt_header.height:
        raise ProofError(
            "the state is older than the receipt",
            expected=f"{receipt_header.height} or later",
            found=state_header.height,
        )
    if state_header.epoch != epoch + len(committees) - 1:
        raise ProofError("committees beyond the state's epoch", expected=state_header.epoch, found=len(committees))
    verify_state_proof(proof.state.proof, state_header.state_root, proof.state.key, proof.state.value)
    verify_merkle_path(proof.receipt.path, proof.receipt.receipt, receipt_header.receipts_root)
    return VerifiedSettlement(
        chain_id,
        trust,
        proof.state.key,
        proof.state.value,
        state_header.height,
        state_header.time_ms,
        state_block,
        decode(Receipt, proof.receipt.receipt),
        receipt_header.height,
        receipt_header.time_ms,
        receipt_block,
        len(committees),
    )


def named_genesis(raw: bytes) -> Hash | None:
    """The genesis hash that a proof file begins with, which says nothing until it is trusted; None if it begins with a
    block. Raise as `decode_proof`."""
    proof = decode_proof(raw)
    if proof.from_header:
        return None
    start = proof.start
    if proof.version == SUCCESSOR_VERSION:
        start = decode(OpeningClaim, start, limit=MAX_PROOF_BYTES).start
    return decode(GenesisSummary, start, limit=MAX_PROOF_BYTES).hash


def merkle_sides(leaf: bytes, index: int, size: int, siblings: Sequence[bytes]) -> MerklePath:
    """Turn the audit path of leaf `index` of `size` (RFC 6962), whose data is `leaf`, into one with sides."""
    left, at, last = 0, 0, size - 1
    digest = leaf_hash(leaf)
    while last:
        if index & 1 or index != last:
            sibling = siblings[at]
            left |= (index & 1 and sibling != digest) << at
            digest = node_hash(sibling, digest) if index & 1 else node_hash(digest, sibling)
            at += 1
        index >>= 1
        last >>= 1
    return MerklePath(left, tuple(siblings))


def verify_merkle_path(path: MerklePath, leaf: bytes, root: bytes) -> None:
    """Raise `ProofError` unless the data `leaf` is a leaf under `root`."""
    if path.left >> len(path.siblings):
        raise ProofError("a Merkle path names sides that it has no siblings for")
    digest = leaf_hash(leaf)
    for at, sibling in enumerate(path.siblings):
        if path.left >> at & 1:
            if sibling == digest:
                raise ProofError("a sibling that equals its partner counts as standing on the right")
            digest = node_hash(sibling, digest)
        else:
            digest = node_hash(digest, sibling)
    if digest != root:
        raise ProofError("the Merkle path leads to another root", expected=root.hex(), found=digest.hex())


def _start(proof: SettlementProof, trust: TrustRoot, first: ValidatorSet) -> tuple[str, int]:
    """Chain id and epoch of the start, after it was compared with the trust root and names the `first` committee."""
    if proof.from_header != (trust.height is not None):
        raise ProofError(
            "the proof starts from another kind of trust root",
            expected=str(trust),
            found="HEIGHT:HASH" if proof.from_header else "the genesis hash",
            fix="export a proof for this trust root, or verify against the other kind",
        )
    if proof.from_header:
        header = decode_header(proof.start)
        _same_trust(trust, TrustRoot(header_hash(proof.start), header.height))
        chain_id, epoch, named = header.chain_id, max(header.epoch, FIRST_EPOCH), header.validators
        if proof.version != PROOF_VERSION:
            raise ProofError("a block that is known needs no opening", expected=PROOF_VERSION, found=proof.version)
    elif proof.version == SUCCESSOR_VERSION:
        opening = _opening(proof.start, trust)
        if opening.opened.members != first.validators:
            raise ProofError("the first committee is not the one of the opening", found=first.hash.hex())
        return opening.chain_id, FIRST_EPOCH
    else:
        summary = decode(GenesisSummary, proof.start, limit=MAX_PROOF_BYTES)
        _same_trust(trust, TrustRoot(summary.hash))
        check_chain_genesis(summary)
        chain_id, epoch, named = summary.chain_id, FIRST_EPOCH, summary.validator_set.hash
    if named != first.hash:
        raise ProofError("the first committee is not the trust root's", expected=named.hex(), found=first.hash.hex())
    return chain_id, epoch


def _opening(raw: bytes, trust: TrustRoot) -> Opening:
    """What the centres have opened, by their genesis."""
    claim = decode(OpeningClaim, raw, limit=MAX_PROOF_BYTES)
    summary = decode(GenesisSummary, claim.start, limit=MAX_PROOF_BYTES)
    _same_trust(trust, TrustRoot(summary.hash))
    committees = _committees(claim)
    if summary.engine != GLOBAL_ENGINE or summary.validator_set.hash != committees[0].hash:
        raise ProofError("not the centres' chain", expected=GLOBAL_ENGINE, found=summary.engine)
    _check_boundaries(claim, summary.chain_id, FIRST_EPOCH, committees)
    header, _ = _final(claim.state.finality, summary.chain_id, FIRST_EPOCH, committees)
    if header.epoch != FIRST_EPOCH + len(committees) - 1:
        raise ProofError("committees beyond the opening's epoch", expected=header.epoch, found=len(committees))
    verify_state_proof(claim.state.proof, header.state_root, claim.state.key, claim.state.value)
    opening = decode(Opening, claim.state.value or b"")
    if claim.state.key != opening_key(opening.opened.region, opening.opened.epoch):
        raise ProofError("an opening of another region or epoch", found=claim.state.key.hex())
    return opening


def _same_trust(trust: TrustRoot, found: TrustRoot) -> None:
    if trust != found:
        raise ProofError("the proof starts from another trust root", expected=str(trust), found=str(found))


def _committees(proof: SettlementProof | OpeningClaim) -> list[ValidatorSet]:
    if len(proof.boundaries) != len(proof.committees) - 1:
        raise ProofError("one boundary block between two committees", found=len(proof.boundaries))
    try:
        return [ValidatorSet(committee) for committee in proof.committees]
    except GenesisError as error:
        raise ProofError(error.message) from None


def _check_boundaries(
    proof: SettlementProof | OpeningClaim, chain_id: str, epoch: int, committees: list[ValidatorSet]
) -> None:
    """Each committee after the first is named by the final boundary block of the epoch before."""
    for number, boundary in enumerate(proof.boundaries):
        header, _ = verify_finality(boundary, chain_id, committees[number])
        following = committees[number + 1].hash
        if header.epoch != epoch + number or header.next_validators != following:
            raise ProofError(
                f"the boundary block of epoch {epoch + number} names another committee",
                expected=following.hex(),
                found=f"epoch {header.epoch}, {header.next_validators.hex()}",
            )


def _final(proof: FinalityProof, chain_id: str, epoch: int, committees: list[ValidatorSet]) -> tuple[Header, Hash]:
    number = decode_header(proof.headers[0]).epoch - epoch
    if not 0 <= number < len(committees):
        raise ProofError("a block of an epoch that the proof has no committee for", found=epoch + number)
    return verify_finality(proof, chain_id, committees[number])
