"""Declared types: annotations, record and event fields, storage keys and values.

A `Shape` is what the author wrote; `kind_of` is what the compiler may promise after the shape was checked; `wire_type`
is how msgspec reads a stored value of it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contracts import kinds
from contracts.kinds import Kind
from contracts.rules import reject

SCALARS = frozenset(("int", "u64", "u256", "bool", "str", "bytes", "Address"))


@dataclass(frozen=True, slots=True)
class Shape:
    """`tag`: int u64 u256 bool str bytes Address list dict tuple set none record any. `name`: of a record."""

    tag: str
    items: tuple[Shape, ...] = ()
    name: str = ""
    optional: bool = False

    def __str__(self) -> str:
        inner = f"[{', '.join(map(str, self.items))}]" if self.items else ""
        return (
            (self.name or ("None" if self.tag == "none" else self.tag)) + inner + (" | None" if self.optional else "")
        )


ANY_SHAPE = Shape("any")
NONE_SHAPE = Shape("none")
_KINDS = {
    "int": kinds.INT,
    "u64": kinds.U64,
    "u256": kinds.U256,
    "bool": kinds.BOOL,
    "str": kinds.STR,
    "bytes": kinds.BYTES,
    "Address": kinds.ADDRESS,
    "dict": kinds.DICT,
    "set": kinds.SET,
    "tuple": kinds.TUPLE,
    "list": kinds.LIST,
    "none": kinds.NONE,
    "any": kinds.ANY,
}


def shallow_kind(shape: Shape) -> Kind:
    """What is certain after an annotation was checked: the outer type, not the items of mutable containers."""
    kind = kinds.record_kind(shape.name) if shape.tag == "record" else _KINDS[shape.tag]
    return kinds.optional(kind) if shape.optional else kind


def deep_kind(shape: Shape) -> Kind:
    """What is certain of a value that was just decoded or checked item by item and that nobody else holds."""
    if shape.tag == "list" and shape.items:
        kind = kinds.list_of(deep_kind(shape.items[0]))
        return kinds.optional(kind) if shape.optional else kind
    return shallow_kind(shape)


def parse_shape(node: ast.expr, records: Mapping[str, Any]) -> Shape:
    """Read an annotation or a type argument. Raise `SourceRejected` C059."""
    match node:
        case ast.Constant(value=None):
            return NONE_SHAPE
        case ast.Name(
            id="int" | "u64" | "u256" | "bool" | "str" | "bytes" | "Address" | "list" | "dict" | "tuple" | "set"
        ):
            return Shape(node.id)
        case ast.Name() if node.id in records:
            return Shape("record", name=node.id)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _united(parse_shape(left, records), parse_shape(right, records))
        case ast.Subscript(value=ast.Name(id="list" | "set" as name), slice=inner):
            return Shape(name, (parse_shape(inner, records),))
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return Shape("dict", (parse_shape(key, records), parse_shape(value, records)))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=parts)):
            return Shape("tuple", tuple(parse_shape(part, records) for part in parts if not _ellipsis(part)))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=inner):
            return Shape("tuple", (parse_shape(inner, records),))
        case _:
            raise reject("C059", node.lineno, node.col_offset)


def _united(one: Shape, other: Shape) -> Shape:
    """`T | None` is an optional T; what may be of two other types is not checked."""
    if ANY_SHAPE in (one, other):
        return ANY_SHAPE
    if NONE_SHAPE in (one, other):
        base = other if one == NONE_SHAPE else one
        return base if base == NONE_SHAPE else replace(base, optional=True)
    return ANY_SHAPE


def _ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def storable(shape: Shape) -> bool:
    """Whether values of this shape may be kept in storage, records and events."""
    match shape.tag:
        case "list":
            return len(shape.items) == 1 and storable(shape.items[0])
        case "record":
            return True
        case _:
            return shape.tag in SCALARS


def wire_type(shape: Shape, structs: Mapping[str, type]) -> Any:
    """The msgspec type of a stored value. Integers above 64 bits travel as extension, so wide ones are read as Any."""
    found: Any
    match shape.tag:
        case "u64":
            found = int
        case "bool":
            found = bool
        case "str":
            found = str
        case "bytes" | "Address":
            found = bytes
        case "list":
            found = tuple[wire_type(shape.items[0], structs), ...]  # type: ignore[misc]  # built at run time for msgspec
        case "record":
            found = structs[shape.name]
        case _:
            found = Any
    return found | None if shape.optional and found is not Any else found
