"""Work in a child process with limits of its own: whatever happens to it, this process lives to say so.

The language bounds what a contract may do; this is the fence behind it. Limits are the host's and decide nothing that
nodes must agree on: a child that meets one has found a fault of the runtime.
"""

from __future__ import annotations

import os
import resource
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

_CHUNK: Final = 1 << 16
_FAULT: Final = 70


@dataclass(frozen=True, slots=True)
class Died:
    """A child that ended without an answer: the signal that killed it, or 0 and its exit status."""

    signal: int
    status: int

    @property
    def reason(self) -> str:
        """In words."""
        if self.signal == signal.SIGXCPU:
            return "the processor time of the process is used up"
        name = signal.strsignal(self.signal) if self.signal else f"exit status {self.status}"
        return f"the process ended without an answer ({name})"


def confined(work: Callable[[], bytes], memory: int, seconds: int) -> bytes | Died:
    """What `work` returns, computed in a child that may grow by `memory` bytes of address space and use `seconds` of
    processor time. `work` must not start threads and must answer failures itself."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # a process with threads is warned of forking: the child runs no thread's code and ends by _exit
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _answer(work, writing, memory, seconds)
    os.close(writing)
    try:
        parts = []
        while part := os.read(reading, _CHUNK):
            parts.append(part)
        _, status = os.waitpid(child, 0)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(reading)
    code = os.waitstatus_to_exitcode(status)
    return b"".join(parts) if code == 0 else Died(max(0, -code), max(0, code))


def _answer(work: Callable[[], bytes], writing: int, memory: int, seconds: int) -> NoReturn:
    """The child: limits, work, answer, end. Nothing of the parent is flushed or cleaned up here."""
    status = _FAULT
    try:
        _limit(resource.RLIMIT_CPU, seconds)
        _limit(resource.RLIMIT_CORE, 0)
        mapped = _mapped()
        if mapped:
            _limit(resource.RLIMIT_AS, mapped + memory)
        left = memoryview(work())
        while left:
            left = left[os.write(writing, left) :]
        status = 0
    finally:
        os._exit(status)


def _limit(which: int, amount: int) -> None:
    """Lower a limit of this process; one that is lower already stays."""
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (amount if soft == resource.RLIM_INFINITY else min(amount, soft), hard))


def _mapped() -> int:
    """Bytes of address space of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
