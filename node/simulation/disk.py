"""The disk and the database of a simulated machine, which outlive the node: what was synced stays, the rest may go.

A power cut falls between any two operations, or into one: of a file, a prefix of the writes since the last sync is
left, the last of them torn at any byte; of names that were not synced, the old ones or the new ones; of the database, a
batch whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from errno import ENOSPC
from pathlib import Path
from typing import Final

from consensus.simulator.generator import Generator
from ledger.errors import StoreError
from ledger.store import NO_LIMIT, Batch, MemoryStore, Snapshot
from node.simulation.loop import PowerCut

SIZE_BYTES: Final = 1 << 40
FULL_BYTES: Final = 4_096
"""Room that is left when a disk is full: too little for a commit, and the log may fill it."""


@dataclass(slots=True, eq=False)
class File:
    """One file: what readers see, what a power cut leaves for certain, and the writes in between."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        """Write, for now in memory."""
        _put(self.content, offset, data)
        self.pending.append((offset, data))

    def sync(self) -> None:
        """What readers see is durable."""
        self.durable = bytes(self.content)
        self.pending.clear()

    def left(self, chance: Generator) -> bytes:
        """What a power cut leaves."""
        kept = bytearray(self.durable)
        survive = chance.between(0, len(self.pending)) if self.pending else 0
        for position in range(survive):
            offset, data = self.pending[position]
            torn = position == survive - 1 and chance.chance(700_000)
            _put(kept, offset, data[: chance.between(0, len(data))] if torn else data)
        return bytes(kept)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class MachineDisk:
    """Files and rows of one machine through all lives of its node; `node.disk.Disk` is what a life sees of it.

    `on_write(rows)`: told of every batch that is durable. `cut_in`: a power cut falls into that many-th operation from
    now, 0: none is due.
    """

    def __init__(self, chance: Generator, on_write: Callable[[Batch], None]) -> None:
        self.chance = chance
        self._on_write = on_write
        self._files: dict[Path, File] = {}
        self._durable: dict[Path, File] = {}
        self.rows: dict[bytes, bytes] = {}
        self.full = False
        self.sync_ms = 4
        self.cut_in = 0
        self.operations = 0
        self.spent_ms = 0

    def durable_files(self) -> list[tuple[Path, bytes]]:
        """What a power cut now would leave for certain."""
        return [(path, file.durable) for path, file in sorted(self._durable.items())]

    def cut(self) -> None:
        """The power is cut: only now is decided what is left of what was not synced."""
        names = self._durable if self.chance.chance(500_000) else self._files
        left = {path: File(bytearray(kept), kept) for path, file in names.items() for kept in (file.left(self.chance),)}
        self._files, self._durable = left, dict(left)
        self.cut_in = 0

    def wipe(self) -> None:
        """Everything is gone."""
        self._files, self._durable, self.rows = {}, {}, {}

    def spent_s(self) -> float:
        """Seconds that the operations since the last question took."""
        spent, self.spent_ms = self.spent_ms, 0
        return spent / 1_000

    def begin(self, *, syncs: bool) -> bool:
        """Count an operation; whether the power fails in it."""
        self.operations += 1
        if syncs:
            self.spent_ms += 1 + self.chance.exponential(self.sync_ms)
        if self.cut_in:
            self.cut_in -= 1
            return self.cut_in == 0
        return False

    # --- files --------------------------------------------------------------------------------------------------------

    def file(self, path: Path) -> File:
        """The file of a path, made if there is none."""
        return self._files.setdefault(path, File())

    def names(self, directory: Path) -> list[str]:
        """Names that readers see."""
        return sorted(path.name for path in self._files if path.parent == directory)

    def find(self, path: Path) -> File | None:
        """The file of a path."""
        return self._files.get(path)

    def remove(self, path: Path) -> None:
        """Remove a name, for now in memory."""
        self._files.pop(path, None)

    def sync_names(self, directory: Path) -> None:
        """The names of a directory are durable."""
        for path in [path for path in self._durable if path.parent == directory]:
            del self._durable[path]
        self._durable |= {path: file for path, file in self._files.items() if path.parent == directory}

    def replace(self, path: Path, file: File) -> None:
        """A name gets another file, durably."""
        self._files[path] = self._durable[path] = file

    def rename(self, path: Path, target: Path) -> None:
        """A file gets another name, for now in memory."""
        self._files[target] = self._files.pop(path)

    def written(self, batch: Batch) -> None:
        """A batch is durable."""
        for key, value in batch.rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self._on_write(batch)


class LifeDisk:
    """What one life of a node sees of its machine's disk (`node.disk.Disk`). `cut` ends the life at once: it is called
    when the power fails in an operation."""

    def __init__(self, machine: MachineDisk, chance: Generator, cut: Callable[[], None]) -> None:
        self.machine = machine
        self.chance = chance
        self._cut = cut
        self.off = False

    def step(self, torn: Callable[[], None] | None = None, *, syncs: bool = False) -> None:
        """One operation. Raise `PowerCut` if the machine is off, or fails in it: then `torn` may be done or not."""
        if self.off:
            raise PowerCut
        if self.machine.begin(syncs=syncs):
            if torn is not None and self.chance.chance(500_000):
                torn()
            self._cut()
            raise PowerCut

    def open(self, path: Path) -> LifeFile:
        """See `Disk`."""
        self.step()
        return LifeFile(self, self.machine.file(path))

    def read(self, path: Path) -> bytes | None:
        """See `Disk`."""
        found = self.machine.find(path)
        return None if found is None else bytes(found.content)

    def names(self, directory: Path) -> list[str]:
        """See `Disk`."""
        return self.machine.names(directory)

    def remove(self, path: Path) -> None:
        """See `Disk`."""
        self.step()
        self.machine.remove(path)

    def rename(self, path: Path, target: Path) -> None:
        """See `Disk`."""
        self.step()
        self.machine.rename(path, target)

    def sync_directory(self, path: Path) -> None:
        """See `Disk`."""
        self.step(lambda: self.machine.sync_names(path), syncs=True)
        self.machine.sync_names(path)

    def write_durably(self, path: Path, data: bytes) -> None:
        """See `Disk`."""
        if self.machine.full and len(data) > FULL_BYTES:
            raise OSError(ENOSPC, "No space left on device")
        fresh = File(bytearray(data), data)
        self.step(lambda: self.machine.replace(path, fresh), syncs=True)
        self.machine.replace(path, fresh)

    def room(self, path: Path) -> tuple[int, int]:
        """See `Disk`."""
        return (FULL_BYTES if self.machine.full else SIZE_BYTES // 2), SIZE_BYTES


class LifeFile:
    """An open file of a life (`node.disk.LogFile`)."""

    def __init__(self, disk: LifeDisk, file: File) -> None:
        self._disk = disk
        self._file = file

    def write(self, offset: int, data: bytes) -> None:
        """See `LogFile`."""
        if self._disk.machine.full:
            self._file.write(offset, data[: self._disk.chance.between(0, len(data))])
            raise OSError(ENOSPC, "No space left on device")
        self._disk.step(lambda: self._file.write(offset, data))
        self._file.write(offset, data)

    def sync(self) -> None:
        """See `LogFile`."""
        self._disk.step(self._file.sync, syncs=True)
        self._file.sync()

    def truncate(self, size: int) -> None:
        """See `LogFile`. What is cut off may come back until the next sync."""
        self._disk.step()
        del self._file.content[size:]
        self._file.pending = [(offset, data) for offset, data in self._file.pending if offset < size]

    def close(self) -> None:
        """See `LogFile`: what was not synced stays in memory until a power cut."""


class LifeStore:
    """The database as one life sees it (`ledger.store.Store`)."""

    def __init__(self, disk: LifeDisk) -> None:
        self._disk = disk
        self._memory = MemoryStore(disk.machine.rows)

    def get(self, key: bytes) -> bytes | None:
        """See `Store`."""
        return self._memory.get(key)

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """See `Store`."""
        return self._memory.scan(prefix, after, limit, reverse)

    def write(self, batch: Batch, sync: bool) -> None:
        """See `Store`. What is not synced is lost with the life. A full disk breaks the database, as LevelDB's."""
        if self._disk.machine.full:
            raise StoreError("no space is left for the database", code="STORE_FULL")
        if not sync:
            self._memory.write(batch, sync)
            return
        self._disk.step(lambda: self._disk.machine.written(batch), syncs=True)
        self._memory.write(batch, sync)
        self._disk.machine.written(batch)

    def snapshot(self) -> Snapshot:
        """See `Store`."""
        return self._memory.snapshot()

    def approximate_size(self) -> int:
        """See `Store`."""
        return self._memory.approximate_size()

    def close(self) -> None:
        """See `Store`."""
        self._memory.close()
