"""Linking: a program, an instance name and a meter become functions that can be called.

The namespace holds helpers under names that source cannot spell and an empty `__builtins__`. It is made once and
lives as long as its meter: contract code can bind no global, module constants are immutable, and lists or dicts among
them are made anew for each call, so nothing survives one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec

from contracts import keys
from contracts.abi import Entry, entries_of
from contracts.access import access, comparing
from contracts.checks import make_check
from contracts.compile import Program
from contracts.displays import build_displays, packed
from contracts.faults import AuthDenied, BadValue, Fault, Halt, OutOfGas, OutOfMemory, TypeMismatch
from contracts.formatting import build_texts
from contracts.indexes import build_indexes
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.methods import DictMethods, build_methods
from contracts.operators import Helper, build_operators, is_number
from contracts.outcome import host_fault, matches
from contracts.resolve import MISSING
from contracts.state_format import FROZEN
from contracts.storage import build_storage
from contracts.values import ValueRefused, encode_value
from contracts.weights import too_large
from contracts.wrapped import build_wrapped
from ledger.crypto import contract_address
from ledger.objects import Event
from ledger.schema import state_storage

_event_encode = msgspec.msgpack.Encoder().encode
FAULTS: tuple[type[Exception], ...] = (
    Fault, ZeroDivisionError, KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError,
    NameError,
)  # fmt: skip


class Library:
    """Helpers of one meter that do not depend on a contract; shared by all its instances."""

    def __init__(self, meter: Meter) -> None:
        base = {**build_operators(meter), **comparing(meter), **access(meter), **build_displays(meter)}
        wrapped = build_wrapped(meter, base)
        self.meter = meter
        self.helpers: dict[str, Any] = {
            **base,
            **wrapped,
            **build_texts(meter),
            **_plain(meter),
            "inplace": _in_place(meter, base, DictMethods(meter, wrapped).update),
            "tick": _tick(meter),
            "which": _which,
            "rows": _rows(meter),
            "within": _within,
            "m": meter,
            "faults": FAULTS,
            "halt": Halt,
        }


def _plain(meter: Meter) -> dict[str, Helper]:
    return {
        "pylen": len,
        "pyrange": range,
        "pymin": min,
        "pymax": max,
        "pyabs": abs,
        "pyint": int,
        "type": type,
        "replace": msgspec.structs.replace,
        "turns": _turns,
        "anything": BaseException,
    }


def _within(value: int, low: int, high: int) -> int:
    if low <= value <= high:
        return value
    from contracts.faults import Overflow

    raise Overflow


def _turns(source: range, item: int) -> int:
    """How many turns a loop over a range has begun when it is at an item."""
    return source.index(item) + 1


def _tick(meter: Meter) -> Helper:
    def tick(gas: int, memory: int) -> bool:
        meter.spend(gas)
        meter.allocate(memory)
        return True

    return tick


def _which(error: BaseException, groups: tuple[tuple[str, ...], ...]) -> int:
    """The first handler that names the code of an error, or -1."""
    host_fault(error)
    for index, names in enumerate(groups):
        if matches(error, names):
            return index
    return -1


_UNPACKED = frozenset((tuple, list, str, bytes))


def _rows(meter: Meter) -> Helper:
    """Items of a loop source, each checked to unpack as `shape` when its turn comes: what an item holds may change on
    the way, and a set must never be unpacked. A shape is 0 for a name, 1 for one with a star, a tuple for a nested
    target."""

    def rows(source: Any, shape: Any) -> Iterator[Any]:
        return nested(source, shape) if any(shape) else flat(source)

    def flat(source: Any) -> Iterator[Any]:
        """For plain names: CPython finds out how many items there are."""
        for item in source:
            if type(item) not in _UNPACKED:
                raise TypeMismatch
            yield item

    def nested(source: Any, shape: Any) -> Iterator[Any]:
        for item in source:
            unpacks(item, shape)
            yield item

    def unpacks(item: Any, shape: Any) -> None:
        if type(shape) is not tuple:
            return
        if type(item) not in _UNPACKED:
            raise TypeMismatch
        star = shape.index(1) if 1 in shape else -1
        if star < 0 and len(item) != len(shape):
            raise BadValue
        if star >= 0:
            if not len(shape) - 1 <= len(item) <= LIMITS.items:
                raise BadValue
            meter.spend(GAS.pairs + GAS.made + GAS.item * len(item))
            meter.allocate(LIST_BYTES + ITEM_BYTES * len(item))
            item = (*item[:star], None, *item[len(item) - len(shape) + star + 1 :])
        for part, inner in zip(item, shape, strict=True):
            unpacks(part, inner)

    return rows


def _in_place(meter: Meter, base: Mapping[str, Helper], update: Helper) -> Helper:
    def in_place(which: str, target: Any, value: Any) -> Any:
        """`target op= value` for lists, sets and dicts, which change in place; all else is the plain operation."""
        if type(target) is list and (which == "mul" or (which == "add" and not is_number(type(value)))):
            meter.spend(3 * GAS.helper)
            more = base["eager"](value) if which == "add" else None
            target[:] = base[which](target, value if more is None else more)
            return target
        if type(target) is set and type(value) is set:
            meter.spend(GAS.helper)
            result = base[which](target, value)
            target.clear()
            target.update(result)
            return target
        if type(target) is dict and which == "bitor":
            meter.spend(GAS.helper)
            update(target, value)
            return target
        return base[which](target, value)

    return in_place


def _events(meter: Meter) -> dict[str, Helper]:
    base, per_byte, most, kept = GAS.event, GAS.event_per_byte, LIMITS.event_bytes, LIMITS.call_events

    def emit(label: str, fields: Any) -> None:
        """`fields`: a struct of `storage.event_types`."""
        try:
            data = _event_encode(fields)
        except (OverflowError, UnicodeEncodeError):
            data = encoded(fields)
        size = len(data)
        if size > most:
            refuse()
        meter.gas -= base + per_byte * size
        if meter.gas < 0:
            raise OutOfGas
        events = meter.events
        if len(events) >= kept:
            raise BadValue
        meter.mem -= TEXT_BYTES + size
        if meter.mem < 0:
            raise OutOfMemory
        if meter.readonly:
            raise AuthDenied
        events.append(Event(meter.name, label, data))

    def encoded(fields: Any) -> bytes:
        try:
            return encode_value(fields)
        except ValueRefused:
            raise BadValue from None

    def refuse() -> None:
        meter.spend(base + per_byte * most)
        raise BadValue

    def emit_lists(label: str, fields: Any) -> None:
        """Events with lists in them: one part may stand in them many times."""
        if too_large(fields, most):
            refuse()
        emit(label, fields)

    def emit_records(label: str, table: dict[str, Any]) -> None:
        """Events with records in them: those are encoded as maps."""
        if too_large(table, most):
            refuse()
        emit(label, msgspec.Raw(encoded(table)))

    return {"emit": emit, "emit_lists": emit_lists, "emit_records": emit_records}


class Instance:
    """A program linked to an instance name and a meter. `slots`: slot to the name of its storage, where an upgrade made
    the two differ. `roles`: the instance that says who has which role. `blocked`: why it takes no calls now, or ""."""

    def __init__(
        self,
        program: Program,
        name: str,
        calls: frozenset[str],
        library: Library,
        slots: Mapping[str, str] = MappingProxyType({}),
        roles: str = "",
    ) -> None:
        self.program = program
        self.name = name
        self.address = contract_address(name)
        self.calls = calls
        self.blocked = ""
        self.roles = roles
        meter = library.meter
        contract = program.contract
        stored = build_storage(contract, name, meter, program.structs, slots)

        def places(slot: str) -> bytes:
            return state_storage(name, slots.get(slot, slot))

        scope: dict[str, Any] = {"$" + helper: found for helper, found in library.helpers.items()}
        scope["__builtins__"] = {}
        records = {struct: self.replacer(label, meter) for label, struct in program.structs.items()}
        linked: dict[str, Any] = {
            **build_methods(meter, library.helpers, records),
            **stored,
            **build_indexes(contract.indexes, places, stored, meter),
            **_events(meter),
            **{
                label: make_check(shape, program.structs, meter, deep)
                for label, (shape, deep) in program.checks.items()
            },
            **{f"r.{label}": struct for label, struct in program.structs.items()},
            **{f"e.{name}": struct for name, struct in program.events.items()},
            **{f"args.{function}": self.spreader(function, meter) for function in program.starred},
            "call": meter.invoke,
            **{f"to.{'.'.join(route)}": meter.route(self, *route) for route in program.routes},
            "schedule": meter.schedule,
            "has_role": meter.has_role,
        }
        scope.update({"$" + helper: found for helper, found in linked.items()})
        self.scope = scope
        self.fresh: dict[str, Any] = {}
        for constant, value in contract.constants.items():
            if _mutable(value):
                self.fresh["$c." + constant] = value
            scope["$c." + constant] = wrapped_constant(value)
        exec(program.code, scope)  # the code object is our own emission from an admitted source
        self.entries: dict[str, Entry] = entries_of(program, self.function, meter)

    def function(self, name: str) -> Callable[..., Any]:
        """The compiled function of a name."""
        found: Callable[..., Any] = self.scope["$f." + name]
        return found

    def block(self, status: str, call: Callable[..., Any]) -> None:
        """Let `call` answer for the entries that this status stops: views of a frozen instance go on."""
        self.blocked = status
        self.entries = {
            name: entry if status == FROZEN and entry.role == "view" else replace(entry, call=call)
            for name, entry in self.entries.items()
        }

    def renew(self) -> None:
        """Make lists and dicts among the module constants anew, at the start of a call."""
        for name, value in self.fresh.items():
            self.scope[name] = wrapped_constant(value)

    def replacer(self, label: str, meter: Meter) -> Callable[..., Any]:
        """`.replace(...)` of a record whose type is known at run time only."""
        fields = self.program.contract.records[label].fields
        tests = {name: make_check(shape, self.program.structs, meter, True) for name, shape in fields.items()}

        def replace(value: Any, /, **changes: Any) -> Any:
            if not tests.keys() >= changes.keys():
                raise TypeMismatch
            for name, item in changes.items():
                changes[name] = tests[name](item)
            return msgspec.structs.replace(value, **changes)

        return replace

    def spreader(self, name: str, meter: Meter) -> Callable[[list[Any]], list[Any]]:
        """Check the items of `f(*items)` against the parameters of f."""
        function = self.program.contract.functions[name]
        plain, rest = function.by_place, function.rest
        tests = [make_check(parameter.shape, self.program.structs, meter, False) for parameter in plain]
        each = None if rest is None else make_check(rest.each, self.program.structs, meter, False)

        def spread(items: list[Any], named: tuple[str, ...] = ()) -> list[Any]:
            """`named`: what the call gives by name."""
            count = len(items)
            left = (*plain[count:], *function.by_name)
            if (
                (count > len(tests) and each is None)
                or any(parameter.default is MISSING and parameter.name not in named for parameter in left)
                or any(parameter.name in named for parameter in plain[:count])
            ):
                raise TypeMismatch
            found = [test(item) for test, item in zip(tests, items, strict=False)]
            if each is not None and count > len(tests):
                found.append(packed(meter, tuple([each(item) for item in items[len(tests) :]])))
            return found

        return spread


def _mutable(value: Any) -> bool:
    return type(value) in (list, dict, set) or (type(value) is tuple and any(map(_mutable, value)))


def wrapped_constant(value: Any) -> Any:
    """A constant as the runtime keeps it: own copies, dict keys wrapped."""
    match value:
        case dict():
            return {keys.wrap(key): wrapped_constant(item) for key, item in value.items()}
        case list():
            return [wrapped_constant(item) for item in value]
        case set():
            return set(map(keys.wrap, value))
        case tuple():
            return tuple(map(wrapped_constant, value))
        case _:
            return copy.copy(value)
