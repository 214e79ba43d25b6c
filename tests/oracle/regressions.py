"""Programs on which the two sides once differed, and where new ones are kept: `regressions.jsonl`, one a line.
A line has what it was, the source, and either the arguments of calls of `main`, or what was sent to a contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("regressions.jsonl")


def kept() -> list[dict[str, Any]]:
    """All of them."""
    return [json.loads(line, object_hook=_opened) for line in FILE.read_text(encoding="utf-8").splitlines() if line]


def keep(what: str, source: str, calls: list[list[Any]] | None, sends: list[list[Any]] | None) -> None:
    """Append one."""
    row = {"what": what, "source": source, "calls": calls, "sends": sends}
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, default=lambda raw: {"bytes": raw.hex()}) + "\n")


def _opened(row: dict[str, Any]) -> Any:
    return bytes.fromhex(row["bytes"]) if set(row) == {"bytes"} else row
