"""What regions and the global chain tell each other. Money in micro-units, energy in Wh, limits per kWh.

A record is a function of the region's final chain: it names no publisher, no time and no signature, so whoever
publishes it, and an agent after a restart, makes the same id. What is signed around it travels in a `Publication`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from ledger.certificates import Certificate
from ledger.codec import Bytes32, Bytes64, ShortText, Uint, Wire, encode
from ledger.crypto import ZERO_HASH, Hash, domain, hash_of
from ledger.objects import Header

DOMAIN_RECORD: Final = domain("region-record")
DOMAIN_RECORD_SIGNATURE: Final = domain("region-record-signature")
DOMAIN_REGION_BODY: Final = domain("region-body")
DOMAIN_OUTBOX: Final = domain("region-outbox")
DOMAIN_LOCK: Final = domain("region-lock")
MAX_PROOF_HEADERS: Final = 64


class Asset(IntEnum):
    """What is owned: micro-units of currency, or Wh that may still be sold or were bought."""

    MONEY = 1
    ENERGY = 2


class Side(IntEnum):
    """A buyer locks money, a seller energy. A deposit is money put down for a voting key."""

    BUY = 1
    SELL = 2
    DEPOSIT = 3


class Residual(Wire, frozen=True):
    """What a region could not match: an order with its locked escrow, for the global clearing.

    `locked`: micro-units for a BUY (at least the price of `wh` at `limit`), Wh for a SELL. `expiry`: the first global
    height at which the lock ends by itself. `slot`: the market slot of delivery; energy of two slots never meets.
    Of a DEPOSIT `owner` is the voting key that it stands for, `locked` the money; the rest is zero.
    """

    lock_id: Bytes32
    side: Side
    owner: Bytes32
    wh: Uint
    limit: Uint
    locked: Uint
    expiry: Uint
    slot: Uint


class Filled(Wire, frozen=True, tag=1):
    """A leg of a global trade at home: what its owner gets. `ended`: the lock is used up, leftovers are in it. `traded`
    Wh at `price` per kWh: a seller must know what it has to deliver, a buyer what it has paid."""

    lock_id: Bytes32
    owner: Bytes32
    money: Uint
    wh: Uint
    ended: bool
    traded: Uint
    price: Uint


class Released(Wire, frozen=True, tag=2):
    """What is left of a lock goes home. The only way in which a lock ends without a trade."""

    lock_id: Bytes32
    owner: Bytes32
    money: Uint
    wh: Uint
    reason: ShortText


class Forced(Wire, frozen=True, tag=3):
    """A transaction that a user has posted to the global chain: the region must answer it, be it by a rejection."""

    transaction: bytes


class Paid(Wire, frozen=True, tag=4):
    """Money that a member or centre took out of what the global chain keeps for it. `reason`: reward or deposit."""

    account: Bytes32
    money: Uint
    reason: ShortText


InboxItem: TypeAlias = Filled | Released | Forced | Paid


class TransactionReceipt(Wire, frozen=True):
    """What a region says a transaction did; `code` "" for success."""

    transaction: Bytes32
    code: ShortText


class LocalFill(Wire, frozen=True):
    """A trade inside a region, as its clearing found it."""

    buyer: Bytes32
    seller: Bytes32
    wh: Uint
    price: Uint


class Line(Wire, frozen=True):
    """What one account owns of one asset."""

    account: Bytes32
    asset: Asset
    amount: Uint


class RegionBlock(Wire, frozen=True):
    """One final block of a region inside a record's body. `inbox_to`: items consumed up to here, before the
    transactions."""

    inbox_to: Uint
    transactions: tuple[bytes, ...]


class RegionBody(Wire, frozen=True):
    """All that the centres need to execute a record again, and what the region claims came of it.

    `changed`: lines that the region says are different after the record, with their new amounts.
    """

    blocks: tuple[RegionBlock, ...]
    receipts: tuple[TransactionReceipt, ...]
    fills: tuple[LocalFill, ...]
    changed: tuple[Line, ...]

    @property
    def root(self) -> Hash:
        """What a record names of it."""
        return hash_of(DOMAIN_REGION_BODY, encode(self))


class RegionSection(Wire, frozen=True):
    """The engine's section of the regional block that closes a round: what the header's `extra_root` commits to."""

    region: ShortText
    seq: Uint
    prev_record: Bytes32
    body_root: Bytes32
    n_tx: Uint
    pre_root: Bytes32
    post_root: Bytes32
    inbox_height: Uint
    inbox_count: Uint
    outbox_root: Bytes32


class RegionPosition(Wire, frozen=True):
    """Where a region is after a record, as far as others need to know: all that the global chain keeps of its state.

    `seq`: the last closed round. `inbox_count`, `inbox_height`: items consumed since genesis, and the global block up
    to which. `money`, `wh`: everything of each asset in the region, open orders' escrow included.
    A region that counts energy by what crosses its border starts at 0 Wh and is below it once it has sold.
    """

    seq: Uint
    root: Bytes32
    inbox_count: Uint
    inbox_height: Uint
    money: Uint
    wh: int

    def total(self, asset: Asset) -> int:
        """Everything of an asset in the region."""
        return self.money if asset is Asset.MONEY else self.wh


class RegionRecord(Wire, frozen=True):
    """Record `seq` of a region (from 1): from the state that record `seq` - 1 left to the first final block of a
    round.

    `epoch`: the regional epoch by the global chain's count (`RegionEpoch`). `inbox_height`: the global block up to
    which the inbox is consumed, `inbox_count`: items consumed in all since genesis.
    """

    region: ShortText
    epoch: Uint
    seq: Uint
    prev_record: Bytes32
    r_height: Uint
    r_hash: Bytes32
    body_root: Bytes32
    n_tx: Uint
    pre_root: Bytes32
    post_root: Bytes32
    inbox_height: Uint
    inbox_count: Uint
    outbox_root: Bytes32

    @property
    def id(self) -> Hash:
        """Content only: two publishers make the same one."""
        return hash_of(DOMAIN_RECORD, encode(self))


class Publication(Wire, frozen=True):
    """A record on its way to the centres: the certified regional header and section that it must follow from.

    `headers`: the record's block first, then its descendants down to the one that `certificate` finalizes. `signature`
    is the agent's over all of the above (`publication_bytes`), so that nobody can put a lie under an honest agent's
    name by changing what it sent.
    """

    record: RegionRecord
    headers: Annotated[tuple[bytes, ...], msgspec.Meta(min_length=1, max_length=MAX_PROOF_HEADERS)]
    section: bytes
    certificate: Certificate
    agent: Bytes32
    signature: Bytes64


class Entry(Wire, frozen=True):
    """A compensating entry: what is added to (or taken from) a line of the claimed state."""

    account: Bytes32
    asset: Asset
    difference: int


class Correction(Wire, frozen=True):
    """A certified record whose body is invalid: what the centres' own execution gave instead. Nothing is rewritten."""

    record: Bytes32
    kind: ShortText
    offending: tuple[Bytes32, ...]
    corrected_root: Bytes32
    entries: tuple[Entry, ...]


