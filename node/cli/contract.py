"""`gridchain contract`: write, check, try and test contracts without any node, and bring them to a network."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from contracts.abi_openapi import abi_openapi
from contracts.abi_schema import abi_schema
from contracts.gas_profile import gas_by_line
from contracts.limits import PYC1
from contracts.review import review
from contracts.rules import Finding
from contracts.solo_run import SOLO_GAS, SoloRun, run_solo
from node.cli.confined import Died, confined
from node.cli.contract_chain import COMMANDS
from node.cli.contract_client import client
from node.cli.contract_files import new_contract
from node.cli.contract_sources import read_admitted, read_source, source_file
from node.cli.output import (
    DEFAULT_URL,
    ExitCode,
    JsonOption,
    Output,
    UrlOption,
    command_app,
    json_array,
    run_async,
)
from node.cli.signer import signer_of

app = command_app("Write, check, test and try contracts; deploy, vote and upgrade them.")


class Form(StrEnum):
    """How `check` tells what it found."""

    TEXT = "text"
    SARIF = "sarif"


FileArgument = Annotated[Path, typer.Argument(help="The contract's source, or its directory.", show_default=False)]
EntryOption = Annotated[str, typer.Option("--entry", help="Function to call.", show_default=False)]
ArgsOption = Annotated[str, typer.Option("--args", help="Arguments: a JSON array, bytes as 0x text.")]
GasOption = Annotated[int, typer.Option("--gas", min=0, max=10**12, help="Gas of each call.")]
_RUN_BYTES: Final = 256 * 1024 * 1024
_RUN_SECONDS, _GAS_PER_SECOND = 3, 25_000_000
"""The fence around `run`: three times what the language lets a contract use, and the time to compile."""

PureOption = Annotated[bool, typer.Option("--pure", help="As `run` sees it: functions need no decorator.")]


@app.command()
def run(
    file: FileArgument,
    entry: EntryOption,
    args: ArgsOption = "[]",
    calls: Annotated[int, typer.Option("--calls", min=1, max=1_000_000, help="How often, on fresh state.")] = 1,
    gas: GasOption = SOLO_GAS,
    as_json: JsonOption = False,
) -> None:
    """Call a function of a source by itself. Exit code 0 whatever the contract did: read `status`."""
    outcome = _run_apart(read_source(file), entry, json_arguments(args), gas, calls)
    output = Output(as_json=as_json)
    show_outcome(output, outcome)
    for text in (outcome.hint, outcome.fault and f"internal error, please report it: {outcome.fault}"):
        if text:
            output.errors.print(ascii(text)[1:-1], style="dim", markup=False)


def _run_apart(source: bytes, entry: str, arguments: list[Any], gas: int, calls: int) -> SoloRun:
    """`run_solo` behind a fence: what the host kills is a fault of ours, told as one."""

    def work() -> bytes:
        return json.dumps(dataclasses.asdict(run_solo(source, entry, arguments, gas, calls))).encode()

    answer = confined(work, _RUN_BYTES, _RUN_SECONDS + calls * gas // _GAS_PER_SECOND)
    if isinstance(answer, Died):
        return SoloRun("reverted", code="Internal", line=1, gas=gas, fault=answer.reason)
    return SoloRun(**json.loads(answer))


@app.command()
def gas(
    file: FileArgument,
    entry: EntryOption,
    args: ArgsOption = "[]",
    limit: GasOption = SOLO_GAS,
    as_json: JsonOption = False,
) -> None:
    """Call a function by itself and show what each line spent. Exit code 1 if the call failed."""
    raw = read_source(file)
    outcome, lines = gas_by_line(raw, entry, json_arguments(args), limit)
    output = Output(as_json=as_json)
    text = raw.decode().split("\n")
    rows = [{"line": found.line, "gas": found.gas, "times": found.times} for found in lines]
    output.result(
        {**as_document(outcome), "lines": rows},
        f"{outcome.status} {outcome.code or ''} {outcome.gas} gas",
        *(f"{found.line:>5} {found.gas:>11} {found.times:>9}x  {text[found.line - 1]}" for found in lines),
    )
    if outcome.status != "ok":
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def check(
    file: FileArgument,
    pure: PureOption = False,
    form: Annotated[Form, typer.Option("--format", help="`sarif` for editors and code hosts.")] = Form.TEXT,
    as_json: JsonOption = False,
) -> None:
    """Say whether a source is admitted, and why not: rule, line, reason, fix. Exit code 1 if it is not."""
    file = source_file(file)
    found = review(read_source(file), pure=pure)
    good = not found.refusals
    if form is Form.SARIF:
        from node.cli.sarif import sarif

        print(json.dumps(sarif(file, found.refusals, found.warnings), indent=2))
        raise typer.Exit(ExitCode.OK if good else ExitCode.FAILED)
    Output(as_json=as_json).result(
        {
            "admitted": good,
            "findings": [as_finding(finding) for finding in found.refusals],
            "warnings": [as_finding(finding) for finding in found.warnings],
        },
        *(in_words(file, finding, "") for finding in found.refusals),
        *(in_words(file, finding, "warning ") for finding in found.warnings),
        _verdict(len(found.refusals), len(found.warnings)),
    )
    if not good:
        raise typer.Exit(ExitCode.FAILED)


def _verdict(refusals: int, warnings: int) -> str:
    if refusals:
        return f"not admitted: {refusals} finding(s)"
    return f"admitted, {warnings} warning(s); a comment `# accept W000` ends one" if warnings else "admitted"


@app.command("test")
def run_the_tests(
    path: Annotated[Path, typer.Argument(help="Directory or file with tests.")] = Path("."),
    only: Annotated[str, typer.Option("-k", "--only", help="Only tests whose names have this.")] = "",
    gas_report: Annotated[bool, typer.Option("--gas-report", help="Gas of every entry: min, median, max.")] = False,
    gas_lines: Annotated[bool, typer.Option("--gas-lines", help="Gas of every line too; slow.")] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option("--gas-budget", help="Fail above: N for all, contract.entry=N, or a file of --gas-save."),
    ] = None,
    save: Annotated[Path | None, typer.Option("--gas-save", help="Write the largest gas of every entry.")] = None,
    fork: Annotated[
        Path | None, typer.Option("--fork", help="Begin with the state of a real chain: a file of `db export`.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tests of contracts with pytest. Exit code 1 if one fails or a gas budget is exceeded."""
    from node.cli.contract_tests import Wanted, run_tests

    wanted = Wanted(path, only, gas_report or gas_lines, gas_lines, tuple(budget or ()), save, fork, as_json)
    code, document = run_tests(wanted)
    if as_json:
        Output(as_json=True).result(document)
    if code:
        raise typer.Exit(code)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The source that runs.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="The source to upgrade to.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Show what an upgrade changes: storage, entries, events. Exit code 1 if the chain would refuse it."""
    from node.cli.contract_diff import difference

    found = difference(read_admitted(old), read_admitted(new))
    Output(as_json=as_json).result(found.document(), *found.lines())
    if found.refused:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def repl(
    file: Annotated[
        str, typer.Argument(help="A source to deploy first; with --network an instance to call.", show_default=False)
    ] = "",
    args: Annotated[str, typer.Option("--args", help="Arguments of its @init: a JSON array.")] = "[]",
    network: Annotated[
        bool, typer.Option("--network", help="On a running network, not on a chain of your own.")
    ] = False,
    keys: Annotated[list[Path] | None, typer.Option("--key", help="Key file that signs; may be repeated.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for a receipt.")] = 30.0,
    fork: Annotated[
        Path | None, typer.Option("--fork", help="Begin with the state of a real chain: a file of `db export`.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Try contracts line by line. Reads a terminal or a script; with --json a document a line. Exit code 2 if a line of
    a script was not understood."""
    from node.cli.contract_repl import network_session, session

    output = Output(as_json=as_json)
    if network:
        signers = {path.stem: signer_of(path, None, None) for path in keys or []}
        code = run_async(network_session(output, url, signers, file, timeout))
    else:
        code = session(output, source_file(Path(file)) if file else None, json_arguments(args), fork)
    if code:
        raise typer.Exit(code)


@app.command()
def abi(
    file: FileArgument,
    pure: PureOption = False,
    openapi: Annotated[str, typer.Option("--openapi", help="As OpenAPI 3.1, for an instance of this name.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Print the interface of a contract as JSON Schema: entries, events, storage, records."""
    _, program = read_admitted(file, pure=pure)
    document = abi_openapi(program, openapi) if openapi else abi_schema(program)
    Output(as_json=as_json).result(document, json.dumps(document, indent=2))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Directory and name: small letters, digits, underscores.")],
    as_json: JsonOption = False,
) -> None:
    """Begin a contract: a directory with contract.py, test_contract.py, pyproject.toml and README.md."""
    files = new_contract(Path(name))
    Output(as_json=as_json).result(
        {"directory": name, "files": [file.name for file in files]},
        *(f"wrote {file}" for file in files),
        f"try it: cd {name}; gridchain contract check contract.py; gridchain contract test",
    )


for command in (*COMMANDS, client):
    app.command()(command)


def json_arguments(text: str) -> list[Any]:
    """A JSON array. Floats and integers of any size pass: the call fails with BadValue or Overflow, as it does on the
    chain. Raise `DecodeError` for what is no JSON array."""
    return json_array(text, json.JSONDecoder(parse_int=_bounded_int))


def _bounded_int(digits: str) -> int:
    """No integer of the language has more than 78 characters; longer ones are all equally too large."""
    return int(digits) if len(digits) <= 100 else PYC1.int_high


def as_document(outcome: SoloRun) -> dict[str, Any]:
    """The outcome as the one JSON line shows it."""
    return {
        "status": outcome.status,
        "value": outcome.value,
        "code": outcome.code,
        "line": outcome.line,
        "gas": outcome.gas,
    }


def show_outcome(output: Output, outcome: SoloRun) -> None:
    """Print the outcome. The words for people show the value as JSON too."""
    document = as_document(outcome)
    if outcome.status == "ok":
        words = f"ok, {outcome.gas} gas: {json.dumps(outcome.value)}"
    else:
        words = f"{outcome.status} {outcome.code} at line {outcome.line}, {outcome.gas} gas"
    output.result(document, words)


def as_finding(finding: Finding) -> dict[str, Any]:
    """A finding as JSON; lines and columns count from 1, as editors do."""
    return {
        "code": finding.code,
        "line": finding.line,
        "column": finding.column + 1,
        "reason": finding.reason,
        "fix": finding.fix,
    }


def in_words(file: Path, finding: Finding, kind: str) -> str:
    """A finding as compilers print it."""
    reason = ascii(finding.reason)[1:-1] if not finding.reason.isprintable() else finding.reason
    return f"{file}:{finding.line}:{finding.column + 1}: {kind}{finding.code} {reason}; {finding.fix}"
