"""The list of tests that CI may not skip, and the check of it against a real report of pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]

WHOLE = "def test_one(): pass\ndef test_two(): pass\n"
HALF = "import pytest\ndef test_one(): pass\n@pytest.mark.skip(reason='no disk')\ndef test_two(): pass\n"
NONE = "import pytest\npytest.skip('no network', allow_module_level=True)\n"


def required() -> list[str]:
    lines = (TESTS / "must_run.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_list_names_files_that_exist_once_each() -> None:
    assert len(required()) == len(set(required())) > 0
    for name in required():
        assert (TESTS.parent / name.partition("::")[0]).is_file(), name


@pytest.mark.parametrize(
    ("source", "names", "told"),
    [
        (WHOLE, "tests/unit/test_it.py", ""),
        (HALF, "tests/unit/test_it.py::test_one", ""),
        (HALF, "tests/unit/test_it.py", "tests/unit/test_it.py::test_two: skipped: no disk"),
        (NONE, "tests/unit/test_it.py", "did not run"),
        (WHOLE, "tests/unit/test_gone.py", "tests/unit/test_gone.py: did not run"),
    ],
)
def test_the_check_reads_a_report_of_pytest(tmp_path: Path, source: str, names: str, told: str) -> None:
    place = tmp_path / "tests"
    (place / "unit").mkdir(parents=True)
    shutil.copy(TESTS / "must_run.py", place)
    (place / "must_run.txt").write_text(f"# a comment\n\n{names}\n", encoding="utf-8")
    (place / "unit" / "test_it.py").write_text(source, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    report = str(tmp_path / "report.xml")
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "tests"]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
    assert Path(report).exists(), ran.stdout + ran.stderr
    checked = subprocess.run(
        [sys.executable, str(place / "must_run.py"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == (1 if told else 0), checked.stderr
    assert told in checked.stderr
