"""All tests that CI runs, on two cores: what starts no node processes runs in two halves side by side; then crashes and
whole networks run alone, for they have the clock to keep to.

    python tests/side_by_side.py [DIRECTORY FOR JUNIT REPORTS]
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

TESTS = Path(__file__).resolve().parent
FIRST = ("unit",)
MOVED = ("unit/contracts",)
"""A part of the first half that runs in the second, so that both take as long."""
ALONE = ("crash", "e2e")
END_S = 20


def halves(tests: Path = TESTS) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Folders of the first half, of the second, and of what runs alone: every folder with tests is in one of them."""
    found = {path.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")}
    moved = (name for name in MOVED if (tests / name).is_dir())
    return FIRST, (*sorted(found - {*FIRST, *ALONE}), *moved), ALONE


def start(folders: Sequence[str], reports: Path | None, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run the tests of some folders; `output` None: to the terminal."""
    command = [sys.executable, "-m", "pytest", "-m", "not soak", *(f"tests/{name}" for name in folders)]
    command += [f"--ignore=tests/{name}" for name in MOVED if name not in folders]
    if reports is not None:
        command.append(f"--junitxml={reports / '-'.join(folders).replace('/', '-')}.xml")
    return subprocess.Popen(command, cwd=TESTS.parent, stdout=output, stderr=output)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a run that is not over as Ctrl-C does: it still says what has failed in it so far."""
    if process.poll() is None:
        told = isinstance(sys.exc_info()[1], KeyboardInterrupt)  # a terminal has given it to all; twice is too much
        if not told:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    """Run everything; 0 if all went well, else what one of the runs gave."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever ends a run that hangs wants to know where
    reports = Path(sys.argv[1]) if sys.argv[1:] else None
    first, second, alone = halves()
    with tempfile.TemporaryFile() as told:
        running = [start(second, reports, told)]
        try:
            running.append(start(first, reports))
            codes = [process.wait() for process in reversed(running)]
        finally:
            for process in running:
                end(process)
            told.seek(0)
            print(told.read().decode("utf-8", "replace"), flush=True)
    last = start(alone, reports)
    try:
        codes.append(last.wait())
    finally:
        end(last)
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
