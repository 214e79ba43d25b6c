"""What every command shares: exit codes, `--json`, progress on standard error, errors without tracebacks.

Exit codes: 0 ok; 1 failed; 2 wrong usage or bad input; 3 no node answers; 4 a node or a contract refused; 5 not in
time; 130 interrupted. With `--json` standard output holds exactly one JSON document.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from contracts.values import ValueRefused
from ledger.errors import BadSignature, ConfigError, DecodeError, GenesisError, GridchainError
from node.client_errors import Refusal, Unreachable

T = TypeVar("T")

# What the framework raises for a wrong command line; its own base class has no public name.
_Misused: Final[Any] = typer.BadParameter.__bases__[0]

ARGUMENTS_FIX: Final = """write them as '[1, "text", "0x00ff"]', in single quotes against the shell"""
DEFAULT_URL: Final = "http://127.0.0.1:8600"


class ExitCode(IntEnum):
    """What a command ends with; stable."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    TIMEOUT = 5
    INTERRUPTED = 130


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
UrlOption = Annotated[str, typer.Option("--url", envvar="GRIDCHAIN_URL", help="The node's API.", show_default=True)]
ChainOption = Annotated[
    str, typer.Option("--chain", help="Which of the node's chains, by name; default its home chain.")
]
KeyOption = Annotated[Path, typer.Option("--key", help="Key file of the sender.", show_default=False)]
PassphraseFileOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File whose first line opens the key file.")
]
PassphraseFdOption = Annotated[
    int | None, typer.Option("--passphrase-fd", help="Descriptor to read the passphrase from.")
]


def command_app(text: str, *, group: bool = True) -> typer.Typer:
    """A command or a group of commands in the house's manner: plain help, our own errors."""
    return typer.Typer(
        help=text,
        no_args_is_help=group,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def ask_passphrase(what: str) -> str:
    """Ask at the terminal, without showing what is typed. Raise `ConfigError` where there is none."""
    return _ask(what, twice=False)


def ask_new_passphrase(what: str) -> str:
    """The same, typed twice."""
    return _ask(what, twice=True)


def _ask(what: str, *, twice: bool) -> str:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        if not sys.stdin.isatty():
            raise ConfigError(
                "a passphrase is needed, and there is no terminal to ask at",
                code="KEY_PASSPHRASE",
                expected="--passphrase-file, --passphrase-fd or GRIDCHAIN_PASSPHRASE",
                found="none of them",
                fix="name one, or for a new development key use --plain",
            ) from None
    return str(typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))


class Unwritable(GridchainError):
    """Standard output takes nothing: it is closed, or what stands behind it is full."""

    code = "OUTPUT"


@contextmanager
def _writing() -> Iterator[None]:
    """Write to standard output and flush it. Raise `Unwritable`; a reader that has gone is a BrokenPipeError."""
    failed = "it is closed"
    try:
        if sys.stdout is not None:
            yield
            sys.stdout.flush()
            return
    except BrokenPipeError:
        raise
    except OSError as error:
        failed = error.strerror or str(error)
    raise Unwritable(
        "the answer cannot be written",
        expected="standard output that takes it",
        found=failed,
        fix="send standard output somewhere else; what the command did stands",
    )


class Output:
    """Where a command's result and its progress go."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.answered = False
        self.console = Console(highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def result(self, document: Mapping[str, Any] | list[Any], *human: RenderableType) -> None:
        """Print the result: the document with `--json`, else what people read."""
        self.answered = True
        with _writing():
            if self.as_json:
                sys.stdout.write(json.dumps(document) + "\n")
                return
            for part in human:
                self.console.print(Text(part) if isinstance(part, str) else part)

    def note(self, text: str) -> None:
        """Say on standard error what is going on."""
        if not self.as_json:
            self.errors.print(Text(text, style="dim"))

    def progress(self, text: str) -> None:
        """The same with `--json` too: how far a command is that takes minutes."""
        self.errors.print(Text(text, style="dim"))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes its time; a line when standard error is no terminal."""
        if self.as_json or not self.errors.is_terminal:
            self.note(text)
            yield
            return
        with self.errors.status(Text(text)):
            yield


def show_error(error: GridchainError, *, as_json: bool) -> None:
    """Print an error: code, what was expected and found, what to do next."""
    if as_json:
        with _writing():
            sys.stdout.write(json.dumps({"error": error.as_dict()}) + "\n")
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    line = Text()
    line.append(error.code, style="bold red")
    line.append(f": {error.message}")
    console.print(line)
    for label, value in (("expected", error.expected), ("found", error.found), ("fix", error.fix or None)):
        if value is not None:
            console.print(Text(f"  {label:<9}{value}"))


def exit_code_of(error: GridchainError) -> ExitCode:
    """The exit code for an error."""
    if error.code == "TIMEOUT":
        return ExitCode.TIMEOUT
    if isinstance(error, Unreachable):
        return ExitCode.UNREACHABLE
    if isinstance(error, Refusal):
        return ExitCode.REFUSED
    if isinstance(error, ConfigError | GenesisError | DecodeError | BadSignature | ValueRefused):
        return ExitCode.USAGE
    return ExitCode.FAILED


