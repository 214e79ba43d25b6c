"""An event loop whose time stands still while anything runs and jumps to the next thing that is due.

Nothing here waits: no socket, no thread, no sleep of the operating system. What code hands to a thread pool is run by
the loop itself, one job of a pool after the other, at a time and for a time that the machine of the asking task decides
(`MACHINE`). So a run is a function of its inputs: same tasks, same seeds, same order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ledger.errors import InvariantBroken

RESOLUTION_S: Final = 1e-6


class PowerCut(BaseException):
    """The machine is off: what ran on it ends here, without a trace."""


class Worker(Protocol):
    """What a simulated machine tells of the work of its threads."""

    @property
    def off(self) -> bool:
        """Whether it is off: its work never ends."""

    def delay_s(self) -> float:
        """Seconds until a free thread begins with what it is given."""

    def took_s(self) -> float:
        """Seconds that the piece of work took that has just been run."""


MACHINE: ContextVar[Worker | None] = ContextVar("MACHINE", default=None)
"""The machine that a task runs on; None for the world's own tasks."""


@dataclass(frozen=True, slots=True)
class _Job:
    call: Callable[[], Any]
    answer: asyncio.Future[Any]
    context: Context


class _Jump:
    """Stands where a selector would: instead of waiting, time moves."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        """Move time by `timeout`."""
        if timeout is None:
            raise InvariantBroken("the simulated world has stopped: nothing is due, and the run is not over")
        self._loop.now_s += max(0.0, timeout)
        return []

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. `now_s`: seconds since the run began; `steps`: rounds of the loop so far."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.steps = 0
        self._selector = _Jump(self)
        self._clock_resolution = RESOLUTION_S
        self._pools: dict[int, tuple[object, deque[_Job]]] = {}

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def _run_once(self) -> None:
        self.steps += 1
        super()._run_once()  # type: ignore[misc]  # the loop's own step, which typeshed does not name

    def _process_events(self, event_list: list[Any]) -> None:
        """There is nothing to read or write."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there is no other thread."""

    # --- threads ------------------------------------------------------------------------------------------------------

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # no TypeVarTuple before 3.11's stubs
        """Queue work of a pool; a pool has one thread. Work of no pool waits for nobody."""
        answer: asyncio.Future[Any] = self.create_future()
        job = _Job(lambda: func(*args), answer, copy_context())
        if executor is None:
            self._begin_in(deque([job]))
            return answer
        _, queue = self._pools.setdefault(id(executor), (executor, deque()))
        queue.append(job)
        if len(queue) == 1:
            self._begin_in(queue)
        return answer

    def _begin_in(self, queue: deque[_Job]) -> None:
        machine = queue[0].context.get(MACHINE)
        delay = 0.0 if machine is None else machine.delay_s()
        self.call_later(delay, self._begin, queue, machine)

    def _begin(self, queue: deque[_Job], machine: Worker | None) -> None:
        job = queue[0]
        if machine is not None and machine.off:
            return
        result: Any = None
        failed: BaseException | None = None
        if not job.answer.cancelled():
            try:
                result = job.context.run(job.call)
            except PowerCut:
                return
            except BaseException as error:  # noqa: BLE001 - as a thread does: it is raised where the answer is awaited
                failed = error
        self.call_later(0.0 if machine is None else machine.took_s(), self._end, queue, machine, result, failed)

    def _end(self, queue: deque[_Job], machine: Worker | None, result: Any, failed: BaseException | None) -> None:
        if machine is not None and machine.off:
            return
        answer = queue.popleft().answer
        if not answer.done():
            if failed is None:
                answer.set_result(result)
            else:
                answer.set_exception(failed)
        if queue:
            self._begin_in(queue)
