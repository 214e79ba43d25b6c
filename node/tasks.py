"""Every task has a parent. Rules:

1. Background work is spawned in a `task_scope`; leaving the scope, however it is left, cancels what still runs.
2. A task that crashes ends its scope, and so, scope by scope, the process: nothing lives on half dead.
3. `asyncio.create_task` is banned by the linter; this module and `asyncio.TaskGroup` are the only doors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


class Tasks:
    """The children of one scope."""

    __slots__ = ("_group", "_live")

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._live: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        """Run `work` beside the rest of the scope; its failure ends the scope."""
        task = self._group.create_task(work, name=name)
        self._live.add(task)
        task.add_done_callback(self._live.discard)

    def __len__(self) -> int:
        return len(self._live)

    def cancel(self) -> None:
        """Ask every child to end."""
        for task in tuple(self._live):
            task.cancel()


@asynccontextmanager
async def task_scope() -> AsyncIterator[Tasks]:
    """Open a scope for background tasks. On exit children are cancelled and awaited; a child's failure is raised."""
    async with asyncio.TaskGroup() as group:
        tasks = Tasks(group)
        try:
            yield tasks
        finally:
            tasks.cancel()
