"""Where a chain in memory begins: with nothing, or (`node.contract_testing.fork`) with the state of a real chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.executor import Executor, MarketClock
from ledger.state_base import StateRows
from node.contract_testing.watched_state import NoRows

_CHAIN_ID: Final = "dev-" + "0" * 32


@dataclass(frozen=True, slots=True)
class Ground:
    """`rows`: state below everything that a test writes; `names`: instances that are in it; `executor` makes one with
    the chain's clock and gas caps."""

    rows: StateRows
    executor: Callable[[], Executor]
    chain_id: str
    height: int
    time_ms: int
    names: tuple[str, ...]


def empty_ground() -> Ground:
    """Nothing: height 0, time 0, market time is block time."""
    return Ground(NoRows(), lambda: Executor(MarketClock(0, 0, 1)), _CHAIN_ID, 0, 0, ())
