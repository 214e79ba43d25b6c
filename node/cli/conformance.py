"""`gridchain conformance`: cases of the market specification through the contracts' own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from node.cli.output import ExitCode, JsonOption, Output, command_app
from node.conformance.ids import printable
from node.conformance.runner import Report, run_file

app = command_app("Run cases of the market specification through the contracts' own code.", group=False)


@app.command()
def run(
    file: Annotated[
        Path, typer.Argument(help="A file of cases, or one that is shipped: c.auction.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Run a file of cases; tell how many passed and failed, and the first difference. Exit code 1 if any failed."""
    report = run_file(file)
    Output(as_json=as_json).result(report.as_dict(), *_words(report))
    if report.failed:
        raise typer.Exit(ExitCode.FAILED)


def _words(report: Report) -> list[str]:
    lines = [f"{report.mechanism}: {report.passed} passed, {report.failed} failed"]
    if report.first is not None:
        name = f" ({printable(report.name)})" if report.name else ""
        lines += [
            f"  first difference: case {report.case}{name}, {printable(report.first.path)}",
            f"  expected {json.dumps(report.first.expected)}",
            f"  found    {json.dumps(report.first.found)}",
        ]
    return lines
