"""The objects a chain is made of. Read this file first.

A transaction and a block travel as *opaque parts*: the signed body of a transaction and the header of a block are byte
strings inside their envelope, so a signature or hash is always checked over the bytes that were received.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import msgspec

from ledger.codec import Bytes32, Bytes64, ShortText, Uint, Wire, decode, encode
from ledger.crypto import (
    DOMAIN_BODY,
    DOMAIN_HEADER,
    DOMAIN_TRANSACTION,
    Address,
    Hash,
    SigningKey,
    address_of,
    hash_of,
    verify,
)
from ledger.errors import DecodeError

MAX_TRANSACTION_BYTES = 128 * 1024
MAX_ARGUMENT_BYTES = 96 * 1024
TRANSACTION_VERSION = 1
HEADER_VERSION = 1
BODY_VERSION = 1

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*\Z")]
"""Name of a contract instance or of an entry function."""

T = TypeVar("T")


class Verified(msgspec.Struct, Generic[T], frozen=True):
    """A value whose signatures were checked. Only the function that checked them makes one."""

    value: T


class TransactionBody(Wire, frozen=True):
    """What a sender signs: one call of one entry of one contract instance.

    `arguments` is the canonical value encoding (`contracts.values`) of the list of arguments. `nonce` may be used in
    any order within the sender's window (`ledger.accounts`).
    """

    version: Uint
    chain_id: ShortText
    public_key: Bytes32
    nonce: Uint
    contract: Name
    entry: Name
    arguments: Annotated[bytes, msgspec.Meta(max_length=MAX_ARGUMENT_BYTES)]
    gas_limit: Uint


class TransactionEnvelope(Wire, frozen=True):
    """A transaction as it travels: the signed bytes and the signature over them."""

    body: Annotated[bytes, msgspec.Meta(max_length=MAX_TRANSACTION_BYTES)]
    signature: Bytes64


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """A decoded transaction beside the bytes it came from. `id` covers body and signature."""

    raw: bytes
    id: Hash
    body: TransactionBody
    body_bytes: bytes
    signature: bytes
    sender: Address


def decode_transaction(raw: bytes, id: Hash | None = None) -> Transaction:
    """Decode strictly: envelope, then body; both canonical. `id`: if it is known already. Raise `DecodeError`."""
    envelope = decode(TransactionEnvelope, raw, limit=MAX_TRANSACTION_BYTES)
    body = decode(TransactionBody, envelope.body, limit=MAX_TRANSACTION_BYTES)
    if body.version != TRANSACTION_VERSION:
        raise DecodeError("unknown transaction version", expected=TRANSACTION_VERSION, found=body.version)
    return Transaction(
        raw=raw,
        id=transaction_id(raw) if id is None else id,
        body=body,
        body_bytes=envelope.body,
        signature=envelope.signature,
        sender=address_of(body.public_key),
    )


def sign_transaction(body: TransactionBody, key: SigningKey) -> bytes:
    """Return the bytes of the signed transaction."""
    body_bytes = encode(body)
    return encode(TransactionEnvelope(body_bytes, key.sign(DOMAIN_TRANSACTION, body_bytes)))


def verify_transaction(transaction: Transaction) -> Verified[Transaction] | None:
    """Check the signature; None if it is bad. About 75 us of libsodium without the GIL."""
    if verify(transaction.body.public_key, DOMAIN_TRANSACTION, transaction.body_bytes, transaction.signature):
        return Verified(transaction)
    return None


def transaction_id(raw: bytes) -> Hash:
    """The id of a transaction: hash of all its bytes, signature included."""
    return hash_of(DOMAIN_TRANSACTION, raw)


class Header(Wire, frozen=True):
    """What a block claims. Roots are those *after* this block. The four published fields (number, timestamp, previous
    hash, Merkle root) and what verification needs; no quorum data, so late votes never change a hash."""

    version: Uint
    chain_id: ShortText
    epoch: Uint
    view: Uint
    height: Uint
    time_ms: Uint
    parent: Bytes32
    parent_view: Uint
    closing: bool
    transactions_root: Bytes32
    body_size: Uint
    state_root: Bytes32
    receipts_root: Bytes32
    validators: Bytes32
    next_validators: Bytes32
    extra_root: Bytes32
    proposer: Bytes32


def header_hash(raw: bytes) -> Hash:
    """The hash of a block: hash of its header's bytes."""
    return hash_of(DOMAIN_HEADER, raw)


class Body(Wire, frozen=True):
    """The transactions of a block as received bytes, in order, and the engine's own section."""

    version: Uint
    transactions: tuple[bytes, ...]
    extra: bytes = b""


def extra_root(extra: bytes) -> Hash:
    """What `Header.extra_root` commits to; all zeros for an engine without a section of its own."""
    return hash_of(DOMAIN_BODY, extra) if extra else Hash(bytes(32))


@dataclass(frozen=True, slots=True)
class Block:
    """A header and its body beside the bytes they came from."""

    header: Header
    header_bytes: bytes
    hash: Hash
    body: Body
    body_bytes: bytes


def make_block(header: Header, body: Body) -> Block:
    """Bind a header to a body; the caller has put the body's roots into the header."""
    header_bytes = encode(header)
    return Block(header, header_bytes, header_hash(header_bytes), body, encode(body))


def decode_header(raw: bytes) -> Header:
    """Decode a header strictly. Raise `DecodeError`."""
    header = decode(Header, raw, limit=4096)
    if header.version != HEADER_VERSION:
        raise DecodeError("unknown header version", expected=HEADER_VERSION, found=header.version)
    return header


class Event(Wire, frozen=True):
    """What a contract tells the world. `data` is the value encoding of a dict from field name to value."""

    contract: ShortText
    name: ShortText
    data: bytes


class Receipt(Wire, frozen=True):
    """What one transaction or one scheduled call did. Text is local, so only codes are hashed.

    `subject`: transaction id, or for a scheduled call the hash of (due, contract, seq). `code`: "" when `ok`.
    `line`: source line of the contract that failed, 0 if none. `gas_version`: the schedule that priced it. `language`:
    what the contract is written in, "" if none ran.
    """

    subject: Bytes32
    scheduled: bool
    contract: ShortText
    entry: ShortText
    ok: bool
    code: ShortText
    line: Uint
    gas: Uint
    gas_version: Uint
    language: ShortText
    value: bytes
    events: tuple[Event, ...]
