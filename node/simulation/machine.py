"""A simulated machine: disk, clock, threads and a place on the network, for one node through all its lives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from consensus.simulator.generator import Generator
from consensus.simulator.world import GENESIS_MS
from ledger.store import Store
from node.clock import Clock
from node.peers import Links
from node.simulation.disk import LifeDisk, LifeStore, MachineDisk
from node.simulation.loop import VirtualLoop
from node.simulation.network import Switch
from p2p.settings import NetworkSettings, PeerHandler

TICK_S: Final = 0.000_05
"""What a stopwatch shows from one look to the next: work itself takes no virtual time while it runs."""


class LifeClock:
    """Wall time of a machine, off by `skew_ms`."""

    def __init__(self, loop: VirtualLoop, skew_ms: int) -> None:
        self._loop = loop
        self._skew_ms = skew_ms

    def now(self) -> int:
        """See `Clock`."""
        return GENESIS_MS + 1 + int(self._loop.now_s * 1_000) + self._skew_ms


class Life:
    """The machine as one life of a node has it (`node.machine.Machine`, `node.simulation.loop.Worker`)."""

    def __init__(
        self, place: tuple[int, VirtualLoop, Switch], disk: MachineDisk, skew_ms: int, cut: Callable[[], None]
    ) -> None:
        self._index, loop, self._switch = place
        self._chance = disk.chance.fork()
        self._watch = 0.0
        self.disk: LifeDisk = LifeDisk(disk, self._chance, cut)
        self.clock: Clock = LifeClock(loop, skew_ms)

    # --- node.machine.Machine -----------------------------------------------------------------------------------------

    def stopwatch(self) -> float:
        """See `Machine`."""
        self._watch += TICK_S
        return self._watch

    def store(self, path: Path, engine: str) -> Store:
        """See `Machine`."""
        return LifeStore(self.disk)

    def network(self, settings: NetworkSettings, handler: PeerHandler) -> AbstractAsyncContextManager[Links]:
        """See `Machine`."""
        return self._switch.open(self._index, handler)

    # --- node.simulation.loop.Worker ----------------------------------------------------------------------------------

    @property
    def off(self) -> bool:
        """See `Worker`."""
        return self.disk.off

    def delay_s(self) -> float:
        """See `Worker`."""
        return self._chance.below(500) / 1_000_000

    def took_s(self) -> float:
        """See `Worker`."""
        return self.disk.machine.spent_s() + self._chance.below(1_000) / 1_000_000


def new_generator(seed: int) -> Generator:
    """The chance of a run."""
    return Generator(seed * 7_919 + 104_729)
