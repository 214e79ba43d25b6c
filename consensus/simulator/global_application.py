"""The model application of the global chain: entries as transactions, a round for each second or so of block time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from consensus.engine import HeaderTemplate, StoredBlock
from consensus.sharded.admission import choose
from consensus.sharded.discipline import RECORD_LEAD_MS
from consensus.sharded.global_chain import apply_global
from consensus.sharded.global_codec import encode_global
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
    Posted,
    Submitted,
    Withdrawal,
)
from consensus.simulator.application import ModelApplication, Overlay
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_STATE_NODE, ZERO_HASH, Hash, hash_of
from ledger.errors import DecodeError
from ledger.objects import Header

_KINDS: Final[dict[bytes, type[GlobalEntry]]] = {
    b"s": Submitted,
    b"p": Posted,
    b"c": Conflict,
    b"a": Attestation,
    b"m": NewMembers,
    b"v": DoubleVote,
    b"w": Withdrawal,
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
        """See `ModelApplication`; what would do nothing yet stays in the pool."""
        parent = self.overlay(template.parent)
        if parent is None:
            return None
        read = [((name, raw), read_entry(raw)) for name, raw in self.fresh(parent, pool)]
        known = [(key, entry) for key, entry in read if entry is not None]
        chosen = choose(self._context_at(template.time_ms), global_head(parent).state, known)
        return self.sealed(template, parent, chosen[:limit], self.section(parent))

    def run(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...], extra: bytes
    ) -> Overlay:
        """See `ModelApplication`."""
        before = global_head(parent).state
        now = (header.time_ms - self.genesis_ms) // self.round_ms
        entries = tuple(entry for entry in map(read_entry, transactions) if entry is not None)
        outcome = apply_global(
            self._context_at(header.time_ms),
            before,
            GlobalBlock(before.height + 1, max(now, before.round), header.proposer, entries),
        )
        due = self.genesis_ms + (now + 1) * self.round_ms
        root = hash_of(DOMAIN_STATE_NODE, encode_global(outcome.state))
        return Overlay(ZERO_HASH, header, root, ids, transactions, due, parent, GlobalHead(outcome))

    def _context_at(self, time_ms: int) -> GlobalContext:
        return replace(self.context, latest_ms=time_ms + RECORD_LEAD_MS)


def global_head(overlay: Overlay) -> GlobalHead:
    """The global chain after a block. Raise `TypeError` for another chain's."""
    if not isinstance(overlay.council, GlobalHead):
        raise TypeError("not a block of the global chain")
    return overlay.council
