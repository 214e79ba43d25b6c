"""Which entries a leader of the global chain puts into its block, so that no region can crowd out another.

What would do nothing is left out without executing any record; the rest is taken in turns, one entry of each region and
then one more, up to a bound a region. A burst of disputes or lies about one region therefore costs that region's turns
and a bounded part of a block (polkadot#6862, #6412, nearcore#10954).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from consensus.sharded.discipline import Audit
from consensus.sharded.evidence import court, guilty_of_records, guilty_of_votes
from consensus.sharded.global_state import (
    Attestation,
    Conflict,
    DoubleVote,
    GlobalContext,
    GlobalEntry,
    GlobalState,
    NewMembers,
    Posted,
    RegionView,
    Submitted,
    Withdrawal,
)
from consensus.sharded.records import Forced, Publication
from consensus.sharded.regional_epochs import new_members_fault
from consensus.sharded.verdicts import Fits, Refused, judge
from consensus.sharded.withdrawals import withdrawal_fault
from ledger.crypto import Hash
from ledger.engine_settings import GLOBAL
from ledger.objects import decode_header

ENTRIES_A_REGION: Final = 24
NO_REGION: Final = "NO_REGION"
TIME_AHEAD: Final = "TIME_AHEAD"
"""A record's block is of a time that has not come yet (`RECORD_LEAD_MS`): it is entered when it has. Its region is
silent until then (W5), so that the centres may take it over from its last confirmed record."""

T = TypeVar("T")


def region_of(state: GlobalState, entry: GlobalEntry) -> str:
    """Whom an entry is about, "" for nobody."""
    match entry:
        case Submitted(publication, _):
            return publication.record.region
        case Posted(region, _):
            return region
        case Conflict(first, _):
            return first.record.region
        case NewMembers() | DoubleVote() | Withdrawal():
            return entry.region
        case Attestation():
            waiting = (view for view in state.regions if view.pending is not None)
            names = (v.name for v in waiting if v.pending and v.pending.publication.record.id == Hash(entry.record))
            return next(names, "")


def fault(context: GlobalContext, state: GlobalState, entry: GlobalEntry) -> str:
    """Why an entry would do nothing in the next block, as far as that is seen without executing a record: "" if it may
    do something. At most two certificates, or a quorum of the centres' signatures, are verified."""
    view = (
        court(context, state, entry.region) if isinstance(entry, DoubleVote) else state.region(region_of(state, entry))
    )
    if view is None:
        return NO_REGION
    match entry:
        case Submitted():
            return _record_fault(context, state, view, entry)
        case Posted(_, transaction):
            if len(view.inbox) >= context.rules.inbox_limit:
                return "INBOX_FULL"
            return "POSTED_BEFORE" if any(item == Forced(transaction) for _, item in view.inbox) else ""
        case Conflict():
            guilty = guilty_of_records(context, state, entry)
            return guilty if isinstance(guilty, str) else ""
        case DoubleVote():
            guilty = guilty_of_votes(context, state, entry)
            return guilty if isinstance(guilty, str) else ""
        case NewMembers():
            return new_members_fault(context, state, entry)
        case Withdrawal():
            return withdrawal_fault(context, state, entry)
        case Attestation():
            return ""


def _unheard(state: GlobalState, view: RegionView, publication: Publication) -> str:
    record = publication.record
    if not state.may_publish(view, publication.agent):
        return "BARRED"
    return "ENTERED_BEFORE" if record.epoch == view.epoch and record.seq < view.next_seq else ""


def _record_fault(context: GlobalContext, state: GlobalState, view: RegionView, entry: Submitted) -> str:
    unheard = _unheard(state, view, entry.publication)
    if unheard:
        return unheard
    judgement = judge(context.identity(view), entry.publication)
    if isinstance(judgement, Refused):
        return judgement.code
    return TIME_AHEAD if isinstance(judgement, Fits) and ahead_of(context, entry.publication) else ""


def ahead_of(context: GlobalContext, publication: Publication) -> bool:
    """Whether the block of a record that fits is later than this block may know of."""
    return context.latest_ms is not None and decode_header(publication.headers[0]).time_ms > context.latest_ms


def may_enter(context: GlobalContext, state: GlobalState, entry: Submitted) -> bool:
    """Whether nothing but what its execution finds can be against a publication, so that it is worth one."""
    publication = entry.publication
    view = state.region(publication.record.region)
    if view is None or _unheard(state, view, publication):
        return False
    return isinstance(judge(context.identity(view), publication), Fits) and not ahead_of(context, publication)


def choose(
    context: GlobalContext,
    state: GlobalState,
    candidates: Sequence[tuple[T, GlobalEntry]],
    a_region: int = ENTRIES_A_REGION,
) -> list[T]:
    """The keys of the entries of a block: those that may do something, regions in turns, at most `a_region` of each.
    Records come in the order of their seq, as many as the audit rule lets follow each other in one block."""
    centres = court(context, state, GLOBAL)
    views = (*state.regions, *(() if centres is None else (centres,)))
    queues: dict[str, list[tuple[T, GlobalEntry]]] = {view.name: [] for view in views}
    for key, entry in sorted(candidates, key=lambda one: _seq(one[1])):
        region = region_of(state, entry)
        if region in queues:
            queues[region].append((key, entry))
    chosen: list[T] = []
    for view in views:
        queues[view.name] = _of_region(context, state, view, queues[view.name], a_region)
    for place in range(a_region):
        chosen += [queue[place][0] for queue in queues.values() if place < len(queue)]
    return chosen


def _seq(entry: GlobalEntry) -> int:
    return entry.publication.record.seq if isinstance(entry, Submitted) else 0


def _of_region(
    context: GlobalContext,
    state: GlobalState,
    view: RegionView,
    queue: Sequence[tuple[T, GlobalEntry]],
    most: int,
) -> list[tuple[T, GlobalEntry]]:
    """A region's part of a block. A verdict is sought for three times as many entries as may be taken, at most."""
    audit = context.rules.audit
    settles = view.pending is not None and audit is not Audit.ASSIGNED
    turn = view.next_seq + settles if view.pending is None or settles else 0
    found: list[tuple[T, GlobalEntry]] = []
    looked = 0
    for key, entry in queue:
        if len(found) >= most or looked >= 3 * most:
            break
        if isinstance(entry, Submitted) and entry.publication.record.seq > turn:
            continue
        looked += 1
        if fault(context, state, entry):
            continue
        found.append((key, entry))
        if isinstance(entry, Submitted) and audit is Audit.EAGER and entry.publication.record.seq == turn:
            turn += 1
    return found
