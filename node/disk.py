"""Files that must survive a power cut, or must not survive at all: the narrow calls the log makes of the system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class LogFile(Protocol):
    """The four calls a log makes of a file; tests put a file that forgets what was not synced in its place."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`. Raise `OSError`."""

    def sync(self) -> None:
        """Make everything written durable. Raise `OSError`."""

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""

    def close(self) -> None:
        """Release the descriptor."""


class Opener(Protocol):
    """Makes the file of a segment."""

    def __call__(self, path: Path) -> LogFile:
        """Open or create `path` for writing."""


class DiskFile:
    """A file of the operating system."""

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def sync(self) -> None:
        """Sync data and size."""
        os.fdatasync(self._descriptor)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


class UnsyncedLost:
    """A file that keeps in memory what was not synced: a killed process leaves exactly what a power cut would.

    For crash tests of real processes (`[dev] lose_unsynced`): the page cache survives SIGKILL, this does not.
    """

    __slots__ = ("_file", "_pending")

    def __init__(self, path: Path) -> None:
        self._file = DiskFile(path)
        self._pending: list[tuple[int, bytes]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Remember a write."""
        self._pending.append((offset, data))

    def sync(self) -> None:
        """Perform the remembered writes, then sync."""
        for offset, data in self._pending:
            self._file.write(offset, data)
        self._pending.clear()
        self._file.sync()

    def truncate(self, size: int) -> None:
        """Cut the file and what was remembered."""
        self._pending = [(offset, data) for offset, data in self._pending if offset < size]
        self._file.truncate(size)

    def close(self) -> None:
        """Forget what was not synced."""
        self._file.close()


class Disk(Protocol):
    """What a node's log and its store's guard ask of the disk. Every method may raise `OSError`."""

    def open(self, path: Path) -> LogFile:
        """Open or create the file of a segment."""

    def read(self, path: Path) -> bytes | None:
        """A whole file, None if there is none."""

    def names(self, directory: Path) -> list[str]:
        """The files of a directory, sorted; it is made if it is not there."""

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error. Durable by `sync_directory` only."""

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name in its directory. Durable by `sync_directory` only."""

    def sync_directory(self, path: Path) -> None:
        """Make creations, renames and removals in `path` durable."""

    def write_durably(self, path: Path, data: bytes) -> None:
        """Replace `path` by `data`: the old content or the new is there after a power cut, and on return the new."""

    def room(self, path: Path) -> tuple[int, int]:
        """Free bytes and size of the disk that holds `path`."""


@dataclass(frozen=True, slots=True)
class SystemDisk:
    """The disk of this machine. `opener`: another kind of file for the log's segments."""

    opener: Opener = DiskFile

    def open(self, path: Path) -> LogFile:
        """See `Disk`."""
        return self.opener(path)

    def read(self, path: Path) -> bytes | None:
        """See `Disk`."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def names(self, directory: Path) -> list[str]:
        """See `Disk`."""
        directory.mkdir(parents=True, exist_ok=True)
        return sorted(path.name for path in directory.iterdir())

    def remove(self, path: Path) -> None:
        """See `Disk`."""
        path.unlink(missing_ok=True)

    def rename(self, path: Path, target: Path) -> None:
        """See `Disk`."""
        path.rename(target)

    def sync_directory(self, path: Path) -> None:
        """See `Disk`."""
        sync_directory(path)

    def write_durably(self, path: Path, data: bytes) -> None:
        """See `Disk`."""
        write_durably(path, data)

    def room(self, path: Path) -> tuple[int, int]:
        """See `Disk`."""
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def sync_directory(path: Path) -> None:
    """Make creations, renames and removals in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a new file, synced, renamed over the old one, and the directory synced."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.rename(path)
    sync_directory(path.parent)


def destroy(path: Path) -> None:
    """Overwrite a file with random bytes, sync, remove it, sync its folder. Raise `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, os.urandom(size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    sync_directory(path.parent)
