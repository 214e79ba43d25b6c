"""Epochs: boundary blocks, closing blocks, the hand-over, time bounds, idle chains, weights (A.2, A.8, A.9)."""

from __future__ import annotations

import pytest

from consensus.engine import Build, Commit, Send, SignComplaint, SignProposal, TimerKind, TransactionsReady
from consensus.messages import CertificateRequest, CertificateResponse, ComplaintReason, Proposal
from consensus.parameters import EngineParameters
from consensus.simplex.closing import is_closing_child
from consensus.simulator.probe import Probe, block_of
from ledger.certificates import VoteKind
from ledger.crypto import ZERO_HASH
from ledger.errors import GenesisError
from ledger.objects import decode_header

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def at_boundary(me: int = 1) -> tuple[Probe, Proposal]:
    """The boundary block of epoch 1 is notarised, not final; the next leader is member 1."""
    probe = Probe(4, me=me, epoch_blocks=1)
    probe.start()
    boundary = probe.proposal(1)
    probe.hear(boundary, peer=0)
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(boundary)))
    return probe, boundary


def test_a_leader_on_an_unfinal_boundary_proposes_a_closing_block_without_the_application() -> None:
    probe, boundary = at_boundary()
    probe.give(TransactionsReady(True))
    probe.later(299)
    assert not probe.published(SignProposal), "for an unfinal block alone it waits Delta more"
    probe.later(1)
    (record,) = probe.published(SignProposal)
    assert not probe.effects(Build)
    header = decode_header(record.block.header_bytes)
    parent = decode_header(boundary.header)
    assert is_closing_child(header, parent)
    assert (header.height, header.state_root, header.closing) == (parent.height, parent.state_root, True)


def test_a_boundary_final_through_a_closing_block_is_committed_with_it() -> None:
    probe, boundary = at_boundary()
    probe.later(300)
    (record,) = probe.published(SignProposal)
    probe.hear(probe.certificate(FINALIZE, 2, record.block.hash))
    (commit,) = probe.effects(Commit)
    assert commit.hashes == (block_of(boundary),)
    assert commit.closing == (record.block.header_bytes,)
    assert (probe.state.epoch.epoch, probe.state.view, probe.state.final_view) == (2, 1, 0)


def test_a_boundary_final_directly_ends_the_epoch() -> None:
    probe, boundary = at_boundary()
    probe.hear(probe.certificate(FINALIZE, 1, block_of(boundary)))
    assert (probe.state.epoch.epoch, probe.state.view) == (2, 1)
    probe.later(1_000)
    assert not probe.published(SignProposal)


def test_the_first_block_of_an_epoch_needs_only_nullifications() -> None:
    probe, boundary = at_boundary(me=3)
    probe.hear(probe.certificate(FINALIZE, 1, block_of(boundary)))
    for view in (1, 2, 3):
        probe.hear(probe.certificate(NULLIFY, view, epoch=2))
    probe.give(TransactionsReady(True))
    probe.later(300)
    (build,) = probe.effects(Build)
    assert (build.template.epoch, build.template.view, build.template.parent_view) == (2, 4, 0)
    (record,) = probe.published(SignProposal)
    assert [(c.kind, c.view) for c in record.justification] == [(NULLIFY, 1), (NULLIFY, 2), (NULLIFY, 3)]


def test_the_finality_proof_of_the_past_epoch_is_served() -> None:
    probe, boundary = at_boundary()
    proof = probe.certificate(FINALIZE, 1, block_of(boundary))
    probe.hear(proof)
    probe.clear()
    probe.hear(CertificateRequest(1, 1, 2), peer=2)
    (answer,) = [e.message for e in probe.effects(Send) if isinstance(e.message, CertificateResponse)]
    assert answer.certificates == (proof,)


def test_votes_of_the_next_epoch_wait_for_it() -> None:
    probe, boundary = at_boundary(me=3)
    early = [probe.vote(NULLIFY, 1, ZERO_HASH, signer, epoch=2) for signer in (0, 1, 2)]
    for signer, vote in enumerate(early):
        probe.hear(vote, peer=signer)
    assert probe.state.epoch.epoch == 1
    probe.hear(probe.certificate(FINALIZE, 1, block_of(boundary)))
    assert (probe.state.epoch.epoch, probe.state.view) == (2, 2)


