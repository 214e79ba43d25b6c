"""One seed, and many. Nothing is retried and no seed is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from consensus.simulator.auditor import Violation
from consensus.simulator.mutants import mutated
from consensus.simulator.node import SimNode
from consensus.simulator.options import SeedOptions, SimulationOptions, draw
from consensus.simulator.published_sharding import EPOCH_MS, PublishedSharding
from consensus.simulator.sharded import ShardedWorld
from consensus.simulator.world import World

NEW_BLOCKS = 10


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What one run showed. `blocks`: final height of the fullest chain, `quiet_blocks`: least number of new blocks of a
    faultless node in the quiet phase; `stalled`: the liveness criterion was missed, and how."""

    options: SeedOptions
    blocks: int
    quiet_blocks: int
    submitted: int
    events: int
    simulated_ms: int
    forks: int
    stalled: str
    evidence: int
    violations: tuple[Violation, ...]
    trace_hash: str

    @property
    def good(self) -> bool:
        """Whether nothing was broken."""
        return not self.violations and not self.stalled

    def text(self) -> str:
        """One line with everything needed to run it again."""
        broken = "; ".join(f"{v.invariant} at {v.at_ms} ms, node {v.node}: {v.text}" for v in self.violations[:3])
        state = broken or self.stalled or "good"
        return f"{self.options.text()} -> {self.blocks} blocks, {state}"


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """A batch. `minimum_blocks`: the least final height; `trace_hash` names all traces in order of seeds."""

    engine: str
    nodes: int
    seeds: int
    first_seed: int
    forks: int
    stalls: int
    minimum_blocks: int
    blocks: int
    events: int
    simulated_s: int
    violations: tuple[str, ...]
    trace_hash: str

    @property
    def good(self) -> bool:
        """Whether no seed failed."""
        return not self.violations and not self.stalls

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "violations": list(self.violations)}


class _Named:
    """An engine never raises; should one do so, its error says which seed it was."""

    def __init__(self, options: SeedOptions) -> None:
        self._options = options

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"simulated: {self._options.text()}")


def run_seed(options: SeedOptions, hasty: bool = False, make: Callable[[SeedOptions], World] = World) -> SeedReport:
    """Run one seed: chaos, then (if `quiet`) the liveness criterion. Pure: same options, same report. `hasty`: end at
    the first broken invariant; `make`: another world than the usual, one that keeps a journal."""
    if options.engine == "sharded":
        return _run_sharded(options, hasty)
    if options.engine == "sharded-paper":
        return _run_published_shards(options)
    with mutated(options.mutant):
        world = make(options)
        stalled, gained = "", 0
        with _Named(options):
            world.begin()
            broken = world.auditor.violations
            while world.step(options.seconds_ms) and not (hasty and broken):
                pass
            if options.quiet and not (hasty and broken):
                stalled, gained = _quiet_phase(world)
    found = tuple(world.auditor.violations)
    return SeedReport(
        options=options,
        blocks=max(_height(node) for node in world.nodes),
        quiet_blocks=gained,
        submitted=len(world.submitted),
        events=world.events,
        simulated_ms=world.now,
        forks=sum(violation.invariant == "I1" for violation in found),
        stalled=stalled,
        evidence=len(world.auditor.evidence),
        violations=found,
        trace_hash=world.trace_hash(),
    )


def _run_sharded(options: SeedOptions, hasty: bool) -> SeedReport:
    """All chains of a sharded network. `blocks`: of the chain that has come least far."""
    with mutated(options.mutant):
        world = ShardedWorld(options)
        stalled, gained = "", 0
        with _Named(options):
            world.begin()
            while world.step(options.seconds_ms) and not (hasty and world.violations()):
                pass
            if options.quiet and not (hasty and world.violations()):
                stalled, gained = world.quiet_phase()
    found = world.violations()
    return SeedReport(
        options=options,
        blocks=world.least_height(),
        quiet_blocks=gained,
        submitted=sum(len(one.submitted) for one in world.worlds),
        events=sum(one.events for one in world.worlds),
        simulated_ms=world.now,
        forks=sum(violation.invariant == "I1" for violation in found),
        stalled=stalled,
        evidence=sum(len(one.auditor.evidence) for one in world.worlds),
        violations=found,
        trace_hash=world.trace_hash(),
    )


def _run_published_shards(options: SeedOptions) -> SeedReport:
    """Market D as published: after the faults, two epochs in which every settled block should be everybody's."""
    world = PublishedSharding(options)
    world.begin()
    for end in (options.seconds_ms, options.seconds_ms + 2 * EPOCH_MS):
        while world.step(end):
            pass
        world.quiet()
    found = tuple(world.violations)
    return SeedReport(
        options=options,
        blocks=world.least_height(),
        quiet_blocks=0,
        submitted=0,
        events=world.events,
        simulated_ms=world.now,
        forks=len(found),
        stalled="",
        evidence=world.fixes,
        violations=found,
        trace_hash=world.trace_hash(),
    )


def _height(node: SimNode) -> int:
    return node.chain[-1].header.height


def _quiet_phase(world: World) -> tuple[str, int]:
    """Within 10 * (wait + 3 * Delta_max) every faultless node has 10 new blocks, every transaction is final (C.3)."""
    world.quiet()
    people = world.faultless()
    before = [_height(node) for node in people]
    delta = max([node.core.state.delta() for node in people if node.core is not None], default=world.options.delta_ms)
    end = world.now + 10 * (world.parameters.min_block_interval_ms + 3 * delta)
    world.loading = True
    gained, stored = 0, world.stored
    while gained < NEW_BLOCKS:
        if not world.step(end):
            return f"stall: {gained} new blocks in the quiet phase", gained
        if world.stored != stored:
            stored = world.stored
            gained = min(_height(node) - height for node, height in zip(people, before, strict=True))
    world.loading = False
    while world.waiting:
        if not world.step(end):
            return f"stall: {len(world.waiting)} transactions are not in", gained
    return "", gained


def run_drawn(options: SimulationOptions, seed: int) -> SeedReport:
    """Run one seed of a batch."""
    return run_seed(draw(options, seed))


def simulate(
    options: SimulationOptions,
    progress: Callable[[SeedReport], None] | None = None,
    run: Callable[[SimulationOptions, int], SeedReport] = run_drawn,
) -> SimulationReport:
    """Run a batch of seeds in order; `progress` is told of each. `run`: how one seed is run."""
    reports: list[SeedReport] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        report = run(options, seed)
        reports.append(report)
        if progress is not None:
            progress(report)
    traces = hashlib.sha256("".join(report.trace_hash for report in reports).encode())
    return SimulationReport(
        engine=options.engine,
        nodes=options.nodes,
        seeds=len(reports),
        first_seed=options.first_seed,
        forks=sum(report.forks for report in reports),
        stalls=sum(bool(report.stalled) for report in reports),
        minimum_blocks=min((report.blocks for report in reports), default=0),
        blocks=sum(report.blocks for report in reports),
        events=sum(report.events for report in reports),
        simulated_s=sum(report.simulated_ms for report in reports) // 1_000,
        violations=tuple(report.text() for report in reports if not report.good),
        trace_hash=traces.hexdigest(),
    )
