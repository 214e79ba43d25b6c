"""The committee of `bft` changes by vote at the end of an epoch, and who signed twice loses the seat."""

from __future__ import annotations

import pytest
from chain_world import seeded_key
from committee_world import CommitteeWorld, account, possession

from contracts.values import Value, decode_value, encode_value
from ledger.certificates import VoteKind
from ledger.codec import encode
from ledger.crypto import address_of
from ledger.store import MemoryStore
from node.commit import SyncedBlocks
from node.evidence_side import evidence_argument

A, B = b"\x0a" * 32, b"\x0b" * 32


def joining(number: int, weight: int = 1) -> list[Value]:
    """Arguments of `propose` for validator n."""
    return [
        f"v{number}",
        seeded_key(number).public,
        possession(number),
        bytes(address_of(account(number).public)),
        weight,
    ]


def leaving(number: int) -> list[Value]:
    return [f"v{number}", b"", b"", bytes(32), 0]


def test_a_validator_joins_at_the_end_of_the_epoch_and_votes_then() -> None:
    world = CommitteeWorld()
    assert decode_value(world.agree(*joining(6)).value) == "agreed"
    assert world.names() == ["v1", "v2", "v3", "v4", "v5"]
    assert [one.name for one in world.next_epoch().validators] == ["v1", "v2", "v3", "v4", "v5", "v6"]
    assert world.block(world.transaction(account(6), "propose", *leaving(2)))[0].ok
    world.next_epoch()
    assert world.names()[-1] == "v6"


def test_a_validator_leaves_and_has_no_say_any_more() -> None:
    world = CommitteeWorld()
    world.agree(*leaving(5))
    assert [one.name for one in world.next_epoch().validators] == ["v1", "v2", "v3", "v4"]
    assert world.block(world.transaction(account(5), "propose", *leaving(1)))[0].code == "NOT_VALIDATOR"


def test_less_than_a_quorum_changes_nothing() -> None:
    world = CommitteeWorld()
    assert decode_value(world.agree(*leaving(5), voters=3).value) == "open"
    assert len(world.next_epoch().validators) == 5


def test_weights_and_keys_change_in_place() -> None:
    world = CommitteeWorld()
    world.agree("v2", seeded_key(22).public, possession(22), bytes(address_of(account(2).public)), 3)
    found = world.next_epoch().validators[1]
    assert (found.name, found.public_key, found.weight) == ("v2", seeded_key(22).public, 3)


TORSION = bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["v9", seeded_key(1).public, possession(1), bytes(32), 1], "KEY_TAKEN"),
        (["v9", seeded_key(9).public, possession(9), bytes(address_of(account(1).public)), 1], "ACCOUNT_TAKEN"),
        (["v9", seeded_key(9).public, possession(8), bytes(32), 1], "BAD_POSSESSION"),
        (["v9", seeded_key(9).public, possession(9, "another"), bytes(32), 1], "BAD_POSSESSION"),
        (["v9", bytes(32), possession(9), bytes(32), 1], "BAD_KEY"),
        (["v9", TORSION, possession(9), bytes(32), 1], "BAD_KEY"),
        (["v9", b"short", possession(9), bytes(32), 1], "BAD_KEY"),
        (["", seeded_key(9).public, possession(9), bytes(32), 1], "BAD_VALIDATOR"),
        (["v9", seeded_key(9).public, possession(9), bytes(32), 1 << 33], "BAD_VALIDATOR"),
        (["v9", b"", b"", bytes(32), 0], "UNKNOWN_VALIDATOR"),
        ([], "TypeMismatch"),
        (["v9", 5, 5, 5, 5], "TypeMismatch"),
    ],
)
def test_what_no_committee_can_hold_is_refused_when_it_is_sent(arguments: list[Value], code: str) -> None:
    world = CommitteeWorld()
    receipt = world.block(world.transaction(account(1), "propose", *arguments))[0]
    assert (receipt.ok, receipt.code) == (False, code)
    assert len(world.next_epoch().validators) == 5


