"""`gridchain simulate --replay`: one run again, its failing part as a timeline and as a picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from consensus.simulator import SeedOptions, SimulationOptions
from consensus.simulator.diagram import draw as diagram
from consensus.simulator.journal import record
from consensus.simulator.options import SHARDED, draw
from ledger.errors import ConfigError
from node.cli.output import ExitCode, Output


def replay_run(output: Output, replay: str, options: SimulationOptions, picture: Path | None) -> None:
    """Run `replay` (a seed of the batch `options`, or a line that a failure printed) and show its failing part. Raise
    `ConfigError` (BAD_SEED_LINE), `typer.Exit` 1 if the run is not good."""
    _tell(output, _line(replay, options), picture)


def _line(replay: str, options: SimulationOptions) -> SeedOptions:
    """The run that `--replay` names: a seed of the batch that the other options say, or a line."""
    if replay.isdecimal():
        return draw(options, int(replay))
    try:
        return SeedOptions.parse(replay.partition("->")[0].strip())
    except ValueError as error:
        raise ConfigError(
            "not a line of the simulator",
            code="BAD_SEED_LINE",
            expected="a seed, or a line as a failed run prints it",
            found=error,
            fix="copy the whole line, in quotes",
        ) from None


def _tell(output: Output, options: SeedOptions, picture: Path | None) -> None:
    if options.engine in SHARDED:
        raise ConfigError(
            "a timeline shows one chain, and this run has several",
            code="NO_TIMELINE",
            expected="an engine of one chain",
            found=options.engine,
            fix=f"run it again, --engine {options.engine} --nodes {options.nodes} --seeds 1 with --first-seed",
        )
    journal = record(options)
    path = picture or Path(f"simulate-seed-{options.seed}.svg")
    try:
        path.write_text(diagram(journal), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "the diagram cannot be written",
            expected="a path that can be written",
            found=error,
            fix="name another with --svg",
        ) from None
    report = journal.report
    document = {
        "line": options.text(),
        "good": report.good,
        "blocks": report.blocks,
        "stalled": report.stalled,
        "violations": [f"{v.invariant} at {v.at_ms} ms, node {v.node}: {v.text}" for v in report.violations],
        "trace_hash": report.trace_hash,
        "begin_ms": journal.begin_ms,
        "end_ms": journal.end_ms,
        "timeline": [asdict(moment) for moment in journal.moments],
        "knowledge": list(journal.knowledge),
        "svg": str(path),
    }
    output.result(
        document,
        *journal.lines(),
        "who knew what then:" if report.violations else "who knew what at the end:",
        *(f"  {line}" for line in journal.knowledge),
        report.text(),
        f"trace hash {report.trace_hash}",
        f"diagram in {path}",
    )
    if not report.good:
        raise typer.Exit(ExitCode.FAILED)
