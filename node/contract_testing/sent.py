"""What became of a call on the test chain, and the failure that a test sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from contracts.values import decode_value
from ledger.errors import GridchainError
from ledger.objects import Receipt
from node.contract_testing.watched_state import Touched

NOTES: Final = {
    "TypeMismatch": "a value is of another type than the source declares, or the number of arguments is wrong",
    "AuthDenied": "the caller has no right to do this: a write in a view, an entry that only the chain calls, a "
    "role or signature that is missing, or a contract that is not in the caller's manifest",
    "KeyMissing": "nothing is stored under this key and the slot has no default",
    "OutOfGas": "the call needs more gas than it was given",
    "Reentrancy": "a contract that is already running was called again",
    "Migrating": "the contract's storage is being rewritten by an upgrade",
    "Frozen": "the contract was frozen by vote",
    "UNKNOWN_CONTRACT": "there is no instance of that name",
    "UNKNOWN_ENTRY": "the contract has no such entry",
    "Internal": "a fault of the runtime itself: please report it",
}
"""What codes of the runtime mean, for authors."""


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event of a call that succeeded."""

    contract: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A call and its outcome. `value`: what it returned, or the details of a revert. `scheduled`: made by the chain;
    then `sender` is the contract and the first of `arguments` its due time. `height` and `time_ms` are of its block."""

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
        where = f"line {sent.line} of {sent.contract}" if sent.line else f"before any line of {sent.contract} ran"
        super().__init__(
            f"{sent.contract}.{sent.entry} failed",
            code=sent.code,
            expected="a call that the contract takes",
            found=where + ("" if sent.value is None else f", details {sent.value!r}"),
            fix=NOTES.get(sent.code, "look there what the contract requires"),
        )
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
