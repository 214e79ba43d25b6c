"""How a life begins, and how an epoch does (A.6, A.8).

`Started` re-feeds nothing: it carries own votes and proposals, certificates and bodies, and the state is rebuilt from
them. Recorded bytes are sent again, nothing is signed anew, and no block is built in a view that was voted in.
"""

from __future__ import annotations

from consensus.engine import EpochStart, Started, Verdict, WalRecovery
from consensus.simplex.certificates import add_certificate
from consensus.simplex.hold import look_back
from consensus.simplex.relay import look_at_links
from consensus.simplex.restart import apply_restart
from consensus.simplex.state import Candidate, Hold, State
from consensus.simplex.tally import add_vote
from ledger.certificates import Vote, VoteKind
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import decode_header, header_hash


def start(state: State, event: Started) -> None:
    """Rebuild everything from the store's head and the log."""
    state.wal = event.wal
    state.floor = event.wal.floor
    state.next_due_ms = event.next_due_ms
    state.committed_height = event.head.height
    head = state.entry(event.head_hash)
    head.header, head.verdict, head.final, head.next_due_ms = event.head, Verdict.VALID, True, event.next_due_ms
    state.hold = Hold() if event.wal.held else None
    finalization = event.finalization
    if finalization is not None and finalization.epoch == event.epoch.epoch:
        state.finalization = finalization
        state.next_view, state.next_entering = finalization.view + 1, finalization
    if event.restart_view is not None:
        apply_restart(state, event.restart_view)
    _recover_blocks(state)
    _enter_epoch(state)


def begin_epoch(state: State, start_of: EpochStart) -> None:
    """A.8: views restart at 1 with the committee that the boundary block's state holds."""
    state.epoch = start_of
    state.view, state.next_view = 1, 1
    state.entering = state.next_entering = state.finalization = None
    state.certificate_version += 1
    for mapping in (state.views, state.notarizations, state.nullifications):
        mapping.clear()
    state.ready.clear()
    state.shared.clear()
    state.inactive.clear()
    state.nullified = 0
    state.owed_since = None
    state.over = False
    state.restart = None
    state.certificates_asked_at = state.behind_at = 0
    keys = {validator.public_key for validator in start_of.validators.validators}
    state.last_votes = {key: vote for key, vote in state.last_votes.items() if key in keys}
    for known in state.peers.values():
        known.signer = None
    look_at_links(state)
    if state.hold is not None:
        state.hold = Hold()
    _enter_epoch(state)
    shown, state.shown_votes = state.shown_votes, {}
    for vote in shown.values():
        look_back(state, vote)


def _enter_epoch(state: State) -> None:
    state.me = None if state.own_key is None else state.epoch.validators.index_of(state.own_key)
    state.view = max(state.next_view, 1)
    state.entering = state.next_entering
    _recover_epoch(state)
    _drop_log(state)
    state.entered_at = state.now
    state.work_since = None
    state.view_state(state.view)


def _recover_blocks(state: State) -> None:
    for block in state.wal.blocks:
        try:
            header = decode_header(block.header_bytes)
        except DecodeError:
            continue
        entry = state.entry(block.hash)
        if entry.verdict is None:
            entry.header, entry.block, entry.durable = header, block, True


def _recover_epoch(state: State) -> None:
    """Apply what the log holds of the current epoch: finalizations first, then the rest, then own slots."""
    epoch = state.epoch.epoch
    certificates = [c for c in state.wal.certificates if c.epoch == epoch]
    for certificate in sorted(certificates, key=lambda c: c.kind is not VoteKind.FINALIZE):
        add_certificate(state, certificate, None, logged=True)
    highest = state.next_view
    for vote in state.wal.votes:
        if vote.epoch == epoch and vote.view > state.final_view:
            _recover_vote(state, vote)
            highest = max(highest, vote.view)
    for proposal in state.wal.proposals:
        header = decode_header(proposal.header)
        if header.epoch != epoch or header.view <= state.final_view:
            continue
        vs = state.view_state(header.view)
        block_hash = header_hash(proposal.header)
        vs.my_notarize, vs.own_proposal, vs.building = block_hash, proposal, True
        vs.candidate = Candidate(proposal, header, block_hash, None, True, True, True, True, True)
        highest = max(highest, header.view)
    for complaint in state.wal.complaints:
        if complaint.epoch == epoch and complaint.view > state.final_view:
            state.view_state(complaint.view).complained = True
    if highest > state.view:
        state.view, state.entering = highest, state.next_entering
    for view in sorted(state.views):
        vs = state.views[view]
        for vote in vs.own:
            add_vote(state, vote, None, verified=True)
        if vs.own_proposal is not None and vs.my_notarize is not None and state.me is not None:
            signature = vs.own_proposal.signature
            own = Vote(VoteKind.NOTARIZE, epoch, view, vs.my_notarize, state.me, signature)
            add_vote(state, own, None, verified=True)


def _drop_log(state: State) -> None:
    """Forget what the log held of this epoch and of earlier ones: it is in the state now, or too old."""
    epoch, wal = state.epoch.epoch, state.wal
    state.wal = WalRecovery(
        votes=tuple(vote for vote in wal.votes if vote.epoch > epoch),
        proposals=tuple(p for p in wal.proposals if decode_header(p.header).epoch > epoch),
        certificates=tuple(certificate for certificate in wal.certificates if certificate.epoch > epoch),
        floor=wal.floor,
        held=wal.held,
        complaints=tuple(complaint for complaint in wal.complaints if complaint.epoch > epoch),
    )


def _recover_vote(state: State, vote: Vote) -> None:
    vs = state.view_state(vote.view)
    vs.own.append(vote)
    if vote.kind is VoteKind.NOTARIZE:
        vs.my_notarize = Hash(vote.block_hash)
    elif vote.kind is VoteKind.NULLIFY:
        vs.my_nullify = True
    else:
        vs.my_finalize = Hash(vote.block_hash)
