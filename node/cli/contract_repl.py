"""`gridchain contract repl`: lines from a terminal or a script, answers as text or as JSON."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from contracts.values import from_json
from ledger.crypto import SigningKey
from node.cli.contract_sources import read_admitted
from node.cli.output import ExitCode, Output
from node.contract_testing.console import Answer, Console, Quit

GREETING = ".help lists what there is, .quit ends it"


def session(output: Output, file: Path | None, arguments: list[Any], fork: Path | None = None) -> int:
    """Deploy a file, on a chain of its own or on the exported state of one, then read lines to the end. Raise
    `GridchainError` if the file cannot be deployed, or `fork` is no export."""
    ground = None
    if fork is not None:
        from node.contract_testing.fork import exported_ground

        ground = exported_ground(fork)
    console = Console(Path.cwd(), ground)
    if file is not None:
        read_admitted(file)
        values = [from_json(argument) for argument in arguments]
        console.current = console.deployer(file, *values)
        name = console.current.contract_name
        say(output, Answer("done", [f"deployed {name}"], {"deployed": name}))
    talk = Talk(output)
    while (line := talk.line(console.prompt)) is not None:
        with talk.answering():
            talk.tell(console.read(line))
    return talk.code


async def network_session(
    output: Output, url: str, keys: Mapping[str, SigningKey], contract: str, timeout_s: float
) -> int:
    """The same on a running network."""
    from node.cli.contract_network_repl import NetworkConsole
    from node.client import Client

    async with Client.open(url) as client:
        console = NetworkConsole(client, keys, contract, timeout_s)
        if contract:
            await console.program(contract)
        talk = Talk(output)
        while (line := await asyncio.to_thread(talk.line, console.prompt)) is not None:
            with talk.answering():
                talk.tell(await console.read(line))
    return talk.code


class Talk:
    """Lines in, answers out. `goes_on` until somebody quits."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.terminal = sys.stdin.isatty()
        self.mistakes = 0
        self.goes_on = True
        if self.terminal:
            with suppress(ImportError):
                import readline  # noqa: F401  # gives `input` editing and history
            output.note(GREETING)

    @property
    def code(self) -> int:
        """Exit code: 2 if a script had a line that was not understood."""
        return ExitCode.USAGE if self.mistakes and not self.terminal else ExitCode.OK

    def line(self, prompt: str) -> str | None:
        """The next line; None at the end."""
        if not self.goes_on:
            return None
        try:
            return input(prompt if self.terminal else "")
        except EOFError:
            return None

    def tell(self, answer: Answer) -> None:
        """Print an answer and count mistakes."""
        self.mistakes += answer.kind == "mistake"
        say(self.output, answer)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While a line is being done: `.quit` ends the talk."""
        try:
            yield
        except Quit:
            self.goes_on = False


def say(output: Output, answer: Answer) -> None:
    """Print an answer; an empty one is silence."""
    if not answer.lines:
        return
    if output.as_json:
        output.result({"kind": answer.kind, **(answer.document or {"text": answer.lines})})
        return
    for number, line in enumerate(answer.lines):
        first = number == 0 and answer.kind in ("refused", "mistake")
        output.console.print(line, markup=False, style="red" if first else None)
