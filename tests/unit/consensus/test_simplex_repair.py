"""What is missing is found, from whoever has it; what is wrong is the bringer's fault, never the block's (A.7)."""

from __future__ import annotations

import msgspec
import pytest

from consensus.engine import (
    BODY_MISMATCH,
    Accuse,
    Behind,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Committed,
    Halt,
    PeerId,
    Prune,
    Reply,
    Request,
    RequestKind,
    Send,
    SignProposal,
    StoredBlock,
    TransactionsReady,
    Verdict,
)
from consensus.messages import (
    BodyRequest,
    BodyResponse,
    CertificateRequest,
    CertificateResponse,
    Part,
    Proposal,
    Status,
)
from consensus.simulator.probe import Probe, block_of
from ledger.certificates import VoteKind
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, sha256
from ledger.objects import Header, decode_header, transaction_id

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def peer(index: int) -> PeerId:
    return PeerId(index.to_bytes(32, "big"))


def connected(me: int = 3, peers: tuple[int, ...] = (0, 1, 2)) -> Probe:
    probe = Probe(4, me=me)
    probe.start()
    for member in peers:
        key = probe.committee.validators[member].public_key
        probe.give(Request(RequestKind.PEER_CONNECTED, peer(member), key))
    probe.clear()
    return probe


def asked(probe: Probe) -> list[tuple[int, tuple[int, ...]]]:
    """(peer, positions) of the body requests sent."""
    sent = [e for e in probe.effects(Send) if isinstance(e.message, BodyRequest)]
    return [(int.from_bytes(e.peer, "big"), e.message.missing) for e in sent if isinstance(e.message, BodyRequest)]


def missing(probe: Probe, proposal: Proposal, positions: tuple[int, ...]) -> None:
    """The application's pool lacks some transactions of a proposal."""
    header = decode_header(proposal.header)
    probe.give(Checked(1, header.view, header.parent, block_of(proposal), Verdict.MISSING, None, positions))  # type: ignore[arg-type]  # bytes as Hash


def body(probe: Probe, proposal: Proposal, positions: tuple[int, ...]) -> BodyResponse:
    parts = tuple(part for part in proposal.prefill if part.index in positions)
    return BodyResponse(block_of(proposal), proposal.header, len(proposal.prefill), parts, b"")


def test_missing_positions_are_asked_of_the_sender_and_complete_the_check() -> None:
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b", b"c"))
    probe.hear(proposal, peer=0)
    missing(probe, proposal, (1, 2))
    assert asked(probe) == [(0, (1, 2))]
    probe.hear(body(probe, proposal, (1,)), peer=0)
    assert len(probe.effects(Check)) == 1, "one is still missing"
    probe.answer = True
    probe.hear(body(probe, proposal, (2,)), peer=0)
    check = probe.effects(Check)[-1]
    assert [part.index for part in check.parts] == [1, 2]
    assert probe.votes() == [(NOTARIZE, 1)]


def test_what_does_not_come_is_asked_of_others_and_then_as_a_whole() -> None:
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b"))
    probe.hear(proposal, peer=0)
    missing(probe, proposal, (1,))
    probe.later(2_000)
    questions = asked(probe)
    assert questions[0] == (0, (1,))
    assert {who for who, _ in questions} == {0, 1, 2}
    assert questions[-1][1] == ()


@pytest.mark.parametrize("wrong", ["other transaction", "index", "header"])
def test_wrong_parts_cost_the_peer_and_the_search_goes_on(wrong: str) -> None:
    """Failure 12 of the list: valid-looking parts stalled a network. Parts that contradict the sender's own ids, or
    come with another header, are its fault."""
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b"))
    probe.hear(proposal, peer=0)
    missing(probe, proposal, (1,))
    parts = {"other transaction": Part(1, b"x"), "index": Part(7, b"b"), "header": Part(1, b"b")}
    header = proposal.header if wrong != "header" else probe.proposal(2).header
    probe.hear(BodyResponse(block_of(proposal), header, 2, (parts[wrong],), b""), peer=0)
    assert [a.peer for a in probe.effects(Accuse)] == [peer(0)]
    probe.answer = True
    probe.hear(body(probe, proposal, (1,)), peer=1)
    assert probe.votes() == [(NOTARIZE, 1)]


