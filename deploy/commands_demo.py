"""`gridchain demo`: the command line of `deploy.demo`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from deploy.card import Result, as_json, render
from deploy.demo import play
from deploy.demo_options import DemoOptions
from deploy.market.roster import DEFAULT, choices
from deploy.neighbourhood import DEFAULT_DATA, SLOTS
from deploy.regions.board import BoardScreen
from deploy.regions.card import RegionsResult, regions_json, render_regions
from deploy.regions.demo import play_regions
from deploy.screen import Screen
from node.cli.output import ExitCode, JsonOption, Output, command_app, run_async

T = TypeVar("T")

app = command_app("A neighbourhood's day on four validators, in minutes.", group=False)


@app.command()
def demo(
    market: Annotated[str, typer.Option(help=f"{choices()}.")] = DEFAULT,
    published: Annotated[
        bool, typer.Option("--published", help="Plain orders; absent: sealed, commit then reveal.")
    ] = False,
    slots: Annotated[int, typer.Option(help="How many consecutive slots of 15 minutes to trade.")] = SLOTS,
    first_slot: Annotated[
        int | None, typer.Option(help="Index of the first slot in the day; 48 - N/2 if absent.", show_default=False)
    ] = None,
    day: Annotated[str, typer.Option(help="A day that the data hold.")] = "2016-06-14",
    data: Annotated[
        Path, typer.Option(help="Folder of the same CSV layout; absent: the packaged one.", show_default=False)
    ] = DEFAULT_DATA,
    seed: Annotated[int, typer.Option(help="Seed of the order prices.")] = 7,
    engine: Annotated[str, typer.Option(help="solo, bft, dpos, or sharded (three regions, hours).")] = "bft",
    validators: Annotated[
        int | None, typer.Option(help="Number of node processes; 4, with solo 1.", show_default=False)
    ] = None,
    speed: Annotated[
        int | None,
        typer.Option(help="Market time over clock time, at most 9000; as measured if absent.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the network in this directory; absent: removed.", show_default=False)
    ] = None,
    kill: Annotated[bool, typer.Option(help="Kill one validator on the way and bring it back.")] = True,
    headless: Annotated[bool, typer.Option("--headless", help="Plain lines, no live page.")] = False,
    as_json_: JsonOption = False,
) -> None:
    """Four validators trade a real neighbourhood's day; ends with a checked result card."""
    options = DemoOptions(
        market=market,
        published=published,
        slots=slots,
        first_slot=first_slot,
        day=day,
        data=data,
        seed=seed,
        engine=engine,
        validators=validators,
        directory=keep,
        speed=speed,
        kill=kill,
    )
    _conclude(options, Output(as_json=as_json_), headless=headless)


def _conclude(options: DemoOptions, output: Output, *, headless: bool) -> None:
    """Play, print the result, and exit by it."""
    console = output.errors if output.as_json else output.console
    live = console.is_terminal and not headless and not output.as_json
    result: Result | RegionsResult
    try:
        if options.engine == "sharded":
            result = run_async(_played(play_regions(options, BoardScreen(console, live=live))))
            output.result(regions_json(result), render_regions(result))
        else:
            result = run_async(_played(play(options, Screen(console, live=live))))
            output.result(as_json(result), render(result))
    except asyncio.CancelledError:
        # Everything was ended in good order.
        raise KeyboardInterrupt from None
    if not result.conserved:
        raise typer.Exit(ExitCode.FAILED)
    if result.out_of_time:
        raise typer.Exit(ExitCode.TIMEOUT)


async def _played(run: Awaitable[T]) -> T:
    task = asyncio.current_task()
    if task is not None:
        # SIGINT too: what a shell starts in the background inherits that it is ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run
