"""Findings as SARIF 2.1.0, the form that editors and code hosts read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from contracts.advice import ADVICE
from contracts.rules import RULES, Finding

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(file: Path, refusals: Iterable[Finding], warnings: Iterable[Finding]) -> dict[str, Any]:
    """One run with a result for each finding; refusals are errors."""
    results = [*(_result(file, found, "error") for found in refusals), *(_result(file, w, "warning") for w in warnings)]
    known = {**RULES, **ADVICE}
    used = sorted({result["ruleId"] for result in results})
    rules = [
        {"id": rule, "shortDescription": {"text": known[rule][0]}, "help": {"text": known[rule][1]}} for rule in used
    ]
    driver = {"name": "gridchain contract check", "rules": rules}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(file: Path, found: Finding, level: str) -> dict[str, Any]:
    return {
        "ruleId": found.code,
        "level": level,
        "message": {"text": f"{found.reason}; {found.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": file.as_posix()},
                    "region": {"startLine": found.line, "startColumn": found.column + 1},
                }
            }
        ],
    }
