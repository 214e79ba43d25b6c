"""`gridchain bench`: throughput and latency of real processes."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

import typer

from bench.contract_speed import run_contract_bench, table
from bench.networks import ENGINES, BenchNetwork, Measuring, measured
from bench.scaling import ScalingOptions, run_simulated
from bench.scaling import table as scaling_table
from bench.scaling_real import RealOptions, real_table, run_real
from ledger.errors import ConfigError
from node.cli.output import JsonOption, Output, run_async
from node.host import tame_collector

USUAL_BURSTS: Final = "100,500,1000,2000,5000"
MOST_IN_BURST: Final = 20_000
MOST_SENT: Final = 1_000_000
"""All are signed before the first is sent."""
LONGEST_S: Final = 600.0

app = typer.Typer(help="Measure throughput and latency of real processes, and contracts.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure; figures are honest only when the machine is otherwise idle."""


@app.command()
def tps(
    engine: Annotated[str, typer.Option(help="solo, bft, dpos or sharded.")] = "bft",
    validators: Annotated[
        int | None, typer.Option(min=1, max=64, help="Node processes; 4, with solo 1.", show_default=False)
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, max=8, help="Regions of sharded, 3; four centres besides.", show_default=False)
    ] = None,
    members: Annotated[
        int | None, typer.Option(min=4, max=16, help="Of each region of sharded, 4.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=LONGEST_S, help="Measured time.")] = 20.0,
    warmup: Annotated[float, typer.Option(min=0, max=LONGEST_S, help="Time before the measured one.")] = 5.0,
    transactions: Annotated[
        int | None, typer.Option(min=100, max=MOST_SENT, help="Send so many (to each region) instead of for a time.")
    ] = None,
    senders: Annotated[
        int, typer.Option(min=1, max=10_000, help="Accounts (of each region), each with a meter and funds.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the senders' keys.")] = 7,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the network's directory.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Signed orders through every validator's API; the clock ends with the last receipt read from every node."""
    network = BenchNetwork.of(engine, validators, shards, members)
    output = Output(as_json=as_json)
    document = run_async(
        measured(network, Measuring(seconds, warmup, transactions, senders, seed, keep), output.progress)
    )
    output.result(document, *_lines(document))


@app.command()
def engines(
    seconds: Annotated[float, typer.Option(min=1, max=LONGEST_S, help="Measured time of each engine.")] = 20.0,
    warmup: Annotated[float, typer.Option(min=0, max=LONGEST_S, help="Time before the measured one.")] = 5.0,
    transactions: Annotated[
        int | None, typer.Option(min=100, max=MOST_SENT, help="Send so many (to each region) instead of for a time.")
    ] = None,
    senders: Annotated[int, typer.Option(min=1, max=10_000, help="Accounts, as of `bench tps`.")] = 100,
    only: Annotated[str, typer.Option(help="Engines, separated by commas.")] = ",".join(ENGINES),
    shards: Annotated[int, typer.Option(min=1, max=8, help="Regions of sharded.")] = 3,
    members: Annotated[int, typer.Option(min=4, max=16, help="Of each region of sharded.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the senders' keys.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """`bench tps` on a network of every engine, one after the other."""
    names = [name.strip() for name in only.split(",")]
    if len(set(names)) != len(names):
        raise ConfigError(
            "an engine twice", code="BAD_OPTION", expected="each once", found=only, fix=f"--only {','.join(ENGINES)}"
        )
    networks = [
        BenchNetwork.of(name, None, *((shards, members) if name == "sharded" else (None, None))) for name in names
    ]
    output = Output(as_json=as_json)
    found = []
    for network in networks:
        output.progress(f"engine {network.engine}")
        how = Measuring(seconds, warmup, transactions, senders, seed)
        found.append(run_async(measured(network, how, output.progress)))
    lines = [line for document in found for line in (*_lines(document), "")]
    output.result({"engines": found}, *lines[:-1])


@app.command()
def contracts(
    rounds: Annotated[int, typer.Option(min=3, max=1_000, help="Repeats of each figure; medians are reported.")] = 21,
    as_json: JsonOption = False,
) -> None:
    """What contracts cost, in signature checks of the same run; and integer loops in times of plain CPython."""
    output = Output(as_json=as_json)
    tame_collector()
    document = run_contract_bench(rounds, output.progress)
    output.result(document, *table(document))


@app.command()
def scaling(
    shards: Annotated[int, typer.Option(min=2, max=8, help="Regions.")] = 3,
    members: Annotated[int, typer.Option(min=4, max=16, help="Of each region.")] = 4,
    transactions: Annotated[str, typer.Option(help="Sizes of the bursts, separated by commas.")] = USUAL_BURSTS,
    simulated: Annotated[bool, typer.Option("--simulated", help="Virtual time, instead of real processes.")] = False,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Seeds of the main measurement.")] = 10,
    variant_runs: Annotated[int, typer.Option(min=1, max=100, help="Seeds of what is run beside it.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; one per core.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Time to finality of bursts of orders: regions against one chain of all their members."""
    sizes = _sizes(transactions)
    output = Output(as_json=as_json)
    if not simulated:
        real = run_async(run_real(RealOptions(shards, members, sizes, runs, seed), output.progress))
        output.result(real, *real_table(real))
        return
    tame_collector()
    options = ScalingOptions(shards, members, sizes, runs, variant_runs, seed, jobs or os.cpu_count() or 1)
    document = run_simulated(options, output.progress)
    output.result(document, *scaling_table(document))


def _sizes(text: str) -> tuple[int, ...]:
    """Ascending, each once."""
    parts = [part.strip() for part in text.split(",")]
    sizes = sorted({int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 7})
    if len(sizes) < 2 or len(sizes) != len(parts) or sizes[0] < 10 or sizes[-1] > MOST_IN_BURST:
        raise ConfigError(
            "these are no sizes of bursts",
            code="BAD_OPTION",
            expected=f"at least two different whole numbers from 10 to {MOST_IN_BURST}, separated by commas",
            found=repr(text),
            fix=f"--transactions {USUAL_BURSTS}",
        )
    return tuple(sizes)


def _lines(document: dict[str, Any]) -> list[str]:
    latency = document["latency_ms"]
    shape = f", {document['shards']} region(s) of {document['members']}" if "shards" in document else ""
    lines = [
        f"{document['engine']}, {document['validators']} validator(s){shape}, {document['senders']} senders",
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
