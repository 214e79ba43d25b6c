"""`gridchain cluster`: the nodes of a local network as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.table import Table

from deploy.cluster import (
    STOP_TIMEOUT_S,
    Cluster,
    ClusterError,
    ClusterNode,
    launch,
    ready_within,
    refuse_running,
    running_pid,
    stop_within,
    tail,
    wait_ready,
)
from deploy.layout import NetworkLayout, NodeLayout
from deploy.ports import PortClaims
from ledger.errors import GridchainError
from node.api.models import StatusView
from node.cli.output import ExitCode, JsonOption, Output, command_app, run_async, run_until_stopped
from node.cli.query import status_table
from node.client import Client

app = command_app("Start, stop and watch the nodes of a local network.")

DirectoryArgument = Annotated[Path, typer.Argument(help="The network's directory, from `gridchain init`.")]
NodeOption = Annotated[str, typer.Option("--node", help="Only this node.")]
REFRESH_S: Final = 1.0


@app.command()
def up(
    directory: DirectoryArgument,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready; `cluster down` ends it.")] = False,
    node: NodeOption = "",
    as_json: JsonOption = False,
) -> None:
    """Start the nodes and wait until each is ready; in the foreground, Ctrl-C ends them all."""
    layout = NetworkLayout.load(directory.resolve())
    output = Output(as_json=as_json)
    if detach or node:
        with output.working("starting nodes"):
            layout = run_async(_start_detached(layout, node))
        output.result(_up_document(layout), *_up_lines(layout))
        return
    stopped = run_until_stopped(_foreground(layout, output))
    output.note("all nodes have ended; the data is kept")
    if stopped and not output.answered:
        raise typer.Exit(ExitCode.INTERRUPTED)


async def _foreground(layout: NetworkLayout, output: Output) -> None:
    output.note("starting nodes")
    async with Cluster.open(layout) as cluster:
        output.result(_up_document(cluster.layout), *_up_lines(cluster.layout), "Ctrl-C ends all nodes")
        with Live(console=output.errors, auto_refresh=False, transient=True) as live:
            while True:
                if cluster.dead():
                    dead = cluster.dead()[0]
                    raise ClusterError(
                        f"{dead.name} has ended",
                        code="NODE_DIED",
                        expected="a running process",
                        found=f"its last lines:\n{dead.log_tail()}",
                        fix=f"see {dead.layout.log_file}",
                    )
                if output.errors.is_terminal and not output.as_json:
                    live.update(await _table(cluster.layout), refresh=True)
                await asyncio.sleep(REFRESH_S)


async def _start_detached(layout: NetworkLayout, only: str) -> NetworkLayout:
    if only:
        chosen = [layout.nodes[layout.node(only)]]
        refuse_running(layout, only)
    else:
        refuse_running(layout)
        layout = layout.with_free_ports(PortClaims())
        layout.save()
        chosen = list(layout.nodes)
    started = [ClusterNode(node, launch(layout, node, {}, attached=False), lives=1) for node in chosen]
    try:
        await wait_ready(layout.chain_id, started, ready_within(started))
    except GridchainError:
        running = [entry.process for entry in started if entry.process is not None and entry.running]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + stop_within(running)
        for process in running:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    process.kill()
                await asyncio.sleep(0.05)
        raise
    return layout


@app.command()
def down(directory: DirectoryArgument, node: NodeOption = "", as_json: JsonOption = False) -> None:
    """End the nodes in good order."""
    layout = NetworkLayout.load(directory.resolve())
    output = Output(as_json=as_json)
    chosen = [layout.nodes[layout.node(node)]] if node else list(layout.nodes)
    with output.working("ending nodes"):
        ended = _end_all(chosen)
    output.result({"ended": ended}, *(f"{name:<12} {outcome}" for name, outcome in ended.items()))


def _end_all(nodes: Sequence[NodeLayout]) -> dict[str, str]:
    """Tell all nodes, then wait for each; what became of them by name."""
    running = {node.name: running_pid(node) for node in nodes}
    for pid in running.values():
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + stop_within(nodes)
    return {node.name: _ended(node, running[node.name], deadline) for node in nodes}


def _ended(node: NodeLayout, pid: int | None, deadline: float) -> str:
    outcome = "not running" if pid is None else "ended"
    while pid is not None and running_pid(node) is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            outcome = "killed"
            deadline += STOP_TIMEOUT_S
        time.sleep(0.05)
    node.pid_file.unlink(missing_ok=True)
    return outcome


@app.command()
def kill(
    directory: DirectoryArgument,
    node: Annotated[str, typer.Argument(help="Its name.")],
    as_json: JsonOption = False,
) -> None:
    """SIGKILL one node, to see what the others do."""
    layout = NetworkLayout.load(directory.resolve())
    target = layout.nodes[layout.node(node)]
    pid = running_pid(target)
    if pid is None:
        raise ClusterError(
            f"{node} is not running",
            code="NODE_NOT_RUNNING",
            expected="a running process",
            found="none",
            fix=f"gridchain cluster up {directory} --node {node}",
        )
    os.kill(pid, signal.SIGKILL)
    Output(as_json=as_json).result(
        {"killed": node, "pid": pid}, f"{node} killed; start it again: gridchain cluster up {directory} --node {node}"
    )


@app.command()
def status(directory: DirectoryArgument, as_json: JsonOption = False) -> None:
    """Show every node. Exit code 3 if one does not answer."""
    layout = NetworkLayout.load(directory.resolve())
    found = run_async(_statuses(layout))
    document = [
        {
            "name": node.name,
            "url": node.url,
            "pid": running_pid(node),
            "status": view.model_dump(mode="json") if view else None,
        }
        for node, view in found
    ]
    Output(as_json=as_json).result(document, status_table([(node.name, view) for node, view in found]))
    if any(view is None for _node, view in found):
        raise typer.Exit(ExitCode.UNREACHABLE)


@app.command()
def logs(
    directory: DirectoryArgument,
    node: NodeOption = "",
    lines: Annotated[int, typer.Option("--lines", min=1, help="Lines of each node.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the end of the nodes' logs."""
    layout = NetworkLayout.load(directory.resolve())
    chosen = [layout.nodes[layout.node(node)]] if node else list(layout.nodes)
    texts = {entry.name: tail(entry.log_file, lines) for entry in chosen}
    Output(as_json=as_json).result(
        {name: text.splitlines() for name, text in texts.items()},
        *(
            f"== {name} ({layout.nodes[layout.node(name)].log_file})\n{text or 'nothing: it has not run yet'}"
            for name, text in texts.items()
        ),
    )


async def _statuses(layout: NetworkLayout) -> list[tuple[NodeLayout, StatusView | None]]:
    async def ask(node: NodeLayout) -> tuple[NodeLayout, StatusView | None]:
        try:
            async with Client.open(node.url, timeout_s=3.0) as client:
                return node, await client.status()
        except GridchainError:
            return node, None

    return list(await asyncio.gather(*(ask(node) for node in layout.nodes)))


async def _table(layout: NetworkLayout) -> Table:
    return status_table([(node.name, view) for node, view in await _statuses(layout)])


def _up_document(layout: NetworkLayout) -> dict[str, Any]:
    return {
        "chain_id": layout.chain_id,
        "nodes": [{"name": node.name, "url": node.url, "pid": running_pid(node)} for node in layout.nodes],
    }


def _up_lines(layout: NetworkLayout) -> list[str]:
    return [f"{node.name:<12} {node.url}  pid {running_pid(node)}" for node in layout.nodes]
