"""The corpus gives the same outcome, line and gas, and a slot of a market the same state roots and receipts, under
other hash seeds, flags, locales and interpreters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contract_digest import lines, roots

SCRIPT = Path(__file__).parents[2] / "support" / "contract_digest.py"


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return lines() + roots()


def outcome(python: str, *flags: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [python, *flags, str(SCRIPT)], capture_output=True, text=True, timeout=110, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ((), {"PYTHONHASHSEED": "0"}),
        ((), {"PYTHONHASHSEED": "4294967295"}),
        (("-O",), {}),
        (("-OO", "-W", "error"), {"PYTHONHASHSEED": "7"}),
        (("-X", "utf8=0"), {"LC_ALL": "C", "LANG": "tr_TR.UTF-8", "PYTHONIOENCODING": "ascii"}),
    ],
)
def test_flags_seeds_and_locales_change_nothing(
    expected: list[str], flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert outcome(sys.executable, *flags, **environment) == expected


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_other_interpreters_agree(expected: list[str], version: str) -> None:
    python = os.environ.get(f"GRIDCHAIN_PYTHON{version.replace('.', '')}") or shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no python{version} here")
    probe = subprocess.run([python, "-c", "import msgspec, nacl"], capture_output=True, timeout=60)
    if probe.returncode != 0:
        pytest.skip(f"{python} lacks msgspec or PyNaCl")
    assert outcome(python) == expected
