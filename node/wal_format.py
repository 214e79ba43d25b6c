"""The bytes of the write-ahead log.

Segment: magic, length, crc, header (index, salt, identity), then frames. Frame: magic 4, crc32 4, length 4,
generation 8, kind 1, epoch 8, view 8, payload. The crc is salted with random bytes of the segment's header, so that no
body, which others write, can imitate a frame. All frames of one synced batch share a `generation`, the last one carries
the end bit.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from consensus.engine import StoredBlock
from consensus.messages import Complaint, Proposal
from ledger.certificates import Certificate, Vote
from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import Hash
from ledger.errors import DecodeError

_FRAME: Final = struct.Struct(">4sIIQBQQ")
_MAGIC: Final = b"gcW1"
_FILE_MAGIC: Final = b"gridchain-wal\x01"
_END_BIT: Final = 0x80


class RecordKind(IntEnum):
    """What a frame carries. Numbers are never reused."""

    VOTE = 1
    PROPOSAL = 2
    CERTIFICATE = 3
    BLOCK = 4
    FLOOR = 5
    COMPLAINT = 6
    REGION_RECORD = 7


_KINDS: Final = frozenset(int(kind) for kind in RecordKind)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: its kind, the view it belongs to, its payload."""

    kind: RecordKind
    epoch: int
    view: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A record as it was read. `batch_end`: the last of its synced batch; `end`: where the next frame begins."""

    entry: Entry
    generation: int
    batch_end: bool
    end: int


class WalIdentity(Wire, frozen=True):
    """Whose log it is: a log of another chain or key is refused. `public_key` is empty for a node that never votes."""

    chain_id: str
    public_key: bytes


class SegmentHeader(Wire, frozen=True):
    """First bytes of a segment."""

    index: Uint
    salt: bytes
    identity: WalIdentity


class RecordSlot(Wire, frozen=True):
    """What was signed as record `seq` of a region in a regional epoch."""

    region: ShortText
    epoch: Uint
    seq: Uint
    record: Bytes32


class _BlockRecord(Wire, frozen=True):
    hash: Bytes32
    header: bytes
    body: bytes


def vote_entry(vote: Vote) -> Entry:
    """The record of an own vote."""
    return Entry(RecordKind.VOTE, vote.epoch, vote.view, encode(vote))


def certificate_entry(certificate: Certificate) -> Entry:
    """The record of a certificate."""
    return Entry(RecordKind.CERTIFICATE, certificate.epoch, certificate.view, encode(certificate))


def proposal_entry(proposal: Proposal, epoch: int, view: int) -> Entry:
    """The record of an own proposal."""
    return Entry(RecordKind.PROPOSAL, epoch, view, encode(proposal))


def complaint_entry(complaint: Complaint) -> Entry:
    """The record of an own complaint."""
    return Entry(RecordKind.COMPLAINT, complaint.epoch, complaint.view, encode(complaint))


def block_entry(block: StoredBlock, epoch: int, view: int) -> Entry:
    """The record of a block's bytes."""
    return Entry(RecordKind.BLOCK, epoch, view, encode(_BlockRecord(block.hash, block.header_bytes, block.body_bytes)))


def region_record_entry(region: str, epoch: int, seq: int, record: bytes) -> Entry:
    """The record of an own signature under a region's record. It belongs to no view: no floor lets it be forgotten."""
    return Entry(RecordKind.REGION_RECORD, 0, 0, encode(RecordSlot(region, epoch, seq, record)))


def floor_entry(epoch: int, view: int) -> Entry:
    """The record of a floor."""
    return Entry(RecordKind.FLOOR, epoch, view, b"")


def decode_block(payload: bytes) -> StoredBlock:
    """Inverse of `block_entry`'s payload."""
    record = decode(_BlockRecord, payload)
    return StoredBlock(Hash(record.hash), record.header, record.body)


def segment_header(index: int, salt: bytes, identity: WalIdentity) -> bytes:
    """The first bytes of a segment."""
    body = encode(SegmentHeader(index, salt, identity))
    return _FILE_MAGIC + struct.pack(">II", len(body), zlib.crc32(body)) + body


def read_segment_header(data: bytes) -> tuple[SegmentHeader, int] | None:
    """Return the header and where its frames begin; None if it is unreadable."""
    begin = len(_FILE_MAGIC) + 8
    if len(data) < begin or not data.startswith(_FILE_MAGIC):
        return None
    length, crc = struct.unpack(">II", data[len(_FILE_MAGIC) : begin])
    body = data[begin : begin + length]
    if len(body) != length or zlib.crc32(body) != crc:
        return None
    try:
        return decode(SegmentHeader, body), begin + length
    except DecodeError:
        return None


def frames(batch: list[Entry], generation: int, salt: bytes) -> bytes:
    """The frames of one batch; the last carries the end bit."""
    parts: list[bytes] = []
    for position, entry in enumerate(batch):
        kind = entry.kind | (_END_BIT if position == len(batch) - 1 else 0)
        tail = _FRAME.pack(_MAGIC, 0, len(entry.payload), generation, kind, entry.epoch, entry.view)[8:]
        crc = zlib.crc32(entry.payload, zlib.crc32(salt + tail))
        parts += (_MAGIC, crc.to_bytes(4, "big"), tail, entry.payload)
    return b"".join(parts)


def read_frame(data: bytes, offset: int, salt: bytes) -> Frame | None:
    """Return the frame at `offset`, None if there is no good one."""
    if len(data) - offset < _FRAME.size:
        return None
    magic, crc, length, generation, kind, epoch, view = _FRAME.unpack_from(data, offset)
    begin = offset + _FRAME.size
    end = begin + length
    if magic != _MAGIC or end > len(data) or kind & ~_END_BIT not in _KINDS:
        return None
    payload = data[begin:end]
    if zlib.crc32(payload, zlib.crc32(salt + data[offset + 8 : begin])) != crc:
        return None
    return Frame(Entry(RecordKind(kind & ~_END_BIT), epoch, view, payload), generation, bool(kind & _END_BIT), end)


def later_generation(data: bytes, offset: int, salt: bytes, generation: int) -> bool:
    """Tell whether a good frame of a later generation than `generation` stands at or after `offset`."""
    while (offset := data.find(_MAGIC, offset)) >= 0:
        found = read_frame(data, offset, salt)
        if found is not None and found.generation > generation:
            return True
        offset += 1
    return False
