"""The operators' restart: signed by a quorum, for one head of one epoch, and for nothing else."""

from __future__ import annotations

import msgspec
import pytest
from chain_world import committee, seeded_key

from ledger.codec import decode, encode
from ledger.crypto import sha256
from ledger.errors import DecodeError, ProofError
from ledger.restart import (
    RestartCertificate,
    RestartShare,
    RestartStatement,
    check_restart,
    combine_restart,
    restart_fault,
    sign_restart,
)
from ledger.validators import Validator, ValidatorSet

VOTERS = committee([1, 2, 3, 4])
STATEMENT = RestartStatement("dev-chain", 3, VOTERS.hash, 41, 700, sha256(b"head"))


def share(number: int, statement: RestartStatement = STATEMENT) -> RestartShare:
    return sign_restart(statement, VOTERS, seeded_key(number))


def refusal(certificate: RestartCertificate, voters: ValidatorSet = VOTERS) -> str:
    with pytest.raises(ProofError) as refused:
        check_restart(certificate, "dev-chain", voters)
    return refused.value.code


def test_a_quorum_restarts_and_less_does_not() -> None:
    made = combine_restart([share(4), share(1), share(2)], VOTERS)
    assert made.signers == (0, 1, 3)
    check_restart(made, "dev-chain", VOTERS)
    check_restart(combine_restart([share(n) for n in (1, 2, 3, 4)], VOTERS), "dev-chain", VOTERS)
    with pytest.raises(ProofError) as few:
        combine_restart([share(1), share(2), share(2)], VOTERS)
    assert few.value.code == "RESTART_QUORUM"
    assert (few.value.expected, few.value.found) == (3, 2)


def test_weights_count() -> None:
    heavy = ValidatorSet(tuple(Validator(f"v{n}", seeded_key(n).public, 7 if n == 1 else 1) for n in (1, 2, 3, 4)))
    statement = msgspec.structs.replace(STATEMENT, validators=heavy.hash)
    combine_restart([sign_restart(statement, heavy, seeded_key(1))], heavy)
    with pytest.raises(ProofError):
        combine_restart([sign_restart(statement, heavy, seeded_key(n)) for n in (2, 3, 4)], heavy)


def test_members_must_say_the_same() -> None:
    other = msgspec.structs.replace(STATEMENT, view=42)
    with pytest.raises(ProofError) as refused:
        combine_restart([share(1), share(2), share(3, other)], VOTERS)
    assert refused.value.code == "RESTART_DIFFERS"
    with pytest.raises(ProofError) as stranger:
        sign_restart(STATEMENT, VOTERS, seeded_key(9))
    assert stranger.value.code == "NOT_A_VALIDATOR"


def test_signatures_hold_for_their_statement_chain_and_committee_alone() -> None:
    made = combine_restart([share(1), share(2), share(3)], VOTERS)
    for change in ({"view": 40}, {"height": 701}, {"head": sha256(b"other")}, {"epoch": 4}):
        assert refusal(msgspec.structs.replace(made, statement=msgspec.structs.replace(STATEMENT, **change))) == (
            "RESTART_SIGNATURE"
        )
    elsewhere = msgspec.structs.replace(STATEMENT, chain_id="dev-other")
    assert refusal(msgspec.structs.replace(made, statement=elsewhere)) == "RESTART_FOREIGN"
    assert refusal(made, committee([1, 2, 3, 5])) == "RESTART_FOREIGN"
    doubled = RestartCertificate(STATEMENT, (0, 0, 1), (made.signatures[0], made.signatures[0], made.signatures[1]))
    assert refusal(doubled) == "RESTART_SIGNERS"
    assert refusal(RestartCertificate(STATEMENT, (0, 1, 7), made.signatures)) == "RESTART_SIGNERS"
    assert refusal(RestartCertificate(STATEMENT, (0, 1), made.signatures)) == "RESTART_SIGNERS"


def test_every_changed_byte_is_refused() -> None:
    made = combine_restart([share(1), share(2), share(3)], VOTERS)
    raw = encode(made)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        try:
            found = decode(RestartCertificate, bytes(changed))
        except DecodeError:
            continue
        with pytest.raises(ProofError):
            check_restart(found, "dev-chain", VOTERS)


def test_a_restart_is_for_one_head_of_one_epoch() -> None:
    assert restart_fault(STATEMENT, 3, 700, sha256(b"head")) == ""
    assert "epoch 4" in restart_fault(STATEMENT, 4, 700, sha256(b"head"))
    assert "700" in restart_fault(STATEMENT, 3, 701, sha256(b"head"))
    assert restart_fault(STATEMENT, 3, 700, sha256(b"other")) != ""
