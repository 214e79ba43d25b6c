"""Own votes and proposals: slots are marked when `Publish` is emitted, never when the vote comes back (Rule 0)."""

from __future__ import annotations

from consensus.engine import (
    Build,
    Built,
    HeaderTemplate,
    LogBlock,
    SignProposal,
    SignVote,
    StoredBlock,
    Verdict,
)
from consensus.messages import Part, Proposal
from consensus.simplex.ancestry import justification, parent_of
from consensus.simplex.closing import closing_block, closing_header
from consensus.simplex.effects import publish
from consensus.simplex.headers import ends_epoch, header_fault
from consensus.simplex.state import BlockEntry, Candidate, State, ViewState
from consensus.simplex.tally import verify_slot
from ledger.certificates import Certificate, VoteKind
from ledger.crypto import ZERO_HASH, Hash
from ledger.objects import Header


def notarize(state: State, vs: ViewState, entry: BlockEntry) -> None:
    """R1: NOTARIZE, its body in the log before it."""
    if vs.my_notarize is None and not vs.my_nullify and state.may_vote(vs.view):
        vs.my_notarize = entry.hash
        entry.durable = True
        publish(state, SignVote(VoteKind.NOTARIZE, state.epoch.epoch, vs.view, entry.hash, entry.block))


def nullify(state: State) -> bool:
    """R5: leave the current view, unless this node has voted to finalise in it."""
    vs = state.current
    if not may_nullify(state, vs):
        return False
    vs.my_nullify = True
    publish(state, SignVote(VoteKind.NULLIFY, state.epoch.epoch, vs.view, ZERO_HASH))
    return True


def may_nullify(state: State, vs: ViewState) -> bool:
    """R5's guard: nullify and finalize in one view never."""
    return not vs.my_nullify and vs.my_finalize is None and state.may_vote(vs.view)


def follow_leader(state: State) -> bool:
    """R5: a leader that nullifies its own view ends it for everybody."""
    vs = state.current
    if not vs.leader_left or vs.my_nullify:
        return False
    slot = vs.nullify.get(vs.leader)
    if slot is None or not verify_slot(state, vs, slot):
        vs.leader_left = False
        return False
    return nullify(state)


def finalize_notarized(state: State) -> bool:
    """R2: FINALIZE what is notarised, once its body is held, valid and durable."""
    voted = False
    for view, certificate in state.notarizations.items():
        vs = state.view_state(view)
        if vs.my_finalize is None and may_finalize(state, vs, certificate):
            entry = state.blocks.get(Hash(certificate.block_hash))
            if entry is not None and entry.verdict is Verdict.VALID and entry.block is not None:
                _finalize(state, vs, entry)
                voted = True
    return voted


def may_finalize(state: State, vs: ViewState, certificate: Certificate) -> bool:
    """R2's guard: not after an own NULLIFY, and not against an own NOTARIZE."""
    agrees = vs.my_notarize is None or vs.my_notarize == certificate.block_hash
    return agrees and not vs.my_nullify and state.may_vote(vs.view)


def _finalize(state: State, vs: ViewState, entry: BlockEntry) -> None:
    if not entry.durable and entry.block is not None:
        entry.durable = True
        publish(state, LogBlock(entry.block))
    vs.my_finalize = entry.hash
    publish(state, SignVote(VoteKind.FINALIZE, state.epoch.epoch, vs.view, entry.hash))


# --- leading ----------------------------------------------------------------------------------------------------------


def build(state: State) -> None:
    """Begin the block of the current view; the caller has seen that it is this node's turn and time."""
    vs = state.current
    parent = parent_of(state, vs.view)
    entry = state.blocks.get(parent[1]) if parent is not None else None
    if parent is None or entry is None or entry.header is None or state.own_key is None:
        return
    header = entry.header
    vs.building = True
    time_ms = max(state.now, header.time_ms + 1)
    if ends_epoch(state, header):
        closing = closing_header(header, entry.hash, vs.view, time_ms, state.own_key)
        _propose(state, vs, closing_block(closing), closing, (), (), b"")
        return
    template = HeaderTemplate(
        chain_id=state.chain_id,
        epoch=state.epoch.epoch,
        view=vs.view,
        height=header.height + 1,
        time_ms=time_ms,
        parent=entry.hash,
        parent_view=parent[0],
        closing=False,
        validators=state.epoch.validators.hash,
        proposer=state.own_key,
    )
    state.out.append(Build(template, len(state.notarizations) >= state.parameters.max_unfinalised))


def on_built(state: State, event: Built) -> None:
    """Propose what was built, unless the view is over, nullified or voted in meanwhile (R0)."""
    vs = state.current
    fits = (event.epoch, event.view) == (state.epoch.epoch, state.view) and vs.building
    if not fits or vs.voted or event.block is None or event.header is None or state.over:
        return
    parent = state.blocks.get(Hash(event.header.parent))
    count = len(event.transaction_ids)
    if parent is None or parent.header is None or header_fault(state, event.header, count, parent.header):
        return
    entry = state.entry(event.block.hash)
    entry.next_due_ms = event.next_due_ms
    _propose(state, vs, event.block, event.header, event.transaction_ids, event.prefill, event.extra)


def _propose(
    state: State,
    vs: ViewState,
    block: StoredBlock,
    header: Header,
    transaction_ids: tuple[Hash, ...],
    prefill: tuple[Part, ...],
    extra: bytes,
) -> None:
    proof = justification(state, vs.view, header.parent_view, Hash(header.parent))
    if proof is None or not state.may_vote(vs.view) or vs.voted:
        return
    entry = state.entry(block.hash)
    entry.header, entry.block, entry.verdict, entry.durable = header, block, Verdict.VALID, True
    vs.my_notarize = block.hash
    candidate = Proposal(block.header_bytes, bytes(64), transaction_ids, prefill, extra, proof)
    vs.candidate = Candidate(candidate, header, block.hash, None, True, True, True, True, True)
    publish(state, SignProposal(header.epoch, vs.view, block, transaction_ids, prefill, extra, proof))
    validators = state.epoch.validators
    if validators.validators[vs.leader].weight >= validators.quorum:
        _finalize(state, vs, entry)  # the proposer is the quorum: its notarization is certain, one sync does for both
