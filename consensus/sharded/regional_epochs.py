"""A region begins anew: after a correction or evidence, by a takeover, or with members that the centres agreed on."""

from __future__ import annotations

from dataclasses import replace

from consensus.sharded.discipline import Standing
from consensus.sharded.global_state import GlobalContext, GlobalState, NewMembers, RegionView
from consensus.sharded.members import new_members_agreed
from consensus.sharded.work import Work
from ledger.succession import RegionEpoch, next_chain_id
from ledger.validators import ValidatorSet


def new_members(work: Work, entry: NewMembers) -> str:
    """Takeover of a suspended region, or a set that a quorum of the centres signed; the code of why not."""
    code = new_members_fault(work.context, work.state, entry)
    if code:
        return code
    if entry.members:
        named = {one.node_key: one.member for one in entry.machines}
        work.state = replace(work.state, machines={**work.state.machines, **named})
        open_epoch(work, work.view(entry.region), ValidatorSet(entry.members), "members")
    else:
        open_epoch(work, work.view(entry.region), caretakers(work.context, work.state), "takeover")
    return ""


def new_members_fault(context: GlobalContext, state: GlobalState, entry: NewMembers) -> str:
    """Why a region keeps its members, "" if it does not."""
    view = state.region(entry.region)
    if view is None:
        return "NO_REGION"
    if entry.epoch != view.epoch:
        return "OTHER_EPOCH"
    if entry.members:
        return new_members_agreed(context, state, entry)
    if view.standing(context.rules, state.round) is not Standing.SUSPENDED:
        return "NOT_SUSPENDED"
    return "TAKEN_OVER" if view.validators.hash == caretakers(context, state).hash else ""


def remaining(work: Work, view: RegionView) -> ValidatorSet:
    """A region's set without the removed; the centres where not even two are left."""
    kept = tuple(one for one in view.validators.validators if one.public_key not in work.state.removed)
    return ValidatorSet(kept) if len(kept) > 1 else caretakers(work.context, work.state)


def caretakers(context: GlobalContext, state: GlobalState) -> ValidatorSet:
    """Who runs a region without members: the centres, less those that signed twice in one; all where one were left."""
    kept = tuple(one for one in context.centres.validators if one.public_key not in state.removed)
    return ValidatorSet(kept) if len(kept) > 1 else context.centres


def open_epoch(work: Work, view: RegionView, members: ValidatorSet, reason: str) -> None:
    """A record that waited under the old set is void with everything else that G had not confirmed."""
    if not work.context.new_epochs:
        return
    base = view.position
    opened = RegionEpoch(view.name, view.epoch + 1, base.seq, view.record_id, base.root, members.validators, reason)
    work.put(
        replace(
            view,
            epoch=opened.epoch,
            chain_id=next_chain_id(view.chain_id, opened),
            validators=members,
            before=(view.chain_id, view.validators),
            pending=None,
            last_round=work.state.round,
            opened_round=work.state.round,
        )
    )
    work.epochs.append(opened)
