"""`gridchain reproduce`: the published results of the four markets, by the chain's own contracts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deploy.reproduce.experiment import Verdict
from deploy.reproduce.files import document, draws_png, write
from deploy.reproduce.registry import IDS, chosen
from deploy.reproduce.runner import Result, run
from node.cli.output import ExitCode, JsonOption, Output, command_app

app = command_app("The published results of the four markets, by the chain's own contracts.", group=False)

USUAL_SEEDS = 20
_COLOURS = {
    Verdict.REPRODUCED: "green",
    Verdict.CALIBRATED: "yellow",
    Verdict.CANNOT_HOLD: "yellow",
    Verdict.NOT_REPRODUCED: "bold red",
}


@app.command(epilog=f"Ids: {' '.join(IDS)}", no_args_is_help=True)
def reproduce(
    what: Annotated[list[str], typer.Argument(help="all, markets A B C D, or ids such as D.fig4.", show_default=False)],
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Seeds of each experiment.")] = USUAL_SEEDS,
    out: Annotated[Path, typer.Option(help="Folder of the page, figures, data and parameters.")] = Path("reproduced"),
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; one per core.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run experiments; write a page with figures, data and parameters. Exit code 1 if one is not reproduced."""
    output = Output(as_json=as_json)
    ids = chosen(what)
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with _Telling(output, len(ids)) as telling:
        results = run(ids, seeds, jobs or os.cpu_count() or 1, telling.tell)
    shown = {**document(results, seeds, time.monotonic() - begun), "out": str(out)}
    if warnings := _warnings(results, seeds):
        shown["warnings"] = warnings
    write(out, results, shown)
    output.result(shown, _table(results), *_troubles(results), *warnings, f"page: {out / 'index.html'}")
    if any(result.verdict is Verdict.NOT_REPRODUCED for result in results):
        raise typer.Exit(ExitCode.FAILED)


class _Telling:
    """Progress on standard error, with `--json` too: a bar on a terminal, a line for each id that is done elsewhere."""

    def __init__(self, output: Output, ids: int) -> None:
        self._console = output.errors
        self._ids, self._done = ids, 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task: TaskID | None = None

    def __enter__(self) -> _Telling:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, done: int, jobs: int, result: Result | None) -> None:
        """A job is done; with a result, an id."""
        if self._task is None:
            self._task = self._bar.add_task("runs", total=jobs)
        self._bar.update(self._task, completed=done, total=jobs)
        if result is not None:
            self._done += 1
            line = Text(f"[{self._done}/{self._ids}] {result.experiment.id:<13}{result.seconds:6.1f} s  ")
            line.append(str(result.verdict), style=_COLOURS[result.verdict])
            self._bar.console.print(line)


def _warnings(results: list[Result], seeds: int) -> list[str]:
    found = []
    if not draws_png():
        found.append("no figure.png: it needs pip install 'gridchain[figures]'")
    if seeds < USUAL_SEEDS and any(result.verdict is Verdict.NOT_REPRODUCED for result in results):
        found.append(f"verdicts are meant for {USUAL_SEEDS} seeds: what {seeds} of them do not show, all may")
    return found


def _troubles(results: list[Result]) -> list[str]:
    """Why an id is not reproduced: its note, or the claims that fail."""
    lines = []
    for result in results:
        if result.verdict is Verdict.NOT_REPRODUCED:
            claims = [
                f"{one.claim.name}: held {one.held} of {one.seeds}; wanted: {one.claim.tolerance}"
                for one in result.judged
                if one.verdict is Verdict.NOT_REPRODUCED
            ]
            lines += [f"{result.experiment.id}: {text}" for text in (claims or [result.note])]
    return lines


def _table(results: list[Result]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("id", "result", "class", "held", "verdict"):
        table.add_column(name)
    for result in results:
        held, kind = "", ""
        if result.judged:
            first = result.judged[0]
            held, kind = f"{first.held}/{first.seeds}", str(first.claim.kind)
        verdict = Text(str(result.verdict), style=_COLOURS[result.verdict])
        table.add_row(result.experiment.id, result.experiment.title, kind, held, verdict)
    return table
