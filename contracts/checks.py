"""Run-time checks of declared types: annotations (outer type) and stored fields (every item)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts.faults import BadValue, Overflow, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.shapes import Shape

Check = Callable[[Any], Any]
_U64 = 2**64
_PLAIN: dict[str, type] = {
    "bool": bool,
    "str": str,
    "bytes": bytes,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "set": set,
}


def as_int(value: Any) -> Any:
    """An int, not a bool."""
    if type(value) is not int:
        raise TypeMismatch
    return value


def as_u64(value: Any) -> Any:
    """0 .. 2^64-1."""
    if type(value) is not int:
        raise TypeMismatch
    if not 0 <= value < _U64:
        raise Overflow
    return value


def as_u256(value: Any) -> Any:
    """0 .. 2^255-1."""
    if type(value) is not int:
        raise TypeMismatch
    if value < 0:
        raise Overflow
    return value


def as_address(value: Any) -> Any:
    """32 bytes."""
    if type(value) is not bytes:
        raise TypeMismatch
    if len(value) != 32:
        raise BadValue
    return value


def _as(kind: type) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeMismatch
        return value

    return check


def _as_none(value: Any) -> Any:
    if value is not None:
        raise TypeMismatch
    return value


def _anything(value: Any) -> Any:
    return value


_SCALAR: dict[str, Check] = {
    "int": as_int,
    "u64": as_u64,
    "u256": as_u256,
    "Address": as_address,
    "none": _as_none,
    "any": _anything,
    **{name: _as(kind) for name, kind in _PLAIN.items()},
}


def make_check(shape: Shape, structs: Mapping[str, type], meter: Meter, deep: bool) -> Check:
    """A function that returns a value of `shape` or raises. `deep`: items of lists too; lists become tuples, as records
    and events keep them."""
    if shape.tag == "record":
        base = _as(structs[shape.name])
    elif shape.tag == "list" and deep:
        base = _deep_list(make_check(shape.items[0], structs, meter, True), meter)
    else:
        base = _SCALAR[shape.tag]
    if not shape.optional:
        return base

    def maybe(value: Any) -> Any:
        return None if value is None else base(value)

    return maybe


def _deep_list(inner: Check, meter: Meter) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            raise TypeMismatch
        if len(value) > LIMITS.items:
            raise BadValue
        meter.spend(GAS.item * len(value))
        meter.allocate(LIST_BYTES + ITEM_BYTES * len(value))
        return tuple(map(inner, value))

    return check


def thawed(value: Any) -> Any:
    """Tuples of a stored list as fresh lists."""
    return [thawed(item) for item in value] if type(value) is tuple else value
