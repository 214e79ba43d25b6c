"""The scheduled calls of one block on the test chain, each with what it was given and what it touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.gas_profile import RaisedFrame, Watch
from contracts.meter import Meter
from contracts.state_format import ScheduledCall, scheduled_subject
from contracts.values import decode_value
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.objects import Receipt
from ledger.schema import STATE_SCHEDULE
from node.contract_testing.watched_state import Touched, WatchedState


@dataclass(slots=True)
class DueCall:
    """`arguments`: as the entry got them, its due time first; `raised`: functions that a failure passed, if watched."""

    arguments: tuple[Any, ...] = ()
    touched: Touched = field(default_factory=Touched)
    raised: list[RaisedFrame] = field(default_factory=list)


class DueRun:
    """Runs what is due in a block. The executor takes each call out of the schedule before it makes it: from there on,
    what is touched and raised is that call's."""

    def __init__(self, state: WatchedState, meter: Meter, run: Callable[[], list[Receipt]]) -> None:
        self._state = state
        self._meter = meter
        self._run = run
        self._mark = state.checkpoint()
        self._calls: dict[Hash, DueCall] = {}

    def receipts(self) -> list[Receipt]:
        """Make the calls."""
        return self._made(None)

    def of(self, receipt: Receipt) -> DueCall:
        """The call of a receipt."""
        return self._calls.get(Hash(receipt.subject)) or DueCall()

    def raised(self, receipt: Receipt) -> list[RaisedFrame]:
        """Make all calls of the block once more, watched; the functions that the failure of this one passed."""
        self._state.rollback(self._mark)
        with Watch(self._meter).on() as watch:
            self._made(watch)
        return self.of(receipt).raised

    def _made(self, watch: Watch | None) -> list[Receipt]:
        def taken(key: bytes, raw: bytes) -> None:
            call = DueCall()
            if key.startswith(STATE_SCHEDULE):
                found = decode(ScheduledCall, raw)
                call.arguments = (found.due_market_ms, *decode_value(found.arguments))
            self._calls[scheduled_subject(key)] = call
            self._state.touched = call.touched
            if watch is not None:
                watch.raised, watch.error = call.raised, None

        self._state.taken = taken
        try:
            return self._run()
        finally:
            self._state.taken = None
