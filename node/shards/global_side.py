"""What the global chain does beside its contracts: it judges what the contract `shards` was sent, once a block.

Entries of a block's transactions are gathered while they run and applied together at its end (`apply_global`), in a
total order of their own. What no centre has executed yet, or whose turn has not come, waits in the leader's mempool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from consensus.engine import Verdict
from consensus.scheme import Ed25519Scheme
from consensus.sharded.admission import ENTRIES_A_REGION, fault, may_enter, region_of
from consensus.sharded.discipline import RECORD_LEAD_MS, Audit, ShardRules
from consensus.sharded.global_chain import apply_global, assigned_centres
from consensus.sharded.global_state import (
    GlobalBlock,
    GlobalContext,
    GlobalEntry,
    GlobalState,
    Submitted,
)
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from consensus.sharded.verdicts import Lying, judge
from contracts.executor import Executor
from contracts.library_sources import SHARDS
from ledger.codec import encode
from ledger.crypto import Hash, domain, hash_of, verify
from ledger.objects import Header, Receipt, Transaction
from ledger.state import Overlay, StateReader
from ledger.validators import ValidatorSet
from node.engine_side import BEHIND, LATER, VALID_SECTION, EngineBlock, SectionVerdict
from node.shards.audit import (
    Behind,
    Copies,
    Finding,
    FoundAuditor,
    GlobalSection,
    findings_for,
    read_findings,
    waiting_records,
)
from node.shards.book import Book
from node.shards.double_records import DoubleRecords
from node.shards.entries import read_entry
from node.shards.global_store import GlobalStore

_STAMP: Final = domain("global-stamp")


@dataclass(frozen=True, slots=True)
class GlobalRules:
    """What genesis fixes for the global chain. `first`: the state before its first block. `pool_blocks`: between two
    splits of the pool. `payees`: regions whose ledger takes money from here."""

    centres: ValidatorSet
    first: GlobalState
    rules: ShardRules
    genesis_ms: int
    round_ms: int
    pool_blocks: int
    chain_id: str = ""
    payees: frozenset[str] | None = None

    def round_of(self, time_ms: int) -> int:
        """The market round of a block time."""
        return max(0, time_ms - self.genesis_ms) // self.round_ms


@dataclass(slots=True)
class _Desk:
    """One block at work. `state`: before it; `now`: the same in the block's own market round, by which entries are
    judged. `turns`: the seq that may come next of each region; `taken`: entries of each region."""

    state: GlobalState
    stamp: bytes
    context: GlobalContext
    findings: FoundAuditor
    turns: dict[str, int]
    now: GlobalState
    entries: list[GlobalEntry] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)


class GlobalSide:
    """An `EngineSide`; see the module."""

    watched: frozenset[str] = frozenset((SHARDS,))

    def __init__(self, rules: GlobalRules, executor: Executor, copies: Copies) -> None:
        self.rules = rules
        self._store = GlobalStore(rules.first)
        self._book = Book(executor, rules.rules)
        self.copies = copies
        self.doubles = DoubleRecords()
        self._desk: _Desk | None = None

    # --- sections -----------------------------------------------------------------------------------------------------

    def section(self, parent: StateReader, header: Header, offered: Sequence[Transaction] = ()) -> bytes | None:
        """See `EngineSide`; findings of the records that wait, and of those that are offered: each is one more thing
        for which a voter may have to wait. No block without one that the block before asks for."""
        state, _ = self._store.load(parent)
        waiting = {bytes(record) for _, record in waiting_records(state)}
        asked = waiting | self._submitted(state, header, offered)
        found = findings_for(self.copies, state, self.rules.rules.audit, asked)
        if waiting - {one.record for one in found}:
            return None
        return encode(GlobalSection(found)) if found else b""

    def _submitted(self, state: GlobalState, header: Header, offered: Sequence[Transaction]) -> set[bytes]:
        """Ids of the records that transactions bring, where the block can enter them: nobody has centres execute a
        record by naming it."""
        context, now = self._context(FoundAuditor(()), header.time_ms), self._at(state, header)
        found: set[bytes] = set()
        for transaction in offered:
            entry = read_entry(transaction.body) if transaction.body.contract == SHARDS else None
            if not isinstance(entry, Submitted) or entry.publication.record.id in found:
                continue
            if may_enter(context, now, entry):
                found.add(bytes(entry.publication.record.id))
        return found

    def judge(self, parent: StateReader, header: Header, section: bytes) -> SectionVerdict:
        """See `EngineSide`: every finding is the own one. A copy that is behind says nothing yet."""
        found = read_findings(section)
        if found is None:
            return SectionVerdict(Verdict.INVALID, "SECTION")
        state, _ = self._store.load(parent)
        known = {one.record for one in found}
        if any(record not in known for _, record in waiting_records(state)):
            return SectionVerdict(Verdict.INVALID, "NO_FINDING")
        verdicts = [self._judge(state, one) for one in found]
        invalid = next((one for one in verdicts if one.verdict is Verdict.INVALID), None)
        return invalid or next((one for one in verdicts if one.verdict is Verdict.MISSING), VALID_SECTION)

    def _judge(self, state: GlobalState, claimed: Finding) -> SectionVerdict:
        view = state.region(claimed.region)
        if view is None or claimed.seq < view.next_seq:
            return SectionVerdict(Verdict.INVALID, "SECTION")
        if not self.copies.follows(view.name):
            return VALID_SECTION  # only who follows every region votes here
        own = self.copies.finding(view, claimed.seq, state.height)
        if isinstance(own, Behind):
            return SectionVerdict(Verdict.MISSING, BEHIND)
        return VALID_SECTION if own == claimed else SectionVerdict(Verdict.INVALID, "FINDING")

    # --- blocks -------------------------------------------------------------------------------------------------------

    def begin(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`."""
        state, stamp = self._store.load(view)
        findings = FoundAuditor(read_findings(block.section) or ())
        now, context = self._at(state, block.header), self._context(findings, block.header.time_ms)
        self._desk = _Desk(state, stamp, context, findings, self._turns(state), now)
        return []

    def _at(self, state: GlobalState, header: Header) -> GlobalState:
        """A state in a block's own market round."""
        round_ = max(state.round, self.rules.round_of(header.time_ms))
        return replace(_quiet(state, round_), round=round_)

    def _context(self, findings: FoundAuditor, time_ms: int | None = None) -> GlobalContext:
        rules = self.rules
        return GlobalContext(
            rules.rules,
            rules.centres,
            Ed25519Scheme,
            verify_statement,
            findings,
            rules.pool_blocks,
            chain_id=rules.chain_id,
            payees=rules.payees,
            latest_ms=None if time_ms is None else time_ms + RECORD_LEAD_MS,
        )

    def refusal(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> str:
        """See `EngineSide`: what the entry would be refused with, as far as that is known before the block's end."""
        desk, entry = self._desk, read_entry(transaction.body)
        if desk is None or entry is None:
            return "MALFORMED"
        if isinstance(entry, Submitted):
            self.doubles.look(desk.context, desk.now, entry.publication)
        code = fault(desk.context, desk.now, entry)
        if code:
            return code
        if desk.taken.get(region_of(desk.state, entry), 0) >= ENTRIES_A_REGION:
            return LATER
        return self._turn_refusal(desk, entry) if isinstance(entry, Submitted) else ""

    def executed(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> None:
        """See `EngineSide`: gathers the entry."""
        desk, entry = self._desk, read_entry(transaction.body)
        if desk is None or entry is None:
            return
        region = region_of(desk.state, entry)
        desk.taken[region] = desk.taken.get(region, 0) + 1
        desk.entries.append(entry)
        if isinstance(entry, Submitted) and entry.publication.record.seq == desk.turns.get(region):
            at_once = self.rules.rules.audit is Audit.EAGER
            desk.turns[region] = desk.turns[region] + 1 if at_once else 0

    def finish(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`: the block's entries take effect."""
        desk, self._desk = self._desk, None
        if desk is None:
            return []
        header, before = block.header, desk.now
        outcome = apply_global(
            desk.context, before, GlobalBlock(before.height + 1, before.round, header.proposer, tuple(desk.entries))
        )
        asked = [bytes(one.id) for one in block.included if one.body.contract == SHARDS]
        place = (header.parent, header.epoch, header.view, header.time_ms, header.proposer)
        stamp = hash_of(_STAMP, encode((desk.stamp, place, block.section, asked)))
        self._store.save(view, stamp, desk.state, outcome)
        places = {bytes(record): (region.name, region.next_seq) for region, record in waiting_records(before)}
        for entry in desk.entries:
            if isinstance(entry, Submitted):
                record = entry.publication.record
                places[bytes(record.id)] = (record.region, record.seq)
        return self._book.write(view, block.context, desk.state, outcome, places)

    def next_due_ms(self, view: StateReader) -> int | None:
        """See `EngineSide`: while a record waits or a lock is open, a block in every round."""
        state, _ = self._store.load(view)
        waits = bool(state.locks) or bool(waiting_records(state))
        return self.rules.genesis_ms + (state.round + 1) * self.rules.round_ms if waits else None

    def state(self, view: StateReader) -> GlobalState:
        """The global state in a state. On the ledger thread."""
        return self._store.load(view)[0]

    def to_attest(self, committed: StateReader, centre: bytes) -> list[tuple[Hash, Hash]]:
        """Records that wait for what `centre` was assigned to say, and the roots that this node's copies have after
        them. On the ledger thread."""
        if self.rules.rules.audit is not Audit.ASSIGNED:
            return []
        state, _ = self._store.load(committed)
        found: list[tuple[Hash, Hash]] = []
        for view, record in waiting_records(state):
            spoken = {one for one, _ in view.pending.attested} if view.pending is not None else set()
            own = self.copies.finding(view, view.next_seq, state.height)
            if centre in self._assigned(record) and centre not in spoken and isinstance(own, Finding):
                found.append((record, Hash(own.position.root)))
        return found

    def _assigned(self, record: Hash) -> tuple[bytes, ...]:
        return assigned_centres(self._context(FoundAuditor(())), record)

    # --- turns --------------------------------------------------------------------------------------------------------

    def _turns(self, state: GlobalState) -> dict[str, int]:
        turns: dict[str, int] = {}
        for view in state.regions:
            settled = view.pending is None or self.rules.rules.audit is not Audit.ASSIGNED
            turns[view.name] = view.next_seq + (view.pending is not None) if settled else 0
        return turns

    def _turn_refusal(self, desk: _Desk, entry: Submitted) -> str:
        """Records of a region come one after the other, each when centres have executed it. A lie needs no turn."""
        record = entry.publication.record
        view = desk.state.region(record.region)
        if view is None or isinstance(judge(desk.context.identity(view), entry.publication), Lying):
            return ""
        waiting = view.pending is not None and view.pending.publication.record.id == record.id
        here = any(isinstance(one, Submitted) and one.publication.record.id == record.id for one in desk.entries)
        if waiting or here:
            return "ENTERED_BEFORE"
        return "" if record.seq == desk.turns.get(view.name) and record.id in desk.findings else LATER


def verify_statement(key: bytes, signed: bytes, signature: bytes) -> bool:
    """A `Verify`: what members and centres sign for the global chain, always under one domain."""
    return verify(key, DOMAIN_RECORD_SIGNATURE, signed, signature)


def _quiet(state: GlobalState, round_: int) -> GlobalState:
    """A region with an empty inbox owes nothing, so it is not silent however long it says nothing."""
    regions = tuple(view if view.inbox else replace(view, last_round=round_) for view in state.regions)
    return replace(state, regions=regions)
