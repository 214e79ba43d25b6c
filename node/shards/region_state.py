"""What a region's chain keeps in its state for the network: how far it is, and each round that it has closed.

Everything here is a function of the chain alone, so the region's members and the centres that follow it find the same.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from consensus.sharded.lottery import LotteryState
from consensus.sharded.records import InboxItem, RegionRecord, RegionSection, Residual
from consensus.sharded.turns import Ticket
from ledger.codec import Bytes32, Uint, Wire, decode, encode
from ledger.crypto import ZERO_HASH, Hash, domain, hash_of
from ledger.errors import DecodeError
from ledger.objects import Header
from ledger.schema import state_engine
from ledger.state import Overlay, StateReader

STATE_PROGRESS: Final = state_engine("region")
_STATE_CLOSED: Final = state_engine("region-closed")
DOMAIN_CONSUMED: Final = domain("region-consumed")
ROUNDS_KEPT: Final = 16_384
"""Closed rounds that stay in the state: with rounds of 5 s a busy region may be cut off for most of a day."""
MAX_BLOCK_ITEMS: Final = 64
"""Inbox items of one block: a few tenths of a second of their contract's work, well within a view."""
MAX_ITEMS_BYTES: Final = 96 * 1024
"""Of all items of a block: any block may be that large, and any item fits."""


class RegionExtra(Wire, frozen=True):
    """The section of a region's block that closes no round; a block with nothing of it has an empty one.

    `items`: the next ones of the region's inbox; `inbox_height`: the global block up to which none is left after them.
    `tickets`: for the lottery of the next epoch.
    """

    inbox_height: Uint
    items: Annotated[tuple[InboxItem, ...], msgspec.Meta(max_length=MAX_BLOCK_ITEMS)]
    tickets: tuple[Ticket, ...]


class Progress(Wire, frozen=True):
    """How far a region is. Counted since genesis: `inbox_count` items consumed, `inbox_height` as in `RegionSection`,
    `consumed` the digest of those items in their order. Of the running round: `round` of the last block, `n_tx`
    transactions since the last closing, `changed` whether anything happened since.

    `closing`: the section of the last block that closed a round, `closed_height` its height, `closed_hash` its hash,
    zeros until the block after it, which knows.
    """

    round: Uint = 0
    seq: Uint = 0
    inbox_count: Uint = 0
    inbox_height: Uint = 0
    consumed: Bytes32 = ZERO_HASH
    n_tx: Uint = 0
    changed: bool = False
    closing: RegionSection | None = None
    closed_height: Uint = 0
    closed_hash: Bytes32 = ZERO_HASH
    lottery: LotteryState = LotteryState()


class ClosedRound(Wire, frozen=True):
    """A round that a region has closed: what its block's section says, and what that commits to. `money`, `wh`: all of
    the region when it closed; `consumed`: digest of the items consumed until then. `section` is what execution finds;
    `stated`: whether the block says the same."""

    height: Uint
    section: RegionSection
    residuals: tuple[Residual, ...]
    money: Uint
    wh: int
    consumed: Bytes32
    stated: bool = True


def read_progress(state: StateReader) -> Progress:
    """How far the region is; at genesis nowhere."""
    raw = state.get(STATE_PROGRESS)
    return Progress() if raw is None else decode(Progress, raw)


def write_progress(view: Overlay, progress: Progress) -> None:
    """Part of every block."""
    view.put(STATE_PROGRESS, encode(progress))


def closed_key(seq: int) -> bytes:
    """Where a closed round is."""
    return _STATE_CLOSED + seq.to_bytes(8, "big")


def read_closed(state: StateReader, seq: int) -> ClosedRound | None:
    """A closed round; None if there is none yet, or none any more."""
    raw = state.get(closed_key(seq))
    return None if raw is None else decode(ClosedRound, raw)


def write_closed(view: Overlay, closed: ClosedRound) -> None:
    """Keep a round, and no more of them than `ROUNDS_KEPT`."""
    seq = closed.section.seq
    view.put(closed_key(seq), encode(closed))
    if seq > ROUNDS_KEPT:
        view.delete(closed_key(seq - ROUNDS_KEPT))


def with_items(consumed: bytes, items: tuple[InboxItem, ...]) -> Hash:
    """The digest after further items."""
    digest = Hash(consumed)
    for item in items:
        digest = hash_of(DOMAIN_CONSUMED, encode((bytes(digest), item)))
    return digest


def record_in(section: RegionSection, height: int, block_hash: bytes, region_epoch: int) -> RegionRecord:
    """The record that the block of a section makes (`record_of`, by what state keeps of the header)."""
    named = {name: getattr(section, name) for name in RegionSection.__struct_fields__}
    return RegionRecord(epoch=region_epoch, r_height=height, r_hash=block_hash, **named)


def last_record(progress: Progress, header: Header, region_epoch: int) -> Hash:
    """Id of the record before the one that a new block makes; zeros if there is none."""
    if progress.closing is None:
        return ZERO_HASH
    block_hash = header.parent if progress.closed_height == header.height - 1 else progress.closed_hash
    return record_in(progress.closing, progress.closed_height, block_hash, region_epoch).id


def read_extra(section: bytes) -> RegionExtra | None:
    """The section of a block that closes no round; None if it is none."""
    if not section:
        return None
    try:
        return decode(RegionExtra, section)
    except DecodeError:
        return None


def read_section(section: bytes) -> RegionSection | None:
    """The section of a block that closes a round; None if it is none."""
    try:
        return decode(RegionSection, section)
    except DecodeError:
        return None
