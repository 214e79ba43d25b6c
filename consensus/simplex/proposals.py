"""R1: a leader's proposal, from arrival to the notarize vote.

Order: leader and signature, time, justification, ancestry, header, body and execution. What is *definitely* invalid is
nullified at once, with a complaint; what is merely unknown, early or late is left to the timers.
"""

from __future__ import annotations

from consensus.compact import count_of, well_named
from consensus.engine import Accuse, PeerId, SignComplaint, Verdict
from consensus.messages import ComplaintReason, Proposal
from consensus.simplex.ancestry import judge, justification
from consensus.simplex.certificates import receive_certificate
from consensus.simplex.effects import accuse_peer, ask_certificates, publish
from consensus.simplex.headers import header_fault
from consensus.simplex.relay import pass_on_proposal
from consensus.simplex.state import Candidate, State, ViewState
from consensus.simplex.tally import add_vote
from consensus.simplex.timing import current_wait
from consensus.simplex.voting import notarize, nullify
from ledger.certificates import Vote, VoteKind
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import Header, decode_header, header_hash


def on_proposal(state: State, proposal: Proposal, header: Header, peer: PeerId) -> None:
    """Take a proposal of the current epoch whose header was decoded, if its leader signed it.

    Its ids are not signed: whoever passes a good header on can add some. So too many of them say nothing about the
    block, and the proposal is as if it had never come.
    """
    view = header.view
    most, count = state.parameters.max_block_txs, count_of(proposal)
    if not well_named(proposal):
        accuse_peer(
            state, peer, "malformed-ids", "full ids, or short ones of 8 bytes", f"{len(proposal.short_ids)} bytes"
        )
        return
    if count > most:
        accuse_peer(state, peer, "too-many-ids", f"at most {most} transactions", str(count))
        return
    if view > state.view:
        _read_justification(state, proposal, view, peer)  # it may hold what opens the view
    if not state.final_view < view <= max(state.view, state.next_view) + 1:
        return
    block_hash = header_hash(proposal.header)
    known = state.views.get(view)
    if known is not None and known.candidate is not None and known.candidate.hash == block_hash:
        return
    leader = state.view_state(view).leader
    vote = Vote(VoteKind.NOTARIZE, state.epoch.epoch, view, block_hash, leader, proposal.signature)
    if not state.scheme.verify_vote(vote, state.epoch.validators):
        name = state.epoch.validators.validators[leader].name
        _refuse_stranger(state, peer, header, f"signed by {name}, the leader of view {view}")
        return
    add_vote(state, vote, peer, verified=True)
    vs = state.view_state(view)
    entry = state.blocks.get(block_hash)
    if vs.candidate is not None and entry is None:
        return  # a second block of one leader: the evidence is out, its bytes are fetched if it is notarised
    entry = state.entry(block_hash)
    entry.header = header
    if entry.proposal is None:
        entry.proposal, entry.source = proposal, peer
        if entry.block is None and not entry.checking:
            state.fetches.pop(block_hash, None)
    if vs.candidate is None:
        vs.candidate = Candidate(proposal, header, block_hash, peer)


def _refuse_stranger(state: State, peer: PeerId, header: Header, expected: str) -> None:
    """Accuse who brought a block that the view's leader has not signed."""
    index = state.epoch.validators.index_of(header.proposer)
    who = header.proposer.hex()[:16] if index is None else state.epoch.validators.validators[index].name
    found = f"block {header.height} of view {header.view} by {who}"
    accuse_peer(state, peer, "proposal-not-of-the-leader", expected, found)


def read_header(proposal: Proposal) -> Header | None:
    """The header of a proposal, None if it is not one."""
    try:
        return decode_header(proposal.header)
    except DecodeError:
        return None


def consider(state: State) -> bool:
    """Take the current view's candidate as far as it goes. True if something was decided."""
    vs = state.current
    candidate = vs.candidate
    if candidate is None or candidate.settled or vs.my_nullify or state.over or state.halted:
        return False
    if candidate.timely is None:
        _judge_time(state, vs, candidate)
    if not candidate.timely:
        candidate.settled = True
        return True
    if not candidate.justified and not _justify(state, candidate):
        return False
    return _judge_block(state, vs, candidate)


def _judge_time(state: State, vs: ViewState, candidate: Candidate) -> None:
    """A.8: too early or too late costs the vote, and is never called invalid."""
    precision = state.parameters.precision_ms
    time_ms = candidate.header.time_ms
    earliest = state.now - (precision + state.delta() + current_wait(state))
    candidate.timely = earliest <= time_ms <= state.now + precision
    if not candidate.timely:
        complain(state, vs, candidate.hash, ComplaintReason.TIMEOUT)


def _justify(state: State, candidate: Candidate) -> bool:
    if not candidate.examined and candidate.peer is not None:
        candidate.examined = True
        _read_justification(state, candidate.proposal, candidate.header.view, candidate.peer)
    header = candidate.header
    if header.parent_view < header.view and (
        justification(state, header.view, header.parent_view, Hash(header.parent)) is not None
    ):
        candidate.justified = True
        pass_on_proposal(state, candidate)
        return True
    if header.parent_view >= state.final_view:
        ask_certificates(state, candidate.peer, max(header.parent_view, state.final_view + 1))
    return False


def _read_justification(state: State, proposal: Proposal, view: int, peer: PeerId) -> None:
    """Take the certificates that come with a proposal, up to the first that is bad."""
    accused = len(state.out)
    for certificate in proposal.justification:
        taken = certificate.view < view and receive_certificate(state, certificate, peer)
        if not taken and any(isinstance(effect, Accuse) for effect in state.out[accused:]):
            return


def _judge_block(state: State, vs: ViewState, candidate: Candidate) -> bool:
    parent = state.entry(Hash(candidate.header.parent))
    if parent.header is None:
        return False
    if not candidate.sound:
        count = count_of(candidate.proposal)
        fault = header_fault(state, candidate.header, count, parent.header)
        if fault:
            return _refuse(state, vs, candidate, fault)
        candidate.sound = True
    if parent.verdict is not Verdict.VALID:
        return False
    entry = state.entry(candidate.hash)
    if entry.verdict is None:
        judge(state, entry)
    if entry.verdict is None:
        return False
    if entry.verdict is Verdict.INVALID:
        return _refuse(state, vs, candidate, entry.reason)
    candidate.settled = True
    notarize(state, vs, entry)
    return True


def _refuse(state: State, vs: ViewState, candidate: Candidate, reason: str) -> bool:
    """Definitely invalid: leave the view at once and say why."""
    candidate.settled = True
    entry = state.entry(candidate.hash)
    entry.verdict, entry.reason = Verdict.INVALID, reason
    nullify(state)
    complain(state, vs, candidate.hash, ComplaintReason.INVALID)
    return True


def complain(state: State, vs: ViewState, block_hash: Hash, reason: ComplaintReason) -> None:
    """Sign a complaint, one per view."""
    if not vs.complained and state.may_vote(vs.view):
        vs.complained = True
        publish(state, SignComplaint(state.epoch.epoch, vs.view, block_hash, reason))
