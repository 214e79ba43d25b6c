"""Signature checks on worker threads, and where the cores are this node's own, beside the interpreter lock.

libsodium frees the lock while it checks, but a thread must have it back after every signature; while the loop or the
ledger thread is busy that is a wait of a switch interval each time. So on a node with cores to itself a thread hands
its chunk to a process of its own, by a pipe, and takes the lock once a chunk (ADR 0070). A process that dies or does
not answer costs nothing: its thread checks the chunk itself and starts no other.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from ledger.codec import encode
from ledger.crypto import Hash
from ledger.objects import Transaction, Verified, verify_transaction
from node.lifeline import child_environment
from node.log import Logger
from node.metrics import Metrics
from node.signature_process import ANSWER, LENGTH

PATIENCE_S: Final = 10.0
"""A process that takes longer for a chunk is given up."""


class ProcessLost(Exception):
    """The process behind a thread has ended or hangs."""


class CheckingProcess:
    """A child that checks what is written to it (`node.signature_process`). It ends when its input does."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "node.signature_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=child_environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is the node's alone; the child follows it
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._input, self._output = self._child.stdin.fileno(), self._child.stdout.fileno()
        self.pid = self._child.pid

    def check(self, transactions: Sequence[Transaction]) -> tuple[bytes, float]:
        """One byte a transaction, 1 if its signature holds, and the CPU seconds it took. Raise `ProcessLost`."""
        request = encode([(t.body.public_key, t.body_bytes, t.signature) for t in transactions])
        try:
            self._write(LENGTH.pack(len(request)) + request)
            nanoseconds: int = ANSWER.unpack(self._read(ANSWER.size))[0]
            return self._read(len(transactions)), nanoseconds / 1e9
        except (OSError, struct.error) as error:
            raise ProcessLost(str(error)) from None

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            _wait_for(self._input, select.POLLOUT)
            view = view[os.write(self._input, view[:65_536]) :]

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            _wait_for(self._output, select.POLLIN)
            part = os.read(self._output, size - len(parts))
            if not part:
                raise ProcessLost("it has ended")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """End the child and wait for it."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._child.kill()
        self._child.wait()


def _wait_for(pipe: int, what: int) -> None:
    """Until a pipe can be read or written. By poll(2): select(2) takes no descriptor above 1,023."""
    poll = select.poll()
    poll.register(pipe, what)
    if not poll.poll(PATIENCE_S * 1_000):
        raise ProcessLost(f"no answer within {PATIENCE_S:.0f} s")


class SignatureChecks:
    """See the module. Make it with `open`."""

    def __init__(self, threads: ThreadPoolExecutor, metrics: Metrics, log: Logger | None) -> None:
        self._threads = threads
        self._metrics = metrics
        self._log = log
        self._idle: queue.SimpleQueue[CheckingProcess] = queue.SimpleQueue()

    @classmethod
    @contextmanager
    def open(
        cls, threads: int, metrics: Metrics, *, processes: bool, log: Logger | None = None
    ) -> Iterator[SignatureChecks]:
        """Start `threads` threads, each with a process if `processes`; end them with the scope."""
        pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")
        checks = cls(pool, metrics, log)
        started: list[CheckingProcess] = []
        try:
            for _ in range(threads if processes else 0):
                started.append(CheckingProcess())
                checks._idle.put(started[-1])
            yield checks
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for process in started:
                process.close()

    def check(self, transactions: Sequence[Transaction]) -> asyncio.Future[dict[Hash, Verified[Transaction]]]:
        """Those whose signatures hold, by id; checked off the loop."""
        return asyncio.get_running_loop().run_in_executor(self._threads, self._check, transactions)

    # --- on a worker thread -------------------------------------------------------------------------------------------

    def _check(self, transactions: Sequence[Transaction]) -> dict[Hash, Verified[Transaction]]:
        good, seconds = self._by_process(transactions) or _by_this_thread(transactions)
        self._metrics.verifications.inc(len(transactions))
        self._metrics.spent("verify", seconds, len(transactions))
        return good

    def _by_process(self, transactions: Sequence[Transaction]) -> _Answer | None:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            return None
        try:
            holds, seconds = process.check(transactions)
        except ProcessLost as lost:
            if self._log is not None:
                self._log.warning("a process that checks signatures is lost; its thread goes on", reason=str(lost))
            return None
        self._idle.put(process)
        return {t.id: Verified(t) for t, good in zip(transactions, holds, strict=True) if good == 1}, seconds


_Answer = tuple[dict[Hash, Verified[Transaction]], float]


def _by_this_thread(transactions: Sequence[Transaction]) -> _Answer:
    started = time.thread_time()
    checked = [(transaction.id, verify_transaction(transaction)) for transaction in transactions]
    good = {identity: verified for identity, verified in checked if verified is not None}
    return good, time.thread_time() - started
