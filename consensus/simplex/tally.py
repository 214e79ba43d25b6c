"""Vote slots: one per (signer, view, kind). Counted at once, verified lazily, compared for contradictions.

A slot may hold a forged vote until it matters: when its (view, kind, hash) reaches a quorum, when it contradicts
another vote, or when a single vote decides (a leader that leaves its own view). Then signatures are checked, forgeries
leave, and who brought them is accused. So at most one verification per vote, and none for votes that never mattered.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.engine import PeerId
from consensus.messages import Evidence
from consensus.simplex.effects import accuse_peer, accuse_signer, broadcast
from consensus.simplex.relay import pass_on_vote
from consensus.simplex.state import Slot, State, ViewState
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import ZERO_HASH, Hash
from ledger.validators import fault_bound


def add_vote(state: State, vote: Vote, peer: PeerId | None, verified: bool) -> None:
    """Take a vote of the current epoch for an admitted view; everything else is dropped."""
    members = len(state.epoch.validators)
    if vote.signer >= members or (vote.kind is VoteKind.NULLIFY) != (vote.block_hash == ZERO_HASH):
        accuse_peer(state, peer, "malformed-vote")
        return
    if not state.final_view < vote.view <= state.view + 1:
        return
    view = state.view_state(vote.view)
    slots = view.slots(vote.kind)
    slot = slots.get(vote.signer)
    if slot is not None:
        if slot.vote.block_hash == vote.block_hash and slot.vote.signature == vote.signature:
            _remember(state, vote, peer, slot.verified)
            return
        if not _replace(state, view, slot, Slot(vote, peer, verified)):
            return
    elif not verified and (vote.signer in state.inactive or (state.relaying and peer is not None)):
        if not state.scheme.verify_vote(vote, state.epoch.validators):
            accuse_peer(state, peer, "bad-signature")
            return
        verified = True
    fresh = Slot(vote, peer, verified)
    _put(state, view, fresh)
    if verified:
        pass_on_vote(state, fresh)


def _put(state: State, view: ViewState, slot: Slot) -> None:
    vote = slot.vote
    view.slots(vote.kind)[vote.signer] = slot
    key = (vote.kind, Hash(vote.block_hash))
    validators = state.epoch.validators
    weight = view.weights.get(key, 0) + validators.validators[vote.signer].weight
    view.weights[key] = weight
    if weight >= validators.quorum:
        state.ready.append((vote.view, *key))
    if vote.kind is VoteKind.NULLIFY and vote.signer == view.leader:
        view.leader_left = True
    if vote.signer in state.inactive and slot.verified and vote.view + len(validators) >= state.view:
        state.inactive.discard(vote.signer)
    _remember(state, vote, slot.peer, slot.verified)
    if vote.kind is not VoteKind.NOTARIZE:
        _contradiction(state, view, slot)


def _remember(state: State, vote: Vote, peer: PeerId | None, verified: bool) -> None:
    """Keep the newest vote of a signer, for `Status`: one that was verified, or that came from the signer's own node.

    Of others nothing unverified is taken: a forgery would stand in the place of the vote that its signer has forgotten.
    """
    key = state.epoch.validators.validators[vote.signer].public_key
    known = state.peers.get(peer) if peer is not None else None
    if known is not None:
        known.signer = vote.signer
    if peer is None or not (verified or (known is not None and known.key == key)):
        return
    last = state.last_votes.get(key)
    if last is None or (last.epoch, last.view, last.kind) < (vote.epoch, vote.view, vote.kind):
        state.last_votes[key] = vote


def _take_out(state: State, view: ViewState, slot: Slot) -> None:
    vote = slot.vote
    del view.slots(vote.kind)[vote.signer]
    view.weights[vote.kind, Hash(vote.block_hash)] -= state.epoch.validators.validators[vote.signer].weight


def verify_slot(state: State, view: ViewState, slot: Slot) -> bool:
    """Check a slot's signature once; a forgery leaves the tally and its bringer is accused."""
    return slot.verified or _judged(state, view, slot, state.scheme.verify_vote(slot.vote, state.epoch.validators))


