"""Everything this node says in consensus, written down as it leaves (`[dev] record`): what an auditor of tests reads.

The record is not the log: it is written when a message is handed to the network, it is never read by the node, and each
life of a process has a file of its own. A record is a length of four bytes, big-endian, and the message's bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path


class Recorder:
    """Appends records without a buffer of its own, so that a killed process has recorded all that it has sent."""

    __slots__ = ("_descriptor",)

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{time.time_ns():020d}.log"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def record(self, message: bytes) -> None:
        """Write one message before it is sent."""
        os.write(self._descriptor, len(message).to_bytes(4, "big") + message)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)


def read_records(path: Path) -> Iterator[bytes]:
    """The whole messages of a record; a torn last one was never sent and is left out."""
    data = path.read_bytes()
    position = 0
    while position + 4 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if position + 4 + size > len(data):
            return
        yield data[position + 4 : position + 4 + size]
        position += 4 + size
