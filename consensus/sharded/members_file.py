"""A region's new members on their way from operator to operator, as files: proposed, signed by centres, submitted.

Whoever proposes reads the region's epoch from a node; the centres sign offline with their voting keys; anybody brings
a quorum of signatures to the global chain (`consensus.sharded.members`). Holders of keys that are new to the region
prove them, so that nobody is seated by a key that it does not want there or has lost. A machine that genesis does not
know is named by its node key, which is proved too: from then on the others let it connect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consensus.sharded.global_state import MachineKey, NewMembers
from consensus.sharded.members import machines_fault, members_bytes, members_fault
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from ledger.codec import Bytes32, Bytes64, ShortText, Uint, Wire
from ledger.crypto import SigningKey, verify
from ledger.errors import ConfigError, ProofError
from ledger.possession import KeyRole, verify_possession
from ledger.validators import Validator, ValidatorSet

FILE_VERSION: Final = 2
"""1 named no machines."""


class MembersProposal(Wire, frozen=True):
    """A region's next members. `network`: its name, for the proofs; `chain_id`, `epoch`: of the regional epoch that
    ends. `possessions`: one for each member, None for who sits there now. `machines`: those that are to be let in by
    their node keys; `node_possessions`: one for each."""

    version: Uint
    network: ShortText
    chain_id: ShortText
    region: ShortText
    epoch: Uint
    members: tuple[Validator, ...]
    possessions: tuple[Bytes64 | None, ...]
    machines: tuple[MachineKey, ...]
    node_possessions: tuple[Bytes64, ...]


class MembersShare(Wire, frozen=True):
    """One centre's signature."""

    proposal: MembersProposal
    centre: Bytes32
    signature: Bytes64


def check_proposal(proposal: MembersProposal) -> None:
    """Raise `ConfigError` for members that no region can have, `ProofError` for a proof that does not hold."""
    if proposal.version != FILE_VERSION:
        raise ConfigError(
            "the file is of another release", code="MEMBERS_VERSION", expected=FILE_VERSION, found=proposal.version,
            fix="propose and sign with one release of gridchain",
        )  # fmt: skip
    code = members_fault(proposal.members)
    if code:
        raise ConfigError(
            "no region can have these members", code=code, expected="4 to 150 different keys with a weight each",
            found=[member.name for member in proposal.members],
            fix="keep members with --keep, or name more of them",
        )  # fmt: skip
    if machines_fault(proposal.members, proposal.machines):
        raise ConfigError(
            "these machines are not of these members", code="BAD_MACHINES",
            expected="of a member one machine, with a node key of its own",
            found=[one.node_key.hex() for one in proposal.machines], fix="name each once with --machine",
        )  # fmt: skip
    wanted = (len(proposal.members), len(proposal.machines))
    found = (len(proposal.possessions), len(proposal.node_possessions))
    if found != wanted:
        raise ProofError(
            "a proof for each key", code="BAD_POSSESSION", expected=wanted, found=found, fix="take the file unchanged",
        )  # fmt: skip
    names = {member.public_key: member.name for member in proposal.members}
    for member, proof in zip(proposal.members, proposal.possessions, strict=True):
        if proof is not None:
            _check_possession(proposal.network, member.name, "validator", member.public_key, proof)
    for machine, proof in zip(proposal.machines, proposal.node_possessions, strict=True):
        _check_possession(proposal.network, names[machine.member], "node", machine.node_key, proof)


def _check_possession(network: str, name: str, role: KeyRole, key: bytes, proof: bytes) -> None:
    if not verify_possession(key, network, role, proof):
        raise ProofError(
            f"the proof of {name}'s {role} key does not hold", code="BAD_POSSESSION", found=key.hex(),
            fix=f"its holder proves it with gridchain keys possession FILE --network {network} --role {role}",
        )  # fmt: skip


def sign_members(proposal: MembersProposal, key: SigningKey) -> MembersShare:
    """A centre agrees. Raise like `check_proposal`."""
    check_proposal(proposal)
    said = _said(proposal)
    return MembersShare(proposal, key.public, key.sign(DOMAIN_RECORD_SIGNATURE, said))


def combine_members(shares: Sequence[MembersShare], centres: ValidatorSet) -> NewMembers:
    """The entry for the global chain. Raise `ProofError` unless a quorum of `centres` signed the same, or if one of
    them is a stranger or its signature does not hold."""
    proposals = {share.proposal for share in shares}
    if len(proposals) != 1:
        raise ProofError(
            "the signatures are for different members", code="MEMBERS_DIFFER", expected="one region, epoch and set",
            found=[f"{one.region}, epoch {one.epoch}: {[m.name for m in one.members]}" for one in proposals],
            fix="have the same proposal signed by all",
        )  # fmt: skip
    proposal = proposals.pop()
    said = _said(proposal)
    signatures: dict[int, bytes] = {}
    for share in shares:
        seat = centres.index_of(share.centre)
        if seat is None or not verify(share.centre, DOMAIN_RECORD_SIGNATURE, said, share.signature):
            raise ProofError(
                "a signature that is no centre's", code="MEMBERS_SIGNATURE", found=share.centre.hex(),
                expected=f"one of {', '.join(one.name for one in centres.validators)}",
                fix="sign with a centre's voting key, and take its file unchanged",
            )  # fmt: skip
        signatures[seat] = share.signature
    signers = tuple(sorted(signatures))
    weight = centres.weight_of(list(signers))
    if weight < centres.quorum:
        raise ProofError(
            "too few centres have signed", code="MEMBERS_QUORUM", expected=centres.quorum, found=weight,
            fix="collect the signatures of more centres",
        )  # fmt: skip
    given = tuple(signatures[seat] for seat in signers)
    return NewMembers(proposal.region, proposal.epoch, proposal.members, signers, given, proposal.machines)


def _said(proposal: MembersProposal) -> bytes:
    named = (proposal.members, proposal.machines)
    return members_bytes(proposal.chain_id, proposal.region, proposal.epoch, *named)
