"""The model application of a region's chain: its ledger, its rounds and their records, its lottery.

A block whose time is due closes a round: it clears, and carries the record's section. Other blocks may carry the global
height up to which they consume the inbox, and tickets of the lottery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from consensus.engine import HeaderTemplate, StoredBlock
from consensus.sharded.accounts import RegionLedger, changed_lines
from consensus.sharded.lottery import LotteryRules, LotteryState, epoch_begins, new_tickets, take_tickets
from consensus.sharded.records import (
    InboxItem,
    RegionBlock,
    RegionBody,
    RegionSection,
    TransactionReceipt,
    record_of,
)
from consensus.sharded.region import Execution, close_round, run_block, section_of
from consensus.sharded.turns import Ticket
from consensus.sharded.verdicts import Verify
from consensus.simulator.application import NO_PARENT, ModelApplication, Overlay
from ledger.codec import Uint, Wire, decode, encode
from ledger.crypto import DOMAIN_STATE_NODE, ZERO_HASH, Hash, hash_of
from ledger.errors import DecodeError
from ledger.objects import Header

Inbox = Callable[[int, int], Sequence[InboxItem]]
"""(items consumed so far, global height) -> the items to consume next, up to that height."""


class OpenSection(Wire, frozen=True):
    """The engine's section of a block that closes no round; none at all if there is nothing in it."""

    inbox_height: Uint | None
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class RegionHead:
    """A region after a block. `base`: after its last record, from which `blocks` and `receipts` have led here. In the
    block that closes a round, `section` and `body` are those of its record."""

    ledger: RegionLedger
    base: RegionLedger
    prev_record: Hash = ZERO_HASH
    inbox_height: int = 0
    lottery: LotteryState = field(default_factory=LotteryState)
    blocks: tuple[RegionBlock, ...] = ()
    receipts: tuple[TransactionReceipt, ...] = ()
    section: RegionSection | None = None
    body: RegionBody | None = None

    @property
    def root(self) -> Hash:
        """Of accounts and lottery."""
        return hash_of(DOMAIN_STATE_NODE, self.ledger.root + encode(self.lottery))

    def encoded(self) -> bytes:
        """See `CouncilState`."""
        return self.ledger.encoded() + encode(self.lottery)


def _truthful(seq: int) -> bool:
    return False


