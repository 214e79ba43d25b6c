"""One source file of pure functions, run by itself: compile, link, call, and show the value as JSON.

Nothing of a chain is needed: state is one dictionary that begins empty at every call, the sender is the zero address,
no other contract can be called. In this mode undecorated functions are entry points and annotations are optional.
"""

from __future__ import annotations

import dataclasses
import sys
from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contracts import keys
from contracts.clock import MarketClock
from contracts.compile import Program, compile_source
from contracts.faults import BadValue, Halt, Overflow, TypeMismatch
from contracts.frames import BlockContext, Machine
from contracts.limits import ITEM_BYTES, LIST_BYTES, ExecutionLimits
from contracts.meter import GAS, LIMITS, Meter
from contracts.outcome import outcome_of
from contracts.program import Instance
from contracts.resolve import Function
from contracts.rules import Finding, SourceRejected, reject
from contracts.shapes import ANY_SHAPE, Shape
from ledger.errors import InvariantBroken

SOLO_GAS: Final = 50_000_000
_BLOCK: Final = BlockContext("solo", 1, 1_000, 1_000)
_NOBODY: Final = bytes(32)
_HOST_FRAMES: Final = 5_000
"""Above the host frames that contracts can need; see `contracts.executor`."""


@dataclass(frozen=True, slots=True)
class SoloRun:
    """`status`: ok, rejected (not admitted) or reverted (failed while running). `value` is JSON, None unless ok. `code`
    and `line` are None if ok. `hint`: what to do about a refusal. `fault`: text of an error of this program, with code
    Internal."""

    status: str
    value: Any = None
    code: str | None = None
    line: int | None = None
    gas: int = 0
    hint: str = ""
    fault: str = ""


