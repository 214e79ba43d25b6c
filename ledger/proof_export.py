"""Building the proofs of `ledger.finality` and `ledger.proofs` from a chain on disk."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain_reader import ChainReader, ChainView
from ledger.codec import encode
from ledger.errors import ProofError, StoreError
from ledger.finality import FinalityProof
from ledger.genesis import GenesisSummary
from ledger.merkle import merkle_path
from ledger.objects import Header, header_hash
from ledger.proofs import (
    FIRST_EPOCH,
    PROOF_KIND,
    PROOF_VERSION,
    SUCCESSOR_VERSION,
    Committee,
    OpeningClaim,
    ReceiptClaim,
    SettlementProof,
    StateClaim,
    TrustRoot,
    encode_proof,
    merkle_sides,
)
from ledger.succession import Succession, opening_key, succession_of


def build_finality(chain: ChainReader, height: int) -> FinalityProof:
    """Headers from `height` to the block that proves it, and its certificate. Raise `ProofError` if there is none."""
    final_by = chain.final_by(height)
    finality = None if final_by is None else chain.finality(final_by)
    if final_by is None or finality is None:
        raise ProofError(
            f"block {height} has no certificate",
            code="NOT_FINAL",
            expected="a committed block above genesis",
            found=height,
        )
    headers = tuple(_header_bytes(chain, number) for number in range(height, final_by + 1))
    return FinalityProof(headers + finality.closing, finality.certificate)


def build_receipt_claim(chain: ChainReader, height: int, index: int) -> ReceiptClaim:
    """Receipt `index` of block `height` with its path and finality. Raise `ProofError` if there is none."""
    receipts = chain.receipt_bytes(height)
    if receipts is None or not 0 <= index < len(receipts):
        raise ProofError(f"there is no receipt {index} in block {height}", code="NO_RECEIPT", found=(height, index))
    path = merkle_sides(receipts[index], index, len(receipts), merkle_path(receipts, index))
    return ReceiptClaim(build_finality(chain, height), receipts[index], path)


def build_state_claim(view: ChainView, key: bytes) -> StateClaim:
    """The value of `key`, or its absence, after the block of the view."""
    finality = build_finality(view.chain, view.height)
    return StateClaim(finality, key, view.state.get(key), view.state.prove(key))


@dataclass(frozen=True, slots=True)
class CentresView:
    """The centres' chain at one moment, and its genesis."""

    view: ChainView
    genesis: GenesisSummary


def build_settlement(
    view: ChainView,
    genesis: GenesisSummary,
    key: bytes,
    receipt: tuple[int, int],
    trust_height: int | None = None,
    centres: CentresView | None = None,
) -> bytes:
    """The proof file of state entry `key` and of the receipt at (height, index), for a verifier who trusts the genesis
    hash or, with `trust_height`, that block. On a chain that continues another it is the genesis hash of the `centres`.

    Raise `ProofError`: code NOT_FINAL (nothing but genesis is committed), NO_RECEIPT, NO_ENTRY (the key is absent),
    TRUST_TOO_NEW (a trusted block of a later epoch than the receipt's), NO_OPENING (the centres' chain is not here, or
    not so far).
    """
    chain = view.chain
    state = build_state_claim(view, key)
    if state.value is None:
        raise ProofError("there is no such entry in state", code="NO_ENTRY", found=key.hex(), fix="check the key")
    claim = build_receipt_claim(chain, *receipt)
    start = _header(chain, trust_height) if trust_height is not None else None
    succession = succession_of(genesis)
    first, last = max(start.epoch if start else 0, FIRST_EPOCH), _header(chain, view.height).epoch
    if _header(chain, receipt[0]).epoch < first:
        raise ProofError(
            "the trusted block is of a later epoch than the receipt",
            code="TRUST_TOO_NEW",
            expected=f"epoch {_header(chain, receipt[0]).epoch} or before",
            found=f"epoch {first}",
            fix="trust an earlier block, or the genesis hash",
        )
    boundaries = _boundaries(chain, first, last)
    committees = _committees(chain, start.validators if start else genesis.validator_set.hash, boundaries)
    return encode_proof(
        SettlementProof(
            PROOF_KIND,
            PROOF_VERSION if start is not None or succession is None else SUCCESSOR_VERSION,
            start is not None,
            _start(genesis, succession, centres) if start is None else _header_bytes(chain, start.height),
            committees,
            tuple(build_finality(chain, height) for height in boundaries),
            state,
            claim,
        )
    )


def _start(genesis: GenesisSummary, succession: Succession | None, centres: CentresView | None) -> bytes:
    """What a verifier who trusts a genesis hash begins with."""
    if succession is None:
        return encode(genesis)
    key = opening_key(succession.region, succession.epoch)
    if centres is None or centres.view.state.get(key) is None:
        raise ProofError(
            "this chain continues another, and what opened it is not known here",
            code="NO_OPENING",
            expected=f"regional epoch {succession.epoch} of {succession.region} on the centres' chain",
            found="nothing" if centres is None else f"their block {centres.view.height}",
            fix="ask again when the node has caught up with the centres' chain, or ask a member of the region",
        )
    view = centres.view
    boundaries = _boundaries(view.chain, FIRST_EPOCH, _header(view.chain, view.height).epoch)
    committees = _committees(view.chain, centres.genesis.validator_set.hash, boundaries)
    finality = tuple(build_finality(view.chain, height) for height in boundaries)
    return encode(OpeningClaim(encode(centres.genesis), committees, finality, build_state_claim(view, key)))


def trust_root_at(chain: ChainReader, height: int) -> TrustRoot:
    """The trust root HEIGHT:HASH of a committed block, to be kept by a verifier."""
    return TrustRoot(header_hash(_header_bytes(chain, height)), height)


def _header_bytes(chain: ChainReader, height: int) -> bytes:
    raw = chain.header_bytes(height)
    if raw is None:
        raise ProofError(f"block {height} is not committed here", code="NOT_FINAL", found=height)
    return raw


def _header(chain: ChainReader, height: int) -> Header:
    header = chain.header(height)
    if header is None:
        raise ProofError(f"block {height} is not committed here", code="NOT_FINAL", found=height)
    return header


def _boundaries(chain: ChainReader, first: int, last: int) -> list[int]:
    """Heights of the blocks that end the epochs from `first` to before `last`."""
    return [_boundary(chain, epoch) for epoch in range(first + 1, last + 1)]


def _committees(chain: ChainReader, first: bytes, boundaries: list[int]) -> tuple[Committee, ...]:
    """The first committee and each that a boundary names."""
    following = [_committee(chain, _header(chain, height).next_validators) for height in boundaries]
    return (_committee(chain, first), *following)


def _boundary(chain: ChainReader, epoch: int) -> int:
    height = chain.boundary_of(epoch)
    if height is None:
        raise StoreError(f"the boundary block of epoch {epoch} is not indexed", code="STORE_CORRUPT")
    return height


def _committee(chain: ChainReader, validators_hash: bytes) -> Committee:
    validators = chain.validators(validators_hash)
    if validators is None:
        raise StoreError("a committee is missing", code="STORE_CORRUPT", found=validators_hash.hex())
    return validators.validators
