"""`gridchain node run`: one node in the foreground, until it is told to stop or something breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from ledger.genesis import load_genesis
from node.api.server import ApiServer
from node.cli import restart
from node.cli.output import ExitCode, command_app, run_until_stopped
from node.config import NodeConfig, load_config
from node.host import Carried, Host
from node.lifeline import die_with
from node.log import configure_logging, node_logger
from node.program_shelf import shelve_library

app = command_app("Run a node.")
app.add_typer(restart.app, name="restart-certificate")


@app.callback()
def _group() -> None:
    """Run a node."""


@app.command()
def run(
    home: Annotated[Path, typer.Argument(help="The node's home (with config.toml), or a configuration file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines, whatever [log] format says.")] = False,
    die_with_pid: Annotated[
        int, typer.Option("--die-with", help="End as soon as this parent process ends.", hidden=True)
    ] = 0,
) -> None:
    """Run a node in the foreground. SIGTERM or Ctrl-C ends it in good order, with exit code 0; 1 if
    it had stopped committing for good before (`stopped_reason` of its status says why)."""
    if die_with_pid:
        die_with(die_with_pid)
    config = load_config(home, {"log": {"format": "json"}} if as_json else None)
    configure_logging(config.log.format, config.log.level)
    shelve_library()
    halted: list[str] = []
    run_until_stopped(serve(config, halted.append), uvloop.new_event_loop if config.node.uvloop else None)
    if any(halted):
        raise typer.Exit(ExitCode.FAILED)


async def serve(config: NodeConfig, ending: Callable[[str], None]) -> None:
    """Open node and API, and serve until a part crashes or this task is cancelled; `ending` hears whether the node had
    stopped committing for good, and why. Where a region begins anew, both are opened again."""
    genesis = load_genesis(config.path(config.node.genesis))
    config.check_chain(genesis.name)
    log = node_logger(config.node.name)
    settings, carried = config.api, Carried()
    while True:
        async with Host.open(config, genesis, carried) as host:
            async with ApiServer.open(host.chains, settings) as api:
                log.info("ready", url=f"http://{settings.host}:{api.port}", chain=host.home.status().chain_id)
                outgrown = False
                try:
                    await host.finished()
                    outgrown = True
                finally:
                    log.info("opening again" if outgrown else "stopping", stopped_reason=host.halted)
                    if not outgrown:
                        ending(host.halted)
                settings = settings.model_copy(update={"port": api.port})  # whoever follows comes back to the same
            carried = host.waiting()  # nobody is promised anything any more
