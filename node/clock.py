"""Wall time enters the node here and nowhere else; timeouts use the event loop's own time."""

from __future__ import annotations

import time
from typing import Final, Protocol

SMALL_STEP_MS: Final = 1_000
"""A wall clock set back by less than this is waited out, one set back by more is followed."""


class Clock(Protocol):
    """Milliseconds since 1970, never running back by a small step."""

    def now(self) -> int:
        """Return the time in milliseconds."""
        ...


class SystemClock:
    """The machine's clock plus `offset_ms` (a development setting that makes a node's clock wrong on purpose)."""

    __slots__ = ("_last", "_offset_ms")

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms
        self._last = 0

    def now(self) -> int:
        """Milliseconds since 1970; small steps back of the machine's clock are flattened."""
        wall = time.time_ns() // 1_000_000 + self._offset_ms
        if self._last - SMALL_STEP_MS < wall < self._last:
            return self._last
        self._last = wall
        return wall


class ManualClock:
    """A clock that a test moves."""

    __slots__ = ("time_ms",)

    def __init__(self, time_ms: int = 0) -> None:
        self.time_ms = time_ms

    def now(self) -> int:
        """Return what the test has set."""
        return self.time_ms
