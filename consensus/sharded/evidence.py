"""Who is guilty loses deposit, word or seat: the punishment itself, and evidence that proves a guilt by signatures."""

from __future__ import annotations

from dataclasses import replace

from consensus.sharded.discipline import Offence, sentence
from consensus.sharded.global_state import Conflict, Fined, RegionView
from consensus.sharded.regional_epochs import open_epoch, remaining
from consensus.sharded.verdicts import two_records
from consensus.sharded.work import Work


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


def convict(work: Work, entry: Conflict) -> str:
    """W4: who signed both loses deposit and seat; the region goes on without them."""
    record = entry.first.record
    view = work.state.region(record.region)
    if view is None:
        return "NO_REGION"
    identity = work.context.identity(view)
    if record.epoch == view.epoch - 1 and view.before is not None:
        identity = replace(identity, epoch=record.epoch, chain_id=view.before[0], validators=view.before[1])
    guilty = two_records(identity, entry.first, entry.second)
    if not guilty:
        return "NO_CONFLICT"
    there = replace(view, epoch=record.epoch)
    new = [member for member in guilty if member not in work.state.removed]
    for member in new:
        punish(work, member, there, record.seq, Offence.TWO_RECORDS)
    if any(view.validators.index_of(member) is not None for member in new):
        open_epoch(work, work.view(view.name), remaining(work, view), "two records")
    return "" if new else "PUNISHED_BEFORE"
