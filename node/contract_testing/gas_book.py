"""Gas of all calls of a test session: per entry and per line, and the limits that a budget sets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low
from typing import Any

from contracts.gas_profile import LineGas
from ledger.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EntryGas:
    """Gas of one entry, `contract.entry`, over its calls that succeeded."""

    name: str
    calls: int
    least: int
    median: int
    most: int


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A call that spent more than its budget."""

    name: str
    budget: int
    most: int


@dataclass(slots=True)
class GasBook:
    """Collects gas. `by_line`: whether to watch lines too, which makes calls several times slower."""

    by_line: bool = False
    entries: dict[str, list[int]] = field(default_factory=dict)
    lines: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, gas: int) -> None:
        """A call of `contract.entry` that succeeded."""
        self.entries.setdefault(name, []).append(gas)

    def note_lines(self, title: str, text: str, found: Iterable[LineGas]) -> None:
        """What one call spent on the lines of a source."""
        self.texts[title] = text
        table = self.lines.setdefault(title, {})
        for line in found:
            gas, times = table.get(line.line, (0, 0))
            table[line.line] = (gas + line.gas, times + line.times)

    def rows(self) -> list[EntryGas]:
        """All entries by name. Of two middle calls the cheaper one is the median."""
        return [
            EntryGas(name, len(found), min(found), median_low(found), max(found))
            for name, found in sorted(self.entries.items())
        ]

    def report(self) -> list[str]:
        """The table of entries, then the lines of each source that spent most."""
        rows = self.rows()
        if not rows:
            return ["no contract was called"]
        width = max(len("entry"), *(len(row.name) for row in rows))
        lines = [f"{'entry':<{width}} {'calls':>6} {'min':>12} {'median':>12} {'max':>12}"]
        lines += [
            f"{row.name:<{width}} {row.calls:>6} {row.least:>12,} {row.median:>12,} {row.most:>12,}" for row in rows
        ]
        for title, table in sorted(self.lines.items()):
            text = self.texts[title].split("\n")
            lines += ["", f"{title}", f"{'line':>5} {'gas':>14} {'times':>9}"]
            lines += [
                f"{number:>5} {gas:>14,} {times:>8}x  {text[number - 1]}"
                for number, (gas, times) in sorted(table.items())
                if gas
            ]
        return lines

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "entries": {
                row.name: {"calls": row.calls, "min": row.least, "median": row.median, "max": row.most}
                for row in self.rows()
            },
            "lines": {
                title: {str(number): {"gas": gas, "times": times} for number, (gas, times) in sorted(table.items())}
                for title, table in sorted(self.lines.items())
            },
        }

    def exceeded(self, budget: Mapping[str, int]) -> list[Exceeded]:
        """Entries whose dearest call is above their budget: the one for `contract.entry`, else the one for `*`."""
        found = []
        for row in self.rows():
            limit = budget.get(row.name, budget.get("*"))
            if limit is not None and row.most > limit:
                found.append(Exceeded(row.name, limit, row.most))
        return found


def read_budget(words: Iterable[str]) -> dict[str, int]:
    """A budget from the words of `--gas-budget`: `N` for every entry, `contract.entry=N`, or a JSON file of the latter
    as `--gas-save` writes it. Raise `ConfigError`."""
    budget: dict[str, int] = {}
    for word in words:
        name, equals, number = word.rpartition("=")
        if number.replace("_", "").isdecimal():
            budget[name if equals else "*"] = int(number)
        else:
            budget.update(_budget_file(Path(word)))
    return budget


def _budget_file(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _no_budget(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise _no_budget(f"{path}: {error}") from None
    if not isinstance(found, dict) or not all(type(value) is int and value >= 0 for value in found.values()):
        raise _no_budget(f"{path}: other JSON")
    return found


def _no_budget(found: str) -> ConfigError:
    return ConfigError(
        "this is no gas budget",
        code="BAD_BUDGET",
        expected='a number, contract.entry=number, or a file {"contract.entry": number}',
        found=found,
        fix="write such a file with --gas-save",
    )
