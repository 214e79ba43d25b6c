"""The model applications of a sharded network: a region's ledger and rounds, and the global chain's blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from consensus.engine import HeaderTemplate, StoredBlock
from consensus.sharded.accounts import RegionLedger, changed_lines
from consensus.sharded.discipline import Audit
from consensus.sharded.global_chain import apply_global
from consensus.sharded.global_codec import encode_global
from consensus.sharded.global_state import (
    Attestation,
    Conflict,
    GlobalBlock,
    GlobalContext,
    GlobalEntry,
    GlobalOutcome,
    GlobalState,
    NewMembers,
    Posted,
    Submitted,
)
from consensus.sharded.records import (
    InboxItem,
    RegionBlock,
    RegionBody,
    RegionSection,
    TransactionReceipt,
    record_of,
)
from consensus.sharded.region import Execution, close_round, run_block, section_of
from consensus.sharded.verdicts import Verify
from consensus.simulator.application import NO_PARENT, ModelApplication, Overlay
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_STATE_NODE, ZERO_HASH, Hash, hash_of
from ledger.errors import DecodeError
from ledger.objects import Header

REGION_EPOCH: Final = 1
Inbox = Callable[[int, int], Sequence[InboxItem]]
"""(items consumed so far, global height) -> the items to consume next, up to that height."""


@dataclass(frozen=True, slots=True)
class RegionHead:
    """A region after a block. `base`: after its last record, from which `blocks` and `receipts` have led here. In the
    block that closes a round, `section` and `body` are those of its record."""

    ledger: RegionLedger
    base: RegionLedger
    prev_record: Hash = ZERO_HASH
    inbox_height: int = 0
    blocks: tuple[RegionBlock, ...] = ()
    receipts: tuple[TransactionReceipt, ...] = ()
    section: RegionSection | None = None
    body: RegionBody | None = None

    def encoded(self) -> bytes:
        """See `CouncilState`."""
        return self.ledger.encoded()


@dataclass(slots=True)
class RegionApplication(ModelApplication):
    """One region. A block whose time is due closes a round: it clears, and carries the record's section; others carry
    the global height up to which they consume the inbox, if there is something. `height`: the global height that this
    node has verified, None while certified blocks are run again. `replays`: an item is consumed twice, which is a lie.
    """

    name: str = field(kw_only=True)
    round_ms: int = field(kw_only=True)
    inbox: Inbox = field(kw_only=True)
    verify: Verify = field(kw_only=True)
    height: int | None = None
    replays: bool = False

    def build(
        self, template: HeaderTemplate, pool: Sequence[tuple[Hash, bytes]], limit: int
    ) -> tuple[StoredBlock, Header, Overlay] | None:
        """See `ModelApplication`; a closing block consumes as much of the inbox as this node knows."""
        parent = self.overlay(template.parent)
        if parent is None:
            return None
        taken = self.pending(parent)
        chosen = [(i, raw) for i, raw in pool if i not in self.applied and i not in taken][:limit]
        head = _opened(parent)
        known = max(head.inbox_height, self.height or 0)
        if _closes(parent, template.time_ms):
            extra = encode(self._close(head, [raw for _, raw in chosen], known).section)
        else:
            extra = encode(known) if self.inbox(head.ledger.inbox_count, known) else b""
        return self.sealed(template, parent, chosen, extra)

    def section_fault(self, header: Header, parent: Overlay, extra: bytes) -> str:
        """See `ModelApplication`. A global height that this node lacks is not known yet, never invalid."""
        try:
            height = _height(extra, _closes(parent, header.time_ms))
        except DecodeError:
            return "section"
        if height is None:
            return ""
        if height < _opened(parent).inbox_height:
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
        """See `ModelApplication`; the root is the ledger's."""
        head, due = _opened(parent), parent.next_due_ms
        closes = _closes(parent, header.time_ms)
        height = _height(extra, closes)
        if closes:
            head = self._close(head, transactions, height or 0)
            due = header.time_ms + self.round_ms
        else:
            head = self._block(head, height, transactions)
        return Overlay(ZERO_HASH, header, head.ledger.root, ids, transactions, due, parent, head)

    def _block(self, head: RegionHead, height: int | None, transactions: Sequence[bytes]) -> RegionHead:
        items = [] if height is None else list(self.inbox(head.ledger.inbox_count, height))
        if self.replays:
            items = items[:1] + items
        result = run_block(head.ledger, items, transactions, self.verify)
        block = RegionBlock(result.ledger.inbox_count, tuple(transactions))
        return replace(
            head,
            ledger=result.ledger,
            inbox_height=head.inbox_height if height is None else height,
            blocks=(*head.blocks, block),
            receipts=(*head.receipts, *result.receipts),
        )

    def _close(self, head: RegionHead, transactions: Sequence[bytes], height: int) -> RegionHead:
        done = self._block(head, height, transactions)
        closing = close_round(done.ledger, self.name)
        changed = changed_lines(head.base.lines, closing.ledger.lines)
        body = RegionBody(done.blocks, done.receipts, closing.fills, changed)
        execution = Execution(closing.ledger, body, closing.residuals, ())
        section = section_of(self.name, head.base, head.prev_record, height, execution)
        return replace(done, ledger=closing.ledger, section=section, body=body)


