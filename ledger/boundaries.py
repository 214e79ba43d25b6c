"""The last blocks of epochs, each with its finality proof and the next committee: a chain in short (consensus A.7).

Who knows genesis can follow it to the newest epoch without the blocks between: each boundary is certified by the
committee that the one before names. None may be skipped. A quorum of keys of an old committee can forge a later
history; against that helps a boundary that is known by its hash (`check_trust`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from ledger.certificates import Certificate
from ledger.codec import Wire
from ledger.crypto import Hash
from ledger.errors import ConfigError, GenesisError, ProofError
from ledger.finality import FinalityProof, verify_finality
from ledger.objects import Header
from ledger.validators import MAX_VALIDATORS, Validator, ValidatorSet

MAX_CLOSING: Final = 256

HeaderBytes = Annotated[bytes, msgspec.Meta(max_length=4096)]


class Boundary(Wire, frozen=True):
    """The last block of an epoch as it travels. `finalization` certifies the last of `closing` if there are any, else
    the block; `committee` votes in the next epoch."""

    header: HeaderBytes
    closing: Annotated[tuple[HeaderBytes, ...], msgspec.Meta(max_length=MAX_CLOSING)]
    finalization: Certificate
    committee: Annotated[tuple[Validator, ...], msgspec.Meta(min_length=1, max_length=MAX_VALIDATORS)]


@dataclass(frozen=True, slots=True)
class KnownBoundary:
    """A boundary whose proof holds."""

    raw: Boundary
    header: Header
    hash: Hash
    committee: ValidatorSet


def check_boundary(
    raw: Boundary, epoch: int, chain_id: str, voters: ValidatorSet, is_boundary: Callable[[Header], bool]
) -> KnownBoundary:
    """The boundary block of `epoch`, in which `voters` vote. Raise `ProofError` or `DecodeError`."""
    header, block_hash = verify_finality(FinalityProof((raw.header, *raw.closing), raw.finalization), chain_id, voters)
    if header.epoch != epoch:
        raise ProofError("a boundary of another epoch", expected=epoch, found=header.epoch)
    if not is_boundary(header):
        raise ProofError("a block that ends no epoch", expected="a boundary block", found=f"block {header.height}")
    try:
        committee = ValidatorSet(raw.committee)
    except GenesisError as error:
        raise ProofError(f"a committee that is none: {error.message}") from None
    if committee.hash != header.next_validators:
        raise ProofError(
            "another committee than the header names", expected=header.next_validators.hex(), found=committee.hash.hex()
        )
    return KnownBoundary(raw, header, block_hash, committee)


@dataclass(frozen=True, slots=True)
class Trust:
    """A block that somebody has told by another way: `HEIGHT:HASH`."""

    height: int
    hash: Hash

    @classmethod
    def parse(cls, text: str) -> Trust:
        """Read `HEIGHT:HASH`, the hash in hex. Raise `ConfigError` (BAD_TRUST)."""
        height, _, digits = text.partition(":")
        try:
            found = bytes.fromhex(digits.removeprefix("0x"))
        except ValueError:
            found = b""
        if not height.isascii() or not height.isdigit() or len(found) != 32:
            raise ConfigError(
                "not a block to trust", code="BAD_TRUST", expected="HEIGHT:HASH, the hash in 64 hex digits", found=text,
                fix="ask a member for height and hash of the last block of a finished epoch",
            )  # fmt: skip
        return cls(int(height), Hash(found))


def check_trust(trust: Trust, known: KnownBoundary) -> None:
    """Raise `ProofError` if a boundary contradicts what is trusted."""
    if known.header.height == trust.height and known.hash != trust.hash:
        raise ProofError("another block than the trusted one", expected=trust.hash.hex(), found=known.hash.hex())
