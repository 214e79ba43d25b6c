"""A small state machine with real headers: enough state that two orders of the same transactions differ.

State after a block = hash of the state before, the block's transactions and its due calls. Overlays are immutable and
know their parent, so an abandoned one leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from consensus.engine import BODY_MISMATCH, HeaderTemplate, StoredBlock
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_STATE_NODE, ZERO_HASH, Hash, hash_of
from ledger.errors import DecodeError
from ledger.merkle import EMPTY_ROOT, merkle_root
from ledger.objects import BODY_VERSION, HEADER_VERSION, Body, Header, extra_root, header_hash, transaction_id

NO_PARENT = "no-parent"
"""`check` could not begin: the parent's state is not here (any more)."""

NextValidators = Callable[[Header], Hash]


class CouncilState(Protocol):
    """State of an engine that elects, as far as the root is concerned."""

    def encoded(self) -> bytes:
        """Its canonical bytes."""
        ...


@dataclass(slots=True)
class Overlay:
    """State after one block. `ids`: transactions of the block itself. `parent` is dropped when this one is
    committed. `council`: the part of an engine that elects."""

    hash: Hash
    header: Header
    root: Hash
    ids: tuple[Hash, ...]
    transactions: tuple[bytes, ...]
    next_due_ms: int | None
    parent: Overlay | None
    council: CouncilState | None = None
    extra: bytes = b""


@dataclass(slots=True)
class ModelApplication:
    """Overlays above a committed head. `due_every_ms`: a scheduled call at each multiple of it, 0 for none."""

    head: Overlay
    next_validators: NextValidators
    due_every_ms: int
    overlays: dict[Hash, Overlay] = field(default_factory=dict)
    applied: set[Hash] = field(default_factory=set)

    def overlay(self, block_hash: Hash) -> Overlay | None:
        """The state after a block that was built or checked here."""
        return self.head if block_hash == self.head.hash else self.overlays.get(block_hash)

    def pending(self, above: Overlay) -> set[Hash]:
        """Ids in overlays between the head and this one, inclusive."""
        found: set[Hash] = set()
        at: Overlay | None = above
        while at is not None and at.hash != self.head.hash:
            found.update(at.ids)
            at = at.parent
        return found

    def fresh(self, parent: Overlay, pool: Sequence[tuple[Hash, bytes]]) -> list[tuple[Hash, bytes]]:
        """What of the pool is applied neither up to the head nor in the blocks from there to `parent`."""
        taken = self.pending(parent)
        return [(name, raw) for name, raw in pool if name not in self.applied and name not in taken]

    def build(
        self, template: HeaderTemplate, pool: Sequence[tuple[Hash, bytes]], limit: int
    ) -> tuple[StoredBlock, Header, Overlay] | None:
        """A block of the pool's first transactions on the template's parent; None if the parent is unknown."""
        parent = self.overlay(template.parent)
        if parent is None:
            return None
        return self.sealed(template, parent, self.fresh(parent, pool)[:limit], self.section(parent))

    def sealed(
        self, template: HeaderTemplate, parent: Overlay, chosen: Sequence[tuple[Hash, bytes]], extra: bytes
    ) -> tuple[StoredBlock, Header, Overlay]:
        """The block of these transactions and this section, executed."""
        transactions = tuple(raw for _, raw in chosen)
        body = encode(Body(BODY_VERSION, transactions, extra))
        header = Header(
            version=HEADER_VERSION,
            chain_id=template.chain_id,
            epoch=template.epoch,
            view=template.view,
            height=template.height,
            time_ms=template.time_ms,
            parent=template.parent,
            parent_view=template.parent_view,
            closing=template.closing,
            transactions_root=merkle_root(transactions),
            body_size=len(body),
            state_root=ZERO_HASH,
            receipts_root=EMPTY_ROOT,
            validators=template.validators,
            next_validators=template.validators,
            extra_root=extra_root(extra),
            proposer=template.proposer,
        )
        overlay = self.run(header, parent, tuple(i for i, _ in chosen), transactions, extra)
        header = replace_header(header, overlay.root, self.committee_after(header, overlay))
        raw = encode(header)
        block = StoredBlock(header_hash(raw), raw, body)
        overlay.hash, overlay.header, overlay.extra = block.hash, header, extra
        self.overlays[block.hash] = overlay
        return block, header, overlay

    def check(self, header: Header, block: StoredBlock) -> Overlay | str:
        """Execute a block whose body is whole: the overlay, or the reason why it is invalid."""
        parent = self.overlay(Hash(header.parent))
        if parent is None:
            return NO_PARENT
        try:
            body = decode(Body, block.body_bytes)
        except DecodeError:
            return "body"
        if merkle_root(body.transactions) != header.transactions_root or len(block.body_bytes) != header.body_size:
            return BODY_MISMATCH
        if extra_root(body.extra) != header.extra_root:
            return BODY_MISMATCH
        fault = self.section_fault(header, parent, body.extra)
        if fault:
            return fault
        ids = tuple(transaction_id(raw) for raw in body.transactions)
        taken = self.pending(parent)
        if len(set(ids)) != len(ids) or any(i in taken or i in self.applied for i in ids):
            return "replayed"
        overlay = self.run(header, parent, ids, body.transactions, body.extra)
        if overlay.root != header.state_root:
            return "state-root"
        if self.committee_after(header, overlay) != header.next_validators:
            return "next-validators"
        overlay.hash, overlay.extra = block.hash, body.extra
        self.overlays[block.hash] = overlay
        return overlay

    def run(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...], extra: bytes
    ) -> Overlay:
        """The state after a block; its hash is not known yet."""
        due, root = parent.next_due_ms, parent.root
        while due is not None and due <= header.time_ms:
            root = hash_of(DOMAIN_STATE_NODE, root + b"due" + due.to_bytes(8, "big"))
            due += self.due_every_ms * max(1, (header.time_ms - due) // self.due_every_ms)
        council = self.council_after(header, parent, ids, transactions)
        root = hash_of(DOMAIN_STATE_NODE, root + b"".join(ids) + (council.encoded() if council is not None else b""))
        return Overlay(ZERO_HASH, header, root, ids, transactions, due, parent, council)

    # --- what an engine adds ------------------------------------------------------------------------------------------

    def section(self, parent: Overlay) -> bytes:
        """The engine's own section of a block on this parent."""
        return b""

    def section_fault(self, header: Header, parent: Overlay, extra: bytes) -> str:
        """Why a block with this section is invalid, `NO_PARENT` if that is not known here yet, "" if it is sound."""
        return "" if extra == self.section(parent) else "section"

    def committee_after(self, header: Header, overlay: Overlay) -> Hash:
        """What a block's `next_validators` must be."""
        return self.next_validators(header)

    def council_after(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...]
    ) -> CouncilState | None:
        """The electing engine's part of the state after a block."""
        return None

    def commit(self, block_hash: Hash) -> Overlay:
        """Make the next block the head; overlays that do not stand on it are unreachable from now on."""
        overlay = self.overlays.pop(block_hash)
        self.applied.update(overlay.ids)
        overlay.parent = None
        self.head = overlay
        return overlay


def replace_header(header: Header, state_root: Hash, next_validators: Hash) -> Header:
    """The same header with its results."""
    fields = {name: getattr(header, name) for name in header.__struct_fields__}
    return Header(**{**fields, "state_root": state_root, "next_validators": next_validators})
