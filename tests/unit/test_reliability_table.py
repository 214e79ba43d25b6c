"""docs/reliability.md names a test for each known failure of other chains; all of them are there, and CI runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_YET: set[int] = set()
"""Failures of what does not exist here."""


def rows() -> dict[int, list[str]]:
    """Test ids by number of the failure."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = text.partition("## Failures of others")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (\d+) \|[^|]*\|([^|]*)\|$", table, re.MULTILINE)
    return {int(number): re.findall(r"`(tests/[^`]+)`", cell) for number, cell in found}


def collected(ids: list[str]) -> subprocess.CompletedProcess[str]:
    """What pytest says of these ids, long runs left out."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not soak", "-p", "no:cacheprovider", *ids]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_known_failure_has_a_test_that_exists() -> None:
    table = rows()
    assert sorted(table) == list(range(1, 23))
    assert {number for number, tests in table.items() if not tests} == NOT_YET
    ids = sorted({test for tests in table.values() for test in tests})
    run = collected(ids)
    assert run.returncode == 0, run.stdout + run.stderr
    there = {line.partition("[")[0] for line in run.stdout.splitlines()}
    assert [test for test in ids if test not in there] == []
