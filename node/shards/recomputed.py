"""What a record would have been, had its region been honest: the centres' own result, where a quorum of it lied.

The blocks of the record are executed again on the state after the record before. What they consume is what the global
chain has sent, in its order: an item that was forged, moved or repeated gives way to the one whose turn it was, or to
nothing, and a height that says more than is true is taken as far as it is. All the rest is as certified. The result
depends on the blocks and on the inbox alone, so every node that has both finds the same, centre or not, now or later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from consensus.sharded.records import (
    Asset,
    Correction,
    Entry,
    Filled,
    Forced,
    InboxItem,
    RegionPosition,
    RegionSection,
    Released,
    Residual,
    Wrong,
)
from contracts.executor import BlockContext, Executor, QueryFailed
from ledger.codec import encode
from ledger.crypto import domain, hash_of
from ledger.errors import InvariantBroken
from ledger.objects import Block, Header, Receipt, decode_transaction, transaction_id
from ledger.state import Overlay, StateBase, StateReader
from node.block_execution import BlockExecution
from node.shards.border import MOST
from node.shards.past_state import Copy, Replay, state_after
from node.shards.region_state import ClosedRound, RegionExtra, read_closed, read_extra, read_section

DOMAIN_ITEM: Final = domain("region-inbox-item")
TOKEN: Final = "token"
"""The contract whose accounts are the lines of money."""
MOST_ENTRIES: Final = 512
"""A correction that touches more lines, or an amount that no object holds, names none: the corrected root says it
all the same."""
_ADDRESS: Final = 32
_FLAT_EVERY: Final = 8
_EVERYTHING: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Mail:
    """What the global chain had sent a region and the record before had not consumed, each item with the height that
    posted it, in order. `known`: the global block before the one that enters the record; nothing later counts, so it
    is judged alike however long it waits."""

    items: Sequence[tuple[int, InboxItem]]
    known: int


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A record as an honest region would have made it. `after`: the state with which the region goes on, after the
    closing step; it lives as long as the scope of `recompute`. `wrong`: None if the region certified the same."""

    position: RegionPosition
    residuals: tuple[Residual, ...]
    after: Overlay
    wrong: Wrong | None
    offending: tuple[bytes, ...]
    entries: tuple[Entry, ...]

    def correction(self, record: bytes) -> Correction | None:
        """What the global block says of a record."""
        if self.wrong is None:
            return None
        return Correction(record, self.wrong.label, self.offending, self.position.root, self.entries)


@contextmanager
def recompute(copy: Copy, replay: Replay, seq: int, mail: Mail) -> Iterator[Recomputed]:
    """Record `seq` again, from a copy that has closed it. Raise `InvariantBroken` if it has not, `StoreError`."""
    span = _span(copy, replay.base_seq, seq)
    with state_after(copy, span.first - 1, replay) as base:
        honest, post = _Course(base, replay.execution, honest=True), _Post(mail)
        sections = [post.section(block, span.begins(block)) for block in span.blocks]
        for block, section in zip(span.blocks, sections, strict=True):
            honest.run(block, section)
        position, closed, after = _closed(honest, span, post, replay.execution)
        wrong, offending = _compare(span, closed, post, honest.forged)
        entries: tuple[Entry, ...] = ()
        if honest.forged or sections != [block.body.extra for block in span.blocks]:
            claimed = _Course(base, replay.execution)
            for block in span.blocks:
                claimed.run(block, block.body.extra)
            entries = _entries(claimed, honest, replay.executor, span.closing.header)
        yield Recomputed(position, closed.residuals, after, wrong, offending, entries)


def item_id(item: InboxItem) -> bytes:
    """How a correction names an item: by its lock, by the transaction that a user has posted, else by its content."""
    match item:
        case Forced(transaction):
            return bytes(transaction_id(transaction))
        case Filled(lock) | Released(lock):
            return lock
        case _:
            return bytes(hash_of(DOMAIN_ITEM, encode(item)))


