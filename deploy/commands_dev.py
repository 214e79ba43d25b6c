"""`gridchain dev`: one node, instant blocks, funded accounts by role. The same node and road as any other network."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from contracts.applications import application_digest
from contracts.values import Value
from deploy.cluster import Cluster, ClusterError
from deploy.commands_init import network_document
from deploy.founding import make_network
from deploy.layout import MANIFEST, NetworkLayout
from deploy.market.roster import DEFAULT, PricingOption, choices, market_of, mode_of_market
from deploy.network import NetworkPlan
from ledger.errors import GridchainError
from node.cli.output import ExitCode, JsonOption, Output, command_app, run_until_stopped
from node.client import Account, Client
from node.keys import load_key

app = command_app("One node, instant blocks, accounts by role.", group=False)

FUNDS_MICRO: Final = 1_000_000_000
DEV_SPEED: Final = 60
WATCH_S: Final = 0.5
DAY_SLOTS: Final = 8
"""Slots of market A's day: two minutes at the default speed."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A member of the development neighbourhood: its accounts are `name` and `name`_meter."""

    name: str
    role: str
    device: str
    rated_w: int


RESIDENTS: Final = (
    Resident("prosumer1", "prosumer", "pv", 10_000),
    Resident("consumer1", "consumer", "load", 5_000),
    Resident("consumer2", "consumer", "load", 5_000),
)


PARK: Final = Resident("producer1", "producer", "wind", 10_000)
"""Market A needs somebody who sells wind."""


def residents_of(market: str) -> tuple[Resident, ...]:
    """Who lives in the development neighbourhood of a market."""
    return (*RESIDENTS, PARK) if market_of(market).letter == "A" else RESIDENTS


class DevFailed(GridchainError):
    """The chain did not take what the development neighbourhood needs."""

    code = "DEV_SETUP"


@app.command()
def dev(
    directory: Annotated[Path | None, typer.Argument(help="Keep the chain here; absent: removed at the end.")] = None,
    market: Annotated[str, typer.Option("--market", help=f"{choices()}.")] = DEFAULT,
    published: Annotated[
        bool, typer.Option("--published", help="Plain orders; absent: sealed, commit then reveal.")
    ] = False,
    pricing: PricingOption = "midpoint",
    speed: Annotated[int, typer.Option("--speed", min=1, help="Market time per block time.")] = DEV_SPEED,
    slot_minutes: Annotated[int, typer.Option("--slot-minutes", help="15, 30 or 60.")] = 15,
    port: Annotated[int, typer.Option("--port", help="API port; a busy one is stepped over.")] = 8600,
    once: Annotated[bool, typer.Option("--once", help="End as soon as everything is ready.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a one-node chain with instant blocks, members with meters and money, and print their accounts."""
    output = Output(as_json=as_json)
    with ExitStack() as stack:
        if directory is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridchain-dev-"))) / "chain"
        else:
            home = directory.resolve()
        plan = NetworkPlan(
            directory=home,
            chain_name="dev-solo",
            engine="solo",
            names=("dev",),
            speed=speed,
            slot_minutes=slot_minutes,
            mode=mode_of_market(market, sealed=not published, slots=DAY_SLOTS, pricing=pricing),
            accounts=tuple(name for r in residents_of(market) for name in (r.name, f"{r.name}_meter")),
            first_api_port=port,
            strangers=True,  # a developer's keys are made as they are needed
        )
        fresh = not (home / MANIFEST).exists()
        layout = make_network(plan) if fresh else NetworkLayout.load(home)
        stopped = run_until_stopped(_run(layout, output, fresh=fresh, once=once))
    if stopped and not output.answered:
        raise typer.Exit(ExitCode.INTERRUPTED)


async def _run(layout: NetworkLayout, output: Output, *, fresh: bool, once: bool) -> None:
    output.note("starting the node")
    async with Cluster.open(layout) as cluster, Client.open(cluster.nodes[0].url) as client:
        if fresh:
            output.note("members join, the treasury deposits")
            await settle_in(client, cluster.layout)
        document = network_document(cluster.layout)
        output.result(document, *_lines(document))
        while not once:
            if cluster.dead():
                raise ClusterError(
                    "the node has ended",
                    code="NODE_DIED",
                    expected="a running process",
                    found=f"its last lines:\n{cluster.nodes[0].log_tail()}",
                    fix=f"see {cluster.nodes[0].layout.log_file}",
                )
            await asyncio.sleep(WATCH_S)


async def settle_in(client: Client, layout: NetworkLayout) -> None:
    """Register the residents and give them money, as any neighbourhood does. Raise `DevFailed`."""
    desk = {
        role: client.account(load_key(layout.key_file(role)))
        for role in ("energy_bureau", "grid_company", "trading_center")
    }
    known = {entry.name for entry in layout.accounts}
    for resident in (*RESIDENTS, PARK):
        if resident.name not in known:
            continue
        owner = client.account(load_key(layout.key_file(resident.name)))
        meter = load_key(layout.key_file(f"{resident.name}_meter"))
        application = _application(resident, meter.address)
        digest = application_digest(owner.address, application)
        await _must(owner, "registry", "apply", application)
        await _must(desk["energy_bureau"], "registry", "attest", [owner.address, digest, ["licence"]])
        await _must(desk["grid_company"], "registry", "attest", [owner.address, digest, ["meter", "connection"]])
        deposit: list[Value] = [owner.address, FUNDS_MICRO, f"dev {resident.name}"]
        await _must(desk["trading_center"], "token", "deposit", deposit)
    grid = desk["grid_company"].address
    await _must(desk["trading_center"], "token", "deposit", [grid, FUNDS_MICRO, "dev grid"])


def _application(resident: Resident, meter: bytes) -> list[Value]:
    pseudonym = hashlib.sha256(b"owner of " + meter).digest()
    name = hashlib.sha256(b"name of " + meter).digest()
    return [
        meter,
        pseudonym,
        [resident.role],
        [resident.device],
        [resident.rated_w],
        f"connection of {resident.name}",
        "dev",
        ["name"],
        [name],
    ]


async def _must(account: Account, contract: str, entry: str, arguments: Sequence[Value]) -> None:
    outcome = await account.call(contract, entry, arguments)
    if not outcome.ok:
        raise DevFailed(
            f"{contract}.{entry} failed",
            expected="a good receipt",
            found=outcome.code,
            fix="delete the directory and begin again",
        )


def _lines(document: dict[str, Any]) -> list[str]:
    (node,) = document["nodes"]
    lines = [f"chain    {document['chain_id']}", f"API      {node['url']}", ""]
    lines += [f"{entry['name']:<18} {entry['address']}" for entry in document["accounts"]]
    first = document["accounts"][0]["key"]
    lines += ["", f"keys     {Path(first).parent}", "Ctrl-C ends the node"]
    return lines