@pytest.mark.parametrize("forged", [(b"y",), (b"a", b"y"), (b"y", b"b", b"c")])
def test_ids_forged_by_whoever_passes_a_proposal_on_cost_no_honest_peer(forged: tuple[bytes, ...]) -> None:
    """The ids are not signed. Member 2 brings the leader's block first, with ids of its own; 1 and the leader answer
    truly, are not accused, and the block gets its vote."""
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b"))
    ids = tuple(transaction_id(raw) for raw in forged)
    probe.hear(msgspec.structs.replace(proposal, transaction_ids=ids, prefill=()), peer=2)
    missing(probe, proposal, (0,))
    probe.hear(body(probe, proposal, (0,)), peer=1)
    if forged[0] == b"a":
        assert len(probe.effects(Check)) == 2
        probe.give(Checked(1, 1, ZERO_HASH, block_of(proposal), Verdict.INVALID, None, (), BODY_MISMATCH))
    probe.answer = True
    probe.hear(body(probe, proposal, (0, 1)), peer=0)
    assert probe.effects(Accuse) == []
    assert probe.votes() == [(NOTARIZE, 1)]


def test_too_many_ids_say_nothing_about_the_block() -> None:
    """One member that pads another's proposal must not make this node call the block invalid: a quorum may finalise it,
    and an invalid final block halts for good."""
    probe = connected()
    proposal = probe.proposal(1, transactions=(b"a",))
    ids = proposal.transaction_ids * (probe.parameters.max_block_txs + 1)
    probe.hear(msgspec.structs.replace(proposal, transaction_ids=ids), peer=2)
    assert [(a.peer, a.reason) for a in probe.effects(Accuse)] == [(peer(2), "too-many-ids")]
    assert probe.votes() == []
    probe.hear(proposal, peer=0)
    assert probe.votes() == [(NOTARIZE, 1)]
    probe.hear(probe.certificate(FINALIZE, 1, block_of(proposal)), peer=1)
    assert probe.effects(Halt) == []
    assert [effect.hashes for effect in probe.effects(Commit)] == [(block_of(proposal),)]


def test_a_substituted_body_is_not_the_blocks_fault() -> None:
    probe = connected()
    proposal = probe.proposal(1, transactions=(b"a",))
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(proposal)), peer=1)
    for parts, extra in (((Part(0, b"x"),), b""), ((Part(0, b"a"),), b"x"), ((Part(1, b"a"),), b"")):
        probe.hear(BodyResponse(block_of(proposal), proposal.header, 1, parts, extra), peer=2)
    assert [a.reason for a in probe.effects(Accuse)] == ["wrong-body"] * 3
    assert probe.votes() == []
    probe.hear(body(probe, proposal, (0,)), peer=1)
    assert probe.votes() == [(FINALIZE, 1)]


def test_ids_that_do_not_fit_the_header_lead_to_the_whole_body() -> None:
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b"))
    probe.hear(proposal, peer=0)
    header = decode_header(proposal.header)
    probe.give(Checked(1, 1, header.parent, block_of(proposal), Verdict.INVALID, None, (), BODY_MISMATCH))  # type: ignore[arg-type]  # bytes as Hash
    assert probe.votes() == [], "the ids are not signed: no judgement of the block"
    assert asked(probe) == [(0, ())]
    probe.answer = True
    probe.hear(body(probe, proposal, (0, 1)), peer=1)
    assert probe.votes() == [(NOTARIZE, 1)]


def test_bodies_that_are_held_are_served_others_are_answered_by_status() -> None:
    probe = connected()
    proposal = probe.proposal(1, transactions=(b"a", b"b", b"c"))
    probe.hear(proposal, peer=0)
    probe.clear()
    probe.hear(BodyRequest(block_of(proposal), ()), peer=1)
    probe.hear(BodyRequest(block_of(proposal), (2, 0, 99)), peer=1)
    probe.hear(BodyRequest(sha256(b"unknown"), ()), peer=1)
    answers = [e.message for e in probe.effects(Send)]
    whole, some, other = answers
    assert isinstance(whole, BodyResponse)
    assert isinstance(some, BodyResponse)
    assert [part.transaction for part in whole.parts] == [b"a", b"b", b"c"]
    assert [part.index for part in some.parts] == [0, 2]
    assert isinstance(other, Status)


