"""Ports of local networks: which are free, and which other networks on this machine have claimed.

A node that is killed and started again needs its port back. While it is down the port is free for anybody, so the
cluster that owns it holds a claim: a locked file per port, which the system unlocks when the process ends, in any way.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import ConfigError

PORTS_TRIED: Final = 2_000


def is_free(host: str, port: int) -> bool:
    """Tell whether this process could listen on a port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(host: str, first: int, taken: set[int] | None = None) -> Iterator[int]:
    """Yield free ports from `first` upwards, stepping over busy ones and those in `taken`, which grows.

    `first` 0 lets the system choose. Raise `ConfigError` after `PORTS_TRIED` busy ones.
    """
    used = taken if taken is not None else set()
    if first == 0:
        while True:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.bind((host, 0))
                port = int(probe.getsockname()[1])
            if port not in used:
                used.add(port)
                yield port
    for port in range(first, min(first + PORTS_TRIED, 65_536)):
        if port not in used and is_free(host, port):
            used.add(port)
            yield port
    raise ConfigError(
        "no free port",
        code="PORTS_BUSY",
        expected=f"a free port from {first} on",
        found="none",
        fix="begin at another port",
    )


class PortClaims:
    """Ports that this process owns among the networks of this user, until `release` or its end."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.gettempdir()) / f"gridchain-ports-{os.getuid()}"
        self._locks: dict[int, int] = {}

    def claim(self, port: int) -> bool:
        """Claim a port; False if another process has it."""
        if port in self._locks:
            return True
        self._directory.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._locks[port] = descriptor
        return True

    def release(self) -> None:
        """Give all claims back."""
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._locks.clear()
