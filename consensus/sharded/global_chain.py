"""One block of the global chain: records are entered and judged, trades across regions decided, wrongs corrected.

Order inside a block, whatever the order of its entries: records that wait are settled; users' posts, evidence,
attestations, new members; publications by (region, seq, record id, agent); withdrawals; then expiry, clearing, the
pool. Both legs of a trade are decided here at once and travel as inbox items, so there is nothing to commit twice or
to unlock early.
"""

from __future__ import annotations

from dataclasses import replace

from consensus.sharded.admission import TIME_AHEAD, ahead_of
from consensus.sharded.clearing import clear_locks, expire_locks, open_residuals
from consensus.sharded.discipline import Audit, Offence, lag, lagging, split_pool
from consensus.sharded.evidence import begin_without_removed, convict, punish
from consensus.sharded.global_state import (
    Attestation,
    Conflict,
    DoubleVote,
    GlobalBlock,
    GlobalContext,
    GlobalEntry,
    GlobalOutcome,
    GlobalState,
    NewMembers,
    Pending,
    Posted,
    RegionView,
    Submitted,
    Withdrawal,
)
from consensus.sharded.records import Correction, Forced, InboxItem
from consensus.sharded.regional_epochs import new_members, open_epoch, remaining
from consensus.sharded.turns import hash_order
from consensus.sharded.verdicts import (
    Basis,
    Lying,
    Refused,
    certificate_signers,
    judge,
)
from consensus.sharded.withdrawals import withdraw
from consensus.sharded.work import Work
from ledger.codec import encode
from ledger.crypto import Hash, domain
from ledger.errors import InvariantBroken
from ledger.objects import transaction_id
from ledger.validators import fault_bound

DOMAIN_ATTESTATION = domain("record-attestation")


def apply_global(context: GlobalContext, state: GlobalState, block: GlobalBlock) -> GlobalOutcome:
    """The state after a block, and what came of its entries. Pure; nothing that a member sends makes it raise."""
    if block.height != state.height + 1 or block.round < state.round:
        raise InvariantBroken(f"global block {block.height} of round {block.round} after {state.height}")
    work = Work(context, replace(state, height=block.height, round=block.round))
    for view in state.regions:
        _settle_due(work, view.name)
    entries = sorted(block.entries, key=_rank)
    heard = sum(isinstance(entry, Posted | Conflict | DoubleVote) for entry in entries)  # they come first
    for entry in entries[:heard]:
        work.refuse(_enter(work, entry))
    begin_without_removed(work)
    for entry in entries[heard:]:
        work.refuse(_enter(work, entry))
    expire_locks(work)
    clear_locks(work)
    _serve(work, block.proposer)
    return work.outcome()


def _rank(entry: GlobalEntry) -> tuple[int, bytes, int, bytes]:
    """A total order of a block's entries; those that tie are equal."""
    match entry:
        case Posted(region, transaction):
            return 0, region.encode(), 0, bytes(transaction_id(transaction))
        case Conflict() | DoubleVote():
            return 1, b"", 0, encode(entry)
        case Attestation():
            return 2, b"", 0, encode(entry)
        case NewMembers():
            return 3, b"", 0, encode(entry)
        case Submitted(publication, _):
            record = publication.record
            return 4, record.region.encode(), record.seq, bytes(record.id) + encode(entry)
        case Withdrawal(member, number):
            return 5, member, number, encode(entry)


def _enter(work: Work, entry: GlobalEntry) -> str:
    """Apply one entry; the code of why it did nothing, "" if it did."""
    match entry:
        case Posted(region, transaction):
            return _post(work, region, transaction)
        case Conflict() | DoubleVote():
            return convict(work, entry)
        case Attestation():
            return _attest(work, entry)
        case NewMembers():
            return new_members(work, entry)
        case Submitted():
            return _submit(work, entry)
        case Withdrawal():
            return withdraw(work, entry)


# --- records ----------------------------------------------------------------------------------------------------------


def _submit(work: Work, entry: Submitted) -> str:
    """Judge a publication; enter its record, or take its agent's word against it."""
    publication = entry.publication
    record = publication.record
    view = work.state.region(record.region)
    if view is None:
        return "NO_REGION"
    if not work.state.may_publish(view, publication.agent):
        return "BARRED"
    judgement = judge(work.context.identity(view), publication)
    if isinstance(judgement, Refused):
        return judgement.code
    if isinstance(judgement, Lying):
        return punish(work, publication.agent, view, record.seq, Offence.LYING)
    if record.seq < view.next_seq or (view.pending is not None and record.seq == view.next_seq):
        return "ENTERED_BEFORE"
    if record.seq > view.next_seq:
        return "SEQUENCE"
    if ahead_of(work.context, publication):
        return TIME_AHEAD
    unfit = work.context.auditor.refusal(record, entry.body)
    if unfit:
        return unfit
    pending = Pending(publication, entry.body, work.state.height, work.state.round)
    work.put(replace(view, pending=pending, last_round=work.state.round))
    work.entered.append(record.id)
    if work.context.rules.audit is Audit.EAGER:
        _settle(work, view.name)
    return ""