def test_three_hundred_nullified_views_are_caught_up_by_requests() -> None:
    """A response holds at most 256 certificates, so a second question has to go on where the first ended."""
    ahead, late = connected(me=2, peers=(3,)), connected(me=3, peers=(2,))
    for view in range(1, 301):
        ahead.hear(ahead.certificate(NULLIFY, view), peer=0)
    late.hear(late.certificate(NULLIFY, 300), peer=0)
    for _ in range(4):
        late.later(500)
        requests = [e.message for e in late.effects(Send) if isinstance(e.message, CertificateRequest)]
        late.clear()
        ahead.clear()
        for request in requests[-1:]:
            ahead.hear(request, peer=3)
        for effect in ahead.effects(Send):
            if isinstance(effect.message, CertificateResponse):
                late.hear(effect.message, peer=2)
        late.hear(Status(1, 301, 0, ZERO_HASH, None), peer=2)
        late.give(TransactionsReady(True))
    assert sorted(late.state.nullifications) == list(range(1, 301))


def test_a_node_whose_questions_nobody_answers_does_not_hold_all_that_it_hears() -> None:
    """Every block above the missing one waits for it; what catching up will bring is not kept meanwhile."""
    probe = connected()
    chain = [probe.proposal(1)]
    for view in range(2, 201):
        before = probe.certificate(FINALIZE, view - 1, block_of(chain[-1]))
        chain.append(probe.proposal(view, chain[-1], (before,), time_ms=probe.now + view))
        probe.hear(chain[-1], peer=0)
        probe.hear(probe.certificate(FINALIZE, view, block_of(chain[-1])))
        keep = probe.state.parameters.keep_blocks
        assert len(probe.state.blocks) <= 3 * keep + 4, f"view {view}"
        assert len(probe.state.fetches) <= 2, "one for the missed block, one for what is final"
    last = probe.certificate(FINALIZE, 199, block_of(chain[198]))
    probe.give(Committed(decode_header(chain[198].header), block_of(chain[198]), last, None, None))
    assert [check.hash for check in probe.effects(Check)] == [block_of(chain[199])], "it goes on by itself"


@pytest.mark.parametrize("views", [2, 17, 40])
def test_blocks_of_the_own_log_are_never_forgotten_however_many_wait(views: int) -> None:
    """Power fails everywhere between the record of a finalization and its commit, after a row of views that were only
    notarised: nobody has committed these blocks, so catching up cannot bring them."""
    probe = connected()
    chain = [probe.proposal(1)]
    probe.hear(chain[0])
    for view in range(2, views + 1):
        before = probe.certificate(NOTARIZE, view - 1, block_of(chain[-1]))
        chain.append(probe.proposal(view, chain[-1], (before,), time_ms=probe.now + view))
        probe.hear(chain[-1])
    assert not probe.effects(Commit)
    probe.hear(probe.certificate(FINALIZE, views, block_of(chain[-1])))
    probe.clear()
    probe.restart()
    assert [commit.hashes for commit in probe.effects(Commit)] == [tuple(map(block_of, chain))]


def test_gaps_in_the_own_log_are_asked_for_however_far_above_the_head() -> None:
    """As above, of a life that had seen some blocks too late to vote for them: others have them in their logs only."""
    probe = connected()
    chain = [probe.proposal(1)]
    probe.hear(chain[0])
    for view in range(2, 41):
        before = probe.certificate(NOTARIZE, view - 1, block_of(chain[-1]))
        chain.append(probe.proposal(view, chain[-1], (before,), time_ms=probe.now + view))
        probe.hear(chain[-1])
    probe.hear(probe.certificate(FINALIZE, 40, block_of(chain[-1])))
    gaps = {block_of(chain[index]): chain[index] for index in (4, 29, 30)}
    probe.log = [entry for entry in probe.log if not (isinstance(entry, StoredBlock) and entry.hash in gaps)]
    probe.clear()
    probe.restart()
    probe.give(Request(RequestKind.PEER_CONNECTED, peer(0), probe.committee.validators[0].public_key))
    while gaps:
        probe.clear()
        probe.later(1_000)
        sent = [e.message for e in probe.effects(Send) if isinstance(e.message, BodyRequest)]
        found = {block_hash for block_hash in gaps if any(one.block_hash == block_hash for one in sent)}
        assert found, "nothing is asked for, and nobody can bring it"
        for block_hash in found:
            probe.hear(body(probe, gaps.pop(block_hash), ()), peer=0)
    assert [commit.hashes for commit in probe.effects(Commit)] == [tuple(map(block_of, chain))]


def test_a_bad_certificate_costs_the_peer() -> None:
    probe = connected()
    good = probe.certificate(NULLIFY, 1)
    bad = type(good)(good.kind, good.epoch, good.view, good.block_hash, good.signers, (bytes(64),) * 3)
    probe.hear(bad, peer=2)
    assert [a.reason for a in probe.effects(Accuse)] == ["bad-certificate"]
    assert probe.state.view == 1


