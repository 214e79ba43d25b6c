"""The council of `dpos`: lost turns, bars and when they are lifted, reports, evidence, elections, path queues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consensus.council import (
    Bar,
    Cause,
    Council,
    CouncilRules,
    bar,
    eligible,
    lost_turns,
    next_council,
    note_ready,
)
from consensus.council_reports import ReportRefused, convict, report_invalid
from consensus.dpos import DposPolicy
from consensus.election import elect
from consensus.messages import Complaint, ComplaintReason
from consensus.path_queue import direct, path_queue, route_hash
from consensus.scheme import complaint_bytes
from consensus.simplex.closing import closing_header
from consensus.simulator.options import SeedOptions
from consensus.simulator.scheme import MockScheme, mock_sign
from consensus.simulator.world import World
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.objects import Header
from ledger.validators import Validator, ValidatorSet

KEYS = tuple(bytes([65 + number]) * 32 for number in range(8))
MEMBERS = tuple(Validator(f"v{number}", key) for number, key in enumerate(KEYS))
RULES = CouncilRules(8, KEYS[:4])
READY = dict.fromkeys(KEYS, 5)
COUNCIL = Council(5, MEMBERS, ready=READY)
SCHEME = MockScheme("chain")
GENESIS = World(SeedOptions(1, engine="dpos")).genesis.header


def header(view: int, parent_view: int, closing: bool = False) -> Header:
    fields = {name: getattr(GENESIS, name) for name in GENESIS.__struct_fields__}
    return Header(**{**fields, "epoch": 5, "view": view, "parent_view": parent_view, "closing": closing})


def turn(member: int, view: int, left: int = 1, cause: Cause = Cause.TURN) -> Bar:
    return Bar(KEYS[member], cause, 5, view, left)


def barred(*bars: Bar) -> Council:
    council = COUNCIL
    for one in bars:
        council = bar(council, one)
    return council


# --- turns ------------------------------------------------------------------------------------------------------------


def test_turns_are_lost_between_the_parents_view_and_the_blocks() -> None:
    assert lost_turns(MEMBERS, header(1, 0)) == ()
    assert lost_turns(MEMBERS, header(4, 1)) == ((2, KEYS[1]), (3, KEYS[2]))
    assert lost_turns(MEMBERS, header(10, 7)) == ((8, KEYS[7]), (9, KEYS[0]))
    assert lost_turns(MEMBERS, header(2, 0)) == ((1, KEYS[0]),), "the first block of an epoch stands on view 0"
    assert lost_turns(MEMBERS, header(4, 1, closing=True)) == ()


def test_an_epoch_ends_with_the_first_view_not_below_the_seats() -> None:
    policy = DposPolicy(8)
    assert not policy.fast_skip
    assert [policy.is_boundary(header(view, 1)) for view in (7, 8, 9)] == [False, True, True]
    assert not policy.is_boundary(closing_header(header(8, 7), bytes(32), 9, 1, KEYS[0]))


def test_a_lost_turn_bars_from_one_election_and_an_invalid_block_from_three() -> None:
    council = barred(turn(1, 2), turn(2, 3, 3, Cause.INVALID))
    seen = []
    for _ in range(5):
        for key in KEYS:
            council = note_ready(council, key)
        council = next_council(council, RULES, MEMBERS, {}, {})
        seen.append({member.public_key for member in council.queue})
    assert [KEYS[1] in queue for queue in seen] == [False, True, True, True, True]
    assert [KEYS[2] in queue for queue in seen] == [False, False, False, True, True]
    assert council.bars == ()


def test_the_same_fault_twice_keeps_its_first_date_and_its_longer_bar() -> None:
    council = barred(turn(1, 9), turn(1, 2), turn(1, 4, 3, Cause.INVALID))
    assert council.bars == (turn(1, 2), turn(1, 4, 3, Cause.INVALID))


# --- who is eligible --------------------------------------------------------------------------------------------------


def test_too_few_eligible_lift_the_oldest_bars() -> None:
    found, council = eligible(barred(*(turn(member, 20 - member) for member in range(6))), RULES, MEMBERS)
    assert found == {KEYS[7], KEYS[6], KEYS[5], KEYS[4]}, "the least council is max(4, N / 2)"
    assert {one.member for one in council.bars} == set(KEYS[:4])


def test_all_barred_still_gives_a_council() -> None:
    council = next_council(barred(*(turn(member, member + 1) for member in range(8))), RULES, MEMBERS, {}, {})
    assert [member.public_key for member in council.queue] == list(KEYS[:4])


def test_who_signed_twice_is_lifted_last_and_only_for_one_election() -> None:
    liars = [turn(member, member + 1, 0, Cause.EQUIVOCATION) for member in range(2)]
    found, _ = eligible(barred(*liars, *(turn(member, member + 1) for member in range(2, 8))), RULES, MEMBERS)
    assert found == set(KEYS[2:6])
    few = MEMBERS[:4]
    found, council = eligible(barred(*liars), RULES, few)
    assert found == set(KEYS[:4])
    assert council.bars == tuple(liars)


def test_a_member_counts_by_its_newest_bar() -> None:
    bars = [turn(0, 1), turn(0, 90, 3, Cause.INVALID), *(turn(member, 10 + member) for member in range(1, 8))]
    found, council = eligible(barred(*bars), RULES, MEMBERS)
    assert found == set(KEYS[1:5])
    assert turn(0, 1) in council.bars, "a bar of one that is not lifted stays"


def test_who_does_not_show_the_state_is_not_electable_but_the_founders_are() -> None:
    found, _ = eligible(replace(COUNCIL, ready=dict.fromkeys(KEYS[2:], 4) | {KEYS[1]: 3}), RULES, MEMBERS)
    assert found == set(KEYS[2:])
    found, _ = eligible(replace(COUNCIL, ready={KEYS[7]: 5}), RULES, MEMBERS)
    assert found == {KEYS[7], *KEYS[:3]}, "filled up from the floor set"
    found, _ = eligible(replace(COUNCIL, ready={}), RULES, MEMBERS)
    assert found == set(KEYS[:4])


# --- elections --------------------------------------------------------------------------------------------------------


def test_nobody_keeps_more_than_two_shares_of_the_votes() -> None:
    scores = dict.fromkeys(KEYS, 1_000)
    ballots = dict.fromkeys(KEYS, (KEYS[7],))
    assert elect(scores, ballots, 4).votes[KEYS[7]] == 8_000
    assert elect(scores, ballots, 4, capped=True).votes[KEYS[7]] == 4_000
    assert elect(scores, ballots, 2, capped=True).votes[KEYS[7]] == 8_000


def test_zero_scores_and_ties_go_by_key_and_strangers_get_nothing() -> None:
    ballots = {KEYS[0]: (b"stranger" * 4, KEYS[3], KEYS[3])}
    council = next_council(COUNCIL, RULES, tuple(reversed(MEMBERS)), {b"stranger" * 4: 9}, ballots)
    assert [member.public_key for member in council.queue] == list(KEYS)
    assert [member.name for member in council.queue] == [member.name for member in MEMBERS]
    assert council.previous == MEMBERS
    assert council.epoch == 6
    scored = next_council(COUNCIL, RULES, MEMBERS, {KEYS[5]: 9, KEYS[6]: 9}, {})
    assert [member.public_key for member in scored.queue][:2] == [KEYS[5], KEYS[6]]


# --- reports ----------------------------------------------------------------------------------------------------------


def complaint(signer: int, view: int = 3, epoch: int = 5, block: bytes = b"b" * 32, invalid: bool = True) -> Complaint:
    reason = ComplaintReason.INVALID if invalid else ComplaintReason.TIMEOUT
    data = complaint_bytes("chain", ValidatorSet(MEMBERS).hash, epoch, view, block, reason)
    return Complaint(epoch, view, block, reason, signer, mock_sign(KEYS[signer], data))


def test_more_than_f_complaints_bar_the_leader_once() -> None:
    council = report_invalid(COUNCIL, RULES, SCHEME, [complaint(signer) for signer in (0, 4, 6)])
    assert council.bars == (turn(2, 3, 3, Cause.INVALID),)
    with pytest.raises(ReportRefused) as refused:
        report_invalid(council, RULES, SCHEME, [complaint(signer) for signer in (1, 4, 5)])
    assert refused.value.code == "REPORT_AGAIN"


@pytest.mark.parametrize(
    ("complaints", "code"),
    [
        ([], "REPORT_EMPTY"),
        ([complaint(0), complaint(1)], "REPORT_TOO_FEW"),
        ([complaint(0), complaint(1), complaint(1)], "REPORT_SIGNATURE"),
        ([complaint(0), complaint(1), complaint(2, block=b"c" * 32)], "REPORT_MIXED"),
        ([complaint(signer, invalid=False) for signer in range(3)], "REPORT_MIXED"),
        ([complaint(signer, epoch=3) for signer in range(3)], "REPORT_EPOCH"),
        ([complaint(signer, epoch=6) for signer in range(3)], "REPORT_EPOCH"),
    ],
)
def test_a_report_that_proves_nothing_is_refused(complaints: list[Complaint], code: str) -> None:
    with pytest.raises(ReportRefused) as refused:
        report_invalid(COUNCIL, RULES, SCHEME, complaints)
    assert refused.value.code == code


def test_a_forged_complaint_is_refused() -> None:
    true = complaint(2)
    forged = Complaint(true.epoch, true.view, true.block_hash, true.reason, 3, true.signature)
    with pytest.raises(ReportRefused) as refused:
        report_invalid(COUNCIL, RULES, SCHEME, [complaint(0), complaint(1), forged])
    assert refused.value.code == "REPORT_SIGNATURE"


def test_a_report_about_the_epoch_before_is_taken() -> None:
    council = Council(6, tuple(reversed(MEMBERS)), MEMBERS, ready=READY)
    found = report_invalid(council, RULES, SCHEME, [complaint(signer) for signer in range(3)])
    assert found.bars == (turn(2, 3, 3, Cause.INVALID),), "the leader of then, by the queue of then"


def vote(kind: VoteKind, block: bytes, signer: int = 1) -> Vote:
    data = vote_bytes("chain", ValidatorSet(MEMBERS).hash, kind, 5, 3, block)
    return Vote(kind, 5, 3, block, signer, mock_sign(KEYS[signer], data))


def test_two_votes_bar_for_good_and_nothing_less_does() -> None:
    one, two, forged = vote(VoteKind.NOTARIZE, b"x" * 32), vote(VoteKind.NOTARIZE, b"y" * 32), bytes(64)
    assert convict(COUNCIL, SCHEME, one, two).bars == (turn(1, 3, 0, Cause.EQUIVOCATION),)
    with pytest.raises(ReportRefused) as refused:
        convict(COUNCIL, SCHEME, one, vote(VoteKind.FINALIZE, b"x" * 32))
    assert refused.value.code == "EVIDENCE_EMPTY"
    with pytest.raises(ReportRefused) as refused:
        convict(COUNCIL, SCHEME, one, Vote(two.kind, two.epoch, two.view, two.block_hash, two.signer, forged))
    assert refused.value.code == "EVIDENCE_SIGNATURE"
    council = convict(COUNCIL, SCHEME, one, two)
    for _ in range(6):
        for key in KEYS:
            council = note_ready(council, key)
        council = next_council(council, RULES, MEMBERS, {KEYS[1]: 10**6}, {})
        assert KEYS[1] not in {member.public_key for member in council.queue}


# --- path queues ------------------------------------------------------------------------------------------------------


def test_a_path_queue_has_one_order_and_one_hash() -> None:
    trades = [direct(KEYS[1], KEYS[0], 3, 5), direct(KEYS[0], KEYS[1], 2, 5), direct(KEYS[0], KEYS[1], 1, 5)]
    queue = path_queue(trades)
    assert [trade.seq for trade in queue] == [1, 2, 3]
    assert route_hash(queue) == route_hash(path_queue(reversed(trades)))
    others = {route_hash(path_queue(trades[:2])), route_hash(()), route_hash(path_queue([*trades[:2], trades[0]]))}
    assert len(others | {route_hash(queue)}) == 4
