"""Where nodes are: address records that each node signs itself, and the book of them.

A record names the chain, the node's key, host, port and a number that grows with every life of the node; the newest
of a node wins. Records spread by peer exchange: all known ones to a new peer, news to everybody else. So one seed
address is enough to find the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from ledger.codec import Bytes32, Bytes64, ShortText, Uint, Wire, decode, encode
from ledger.crypto import DOMAIN_PEER_ADDRESS, verify
from ledger.errors import ConfigError, DecodeError, PeerFault
from p2p.certificates import NodeIdentity, node_id_of
from p2p.frames import PeerId

MAX_RECORD_BYTES: Final = 512
MAX_LIST: Final = 200
MAX_KNOWN: Final = 1024

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+\Z")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class AddressRecord(Wire, frozen=True):
    """What a node says of itself. `seq`: milliseconds since 1970 at its start."""

    chain_id: ShortText
    public_key: Bytes32
    host: Host
    port: Port
    seq: Uint
    name: ShortText


class SignedAddress(Wire, frozen=True):
    """A record as it travels: its bytes and the node key's signature over them."""

    record: Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES)]
    signature: Bytes64


class AddressList(Wire, frozen=True):
    """The payload on PEERS: encoded `SignedAddress`es."""

    records: Annotated[
        tuple[Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES + 128)], ...], msgspec.Meta(max_length=MAX_LIST)
    ]


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """A record whose signature holds."""

    raw: bytes
    node_id: PeerId
    record: AddressRecord

    @property
    def place(self) -> str:
        """host:port, as `parse_address` reads it."""
        return format_address(self.record.host, self.record.port)


def parse_address(text: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`. Raise `ConfigError`."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ConfigError(
            "not an address", code="BAD_ADDRESS", expected="host:port", found=text, fix="write it as host:port"
        )
    return host, int(port)


def format_address(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def sign_address(identity: NodeIdentity, chain_id: str, place: tuple[str, int], seq: int, name: str) -> KnownAddress:
    """Make this node's own record."""
    host, port = place
    record = AddressRecord(chain_id, identity.certificate.public_key, host, port, seq, name)
    raw_record = encode(record)
    raw = encode(SignedAddress(raw_record, identity.sign(DOMAIN_PEER_ADDRESS, raw_record)))
    return KnownAddress(raw, identity.node_id, record)


def encode_list(records: Iterable[KnownAddress]) -> list[bytes]:
    """The payloads that carry `records`."""
    raws = [known.raw for known in records]
    return [encode(AddressList(tuple(raws[at : at + MAX_LIST]))) for at in range(0, len(raws), MAX_LIST)]


class AddressBook:
    """The newest record of every known member. `admits` keeps strangers out, so the book is bounded by membership
    too.
    """

    def __init__(self, own: KnownAddress, chain_id: str, admits: Callable[[PeerId], bool]) -> None:
        self.own = own
        self._chain_id = chain_id
        self._admits = admits
        self._known: dict[PeerId, KnownAddress] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, node_id: PeerId) -> KnownAddress | None:
        """The record of one node."""
        return self._known.get(node_id)

    def others(self) -> list[KnownAddress]:
        """All records but the node's own."""
        return list(self._known.values())

    def all(self) -> list[KnownAddress]:
        """All records, the node's own first."""
        return [self.own, *self._known.values()]

    def learn(self, payload: bytes) -> list[KnownAddress]:
        """Take a list from a peer; return the records that were news. Raise `PeerFault` for what no honest peer
        sends.
        """
        try:
            listed = decode(AddressList, payload)
        except DecodeError as error:
            raise PeerFault(f"a malformed address list: {error.message}", code="MALFORMED_ADDRESSES") from None
        return [known for raw in listed.records if (known := self.add(raw)) is not None]

    def add(self, raw: bytes) -> KnownAddress | None:
        """Take one encoded `SignedAddress`; None if it is no news. Raise `PeerFault` if it is malformed or forged."""
        try:
            signed = decode(SignedAddress, raw)
            record = decode(AddressRecord, signed.record)
        except DecodeError as error:
            raise PeerFault(f"a malformed address record: {error.message}", code="MALFORMED_ADDRESSES") from None
        node_id = node_id_of(record.public_key)
        known = self._known.get(node_id)
        if node_id == self.own.node_id or (known is not None and known.record.seq >= record.seq):
            return None
        if record.chain_id != self._chain_id:
            raise PeerFault(
                "an address record of another network",
                code="FOREIGN_ADDRESS",
                expected=self._chain_id,
                found=record.chain_id,
            )
        if not self._admits(node_id) or (known is None and len(self._known) >= MAX_KNOWN):
            return None
        if not verify(record.public_key, DOMAIN_PEER_ADDRESS, signed.record, signed.signature):
            raise PeerFault("an address record with a bad signature", code="BAD_SIGNATURE", found=node_id.hex()[:32])
        fresh = KnownAddress(raw, node_id, record)
        self._known[node_id] = fresh
        return fresh
