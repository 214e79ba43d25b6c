"""`make` runs the candidates for Python before it believes in one, and says what to do if there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def install(directory: Path, candidates: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "install", f"VENV={directory / 'venv'}", f"PYTHON_CANDIDATES={candidates}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def program(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_a_shim_that_is_there_and_fails_is_no_python(tmp_path: Path) -> None:
    shim = program(tmp_path / "python3.11", "echo 'version 3.11 is not installed' >&2; exit 127")
    result = install(tmp_path, f"{shim} {tmp_path / 'nothing'}")
    assert result.returncode != 0
    assert f"none of these could be run: {shim} {tmp_path / 'nothing'}" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr
    assert "make PYTHON=" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_the_first_candidate_that_works_is_taken(tmp_path: Path) -> None:
    shim = program(tmp_path / "shim", "exit 1")
    told = tmp_path / "told"
    good = program(
        tmp_path / "good",
        f'case "$1" in -c) exit 0;; --version) echo "Python 3.12.99";; *) echo "$@" >>{told}; exit 3;; esac',
    )
    result = install(tmp_path, f"{shim} {good} {shim}")
    assert result.returncode != 0
    assert "environment: Python 3.12.99" in result.stdout
    assert told.read_text() == f"-m venv {tmp_path / 'venv'}\n"
