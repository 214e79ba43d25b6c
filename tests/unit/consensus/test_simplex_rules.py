"""The transition table: each rule of the core with its guards true and false, one core alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from consensus.engine import (
    Accuse,
    Broadcast,
    Build,
    Check,
    Commit,
    Fault,
    LogCertificate,
    SignComplaint,
    SignProposal,
    SignVote,
    TimerKind,
    TransactionsReady,
)
from consensus.messages import ComplaintReason, Evidence, Proposal
from consensus.simulator.probe import Probe, block_of
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import ZERO_HASH, sha256

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def follower(**parameters: int) -> Probe:
    """Member 3 of 4: leads view 4, follows in views 1 to 3."""
    probe = Probe(4, me=3, **parameters)
    probe.start()
    return probe


def notarized(probe: Probe, view: int = 1) -> Proposal:
    """Everybody's notarize votes for the first block of a view."""
    proposal = probe.proposal(view)
    probe.hear(proposal, peer=(view - 1) % 4)
    probe.hear(probe.certificate(NOTARIZE, view, block_of(proposal)))
    return proposal


# --- R0: entering a view, leading it ----------------------------------------------------------------------------------


def test_r0_leader_builds_when_work_appears_and_publishes_once() -> None:
    probe = Probe(4, me=0)
    probe.start()
    probe.give(TransactionsReady(True))
    assert len(probe.effects(Build)) == 1
    assert len(probe.published(SignProposal)) == 1
    probe.give(TransactionsReady(False))
    probe.give(TransactionsReady(True))
    assert len(probe.effects(Build)) == 1


def test_r0_leader_waits_for_the_block_interval() -> None:
    probe = Probe(4, me=1, min_block_interval_ms=200)
    probe.start()
    probe.give(TransactionsReady(True))
    notarized(probe)
    assert probe.state.view == 2
    assert not probe.effects(Build)
    assert probe.timer(TimerKind.BUILD) == 200
    probe.later(199)
    assert not probe.effects(Build)
    probe.later(1)
    assert [build.template.view for build in probe.effects(Build)] == [2]


def test_r0_leader_does_not_build_after_its_own_vote() -> None:
    probe = Probe(4, me=0)
    probe.start()
    for signer in (1, 2):
        probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, signer), peer=signer)
    probe.later(200 + 3 * 100)
    assert probe.votes() == [(NULLIFY, 1)]
    probe.give(TransactionsReady(True))
    assert not probe.effects(Build)


def test_r0_a_built_block_that_comes_after_own_nullify_is_stale() -> None:
    probe = Probe(4, me=0)
    probe.answer = False
    probe.start()
    probe.give(TransactionsReady(True))
    (build,) = probe.effects(Build)
    probe.later(1_000)
    assert probe.votes() == [(NULLIFY, 1)]
    probe.answer = True
    probe._build(build)
    assert not probe.published(SignProposal)


def test_r0_parent_is_the_highest_notarized_view_with_every_view_between_nullified() -> None:
    probe = follower()
    first = notarized(probe, 1)
    probe.hear(probe.certificate(NULLIFY, 3))
    assert probe.state.view == 4
    probe.give(TransactionsReady(True))
    probe.later(1_000)
    assert not probe.effects(Build), "view 2 is neither notarised nor nullified here"
    probe = follower()
    first = notarized(probe, 1)
    probe.hear(probe.certificate(NULLIFY, 3))
    probe.hear(probe.certificate(NULLIFY, 2))
    probe.give(TransactionsReady(True))
    probe.later(300)
    (build,) = probe.effects(Build)
    assert (build.template.parent, build.template.parent_view) == (block_of(first), 1)
    (record,) = probe.published(SignProposal)
    assert [(c.kind, c.view) for c in record.justification] == [(NOTARIZE, 1), (NULLIFY, 2), (NULLIFY, 3)]


