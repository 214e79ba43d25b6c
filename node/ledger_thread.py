"""The one thread on which blocks are built, checked and committed, in the order they were asked for.

The loop is not held meanwhile: this thread gives the interpreter lock back every switch interval (ADR 0040), and the
store frees it while it writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class LedgerThread:
    """Runs functions one after the other; an exception is raised where the result is awaited."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[LedgerThread]:
        """Start the thread; on exit wait for what it runs and drop what waits."""
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        try:
            yield cls(pool)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> asyncio.Future[T]:
        """Queue a call now; await the result later. The order of calls is the order of `run`."""
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *arguments, **named))