# --- what the record is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    """The blocks of a record, the one that closes it, and what that one states. `first`: height of the first of them;
    it closes the record before (`opens`), unless that is the one with which its chain began. `differs`: a header of
    theirs names roots that its execution does not give, or holds a forged transaction."""

    seq: int
    first: int
    blocks: tuple[Block, ...]
    closing: Block
    stated: RegionSection | None
    opens: bool
    differs: bool

    def begins(self, block: Block) -> bool:
        """Whether a block closes the record before."""
        return self.opens and block.header.height == self.first


def _span(copy: Copy, base_seq: int, seq: int) -> _Span:
    with copy.view() as head:
        before, closed = read_closed(head.state, seq - 1), read_closed(head.state, seq)
        first = head.chain.first + 1
        if before is not None and seq > base_seq + 1:
            first = before.height
        differs = closed is not None and head.chain.differing(first, closed.height - 1) is not None
    if closed is None or seq <= base_seq or (before is None and seq > base_seq + 1):
        raise InvariantBroken(f"record {seq} is not in this copy")
    opens = seq > base_seq + 1
    blocks = tuple(_block(copy, height) for height in range(first, closed.height))
    closing = _block(copy, closed.height)
    return _Span(seq, first, blocks, closing, read_section(closing.body.extra), opens, differs)


def _block(copy: Copy, height: int) -> Block:
    block = copy.block(height)
    if block is None:
        raise InvariantBroken(f"block {height} is missing in this copy")
    return block


# --- executing it -----------------------------------------------------------------------------------------------------


class _Post:
    """Hands out what was sent, in order. `claimed`: what the region says it consumed; `given`: what it was sent in
    those places, None where nothing was."""

    def __init__(self, mail: Mail) -> None:
        self._items = [(height, item) for height, item in mail.items if height <= mail.known]
        self._known = mail.known
        self.claimed: list[InboxItem] = []
        self.given: list[InboxItem] = []

    @property
    def waiting(self) -> list[tuple[int, InboxItem]]:
        """What is not consumed, with the heights that posted it."""
        return self._items[len(self.given) :]

    def section(self, block: Block, closes: bool) -> bytes:
        """The section that an honest leader would have given a block."""
        extra = None if closes else read_extra(block.body.extra)
        if extra is None:
            return block.body.extra
        taken = [item for _, item in self.waiting[: len(extra.items)]]
        self.claimed += extra.items
        self.given += taken
        if not taken and not extra.tickets:
            return b""
        return encode(RegionExtra(self.height(extra.inbox_height), tuple(taken), extra.tickets))

    def height(self, claimed: int) -> int:
        """As much as is true of a height up to which nothing is said to be left."""
        waiting = self.waiting
        return min(claimed, self._known, waiting[0][0] - 1) if waiting else min(claimed, self._known)


class _Course:
    """Blocks executed one on the other above a state. `changes`: all that they wrote; `wh`: what came home across the
    border, by owner; `forged`: ids of transactions that were not their senders', which an honest course leaves out."""

    def __init__(self, base: Overlay | StateBase, execution: BlockExecution, *, honest: bool = False) -> None:
        self._base = base
        self._execution = execution
        self._honest = honest
        self.forged: set[bytes] = set()
        self._depth = 0
        self.top: Overlay | StateBase = base
        self.changes: dict[bytes, bytes | None] = {}
        self.wh: dict[bytes, int] = {}

    def run(self, block: Block, section: bytes) -> None:
        """What of its transactions cannot be applied any more is left out."""
        transactions = [decode_transaction(raw) for raw in block.body.transactions]
        if self._honest:
            self.forged |= {bytes(one.id) for one in transactions if self._execution.forged(one)}
            transactions = [one for one in transactions if bytes(one.id) not in self.forged]
        done = self._execution.run(block.header, self.top, transactions, section, _EVERYTHING)
        extra = read_extra(section)
        if extra is not None:
            self._count(extra.items, done.receipts)
        self._stand_on(done.overlay)

    def _count(self, items: Sequence[InboxItem], receipts: Sequence[Receipt]) -> None:
        at = 0
        for item in items:
            if isinstance(item, Forced):
                at += 2  # of the item, and of its transaction
                continue
            if receipts[at].ok and isinstance(item, Filled | Released):
                self.wh[item.owner] = self.wh.get(item.owner, 0) + item.wh
            at += 1

    def _stand_on(self, overlay: Overlay) -> None:
        """Overlays on overlays are slow to read: now and then they become one."""
        self.changes.update(overlay.delta().writes)
        self.top = overlay
        self._depth += 1
        if self._depth == _FLAT_EVERY:
            self._depth = 0
            flat = Overlay(self._base)
            for key, value in self.changes.items():
                if value is None:
                    flat.delete(key)
                else:
                    flat.put(key, value)
            flat.seal()
            self.top = flat


