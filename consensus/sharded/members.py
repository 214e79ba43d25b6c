"""Who may be a region when the centres change its members; genesis is checked by `ledger.engine_settings`."""

from __future__ import annotations

from typing import Final

from consensus.sharded.global_state import GlobalContext, NewMembers
from ledger.codec import encode
from ledger.crypto import domain, valid_public_key
from ledger.engine_settings import LEAST_MEMBERS
from ledger.validators import MAX_VALIDATORS, Validator

DOMAIN_MEMBERS: Final = domain("region-members")


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
