"""A life after a life: nothing is signed twice, nothing is built twice, recorded bytes are sent again (A.6)."""

from __future__ import annotations

import pytest

from consensus.engine import (
    Broadcast,
    Build,
    Check,
    Commit,
    PeerId,
    Request,
    RequestKind,
    Send,
    SetHold,
    SignProposal,
    SignVote,
    TransactionsReady,
)
from consensus.engine import LiftHold as Lift
from consensus.messages import Complaint, ComplaintReason, Status
from consensus.simulator.probe import Probe, block_of
from ledger.certificates import Vote, VoteKind
from ledger.crypto import ZERO_HASH, sha256

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def signed(probe: Probe) -> int:
    """How many records were handed over for signing."""
    return len(probe.published(SignVote)) + len(probe.published(SignProposal))


def test_a_leader_that_crashed_before_its_proposal_was_durable_may_build_again() -> None:
    probe = Probe(4, me=0)
    probe.hold_publish = True
    probe.start()
    probe.give(TransactionsReady(True))
    assert len(probe.published(SignProposal)) == 1
    probe.log.clear()
    probe.hold_publish = False
    probe.restart()
    probe.give(TransactionsReady(True))
    assert len(probe.published(SignProposal)) == 2


def test_a_leader_never_builds_twice_in_a_view_and_sends_the_recorded_proposal_again() -> None:
    probe = Probe(4, me=0)
    probe.start()
    probe.give(TransactionsReady(True))
    (proposal,) = [entry for entry in probe.log if hasattr(entry, "justification")]
    probe.clear()
    probe.restart()
    probe.give(TransactionsReady(True))
    probe.later(150)
    assert not probe.effects(Build)
    assert signed(probe) == 0
    assert proposal in [effect.message for effect in probe.effects(Broadcast)]


@pytest.mark.parametrize("crash_after", range(1, 7))
def test_a_restart_after_any_publish_signs_nothing_that_was_signed(crash_after: int) -> None:
    """The node is cut after its n-th record, restarted with the log as it is, and finishes the same story."""
    probe = Probe(4, me=3)
    probe.start()
    first = probe.proposal(1)
    second = probe.proposal(2, first, (probe.certificate(NOTARIZE, 1, block_of(first)),), time_ms=probe.now + 250)
    story = [
        lambda: probe.hear(first, peer=0),
        lambda: probe.hear(probe.certificate(NOTARIZE, 1, block_of(first))),
        lambda: setattr(probe, "now", probe.now + 250),
        lambda: probe.hear(second, peer=1),
        lambda: probe.hear(probe.certificate(NOTARIZE, 2, block_of(second))),
        lambda: probe.hear(probe.certificate(FINALIZE, 2, block_of(second))),
    ]
    for step, tell in enumerate(story, start=1):
        tell()
        if step == crash_after:
            probe.restart()
    votes = [(entry.kind, entry.view) for entry in probe.log if isinstance(entry, Vote)]
    assert len(votes) == len(set(votes))
    assert set(votes) == {(NOTARIZE, 1), (FINALIZE, 1), (NOTARIZE, 2), (FINALIZE, 2)}
    assert probe.state.head.height == 2


def test_a_persisted_nullify_is_sent_again_after_a_restart_of_everybody() -> None:
    """Failure 3 of the list: own pending votes were lost with the process, and the network stalled."""
    probe = Probe(4, me=3)
    probe.hold_publish = True
    probe.start()
    probe.give(TransactionsReady(True))
    probe.later(1_000)
    (vote,) = [entry for entry in probe.log if isinstance(entry, Vote)]
    assert vote.kind is NULLIFY
    probe.clear()
    probe.hold_publish = False
    probe.restart()
    assert vote in [effect.message for effect in probe.effects(Broadcast)]
    assert signed(probe) == 0
    for signer in (0, 1):
        probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, signer), peer=signer)
    assert probe.state.view == 2, "the recovered vote counts towards the quorum"


def test_a_finalization_in_the_log_is_committed_in_the_next_life() -> None:
    probe = Probe(4, me=3)
    probe.answer = False
    probe.start()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    probe.answer = True
    probe._answer(probe.effects(Check)[0])
    probe.answer = False
    probe.hear(probe.certificate(FINALIZE, 1, block_of(first)))
    assert len(probe.effects(Commit)) == 1, "it is under way when the power goes"
    probe.clear()
    probe.answer = True
    probe.restart()
    assert [commit.hashes for commit in probe.effects(Commit)] == [(block_of(first),)]
    assert probe.state.view == 2


