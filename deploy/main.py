"""The `gridchain` command. Commands are imported when they are called, so that `node run` does not load the demo."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from node.cli.output import run_command

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("deploy.commands_demo", "A neighbourhood's day on four validators, in minutes."),
    "dev": ("deploy.commands_dev", "One node, instant blocks, accounts by role."),
    "init": ("deploy.commands_init", "Found a network: keys, certificates, genesis, node homes."),
    "machine": ("deploy.commands_machine", "Prepare a machine that genesis does not know for a seat in a region."),
    "cluster": ("deploy.commands_cluster", "Start, stop and watch the nodes of a local network."),
    "node": ("node.cli.node_run", "Run one node."),
    "keys": ("node.cli.keys", "Make key files and show their public side."),
    "contract": ("node.cli.contract", "Write, check, test and try contracts; deploy, vote and upgrade them."),
    "committee": ("node.cli.committee", "Who votes on a chain of engine bft, and changing that."),
    "region": ("node.cli.region", "Regions of a sharded network: standing, members, rewards, evidence."),
    "conformance": ("node.cli.conformance", "Run cases of the market specification through the contracts' own code."),
    "member": ("node.cli.member", "Join the register, judge applications, keep and erase personal data."),
    "market": ("node.cli.market", "Offer, bid, follow and settle accounts on a market; bills; exports."),
    "tx": ("node.cli.tx", "Call contracts and follow what became of a call."),
    "query": ("node.cli.query", "Ask a node about its chain."),
    "proof": ("node.cli.proof", "Export and check proofs of settlements."),
    "db": ("node.cli.db", "Check a node's database."),
    "reproduce": (
        "deploy.commands_reproduce",
        "The published results of the four markets, by the chain's own contracts.",
    ),
    "simulate": (
        "node.cli.simulate",
        "Run the consensus engine among faults, or strategies on a market.",
    ),
    "bench": ("deploy.commands_bench", "Measure throughput and latency of real processes."),
    "doctor": ("node.cli.doctor", "Check this machine and a node's files."),
}


class LazyCommands(TyperGroup):
    """Finds each command in its module when it is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None for a stranger, who is told the nearest name by the caller."""
        if cmd_name not in COMMANDS:
            return None
        module, _help = COMMANDS[cmd_name]
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the framework does, with the nearest name for a stranger."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"no command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_module, help_text) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyCommands,
    help="gridchain: a permissioned blockchain node for trading electricity between neighbours.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from node.api.health import version  # loads the whole API

        typer.echo(version())
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Trade electricity between neighbours on a permissioned chain."""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run_command(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
