"""How a proposal names its transactions: by full ids, or above `SHORT_ABOVE` of them by 8 bytes each (consensus A.9).

A short id is the beginning of SHA-256(domain, block hash, transaction id): keyed by the block, so that nobody can make
transactions that share one before the block is there. Names are not signed. What they lead to is held against the
header: two positions of one name, or a stranger's transaction under the right name, cost a fetch of the whole body and
say nothing about the block. A thousand transactions take 8 kB instead of 32.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from consensus.messages import SHORT_ID_BYTES, Proposal
from consensus.records import SignProposal
from ledger.crypto import Hash, domain
from ledger.objects import transaction_id

SHORT_ABOVE: Final = 1_000
"""Transactions of a block up to which they are named in full: below, the gain is less than what a collision costs."""
DOMAIN_SHORT_ID: Final = domain("short-transaction-id")


def shortener(block_hash: bytes) -> Callable[[bytes], bytes]:
    """The function from ids to the short ids of one block; below 1 us a call."""
    keyed = hashlib.sha256(DOMAIN_SHORT_ID + block_hash)

    def short(transaction: bytes) -> bytes:
        state = keyed.copy()
        state.update(transaction)
        return state.digest()[:SHORT_ID_BYTES]

    return short


def make_proposal(record: SignProposal, signature: bytes) -> Proposal:
    """The message of a proposal that its leader has signed."""
    ids: tuple[bytes, ...] = record.transaction_ids
    short_ids = b""
    if len(ids) > SHORT_ABOVE:
        short_ids = b"".join(map(shortener(record.block.hash), ids))
        ids = ()
    header, extra, justification = record.block.header_bytes, record.extra, record.justification
    return Proposal(header, signature, ids, record.prefill, extra, justification, short_ids)


def count_of(proposal: Proposal) -> int:
    """How many transactions a proposal names."""
    return len(proposal.transaction_ids) + len(proposal.short_ids) // SHORT_ID_BYTES


def well_named(proposal: Proposal) -> bool:
    """Whether a proposal names its transactions in one way, by whole names."""
    short_ids = proposal.short_ids
    return not short_ids or (not proposal.transaction_ids and len(short_ids) % SHORT_ID_BYTES == 0)


class Names:
    """The names of one block's transactions, in order. `of(id)`: the name that a transaction id has here."""

    __slots__ = ("all", "of", "short")

    def __init__(self, proposal: Proposal, block_hash: bytes) -> None:
        raw = proposal.short_ids
        self.short = bool(raw)
        self.all: Sequence[bytes] = proposal.transaction_ids
        self.of: Callable[[bytes], bytes] = bytes
        if raw:
            self.all = tuple(raw[at : at + SHORT_ID_BYTES] for at in range(0, len(raw), SHORT_ID_BYTES))
            self.of = shortener(block_hash)

    def __len__(self) -> int:
        return len(self.all)

    def fits(self, index: int, transaction: bytes) -> bool:
        """Whether these bytes may be the transaction at a position."""
        return index < len(self.all) and self.of(transaction_id(transaction)) == self.all[index]

    def id_at(self, index: int) -> Hash:
        """The id at a position of full names."""
        return Hash(self.all[index])