def region_head(overlay: Overlay) -> RegionHead:
    """A region after a block. Raise `TypeError` for another chain's."""
    if not isinstance(overlay.council, RegionHead):
        raise TypeError("not a block of a region")
    return overlay.council


def _closes(parent: Overlay, time_ms: int) -> bool:
    return parent.next_due_ms is not None and time_ms >= parent.next_due_ms


def _height(extra: bytes, closes: bool) -> int | None:
    """The global height that a block consumes the inbox up to. Raise `DecodeError`."""
    if closes:
        return decode(RegionSection, extra).inbox_height
    return decode(int, extra) if extra else None


def _opened(parent: Overlay) -> RegionHead:
    """What the next block starts from: after a closing block, a new record."""
    head = region_head(parent)
    if head.section is None:
        return head
    record = record_of(parent.header, parent.hash, head.section, REGION_EPOCH)
    return RegionHead(head.ledger, head.ledger, record.id, head.inbox_height)


# --- the global chain -------------------------------------------------------------------------------------------------

_KINDS: Final[dict[bytes, type[GlobalEntry]]] = {
    b"s": Submitted,
    b"p": Posted,
    b"c": Conflict,
    b"a": Attestation,
    b"m": NewMembers,
}
_TAG_OF: Final = {kind: tag for tag, kind in _KINDS.items()}


def entry_bytes(entry: GlobalEntry) -> bytes:
    """An entry as a transaction."""
    return _TAG_OF[type(entry)] + encode(entry)


def read_entry(raw: bytes) -> GlobalEntry | None:
    """Inverse of `entry_bytes`, None for anything else."""
    kind = _KINDS.get(raw[:1])
    try:
        return None if kind is None else decode(kind, raw[1:])
    except DecodeError:
        return None


@dataclass(frozen=True, slots=True)
class GlobalHead:
    """The global chain after a block."""

    outcome: GlobalOutcome

    @property
    def state(self) -> GlobalState:
        """What later blocks depend on."""
        return self.outcome.state

    def encoded(self) -> bytes:
        """See `CouncilState`."""
        return encode_global(self.state)


@dataclass(slots=True)
class GlobalApplication(ModelApplication):
    """The centres' chain. A round is `round_ms` of block time since genesis."""

    context: GlobalContext = field(kw_only=True)
    round_ms: int = field(kw_only=True)
    genesis_ms: int = field(kw_only=True)

    def build(
        self, template: HeaderTemplate, pool: Sequence[tuple[Hash, bytes]], limit: int
    ) -> tuple[StoredBlock, Header, Overlay] | None:
        """See `ModelApplication`; a record whose turn has not come stays in the pool."""
        parent = self.overlay(template.parent)
        if parent is None:
            return None
        return ModelApplication.build(self, template, self._in_turn(global_head(parent).state, pool), limit)

    def _in_turn(self, state: GlobalState, pool: Sequence[tuple[Hash, bytes]]) -> list[tuple[Hash, bytes]]:
        at_once = self.context.rules.audit is Audit.EAGER
        turns: dict[str, int] = {}
        for view in state.regions:
            settles = view.pending is not None and self.context.rules.audit is not Audit.ASSIGNED
            turns[view.name] = view.next_seq + settles if view.pending is None or settles else 0
        found: list[tuple[int, Hash, bytes]] = []
        for name, raw in pool:
            entry = read_entry(raw)
            found.append((entry.publication.record.seq if isinstance(entry, Submitted) else 0, name, raw))
        chosen: list[tuple[Hash, bytes]] = []
        for seq, name, raw in sorted(found, key=lambda one: one[0]):
            entry = read_entry(raw)
            region = entry.publication.record.region if isinstance(entry, Submitted) else ""
            if seq <= turns.get(region, seq):
                chosen.append((name, raw))
                turns[region] = turns.get(region, 0) + (at_once and seq == turns.get(region))
        return chosen

    def run(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...], extra: bytes
    ) -> Overlay:
        """See `ModelApplication`."""
        before = global_head(parent).state
        now = (header.time_ms - self.genesis_ms) // self.round_ms
        entries = tuple(entry for entry in map(read_entry, transactions) if entry is not None)
        outcome = apply_global(
            self.context, before, GlobalBlock(before.height + 1, max(now, before.round), header.proposer, entries)
        )
        due = self.genesis_ms + (now + 1) * self.round_ms
        root = hash_of(DOMAIN_STATE_NODE, encode_global(outcome.state))
        return Overlay(ZERO_HASH, header, root, ids, transactions, due, parent, GlobalHead(outcome))


def global_head(overlay: Overlay) -> GlobalHead:
    """The global chain after a block. Raise `TypeError` for another chain's."""
    if not isinstance(overlay.council, GlobalHead):
        raise TypeError("not a block of the global chain")
    return overlay.council
