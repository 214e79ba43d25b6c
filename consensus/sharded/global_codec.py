"""The canonical bytes of the global chain's state, and back: what centres keep in their state tree and compare.

Maps travel as sorted lists of pairs. What decodes must encode to the same bytes, else it is refused; so equal states,
however they came about, have equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from consensus.sharded.global_state import GlobalState, Lock, Pending, RegionView
from consensus.sharded.records import InboxItem, Publication, RegionPosition, Residual
from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import Hash
from ledger.errors import GenesisError, NotCanonical
from ledger.validators import Validator, ValidatorSet


class PendingPart(Wire, frozen=True):
    """See `Pending`."""

    publication: Publication
    body: bytes
    height: Uint
    round: Uint
    attested: tuple[tuple[Bytes32, Bytes32], ...]


class BeforePart(Wire, frozen=True):
    """Chain and members of a region's epoch before."""

    chain_id: ShortText
    members: tuple[Validator, ...]


class RegionPart(Wire, frozen=True):
    """See `RegionView`."""

    name: ShortText
    chain_id: ShortText
    members: tuple[Validator, ...]
    position: RegionPosition
    epoch: Uint
    before: BeforePart | None
    record_id: Bytes32
    inbox: tuple[tuple[Uint, InboxItem], ...]
    last_round: Uint
    confirmed: Annotated[tuple[Uint, ...], msgspec.Meta(max_length=2)]
    lagging: bool
    pending: PendingPart | None
    opened_round: Uint


class ConvictedPart(Wire, frozen=True):
    """An offence that was punished."""

    member: Bytes32
    region: ShortText
    epoch: Uint
    seq: Uint
    offence: ShortText


class GlobalPart(Wire, frozen=True):
    """See `GlobalState`."""

    regions: tuple[RegionPart, ...]
    height: Uint
    round: Uint
    locks: tuple[tuple[ShortText, Residual], ...]
    deposits: tuple[tuple[Bytes32, Uint], ...]
    bars: tuple[tuple[Bytes32, Uint], ...]
    removed: tuple[Bytes32, ...]
    accuracy: tuple[tuple[Bytes32, Uint], ...]
    convicted: tuple[ConvictedPart, ...]
    pool: Uint
    rewards: tuple[tuple[Bytes32, Uint], ...]
    served: tuple[tuple[Bytes32, Uint], ...]
    withdrawals: tuple[tuple[Bytes32, Uint], ...]
    machines: tuple[tuple[Bytes32, Bytes32], ...]


def encode_global(state: GlobalState) -> bytes:
    """Everything that a later block depends on."""
    part = GlobalPart(
        regions=tuple(map(_region_part, state.regions)),
        height=state.height,
        round=state.round,
        locks=tuple((lock.region, lock.residual) for _, lock in sorted(state.locks.items())),
        deposits=tuple(sorted(state.deposits.items())),
        bars=tuple(sorted(state.bars.items())),
        removed=tuple(sorted(state.removed)),
        accuracy=tuple(sorted(state.accuracy.items())),
        convicted=tuple(ConvictedPart(*one) for one in sorted(state.convicted)),
        pool=state.pool,
        rewards=tuple(sorted(state.rewards.items())),
        served=tuple(sorted(state.served.items())),
        withdrawals=tuple(sorted(state.withdrawals.items())),
        machines=tuple(sorted(state.machines.items())),
    )
    return encode(part)


def decode_global(raw: bytes) -> GlobalState:
    """Inverse of `encode_global`. Raise `DecodeError`, `NotCanonical` or `TooLarge`; never anything else."""
    part = decode(GlobalPart, raw)
    state = GlobalState(
        regions=tuple(map(_region_view, part.regions)),
        height=part.height,
        round=part.round,
        locks={residual.lock_id: Lock(region, residual) for region, residual in part.locks},
        deposits=dict(part.deposits),
        bars=dict(part.bars),
        removed=frozenset(part.removed),
        accuracy=dict(part.accuracy),
        convicted=frozenset((one.member, one.region, one.epoch, one.seq, one.offence) for one in part.convicted),
        pool=part.pool,
        rewards=dict(part.rewards),
        served=dict(part.served),
        withdrawals=dict(part.withdrawals),
        machines=dict(part.machines),
    )
    if encode_global(state) != raw:
        raise NotCanonical(
            "the state of the global chain is not in its canonical encoding", expected="sorted, no twice"
        )
    return state


def encode_region(view: RegionView) -> bytes:
    """One region alone, for whoever keeps each under a key of its own."""
    return encode(_region_part(view))


def decode_region(raw: bytes) -> RegionView:
    """Inverse of `encode_region`; raises like `decode_global`."""
    return _region_view(decode(RegionPart, raw))


def _region_part(view: RegionView) -> RegionPart:
    pending, before = view.pending, view.before
    waiting = None
    if pending is not None:
        waiting = PendingPart(pending.publication, pending.body, pending.height, pending.round, pending.attested)
    return RegionPart(
        name=view.name,
        chain_id=view.chain_id,
        members=view.validators.validators,
        position=view.position,
        epoch=view.epoch,
        before=None if before is None else BeforePart(before[0], before[1].validators),
        record_id=view.record_id,
        inbox=view.inbox,
        last_round=view.last_round,
        confirmed=view.confirmed,
        lagging=view.lagging,
        pending=waiting,
        opened_round=view.opened_round,
    )


def _region_view(part: RegionPart) -> RegionView:
    pending, before = part.pending, part.before
    waiting = None
    if pending is not None:
        waiting = Pending(pending.publication, pending.body, pending.height, pending.round, pending.attested)
    return RegionView(
        name=part.name,
        chain_id=part.chain_id,
        validators=_set_of(part.members),
        position=part.position,
        epoch=part.epoch,
        before=None if before is None else (before.chain_id, _set_of(before.members)),
        record_id=Hash(part.record_id),
        inbox=part.inbox,
        last_round=part.last_round,
        confirmed=part.confirmed,
        lagging=part.lagging,
        pending=waiting,
        opened_round=part.opened_round,
    )


def _set_of(members: Iterable[Validator]) -> ValidatorSet:
    try:
        return ValidatorSet(tuple(members))
    except GenesisError as error:
        raise NotCanonical(f"a region's members are no committee: {error}") from None
