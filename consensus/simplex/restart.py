"""The operators' restart (A.6): a quorum of keys has said where the chain goes on, and above which view.

Between the head and that view nothing counts any more: neither certificates nor votes, as if a nullification of every
view up to it were held. So it justifies the parent of the views that follow, until one of them is final.
"""

from __future__ import annotations

from consensus.engine import LiftHold
from consensus.simplex.effects import publish
from consensus.simplex.state import State


def apply_restart(state: State, view: int) -> None:
    """Begin this life in `view` + 1 of the present epoch, on the head, with nothing forgotten that matters below it."""
    if state.final_view > view:
        return
    state.restart = (view, state.head_hash)
    state.hold = None
    state.floor = max(state.floor, (state.epoch.epoch, view))
    state.next_view = max(state.next_view, view + 1)
    publish(state, LiftHold(state.epoch.epoch, view))


def passed_over(state: State, view: int) -> bool:
    """Whether a restart says that a view came to nothing."""
    restart = state.restart
    return restart is not None and view <= restart[0] and state.final_hash == restart[1]
