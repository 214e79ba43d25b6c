"""The global chain's state (`GlobalState`) in the state tree: a key each for head, region, lock, member and conviction.

A block writes what it changed, not the whole: a full inbox and thousands of locks are megabytes. Inboxes are logs of
their own (`node.shards.inbox_log`); a region's part names how much of its log it has consumed. So are the regional
epochs (`node.shards.openings_log`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from consensus.sharded.global_codec import ConvictedPart, decode_region, encode_region
from consensus.sharded.global_state import GlobalOutcome, GlobalState, Lock, RegionView
from consensus.sharded.records import InboxItem, Residual
from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import ZERO_HASH, sha256
from ledger.schema import state_engine
from ledger.state import NO_LIMIT, Overlay, StateReader
from node.shards.inbox_log import append_items, inbox_items
from node.shards.openings_log import append_openings

_HEAD: Final = state_engine("shards")
_LOCKS: Final = state_engine("shards-locks")
_MEMBERS: Final = state_engine("shards-members")
_CONVICTED: Final = state_engine("shards-convicted")
_MACHINES: Final = state_engine("shards-machines")
_KEPT: Final = 32
"""States that are remembered beside their encoding: those of blocks that are not final yet, and some before."""


class HeadPart(Wire, frozen=True):
    """`stamp`: a digest of all blocks so far as they were asked for, roots left out; equal stamps, equal states."""

    height: Uint
    round: Uint
    pool: Uint
    stamp: Bytes32


class LockPart(Wire, frozen=True):
    """See `Lock`."""

    region: ShortText
    residual: Residual


class MemberPart(Wire, frozen=True):
    """What the chain knows of a key; None and zero where nothing was ever said."""

    deposit: Uint
    bar: Uint | None
    removed: bool
    accuracy: Uint | None
    reward: Uint
    served: Uint
    withdrawals: Uint


def member_part(state: GlobalState, key: bytes) -> MemberPart:
    """A member or centre."""
    return MemberPart(
        state.deposits.get(key, 0),
        state.bars.get(key),
        key in state.removed,
        state.accuracy.get(key),
        state.rewards.get(key, 0),
        state.served.get(key, 0),
        state.withdrawals.get(key, 0),
    )


def changed_members(before: GlobalState, after: GlobalState) -> list[bytes]:
    """Keys of whom a block changed something, ascending."""
    maps = [(s.deposits, s.bars, s.accuracy, s.rewards, s.served, s.withdrawals) for s in (before, after)]
    pairs = [(old, new) for old, new in zip(*maps, strict=True) if old is not new]
    keys = {key for old, new in pairs for key in {**old, **new} if old.get(key) != new.get(key)}
    return sorted(keys | (before.removed ^ after.removed))


def changed_locks(before: GlobalState, after: GlobalState) -> list[tuple[bytes, Lock | None]]:
    """Locks that are new, different, or gone (None), in the order of their ids."""
    if before.locks is after.locks:
        return []
    gone: list[tuple[bytes, Lock | None]] = [(key, None) for key in before.locks if key not in after.locks]
    new = [(key, lock) for key, lock in after.locks.items() if before.locks.get(key) is not lock]
    return sorted([*gone, *new], key=lambda one: one[0])


def changed_regions(before: GlobalState, after: GlobalState) -> list[RegionView]:
    """Regions that a block changed anything of."""
    old = {view.name: view for view in before.regions}
    return [view for view in after.regions if old[view.name] is not view]


class GlobalStore:
    """Reads and writes the state; `first` is that of genesis, which is not written."""

    def __init__(self, first: GlobalState) -> None:
        self._first = first
        self._states: dict[bytes, GlobalState] = {}

    def load(self, state: StateReader) -> tuple[GlobalState, bytes]:
        """The state after a block, and its stamp."""
        raw = state.get(_HEAD)
        if raw is None:
            return self._first, bytes(ZERO_HASH)
        head = decode(HeadPart, raw)
        known = self._states.get(head.stamp)
        return (self._read(state, head) if known is None else known), head.stamp

    def save(self, view: Overlay, stamp: bytes, before: GlobalState, outcome: GlobalOutcome) -> None:
        """Write what a block changed."""
        after = outcome.state
        view.put(_HEAD, encode(HeadPart(after.height, after.round, after.pool, stamp)))
        whole = view.get(region_key(after.regions[0].name)) is None
        for region in after.regions if whole else changed_regions(before, after):
            view.put(region_key(region.name), _encode_region(region))
        for key, lock in changed_locks(before, after):
            if lock is None:
                view.delete(_LOCKS + key)
            else:
                view.put(_LOCKS + key, encode(LockPart(lock.region, lock.residual)))
        changed = changed_members(before, after)
        for key in sorted({*after.deposits, *changed}) if whole else changed:
            view.put(_MEMBERS + key, encode(member_part(after, key)))
        for case in sorted(after.convicted - before.convicted):
            part = encode(ConvictedPart(*case))
            view.put(_CONVICTED + sha256(part), part)
        for node, voter in sorted(after.machines.items()) if whole or after.machines is not before.machines else ():
            if whole or before.machines.get(node) != voter:
                view.put(_MACHINES + node, voter)
        for region in after.regions:
            append_items(view, region.name, after.height, items_for(outcome.items, region.name))
        append_openings(view, before, outcome)
        self._remember(stamp, after)

    def _remember(self, stamp: bytes, state: GlobalState) -> None:
        self._states[stamp] = state
        while len(self._states) > _KEPT:
            del self._states[next(iter(self._states))]

    def _read(self, state: StateReader, head: HeadPart) -> GlobalState:
        members = {key[len(_MEMBERS) :]: decode(MemberPart, raw) for key, raw in state.scan(_MEMBERS)}
        locks = {key[len(_LOCKS) :]: decode(LockPart, raw) for key, raw in state.scan(_LOCKS)}
        cases = [decode(ConvictedPart, raw) for _, raw in state.scan(_CONVICTED)]
        return GlobalState(
            regions=tuple(_with_inbox(state, view.name) for view in self._first.regions),
            height=head.height,
            round=head.round,
            locks={key: Lock(part.region, part.residual) for key, part in locks.items()},
            deposits={key: part.deposit for key, part in members.items() if part.deposit},
            bars={key: part.bar for key, part in members.items() if part.bar is not None},
            removed=frozenset(key for key, part in members.items() if part.removed),
            accuracy={key: part.accuracy for key, part in members.items() if part.accuracy is not None},
            convicted=frozenset((one.member, one.region, one.epoch, one.seq, one.offence) for one in cases),
            pool=head.pool,
            rewards={key: part.reward for key, part in members.items() if part.reward},
            served={key: part.served for key, part in members.items() if part.served},
            withdrawals={key: part.withdrawals for key, part in members.items() if part.withdrawals},
            machines=read_machines(state),
        )


def read_region(state: StateReader, name: str) -> RegionView | None:
    """A region without its inbox; None before the first block."""
    raw = state.get(region_key(name))
    return None if raw is None else decode_region(raw)


def read_member(state: StateReader, key: bytes) -> MemberPart:
    """A member or centre."""
    raw = state.get(_MEMBERS + key)
    return MemberPart(0, None, False, None, 0, 0, 0) if raw is None else decode(MemberPart, raw)


def read_machines(state: StateReader) -> dict[bytes, bytes]:
    """The voting key of each node key: nothing before the first block, then all of genesis and of changes since."""
    return {key[len(_MACHINES) :]: voter for key, voter in state.scan(_MACHINES)}


def read_round(state: StateReader) -> int:
    """The market round of the last block."""
    raw = state.get(_HEAD)
    return 0 if raw is None else decode(HeadPart, raw).round


def items_for(items: Sequence[tuple[str, InboxItem]], region: str) -> list[InboxItem]:
    """What a block posts to a region, in order."""
    return [item for name, item in items if name == region]


def region_key(name: str) -> bytes:
    """Where a region's part is, without its inbox (`decode_region`)."""
    return state_engine(f"shards-region-{name}")


def _encode_region(view: RegionView) -> bytes:
    return encode_region(replace(view, inbox=()))


def _with_inbox(state: StateReader, name: str) -> RegionView:
    view = decode_region(state.get(region_key(name)) or b"")
    waiting = inbox_items(state, name, view.position.inbox_count, NO_LIMIT)
    return replace(view, inbox=tuple((posted.height, posted.item) for posted in waiting))
