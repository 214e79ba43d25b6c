"""What became of the tests of a session, as one JSON document: `--contract-results FILE`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.contract_testing.gas_book import GasBook


@dataclass(slots=True)
class Results:
    """A pytest plugin that keeps the outcome of each test and writes them all at the end."""

    file: Path
    book: GasBook
    budget: Mapping[str, int]
    tests: list[dict[str, Any]] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A phase of a test is over: its call, or a set-up or tear-down that went wrong."""
        if report.when == "call" or report.outcome != "passed":
            self.note(report, round(report.duration, 3))

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be imported is a failure."""
        if report.failed:
            self.note(report, 0.0)

    def note(self, report: Any, seconds: float) -> None:
        """Keep one outcome."""
        told = {"test": report.nodeid, "outcome": report.outcome, "seconds": seconds}
        self.tests.append({**told, "text": report.longreprtext} if report.failed else told)

    def pytest_sessionfinish(self, session: Any) -> None:
        """Write the document."""
        counts = {name: sum(test["outcome"] == name for test in self.tests) for name in ("passed", "failed", "skipped")}
        exceeded = [
            {"entry": found.name, "budget": found.budget, "gas": found.most}
            for found in self.book.exceeded(self.budget)
        ]
        document = {**counts, "tests": self.tests, "gas": self.book.document(), "exceeded": exceeded}
        self.file.write_text(json.dumps(document), encoding="utf-8")
