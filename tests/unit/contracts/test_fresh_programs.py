"""Ordinary programs give the value that plain CPython gives; hostile ones end as they should, soon and small."""

from __future__ import annotations

import copy
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from contract_bench import run
from contract_fresh import FRESH, FRESH_HOSTILE

ROOT = Path(__file__).resolve().parents[3]


def plain(value: Any) -> Any:
    """Values as they cross the border: tuples as lists; types beside values, because True == 1."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return [(plain(key), plain(item)) for key, item in value.items()]
    return (type(value).__name__, value)


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(FRESH) >= 200
    assert len(FRESH_HOSTILE) >= 150
    assert len({name for name, _, _ in FRESH_HOSTILE}) == len(FRESH_HOSTILE)


@pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")  # the plain Python beside it, from 3.12 on
@pytest.mark.parametrize("name", FRESH)
def test_an_ordinary_program_means_what_python_means(name: str) -> None:
    source, cases = FRESH[name]
    assert cases, "a program is called at least once"
    for arguments in cases:
        scope: dict[str, Any] = {"Revert": RuntimeError}
        exec(source, scope)
        expected = scope["main"](*copy.deepcopy(arguments))
        found = run(source, "main", arguments)
        assert (found.status, found.code) == ("ok", ""), (arguments, found)
        assert plain(found.value) == plain(expected)
        assert run(source, "main", arguments).gas == found.gas


@pytest.mark.parametrize(("name", "ends", "source"), FRESH_HOSTILE)
def test_a_hostile_program_ends_as_it_should(name: str, ends: str, source: str) -> None:
    before = time.process_time()
    found = run(source)
    if ends == "rejected":
        assert found.status == "rejected", found
        assert found.code.startswith("C0")
    else:
        assert (found.status, found.code) == ("reverted", ends), found
    assert 0 <= found.gas <= 50_000_000
    assert time.process_time() - before < 5 * 4  # other tests run beside this one
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1024 * 1024


@pytest.mark.parametrize("name", ["rejected", "texts_forever", "nested_any"])
def test_the_command_prints_one_line_of_json(name: str, tmp_path: Path) -> None:
    source = next(source for found, ends, source in FRESH_HOSTILE if name in (found, ends))
    file = tmp_path / "program.py"
    file.write_text(source, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "deploy.main",
        "contract",
        "run",
        str(file),
        "--entry",
        "main",
        "--args",
        "[]",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    shown = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert shown["status"] in ("rejected", "reverted")
    assert set(shown) >= {"status", "value", "code", "line", "gas"}
