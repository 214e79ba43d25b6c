"""`gridchain region` where it must refuse by itself: files that say different things, networks without regions."""

from __future__ import annotations

import asyncio
import json
import sys

import msgspec
import pytest

from consensus.sharded.global_state import MachineKey
from consensus.sharded.members_file import (
    FILE_VERSION,
    MembersProposal,
    MembersShare,
    check_proposal,
    combine_members,
    sign_members,
)
from deploy.main import app
from ledger.crypto import SigningKey, sha256
from ledger.errors import ConfigError, ProofError
from ledger.possession import prove_possession
from ledger.validators import Validator, ValidatorSet
from node.cli.output import ExitCode, run_command

NETWORK = "dev-shards"
KEYS = [SigningKey(sha256(b"member %d" % number)) for number in range(4)]
CENTRES = [SigningKey(sha256(b"centre %d" % number)) for number in range(4)]
MACHINE = SigningKey(sha256(b"machine"))
SEATS = ValidatorSet(tuple(Validator(f"c{at}", key.public) for at, key in enumerate(CENTRES)))
PROPOSAL = MembersProposal(
    FILE_VERSION,
    NETWORK,
    "dev-shards-north-00",
    "north",
    3,
    tuple(Validator(f"m{at}", key.public) for at, key in enumerate(KEYS)),
    (None, *(prove_possession(key, NETWORK, "validator") for key in KEYS[1:])),
    (MachineKey(KEYS[1].public, MACHINE.public),),
    (prove_possession(MACHINE, NETWORK, "node"),),
)
change = msgspec.structs.replace


def test_a_quorum_of_the_centres_makes_the_entry() -> None:
    shares = [sign_members(PROPOSAL, key) for key in (CENTRES[3], CENTRES[0], CENTRES[1], CENTRES[0])]
    entry = combine_members(shares, SEATS)
    assert (entry.region, entry.epoch, entry.members) == ("north", 3, PROPOSAL.members)
    assert entry.machines == PROPOSAL.machines
    assert entry.signers == (0, 1, 3)
    assert entry.signatures == (shares[1].signature, shares[2].signature, shares[0].signature)


def test_what_makes_none_has_a_code() -> None:
    good = [sign_members(PROPOSAL, key) for key in CENTRES[:3]]
    other = sign_members(change(PROPOSAL, epoch=4), CENTRES[2])
    stranger = sign_members(PROPOSAL, KEYS[0])
    forged = MembersShare(PROPOSAL, CENTRES[2].public, good[0].signature)
    for shares, code in (
        ([*good[:2], other], "MEMBERS_DIFFER"),
        ([*good[:2], stranger], "MEMBERS_SIGNATURE"),
        ([*good[:2], forged], "MEMBERS_SIGNATURE"),
        ([good[0], good[1], good[0]], "MEMBERS_QUORUM"),
    ):
        with pytest.raises(ProofError) as refused:
            combine_members(shares, SEATS)
        assert refused.value.code == code
        assert refused.value.fix


def test_nobody_signs_for_keys_that_are_not_proved_or_make_no_region() -> None:
    twice = (*PROPOSAL.members[:3], PROPOSAL.members[0])
    elsewhere = (None, prove_possession(KEYS[1], "dev-other", "validator"), *PROPOSAL.possessions[2:])
    node = (None, prove_possession(KEYS[1], NETWORK, "node"), *PROPOSAL.possessions[2:])
    for wrong, kind, code in (
        (change(PROPOSAL, members=PROPOSAL.members[:3]), ConfigError, "BAD_MEMBERS"),
        (change(PROPOSAL, members=twice), ConfigError, "BAD_MEMBERS"),
        (change(PROPOSAL, possessions=elsewhere), ProofError, "BAD_POSSESSION"),
        (change(PROPOSAL, possessions=node), ProofError, "BAD_POSSESSION"),
        (change(PROPOSAL, possessions=(None,)), ProofError, "BAD_POSSESSION"),
        (change(PROPOSAL, node_possessions=()), ProofError, "BAD_POSSESSION"),
        (change(PROPOSAL, node_possessions=PROPOSAL.possessions[1:2]), ProofError, "BAD_POSSESSION"),
        (change(PROPOSAL, machines=(MachineKey(CENTRES[0].public, MACHINE.public),)), ConfigError, "BAD_MACHINES"),
        (change(PROPOSAL, machines=PROPOSAL.machines * 2), ConfigError, "BAD_MACHINES"),
        (change(PROPOSAL, version=1), ConfigError, "MEMBERS_VERSION"),
    ):
        with pytest.raises(kind) as refused:
            sign_members(wrong, CENTRES[0])
        assert refused.value.code == code
    check_proposal(PROPOSAL)


@pytest.mark.asyncio
async def test_a_network_without_regions(solo, monkeypatch, capsys) -> None:
    line = ["region", "list", "--url", solo.url, "--json"]
    monkeypatch.setattr(sys, "argv", ["gridchain", *line])
    assert await asyncio.to_thread(run_command, app, line) == ExitCode.USAGE
    told = [text for text in capsys.readouterr().out.splitlines() if text.startswith("{")]
    assert json.loads(told[-1])["error"]["code"] == "NO_REGIONS"