def verify_slots(state: State, view: ViewState, slots: Sequence[Slot]) -> list[Slot]:
    """Check slots of one statement together, each signature once; return the good ones, in order."""
    fresh = [slot for slot in slots if not slot.verified]
    forged = set(state.scheme.forged([slot.vote for slot in fresh], state.epoch.validators)) if fresh else set()
    for position, slot in enumerate(fresh):
        _judged(state, view, slot, position not in forged)
    return [slot for slot in slots if slot.verified]


def _judged(state: State, view: ViewState, slot: Slot, good: bool) -> bool:
    if not good:
        _take_out(state, view, slot)
        accuse_peer(state, slot.peer, "bad-signature")
        return False
    slot.verified = True
    _remember(state, slot.vote, slot.peer, verified=True)
    return True


def _replace(state: State, view: ViewState, old: Slot, new: Slot) -> bool:
    """Two votes for one slot: the verified one that was first stays. True if the slot is free for `new`."""
    if not verify_slot(state, view, old):
        return True
    if old.vote.block_hash == new.vote.block_hash:
        return False
    if not new.verified and not state.scheme.verify_vote(new.vote, state.epoch.validators):
        accuse_peer(state, new.peer, "bad-signature")
        return False
    give_evidence(state, old.vote, new.vote)
    return False


def _contradiction(state: State, view: ViewState, slot: Slot) -> None:
    """NULLIFY and FINALIZE of one signer in one view."""
    others = view.finalize if slot.vote.kind is VoteKind.NULLIFY else view.nullify
    other = others.get(slot.vote.signer)
    if other is not None and verify_slot(state, view, other) and verify_slot(state, view, slot):
        give_evidence(state, other.vote, slot.vote)


def conflict_of(first: Vote, second: Vote) -> str:
    """Name the contradiction of two votes of one signer, "" if an honest member may sign both (A.8)."""
    if (first.signer, first.epoch, first.view) != (second.signer, second.epoch, second.view):
        return ""
    if first.kind is second.kind:
        return f"two-{first.kind.name.lower()}" if first.block_hash != second.block_hash else ""
    kinds = {first.kind, second.kind}
    return "nullify-and-finalize" if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE} else ""


def give_evidence(state: State, first: Vote, second: Vote) -> None:
    """Accuse the signer of two verified votes, and tell the others once."""
    reason = conflict_of(first, second)
    if reason and accuse_signer(state, first, second, reason):
        broadcast(state, Evidence(first, second))


def on_evidence(state: State, evidence: Evidence, peer: PeerId | None) -> None:
    """Take evidence of the current epoch from a peer."""
    first, second = evidence.first, evidence.second
    reason = conflict_of(first, second)
    if not reason:
        accuse_peer(state, peer, "false-evidence")
        return
    if first.epoch != state.epoch.epoch or (first.signer, first.epoch, first.view, reason) in state.accused:
        return
    validators = state.epoch.validators
    if not all(state.scheme.verify_vote(vote, validators) for vote in (first, second)):
        accuse_peer(state, peer, "false-evidence")
        return
    give_evidence(state, first, second)


def conflicting_certificates(state: State, first: Certificate, second: Certificate) -> None:
    """Two certificates that cannot both be: more than F lied; name everybody who signed both."""
    votes = {vote.signer: vote for vote in state.scheme.votes_of(first)}
    for vote in state.scheme.votes_of(second):
        mine = votes.get(vote.signer)
        if mine is not None:
            give_evidence(state, mine, vote)


def quorum_votes(state: State, view: ViewState, kind: VoteKind, block_hash: Hash) -> list[Vote] | None:
    """Verify the votes for (kind, hash); return them if they still reach the quorum."""
    validators = state.epoch.validators
    slots = [slot for slot in view.slots(kind).values() if slot.vote.block_hash == block_hash]
    good = [slot.vote for slot in verify_slots(state, view, slots)]
    weight = sum(validators.validators[vote.signer].weight for vote in good)
    return good if weight >= validators.quorum else None


def nullify_support(state: State, view: ViewState) -> bool:
    """Whether NULLIFY of weight above F was seen in a view: others have work, so this node has (A.9)."""
    validators = state.epoch.validators
    bound = fault_bound(validators.total_weight)
    key = (VoteKind.NULLIFY, ZERO_HASH)
    if view.weights.get(key, 0) <= bound:
        return False
    verify_slots(state, view, list(view.nullify.values()))
    return view.weights.get(key, 0) > bound
