"""How a contract fails: a closed set of codes.

    Exception
    └── Fault                 a contract's own failure; its code may be caught by `except CODE`
        ├── Reverted          `revert("CODE")`, `require(..., "CODE")`; carries details
        └── Overflow, DivByZero, KeyMissing, IndexRange, TypeMismatch, BadValue, Assertion
    BaseException
    └── Halt                  ends the whole transaction; no contract handler can name it
        ├── OutOfGas, OutOfMemory, DepthExceeded, Reentrancy, AuthDenied
        ├── Unknown           no such contract or entry
        ├── Blocked           a contract that is frozen or migrates
        └── CalleeFailed      a called contract failed; carries its code and line

Host exceptions never reach a contract: `code_of` maps the few that inlined operations may raise (division by zero,
index, key, type) by a closed table, and everything else is `Internal`.
"""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """A failure that contract code may catch by its code."""

    code = "Internal"


class Reverted(Fault):
    """The contract's own refusal: a code and optional details."""

    def __init__(self, code: str, details: Any = None) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


class Overflow(Fault):
    """An integer left -2^255 .. 2^255-1, or its declared width."""

    code = "Overflow"


class DivByZero(Fault):
    """Division or remainder by zero."""

    code = "DivByZero"


class KeyMissing(Fault):
    """A key that is not in a dict or in storage."""

    code = "KeyMissing"


class IndexRange(Fault):
    """An index outside a sequence."""

    code = "IndexRange"


class TypeMismatch(Fault):
    """An operation on a value of a type that does not have it."""

    code = "TypeMismatch"


class BadValue(Fault):
    """A value of the right type outside the operation's domain or above a size limit."""

    code = "BadValue"


class Assertion(Fault):
    """A failed `assert`."""

    code = "Assertion"


class Halt(BaseException):
    """A failure that ends the transaction and that no contract handler can catch."""

    code = "Internal"


class OutOfGas(Halt):
    """The gas of the transaction, or the gas cap of the scheduled call, is used up."""

    code = "OutOfGas"


class OutOfMemory(Halt):
    """The call allocated more than its memory allowance."""

    code = "OutOfMemory"


class DepthExceeded(Halt):
    """Too many nested function calls, or contract calls."""

    code = "DepthExceeded"


class Reentrancy(Halt):
    """A call into a contract that is already running."""

    code = "Reentrancy"


class AuthDenied(Halt):
    """Something the caller or the frame has no right to do."""

    code = "AuthDenied"


class Unknown(Halt):
    """No such contract, or no such entry in it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Blocked(Halt):
    """The contract is frozen, or its storage is being rewritten."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CalleeFailed(Halt):
    """A called contract failed; `code`, `line` and `details` are its own."""

    def __init__(self, code: str, line: int, details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.line = line
        self.details = details


CATCHABLE: dict[str, tuple[type[Exception], ...]] = {
    "Overflow": (Overflow, OverflowError),
    "DivByZero": (DivByZero, ZeroDivisionError),
    "KeyMissing": (KeyMissing, KeyError),
    "IndexRange": (IndexRange, IndexError),
    "TypeMismatch": (TypeMismatch, TypeError, AttributeError),
    "BadValue": (BadValue, ValueError, NameError),
    "Assertion": (Assertion,),
}
"""Built-in codes that `except` may name, with the host exceptions that inlined operations raise for them. NameError is
a local that was not bound yet, which inside a comprehension is no UnboundLocalError on every release."""

RESERVED_CODES = frozenset(
    (
        *CATCHABLE,
        "OutOfGas",
        "OutOfMemory",
        "AuthDenied",
        "Reentrancy",
        "DepthExceeded",
        "Internal",
        "Revert",
        "Migrating",
        "Frozen",
        "UNKNOWN_CONTRACT",
        "UNKNOWN_ENTRY",
    )
)
"""Codes that `revert` and `require` may not use, so that a receipt never lies about its cause."""


def code_of(error: BaseException) -> str:
    """The contract code of an exception that left contract code."""
    if isinstance(error, Fault | Halt):
        return error.code
    for code, kinds in CATCHABLE.items():
        if isinstance(error, kinds):
            return code
    return "Internal"
