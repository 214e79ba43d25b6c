"""A seeded world in virtual time that drives engines directly and checks the invariants after each event.

    generator.py     the one source of chance
    options.py       what a run is: sizes, times, faults of one seed
    scheme.py        keyed-hash signatures
    application.py   a small state machine with real headers
    node.py          a model of the driver: log, disk, store, timers, lives
    network.py       links: loss, delay, duplication, partitions
    adversaries.py   members that lie, each a small class
    auditor.py       sees everything, believes nobody
    world.py         the event loop, the load, the faults
    simulation.py    one seed, many seeds, the report
    twins.py         one member twice, in numbered scenarios of leaders and partitions

Same options and seed, same trace hash. A seed that failed once stays in `tests/simulation/regressions.txt`.
"""

from __future__ import annotations

from consensus.simulator.options import SeedOptions, SimulationOptions
from consensus.simulator.simulation import SeedReport, SimulationReport, run_seed, simulate

__all__ = ["SeedOptions", "SeedReport", "SimulationOptions", "SimulationReport", "run_seed", "simulate"]
