"""Which logs a node has founded: what tells the first log of a new chain from one that was lost.

A validator that has no log may have forgotten votes, so it is held (`node.wal`, rule 3). On a chain on which a region
began anew nobody has voted before: there the node founds its log itself, without a hold, if `FOUNDED` beside the logs
of its chains says that it never did so before. `init` writes that file; it is lost with the logs and never backed up,
and it names a log before that log is opened for the first time. Where the file is not there, or names a log that is
not, the node begins held. A node that lost its disk and may vote again begins a new list, of all that it may have lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from node.disk import Disk, SystemDisk
from node.wal import Wal
from node.wal_format import WalIdentity

FOUNDED: Final = "FOUNDED"


def begin_list(directory: Path, disk: Disk | None = None) -> None:
    """Say that the logs below `directory` are those of a new node. Only `init` may. Raise `OSError`."""
    (disk or SystemDisk()).write_durably(directory / FOUNDED, b"")


def found_first(log: Path, identity: WalIdentity, disk: Disk) -> bool:
    """Found the log of a chain that begins now, if it is not there; False if it may have been lost: then nothing is
    written, and who opens it is held. Raise `OSError`, `StoreError`."""
    file = log.parent / FOUNDED
    listed = disk.read(file)
    names = () if listed is None else listed.decode("utf-8").split()
    if log.name in names or listed is None:
        return bool(disk.names(log))
    for torn in disk.names(log):  # no log was ever opened that the list does not name: this is of a crash in here
        disk.remove(log / torn)
    Wal.found(log, identity, disk)
    disk.write_durably(file, "\n".join((*names, log.name)).encode("utf-8"))
    return True


class LostList:
    """Whether the list below `directory` is missing, and what begins it again."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        self.missing = disk.read(directory / FOUNDED) is None

    def begin_again(self, lost: Iterable[str]) -> None:
        """This node votes on its home chain: that chain is alive, so none that begins after now has a log of an earlier
        life. `lost`: the names of all logs that may have existed. Raise `OSError`."""
        self._disk.write_durably(self._directory / FOUNDED, "\n".join(sorted(lost)).encode("utf-8"))
        self.missing = False
