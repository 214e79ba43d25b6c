"""One meter per transaction: gas, memory, frame and state access, all in one object that generated code can reach.

Generated code subtracts from `gas` inline (one name, `$m`, that source cannot spell); helpers are closures over the
same object. Nothing here depends on caches, so equal calls cost equal gas on every node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from contracts.faults import AuthDenied, OutOfGas, OutOfMemory
from contracts.limits import GAS1, PYC1
from ledger.errors import InvariantBroken
from ledger.objects import Event

LIMITS = PYC1
GAS = GAS1


class StateReader(Protocol):
    """What a query needs of state."""

    def get(self, key: bytes, /) -> bytes | None:
        """The value under a key."""
        ...

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = 1 << 62) -> list[tuple[bytes, bytes]]:
        """Pairs under a prefix in ascending key order, behind `after`."""
        ...


class StateView(StateReader, Protocol):
    """What execution needs of state: reads, writes, and marks to undo writes to."""

    def put(self, key: bytes, value: bytes, /) -> None:
        """Write."""
        ...

    def delete(self, key: bytes, /) -> None:
        """Delete."""
        ...

    def checkpoint(self) -> int:
        """A mark of the writes so far."""
        ...

    def rollback(self, mark: int, /) -> None:
        """Undo the writes since a mark."""
        ...


def no_view(*_: Any) -> NoReturn:
    """Stands in for state access while nothing runs."""
    raise InvariantBroken("a contract ran outside a call")


def refuse_write(*_: Any) -> NoReturn:
    """Stands in for writes inside a view."""
    raise AuthDenied


class Meter:
    """Counters and context of the running transaction. Reused; `contracts.executor` resets it for each call."""

    __slots__ = (
        "allowed", "block_time_ms", "chain_id", "delete", "depth", "events", "gas", "get", "has_role", "height",
        "invoke", "market_time_ms", "mem", "name", "origin", "put", "readonly", "route", "scan", "schedule",
        "self_address", "sender", "tx_hash",
    )  # fmt: skip

    def __init__(self) -> None:
        self.gas = 0
        self.mem = 0
        self.depth = 0
        self.allowed = LIMITS.function_depth
        self.events: list[Event] = []
        self.readonly = False
        self.name = ""
        self.sender = b""
        self.origin = b""
        self.self_address = b""
        self.tx_hash = b""
        self.chain_id = ""
        self.height = 0
        self.block_time_ms = 0
        self.market_time_ms = 0
        self.get: Callable[[bytes], bytes | None] = no_view
        self.put: Callable[[bytes, bytes], None] = no_view
        self.delete: Callable[[bytes], None] = no_view
        self.scan: Callable[..., list[tuple[bytes, bytes]]] = no_view
        self.invoke: Callable[..., Any] = no_view
        self.route: Callable[..., Callable[..., Any]] = no_view
        self.schedule: Callable[..., None] = no_view
        self.has_role: Callable[[Any], bool] = no_view

    def spend(self, gas: int) -> None:
        """Charge before work."""
        self.gas -= gas
        if self.gas < 0:
            raise OutOfGas

    def allocate(self, size: int) -> None:
        """Charge memory; it is never refunded inside a call."""
        self.mem -= size
        if self.mem < 0:
            raise OutOfMemory
