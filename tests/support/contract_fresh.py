"""Programs as people write them, and programs as nobody should: the texts in `fresh/`.

A program begins with `### name`. Valid ones have a line `# [arguments as JSON]` for each call of `main` (a text that
begins with 0x is bytes), hostile ones say before their name how they end: `rejected` or the code they revert with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "fresh"


def _programs(name: str) -> Iterator[tuple[str, str]]:
    for block in ("\n" + (HERE / name).read_text(encoding="utf-8")).split("\n### ")[1:]:
        head, _, body = block.partition("\n")
        yield head, body.rstrip("\n") + "\n"


def _argument(value: Any) -> Any:
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value


def _valid() -> Iterator[tuple[str, tuple[str, list[list[Any]]]]]:
    for path in sorted(HERE.glob("valid_*.txt")):
        for name, body in _programs(path.name):
            lines = body.splitlines(keepends=True)
            calls = [line for line in lines if line.startswith("# [")]
            arguments = [[_argument(value) for value in json.loads(line[2:])] for line in calls]
            yield name, ("".join(lines[len(calls) :]), arguments)


FRESH: dict[str, tuple[str, list[list[Any]]]] = dict(_valid())
FRESH_HOSTILE: list[tuple[str, str, str]] = [
    (name, ends, body) for head, body in _programs("hostile.txt") for ends, name in [head.split()]
]
"""Name, how it ends, source."""
