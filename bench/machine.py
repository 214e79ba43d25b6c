"""What the machine did meanwhile: CPU by process, CPU of others, memory, and how fast it verifies signatures.

Linux only (/proc). CPU times are seconds; memory is bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ledger.crypto import DOMAIN_TRANSACTION, SigningKey, verify

_TICK = os.sysconf("SC_CLK_TCK")
_VERIFY_CHUNK = 64
_MESSAGE_BYTES = 200


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """Name of the processor, for the report."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def process_cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def family(pid: int) -> list[int]:
    """A process and its children: what a node runs in processes of its own counts as the node."""
    members = [pid]
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended since has no children
            for child in listing.read_text().split():
                members += family(int(child))
    return members


def peak_memory_bytes(pid: int) -> int:
    """Largest resident sets of a process and its children so far, added up; 0 if it is gone."""
    return sum(_peak_memory_of_one(member) for member in family(pid))


def _peak_memory_of_one(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def machine_busy_seconds() -> float:
    """CPU seconds that all processes of the machine have used since it started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / _TICK


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU seconds at one moment: of the whole machine, of our nodes, of this process; and wall time."""

    wall: float
    machine: float
    nodes: float
    client: float

    @classmethod
    def take(cls, pids: Sequence[int]) -> CpuReading:
        """Read all clocks now."""
        return cls(
            wall=time.perf_counter(),
            machine=machine_busy_seconds(),
            nodes=sum(process_cpu_seconds(member) for pid in pids for member in family(pid)),
            client=process_cpu_seconds(os.getpid()),
        )

    def other_cores_since(self, before: CpuReading) -> float:
        """Cores that processes other than ours kept busy between two readings."""
        wall = self.wall - before.wall
        ours = (self.nodes - before.nodes) + (self.client - before.client)
        return max(0.0, (self.machine - before.machine - ours) / wall) if wall > 0 else 0.0


def _verify_for(seconds: float, results: Connection, start: multiprocessing.synchronize.Barrier) -> None:
    key = SigningKey(bytes(32))
    message = bytes(_MESSAGE_BYTES)
    signature = key.sign(DOMAIN_TRANSACTION, message)
    start.wait()
    count = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for _ in range(_VERIFY_CHUNK):
            if not verify(key.public, DOMAIN_TRANSACTION, message, signature):
                raise AssertionError("a good signature did not verify")
        count += _VERIFY_CHUNK
    results.send(count / (time.perf_counter() - begun))
    results.close()


def verify_all_per_s(seconds: float = 2.0) -> float:
    """Signatures a second with one verifying process per core at once: what the machine can do at most."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(cores())
    readers: list[Connection] = []
    workers = []
    for _ in range(cores()):
        reader, writer = context.Pipe(duplex=False)
        worker = context.Process(target=_verify_for, args=(seconds, writer, start), daemon=True)
        worker.start()
        writer.close()
        readers.append(reader)
        workers.append(worker)
    rates = [float(reader.recv()) for reader in readers]
    for worker in workers:
        worker.join()
    return sum(rates)
