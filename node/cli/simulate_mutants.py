"""`gridchain simulate mutants`: rules removed one at a time; each time somebody has to notice."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from consensus.simulator.campaign import MutantReport, hunt_all
from node.cli.output import ExitCode, JsonOption, Output


def mutants(
    seeds: Annotated[int, typer.Option("--seeds", min=0, help="Seeds to try beside the known one of each.")] = 5,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="First of them.")] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """Leave out one rule of the core at a time and run seeds until an invariant or liveness breaks, with the true core
    on the same seeds beside it. Exit code 1 if a missing rule was not noticed, or the true core failed."""
    output = Output(as_json=as_json)
    begun = time.monotonic()

    def tell(report: MutantReport) -> None:
        if not as_json:
            state = f"killed by {report.by} on seed {report.seed}" if report.killed else "NOT NOTICED"
            output.note(f"{report.name:28} {state:36} left out: {report.without}")

    reports = hunt_all(first_seed, seeds, tell)
    killed = sum(report.killed for report in reports)
    document = {
        "mutants": [asdict(report) for report in reports],
        "killed": killed,
        "survived": [report.name for report in reports if not report.killed],
        "wall_s": round(time.monotonic() - begun, 3),
    }
    output.result(
        document,
        f"{killed} of {len(reports)} missing rules were noticed",
        *(f"  {line}" for report in reports for line in report.control),
    )
    if killed < len(reports):
        raise typer.Exit(ExitCode.FAILED)
