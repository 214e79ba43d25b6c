"""The log after a crash: torn at every byte, damaged in the middle, missing, short, foreign."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from consensus.engine import StoredBlock
from ledger.certificates import Vote, VoteKind
from ledger.crypto import Hash
from ledger.errors import StoreError
from node.disk import DiskFile, SystemDisk, UnsyncedLost, sync_directory
from node.wal import Wal, WalPosition, write_hold
from node.wal_format import Entry, RecordKind, WalIdentity, block_entry, vote_entry

IDENTITY = WalIdentity("dev-test-00", b"k" * 32)
VOTES = tuple(Vote(VoteKind.NOTARIZE, 1, view, bytes([view]) * 32, 0, bytes(64)) for view in range(1, 7))


def written(directory: Path, batches: int = 3, segment_bytes: int = 1 << 20) -> list[WalPosition]:
    """Found a log and append `batches` batches of a block and a vote; return where each ended."""
    Wal.found(directory, IDENTITY)
    ends = []
    with Wal.open(directory, IDENTITY, segment_bytes=segment_bytes) as wal:
        for vote in VOTES[:batches]:
            block = StoredBlock(Hash(vote.block_hash), b"header", b"body " * 50)
            wal.append([block_entry(block, vote.epoch, vote.view), vote_entry(vote)])
            ends.append(wal.position)
    return ends


def reopened(directory: Path, synced: WalPosition | None = None) -> tuple[tuple[Vote, ...], str]:
    with Wal.open(directory, IDENTITY, synced=synced) as wal:
        return wal.recovery.votes, wal.hold_reason


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.log"))


def test_what_was_appended_comes_back(tmp_path: Path) -> None:
    written(tmp_path / "wal")
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert wal.recovery.votes == VOTES[:3]
        assert [block.body_bytes for block in wal.recovery.blocks] == [b"body " * 50] * 3
        assert not wal.recovery.held


def test_torn_at_every_byte_of_the_last_batch(tmp_path: Path) -> None:
    ends = written(tmp_path / "origin")
    whole = segments(tmp_path / "origin")[0].read_bytes()
    for cut in range(ends[1].offset, ends[2].offset):
        directory = tmp_path / f"cut{cut}"
        directory.mkdir()
        path = directory / segments(tmp_path / "origin")[0].name
        path.write_bytes(whole[:cut])
        votes, held = reopened(directory)
        assert votes == VOTES[:2]
        assert held == ""
        with Wal.open(directory, IDENTITY) as wal:  # it goes on, and what follows is told from what was cut
            wal.append([vote_entry(VOTES[4])])
        assert reopened(directory) == ((*VOTES[:2], VOTES[4]), "")


def test_garbage_in_the_last_batch_is_a_torn_tail(tmp_path: Path) -> None:
    ends = written(tmp_path / "wal")
    path = segments(tmp_path / "wal")[0]
    data = bytearray(path.read_bytes())
    data[ends[1].offset + 40] ^= (
        1  # the block of the last batch; its vote behind it is whole: pages written out of order
    )
    path.write_bytes(data)
    assert reopened(tmp_path / "wal") == (VOTES[:2], "")


@pytest.mark.parametrize("place", range(0, 500, 13))
def test_damage_before_the_tail_holds(tmp_path: Path, place: int) -> None:
    ends = written(tmp_path / "wal")
    path = segments(tmp_path / "wal")[0]
    data = bytearray(path.read_bytes())
    at = ends[0].offset + place * (ends[1].offset - ends[0].offset) // 500
    data[at] ^= 0x10
    path.write_bytes(data)
    votes, held = reopened(tmp_path / "wal")
    assert votes[:1] == VOTES[:1]
    assert held.startswith("WAL_CORRUPT")
    assert reopened(tmp_path / "wal")[1] == held, "the hold is durable"
    assert list((tmp_path / "wal").glob("*.damaged")), "what was damaged is kept for people"


def test_a_missing_log_holds_and_a_founded_one_does_not(tmp_path: Path) -> None:
    votes, held = reopened(tmp_path / "absent")
    assert votes == ()
    assert held.startswith("WAL_MISSING")
    Wal.found(tmp_path / "founded", IDENTITY)
    assert reopened(tmp_path / "founded") == ((), "")
    with pytest.raises(StoreError) as refused:
        Wal.found(tmp_path / "founded", IDENTITY)
    assert refused.value.code == "WAL_EXISTS"


def test_a_log_shorter_than_the_store_knows_holds(tmp_path: Path) -> None:
    ends = written(tmp_path / "wal")
    path = segments(tmp_path / "wal")[0]
    path.write_bytes(path.read_bytes()[: ends[1].offset])
    assert reopened(tmp_path / "wal", synced=ends[1]) == (VOTES[:2], "")
    assert reopened(tmp_path / "wal", synced=ends[2])[1].startswith("WAL_SHORT")


def test_a_missing_segment_holds(tmp_path: Path) -> None:
    written(tmp_path / "wal", batches=6, segment_bytes=300)
    middle = segments(tmp_path / "wal")[2]
    middle.unlink()
    assert "is missing" in reopened(tmp_path / "wal")[1]


def test_a_truncated_middle_segment_holds(tmp_path: Path) -> None:
    written(tmp_path / "wal", batches=6, segment_bytes=1_000)
    path = segments(tmp_path / "wal")[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert reopened(tmp_path / "wal")[1].startswith("WAL_CORRUPT")


def test_a_segment_torn_at_its_creation_is_dropped(tmp_path: Path) -> None:
    written(tmp_path / "wal", batches=2, segment_bytes=1 << 20)
    (tmp_path / "wal" / f"{2:012d}.log").write_bytes(b"grid")
    assert reopened(tmp_path / "wal") == (VOTES[:2], "")
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        wal.append([vote_entry(VOTES[3])])
    assert reopened(tmp_path / "wal") == ((*VOTES[:2], VOTES[3]), "")


def test_a_foreign_log_is_refused_with_both_values(tmp_path: Path) -> None:
    written(tmp_path / "wal")
    with pytest.raises(StoreError) as refused, Wal.open(tmp_path / "wal", WalIdentity("other", b"k" * 32)):
        pass
    assert refused.value.code == "WAL_FOREIGN"
    assert "other" in str(refused.value.expected)
    assert "dev-test-00" in str(refused.value.found)


def test_trimming_keeps_the_floor_and_what_is_above_it(tmp_path: Path) -> None:
    written(tmp_path / "wal", batches=6, segment_bytes=300)
    before = len(segments(tmp_path / "wal"))
    with Wal.open(tmp_path / "wal", IDENTITY, segment_bytes=300) as wal:
        assert wal.trim(1, 4) > 0
    assert len(segments(tmp_path / "wal")) < before
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert wal.recovery.floor == (1, 4)
        assert wal.recovery.votes == VOTES[4:]


def test_lifting_a_hold_writes_the_floor_first(tmp_path: Path) -> None:
    written(tmp_path / "wal")
    write_hold(tmp_path / "wal", "restored from a backup")
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert wal.recovery.held
        wal.lift(1, 9)
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert not wal.recovery.held
        assert wal.recovery.floor == (1, 9)
        assert wal.recovery.votes == ()


class FullDisk:
    """A file on a disk that has room for `room` bytes more."""

    room = 0

    def __init__(self, path: Path) -> None:
        self._file = UnsyncedLost(path)

    def write(self, offset: int, data: bytes) -> None:
        if len(data) > FullDisk.room:
            self._file.write(offset, data[: FullDisk.room])
            raise OSError(28, "No space left on device")
        self._file.write(offset, data)

    def sync(self) -> None:
        self._file.sync()

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


def test_a_full_disk_loses_nothing_and_works_again(tmp_path: Path) -> None:
    written(tmp_path / "wal")
    with Wal.open(tmp_path / "wal", IDENTITY, disk=SystemDisk(FullDisk)) as wal:
        FullDisk.room = 50
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                wal.append([vote_entry(VOTES[3])])
        FullDisk.room = 1 << 20
        wal.append([vote_entry(VOTES[3])])
    assert reopened(tmp_path / "wal") == (VOTES[:4], "")


def test_what_is_read_back_is_durable_before_it_is_used(tmp_path: Path) -> None:
    """A killed process leaves a whole batch in the page cache that was never synced. The next life sends its votes
    again, so opening the log syncs before it hands them out."""
    synced: list[Path] = []

    class Watched(DiskFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._path = path

        def sync(self) -> None:
            synced.append(self._path)
            super().sync()

    written(tmp_path / "wal")
    with Wal.open(tmp_path / "wal", IDENTITY, disk=SystemDisk(Watched)) as wal:
        assert wal.recovery.votes == VOTES[:3]
        assert synced == [segments(tmp_path / "wal")[0]]


def test_unsynced_records_vanish_with_the_process(tmp_path: Path) -> None:
    written(tmp_path / "wal")
    with Wal.open(tmp_path / "wal", IDENTITY, disk=SystemDisk(UnsyncedLost)) as wal:
        wal.buffer([Entry(RecordKind.VOTE, 1, 4, b"never synced")])
    assert reopened(tmp_path / "wal") == (VOTES[:3], "")


def test_a_power_cut_takes_names_that_were_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file is in its directory only once that was synced (cometbft#6031: sign state rolled back). After every
    append, what is left of the names still holds every vote; and so with the marker of a hold."""
    names: set[str] = set()

    def synced(directory: Path) -> None:
        sync_directory(directory)
        if directory == tmp_path / "wal":
            names.clear()
            names.update(path.name for path in directory.iterdir())

    monkeypatch.setattr("node.disk.sync_directory", synced)

    def after_a_cut(number: int) -> Path:
        copy = tmp_path / f"cut{number}"
        copy.mkdir()
        for name in names:
            shutil.copy(tmp_path / "wal" / name, copy / name)
        return copy

    Wal.found(tmp_path / "wal", IDENTITY)
    with Wal.open(tmp_path / "wal", IDENTITY, segment_bytes=300) as wal:
        for number, vote in enumerate(VOTES):
            wal.append([vote_entry(vote)])
            assert reopened(after_a_cut(number)) == (VOTES[: number + 1], "")
    assert len(segments(tmp_path / "wal")) > 1
    write_hold(tmp_path / "wal", "restored from a backup")
    assert reopened(after_a_cut(99)) == (VOTES, "restored from a backup")