def test_r0_a_finalized_parent_is_justified_by_its_finalization() -> None:
    probe = follower()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    probe.hear(probe.certificate(FINALIZE, 1, block_of(first)))
    probe.hear(probe.certificate(NULLIFY, 2))
    probe.hear(probe.certificate(NULLIFY, 3))
    probe.give(TransactionsReady(True))
    probe.later(300)
    (record,) = probe.published(SignProposal)
    assert [(c.kind, c.view) for c in record.justification] == [(FINALIZE, 1), (NULLIFY, 2), (NULLIFY, 3)]


def test_r0_the_entering_certificate_is_broadcast_once() -> None:
    probe = follower()
    certificate = probe.certificate(NULLIFY, 1)
    probe.hear(certificate, peer=1)
    probe.hear(certificate, peer=2)
    assert [e.message for e in probe.effects(Broadcast)].count(certificate) == 1


# --- R1: proposals ----------------------------------------------------------------------------------------------------


def test_r1_a_good_proposal_is_notarized_with_its_body() -> None:
    probe = follower()
    probe.hear(probe.proposal(1, transactions=(b"one", b"two")), peer=0)
    (record,) = probe.published(SignVote)
    assert record.kind is NOTARIZE
    assert record.block is not None


def test_r1_not_before_its_view_and_then_at_once() -> None:
    probe = follower()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    second = probe.proposal(2, first, (probe.certificate(NOTARIZE, 1, block_of(first)),), time_ms=probe.now + 1)
    probe.hear(second, peer=1)
    assert probe.votes() == [(NOTARIZE, 1), (FINALIZE, 1), (NOTARIZE, 2)], "its justification opens the view"
    probe = follower()
    probe.hear(probe.proposal(2, first, time_ms=probe.now + 1), peer=1)
    assert probe.votes() == []


def test_r1_only_the_first_proposal_gets_a_vote_and_the_second_is_evidence() -> None:
    probe = follower()
    probe.hear(probe.proposal(1), peer=0)
    probe.hear(probe.proposal(1, time_ms=probe.now + 1), peer=0)
    assert probe.votes() == [(NOTARIZE, 1)]
    (accusation,) = probe.effects(Accuse)
    assert (accusation.fault, accusation.reason) == (Fault.EQUIVOCATION, "two-notarize")
    assert [type(e.message) for e in probe.effects(Broadcast)] == [Evidence]


def test_r1_no_vote_after_own_nullify() -> None:
    probe = follower()
    probe.give(TransactionsReady(True))
    probe.later(1_000)
    probe.hear(probe.proposal(1), peer=0)
    assert probe.votes() == [(NULLIFY, 1)]


def test_r1_a_proposal_that_its_leader_did_not_sign_costs_the_peer() -> None:
    probe = follower()
    good = probe.proposal(1)
    forged = Proposal(good.header, bytes(64), (), (), b"", ())
    probe.hear(forged, peer=7)
    assert [a.reason for a in probe.effects(Accuse)] == ["proposal-not-of-the-leader"]
    probe.hear(good, peer=0)
    assert probe.votes() == [(NOTARIZE, 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 2},
        {"closing": True},
        {"proposer": bytes(32)},
        {"validators": bytes(32)},
        {"next_validators": bytes(32)},
        {"chain_id": "another"},
        {"state_root": bytes(32)},
        {"body_size": 1 << 30},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_r1_definitely_invalid_is_nullified_at_once_with_a_complaint(fields: dict[str, object]) -> None:
    probe = follower()
    probe.hear(probe.proposal(1, **fields), peer=0)
    assert probe.votes() == [(NULLIFY, 1)]
    assert [c.reason for c in probe.published(SignComplaint)] == [ComplaintReason.INVALID]


def test_r1_a_bad_justification_is_ignored_never_invalid() -> None:
    probe = follower()
    first = probe.proposal(1)
    probe.hear(probe.certificate(NULLIFY, 1))
    probe.hear(probe.proposal(2, first, (), time_ms=probe.now + 1), peer=1)
    assert probe.votes() == []
    assert not probe.published(SignComplaint)
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(first)))
    probe.hear(first, peer=0)
    assert (NOTARIZE, 2) in probe.votes(), "the missing proof came from elsewhere"


