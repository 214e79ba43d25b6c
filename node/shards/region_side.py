"""What a region's chain does beside its contracts: it takes the global chain's inbox, and closes rounds.

The first block of a round states what the region did until its parent: all of that is known before the block runs, so
the header commits to the whole record (`RegionSection` as its section), and a voter holds it against its own parent
state. Other blocks consume the inbox, as far as the leader knows it, and carry lottery tickets (`RegionExtra`).

A round that nothing happens in is not closed: `next_due_ms` asks for a closing block only after a change, and the
heartbeat's block closes one as a sign of life. A region that owes nothing (an empty inbox) is never called silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from consensus.engine import Verdict
from consensus.region_chain import RegionPolicy
from consensus.sharded.discipline import Audit
from consensus.sharded.lottery import LotteryRules, LotteryState, epoch_begins, new_tickets, next_order, take_tickets
from consensus.sharded.records import Forced, InboxItem, RegionSection
from consensus.sharded.turns import Ticket
from contracts.executor import BlockContext, Executor
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash
from ledger.engine_settings import GLOBAL
from ledger.errors import DecodeError, InvariantBroken
from ledger.objects import Header, Receipt, Transaction, decode_transaction
from ledger.state import Overlay, StateBase, StateReader
from node.application import next_committee
from node.commit import STATE_TURNS
from node.engine_side import BEHIND, VALID_SECTION, EngineBlock, SectionVerdict
from node.shards.border import Border
from node.shards.collusion import Collusion
from node.shards.global_store import read_region
from node.shards.inbox_log import Posted, inbox_items, inbox_length
from node.shards.region_state import (
    MAX_BLOCK_ITEMS,
    MAX_ITEMS_BYTES,
    ClosedRound,
    Progress,
    RegionExtra,
    last_record,
    read_closed,
    read_extra,
    read_progress,
    read_section,
    with_items,
    write_closed,
    write_progress,
)
from node.siblings import SiblingChain, Siblings


@dataclass(frozen=True, slots=True)
class RegionRules:
    """What genesis fixes for a region's chain. Rounds are `round_ms` of block time since `genesis_ms`; `views` of an
    epoch; `work`: whether tickets order the leaders; `audit`: of the centres. `region_epoch`: by the global chain;
    `base_seq`, `base_record`: the last record before it. `transaction_chain_id`: what the region's users sign for."""

    region: str
    chain_id: str
    transaction_chain_id: str
    genesis_ms: int
    round_ms: int
    views: int
    work: bool
    audit: Audit = Audit.EAGER
    region_epoch: int = 1
    base_seq: int = 0
    base_record: Hash = ZERO_HASH

    def round_of(self, time_ms: int) -> int:
        """The market round of a block time."""
        return max(0, time_ms - self.genesis_ms) // self.round_ms


def _invalid(code: str) -> SectionVerdict:
    return SectionVerdict(Verdict.INVALID, code)


_BEHIND: Final = SectionVerdict(Verdict.MISSING, BEHIND)
_OVER: Final = SectionVerdict(Verdict.MISSING, "CHAIN_OVER")
"""The region goes on elsewhere: nothing more is signed here."""
FORCED_GAS: Final = 100_000_000
"""What the posted transactions of one block may use together, by their own limits: about 1 s of CPU (ADR 0250)."""
FALSE_BEFORE: Final = "FALSE_BEFORE"
"""Reason of an honest member against every block that stands on what a quorum has certified against the truth."""


