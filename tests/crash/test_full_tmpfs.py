"""A node on a real, small disk that fills up: it says so, loses nothing, and goes on by itself when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "full_disk_program.py"
MOUNT = 'mount -t tmpfs -o size=40m tmpfs "$1" || exit 77; exec "$2" "$3" "$1"'
MAY_NOT_MOUNT = 77


@pytest.mark.timeout(150)
def test_a_full_tmpfs(tmp_path: Path) -> None:
    """In a mount namespace of its own: whatever ends the program, the kernel takes the disk away with it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        ended = subprocess.run(
            ["unshare", "--mount", "sh", "-c", MOUNT, "sh", str(disk), sys.executable, str(PROGRAM)],
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("this system has no unshare")
    if ended.returncode == MAY_NOT_MOUNT or "Operation not permitted" in ended.stderr:
        pytest.skip("this user may not mount a tmpfs")
    assert ended.returncode == 0, ended.stderr[-4_000:]
    assert "nothing lost" in ended.stdout