def test_r1_a_child_of_an_older_parent_with_many_skipped_views_is_good() -> None:
    """Failure 7 of the list: a legal proposal on an old parent refused by validation."""
    probe = follower()
    first = notarized(probe, 1)
    skipped = tuple(probe.certificate(NULLIFY, view) for view in range(2, 41))
    proof = (probe.certificate(NOTARIZE, 1, block_of(first)), *skipped)
    probe.hear(proof[-1])
    probe.now += 2_000
    probe.hear(probe.proposal(41, first, proof), peer=0)
    assert (NOTARIZE, 41) in probe.votes()


# --- R2, R3, R4: certificates -----------------------------------------------------------------------------------------


def test_r2_a_quorum_notarizes_finalizes_and_opens_the_next_view() -> None:
    probe = follower()
    proposal = probe.proposal(1)
    probe.hear(proposal, peer=0)
    assert probe.state.view == 1
    probe.hear(probe.vote(NOTARIZE, 1, block_of(proposal), 1), peer=1)
    assert probe.state.view == 2
    assert probe.votes() == [(NOTARIZE, 1), (FINALIZE, 1)]
    (certificate,) = [e.message for e in probe.effects(Broadcast) if isinstance(e.message, Certificate)]
    assert (certificate.kind, certificate.signers) == (NOTARIZE, (0, 1, 3))


def test_r2_no_finalize_after_own_nullify() -> None:
    probe = follower()
    probe.give(TransactionsReady(True))
    probe.later(1_000)
    notarized(probe)
    assert probe.votes() == [(NULLIFY, 1)]
    assert probe.state.view == 2


def test_r2_no_finalize_for_another_block_than_the_own_notarized_one() -> None:
    probe = follower()
    probe.hear(probe.proposal(1), peer=0)
    other = probe.proposal(1, time_ms=probe.now + 1)
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(other)))
    assert probe.votes() == [(NOTARIZE, 1)]


def test_r2_a_missing_body_is_fetched_and_finalized_later_even_from_the_next_view() -> None:
    probe = follower()
    proposal = probe.proposal(1)
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(proposal)), peer=1)
    assert probe.state.view == 2
    assert probe.votes() == []
    probe.hear(proposal, peer=0)
    assert probe.votes() == [(FINALIZE, 1)]
    logged = [entry for entry in probe.log if not isinstance(entry, Certificate)]
    assert logged[0] == probe.state.blocks[block_of(proposal)].block, "the body is in the log before the vote"


def test_r2_votes_that_complete_a_quorum_after_the_view_was_left_still_count() -> None:
    """Failure 6 of the list."""
    probe = follower()
    proposal = probe.proposal(1)
    probe.hear(proposal, peer=0)
    probe.hear(probe.certificate(NULLIFY, 1))
    assert probe.state.view == 2
    probe.hear(probe.vote(NOTARIZE, 1, block_of(proposal), 1), peer=1)
    assert (FINALIZE, 1) in probe.votes()


def test_r3_a_nullified_view_backs_off_and_a_finalization_halves_it() -> None:
    probe = follower()
    for view in (1, 2, 3):
        probe.hear(probe.certificate(NULLIFY, view))
    assert probe.state.nullified == 3
    proposal = probe.proposal(4)
    probe.hear(probe.certificate(FINALIZE, 4, block_of(proposal)))
    assert probe.state.nullified == 1


def test_r4_a_finalization_commits_the_block_and_its_ancestors() -> None:
    probe = follower()
    first = notarized(probe, 1)
    probe.now += 250
    second = probe.proposal(2, first, (probe.certificate(NOTARIZE, 1, block_of(first)),))
    probe.hear(second, peer=1)
    for signer in (0, 1):
        probe.hear(probe.vote(NOTARIZE, 2, block_of(second), signer), peer=signer)
        probe.hear(probe.vote(FINALIZE, 2, block_of(second), signer), peer=signer)
    (commit,) = probe.effects(Commit)
    assert commit.hashes == (block_of(first), block_of(second))
    assert probe.state.head.height == 2
    assert probe.state.views.keys() == {3}
    assert not probe.state.notarizations