class UsageError(ConfigError):
    """A command line that names no command, or options that a command does not have or take."""

    code = "USAGE"


def run_command(app: Callable[..., object], arguments: list[str]) -> int:
    """Run the command line; every refusal becomes a message and an exit code, never a traceback. With `--json` among
    `arguments` standard output holds one JSON document even then."""
    try:
        return _carried_out(app, arguments)
    except BrokenPipeError:
        # The reader of our output has gone (`gridchain ... | head`); nothing is left to tell.
        _discard_output()
    except Unwritable as error:
        _discard_output()
        show_error(error, as_json=False)
    return ExitCode.FAILED


def _discard_output() -> None:
    """What is still buffered for standard output goes nowhere: at its end the interpreter would fail to write it."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _carried_out(app: Callable[..., object], arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        left_with = app(standalone_mode=False, prog_name="gridchain")
        return left_with if isinstance(left_with, int) else ExitCode.OK
    except (Unwritable, BrokenPipeError):
        raise
    except GridchainError as error:
        show_error(error, as_json=as_json)
        return exit_code_of(error)
    except _Misused as error:
        if as_json or type(error).show is _Misused.show:
            show_error(_usage_error(error, arguments), as_json=as_json)
        else:
            error.show()  # a group without a command: its page of help
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except OSError as error:
        if error.filename is None:
            raise
        unusable = ConfigError(
            "a path cannot be used",
            code="PATH",
            expected="a path that this user may use",
            found=f"{error.filename}: {error.strerror}",
            fix="choose another path",
        )
        show_error(unusable, as_json=as_json)
        return exit_code_of(unusable)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.OK if leaving.code is None else 1


def _usage_error(error: Any, arguments: list[str]) -> UsageError:
    """The framework's complaint in our form."""
    context = error.ctx
    path = context.command_path if context is not None else "gridchain"
    usage = " ".join(context.get_usage().split()).removeprefix("Usage: ") if context is not None else path
    option = getattr(error, "option_name", None)
    near = difflib.get_close_matches(str(option), getattr(error, "possibilities", None) or [], n=1)
    fix = f"{path} --help"
    if option == "--json":
        fix = f"name a command before it; {fix}"
    elif near:
        fix = f"did you mean {near[0]}? else {fix}"
    return UsageError(
        " ".join(str(error.format_message()).split()),
        expected=usage,
        found=option or f"gridchain {shlex.join(arguments)}"[:200],
        fix=fix,
    )


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; an exception group of one known error is that error."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        raise first_known(group) from None


def run_until_stopped(
    work: Coroutine[Any, Any, None], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> bool:
    """Run `work`; SIGTERM and SIGINT cancel it, whatever it waits for, and its scopes close in order. True if one
    did: for what runs until it is told to stop that is the ordinary end."""

    async def guarded() -> bool:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "this runs in a task"
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if not stopped:
                stopped = True
                task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            await work
        except asyncio.CancelledError:
            if not stopped:
                raise
        return stopped

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(guarded())
    except BaseExceptionGroup as group:
        raise first_known(group) from group


def first_known(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first `GridchainError` in a group of failures, else the group itself."""
    found, _rest = group.split(GridchainError)
    inner: BaseException = found if found is not None else group
    while isinstance(inner, BaseExceptionGroup) and found is not None:
        inner = inner.exceptions[0]
    return inner


def parse_id(text: str, what: str) -> bytes:
    """32 bytes from hex with or without 0x. Raise `DecodeError`."""
    return parse_hex(text, what, 32)


def parse_hex(text: str, what: str, size: int | None = None) -> bytes:
    """Bytes, `size` of them if given, from hex with or without 0x. Raise `DecodeError`."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = None
    if raw is None or (size is not None and len(raw) != size):
        raise DecodeError(
            f"{what} is {'hex' if size is None else f'{size} bytes'}",
            code="BAD_HEX",
            expected="0x and hex digits" if size is None else f"0x and {2 * size} hex digits",
            found=text[:80],
            fix="copy it whole, as another command printed it",
        )
    return raw


def parse_arguments(text: str) -> list[Any]:
    """A JSON array of contract arguments as a person types it; bytes as 0x hex. Raise `DecodeError`."""
    return json_array(text, json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float))


def json_array(text: str, decoder: json.JSONDecoder) -> list[Any]:
    """A JSON array of arguments, whose numbers are read as `decoder` does. Raise `DecodeError`."""
    try:
        parsed = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(
            "the arguments are not JSON",
            code="BAD_ARGS",
            expected="a JSON array",
            found=str(error)[:120],
            fix=ARGUMENTS_FIX,
        ) from None
    if not isinstance(parsed, list):
        raise DecodeError(
            "the arguments are no list", code="BAD_ARGS", expected="a JSON array", found=text[:80], fix=ARGUMENTS_FIX
        )
    return parsed


def _no_float(text: str) -> int:
    raise ValueError(f"{text}: contracts know integers only")