def _fair(raw: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class RegionRules:
    """What all nodes of a region's chain share. `epoch`: the regional one. `lies_in`: in which records a quorum that
    colludes lies, `accomplice`: who gains by it, `ignores`: which transactions are ignored by whoever ignores any."""

    name: str
    epoch: int
    round_ms: int
    inbox: Inbox
    verify: Verify
    lottery: LotteryRules
    lies_in: Callable[[int], bool] = _truthful
    accomplice: bytes = b""
    ignores: Callable[[bytes], bool] = _fair


@dataclass(slots=True)
class RegionApplication(ModelApplication):
    """One region in one of its epochs. `height`: the global height that this node has verified, None while certified
    blocks are run again; `heard`: tickets that it may carry. `replays`: an item is consumed twice, `forged`: a ticket
    that is none is carried, which are lies.
    """

    rules: RegionRules = field(kw_only=True)
    height: int | None = None
    heard: tuple[Ticket, ...] = ()
    replays: bool = False
    forged: tuple[Ticket, ...] = ()

    def build(
        self, template: HeaderTemplate, pool: Sequence[tuple[Hash, bytes]], limit: int
    ) -> tuple[StoredBlock, Header, Overlay] | None:
        """See `ModelApplication`; it consumes as much of the inbox as this node knows."""
        parent = self.overlay(template.parent)
        if parent is None:
            return None
        chosen = self.fresh(parent, pool)[:limit]
        head = self._opened(parent, template.epoch)
        known = max(head.inbox_height, self.height or 0)
        if _closes(parent, template.time_ms):
            extra = encode(self.close(head, [raw for _, raw in chosen], known).section)
        else:
            consumes = known if self.rules.inbox(head.ledger.inbox_count, known) else None
            tickets = self.forged or new_tickets(self.rules.lottery, head.lottery, self.heard)
            extra = b"" if consumes is None and not tickets else encode(OpenSection(consumes, tickets))
        return self.sealed(template, parent, chosen, extra)

    def section_fault(self, header: Header, parent: Overlay, extra: bytes) -> str:
        """See `ModelApplication`. A global height that this node lacks is not known yet, never invalid."""
        try:
            height, tickets = _read(extra, _closes(parent, header.time_ms))
        except DecodeError:
            return "section"
        head = self._opened(parent, header.epoch)
        if isinstance(take_tickets(self.rules.lottery, head.lottery, tickets), str):
            return "tickets"
        if height is None:
            return ""
        if height < head.inbox_height:
            return "inbox"
        return NO_PARENT if self.height is not None and height > self.height else ""

    def check(self, header: Header, block: StoredBlock) -> Overlay | str:
        """See `ModelApplication`; the section must be the node's own."""
        outcome = ModelApplication.check(self, header, block)
        if isinstance(outcome, Overlay):
            section = region_head(outcome).section
            if section is not None and encode(section) != outcome.extra:
                self.overlays.pop(block.hash, None)
                return "section"
        return outcome

    def run(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...], extra: bytes
    ) -> Overlay:
        """See `ModelApplication`; the root is that of ledger and lottery."""
        head, due = self._opened(parent, header.epoch), parent.next_due_ms
        closes = _closes(parent, header.time_ms)
        height, tickets = _read(extra, closes)
        if closes:
            head = self.close(head, transactions, height or 0)
            due = header.time_ms + self.rules.round_ms
        else:
            head = self.block(head, height, transactions)
            drawn = take_tickets(self.rules.lottery, head.lottery, tickets)
            head = head if isinstance(drawn, str) else replace(head, lottery=drawn)
        return Overlay(ZERO_HASH, header, head.root, ids, transactions, due, parent, head)

    def block(self, head: RegionHead, height: int | None, transactions: Sequence[bytes]) -> RegionHead:
        """What a block does. `height`: up to which it consumes the inbox."""
        items = [] if height is None else list(self.rules.inbox(head.ledger.inbox_count, height))
        if self.replays:
            items = items[:1] + items
        result = run_block(head.ledger, items, transactions, self.rules.verify)
        block = RegionBlock(result.ledger.inbox_count, tuple(transactions))
        return replace(
            head,
            ledger=result.ledger,
            inbox_height=head.inbox_height if height is None else height,
            blocks=(*head.blocks, block),
            receipts=(*head.receipts, *result.receipts),
        )

    def close(self, head: RegionHead, transactions: Sequence[bytes], height: int) -> RegionHead:
        """What the last block of a round does."""
        done = self.block(head, height, transactions)
        closing = close_round(done.ledger, self.rules.name)
        changed = changed_lines(head.base.lines, closing.ledger.lines)
        body = RegionBody(done.blocks, done.receipts, closing.fills, changed)
        execution = Execution(closing.ledger, body, closing.residuals, ())
        section = section_of(self.rules.name, head.base, head.prev_record, height, execution)
        return replace(done, ledger=closing.ledger, section=section, body=body)

    def _opened(self, parent: Overlay, epoch: int) -> RegionHead:
        """What the next block starts from: after a closing block a new record, after a boundary a new lottery."""
        head = region_head(parent)
        if head.section is not None:
            record = record_of(parent.header, parent.hash, head.section, self.rules.epoch)
            head = RegionHead(head.ledger, head.ledger, record.id, head.inbox_height, head.lottery)
        if epoch == head.lottery.epoch:
            return head
        return replace(head, lottery=epoch_begins(self.rules.lottery, head.lottery, epoch, parent.hash))


def region_head(overlay: Overlay) -> RegionHead:
    """A region after a block. Raise `TypeError` for another chain's."""
    if not isinstance(overlay.council, RegionHead):
        raise TypeError("not a block of a region")
    return overlay.council


def _closes(parent: Overlay, time_ms: int) -> bool:
    return parent.next_due_ms is not None and time_ms >= parent.next_due_ms


def _read(extra: bytes, closes: bool) -> tuple[int | None, tuple[Ticket, ...]]:
    """The global height that a block consumes the inbox up to, and its tickets. Raise `DecodeError`."""
    if closes:
        return decode(RegionSection, extra).inbox_height, ()
    if not extra:
        return None, ()
    section = decode(OpenSection, extra)
    if section == OpenSection(None, ()):
        raise DecodeError("a section with nothing in it")
    return section.inbox_height, section.tickets
