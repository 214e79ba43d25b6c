"""Fail if a test named in must_run.txt was skipped, or did not run at all. Argument: a folder of JUnit reports."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def names_required(path: Path) -> list[str]:
    """Lines of the list that are neither empty nor comments."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def outcomes(reports: Path) -> dict[str, str]:
    """Outcome by test name, `package.file::test`."""
    found: dict[str, str] = {}
    for case in (case for one in reports.glob("*.xml") for case in ElementTree.parse(one).getroot().iter("testcase")):
        skipped = case.find("skipped")
        reason = "ran" if skipped is None else f"skipped: {skipped.get('message', '')}"
        found[f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}"] = reason
    return found


def main() -> int:
    """Print what is missing; 1 if anything is."""
    ran = outcomes(Path(sys.argv[1]))
    bad: list[str] = []
    for required in names_required(Path(__file__).with_name("must_run.txt")):
        matching = {name: outcome for name, outcome in ran.items() if name.startswith(required)}
        if not matching:
            bad.append(f"{required}: did not run")
        bad.extend(f"{name}: {outcome}" for name, outcome in matching.items() if outcome != "ran")
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
