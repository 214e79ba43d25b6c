"""Views of a chain that threads of this node have open: the store must not be closed under them, for LevelDB takes the
process with it then.

    chain.guard = views.one      a view is counted while it is open
    views.end()                  before the store is closed: no more are given out, open ones are waited for
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Condition
from typing import Final

from ledger.errors import StoreError

LONGEST_VIEW_S: Final = 10.0
"""What a query that runs while its node closes is waited for."""


class OpenViews:
    """See the module. For any thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._open = 0
        self._ended = False

    @contextmanager
    def one(self) -> Generator[None]:
        """For as long as a view is open. Raise `StoreError` (STORE_CLOSED) after `end`."""
        with self._changed:
            if self._ended:
                raise StoreError("the chain is closed", code="STORE_CLOSED", fix="ask again when the node is open")
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Give out no more views and wait for those that are open."""
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: self._open == 0, timeout=LONGEST_VIEW_S)
