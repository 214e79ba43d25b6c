"""Who may be a region when the centres change its members; genesis is checked by `ledger.engine_settings`."""

from __future__ import annotations

from typing import Final

from consensus.sharded.global_state import GlobalContext, GlobalState, MachineKey, NewMembers
from ledger.codec import encode
from ledger.crypto import domain, valid_public_key
from ledger.engine_settings import LEAST_MEMBERS
from ledger.validators import MAX_VALIDATORS, Validator

DOMAIN_MEMBERS: Final = domain("region-members")


def members_bytes(
    chain_id: str,
    region: str,
    epoch: int,
    members: tuple[Validator, ...],
    machines: tuple[MachineKey, ...] = (),
) -> bytes:
    """What a centre signs. `chain_id`: of the regional epoch that ends, so of one network and no other."""
    return DOMAIN_MEMBERS + encode((chain_id, region, epoch, members, machines))


def members_fault(members: tuple[Validator, ...]) -> str:
    """BAD_MEMBERS for what can run no region: too few or many, duplicate, unusable or weightless keys; else ""."""
    keys = [member.public_key for member in members]
    sound = len(set(keys)) == len(keys) and LEAST_MEMBERS <= len(keys) <= MAX_VALIDATORS
    if not sound or any(member.weight < 1 or not valid_public_key(member.public_key) for member in members):
        return "BAD_MEMBERS"
    return ""


def machines_fault(members: tuple[Validator, ...], machines: tuple[MachineKey, ...]) -> str:
    """BAD_MACHINES unless each is of one of the members, each of them and each node key at most once; else ""."""
    keys = {member.public_key for member in members}
    named, nodes = [one.member for one in machines], [one.node_key for one in machines]
    once = len(set(named)) == len(named) and len(set(nodes)) == len(nodes)
    sound = once and keys.issuperset(named) and all(map(valid_public_key, nodes))
    return "" if sound else "BAD_MACHINES"


def new_members_agreed(context: GlobalContext, state: GlobalState, entry: NewMembers) -> str:
    """ "" if the set is one, its keys and machines are free, deposits are down, and a quorum of the centres signed it,
    else a code. What is none never reaches a committee. A key that was removed never comes back; its organisation may,
    with another one. Who has no seat in the region needs the whole deposit to get one."""
    view = state.region(entry.region)
    if view is None:
        return "NO_REGION"
    fault = members_fault(entry.members) or machines_fault(entry.members, entry.machines)
    if fault:
        return fault
    keys = [member.public_key for member in entry.members]
    if any(key in state.removed for key in keys):
        return "REMOVED_MEMBER"
    centres = context.centres
    others = (centres, *(one.validators for one in state.regions if one.name != entry.region))
    if any(one.index_of(key) is not None for one in others for key in keys):
        return "KEY_TAKEN"
    seated = {one.public_key for voters in others for one in voters.validators}.union(keys)
    if any(state.machines.get(one.node_key, one.member) in seated - {one.member} for one in entry.machines):
        return "MACHINE_TAKEN"
    fresh = [key for key in keys if view.validators.index_of(key) is None]
    if any(state.deposits.get(key, 0) < context.rules.deposit for key in fresh):
        return "NO_DEPOSIT"
    if len(entry.signers) != len(entry.signatures) or list(entry.signers) != sorted(set(entry.signers)):
        return "BAD_SIGNERS"
    if not entry.signers or entry.signers[-1] >= len(centres):
        return "BAD_SIGNERS"
    if centres.weight_of(list(entry.signers)) < centres.quorum:
        return "NO_QUORUM"
    signed = members_bytes(view.chain_id, entry.region, entry.epoch, entry.members, entry.machines)
    for signer, signature in zip(entry.signers, entry.signatures, strict=True):
        if not context.verify(centres.validators[signer].public_key, signed, signature):
            return "BAD_SIGNATURE"
    return ""