def test_r4_nothing_is_committed_before_every_body_is_judged() -> None:
    probe = follower()
    first = probe.proposal(1)
    second = probe.proposal(2, first, time_ms=probe.now + 1)
    probe.hear(probe.certificate(FINALIZE, 2, block_of(second)))
    assert not probe.effects(Commit)
    probe.hear(second, peer=1)
    assert not probe.effects(Commit)


# --- R5: leaving a view -----------------------------------------------------------------------------------------------


def test_r5_lead_timer_nullifies_a_view_without_a_proposal() -> None:
    probe = follower()
    assert probe.timer(TimerKind.LEAD) is None
    probe.give(TransactionsReady(True))
    assert probe.timer(TimerKind.LEAD) == 200
    assert probe.timer(TimerKind.VIEW) == 300
    probe.later(199)
    assert probe.votes() == []
    probe.later(1)
    assert probe.votes() == [(NULLIFY, 1)]


def test_r5_view_timer_nullifies_a_view_that_was_not_certified() -> None:
    probe = follower()
    probe.hear(probe.proposal(1), peer=0)
    assert probe.timer(TimerKind.LEAD) is None
    probe.later(300)
    assert probe.votes() == [(NOTARIZE, 1), (NULLIFY, 1)]


def test_r5_timers_go_with_the_work() -> None:
    probe = follower()
    probe.give(TransactionsReady(True))
    probe.give(TransactionsReady(False))
    assert probe.timer(TimerKind.VIEW) is None
    probe.later(5_000)
    assert probe.votes() == []


def test_r5_a_leader_that_leaves_its_view_ends_it_for_all() -> None:
    probe = follower()
    probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, 0), peer=0)
    assert probe.votes() == [(NULLIFY, 1)]


def test_r5_a_forged_leave_of_the_leader_is_the_bringers_fault() -> None:
    probe = follower()
    probe.hear(Vote(NULLIFY, 1, 1, ZERO_HASH, 0, bytes(64)), peer=2)
    assert probe.votes() == []
    assert [a.reason for a in probe.effects(Accuse)] == ["bad-signature"]


def test_r5_others_leaving_is_work_for_this_node_once_more_than_f() -> None:
    probe = follower()
    probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, 1), peer=1)
    assert probe.timer(TimerKind.VIEW) is None
    probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, 2), peer=2)
    assert probe.timer(TimerKind.VIEW) == 300


# --- R6, R7 -----------------------------------------------------------------------------------------------------------


def test_r6_votes_are_sent_again_while_there_is_work_with_back_off() -> None:
    probe = follower()
    probe.hear(probe.proposal(1), peer=0)
    times = []
    begun = probe.now
    vote = next(entry for entry in probe.log if isinstance(entry, Vote))
    for _ in range(200):
        probe.clear()
        probe.later(10)
        if any(isinstance(e, Broadcast) and e.message == vote for e in probe.seen):
            times.append(probe.now - begun)
    assert times[:4] == [100, 250, 480, 820]
    assert all(later - earlier <= 410 for earlier, later in pairwise(times))


def test_r6_nothing_but_status_is_sent_while_idle() -> None:
    probe = follower()
    probe.hear(probe.certificate(NULLIFY, 1))
    probe.clear()
    probe.later(20_000)
    assert not probe.effects(Broadcast)


def test_r7_a_leader_silent_in_a_nullified_view_gets_half_the_time_until_it_speaks() -> None:
    probe = follower()
    probe.hear(probe.certificate(NULLIFY, 1))
    assert probe.state.inactive == {0}
    for view in (2, 3, 4):
        leader = (view - 1) % 4
        probe.hear(probe.vote(NULLIFY, view, ZERO_HASH, leader), peer=leader)
        probe.hear(probe.certificate(NULLIFY, view))
    assert probe.state.inactive == {0}
    probe.give(TransactionsReady(True))
    delta = probe.state.delta()
    assert (probe.timer(TimerKind.LEAD), probe.timer(TimerKind.VIEW)) == (delta, 3 * delta)
    probe.hear(probe.vote(NULLIFY, 5, ZERO_HASH, 0), peer=0)
    assert probe.state.inactive == set()


