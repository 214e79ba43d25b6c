"""Who may be a region: at genesis, and when the centres change its members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consensus.sharded.global_state import GlobalContext, NewMembers
from ledger.codec import encode
from ledger.crypto import domain, valid_public_key
from ledger.errors import GenesisError
from ledger.validators import MAX_VALIDATORS, Validator, ValidatorSet

DOMAIN_MEMBERS: Final = domain("region-members")
LEAST_MEMBERS: Final = 4
"""Of a region or of the centres: with fewer, nobody may be faulty (F = 0)."""


def check_shards(regions: Sequence[tuple[str, ValidatorSet]], centres: ValidatorSet) -> None:
    """Raise `GenesisError` unless every region has a name and members of its own, and all sets are large enough."""
    names = [name for name, _ in regions]
    keys = [member.public_key for _, members in regions for member in members.validators]
    if not names or len(set(names)) != len(names) or not all(names):
        raise GenesisError("regions need different names", code="BAD_REGIONS", expected="one or more", found=names)
    if len(set(keys)) != len(keys):
        raise GenesisError("a key is a member of two regions", code="BAD_REGIONS", expected="one region a member")
    for name, members in (*regions, ("the centres", centres)):
        if len(members) < LEAST_MEMBERS:
            raise GenesisError(
                f"{name} has too few members",
                code="TOO_FEW_MEMBERS",
                expected=f"at least {LEAST_MEMBERS}",
                found=len(members),
                fix="give it more members, or join it with another region",
            )


def members_bytes(region: str, epoch: int, members: tuple[Validator, ...]) -> bytes:
    """What a centre signs."""
    return DOMAIN_MEMBERS + encode((region, epoch, members))


def new_members_agreed(context: GlobalContext, entry: NewMembers) -> str:
    """ "" if the set is one and a quorum of the centres signed it, else a code. Too few, duplicate, unusable or
    weightless keys are refused here and never reach a committee."""
    keys = [member.public_key for member in entry.members]
    sound = len(set(keys)) == len(keys) and LEAST_MEMBERS <= len(keys) <= MAX_VALIDATORS
    if not sound or any(member.weight < 1 or not valid_public_key(member.public_key) for member in entry.members):
        return "BAD_MEMBERS"
    centres = context.centres
    if len(entry.signers) != len(entry.signatures) or list(entry.signers) != sorted(set(entry.signers)):
        return "BAD_SIGNERS"
    if not entry.signers or entry.signers[-1] >= len(centres):
        return "BAD_SIGNERS"
    if centres.weight_of(list(entry.signers)) < centres.quorum:
        return "NO_QUORUM"
    signed = members_bytes(entry.region, entry.epoch, entry.members)
    for signer, signature in zip(entry.signers, entry.signatures, strict=True):
        if not context.verify(centres.validators[signer].public_key, signed, signature):
            return "BAD_SIGNATURE"
    return ""
