"""`gridchain bench`: throughput and latency of real processes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.contract_speed import run_contract_bench, table
from bench.tps import TpsOptions, run_tps
from contracts.library_sources import AuctionMode
from deploy.founding import make_network
from deploy.layout import NetworkLayout, default_names
from deploy.network import NetworkPlan
from ledger.errors import ConfigError
from node.cli.output import JsonOption, Output, run_async
from node.host import tame_collector

app = typer.Typer(help="Measure throughput and latency of real processes, and contracts.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure; figures are honest only when the machine is otherwise idle."""


@app.command()
def tps(
    engine: Annotated[str, typer.Option(help="solo or bft.")] = "bft",
    validators: Annotated[
        int | None, typer.Option(min=1, max=64, help="Node processes; 4, with solo 1.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Measured time.")] = 20.0,
    warmup: Annotated[float, typer.Option(min=0, help="Time before the measured one.")] = 5.0,
    transactions: Annotated[int | None, typer.Option(min=100, help="Send so many instead of for a time.")] = None,
    senders: Annotated[int, typer.Option(min=1, max=10_000, help="Accounts, each with a meter and funds.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the senders' keys.")] = 7,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the network's directory.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Signed orders through every validator's API; the clock ends with the last receipt read from every node."""
    nodes = validators or (1 if engine == "solo" else 4)
    if engine == "solo" and nodes != 1:
        raise ConfigError(
            "solo has one validator",
            code="BAD_OPTION",
            expected="--validators 1",
            found=nodes,
            fix="use --engine bft for more",
        )
    output = Output(as_json=as_json)
    directory = Path(tempfile.mkdtemp(prefix="gridchain-bench-"))
    options = TpsOptions(engine, nodes, seconds, warmup, transactions, senders, directory, seed)
    try:
        document = run_async(run_tps(_network(options), options, output.note))
    finally:
        if keep:
            output.note(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    output.result(document, *_lines(document))


def _network(options: TpsOptions) -> NetworkLayout:
    """Found the network that is measured, below the run's directory."""
    return make_network(
        NetworkPlan(
            directory=options.directory / "network",
            chain_name=f"bench-{options.engine}",
            engine=options.engine,
            names=tuple(default_names(options.validators)),
            mode=AuctionMode(sealed=False),  # an order is one transaction
        )
    )


@app.command()
def contracts(
    rounds: Annotated[int, typer.Option(min=3, max=1_000, help="Repeats of each figure; medians are reported.")] = 21,
    as_json: JsonOption = False,
) -> None:
    """What contracts cost, in signature checks of the same run; and integer loops in times of plain CPython."""
    output = Output(as_json=as_json)
    tame_collector()
    document = run_contract_bench(rounds, output.note)
    output.result(document, *table(document))


def _lines(document: dict[str, Any]) -> list[str]:
    latency = document["latency_ms"]
    lines = [
        f"{document['engine']}, {document['validators']} validator(s), {document['senders']} senders",
        f"throughput    {document['tps']:.0f} transactions a second over {document['window_s']:.1f} s, on all nodes",
        f"efficiency    {document['efficiency']:.3f} of {document['verify_all_per_s']:.0f} signature checks a second",
        f"              {document['efficiency_cpu']:.3f} of all CPU of nodes and client is signature checks",
        f"latency       p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms, p99 {latency['p99']:.0f} ms "
        f"at {document['latency_rate']:.0f} a second",
        f"CPU           {document['cpu_s_per_transaction'] * 1e6:.0f} us a transaction over all nodes, "
        f"{document['client_cpu_s_per_transaction'] * 1e6:.0f} us in the client",
        f"blocks        {document['blocks_per_s']:.1f} a second, {document['fsyncs_per_s']:.1f} syncs a second",
    ]
    if not document["decides"]:
        lines.append(f"others used {document['other_cpu']:.2f} cores meanwhile: this run decides nothing")
    return lines