@pytest.mark.parametrize("fields", [{"closing": False}, {"state_root": bytes(32)}, {"height": 3}], ids=str)
def test_nothing_but_a_closing_block_may_follow_a_boundary(fields: dict[str, object]) -> None:
    probe, boundary = at_boundary(me=3)
    parent = decode_header(boundary.header)
    proof = (probe.certificate(NOTARIZE, 1, block_of(boundary)),)
    good = {
        "closing": True,
        "height": parent.height,
        "state_root": parent.state_root,
        "next_validators": parent.next_validators,
        "time_ms": probe.now + 1,
    }
    probe.hear(probe.proposal(2, boundary, proof, **{**good, **fields}), peer=1)
    assert (NULLIFY, 2) in probe.votes()
    assert [c.reason for c in probe.published(SignComplaint)] == [ComplaintReason.INVALID]


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shift", "accepted"),
    [(0, True), (500, True), (501, False), (-600, True), (-601, False)],
)
def test_time_bounds(shift: int, accepted: bool) -> None:
    """PRECISION 500 ahead; PRECISION + Delta_k + wait behind: 500 + 100 + 0, since the parent is ten seconds old."""
    probe = Probe(4, me=3)
    probe.start()
    probe.now += 10_000
    probe.hear(probe.proposal(1, time_ms=probe.now + shift), peer=0)
    assert ((NOTARIZE, 1) in probe.votes()) is accepted
    reasons = [c.reason for c in probe.published(SignComplaint)]
    assert reasons == ([] if accepted else [ComplaintReason.TIMEOUT])
    assert (NULLIFY, 1) not in probe.votes(), "out of time is no fault: the timers decide"


def test_time_not_after_the_parents_is_invalid() -> None:
    probe = Probe(4, me=3)
    probe.start()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    probe.hear(probe.proposal(2, first, (probe.certificate(NOTARIZE, 1, block_of(first)),)), peer=1)
    assert (NULLIFY, 2) in probe.votes()


def test_a_leader_waits_for_a_parent_from_the_future() -> None:
    probe = Probe(4, me=1, min_block_interval_ms=50)
    probe.start()
    first = probe.proposal(1, time_ms=probe.now + 480)
    probe.hear(first, peer=0)
    probe.give(TransactionsReady(True))
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(first)))
    assert probe.timer(TimerKind.BUILD) == 481 - 250
    probe.later(231)
    (build,) = probe.effects(Build)
    assert build.template.time_ms == decode_header(first.header).time_ms + 1


def test_delta_grows_saturates_and_never_overflows() -> None:
    """Failure 10 of the list."""
    parameters = EngineParameters(delta_ms=500)
    assert [parameters.backoff_delta(k) for k in (0, 1, 2, 3)] == [500, 750, 1_125, 1_687]
    assert parameters.backoff_delta(16) == parameters.backoff_delta(10**6) == 30_000


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(GenesisError):
        EngineParameters(delta_ms=0)


def test_a_clock_set_back_by_an_hour_delays_nothing() -> None:
    probe = Probe(4, me=3)
    probe.start()
    probe.give(TransactionsReady(True))
    probe.later(100)
    probe.now -= 3_600_000
    probe.give(TransactionsReady(True))
    assert (probe.timer(TimerKind.LEAD), probe.timer(TimerKind.VIEW)) == (100, 200)
    probe.later(100)
    assert probe.votes() == [(NULLIFY, 1)]


# --- idle -------------------------------------------------------------------------------------------------------------


def test_an_idle_leader_makes_only_heartbeats() -> None:
    probe = Probe(1, me=0, heartbeat_ms=30_000)
    probe.start()
    probe.later(10 * 60_000)
    heights = probe.state.head.height
    assert heights == 20
    assert probe.state.nullified == 0


def test_a_follower_gives_the_leader_precision_before_it_misses_a_heartbeat() -> None:
    probe = Probe(4, me=3, heartbeat_ms=30_000)
    probe.start()
    probe.later(29_499)
    assert probe.timer(TimerKind.VIEW) is None
    probe.later(1)
    assert probe.timer(TimerKind.VIEW) is not None


def test_scheduled_work_wakes_the_leader_at_its_time() -> None:
    probe = Probe(4, me=0)
    probe.start(due=probe.now + 5_000)
    probe.later(4_999)
    assert not probe.effects(Build)
    probe.later(1)
    assert len(probe.effects(Build)) == 1


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "signers", "enough"),
    [
        ((1, 1, 1, 1), (0, 1), False),
        ((1, 1, 1, 1), (0, 1, 2), True),
        ((3, 1, 1, 1), (0,), False),
        ((3, 1, 1, 1), (0, 1), True),
        ((3, 1, 1, 1), (1, 2, 3), False),
        ((1, 1), (0,), False),
        ((1, 1), (0, 1), True),
        ((1,), (0,), True),
    ],
)
def test_quorums_count_weight(weights: tuple[int, ...], signers: tuple[int, ...], enough: bool) -> None:
    probe = Probe(len(weights), me=-1, weights=weights)
    probe.start()
    for signer in signers:
        probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, signer), peer=signer)
    assert (probe.state.view == 2) is enough
