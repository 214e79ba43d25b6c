"""A small ledger of money and energy for one region: what the rules of this package move in simulations and tests.

Nothing is made or lost here: a line's amount leaves it only for an order's escrow, another line, or a residual that
the global chain holds. Values are never changed; each block gives a new ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from consensus.sharded.records import Asset, Line, RegionPosition, Side
from ledger.codec import Bytes32, Bytes64, Uint, Wire, decode, encode
from ledger.crypto import Hash, domain, hash_of
from ledger.errors import DecodeError

DOMAIN_REGION_STATE: Final = domain("region-state")

Place: TypeAlias = tuple[bytes, Asset]


class Transfer(Wire, frozen=True, tag=1):
    """Money or energy from the signer to another account of the region."""

    account: Bytes32
    nonce: Uint
    to: Bytes32
    asset: Asset
    amount: Uint


class Order(Wire, frozen=True, tag=2):
    """A quote for the running round. Its escrow leaves the line at once; `expiry` is a global height."""

    account: Bytes32
    nonce: Uint
    side: Side
    wh: Uint
    limit: Uint
    expiry: Uint


class Reading(Wire, frozen=True, tag=3):
    """What a meter measured; signed by the meter."""

    account: Bytes32
    nonce: Uint
    slot: Uint
    wh: Uint


RegionTransaction: TypeAlias = Transfer | Order | Reading


class SignedTransaction(Wire, frozen=True):
    """As it travels: the bytes and the signature of their account over them."""

    body: bytes
    signature: Bytes64


class OpenOrder(Wire, frozen=True):
    """An order with its escrow, until the round's clearing."""

    id: Bytes32
    side: Side
    owner: Bytes32
    wh: Uint
    limit: Uint
    locked: Uint
    expiry: Uint

    @property
    def asset(self) -> Asset:
        """What is locked."""
        return Asset.MONEY if self.side is Side.BUY else Asset.ENERGY


@dataclass(frozen=True, slots=True)
class RegionLedger:
    """State of a region after a block. `lines` holds no zero; `inbox_count`: items consumed since genesis; `seq`: the
    last closed round."""

    lines: Mapping[Place, int] = field(default_factory=dict)
    nonces: Mapping[bytes, int] = field(default_factory=dict)
    readings: Mapping[tuple[bytes, int], int] = field(default_factory=dict)
    orders: tuple[OpenOrder, ...] = ()
    inbox_count: int = 0
    seq: int = 0

    def amount(self, account: bytes, asset: Asset) -> int:
        """What an account has free."""
        return self.lines.get((account, asset), 0)

    @property
    def root(self) -> Hash:
        """Depends on the values only, not on how they came."""
        return hash_of(DOMAIN_REGION_STATE, self.encoded())

    def encoded(self) -> bytes:
        """Canonical bytes."""
        return encode(
            (
                as_lines(self.lines),
                sorted(self.nonces.items()),
                sorted((*place, wh) for place, wh in self.readings.items()),
                self.orders,
                self.inbox_count,
                self.seq,
            )
        )

    def total(self, asset: Asset) -> int:
        """Everything of an asset in this region: lines and escrow of open orders."""
        free = sum(amount for (_, kind), amount in self.lines.items() if kind is asset)
        return free + sum(order.locked for order in self.orders if order.asset is asset)

    def position(self, inbox_height: int) -> RegionPosition:
        """What the global chain keeps of it. `inbox_height`: the global block up to which the inbox is consumed."""
        totals = (self.total(Asset.MONEY), self.total(Asset.ENERGY))
        return RegionPosition(self.seq, self.root, self.inbox_count, inbox_height, *totals)


def as_lines(lines: Mapping[Place, int]) -> tuple[Line, ...]:
    """In the order of (account, asset)."""
    return tuple(Line(account, asset, amount) for (account, asset), amount in sorted(lines.items()))


def changed_lines(before: Mapping[Place, int], after: Mapping[Place, int]) -> tuple[Line, ...]:
    """Lines that differ, with their new amounts (0 where one is gone)."""
    places = sorted({*before, *after})
    return tuple(
        Line(account, asset, after.get((account, asset), 0))
        for account, asset in places
        if before.get((account, asset), 0) != after.get((account, asset), 0)
    )


def with_lines(before: Mapping[Place, int], changed: tuple[Line, ...]) -> dict[Place, int]:
    """Inverse of `changed_lines`."""
    lines = dict(before)
    for line in changed:
        put(lines, (line.account, line.asset), line.amount)
    return lines


def put(lines: dict[Place, int], place: Place, amount: int) -> None:
    """Set a line; a zero is not kept, so that equal states have equal roots."""
    if amount:
        lines[place] = amount
    else:
        lines.pop(place, None)


def read_transaction(raw: bytes) -> tuple[RegionTransaction, SignedTransaction] | None:
    """Decode strictly; None for anything else."""
    try:
        signed = decode(SignedTransaction, raw)
        body: RegionTransaction = decode(RegionTransaction, signed.body)  # type: ignore[arg-type]  # a union decodes
    except DecodeError:
        return None
    return body, signed


def transaction_bytes(body: RegionTransaction, signature: bytes) -> bytes:
    """Inverse of `read_transaction`."""
    return encode(SignedTransaction(encode(body), signature))
