"""What a node takes of the machine it runs on: time, disk, database, network. The whole-node simulator is another one.

Threads are not among these: whatever runs beside the loop goes through the loop's own `run_in_executor`.
"""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from ledger.store import Store, open_store
from node.clock import Clock, SystemClock
from node.disk import Disk, DiskFile, SystemDisk, UnsyncedLost
from node.peers import Links
from node.store_shim import UnsyncedLostStore
from p2p.certificates import NodeIdentity
from p2p.network import Network
from p2p.settings import NetworkSettings, PeerHandler


class Machine(Protocol):
    """See the module."""

    @property
    def disk(self) -> Disk:
        """Where the log is, and whose room the store's guard watches."""

    @property
    def clock(self) -> Clock:
        """Wall time."""

    def stopwatch(self) -> float:
        """Seconds of real time since any moment; what work has taken is measured by it, on any thread."""

    def store(self, path: Path, engine: str) -> Store:
        """Open or create the database in `path`. Raise `StoreError`."""

    def network(self, settings: NetworkSettings, handler: PeerHandler) -> AbstractAsyncContextManager[Links]:
        """Be linked with peers for as long as the scope lasts. Raise `ConfigError`."""


class SystemMachine:
    """This machine. `lose_unsynced`: after a kill begin with what was synced only, as if it had lost power."""

    def __init__(self, identity: NodeIdentity, *, clock_offset_ms: int = 0, lose_unsynced: bool = False) -> None:
        self._identity = identity
        self._lose_unsynced = lose_unsynced
        self.clock: Clock = SystemClock(clock_offset_ms)
        self.disk: Disk = SystemDisk(UnsyncedLost if lose_unsynced else DiskFile)

    def stopwatch(self) -> float:
        """See `Machine`."""
        return time.perf_counter()

    def store(self, path: Path, engine: str) -> Store:
        """See `Machine`."""
        store = open_store(path, engine)
        return UnsyncedLostStore(store) if self._lose_unsynced else store

    def network(self, settings: NetworkSettings, handler: PeerHandler) -> AbstractAsyncContextManager[Links]:
        """See `Machine`."""
        return Network.open(settings, self._identity, handler, self.clock.now)