# --- sync -------------------------------------------------------------------------------------------------------------


def test_a_peer_far_ahead_makes_the_node_sync() -> None:
    probe = connected()
    probe.hear(Status(1, 40, 30, sha256(b"head"), None), peer=1)
    assert [(b.peer, b.height) for b in probe.effects(Behind)] == [(peer(1), 30)]
    probe.hear(Status(1, 1 << 62, 1 << 62, sha256(b"head"), None), peer=2)
    assert len(probe.effects(Behind)) == 1, "a lie of a height costs one question in two Delta"


def test_what_sync_has_committed_becomes_the_head() -> None:
    probe = connected()
    first = probe.proposal(1)
    header = decode_header(first.header)
    probe.give(Committed(header, block_of(first), probe.certificate(FINALIZE, 1, block_of(first)), None, None))
    assert (probe.state.head_hash, probe.state.view) == (block_of(first), 2)
    assert not probe.effects(Commit)
    (prune,) = probe.effects(Prune)
    assert (prune.epoch, prune.floor_view) == (1, 1)


def test_a_head_below_blocks_that_are_missing_is_still_what_the_next_one_stands_on() -> None:
    """Found by scenario 23881 of `simulate twins`: catching up brought a block below the final one, whose way to it was
    not known yet, so the head was forgotten with what is old, and the block above it had no parent to be judged on."""
    probe = connected()
    chain = [probe.proposal(1)]
    for view in (2, 3):
        before = probe.certificate(FINALIZE, view - 1, block_of(chain[-1]))
        chain.append(probe.proposal(view, chain[-1], (before,), time_ms=probe.now + view))
    probe.hear(probe.certificate(FINALIZE, 3, block_of(chain[2])))
    probe.hear(chain[2], peer=0)
    first = probe.certificate(FINALIZE, 1, block_of(chain[0]))
    probe.give(Committed(decode_header(chain[0].header), block_of(chain[0]), first, None, None))
    assert probe.state.blocks[block_of(chain[0])].verdict is Verdict.VALID
    probe.hear(body(probe, chain[2], ()), peer=0)
    assert block_of(chain[1]) in probe.state.fetches
    probe.hear(body(probe, chain[1], ()), peer=0)
    assert [check.hash for check in probe.effects(Check)][:1] == [block_of(chain[1])]


def test_a_sync_at_equal_height_changes_nothing() -> None:
    """Failure 17 of the list: a no-op sync reset a counter, and honest leaders were refused for ever."""
    probe = connected()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    final = probe.certificate(FINALIZE, 1, block_of(first))
    probe.hear(final)
    before = (probe.state.view, probe.state.final_view, probe.state.nullified, probe.armed())
    probe.give(Committed(decode_header(first.header), block_of(first), final, None, None))
    assert (probe.state.view, probe.state.final_view, probe.state.nullified, probe.armed()) == before


def test_a_final_block_that_is_invalid_here_halts_the_engine() -> None:
    probe = connected()
    proposal = probe.proposal(1, state_root=sha256(b"another state"))
    probe.hear(proposal, peer=0)
    probe.hear(probe.certificate(FINALIZE, 1, block_of(proposal)))
    (halt,) = probe.effects(Halt)
    assert halt.reason.startswith("state-divergence")
    assert not probe.effects(Commit)
    probe.clear()
    probe.give(TransactionsReady(True))
    probe.later(5_000)
    assert probe.votes() == []


def test_a_leader_with_a_broken_application_loses_only_its_turn() -> None:
    """Failure 15 of the list: a sender that does not check its own product."""
    probe = Probe(4, me=0)
    probe.answer = False
    probe.start()
    probe.give(TransactionsReady(True))
    (build,) = probe.effects(Build)
    built = probe.application.build(build.template, [], 1)
    assert built is not None
    block, header, _ = built
    wrong = Header(**{**{n: getattr(header, n) for n in header.__struct_fields__}, "height": 9})
    probe.give(Built(1, 1, build.template.parent, block, wrong, (), (), b"", None))
    assert not probe.published(SignProposal)
    assert encode(wrong) != block.header_bytes
    probe.later(1_000)
    assert probe.votes() == [(NULLIFY, 1)]


def test_status_of_the_engine() -> None:
    probe = connected()
    probe.give(Request(RequestKind.STATUS))
    (reply,) = probe.effects(Reply)
    status = reply.status
    assert (status.epoch, status.view, status.final_height, status.held) == (1, 1, 0, False)
    assert status.leader == probe.committee.validators[0].public_key