def test_two_changes_that_clash_only_when_both_are_agreed() -> None:
    world = CommitteeWorld()
    both = [
        world.transaction(account(1), "propose", f"v{n}", seeded_key(9).public, possession(9), bytes([n]) * 32, 1)
        for n in (7, 8)
    ]
    numbers = [decode_value(receipt.value) for receipt in world.block(*both)]
    for number, status in zip(numbers, ("agreed", "failed"), strict=True):
        votes = [world.transaction(account(n), "vote", number, True) for n in range(1, 5)]
        assert decode_value(world.block(*votes)[-1].value) == status
    assert [one.name for one in world.next_epoch().validators] == ["v1", "v2", "v3", "v4", "v5", "v7"]


def test_the_last_validator_cannot_leave() -> None:
    world = CommitteeWorld()
    for number in (5, 4, 3, 2):
        world.agree(*leaving(number), voters=5)
        world.next_epoch()
    assert world.names() == ["v1"]
    assert decode_value(world.agree(*leaving(1), voters=1).value) == "failed"
    assert [one.name for one in world.next_epoch().validators] == ["v1"]


def test_a_change_lapses_when_the_committee_has_changed_meanwhile() -> None:
    world = CommitteeWorld()
    world.block(world.transaction(account(1), "propose", *leaving(4)))
    world.agree(*leaving(5))
    world.next_epoch()
    receipt = world.block(world.transaction(account(2), "vote", 1, True))[0]
    assert receipt.code == "NOT_OPEN"


def test_who_signed_twice_loses_the_seat_at_the_end_of_the_epoch() -> None:
    world = CommitteeWorld()
    proof = evidence_argument(world.vote(3, VoteKind.NOTARIZE, 2, A), world.vote(3, VoteKind.NOTARIZE, 2, B))
    assert world.block(world.transaction(account(1), "evidence", proof))[0].ok
    assert world.ask("convicted", seeded_key(3).public) == 1
    again = world.block(world.transaction(account(2), "evidence", proof))[0]
    assert again.code == "CONVICTED"
    assert [one.name for one in world.next_epoch().validators] == ["v1", "v2", "v4", "v5"]
    assert world.block(world.transaction(account(1), "propose", *joining(3)))[0].code == "CONVICTED"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((VoteKind.NOTARIZE, A), (VoteKind.NOTARIZE, B)),
        ((VoteKind.FINALIZE, A), (VoteKind.FINALIZE, B)),
        ((VoteKind.NULLIFY, bytes(32)), (VoteKind.FINALIZE, A)),
        ((VoteKind.FINALIZE, A), (VoteKind.NULLIFY, bytes(32))),
    ],
)
def test_every_kind_of_evidence_costs_the_seat(first: tuple[VoteKind, bytes], second: tuple[VoteKind, bytes]) -> None:
    world = CommitteeWorld()
    votes = [world.vote(3, kind, 2, block_hash) for kind, block_hash in (first, second)]
    assert world.block(world.transaction(account(1), "evidence", evidence_argument(*votes)))[0].ok
    assert [one.name for one in world.next_epoch().validators] == ["v1", "v2", "v4", "v5"]


def test_what_an_honest_validator_may_sign_costs_nothing() -> None:
    """Notarize, then nullify, as where a view comes to nothing; or notarize, then finalize."""
    world = CommitteeWorld()
    notarize = world.vote(3, VoteKind.NOTARIZE, 2, A)
    for other in (world.vote(3, VoteKind.NULLIFY, 2, bytes(32)), world.vote(3, VoteKind.FINALIZE, 2, A)):
        proof = evidence_argument(notarize, other)
        assert world.block(world.transaction(account(1), "evidence", proof))[0].code == "EVIDENCE_EMPTY"
    assert len(world.next_epoch().validators) == 5


