"""What an engine on the core decides by itself. Everything else is the core's and the same for all."""

from __future__ import annotations

from typing import Protocol

from ledger.objects import Header


class Policy(Protocol):
    """Pure answers from headers alone."""

    @property
    def fast_skip(self) -> bool:
        """Whether R7 may shorten the turn of a leader that was silent in its last one."""
        ...

    def is_boundary(self, header: Header) -> bool:
        """Whether this block, which is not a closing one, is the last of its epoch."""
        ...