def publication_bytes(record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate) -> bytes:
    """What an agent signs, after `DOMAIN_RECORD_SIGNATURE`."""
    return encode((record, headers, section, proof))


def lock_id(region: str, seq: int, order: Hash) -> Hash:
    """Id of the lock of one order of one record."""
    return hash_of(DOMAIN_LOCK, encode((region, seq, order)))


def outbox_root(residuals: tuple[Residual, ...]) -> Hash:
    """What a record commits to of its residuals, in their order; zeros for none."""
    return hash_of(DOMAIN_OUTBOX, encode(residuals)) if residuals else ZERO_HASH


def record_of(header: Header, block_hash: Hash, section: RegionSection, region_epoch: int) -> RegionRecord:
    """The only record that a certified regional block makes."""
    return RegionRecord(
        region=section.region,
        epoch=region_epoch,
        seq=section.seq,
        prev_record=section.prev_record,
        r_height=header.height,
        r_hash=block_hash,
        body_root=section.body_root,
        n_tx=section.n_tx,
        pre_root=section.pre_root,
        post_root=section.post_root,
        inbox_height=section.inbox_height,
        inbox_count=section.inbox_count,
        outbox_root=section.outbox_root,
    )


class Wrong(IntEnum):
    """How a region's record can be wrong (consensus B.2)."""

    STATE = 1
    CLEARING = 2
    FORCED_MISSING = 3
    TWO_RECORDS = 4
    SILENT = 5
    METER = 6

    @property
    def label(self) -> str:
        """W1 to W6, as people and reports call them."""
        return f"W{int(self)}"
