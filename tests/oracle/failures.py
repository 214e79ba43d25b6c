"""How a program ends when it does not end well, and what a host error of an operation means (docs/gas.md, Failures)."""

from __future__ import annotations

from typing import Any


class Failure(Exception):
    """A fault that a handler may name. `own`: the code is the contract's. `line`: of the innermost statement."""

    def __init__(self, code: str, details: Any = None, own: bool = False, line: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.details = details
        self.own = own
        self.line = line


class Stop(BaseException):
    """What ends the transaction and no handler can name. `inside`: a called contract failed with this code."""

    def __init__(self, code: str, line: int = 0, inside: bool = False) -> None:
        super().__init__(code)
        self.inside = inside
        self.code = code
        self.line = line
        self.details: Any = None


HOST: dict[type[Exception], str] = {
    ZeroDivisionError: "DivByZero",
    OverflowError: "Overflow",
    KeyError: "KeyMissing",
    IndexError: "IndexRange",
    TypeError: "TypeMismatch",
    ValueError: "BadValue",
}
"""Errors of Python's own operations on values."""
HOST_ERRORS = tuple(HOST)


def of_host(error: Exception, line: int) -> Failure:
    """The fault that a host error stands for."""
    for kind, code in HOST.items():
        if isinstance(error, kind):
            return Failure(code, line=line)
    raise error


def mismatch() -> Failure:
    return Failure("TypeMismatch")


def bad_value() -> Failure:
    return Failure("BadValue")


RESERVED = frozenset(
    (
        "Overflow", "DivByZero", "KeyMissing", "IndexRange", "TypeMismatch", "BadValue", "Assertion", "OutOfGas",
        "OutOfMemory", "AuthDenied", "Reentrancy", "DepthExceeded", "Internal", "Revert", "Migrating",
    )
)  # fmt: skip
