"""Every command line that a document shows is one that the parser takes; every command it names in passing exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import deploy
from deploy.main import COMMANDS, app

ROOT = Path(deploy.__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PLACES = {"SLOT": "7", "METER": "0x" + "ab" * 32}


def shown() -> list[str]:
    """Command lines that stand on a line of their own, without their remarks, placeholders filled in."""
    lines = [line for path in DOCUMENTS for line in path.read_text(encoding="utf-8").splitlines()]
    found = [re.match(r"^(?:    )?(?:\$ )?(?:\.venv/bin/)?gridchain (.+)$", line) for line in lines]
    commands = [re.split(r"  +# | <<", match[1])[0].strip() for match in found if match]
    for place, value in PLACES.items():
        commands = [re.sub(rf"\b{place}\b", value, command) for command in commands]
    return commands


def named() -> Iterator[list[str]]:
    """The first words of every command in running text: `gridchain query contract ..` gives query, contract."""
    for path in DOCUMENTS:
        for code in re.findall(r"`gridchain ([a-z][^`]*)`", path.read_text(encoding="utf-8")):
            yield re.findall(r"^[a-z_]+(?: [a-z_][a-z_-]*)?", code)[0].split()


def parse(words: list[str]) -> list[str]:
    """Parse a command line as far as to its command, which is not run; the path of the command."""
    command: Any = typer.main.get_command(app)
    context: Any = None
    name, path = "gridchain", []
    while True:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "resolve_command"):
            return path
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        path.append(name)


@pytest.mark.parametrize("line", shown())
def test_a_shown_command_line_parses(line: str) -> None:
    assert parse(shlex.split(line))


def test_there_are_some_and_a_wrong_one_is_found() -> None:
    assert len(shown()) >= 10
    for wrong in ("demo --slotss 3", "query contract", "cluster sideways DIR", "tx send a b"):
        with pytest.raises(typer.BadParameter.__bases__[0]):
            parse(shlex.split(wrong))


def test_commands_named_in_passing_exist() -> None:
    root: Any = typer.main.get_command(app)
    checked = 0
    for words in named():
        if words[0] == "COMMAND":
            continue
        assert words[0] in COMMANDS, words
        group = root.get_command(None, words[0])
        if hasattr(group, "commands") and len(words) > 1:
            assert words[1] in group.commands, words
        checked += 1
    assert checked > 20
