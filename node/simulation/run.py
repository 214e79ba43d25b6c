"""One seed of whole nodes: chaos, the quiet phase with its criterion of liveness, what is checked afterwards."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from consensus.simulator.options import SimulationOptions
from consensus.simulator.simulation import NEW_BLOCKS, SeedReport, SimulationReport, simulate
from node.simulation.afterwards import audit_disks
from node.simulation.loop import VirtualLoop
from node.simulation.mutants import mutated_shell
from node.simulation.options import NodeSeed, draw_nodes
from node.simulation.world import NodeWorld

SETTLE_MS: Final = 4_000
"""For what an engine does not do: links made anew, a full disk asked again, catching up begun."""
LOOK_S: Final = 0.05
LAST_S: Final = 1.0


@contextmanager
def no_logs() -> Iterator[None]:
    """Nodes log nothing: what they do is told by the audit."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), processors=[])
    try:
        yield
    finally:
        structlog.configure(**before)


def run_node_seed(options: NodeSeed, hasty: bool = False) -> SeedReport:
    """Run one seed. Pure: same options, same report. `hasty`: end the faults at the first broken invariant, without the
    quiet phase."""
    with no_logs(), mutated_shell(options.mutant), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_run(options, hasty))


async def _run(options: NodeSeed, hasty: bool) -> SeedReport:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    world = NodeWorld(options, loop)
    auditor = world.auditor
    loop.set_exception_handler(lambda _loop, context: auditor.violation("crash", -1, str(context)))
    stalled, gained = "", 0
    async with asyncio.TaskGroup() as group:
        world.begin(group)
        load = group.create_task(world.clients.run(world.load_ms))
        await _faults(world, hasty)
        if options.quiet and not (hasty and auditor.violations):
            stalled, gained = await _quiet_phase(world)
        load.cancel()
        await world.stop()
    audit_disks(world.genesis, [member.disk.rows for member in world.members], auditor)
    found = tuple(auditor.violations)
    return SeedReport(
        options=options,
        blocks=max(auditor.heights),
        quiet_blocks=gained,
        submitted=len(world.clients.submitted),
        events=loop.steps,
        simulated_ms=int(loop.time() * 1_000),
        forks=sum(violation.invariant == "I1" for violation in found),
        stalled=stalled,
        evidence=auditor.caught,
        violations=found,
        trace_hash=auditor.trace_hash(),
    )


async def _faults(world: NodeWorld, hasty: bool) -> None:
    for _ in range(int(world.options.seconds_ms / 1_000 / LOOK_S)):
        if hasty and world.auditor.violations:
            return
        await asyncio.sleep(LOOK_S)


async def _quiet_phase(world: NodeWorld) -> tuple[str, int]:
    """Within 10 * (wait + 3 * Delta_max) every honest node has 10 new blocks, and what was accepted is in (C.3)."""
    world.calm()
    loop, auditor = world.loop, world.auditor
    people = [member.index for member in world.members if member.index not in auditor.liars]
    before = {index: auditor.heights[index] for index in people}
    end = loop.time() + (SETTLE_MS + 10 * (world.options.interval_ms + 3 * world.delta_ms())) / 1_000

    def gained() -> int:
        return min(auditor.heights[index] - height for index, height in before.items())

    while gained() < NEW_BLOCKS:
        if loop.time() >= end:
            return f"stall: {gained()} new blocks in the quiet phase", gained()
        await asyncio.sleep(LOOK_S)
    world.clients.loading = False
    while world.clients.waiting() or min(auditor.heights[index] for index in people) < _last_work(world):
        if loop.time() >= end:
            return f"stall: {world.clients.waiting()} transactions are not in, or not everywhere", gained()
        await asyncio.sleep(LOOK_S)
    await asyncio.sleep(LAST_S)
    for index, _, node in world.nodes():
        status = node.status()
        stopped = status.stopped_reason and not status.held  # who has lost its log may have to wait longer
        if index in people and (status.mempool or stopped):  # with a liar nobody may speak any more
            auditor.violation("mempool", index, f"{status.mempool} still wait; stopped: {status.stopped_reason!r}")
    return "", gained()


def _last_work(world: NodeWorld) -> int:
    return max(world.auditor.included.values(), default=0)


def simulate_nodes(
    options: SimulationOptions, progress: Callable[[SeedReport], None] | None = None
) -> SimulationReport:
    """Run a batch of seeds in order; `progress` is told of each."""
    return simulate(options, progress, lambda options, seed: run_node_seed(draw_nodes(options, seed)))