def test_the_same_evidence_twice_in_one_block_counts_once() -> None:
    world = CommitteeWorld()
    proof = evidence_argument(world.vote(3, VoteKind.NULLIFY, 2, bytes(32)), world.vote(3, VoteKind.FINALIZE, 2, B))
    codes = [r.code for r in world.block(*(world.transaction(account(n), "evidence", proof) for n in (1, 2)))]
    assert codes == ["", "CONVICTED"]
    assert len(world.next_epoch().validators) == 4


def test_evidence_of_the_epoch_before_still_counts_and_older_does_not() -> None:
    world = CommitteeWorld()
    proofs = [
        evidence_argument(world.vote(n, VoteKind.NOTARIZE, 2, A), world.vote(n, VoteKind.NOTARIZE, 2, B))
        for n in (3, 4)
    ]
    world.next_epoch()
    assert world.block(world.transaction(account(1), "evidence", proofs[0]))[0].ok
    world.next_epoch()
    assert world.block(world.transaction(account(1), "evidence", proofs[1]))[0].code == "EVIDENCE_EPOCH"
    assert world.names() == ["v1", "v2", "v4", "v5"]


def test_what_proves_nothing_about_anybody_is_refused_with_a_code() -> None:
    world = CommitteeWorld()
    one, two = world.vote(3, VoteKind.NOTARIZE, 2, A), world.vote(3, VoteKind.NOTARIZE, 2, B)
    forged = type(two)(two.kind, two.epoch, two.view, two.block_hash, 4, two.signature)
    cases: list[tuple[Value, str]] = [
        (evidence_argument(one, one), "EVIDENCE_EMPTY"),
        (evidence_argument(one, world.vote(3, VoteKind.NOTARIZE, 3, B)), "EVIDENCE_EMPTY"),
        (evidence_argument(type(one)(one.kind, 1, 2, A, 4, one.signature), forged), "EVIDENCE_SIGNATURE"),
        (
            evidence_argument(world.vote(3, VoteKind.NOTARIZE, 2, A, 9), world.vote(3, VoteKind.NOTARIZE, 2, B, 9)),
            "EVIDENCE_EPOCH",
        ),
        (b"", "REPORT_MALFORMED"),
        (encode((1, 2)), "REPORT_MALFORMED"),
        (7, "REPORT_MALFORMED"),
    ]
    receipts = world.block(*(world.transaction(account(1), "evidence", case) for case, _ in cases))
    assert [receipt.code for receipt in receipts] == [code for _, code in cases]
    assert len(world.next_epoch().validators) == 5


def test_only_the_engine_convicts_and_turns() -> None:
    world = CommitteeWorld()
    receipts = world.block(
        world.transaction(account(1), "convict", seeded_key(2).public, 1), world.transaction(account(1), "turn", 2)
    )
    assert [receipt.code for receipt in receipts] == ["NOT_ENGINE", "NOT_ENGINE"]


def test_a_node_that_syncs_has_the_same_committees() -> None:
    world = CommitteeWorld()
    world.agree(*joining(6))
    world.next_epoch()
    proof = evidence_argument(world.vote(3, VoteKind.NOTARIZE, 2, A), world.vote(3, VoteKind.NOTARIZE, 2, B))
    world.block(world.transaction(account(1), "evidence", proof))
    world.next_epoch()
    other = CommitteeWorld(world.genesis, MemoryStore())
    for _, synced in world.history:
        assert isinstance(synced, SyncedBlocks)
        other.commits.commit_synced(synced)
    assert other.commits.epoch == world.commits.epoch
    assert other.names() == ["v1", "v2", "v4", "v5", "v6"]
    restarted = CommitteeWorld(world.genesis, world.store)
    assert restarted.commits.epoch == world.commits.epoch
    assert encode_value(restarted.ask("validators")) == encode_value(world.ask("validators"))
