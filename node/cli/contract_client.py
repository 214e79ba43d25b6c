"""`gridchain contract client`: a typed client of a contract, from its source or from what runs on a network."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from contracts.client_parts import class_name
from contracts.client_python import python_client
from contracts.client_typescript import typescript_client
from contracts.compile import Program, compile_source
from contracts.state_format import well_named
from ledger.errors import ConfigError
from node.cli.contract_sources import read_admitted, source_file
from node.cli.output import DEFAULT_URL, JsonOption, Output, UrlOption, run_async

_HASH: Final = re.compile(r"0x[0-9a-f]{64}\Z")
_ANY_NAME: Final = "contract"


class Language(StrEnum):
    """What a client is written in."""

    PYTHON = "python"
    TYPESCRIPT = "typescript"


def client(
    what: Annotated[
        str, typer.Argument(help="Source file or its directory; or of a network: an instance, an artifact's hash.")
    ],
    lang: Annotated[Language, typer.Option("--lang", help="Language of the client.")] = Language.PYTHON,
    name: Annotated[str, typer.Option("--name", help="Instance that it talks to; else after the file.")] = "",
    to: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; else it is printed.")] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Write a typed client of a contract: methods for its entries, classes for its records and events."""
    output = Output(as_json=as_json)
    program, known = _program(what, url)
    instance = name or known
    if not well_named(instance):
        raise ConfigError(
            "an instance cannot have this name",
            code="BAD_NAME",
            expected="small letters, digits and underscores, a letter first",
            found=instance[:80],
            fix="name the instance with --name",
        )
    text = (python_client if lang is Language.PYTHON else typescript_client)(program, instance)
    document: dict[str, Any] = {
        "instance": instance, "class": class_name(instance), "language": lang.value,
        "source_hash": "0x" + program.source_hash.hex(),
    }  # fmt: skip
    if to is None:
        output.result({**document, "text": text}, text.rstrip("\n"))
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "the client cannot be written", code="NO_FILE", expected="a file that can be written",
            found=f"{to}: {error.strerror}", fix="choose another place",
        ) from None  # fmt: skip
    output.result({**document, "file": str(to)}, f"wrote {to}: class {document['class']} for instance {instance}")


def _program(what: str, url: str) -> tuple[Program, str]:
    """The program, and how its instance is probably called."""
    path = source_file(Path(what))
    if not _HASH.match(what) and (path.exists() or not well_named(what)):
        _, program = read_admitted(path)
        stem = path.absolute().parent.name if path.stem == _ANY_NAME else path.stem
        return program, stem if well_named(stem) else _ANY_NAME
    return compile_source(run_async(_of_network(what, url))), _ANY_NAME if _HASH.match(what) else what


async def _of_network(what: str, url: str) -> bytes:
    """The source of an artifact or instance. Raise `ConfigError` (NO_SOURCE)."""
    from node.client import Client

    async with Client.open(url) as asked:
        artifact: Any = bytes.fromhex(what[2:]) if _HASH.match(what) else None
        if artifact is None:
            found: Any = await asked.view("lifecycle", "instance", what)
            artifact = found["artifact"] if found else bytes(32)
        source: Any = await asked.view("lifecycle", "source", artifact)
    if source is None:
        raise ConfigError(
            "there is no such source",
            code="NO_SOURCE",
            expected=f"a file, or an artifact or instance of the network at {url}",
            found=what[:80],
            fix="gridchain contract status lists what runs",
        )
    return bytes(source)
