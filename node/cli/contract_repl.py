"""`gridchain contract repl`: lines from a terminal or a script, answers as text or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from contracts.values import from_json
from node.cli.output import ExitCode, Output
from node.contract_testing.console import Answer, Console, Quit

GREETING = "a chain of your own; .help lists what there is, .quit ends it"


class Session(Protocol):
    """What reads lines."""

    @property
    def prompt(self) -> str:
        """What to ask with."""

    def read(self, line: str) -> Answer:
        """Do what a line says."""


def session(output: Output, file: Path | None, arguments: list[Any]) -> int:
    """Deploy a file, then read lines to the end. Raise `GridchainError` if the file cannot be deployed."""
    console = Console(Path.cwd())
    if file is not None:
        values = [from_json(argument) for argument in arguments]
        console.current = console.deployer(file, *values)
        say(
            output,
            Answer("done", [f"deployed {console.current.contract_name}"], {"deployed": console.current.contract_name}),
        )
    return talk(output, console)


def talk(output: Output, console: Session) -> int:
    """Read lines to the end or to `.quit`. Exit code 2 if a script had one that was not understood."""
    terminal = sys.stdin.isatty()
    if terminal:
        with suppress(ImportError):
            import readline  # noqa: F401  # gives `input` editing and history
        output.note(GREETING)
    mistakes = 0
    for line in _lines(console, terminal):
        try:
            answer = console.read(line)
        except Quit:
            break
        mistakes += answer.kind == "mistake"
        say(output, answer)
    return ExitCode.USAGE if mistakes and not terminal else ExitCode.OK


def say(output: Output, answer: Answer) -> None:
    """Print an answer; an empty one is silence."""
    if not answer.lines:
        return
    if output.as_json:
        output.result({"kind": answer.kind, **(answer.document or {"text": answer.lines})})
        return
    for line in answer.lines:
        output.console.print(line, markup=False, style="red" if answer.kind in ("refused", "mistake") else None)


def _lines(console: Session, terminal: bool) -> Iterator[str]:
    while True:
        try:
            yield input(console.prompt if terminal else "")
        except EOFError:
            return
