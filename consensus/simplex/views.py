"""R0: entering a view. A view is left only with a certificate, so honest nodes never drift apart."""

from __future__ import annotations

from consensus.simplex.ancestry import parent_of
from consensus.simplex.certificates import share
from consensus.simplex.closing import EMPTY_BODY
from consensus.simplex.effects import ask_certificates
from consensus.simplex.state import State
from ledger.certificates import VoteKind


def enter(state: State) -> bool:
    """Go to the highest view that a certificate opens. True if that is a new one."""
    if state.over or state.next_view <= state.view:
        return False
    certificate = state.next_entering
    if certificate is None:
        return False
    if certificate.kind is VoteKind.NULLIFY:
        state.nullified += 1
        _note_owed(state, certificate.view)
        _mark_silent_leader(state, certificate.view)
    state.view = state.next_view
    state.entering = certificate
    state.entered_at = state.now
    state.work_since = None
    state.view_state(state.view)
    share(state, certificate)
    if parent_of(state, state.view) is None:
        ask_certificates(state)
    return True


def _mark_silent_leader(state: State, view: int) -> None:
    """R7: a leader of whom nothing was seen in a view that a quorum nullified gets a shorter turn next time."""
    vs = state.views.get(view)
    if vs is not None and not any(vs.leader in slots for slots in (vs.notarize, vs.nullify, vs.finalize)):
        state.inactive.add(vs.leader)


def _note_owed(state: State, view: int) -> None:
    """Transactions of a block that its view has lost have to be proposed again, though no mempool calls for it."""
    vs = state.views.get(view)
    candidate = vs.candidate if vs is not None else None
    if candidate is not None and candidate.header.body_size > len(EMPTY_BODY) and view not in state.notarizations:
        state.owed_since = view
