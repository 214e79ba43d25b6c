"""Who is guilty loses deposit, word or seat: the punishment itself, and evidence that proves a guilt by signatures."""

from __future__ import annotations

from dataclasses import replace

from consensus.evidence import ReportRefused, culprit_of
from consensus.sharded.discipline import Offence, sentence
from consensus.sharded.global_state import Conflict, DoubleVote, Fined, GlobalContext, GlobalState, RegionView
from consensus.sharded.records import RegionPosition
from consensus.sharded.regional_epochs import open_epoch, remaining
from consensus.sharded.verdicts import RegionIdentity, two_records
from consensus.sharded.work import Work
from ledger.crypto import ZERO_HASH
from ledger.engine_settings import GLOBAL


def punish(work: Work, member: bytes, view: RegionView, seq: int, offence: Offence) -> str:
    """Once for each (member, region, epoch, seq, offence): the same evidence again is none."""
    state = work.state
    case = (member, view.name, view.epoch, seq, offence.value)
    if case in state.convicted:
        return "PUNISHED_BEFORE"
    deposit = state.deposits.get(member, 0)
    found = sentence(work.context.rules, offence, deposit, state.accuracy_of(member), state.round)
    work.state = replace(
        state,
        deposits={**state.deposits, member: deposit - found.fine},
        bars={**state.bars, member: max(found.barred_until, state.bars.get(member, 0))},
        removed=state.removed | {member} if found.removed else state.removed,
        convicted=state.convicted | {case},
        pool=state.pool + found.fine,
    )
    work.judged(member, right=False)
    work.fined.append(Fined(member, view.name, seq, offence.value, found.fine))
    return ""


def court(context: GlobalContext, state: GlobalState, chain: str) -> RegionView | None:
    """Whose votes are judged: a region, or the centres on their own chain (`GLOBAL`), which never begins anew."""
    if chain == GLOBAL:
        return RegionView(GLOBAL, context.chain_id, context.centres, RegionPosition(0, ZERO_HASH, 0, 0, 0, 0))
    return state.region(chain)


def hears(context: GlobalContext, state: GlobalState, view: RegionView, epoch: int) -> bool:
    """Whether evidence of a regional epoch is heard: of the one that runs, and for a while of the one before it."""
    if epoch == view.epoch:
        return True
    late = state.round - view.opened_round
    return view.before is not None and epoch == view.epoch - 1 and late <= context.rules.evidence_rounds


def identity_in(context: GlobalContext, state: GlobalState, view: RegionView, epoch: int) -> RegionIdentity | None:
    """Who spoke for a region in an epoch; None if nobody hears evidence of it."""
    if not hears(context, state, view, epoch):
        return None
    if epoch == view.epoch or view.before is None:
        return context.identity(view)
    chain_id, validators = view.before
    return RegionIdentity(view.name, chain_id, epoch, validators, context.scheme_of(chain_id), context.verify)


def guilty_of_records(context: GlobalContext, state: GlobalState, entry: Conflict) -> tuple[bytes, ...] | str:
    """W4: who signed both and is not removed yet, in key order, at least one; else a code."""
    view = state.region(entry.first.record.region)
    if view is None:
        return "NO_REGION"
    identity = identity_in(context, state, view, entry.first.record.epoch)
    if identity is None:
        return "EVIDENCE_EPOCH"
    guilty = two_records(identity, entry.first, entry.second)
    new = tuple(member for member in guilty if member not in state.removed)
    return new or ("PUNISHED_BEFORE" if guilty else "NO_CONFLICT")


def accused_in(view: RegionView, entry: DoubleVote) -> bytes | None:
    """Whom two votes accuse, by the set of their epoch; None if that epoch is forgotten or has no such member."""
    known = {view.epoch: view.validators}
    if view.before is not None:
        known[view.epoch - 1] = view.before[1]
    members = known.get(entry.epoch)
    here = members is not None and entry.first.signer < len(members)
    return members.validators[entry.first.signer].public_key if members is not None and here else None


def guilty_of_votes(context: GlobalContext, state: GlobalState, entry: DoubleVote) -> tuple[bytes, ...] | str:
    """The member whose two votes exclude each other; else a code. Two signatures are verified."""
    view = court(context, state, entry.region)
    if view is None:
        return "NO_REGION"
    identity = identity_in(context, state, view, entry.epoch)
    if identity is None:
        return "EVIDENCE_EPOCH"
    try:
        member = culprit_of(lambda _: identity.validators, identity.scheme, entry.first, entry.second)
    except ReportRefused as refused:
        return refused.code
    return "PUNISHED_BEFORE" if member in state.removed else (member,)


def convict(work: Work, entry: Conflict | DoubleVote) -> str:
    """Who signed both loses deposit and seat, once; the region goes on without them.

    A centre keeps its seat, which is genesis's to give; what it has earned and will earn goes to the pool.
    """
    if isinstance(entry, Conflict):
        record = entry.first.record
        place, offence = (record.region, record.epoch, record.seq), Offence.TWO_RECORDS
        guilty = guilty_of_records(work.context, work.state, entry)
    else:
        place, offence = (entry.region, entry.epoch, 0), Offence.DOUBLE_VOTE
        guilty = guilty_of_votes(work.context, work.state, entry)
    if isinstance(guilty, str):
        return guilty
    region, epoch, seq = place
    view = court(work.context, work.state, region)
    if view is None:
        return "NO_REGION"
    for member in guilty:
        punish(work, member, replace(view, epoch=epoch), seq, offence)
        if region == GLOBAL:
            _forfeit(work, member)
    reason = "two records" if offence is Offence.TWO_RECORDS else "two votes"
    work.guilty.update(dict.fromkeys(guilty, reason))
    return ""


def begin_without_removed(work: Work) -> None:
    """Once all evidence of a block is heard, each region of which anybody was removed goes on without them: evidence of
    one epoch against several members is heard in that epoch. The guilty may have moved to another region since."""
    for one in work.state.regions:
        here = [member for member in work.guilty if one.validators.index_of(member) is not None]
        if here:
            open_epoch(work, one, remaining(work, one), work.guilty[here[0]])


def _forfeit(work: Work, centre: bytes) -> None:
    """A reward that was not taken out goes back to the pool."""
    state = work.state
    kept = {member: reward for member, reward in state.rewards.items() if member != centre}
    work.state = replace(state, rewards=kept, pool=state.pool + state.rewards.get(centre, 0))