# --- slots, evidence --------------------------------------------------------------------------------------------------


def test_a_forged_vote_does_not_keep_the_true_one_out() -> None:
    probe = follower()
    proposal = probe.proposal(1)
    probe.hear(proposal, peer=0)
    probe.hear(Vote(NOTARIZE, 1, 1, sha256(b"x"), 1, bytes(64)), peer=7)
    probe.hear(probe.vote(NOTARIZE, 1, block_of(proposal), 1), peer=1)
    assert probe.state.view == 2
    assert [a.reason for a in probe.effects(Accuse)] == ["bad-signature"]


def test_forged_votes_are_found_at_the_quorum() -> None:
    probe = follower()
    proposal = probe.proposal(1)
    probe.hear(proposal, peer=0)
    probe.hear(Vote(NOTARIZE, 1, 1, block_of(proposal), 2, bytes(64)), peer=7)
    assert probe.state.view == 1
    assert [a.reason for a in probe.effects(Accuse)] == ["bad-signature"]
    probe.hear(probe.vote(NOTARIZE, 1, block_of(proposal), 1), peer=1)
    assert probe.state.view == 2


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        ((NOTARIZE, b"a"), (NOTARIZE, b"b"), "two-notarize"),
        ((FINALIZE, b"a"), (FINALIZE, b"b"), "two-finalize"),
        ((NULLIFY, b""), (FINALIZE, b"a"), "nullify-and-finalize"),
        ((NOTARIZE, b"a"), (NULLIFY, b""), ""),
        ((NOTARIZE, b"a"), (FINALIZE, b"b"), ""),
    ],
)
def test_evidence_is_given_once_and_never_for_what_the_honest_may_sign(
    one: tuple[VoteKind, bytes], two: tuple[VoteKind, bytes], reason: str
) -> None:
    for pair in ((one, two), (two, one)):
        probe = follower()
        for kind, data in (*pair, *pair):
            block_hash = sha256(data) if data else ZERO_HASH
            probe.hear(probe.vote(kind, 1, block_hash, 2), peer=2)
        accusations = [a.reason for a in probe.effects(Accuse)]
        assert accusations == ([reason] if reason else [])


def test_evidence_from_a_peer_is_verified_and_false_evidence_costs_the_peer() -> None:
    probe = follower()
    true = Evidence(probe.vote(FINALIZE, 1, sha256(b"a"), 1), probe.vote(FINALIZE, 1, sha256(b"b"), 1))
    probe.hear(true, peer=2)
    assert [a.fault for a in probe.effects(Accuse)] == [Fault.EQUIVOCATION]
    probe.hear(true, peer=2)
    false = Evidence(true.first, Vote(FINALIZE, 1, 1, sha256(b"c"), 2, bytes(64)))
    probe.hear(false, peer=2)
    assert [a.reason for a in probe.effects(Accuse)] == ["two-finalize", "false-evidence"]


def test_votes_outside_the_admitted_views_are_dropped() -> None:
    probe = follower()
    for view in (3, 1_000, 1 << 60):
        probe.hear(probe.vote(NOTARIZE, view, sha256(b"far"), 1), peer=1)
    assert probe.state.views.keys() == {1}


def test_certificates_are_logged_before_the_votes_they_lead_to() -> None:
    probe = follower()
    notarized(probe)
    kinds = [type(e.record) for e in probe.seen if hasattr(e, "record")]
    assert kinds.index(LogCertificate) < len(kinds) - 1 - kinds[::-1].index(SignVote)


def test_checks_carry_the_compact_form_and_ask_once() -> None:
    probe = follower()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"t",))
    probe.hear(proposal, peer=0)
    probe.hear(proposal, peer=1)
    (check,) = probe.effects(Check)
    assert check.proposal == proposal
    assert check.block is None