def test_the_floor_of_the_log_forbids_votes_at_and_below_it() -> None:
    from consensus.engine import WalRecovery

    probe = Probe(4, me=3)
    probe.start(WalRecovery(floor=(1, 1)))
    probe.hear(probe.proposal(1), peer=0)
    assert probe.votes() == []
    probe.hear(probe.certificate(NULLIFY, 1))
    probe.give(TransactionsReady(True))
    probe.later(2_000)
    assert probe.votes() == [(NULLIFY, 2)]


def test_a_recovered_complaint_is_the_only_one_of_its_view() -> None:
    from consensus.engine import SignComplaint, WalRecovery

    earlier = Complaint(1, 1, sha256(b"another block"), ComplaintReason.TIMEOUT, 3, bytes(64))
    for complaints, expected in (((), 1), ((earlier,), 0)):
        probe = Probe(4, me=3)
        probe.start(WalRecovery(complaints=complaints))
        probe.now += 10_000
        probe.hear(probe.proposal(1, time_ms=probe.now + 60_000), peer=0)
        assert len(probe.published(SignComplaint)) == expected


# --- the amnesia guard ------------------------------------------------------------------------------------------------


def peer(index: int) -> PeerId:
    return PeerId(index.to_bytes(32, "big"))


def connect(probe: Probe, member: int) -> None:
    probe.give(Request(RequestKind.PEER_CONNECTED, peer(member), probe.committee.validators[member].public_key))


def status(view: int, epoch: int = 1, vote: Vote | None = None) -> Status:
    return Status(epoch, view, 0, ZERO_HASH, vote)


def final(probe: Probe, view: int) -> None:
    probe.hear(probe.certificate(FINALIZE, view, sha256(b"block of %d" % view)))


def held() -> Probe:
    probe = Probe(4, me=3)
    probe.restart(held=True)
    for member in range(3):
        connect(probe, member)
    return probe


def test_a_held_node_observes_and_signs_nothing() -> None:
    probe = held()
    probe.give(TransactionsReady(True))
    probe.hear(probe.proposal(1), peer=0)
    probe.later(2_000)
    assert signed(probe) == 0
    assert probe.effects(Check), "it follows the chain nevertheless"


def test_it_votes_again_from_v_plus_2_on_after_a_finalization_above_v() -> None:
    probe = held()
    for member, view in ((0, 5), (1, 4), (2, 5)):
        probe.hear(status(view), peer=member)
    final(probe, 4)
    assert probe.state.hold is not None
    assert not probe.published(Lift), "view 5 was claimed, view 4 is not above it"
    final(probe, 5)
    assert not probe.published(Lift), "V itself is not above V"
    final(probe, 6)
    (lift,) = probe.published(Lift)
    assert (lift.epoch, lift.floor_view) == (1, 6)
    assert probe.state.view == 7
    probe.give(TransactionsReady(True))
    probe.later(2_000)
    assert probe.votes() == [(NULLIFY, 7)]


def test_claims_that_grow_with_a_slow_chain_do_not_hold_a_node_for_ever() -> None:
    """Everybody tells its view after each block: V is what they said first, or no block would ever be above it."""
    probe = held()
    for view in (1, 2, 3):
        for member in range(3):
            probe.hear(status(view), peer=member)
        final(probe, view)
    (lift,) = probe.published(Lift)
    assert (lift.epoch, lift.floor_view) == (1, 2)


def test_fewer_than_a_quorum_of_others_lift_nothing() -> None:
    probe = held()
    for member in (0, 1):
        probe.hear(status(2), peer=member)
    final(probe, 9)
    assert probe.state.hold is not None
    probe.hear(status(3, epoch=0), peer=2)
    assert probe.state.hold is None, "a member of an older epoch counts as view 0"


def test_strangers_and_the_node_itself_do_not_count() -> None:
    probe = Probe(4, me=3)
    probe.restart(held=True)
    probe.give(Request(RequestKind.PEER_CONNECTED, peer(0), probe.committee.validators[0].public_key))
    probe.give(Request(RequestKind.PEER_CONNECTED, peer(3), probe.committee.validators[3].public_key))
    probe.give(Request(RequestKind.PEER_CONNECTED, peer(8), sha256(b"nobody")))
    for member in (0, 3, 8, 1):
        probe.hear(status(1), peer=member)
    final(probe, 9)
    assert probe.state.hold is not None


