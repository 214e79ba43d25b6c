"""The amnesia guard (A.6): a node that may have forgotten votes observes until it cannot contradict them.

It collects `Status` from q *other* members of the current epoch's set, on connections whose validator the driver
vouches for, each claimed view backed by a certificate (this node has reached that view itself). V is the highest of
the first claims of each. Once a view above V is final, V+1 becomes the floor and the node votes again, from V+2 on.
"""

from __future__ import annotations

from consensus.engine import LiftHold, PeerId, SetHold
from consensus.messages import Status
from consensus.simplex.effects import ask_certificates, publish
from consensus.simplex.state import Hold, State
from ledger.certificates import Vote, VoteKind


def note_status(state: State, peer: PeerId, status: Status) -> None:
    """Take a peer's claim while held; look for own forgotten votes otherwise."""
    vote = status.your_last_vote
    if state.hold is None and vote is not None:
        if vote.epoch > state.epoch.epoch and peer in state.peers:
            state.shown_votes[peer] = vote  # looked at when its committee is known, before anything is signed in it
        look_back(state, vote)
    known = state.peers.get(peer)
    if state.hold is None or known is None or known.key is None or known.key == state.own_key:
        return
    member = state.epoch.validators.index_of(known.key)
    if member is None or status.epoch > state.epoch.epoch:
        return
    view = status.view if status.epoch == state.epoch.epoch else 0
    state.hold.claims.setdefault(member, view)  # later ones would move V on with every block of a slow chain
    if view > state.view:
        ask_certificates(state, peer)


def look_back(state: State, vote: Vote) -> None:
    """A peer shows a vote signed with our key: hold if it is above the floor and our slots do not know it."""
    place = (vote.epoch, vote.view)
    if state.hold is not None or vote.signer != state.me or vote.epoch != state.epoch.epoch or place <= state.floor:
        return
    if vote.view <= state.final_view:
        return
    vs = state.views.get(vote.view)
    mine = None
    if vs is not None and vote.kind is VoteKind.NULLIFY:
        mine = vote.block_hash if vs.my_nullify else None
    elif vs is not None:
        mine = vs.my_notarize if vote.kind is VoteKind.NOTARIZE else vs.my_finalize
    if mine == vote.block_hash or not state.scheme.verify_vote(vote, state.epoch.validators):
        return
    state.hold = Hold()
    publish(state, SetHold(f"a peer holds a vote of ours for epoch {vote.epoch}, view {vote.view} that our log lacks"))


def try_lift(state: State) -> bool:
    """End the hold if it may end. True if it did."""
    if state.hold is None or state.me is None:
        return False
    validators = state.epoch.validators
    backed = {member: view for member, view in state.hold.claims.items() if view <= state.view and member != state.me}
    if validators.weight_of(sorted(backed)) < validators.quorum:
        return False
    highest = max(backed.values())
    if state.final_view <= highest:
        return False
    state.hold = None
    state.floor = max(state.floor, (state.epoch.epoch, highest + 1))
    publish(state, LiftHold(state.epoch.epoch, highest + 1))
    return True
