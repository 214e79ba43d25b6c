"""`gridchain simulate twins`: one member of four runs twice, in scenarios that are numbered and complete."""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consensus.simulator import SeedReport
from consensus.simulator.mutants import MUTANTS
from consensus.simulator.twins import Scenario, chosen, run_scenario, scenario_of, scenarios
from ledger.errors import ConfigError
from node.cli.output import ExitCode, JsonOption, Output


def twins(
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=3, help="Views that a scenario arranges.")] = 3,
    spread: Annotated[
        int, typer.Option("--spread", min=0, help="So many at equal distances, always the same; 0: all there are.")
    ] = 200,
    sampled: Annotated[int, typer.Option("--sampled", min=0, help="So many others, by --first-seed.")] = 50,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the sample.")] = 0,
    scenario: Annotated[int, typer.Option("--scenario", min=-1, help="This one alone; -1: none.")] = -1,
    mutant: Annotated[str, typer.Option("--mutant", help="With one rule removed, see `mutants`.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Run four members, one of them twice under its key, through scenarios of leaders and partitions by view: every one
    that differs in more than names has a number. Exit code 1 if an invariant is broken or a run stalls."""
    if mutant and mutant not in MUTANTS:
        raise ConfigError("no such mutant", expected=", ".join(MUTANTS), found=mutant, fix="take one of those names")
    output = Output(as_json=as_json)
    begun = time.monotonic()
    if scenario >= 0:
        wanted: tuple[Scenario, ...] = (scenario_of(scenario, rounds),)
    else:
        wanted = chosen(spread, sampled, first_seed, rounds) if spread else tuple(scenarios(rounds))
    found = _run_all(output, wanted, mutant)
    bad = [(one, report) for one, report in found if not report.good]
    document: dict[str, Any] = {
        "rounds": rounds,
        "scenarios": sum(1 for _ in scenarios(rounds)),
        "run": len(found),
        "first_seed": first_seed,
        "mutant": mutant,
        "events": sum(report.events for _, report in found),
        "violations": [_line(one, report) for one, report in bad if report.violations],
        "stalls": [_line(one, report) for one, report in bad if report.stalled],
        "trace_hash": hashlib.sha256("".join(report.trace_hash for _, report in found).encode()).hexdigest(),
        "good": not bad,
        "wall_s": round(time.monotonic() - begun, 3),
    }
    output.result(
        document,
        f"{len(found)} of {document['scenarios']} scenarios of {rounds} rounds (sample by seed {first_seed}): "
        + (f"{len(bad)} failed" if bad else "nothing broken, every one went on"),
        *(f"  {_line(one, report)}" for one, report in bad[:20]),
    )
    if bad:
        raise typer.Exit(ExitCode.FAILED)


def _run_all(output: Output, wanted: tuple[Scenario, ...], mutant: str) -> list[tuple[Scenario, SeedReport]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = output.as_json or not output.errors.is_terminal
    with Progress(*columns, console=output.errors, transient=True, disable=hidden) as progress:
        return [(one, run_scenario(one, mutant)) for one in progress.track(wanted, description="scenarios")]


def _line(scenario: Scenario, report: SeedReport) -> str:
    """A failure and how to run it again."""
    broken = "; ".join(
        f"{one.invariant} at {one.at_ms} ms, node {one.node}: {one.text}" for one in report.violations[:3]
    )
    return f"scenario {scenario.number} ({scenario.text()}): {broken or report.stalled}"
