"""Turns that move nothing: in a large committee most messages are votes short of a quorum and known certificates.

At the end of a turn the rules have been applied until none moved, and the armed timers are the deadlines of the state.
A vote or a certificate that leaves alone what the rules read, heard before the first of those deadlines, finds the same
again; so its turn ends where it was taken in. Nothing is decided here: with `is_still` always false an engine answers
the same (`tests/simulation/test_large_committees.py` compares).
"""

from __future__ import annotations

from consensus.engine import Event, Received
from consensus.simplex.state import State
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import ZERO_HASH
from ledger.validators import fault_bound


def rest(state: State, built: bool) -> None:
    """At the end of a turn: until when the rules would find nothing new. `built`: the last one moved something."""
    state.rest_until = 0 if built else min(at for _, at in state.armed.values())


def is_still(state: State, event: Event, version: int) -> bool:
    """Whether an event just taken in has moved nothing that a rule reads. `version`: of the certificates before it."""
    if state.out or state.ready or state.now >= state.rest_until or state.certificate_version != version:
        return False
    if not isinstance(event, Received) or event.peer is None:
        return False
    view = state.current
    candidate = view.candidate
    if candidate is not None and not (candidate.justified or candidate.settled):
        return False  # its certificates are asked for again after a while, in any turn
    message = event.message
    if isinstance(message, Vote) and message.kind is VoteKind.NULLIFY:
        if view.leader_left and not view.my_nullify:
            return False
        bound = fault_bound(state.epoch.validators.total_weight)
        return view.voted or view.weights.get((VoteKind.NULLIFY, ZERO_HASH), 0) <= bound
    return isinstance(message, Vote | Certificate)
