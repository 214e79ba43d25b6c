"""The write-ahead log: what this node signed, and what it needs to go on after a crash.

Rules:

1. One append-only log in segments. Own votes, proposals and complaints, the certificates that led to them and the
   bodies they stand for are written in the order of the engine's effects and become durable by *one* sync per batch
   (consensus A.6).
2. A batch is written only after the one before it was synced. So a bad frame is a *torn tail* if no later batch stands
   behind it: it is cut off and the node votes again unaided. Else it is damage.
3. Damage before the tail, a gap in the segments, a log that ends before what the store knows to have been synced, or no
   log at all: the node is *held* (amnesia guard) until its engine lifts the hold. Only the founding `init` writes a
   first log without a hold.
4. The hold is a marker file, made durable before anything else; lifting writes the new floor first and removes it last.
5. Every creation, removal and rename is followed by a sync of the directory. A failed write leaves the log as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consensus.engine import StoredBlock, WalRecovery
from consensus.messages import Complaint, Proposal
from ledger.certificates import Certificate, Vote
from ledger.codec import decode
from ledger.errors import StoreError
from node.disk import Disk, LogFile, SystemDisk
from node.wal_format import (
    Entry,
    RecordKind,
    RecordSlot,
    SegmentHeader,
    WalIdentity,
    decode_block,
    floor_entry,
    frames,
    later_generation,
    read_frame,
    read_segment_header,
    segment_header,
)

SEGMENT_BYTES: Final = 32 * 1024 * 1024
SYSTEM_DISK: Final = SystemDisk()
RECORDS_KEPT: Final = 256
"""Signed regional records that every segment begins with: an agent publishes a few ahead of the global chain."""
_HOLD: Final = "HOLD"
_SUFFIX: Final = ".log"


@dataclass(frozen=True, slots=True, order=True)
class WalPosition:
    """How far the log is durable: segment number, then bytes in it. The store keeps one with each commit."""

    segment: int
    offset: int

    def encode(self) -> bytes:
        """16 bytes, order-preserving."""
        return self.segment.to_bytes(8, "big") + self.offset.to_bytes(8, "big")

    @classmethod
    def decode(cls, raw: bytes) -> WalPosition:
        """Inverse of `encode`."""
        return cls(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:16], "big"))


@dataclass(slots=True)
class _Segment:
    index: int
    path: Path
    top: tuple[int, int] = (0, 0)
    size: int = 0


@dataclass(slots=True)
class _Scan:
    """What reading the segments has found so far. `open_batch`: the last frame was not the end of its batch."""

    entries: list[Entry] = field(default_factory=list)
    floor: tuple[int, int] = (0, 0)
    generation: int = 0
    open_batch: bool = False
    damage: str = ""
    published: dict[bytes, None] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        if entry.kind is RecordKind.FLOOR:
            self.floor = max(self.floor, (entry.epoch, entry.view))
        elif entry.kind is RecordKind.REGION_RECORD:
            self.published[entry.payload] = None
        else:
            self.entries.append(entry)


def write_hold(directory: Path, reason: str, disk: Disk = SYSTEM_DISK) -> None:
    """Set the durable marker of the log in `directory`: its node may not vote. Raise `OSError`."""
    disk.write_durably(directory / _HOLD, reason.encode("utf-8"))


class Wal:
    """An open log. Everything but `open` and `found` runs on the log's own thread, or before it exists."""

    def __init__(self, directory: Path, identity: WalIdentity, disk: Disk, segment_bytes: int) -> None:
        self._directory = directory
        self._identity = identity
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._segments: list[_Segment] = []
        self._file: LogFile | None = None
        self._size = 0
        self._salt = b""
        self._generation = 1
        self._buffered: list[Entry] = []
        self._floor = (0, 0)
        self._published: list[bytes] = []
        self.recovery = WalRecovery()
        self.hold_reason = ""

    # --- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    def found(cls, directory: Path, identity: WalIdentity, disk: Disk = SYSTEM_DISK) -> None:
        """Write the first, empty log of a validator that has never signed. Only the founding `init` may do this."""
        if disk.names(directory):
            raise StoreError(
                "a log exists already",
                code="WAL_EXISTS",
                expected=f"an empty directory {directory}",
                found="files",
                fix="a validator's log is written once; choose another directory for a new network",
            )
        wal = cls(directory, identity, disk, SEGMENT_BYTES)
        wal._begin_segment(1)
        wal._close()
        disk.sync_directory(directory.parent)

    @classmethod
    @contextmanager
    def open(
        cls,
        directory: Path,
        identity: WalIdentity,
        *,
        synced: WalPosition | None = None,
        disk: Disk = SYSTEM_DISK,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Iterator[Wal]:
        """Open the log, repair a torn tail, and fill `recovery`; `hold_reason` says why the node is held, if it is.

        `synced`: how far the store knows the log to have been durable. Raise `StoreError` (WAL_FOREIGN) for the log of
        another chain or key, (WAL_IO) on a disk that cannot be used.
        """
        wal = cls(directory, identity, disk, segment_bytes)
        try:
            wal._recover(synced)
        except OSError as error:
            raise StoreError(
                f"the log cannot be opened: {error}",
                code="WAL_IO",
                expected=f"a readable directory {directory}",
                found=error.strerror,
                fix="check its permissions and the disk",
            ) from error
        try:
            yield wal
        finally:
            wal._close()

    def _recover(self, synced: WalPosition | None) -> None:
        names = self._disk.names(self._directory)
        paths = [self._directory / name for name in names if name.endswith(_SUFFIX)]
        scan = _Scan()
        if not paths:
            scan.damage = "WAL_MISSING: there is no log; only the founding init writes the first one"
        for position, path in enumerate(paths):
            self._read_segment(path, scan, last=position == len(paths) - 1)
            if scan.damage:
                break
        if not scan.damage and synced is not None and self.position < synced:
            scan.damage = f"WAL_SHORT: the store knows it synced up to {synced}, it ends at {self.position}"
        self._floor = scan.floor
        self._published = list(scan.published)[-RECORDS_KEPT:]
        self._generation = scan.generation if scan.open_batch else scan.generation + 1
        if scan.damage:
            self._quarantine(scan.damage, paths)
        elif scan.open_batch:
            self.append([floor_entry(*self._floor)])  # close the cut batch, so that the next one is told from it
        self.hold_reason = (self._disk.read(self._directory / _HOLD) or b"").decode("utf-8")
        self.recovery = _recovery(scan, held=bool(self.hold_reason))

    def _read_segment(self, path: Path, scan: _Scan, *, last: bool) -> None:
        data = self._disk.read(path) or b""
        found = read_segment_header(data)
        if found is None:
            if not (last and self._segments):
                scan.damage = f"WAL_CORRUPT: the header of {path.name} is unreadable"
                return
            self._disk.remove(path)  # the crash fell into the creation of this segment: nothing was ever written to it
            self._disk.sync_directory(self._directory)
            before = self._segments[-1]
            self._file, self._size = self._disk.open(before.path), before.size
            self._file.sync()
            return
        header, offset = found
        self._check_identity(header)
        if self._segments and header.index != self._segments[-1].index + 1:
            scan.damage = f"WAL_CORRUPT: segment {self._segments[-1].index + 1} is missing"
            return
        segment = _Segment(header.index, path, size=len(data))
        self._segments.append(segment)
        self._salt = header.salt
        end = self._read_frames(data, offset, scan, segment, last=last)
        if last and not scan.damage:
            self._file, self._size = self._disk.open(path), end
            if end < len(data):
                self._file.truncate(end)
            # What a killed process wrote may have come back from memory only: it is sent again, so it must be durable.
            self._file.sync()
            self._disk.sync_directory(self._directory)

    def _check_identity(self, header: SegmentHeader) -> None:
        if header.identity != self._identity:
            raise StoreError(
                "the log is of another chain or validator",
                code="WAL_FOREIGN",
                expected=f"{self._identity.chain_id} {self._identity.public_key.hex()[:16]}",
                found=f"{header.identity.chain_id} {header.identity.public_key.hex()[:16]}",
                fix="point the node at its own directory; never copy a log between validators",
            )

    def _read_frames(self, data: bytes, offset: int, scan: _Scan, segment: _Segment, *, last: bool) -> int:
        """Take the frames of a segment into `scan`; return where the good ones end."""
        first = scan.generation == 0
        while offset < len(data):
            frame = read_frame(data, offset, self._salt)
            expected = scan.generation if scan.open_batch else scan.generation + 1
            if frame is None:
                if not last or later_generation(data, offset, self._salt, expected):
                    scan.damage = f"WAL_CORRUPT: a bad frame at byte {offset} of {segment.path.name}, before the tail"
                break
            if frame.generation != expected and not first:
                scan.damage = f"WAL_CORRUPT: batch {expected} is missing before byte {offset} of {segment.path.name}"
                break
            first = False
            scan.generation, scan.open_batch, offset = frame.generation, not frame.batch_end, frame.end
            segment.top = max(segment.top, (frame.entry.epoch, frame.entry.view))
            scan.take(frame.entry)
        return offset

    def _quarantine(self, reason: str, paths: Sequence[Path]) -> None:
        """Hold first, then set damaged files aside and begin afresh above them."""
        write_hold(self._directory, reason, self._disk)
        self._close()
        top = 0
        for path in paths:
            top = max(top, int(path.stem) if path.stem.isdigit() else 0)
            self._disk.rename(path, path.with_suffix(".damaged"))
        self._segments = []
        self._begin_segment(top + 1)

    # --- writing ------------------------------------------------------------------------------------------------------

    @property
    def position(self) -> WalPosition:
        """How far the log is durable."""
        return WalPosition(self._segments[-1].index if self._segments else 0, self._size)

    @property
    def floor(self) -> tuple[int, int]:
        """(epoch, view) at and below which nothing may be signed."""
        return self._floor

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries, and all buffered ones before them, and sync once. Raise `OSError`: then nothing is written."""
        if self._size >= self._segment_bytes:
            self._begin_segment(self._segments[-1].index + 1)
        batch = [*self._buffered, *entries]
        file = self._file
        if file is None:
            raise OSError("the log is closed")
        if not batch:
            return
        data = frames(batch, self._generation, self._salt)
        try:
            file.write(self._size, data)
            file.sync()
        except OSError:
            # what a failed sync left behind is unknown: cut it off, so that the next try writes it anew
            file.truncate(self._size)
            raise
        self._size += len(data)
        self._generation += 1
        self._buffered.clear()
        signed = [entry.payload for entry in entries if entry.kind is RecordKind.REGION_RECORD]
        self._published = [*self._published, *signed][-RECORDS_KEPT:]
        segment = self._segments[-1]
        segment.top = max(segment.top, max((entry.epoch, entry.view) for entry in batch))

    def buffer(self, entries: Sequence[Entry]) -> None:
        """Keep entries for the next sync: they need not be durable by themselves."""
        self._buffered.extend(entries)

    def trim(self, epoch: int, view: int) -> int:
        """Set the floor and remove segments wholly at or below it; return how many. Raise `OSError`."""
        if (epoch, view) > self._floor:
            self._floor = (epoch, view)
            self._buffered.append(floor_entry(epoch, view))
        if len(self._segments) < 2 or self._segments[0].top > self._floor:
            return 0
        self.append(())  # the floor is durable before what it stands for goes
        removed = 0
        while len(self._segments) > 1 and self._segments[0].top <= self._floor:
            self._disk.remove(self._segments.pop(0).path)
            removed += 1
        self._disk.sync_directory(self._directory)
        return removed

    def hold(self, reason: str) -> None:
        """Set the durable marker: the node may not vote. Raise `OSError`."""
        write_hold(self._directory, reason, self._disk)
        self.hold_reason = reason

    def lift(self, epoch: int, floor_view: int) -> None:
        """Write the floor, then remove the marker (consensus A.6). Raise `OSError`."""
        self._floor = max(self._floor, (epoch, floor_view))
        self.append([floor_entry(epoch, floor_view)])
        self._disk.remove(self._directory / _HOLD)
        self._disk.sync_directory(self._directory)
        self.hold_reason = ""

    def _begin_segment(self, index: int) -> None:
        """Create a durable segment that begins with the floor and the regional records, then go on in it."""
        path = self._directory / f"{index:012d}{_SUFFIX}"
        salt = os.urandom(16)
        data = segment_header(index, salt, self._identity)
        signed = [Entry(RecordKind.REGION_RECORD, 0, 0, payload) for payload in self._published]
        data += frames([floor_entry(*self._floor), *signed], self._generation, salt)
        file = self._disk.open(path)
        try:
            file.truncate(0)
            file.write(0, data)
            file.sync()
            self._disk.sync_directory(self._directory)
        except OSError:
            file.close()
            self._disk.remove(path)
            raise
        self._close()
        self._file, self._size, self._salt = file, len(data), salt
        self._generation += 1
        self._segments.append(_Segment(index, path, self._floor))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _recovery(scan: _Scan, *, held: bool) -> WalRecovery:
    votes: list[Vote] = []
    proposals: list[Proposal] = []
    certificates: list[Certificate] = []
    blocks: list[StoredBlock] = []
    complaints: list[Complaint] = []
    for entry in scan.entries:
        if (entry.epoch, entry.view) <= scan.floor:
            continue
        match entry.kind:
            case RecordKind.VOTE:
                votes.append(decode(Vote, entry.payload))
            case RecordKind.PROPOSAL:
                proposals.append(decode(Proposal, entry.payload))
            case RecordKind.CERTIFICATE:
                certificates.append(decode(Certificate, entry.payload))
            case RecordKind.BLOCK:
                blocks.append(decode_block(entry.payload))
            case RecordKind.COMPLAINT:
                complaints.append(decode(Complaint, entry.payload))
            case RecordKind.FLOOR | RecordKind.REGION_RECORD:
                pass
    slots = [decode(RecordSlot, payload) for payload in scan.published]
    return WalRecovery(
        tuple(votes),
        tuple(proposals),
        tuple(certificates),
        tuple(blocks),
        scan.floor,
        held,
        tuple(complaints),
        tuple((slot.region, slot.epoch, slot.seq, slot.record) for slot in slots),
    )
