"""Rules removed on purpose, to prove that the checker would notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Run with a rule missing; the empty name is the true core."""
    yield
