"""Declared types: reading them, checking values against them, taking values in from outside and giving them out."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from oracle.failures import bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.values import Record, checked_key, short_key

Fields = Mapping[str, "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A declared type; `tag` any: no annotation."""

    tag: str
    items: tuple[Shape, ...] = ()
    optional: bool = False


ANY = Shape("any")
PLAIN: dict[str, type] = {
    "bool": bool, "str": str, "bytes": bytes, "list": list, "dict": dict, "tuple": tuple, "set": set,
    "int": int, "u64": int, "u256": int, "Address": bytes, "none": type(None),
}  # fmt: skip


def read(node: ast.expr | None) -> Shape:
    """The type that an annotation names. Records are their own tag."""
    match node:
        case None:
            return ANY
        case ast.Constant(value=None):
            return Shape("none")
        case ast.Name(id=name):
            return Shape(name)
        case ast.BinOp(left=left, right=right):
            one, other = read(left), read(right)
            if one.tag == "none":
                one, other = other, one
            return replace(one, optional=one.tag != "any") if other.tag == "none" else ANY
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=parts)):
            return Shape(name, tuple(read(part) for part in parts if not isinstance(part, ast.Constant)))
        case ast.Subscript(value=ast.Name(id=name), slice=part):
            return Shape(name, (read(part),))
    raise AssertionError(ast.dump(node))


class Types:
    """Checks of one contract: it knows the fields of its records."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.records: dict[str, dict[str, Shape]] = {}

    def check(self, shape: Shape, value: Any, deep: bool = False) -> Any:
        """The value, if it is of the type. `deep`: as records, events and storage keep it, lists as tuples."""
        tag = shape.tag
        if tag == "any" or (shape.optional and value is None):
            return value
        if tag in self.records:
            if type(value) is not Record or value.name != tag:
                raise mismatch()
            return value
        if tag == "list" and deep:
            return self.frozen(shape, value)
        if type(value) is not PLAIN[tag]:
            raise mismatch()
        if (tag in ("u64", "u256") and value < 0) or (tag == "u64" and value >= 2**64):
            raise OverflowError
        if tag == "Address" and len(value) != 32:
            raise bad_value()
        return value

    def frozen(self, shape: Shape, value: Any) -> tuple[Any, ...]:
        if type(value) not in (list, tuple):
            raise mismatch()
        if len(value) > L.items:
            raise bad_value()
        self.meter.spend(G.item * len(value))
        self.meter.items(len(value))
        return tuple([self.check(shape.items[0], item, True) for item in value])

    def made(self, name: str, given: dict[str, Any]) -> Record:
        names = tuple(self.records[name])
        return Record(name, names, tuple(given[field] for field in names))

    # from outside

    def taken(self, shape: Shape, value: Any) -> Any:
        """An argument from outside, checked to its last item."""
        tag = shape.tag
        if shape.optional and value is None:
            return None
        if tag in self.records:
            return self.taken_record(tag, value)
        if tag == "any":
            return self.incoming(value)
        if tag == "dict":
            if type(value) is not dict:
                raise mismatch()
            return self.incoming(value)
        if tag in ("list", "tuple", "set"):
            return self.taken_items(shape, value)
        if type(value) in (str, bytes) and len(value) > L.text:
            raise bad_value()
        return self.check(shape, value)

    def taken_items(self, shape: Shape, value: Any) -> Any:
        if type(value) not in (list, tuple):
            raise mismatch()
        if len(value) > L.items:
            raise bad_value()
        self.meter.spend(G.item * len(value))
        self.meter.items(len(value))
        inner = shape.items[0] if shape.tag == "list" and shape.items else ANY
        found = [self.taken(inner, item) for item in value]
        if shape.tag == "tuple":
            return tuple(found)
        return {short_key(checked_key(item)) for item in found} if shape.tag == "set" else found

    def taken_record(self, name: str, value: Any) -> Record:
        fields = self.records[name]
        if type(value) is not dict or set(value) != set(fields):
            raise mismatch()
        given = {field: self.check(shape, self.taken(shape, value[field]), True) for field, shape in fields.items()}
        return self.made(name, given)

    def incoming(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if kind is int:
            if not L.int_low <= value < L.int_high:
                raise OverflowError
            return value
        if kind is str or kind is bytes:
            if len(value) > L.text:
                raise bad_value()
            self.meter.text(len(value))
            return value
        if kind is bool or value is None:
            return value
        if depth >= L.nesting or len(value) > L.items:
            raise bad_value()
        self.meter.spend(G.item * len(value))
        self.meter.items(len(value), 2)
        if kind is dict:
            return {short_key(checked_key(name)): self.incoming(item, depth + 1) for name, item in value.items()}
        found = [self.incoming(item, depth + 1) for item in value]
        return tuple(found) if kind is tuple else found


def outgoing(meter: Meter, value: Any, depth: int = 0) -> Any:
    """A value as the world sees it: own copies, records as dicts."""
    kind = type(value)
    if kind is int or kind is bool or value is None:
        return value
    if kind is str or kind is bytes:
        meter.spend(len(value) // G.bytes_per_gas)
        return value
    if depth >= L.nesting:
        raise bad_value()
    if kind is list or kind is tuple:
        meter.spend(G.item * len(value))
        meter.items(len(value))
        return [outgoing(meter, item, depth + 1) for item in value]
    if kind is dict:
        meter.spend(2 * G.item * len(value))
        meter.items(len(value), 2)
        return {name: outgoing(meter, item, depth + 1) for name, item in value.items()}
    if kind is Record:
        meter.spend(G.item * len(value.names))
        meter.items(len(value.names), 2)
        return {name: outgoing(meter, item, depth + 1) for name, item in zip(value.names, value.values, strict=True)}
    raise mismatch()
