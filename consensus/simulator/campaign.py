"""Is every missing rule noticed? Each mutant runs over seeds, and the true core over the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from consensus.simulator.mutants import MUTANTS
from consensus.simulator.options import SeedOptions, SimulationOptions, draw
from consensus.simulator.simulation import SeedReport, run_seed

CHAOS_S = 10


@dataclass(frozen=True, slots=True)
class MutantReport:
    """What became of one mutant. `seed` and `by` (an invariant, or `stall`) of the run that killed it, `line` to run it
    again; `tried`: seeds run until then; `control`: lines of true runs over the same seeds that failed, always empty if
    the core is right. A mutant is killed only if there is none."""

    name: str
    without: str
    killed: bool
    seed: int | None
    by: str
    line: str
    tried: int
    control: tuple[str, ...]


def lured(name: str, seed: int) -> SeedOptions:
    """The options of a seed for a mutant and for its control: the swarm's without its liars, and the mutant's lure."""
    plain = draw(SimulationOptions(nodes=4, seconds=CHAOS_S), seed)
    calm = replace(plain, adversary="", byzantine=0, twins=0, skewed=0, wiped=0)
    return replace(calm, **MUTANTS[name].lure)  # type: ignore[arg-type]  # values of these fields


def hunt(name: str, seeds: Iterable[int], controls: dict[str, SeedReport]) -> MutantReport:
    """Run a mutant over `seeds` until it dies, and the true core over the seeds that took. `controls` keeps true runs:
    mutants with one lure share them."""
    tried, seed, by = 0, None, ""
    failed: list[str] = []
    for candidate in seeds:
        options = lured(name, candidate)
        tried += 1
        if options.text() not in controls:
            controls[options.text()] = run_seed(options)
        control = controls[options.text()]
        if not control.good:
            failed.append(control.text())
        report = run_seed(replace(options, mutant=name), hasty=True)
        if not report.good:
            seed, by = candidate, report.violations[0].invariant if report.violations else "stall"
            break
    line = "" if seed is None else replace(lured(name, seed), mutant=name).text()
    killed = seed is not None and not failed
    return MutantReport(name, MUTANTS[name].without, killed, seed, by, line, tried, tuple(failed))


def hunt_all(
    first_seed: int, seeds: int, tell: Callable[[MutantReport], None] | None = None
) -> tuple[MutantReport, ...]:
    """Hunt every mutant: its known seed, then `seeds` others from `first_seed` on. `tell` hears of each."""
    controls: dict[str, SeedReport] = {}
    reports = []
    for name, mutant in MUTANTS.items():
        others = range(first_seed, first_seed + seeds)
        report = hunt(name, (mutant.seed, *(seed for seed in others if seed != mutant.seed)), controls)
        reports.append(report)
        if tell is not None:
            tell(report)
    return tuple(reports)
