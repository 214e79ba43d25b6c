"""What one client may ask of the API: requests per second by address, and nothing private from afar."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_CLIENTS: Final = 10_000
"""Addresses remembered; the least recently seen one is forgotten first."""


class RateLimit:
    """A token bucket per client address: `per_second`, with a burst of twice that."""

    __slots__ = ("_buckets", "_now", "_per_second")

    def __init__(self, per_second: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, client: str) -> bool:
        """Take one token of `client`; False if there is none."""
        now = self._now()
        full = 2.0 * self._per_second
        tokens, seen = self._buckets.pop(client, (full, now))
        tokens = min(full, tokens + (now - seen) * self._per_second)
        admitted = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if admitted else tokens, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return admitted


def is_loopback(client: str | None) -> bool:
    """Tell whether a request comes from this machine."""
    try:
        return client is not None and ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False
