"""`gridchain simulate`: the consensus engine, or whole nodes, in a seeded world of loss, delay, crash and lies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consensus.simulator import SeedReport, SimulationOptions, SimulationReport, simulate
from consensus.simulator.options import (
    ADVERSARIES,
    COUNCIL_ADVERSARIES,
    ENGINES,
    FAULTS,
    SHARD_ADVERSARIES,
    adversaries_of,
)
from ledger.engine_settings import AUDITS
from node.cli.output import ExitCode, JsonOption, Output
from node.cli.simulate_malicious import malicious
from node.cli.simulate_market import market, one_of
from node.cli.simulate_mutants import mutants
from node.cli.simulate_nodes import LAYERS, replay_nodes
from node.cli.simulate_replay import replay_run
from node.cli.simulate_twins import twins
from node.simulation import simulate_nodes

_Run: TypeAlias = Callable[[SimulationOptions, Callable[[SeedReport], None]], SimulationReport]

app = typer.Typer(
    help="Run the consensus engine or whole nodes among faults, or strategies on a market.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("market")(market)
app.command("malicious")(malicious)
app.command("mutants")(mutants)
app.command("twins")(twins)


@app.callback()
def run(
    context: typer.Context,
    layer: Annotated[
        str, typer.Option("--layer", help="engine: engines alone; node: whole nodes on simulated machines.")
    ] = "engine",
    engine: Annotated[str, typer.Option("--engine", help=f"{', '.join(ENGINES)}.")] = "bft",
    nodes: Annotated[
        int, typer.Option("--nodes", min=1, max=200, help="All members; of `sharded` four are centres.")
    ] = 4,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many runs.")] = 50,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the first run.")] = 0,
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="Simulated seconds of faults a run.")] = 20,
    faults: Annotated[str, typer.Option("--faults", help=f"{' or '.join(FAULTS)}.")] = "swarm",
    adversary: Annotated[
        str,
        typer.Option(
            "--adversary",
            help=f"One of {', '.join(ADVERSARIES)}; with elections also {', '.join(COUNCIL_ADVERSARIES)}; with regions "
            f"{', '.join(SHARD_ADVERSARIES)}. `list`: those of the engine.",
        ),
    ] = "",
    audit: Annotated[
        str, typer.Option("--audit", help=f"When centres of `sharded` execute records again: {', '.join(AUDITS)}.")
    ] = "eager",
    replay: Annotated[str, typer.Option("--replay", help="One run: a seed, or the line that a failure printed.")] = "",
    svg: Annotated[Path | None, typer.Option("--svg", help="Where --replay draws the failing part.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run many seeds and check every invariant after each event. Exit code 1 if one is broken or a run stalls."""
    if context.invoked_subcommand is not None:
        return
    output = Output(as_json=as_json)
    one_of("layer", layer, LAYERS)
    one_of("engine", engine, ENGINES)
    one_of("faults", faults, FAULTS)
    one_of("audit", audit, AUDITS)
    if adversary == "list":
        found = adversaries_of(engine)
        output.result({"engine": engine, "adversaries": list(found)}, *(found or ("none",)))
        return
    if adversary:
        one_of("adversary", adversary, adversaries_of(engine))
    options = SimulationOptions(
        engine=engine,
        nodes=nodes,
        seeds=seeds,
        first_seed=first_seed,
        seconds=seconds,
        faults=faults,
        adversary=adversary,
        audit=audit,
    )
    if replay and (layer == "node" or "layer=node" in replay):
        if not replay_nodes(output, replay, options):
            raise typer.Exit(ExitCode.FAILED)
        return
    if replay:
        replay_run(output, replay, options, svg)
        return
    begun = time.monotonic()
    report = _with_progress(output, options, simulate if layer == "engine" else simulate_nodes)
    wall_s = time.monotonic() - begun
    output.result(
        {"layer": layer, **report.as_dict(), "good": report.good, "wall_s": round(wall_s, 3)},
        f"{report.seeds} seeds of {report.nodes} nodes, engine {report.engine}: "
        f"{report.forks} forks, {report.stalls} stalls, {len(report.violations)} broken invariants",
        f"{report.blocks} blocks, {report.events} events, {report.simulated_s} simulated s in {wall_s:.1f} s",
        f"trace hash {report.trace_hash}",
        *(f"  {line}" for line in report.violations[:20]),
    )
    if not report.good:
        raise typer.Exit(ExitCode.FAILED)


def _with_progress(output: Output, options: SimulationOptions, run: _Run) -> SimulationReport:
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = output.as_json or not output.errors.is_terminal
    with Progress(*columns, console=output.errors, transient=True, disable=hidden) as progress:
        task = progress.add_task("seeds", total=options.seeds)

        def tell(seed: SeedReport) -> None:
            progress.advance(task)
            if not seed.good:
                output.note(seed.text())

        return run(options, tell)
