"""Timers of an engine on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from consensus.engine import Timer


class Timers:
    """Armed timers. One that fired is delivered only if it was neither disarmed nor moved while it queued (`take`)."""

    def __init__(self, fired: Callable[[Timer, int], None]) -> None:
        self._fired = fired
        self._armed: dict[Timer, tuple[int, asyncio.TimerHandle]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, timer: Timer, delay_ms: int) -> None:
        """Start or move a timer."""
        self.disarm(timer)
        self._count += 1
        token = self._count
        loop = asyncio.get_running_loop()
        handle = loop.call_later(max(delay_ms, 0) / 1_000, self._fired, timer, token)
        self._armed[timer] = (token, handle)

    def disarm(self, timer: Timer) -> None:
        """Stop a timer; one that is not armed is no error."""
        armed = self._armed.pop(timer, None)
        if armed is not None:
            armed[1].cancel()

    def take(self, timer: Timer, token: int) -> bool:
        """Tell whether a firing still counts, and forget the timer."""
        armed = self._armed.get(timer)
        if armed is None or armed[0] != token:
            return False
        del self._armed[timer]
        return True

    def close(self) -> None:
        """Stop them all."""
        for _, handle in self._armed.values():
            handle.cancel()
        self._armed.clear()
