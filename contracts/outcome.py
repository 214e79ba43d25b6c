"""What an exception out of contract code means: a contract outcome, or a fault of this host."""

from __future__ import annotations

from types import TracebackType

from contracts.abi import outgoing
from contracts.faults import (
    CATCHABLE,
    BadValue,
    CalleeFailed,
    Fault,
    Halt,
    OutOfGas,
    OutOfMemory,
    Reverted,
    TypeMismatch,
    code_of,
)
from contracts.meter import LIMITS, Meter
from contracts.values import ValueRefused, encode_value
from ledger.errors import InvariantBroken

_HERE = __file__.rsplit("/", 1)[0]


def matches(error: BaseException, names: tuple[str, ...]) -> bool:
    """Whether one of the codes in an `except` names this error."""
    if isinstance(error, Reverted):
        return "Revert" in names or error.code in names
    return any(isinstance(error, CATCHABLE.get(name, ())) for name in names)


def _is_contract(filename: str) -> bool:
    return filename.startswith("<contract:")


def line_of(error: BaseException) -> int:
    """The line of the innermost contract frame that an error passed."""
    line = 0
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if _is_contract(trace.tb_frame.f_code.co_filename):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def host_fault(error: BaseException) -> None:
    """Raise `InvariantBroken` if an exception began outside contract code and this package."""
    if isinstance(error, Fault | Halt):
        return
    if isinstance(error, MemoryError | RecursionError):
        raise InvariantBroken("the host ran out of memory or stack inside contract limits") from error
    if isinstance(error, NameError) and (error.name or "").startswith("$") and ":" not in (error.name or ""):
        raise InvariantBroken(f"the compiler emitted a name that linking does not know: {error.name}") from error
    trace: TracebackType | None = error.__traceback__
    filename = ""
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        trace = trace.tb_next
    if not (_is_contract(filename) or filename.rsplit("/", 1)[0] == _HERE):
        raise InvariantBroken(f"a host fault inside a contract call: {type(error).__name__}: {error}") from error


def outcome_of(error: BaseException) -> tuple[str, int]:
    """Code and line of a failed call. Raise `InvariantBroken` for host faults."""
    host_fault(error)
    return code_of(error), line_of(error)


def encoded_details(error: BaseException) -> bytes:
    """Details of a revert as a receipt carries them; nothing if they are no plain value or too large."""
    details = getattr(error, "details", None)
    if details is None or not isinstance(error, Reverted | CalleeFailed):
        return b""
    unmetered = Meter()
    unmetered.gas, unmetered.mem = 10_000, LIMITS.memory
    try:
        raw = encode_value(outgoing(details, unmetered))
    except (ValueRefused, BadValue, TypeMismatch, OutOfGas, OutOfMemory):
        return b""
    return raw if len(raw) <= 1024 else b""
