"""Closing blocks: what an epoch builds on a boundary block that is not final yet (A.8).

They are empty, have height, state root and next validators of the boundary block, run nothing and never reach the
application. They and their certificate are kept only as part of the boundary block's finality proof.
"""

from __future__ import annotations

from typing import Final

from consensus.engine import StoredBlock
from ledger.codec import encode
from ledger.crypto import ZERO_HASH
from ledger.merkle import EMPTY_ROOT
from ledger.objects import BODY_VERSION, HEADER_VERSION, Body, Header, header_hash

EMPTY_BODY: Final = encode(Body(BODY_VERSION, ()))


def closing_header(parent: Header, parent_hash: bytes, view: int, time_ms: int, proposer: bytes) -> Header:
    """The one closing header for a view, a time and a proposer on a boundary or closing block."""
    return Header(
        version=HEADER_VERSION,
        chain_id=parent.chain_id,
        epoch=parent.epoch,
        view=view,
        height=parent.height,
        time_ms=time_ms,
        parent=parent_hash,
        parent_view=parent.view,
        closing=True,
        transactions_root=EMPTY_ROOT,
        body_size=len(EMPTY_BODY),
        state_root=parent.state_root,
        receipts_root=EMPTY_ROOT,
        validators=parent.validators,
        next_validators=parent.next_validators,
        extra_root=ZERO_HASH,
        proposer=proposer,
    )


def closing_block(header: Header) -> StoredBlock:
    """The bytes of a closing block."""
    raw = encode(header)
    return StoredBlock(header_hash(raw), raw, EMPTY_BODY)


def is_closing_child(header: Header, parent: Header) -> bool:
    """Whether `header` is what a closing block on `parent` must be, its time and proposer apart."""
    return header == closing_header(parent, header.parent, header.view, header.time_ms, header.proposer)