def _closed(
    honest: _Course, span: _Span, post: _Post, execution: BlockExecution
) -> tuple[RegionPosition, ClosedRound, Overlay]:
    """Close the record over the honest state."""
    section = b"" if span.stated is None else encode(_with_height(span.stated, post))
    after = execution.begin(span.closing.header, honest.top, section)
    closed = read_closed(after, span.seq)
    if closed is not None and not closed.stated:
        after = execution.begin(span.closing.header, honest.top, encode(closed.section))
        closed = read_closed(after, span.seq)
    if closed is None:
        raise InvariantBroken(f"block {span.closing.header.height} does not close record {span.seq}")
    own = closed.section
    position = RegionPosition(span.seq, own.post_root, own.inbox_count, own.inbox_height, closed.money, closed.wh)
    return position, closed, after


def _with_height(stated: RegionSection, post: _Post) -> RegionSection:
    return replace(stated, inbox_height=post.height(stated.inbox_height))


# --- what is wrong with it --------------------------------------------------------------------------------------------


def _compare(
    span: _Span, closed: ClosedRound, post: _Post, forged: Set[bytes]
) -> tuple[Wrong | None, tuple[bytes, ...]]:
    """A user's transaction that the region passed over (W3) says more than a root that differs (W1)."""
    said = -1 if span.stated is None else span.stated.inbox_height
    passed = [item for height, item in post.waiting if height <= said]
    claimed = {item_id(item) for item in post.claimed}
    missing = [item for item in post.given if item_id(item) not in claimed]
    ignored = {item_id(item) for item in (*passed, *missing) if isinstance(item, Forced)}
    if ignored:
        return Wrong.FORCED_MISSING, tuple(sorted(ignored))
    given = [*post.given, *(None for _ in range(len(post.claimed) - len(post.given)))]
    false = {item_id(item) for item, true in zip(post.claimed, given, strict=True) if item != true}
    false |= {item_id(item) for item in passed} | forged
    if false:
        return Wrong.STATE, tuple(sorted(false))
    return (None, ()) if span.stated == closed.section and not span.differs else (Wrong.STATE, ())


def _entries(claimed: _Course, honest: _Course, executor: Executor, header: Header) -> tuple[Entry, ...]:
    """From the lines that the certified blocks give to the centres' own, in the order of account and asset."""
    differences = _money(claimed, honest, executor, header)
    for owner in {*claimed.wh, *honest.wh}:
        differences[(owner, Asset.ENERGY)] = honest.wh.get(owner, 0) - claimed.wh.get(owner, 0)
    entries = [Entry(account, asset, difference) for (account, asset), difference in sorted(differences.items())]
    found = tuple(entry for entry in entries if entry.difference)
    fit = len(found) <= MOST_ENTRIES and all(abs(entry.difference) <= MOST for entry in found)
    return found if fit else ()


def _money(claimed: _Course, honest: _Course, executor: Executor, header: Header) -> dict[tuple[bytes, Asset], int]:
    """Lines of money that differ. Accounts are found by the keys under which contracts keep anything of them."""
    keys = {*claimed.changes, *honest.changes}
    other = [key for key in keys if claimed.top.get(key) != honest.top.get(key)]
    accounts = sorted({key[-_ADDRESS:] for key in other if key[:1] == b"c" and len(key) > _ADDRESS})
    context = BlockContext(header.chain_id, header.height, header.time_ms, executor.clock.market_time(header.time_ms))
    found: dict[tuple[bytes, Asset], int] = {}
    for account in accounts:
        had, has = (_owned(course.top, account, executor, context) for course in (claimed, honest))
        found[(account, Asset.MONEY)] = has - had
    return found


def _owned(state: StateReader, account: bytes, executor: Executor, context: BlockContext) -> int:
    """Balance and escrow less debt, in micro-units; nothing where money is not kept by the contract."""
    try:
        value = executor.query(state, TOKEN, "account", [account], context)
    except QueryFailed:
        return 0
    if not isinstance(value, dict):
        return 0
    parts = [value.get(name, 0) for name in ("balance", "escrow", "debt")]
    balance, escrow, debt = (part if isinstance(part, int) else 0 for part in parts)
    return balance + escrow - debt