class RegionSide:
    """An `EngineSide`; see the module. `tickets`: what the own search has found, for blocks that this node leads;
    `collusion`: how this member lies, in tests and demonstrations."""

    watched: frozenset[str] = frozenset()

    def __init__(self, rules: RegionRules, executor: Executor, siblings: Siblings) -> None:
        self.rules: Final = rules
        self._executor = executor
        self._siblings = siblings
        self._border = Border(executor, rules.transaction_chain_id)
        self._policy = RegionPolicy(rules.views)
        self._reached = 0
        self.tickets: tuple[Ticket, ...] = ()
        self.collusion: Collusion | None = None
        siblings.on_commit(self._heard)

    # --- sections -----------------------------------------------------------------------------------------------------

    def section(self, parent: StateReader, header: Header, offered: Sequence[Transaction] = ()) -> bytes | None:
        """See `EngineSide`."""
        progress = read_progress(parent)
        if self.collusion is not None and self.collusion.active:
            made = self._section(parent, progress, header)
            return self.collusion.section(made, progress.seq + 1, progress.inbox_height)
        return None if self._stands_on(parent, progress) else self._section(parent, progress, header)

    def _section(self, parent: StateReader, progress: Progress, header: Header) -> bytes:
        if self._closes(progress, header):
            return encode(self._closing(parent, progress, header, self._free_height(progress, 0)))
        items = self._next_items(progress)
        lottery = self._lottery(parent, progress, header)
        tickets = new_tickets(self._lottery_rules(parent), lottery, self.tickets)
        if not items and not tickets:
            return b""
        return encode(RegionExtra(self._free_height(progress, len(items)), items, tickets))

    def judge(self, parent: StateReader, header: Header, section: bytes) -> SectionVerdict:
        """See `EngineSide`. A global height that this node has not committed is not known yet, never invalid."""
        progress = read_progress(parent)
        if self.collusion is not None and self.collusion.active:
            return self.collusion.judge(self._judge(parent, progress, header, section), progress.seq + 1)
        return self._stands_on(parent, progress) or self._judge(parent, progress, header, section)

    def _judge(self, parent: StateReader, progress: Progress, header: Header, section: bytes) -> SectionVerdict:
        if self._closes(progress, header):
            return self._judge_closing(parent, progress, header, section)
        if not section:
            return VALID_SECTION
        extra = read_extra(section)
        if extra is None or not (extra.items or extra.tickets):
            return _invalid("SECTION")
        taken = self._lottery(parent, progress, header)
        with_tickets = take_tickets(self._lottery_rules(parent), taken, extra.tickets)
        if isinstance(with_tickets, str):
            return _invalid(with_tickets)
        return self._judge_items(progress, extra)

    def _stands_on(self, parent: StateReader, progress: Progress) -> SectionVerdict | None:
        """Why this member has no part in a block, since a quorum has certified what is wrong before it: whoever signs
        on top of that signs the record too. None on a sound chain. Records that are confirmed are no concern any more:
        what was wrong with one has ended its chain."""
        if self._global is None:
            return None
        centres = self._global.state()
        view = read_region(centres, self.rules.region)
        if view is not None and view.epoch > self.rules.region_epoch:
            return _OVER
        here = view is not None and view.epoch == self.rules.region_epoch
        confirmed = min(progress.seq, view.position.seq if view is not None and here else self.rules.base_seq)
        rounds = [read_closed(parent, seq) for seq in range(confirmed, progress.seq + 1)]
        if any(closed is not None and not closed.stated for closed in rounds[1:]):
            return _invalid(FALSE_BEFORE)
        count = 0 if rounds[0] is None else rounds[0].section.inbox_count
        digest = bytes(ZERO_HASH) if rounds[0] is None else rounds[0].consumed
        posted = inbox_items(centres, self.rules.region, count, progress.inbox_count - count)
        if with_items(digest, tuple(one.item for one in posted)) == progress.consumed:
            return None
        known = len(posted) == progress.inbox_count - count or self._global.height > progress.inbox_height
        return _invalid(FALSE_BEFORE) if known else _BEHIND

    def _judge_closing(self, parent: StateReader, progress: Progress, header: Header, section: bytes) -> SectionVerdict:
        claimed = read_section(section)
        if claimed is None or claimed.inbox_height < progress.inbox_height:
            return _invalid("SECTION")
        if self._global is None or self._global.height < claimed.inbox_height:
            return _BEHIND
        if claimed.inbox_height > self._free_height(progress, 0):
            return _invalid("INBOX")
        own = self._closing(parent, progress, header, claimed.inbox_height)
        return VALID_SECTION if own == claimed else _invalid("RECORD")

    def _judge_items(self, progress: Progress, extra: RegionExtra) -> SectionVerdict:
        """Exactly the next items of the region's log, in their order."""
        if extra.inbox_height < progress.inbox_height:
            return _invalid("INBOX")
        if self._global is None:
            return _BEHIND
        known = self._inbox(progress, len(extra.items))
        if any(posted.item != item for posted, item in zip(known, extra.items, strict=False)):
            return _invalid("INBOX")
        if len(known) < len(extra.items) or self._global.height < extra.inbox_height:
            beyond = self._global.height > extra.inbox_height  # all that a sound section can name is known then
            return _invalid("INBOX") if beyond else _BEHIND
        return VALID_SECTION if extra.inbox_height <= self._free_height(progress, len(known)) else _invalid("INBOX")

    # --- blocks -------------------------------------------------------------------------------------------------------

    def begin(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`: closes the round before, or consumes."""
        header = block.header
        progress = read_progress(view)
        due = self._executor.next_due_ms(view)
        before = progress
        if progress.closing is not None and progress.closed_height == header.height - 1:
            progress = replace(progress, closed_hash=header.parent)
        progress = replace(
            progress,
            round=max(progress.round, self.rules.round_of(header.time_ms)),
            changed=progress.changed or (due is not None and due <= header.time_ms),
            lottery=self._lottery(view, progress, header),
        )
        if self._closes(before, header):
            progress, receipts = self._close(view, block, before, progress)
        else:
            progress, receipts = self._consume(view, block, progress)
        write_progress(view, progress)
        return receipts

    def refusal(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> str:
        """See `EngineSide`: no contract is watched."""
        return ""

    def executed(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> None:
        """See `EngineSide`: no contract is watched."""

    def finish(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`: counts the transactions; at a boundary the lottery orders the next epoch's leaders."""
        progress = read_progress(view)
        count = len(block.included)
        if count:
            write_progress(view, replace(progress, n_tx=progress.n_tx + count, changed=True))
        if self._policy.is_boundary(block.header):
            place = next_committee(view).index_of
            order = next_order(self._lottery_rules(view), progress.lottery)
            view.put(STATE_TURNS, encode(tuple(map(place, order))))
        return []

    def next_due_ms(self, view: StateReader) -> int | None:
        """See `EngineSide`: a round that something happened in is closed when it is over."""
        progress = read_progress(view)
        self._reached = max(self._reached, progress.inbox_count)
        self._want()
        return self.rules.genesis_ms + (progress.round + 1) * self.rules.round_ms if progress.changed else None

    def settle(self, committed: StateReader) -> None:
        """Look again at what is committed: a block that consumed items may have been abandoned. On the ledger thread,
        now and then."""
        self._reached = read_progress(committed).inbox_count
        self._want()

    # --- closing and consuming ----------------------------------------------------------------------------------------

    def _close(
        self, view: Overlay, block: EngineBlock, before: Progress, progress: Progress
    ) -> tuple[Progress, list[Receipt]]:
        """The region hands over what it could not match. `own` is what this node finds, whatever the section says."""
        claimed = read_section(block.section)
        height = before.inbox_height if claimed is None else max(before.inbox_height, claimed.inbox_height)
        outbox = self._border.close(view, block.context, before.seq + 1, height)
        own = self._stated(block.parent_root, before, block.header, height, bytes(outbox.root))
        closed = ClosedRound(
            block.header.height, own, outbox.residuals, outbox.money, outbox.wh, before.consumed, claimed == own
        )
        write_closed(view, closed)
        after = replace(
            progress,
            seq=own.seq,
            inbox_height=height,
            n_tx=0,
            changed=False,
            closing=own,
            closed_height=block.header.height,
            closed_hash=ZERO_HASH,
        )
        return after, [outbox.receipt]

    def _consume(self, view: Overlay, block: EngineBlock, progress: Progress) -> tuple[Progress, list[Receipt]]:
        extra = read_extra(block.section)
        if extra is None:
            return progress, []
        receipts: list[Receipt] = []
        for number, item in enumerate(extra.items, progress.inbox_count):
            receipts += self._border.consume(view, block.context, number, item)
        lottery = take_tickets(self._lottery_rules(view), progress.lottery, extra.tickets)
        after = replace(
            progress,
            inbox_count=progress.inbox_count + len(extra.items),
            inbox_height=max(progress.inbox_height, extra.inbox_height),
            consumed=with_items(progress.consumed, extra.items),
            changed=progress.changed or bool(extra.items),
            lottery=progress.lottery if isinstance(lottery, str) else lottery,
        )
        return after, receipts

    def _closing(self, parent: StateReader, progress: Progress, header: Header, height: int) -> RegionSection:
        """What a closing block states, before it runs: the handing over is tried on the side."""
        if not isinstance(parent, Overlay | StateBase):
            raise InvariantBroken("a section is made over the state of a block")
        trial = Overlay(parent)
        market_ms = self._executor.clock.market_time(header.time_ms)
        context = BlockContext(self.rules.transaction_chain_id, header.height, header.time_ms, market_ms)
        outbox = self._border.close(trial, context, progress.seq + 1, height)
        return self._stated(parent.root, progress, header, height, bytes(outbox.root))

    def _stated(
        self, parent_root: Hash, progress: Progress, header: Header, height: int, outbox_root: bytes
    ) -> RegionSection:
        before, rules = progress.closing, self.rules
        continued = progress.seq == rules.base_seq  # that record is of another chain, or there is none
        record = rules.base_record if continued else last_record(progress, header, rules.region_epoch)
        return RegionSection(
            region=rules.region,
            seq=progress.seq + 1,
            prev_record=record,
            body_root=header.parent,
            n_tx=progress.n_tx,
            pre_root=ZERO_HASH if before is None else before.post_root,
            post_root=parent_root,
            inbox_height=height,
            inbox_count=progress.inbox_count,
            outbox_root=outbox_root,
        )

    def _closes(self, progress: Progress, header: Header) -> bool:
        return self.rules.round_of(header.time_ms) > progress.round

    # --- the lottery --------------------------------------------------------------------------------------------------

    def _lottery(self, state: StateReader, progress: Progress, header: Header) -> LotteryState:
        if progress.lottery.epoch == header.epoch:
            return progress.lottery
        return epoch_begins(self._lottery_rules(state), progress.lottery, header.epoch, Hash(header.parent))

    def _lottery_rules(self, state: StateReader) -> LotteryRules:
        members = tuple(member.public_key for member in next_committee(state).validators)
        return LotteryRules(self.rules.chain_id, self.rules.region, members, self.rules.work)

    # --- the global chain ---------------------------------------------------------------------------------------------

    @property
    def _global(self) -> SiblingChain | None:
        return self._siblings.get(GLOBAL)

    def _inbox(self, progress: Progress, limit: int) -> tuple[Posted, ...]:
        """The next items as far as they are known here, at most `limit`."""
        if self._global is None or limit == 0:
            return ()
        return inbox_items(self._global.state(), self.rules.region, progress.inbox_count, limit)

    def _next_items(self, progress: Progress) -> tuple[InboxItem, ...]:
        """What an own block consumes: as much as fits, at least one if there is one. What users have posted runs beside
        the transactions that the block chooses, so their gas is bounded here: posting costs nothing."""
        items: list[InboxItem] = []
        size = gas = 0
        for posted in self._inbox(progress, MAX_BLOCK_ITEMS):
            size += len(encode(posted.item))
            gas += _gas_of(posted.item, self._executor.limits.deploy_gas)
            if items and (size > MAX_ITEMS_BYTES or gas > FORCED_GAS):
                break
            items.append(posted.item)
        return tuple(items)

    def _free_height(self, progress: Progress, consumed: int) -> int:
        """The highest known global block up to which no item is left once `consumed` more are."""
        if self._global is None:
            return progress.inbox_height
        left = inbox_items(self._global.state(), self.rules.region, progress.inbox_count + consumed, 1)
        known = self._global.height
        return max(progress.inbox_height, min(known, left[0].height - 1) if left else known)

    def _heard(self, sibling: SiblingChain) -> None:
        if sibling.name == GLOBAL:
            self._want()

    def _want(self) -> None:
        """Ask for a block while the inbox holds what no block here has consumed."""
        chain = self._global
        self._siblings.want_block(chain is not None and inbox_length(chain.state(), self.rules.region) > self._reached)


def _gas_of(item: InboxItem, most: int) -> int:
    """The most that a posted transaction may use; other items have prices of their own, far below."""
    if not isinstance(item, Forced):
        return 0
    try:
        return min(decode_transaction(item.transaction).body.gas_limit, most)
    except DecodeError:
        return 0  # refused unread
