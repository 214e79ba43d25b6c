"""Node processes that are started before their network is founded (ADR 0271).

A network's clock runs from genesis on, and a node needs seconds to load. Who founds a network to run it at once starts
the processes first: when the clock begins they have only their stores to open, and what loading took is measured.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from deploy.held_node import Loading
from deploy.layout import NODE_LOG
from ledger.errors import GridchainError
from node.lifeline import child_environment

LOAD_TIMEOUT_S: Final = 60.0
LOAD_PER_NODE_S: Final = 15.0


class HeldError(GridchainError):
    """A process that could not load a node."""

    code = "NODE_DIED"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading one node took, beside the others: `wall_ms` of time, `cpu_ms` of a processor's, `work_ms` of those
    for a fixed piece of work."""

    wall_ms: int
    cpu_ms: int
    work_ms: int


class Held:
    """Processes by the name of their node. Made by `open`, which ends those that were not begun."""

    def __init__(self, directory: Path, names: Sequence[str], contracts: Sequence[str]) -> None:
        self._started = time.monotonic()
        self._count = len(names)
        self._waiting: dict[Path, subprocess.Popen[bytes]] = {}
        for name in names:
            home = directory / name
            self._waiting[home] = _start(home, contracts)

    @classmethod
    @contextmanager
    def open(cls, directory: Path, names: Sequence[str], contracts: Sequence[str]) -> Iterator[Held]:
        """Start a process for each node that will have its home under `directory`; `contracts`: of the library, to be
        compiled as well."""
        held = cls(directory, names, contracts)
        try:
            yield held
        finally:
            for process in held._waiting.values():
                process.kill()
                process.wait()
                _close(process)

    async def loaded(self) -> list[Loaded]:
        """Wait until all have loaded. Raise `HeldError` if one ends before, or is far too late."""
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S + LOAD_PER_NODE_S * self._count):
                return await asyncio.gather(*(self._loaded(home, one) for home, one in self._waiting.items()))
        except TimeoutError:
            raise HeldError(
                "the processes of the nodes do not load",
                code="NODE_NOT_READY",
                expected=f"all within {LOAD_TIMEOUT_S + LOAD_PER_NODE_S * self._count:.0f} s",
                found="some still loading",
                fix="this machine is too busy: try again later",
            ) from None

    async def _loaded(self, home: Path, process: subprocess.Popen[bytes]) -> Loaded:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        wall_ms = int((time.monotonic() - self._started) * 1000)
        if not line:
            raise HeldError(
                f"{home.name} ended before it was loaded",
                expected="a running process",
                found=(home / NODE_LOG).read_text("utf-8", "replace")[-2_000:],
                fix=f"see {home / NODE_LOG}",
            )
        loading = msgspec.json.decode(line, type=Loading)
        return Loaded(wall_ms, loading.cpu_ms, loading.work_ms)

    def begin(self, home: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        """Let the process of a home run its node; None if there is none, or it runs already."""
        process = self._waiting.pop(home, None)
        if process is not None and process.stdin is not None:
            with suppress(BrokenPipeError):  # it has died: whoever waits for the node sees that
                process.stdin.write(msgspec.json.encode(dict(environment)) + b"\n")
                process.stdin.flush()
            _close(process)
        return process


def _start(home: Path, contracts: Sequence[str]) -> subprocess.Popen[bytes]:
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "deploy.held_node", str(home), str(os.getpid()), ",".join(contracts)]
    with (home / NODE_LOG).open("ab") as log:
        # Its own session, as every node of a cluster has.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=child_environment(),
            start_new_session=True,
        )


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):  # of a process that died before it heard
                stream.close()
