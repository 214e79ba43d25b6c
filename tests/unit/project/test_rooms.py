"""The house rules, checked: one-way imports (and that the checker sees a breach), sizes, names, packaged files."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("ledger", "contracts", "consensus", "p2p", "node", "deploy", "bench", "gridchain")
MAX_FILE_LINES = 450
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "types"}

FORBIDDEN_IMPORTS = [
    ("ledger", "import node.clock"),
    ("consensus", "import contracts"),
    ("contracts", "import p2p"),
    ("p2p", "import consensus"),
    ("node", "import deploy"),
    ("consensus", "import time"),
    ("contracts", "import random"),
    ("ledger", "import asyncio"),
    ("ledger", "import pydantic"),
    ("contracts", "import ledger.store"),
    ("p2p", "import ledger.chain"),
    ("node", "import plyvel"),
    ("consensus", "import nacl"),
    ("node", "import gridchain"),
    ("ledger", "import plyvel"),
    ("ledger", "import nacl"),
    ("p2p", "import nacl"),
    ("gridchain", "import deploy"),
    ("gridchain", "import p2p"),
]


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(tree / "pyproject.toml"),
    ]
    environment = {"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__", "data"))
    return copy


def test_the_untouched_tree_passes(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("room", "line"), FORBIDDEN_IMPORTS, ids=lambda value: value.replace(" ", "-"))
def test_a_forbidden_import_is_seen(tree: Path, room: str, line: str) -> None:
    intruder = tree / room / "intruder.py"
    intruder.write_text(f'"""Breaks a rule."""\n\n{line}\n')
    try:
        result = lint(tree)
    finally:
        intruder.unlink()
    assert result.returncode != 0
    assert "BROKEN" in result.stdout


def test_files_stay_readable() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: lines for name, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_modules_have_meaningful_names_that_no_standard_module_has() -> None:
    names = {path.stem for path in sources() if path.stem != "__init__" and path.parent.name in ROOMS}
    assert names & BANNED_NAMES == set()
    top_level = {room for room in ROOMS if room in sys.stdlib_module_names}
    assert top_level == set()


def test_nothing_is_swallowed_outside_the_call_into_a_contract() -> None:
    """A catch-all may clean up and raise; only the call into contract code turns whatever came into an outcome. The
    simulator of whole nodes stands in for threads and tasks: it hands on whatever they would have ended with."""
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.ExceptHandler)
                and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
                and not isinstance(node.body[-1], ast.Raise)
            ):
                found.append(str(path.relative_to(ROOT)))
    allowed = {"contracts/executor.py", "contracts/frames.py", "contracts/calls.py"}
    assert set(found) <= allowed | {"node/simulation/loop.py", "node/simulation/network.py"}


def test_every_runtime_dependency_is_the_agreed_list() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {line.split(">=")[0].split(";")[0].strip() for line in project["dependencies"]}
    assert names == {
        "cryptography", "pynacl", "aiohttp", "plyvel", "rocksdict", "msgpack", "msgspec", "pydantic",
        "pydantic-settings", "uvloop", "typer", "rich", "structlog", "prometheus-client",
    }  # fmt: skip