def _settle_due(work: Work, region: str) -> None:
    """Settle a record of an earlier block when its audit is due."""
    view = work.view(region)
    if view.pending is None or work.state.height <= view.pending.height:
        return
    if work.context.rules.audit is Audit.ASSIGNED and not _attested(work, view):
        return
    _settle(work, region)


def _settle(work: Work, region: str) -> None:
    """The centres' own execution stands; what a region certified against it is corrected and fined."""
    view = work.view(region)
    pending = view.pending
    if pending is None:
        return
    record = pending.publication.record
    basis = Basis(view.position, view.inbox, view.record_id, pending.height - 1)
    found = work.context.auditor.audit(region, basis, record, pending.body)
    consumed = found.position.inbox_count - view.position.inbox_count
    due = view.confirmed[0] if len(view.confirmed) == 2 else 0
    behind = lag(due, record.inbox_height)
    view = replace(
        view,
        position=found.position,
        inbox=view.inbox[consumed:],
        record_id=record.id,
        confirmed=(*view.confirmed[-1:], work.state.height),
        lagging=lagging(work.context.rules, view.lagging, behind),
        pending=None,
    )
    work.put(view)
    work.confirmed.append(record.id)
    open_residuals(work, view, found.residuals)
    if found.correction is None:
        work.judged(pending.publication.agent, right=True)
    else:
        _correct(work, view, pending, found.correction)


def _correct(work: Work, view: RegionView, pending: Pending, correction: Correction) -> None:
    work.corrections.append(correction)
    signers = certificate_signers(pending.publication.certificate, view.validators)
    for member in sorted(signers):
        punish(work, member, view, pending.publication.record.seq, Offence.CERTIFIED_INVALID)
    open_epoch(work, work.view(view.name), remaining(work, view), f"corrected {correction.kind}")


# --- audits by assignment -----------------------------------------------------------------------------------


def assigned_centres(context: GlobalContext, record: Hash) -> tuple[bytes, ...]:
    """The F + 1 centres that execute a record first: at least one of them is honest."""
    keys = [centre.public_key for centre in context.centres.validators]
    return hash_order(record.hex(), "audit", 0, keys)[: fault_bound(len(keys)) + 1]


def attestation_bytes(record: bytes, root: bytes) -> bytes:
    """What a centre signs about a record."""
    return DOMAIN_ATTESTATION + encode((record, root))


def _attest(work: Work, entry: Attestation) -> str:
    view = next((one for one in work.state.regions if _waits(one, Hash(entry.record))), None)
    if view is None or view.pending is None:
        return "NO_SUCH_RECORD"
    if entry.centre not in assigned_centres(work.context, Hash(entry.record)):
        return "NOT_ASSIGNED"
    if not work.context.verify(entry.centre, attestation_bytes(entry.record, entry.root), entry.signature):
        return "BAD_SIGNATURE"
    if any(centre == entry.centre for centre, _ in view.pending.attested):
        return "ATTESTED_BEFORE"
    attested = tuple(sorted((*view.pending.attested, (entry.centre, entry.root))))
    work.put(replace(view, pending=replace(view.pending, attested=attested)))
    return ""


def _waits(view: RegionView, record: Hash) -> bool:
    return view.pending is not None and view.pending.publication.record.id == record


def _attested(work: Work, view: RegionView) -> bool:
    """All assigned centres have spoken, one objects, or one was silent for T: then everybody executes. Who was silent
    is less accurate for it."""
    pending = view.pending
    if pending is None:
        return False
    claimed = pending.publication.record.post_root
    spoken = {centre for centre, _ in pending.attested}
    if any(root != claimed for _, root in pending.attested):
        return True
    assigned = assigned_centres(work.context, pending.publication.record.id)
    silent = [centre for centre in assigned if centre not in spoken]
    if not silent:
        return True
    if work.state.round - pending.round < work.context.rules.assigned_rounds:
        return False
    for centre in silent:
        work.judged(centre, right=False)
    return True


# --- regions ----------------------------------------------------------------------------------------------------------


def _post(work: Work, region: str, transaction: bytes) -> str:
    """Forced inclusion; a full inbox takes no more (back-pressure)."""
    view = work.state.region(region)
    if view is None:
        return "NO_REGION"
    if len(view.inbox) >= work.context.rules.inbox_limit:
        return "INBOX_FULL"
    item: InboxItem = Forced(transaction)
    if any(waiting == item for _, waiting in view.inbox):
        return "POSTED_BEFORE"
    work.send(region, item)
    return ""


def _serve(work: Work, proposer: bytes) -> None:
    """Count the block for its proposer; at the end of an epoch of the pool, split it."""
    state = work.state
    served = {**state.served, proposer: state.served.get(proposer, 0) + 1}
    work.state = state = replace(state, served=served)
    if state.height % work.context.pool_blocks:
        return
    seats = {centre.public_key for centre in work.context.centres.validators} - state.removed
    shares = split_pool(state.pool, {key: n for key, n in served.items() if key in seats}, state.accuracy)
    rewards = dict(state.rewards)
    for member, share in shares.items():
        rewards[member] = rewards.get(member, 0) + share
    work.state = replace(state, rewards=rewards, served={}, pool=state.pool - sum(shares.values()))
