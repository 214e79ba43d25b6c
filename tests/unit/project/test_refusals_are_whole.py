"""Every refusal of the command line and of the API says what was expected, what was found and what to do."""

from __future__ import annotations

import ast
from pathlib import Path

import deploy

ROOT = Path(deploy.__file__).resolve().parents[1]
PLACES = (
    "deploy/*.py",
    "node/cli/*.py",
    "node/api/*.py",
    "node/c*.py",
    "node/keys.py",
    "bench/*.py",
    "ledger/store.py",
    "p2p/certificates.py",
)
REFUSALS = {
    "BadSignature",
    "BenchFailed",
    "ClusterError",
    "ConfigError",
    "DataError",
    "DecodeError",
    "DevFailed",
    "GenesisError",
    "GridchainError",
    "ProofError",
    "QueryFailed",
    "Refused",
    "SetupFailed",
    "StoreError",
    "UsageError",
}
PARTS = {"expected", "found", "fix"}


def incomplete(source: str) -> list[tuple[int, str]]:
    """Line and missing parts of each refusal that is made without one of them."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in REFUSALS:
            missing = PARTS - {keyword.arg for keyword in call.keywords}
            if missing:
                found.append((call.lineno, ", ".join(sorted(missing))))
    return found


def test_refusals_have_all_parts() -> None:
    files = sorted(path for place in PLACES for path in ROOT.glob(place))
    assert len(files) > 30
    wanting = [
        f"{path.relative_to(ROOT)}:{line} lacks {missing}"
        for path in files
        for line, missing in incomplete(path.read_text(encoding="utf-8"))
    ]
    assert wanting == []


def test_one_without_a_part_is_found() -> None:
    source = 'raise ConfigError("no", code="X", expected=1, found=2)\nraise ConfigError("no", fix="y")\n'
    assert incomplete(source) == [(1, "fix"), (2, "expected, found")]