class ScratchState:
    """State of one call: a dictionary, its keys in order, and a journal to undo writes with."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._order: list[bytes] = []
        self._journal: list[tuple[bytes, bytes | None]] = []

    def get(self, key: bytes, /) -> bytes | None:
        """The value under a key."""
        return self._rows.get(key)

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = 1 << 62) -> list[tuple[bytes, bytes]]:
        """Pairs under a prefix in ascending key order, behind `after`."""
        found: list[tuple[bytes, bytes]] = []
        begin = bisect_right(self._order, prefix) if after is None else bisect_right(self._order, max(prefix, after))
        if after is None and prefix in self._rows:
            begin -= 1
        for index in range(begin, len(self._order)):
            key = self._order[index]
            if len(found) >= limit or not key.startswith(prefix):
                break
            found.append((key, self._rows[key]))
        return found

    def put(self, key: bytes, value: bytes, /) -> None:
        """Write."""
        self._journal.append((key, self._rows.get(key)))
        self._set(key, value)

    def delete(self, key: bytes, /) -> None:
        """Delete."""
        self._journal.append((key, self._rows.get(key)))
        self._set(key, None)

    def checkpoint(self) -> int:
        """A mark of the writes so far."""
        return len(self._journal)

    def rollback(self, mark: int, /) -> None:
        """Undo the writes since a mark."""
        while len(self._journal) > mark:
            self._set(*self._journal.pop())

    def _set(self, key: bytes, value: bytes | None) -> None:
        known = key in self._rows
        if value is not None:
            self._rows[key] = value
            if not known:
                insort(self._order, key)
        elif known:
            del self._rows[key]
            del self._order[bisect_right(self._order, key) - 1]


def run_solo(source: bytes, entry: str, arguments: list[Any], gas: int = SOLO_GAS, calls: int = 1) -> SoloRun:
    """Compile `source` and call `entry` `calls` times on fresh state; the last outcome. `arguments` is parsed JSON.

    Never raises for what the source or the arguments do. A fault of the compiler or runtime itself gives code Internal
    with its text in `fault`; calls that differ in outcome or gas are such a fault.
    """
    status = "rejected"
    try:
        _, call = prepared(compile_source(source, pure=True), entry, arguments, gas)
        status = "reverted"
        return _repeated(call, calls)
    except SourceRejected as error:
        return _rejected(error.finding)
    except (Exception, InvariantBroken) as error:  # noqa: BLE001  # the call into contract code: what is left is our fault
        return SoloRun(status, code="Internal", line=1, fault=f"{type(error).__name__}: {error}")


def _entry(program: Program, name: str) -> Function:
    function = program.contract.functions.get(name)
    if function is None or not function.role:
        there = ", ".join(found.name for found in program.contract.functions.values() if found.role)
        raise reject("C073", 1, 0, f"{name!r}; the source has {there or 'no function'}")
    return function


def _rejected(finding: Finding) -> SoloRun:
    return SoloRun("rejected", code=finding.code, line=finding.line, hint=f"{finding.reason}; {finding.fix}")


def prepared(program: Program, entry: str, arguments: list[Any], gas: int) -> tuple[Meter, Callable[[], SoloRun]]:
    """A compiled source linked to a meter, and a function that calls `entry` on fresh state. Raise `SourceRejected`."""
    if sys.getrecursionlimit() < _HOST_FRAMES:
        sys.setrecursionlimit(_HOST_FRAMES)
    function = _entry(program, entry)
    machine = Machine(MarketClock(0, 0, 1), ExecutionLimits())
    instance = Instance(program, "solo", frozenset(), machine.library)
    return machine.meter, lambda: _call(machine, instance, function, arguments, gas)


def _repeated(call: Callable[[], SoloRun], calls: int) -> SoloRun:
    first = last = call()
    for _ in range(calls - 1):
        last = call()
        if last != first:
            raise InvariantBroken(f"equal calls differ: {first.status}, {first.gas} gas and {last.status}, {last.gas}")
    return last


def _call(machine: Machine, instance: Instance, function: Function, arguments: list[Any], gas: int) -> SoloRun:
    machine.open(ScratchState(), _BLOCK)
    meter = machine.meter
    meter.gas, meter.mem, meter.events = gas, LIMITS.memory, []
    machine.stack.clear()
    entry = instance.entries[function.name]

    def taken(_: bytes) -> tuple[Any, ...]:
        return entry.take(tuple(given(arguments, function)))

    try:
        value = machine.result(instance, dataclasses.replace(entry, decode=taken), b"", _NOBODY, _NOBODY)
        shown = Shown(meter).json(value, 0)
    except (Exception, Halt) as error:  # noqa: BLE001  # the call into contract code: mapped, host faults re-raise
        code, line = outcome_of(error)
        hint = RUN_HINTS.get(code, "")
        return SoloRun("reverted", None, code, line or function.node.lineno, gas - max(0, meter.gas), hint)
    finally:
        machine.close()
    return SoloRun("ok", shown, gas=gas - meter.gas)


RUN_HINTS: Final = {
    "OutOfGas": "the call needs more than --gas",
    "OutOfMemory": f"a call may allocate {LIMITS.memory // 2**20} MiB",
    "DepthExceeded": f"functions may call each other {LIMITS.function_depth} deep",
}


def given(arguments: list[Any], function: Function) -> list[Any]:
    """JSON arguments as values: text `0x` with hexadecimal pairs is bytes, unless the parameter says str."""
    shapes = [parameter.shape for parameter in function.by_place]
    further = ANY_SHAPE if function.rest is None else function.rest.each
    shapes += [further] * (len(arguments) - len(shapes))
    return [_value(argument, shape, 0) for argument, shape in zip(arguments, shapes, strict=False)]


def _value(argument: Any, shape: Shape, depth: int) -> Any:
    kind = type(argument)
    if kind is float:
        raise BadValue
    if kind is int and not LIMITS.int_low <= argument < LIMITS.int_high:
        raise Overflow
    if kind is str:
        return _text(argument, shape)
    if kind is not list and kind is not dict:
        return argument
    if depth >= LIMITS.nesting:
        raise BadValue
    inner = shape.items[-1] if shape.items and shape.tag in ("list", "set", "dict") else ANY_SHAPE
    if kind is list:
        return [_value(item, inner, depth + 1) for item in argument]
    return {_text(key, Shape("str")): _value(item, inner, depth + 1) for key, item in argument.items()}


def _text(argument: str, shape: Shape) -> str | bytes:
    if argument.startswith("0x") and shape.tag != "str":
        digits = argument[2:]
        if len(digits) % 2 == 0 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            return bytes.fromhex(digits)
    if any("\ud800" <= char <= "\udfff" for char in argument):
        raise BadValue
    return argument


class Shown:
    """Turns a contract's value into JSON, metered and bounded as a result of a call is: bytes as 0x text, integers of
    any size, tuples as lists, records as objects, dicts with a key that is no text as pairs, sets as sorted lists."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.left = LIMITS.value_bytes

    def json(self, value: Any, depth: int) -> Any:
        """The JSON of a value. Raise `BadValue` if it is too deep or too large, `TypeMismatch` if it is no value."""
        kind = type(value)
        if kind is str or kind is bytes:
            self.take(len(value) + 1)
            self.meter.spend(len(value) // GAS.bytes_per_gas)
            return value if kind is str else "0x" + value.hex()
        self.take(1)
        if kind is int or kind is bool or value is None:
            return value
        if depth >= LIMITS.nesting:
            raise BadValue
        if kind is list or kind is tuple:
            self.items(len(value), 1)
            return [self.json(item, depth + 1) for item in value]
        if kind is dict:
            self.items(len(value), 2)
            rows = [[self.json(keys.unwrap(key), depth), self.json(item, depth + 1)] for key, item in value.items()]
            return dict(rows) if all(type(key) is str for key in value) else rows
        if kind is set:
            self.items(len(value), 1 + len(value).bit_length())
            return [self.json(item, depth + 1) for item in sorted(map(keys.unwrap, value), key=_rank)]
        if isinstance(value, msgspec.Struct):
            fields = value.__struct_fields__
            self.meter.spend(GAS.item * len(fields))
            return {name: self.json(getattr(value, name), depth + 1) for name in fields}
        raise TypeMismatch

    def items(self, count: int, prices: int) -> None:
        """Charge for a container of `count` items before looking at them."""
        self.meter.spend(prices * GAS.item * count)
        self.meter.allocate(LIST_BYTES + min(prices, 2) * ITEM_BYTES * count)

    def take(self, size: int) -> None:
        """Count what is shown."""
        self.left -= size
        if self.left < 0:
            raise BadValue


def _rank(key: Any) -> tuple[int, Any]:
    """A total order of keys: integers, texts, bytes, tuples."""
    match key:
        case int():
            return (0, key)
        case str():
            return (1, key)
        case bytes():
            return (2, key)
        case _:
            return (3, tuple(map(_rank, key)))
