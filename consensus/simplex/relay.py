"""Passing on what others sign, where not everybody is linked with everybody.

A node that is linked with members of weight W - F or more, itself counted, passes nothing on: it takes the network for
a full mesh, of which some may be down. Any other verifies each vote when it comes, not at the quorum, and tells its
peers once; what is passed on is always verified, so who brings a forgery has made it and is accused as ever. Proposals
go on when they are justified, under the justification held here: what their leader has not signed is not passed on
unread, except the names of transactions, for which only the leader's own node answers (`ancestry`). Certificates are
shared by everybody in any case.
"""

from __future__ import annotations

from msgspec.structs import replace

from consensus.simplex.ancestry import justification
from consensus.simplex.effects import broadcast
from consensus.simplex.state import Candidate, Slot, State, ViewState
from ledger.certificates import VoteKind
from ledger.crypto import Hash
from ledger.validators import fault_bound


def look_at_links(state: State) -> None:
    """Decide anew whether to pass on; called when a connection or the committee has changed."""
    validators = state.epoch.validators
    keys = {known.key for known in state.peers.values() if known.key is not None} | {state.own_key}
    linked = [index for index, member in enumerate(validators.validators) if member.public_key in keys]
    bound = validators.total_weight - fault_bound(validators.total_weight)
    state.relaying = len(state.peers) > 1 and validators.weight_of(linked) < bound


def pass_on_vote(state: State, slot: Slot) -> None:
    """Tell a peer's verified vote, unless its certificate says as much."""
    vote = slot.vote
    if state.relaying and slot.peer is not None and state.held(vote.kind, vote.view) is None:
        broadcast(state, vote)


def pass_on_proposal(state: State, candidate: Candidate) -> None:
    """Tell a peer's proposal that is justified here."""
    header = candidate.header
    if state.relaying and candidate.peer is not None:
        proof = justification(state, header.view, header.parent_view, Hash(header.parent))
        if proof is not None:
            broadcast(state, replace(candidate.proposal, justification=proof))


def pass_on_again(state: State, view: ViewState) -> None:
    """R6 for others' votes: those of a view that has no certificate may have been lost beyond a peer."""
    if not state.relaying:
        return
    for kind in VoteKind:
        if state.held(kind, view.view) is None:
            for slot in view.slots(kind).values():
                if slot.peer is not None and slot.verified:
                    broadcast(state, slot.vote)
