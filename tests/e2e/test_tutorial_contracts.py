"""The tutorial for contracts, run as it is written: its files, its commands, its output, against real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import deploy

ROOT = Path(deploy.__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "tutorial-contracts.md"
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Block:
    kind: str
    name: str
    text: str
    line: int


def blocks() -> list[Block]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


class Reader:
    """Somebody who types what the page says, in one shell."""

    def __init__(self, home: Path) -> None:
        self.where = home
        self.said = home / "where"
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("GRIDCHAIN", "PYTEST"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
        self.variables = {**variables, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def types(self, block: Block) -> str:
        begun = time.monotonic()
        script = f"{block.text}\npwd > {self.said}\n"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.where, env=self.variables, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"line {block.line}:\n{block.text}\n{done.stdout}\n{done.stderr}"
        print(f"line {block.line}: {time.monotonic() - begun:.1f} s")
        self.where = Path(self.said.read_text().strip())
        return done.stdout

    def learns_the_port(self) -> None:
        """What the page says to do if the usual port was taken."""
        network = self.where.parent / "village" / "network.json"
        if network.exists():
            port = json.loads(network.read_text())["nodes"][0]["api_port"]
            self.variables["GRIDCHAIN_URL"] = f"http://127.0.0.1:{port}"


def sees(output: str, wanted: str) -> bool:
    """Whether a line of the page is in an output; `..` stands for anything."""
    pattern = ".*".join(map(re.escape, wanted.split("..")))
    return any(re.search(pattern, line) for line in output.split("\n"))


@pytest.mark.timeout(300)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    reader, output, took = Reader(tmp_path), "", time.monotonic()
    found = blocks()
    assert [block.kind for block in found].count("sh") >= 10
    try:
        for block in found:
            match block.kind:
                case "sh":
                    output = reader.types(block)
                    reader.learns_the_port()
                case "text":
                    for line in block.text.splitlines():
                        assert sees(output, line), f"line {block.line}: {line!r} is not in\n{output}"
                case "python":
                    (reader.where / block.name).write_text(block.text, encoding="utf-8")
                case other:
                    raise AssertionError(f"line {block.line}: a block of {other!r} is neither command, output nor file")
    finally:
        down = [sys.executable, "-m", "deploy.main", "cluster", "down", str(tmp_path / "village")]
        subprocess.run(down, env=reader.variables, capture_output=True, timeout=60, check=False)
    print(f"the tutorial took {time.monotonic() - took:.0f} s")


def test_the_tutorial_names_only_commands_that_exist() -> None:
    from node.cli.contract import app

    known = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    named = set(re.findall(r"gridchain contract (\w+)", DOCUMENT.read_text(encoding="utf-8")))
    assert named <= known
