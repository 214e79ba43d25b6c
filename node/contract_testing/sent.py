"""What became of a call on the test chain, and the failure that a test sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contracts.values import decode_value
from ledger.errors import GridchainError
from ledger.objects import Receipt
from node.contract_testing.watched_state import Touched


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event of a call that succeeded."""

    contract: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A call and its outcome. `value`: what it returned, or the details of a revert. `scheduled`: made by the chain;
    then `sender` is the contract and `arguments` are unknown. `height` and `time_ms` are of its block."""

    contract: str
    entry: str
    arguments: tuple[Any, ...]
    sender: bytes
    height: int
    time_ms: int
    ok: bool
    code: str
    line: int
    gas: int
    value: Any
    events: tuple[SeenEvent, ...]
    touched: Touched
    scheduled: bool = False


def value_of(raw: bytes) -> Any:
    """The result in a receipt."""
    return decode_value(raw) if raw else None


def events_of(receipt: Receipt) -> tuple[SeenEvent, ...]:
    """The events in a receipt."""
    return tuple(SeenEvent(event.contract, event.name, decode_value(event.data)) for event in receipt.events)


class CallFailed(GridchainError):
    """A call that a contract or the chain refused. `code` is the contract's, `sent` has all that is known, and the text
    shows the line, the arguments, the variables, and what was read and written."""

    def __init__(self, sent: Sent, explanation: str) -> None:
        super().__init__(f"{sent.contract}.{sent.entry} failed", code=sent.code)
        self.sent = sent
        self.explanation = explanation

    def __str__(self) -> str:
        return self.explanation or f"{self.code} at line {self.line} of {self.sent.contract}"

    @property
    def details(self) -> Any:
        """The details of the revert; None without."""
        return self.sent.value

    @property
    def line(self) -> int:
        """The line of the contract; 0 if none of its lines ran."""
        return self.sent.line


CallFailed.__module__ = "gridchain.testing"  # where tests import it from, and what pytest shows