def test_a_claim_counts_once_this_node_has_reached_it_by_certificates() -> None:
    probe = held()
    for member, view in ((0, 2), (1, 2), (2, 50)):
        probe.hear(status(view), peer=member)
    assert any(isinstance(effect, Send) and effect.peer == peer(2) for effect in probe.seen), "proof is asked for"
    final(probe, 9)
    assert probe.state.hold is not None, "view 50 is not proved, so three claims are only two"
    probe.hear(status(10), peer=2)
    assert probe.state.hold is not None, "the highest claim of a member stands"
    probe.hear(probe.certificate(NULLIFY, 49))
    assert probe.state.hold is not None, "view 50 is proved now, and 9 is not above it"
    final(probe, 51)
    assert probe.state.hold is None


def test_with_two_members_nothing_lifts_a_hold() -> None:
    probe = Probe(2, me=1)
    probe.restart(held=True)
    connect(probe, 0)
    probe.hear(status(1), peer=0)
    final(probe, 9)
    assert probe.state.hold is not None


def test_a_peer_that_shows_a_forgotten_vote_sets_the_hold() -> None:
    probe = Probe(4, me=3)
    probe.start()
    connect(probe, 0)
    forgotten = probe.vote(FINALIZE, 1, sha256(b"forgotten"), 3)
    probe.hear(status(1, vote=Vote(FINALIZE, 1, 1, forgotten.block_hash, 3, bytes(64))), peer=0)
    assert not probe.published(SetHold), "a forgery shows nothing"
    probe.hear(status(1, vote=forgotten), peer=0)
    assert len(probe.published(SetHold)) == 1
    probe.hear(probe.proposal(1), peer=0)
    assert signed(probe) == 0


def test_votes_that_are_remembered_or_final_set_no_hold() -> None:
    probe = Probe(4, me=3)
    probe.start()
    connect(probe, 0)
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    probe.hear(status(1, vote=probe.vote(NOTARIZE, 1, block_of(first), 3)), peer=0)
    probe.hear(probe.certificate(FINALIZE, 1, block_of(first)))
    probe.hear(status(1, vote=probe.vote(NULLIFY, 1, ZERO_HASH, 3)), peer=0)
    assert not probe.published(SetHold)


def test_status_tells_a_peer_its_newest_vote() -> None:
    probe = Probe(4, me=3)
    probe.start()
    connect(probe, 1)
    vote = probe.vote(NULLIFY, 1, ZERO_HASH, 1)
    probe.hear(vote, peer=1)
    probe.clear()
    probe.later(5_000)
    sent = [e.message for e in probe.effects(Send) if isinstance(e.message, Status) and e.peer == peer(1)]
    assert [s.your_last_vote for s in sent] == [vote]


def test_nobody_puts_a_vote_into_another_member_s_memory() -> None:
    probe = Probe(4, me=3)
    probe.start()
    for member in (0, 1):
        connect(probe, member)
    genuine = probe.vote(NOTARIZE, 1, sha256(b"block"), 1)
    probe.hear(genuine, peer=0)  # relayed first: nothing is known of it yet
    probe.hear(genuine, peer=1)
    probe.hear(Vote(NULLIFY, 1, 2, ZERO_HASH, 1, bytes(64)), peer=0)
    probe.hear(Vote(FINALIZE, 1, 2, sha256(b"false"), 1, bytes(64)), peer=0)
    probe.clear()
    probe.later(5_000)
    sent = [e.message for e in probe.effects(Send) if isinstance(e.message, Status) and e.peer == peer(1)]
    assert [s.your_last_vote for s in sent] == [genuine]


def test_a_relayed_vote_is_remembered_once_it_was_verified() -> None:
    probe = Probe(4, me=3)
    probe.start()
    for member in (0, 1):
        connect(probe, member)
    relayed = probe.vote(NULLIFY, 1, ZERO_HASH, 1)
    probe.hear(relayed, peer=0)
    assert probe.committee.validators[1].public_key not in probe.state.last_votes
    probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, 0), peer=0)  # weight above F: now signatures are checked
    assert probe.state.last_votes[probe.committee.validators[1].public_key] == relayed
