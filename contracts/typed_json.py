"""JSON arguments of an entry as values, read by the types that the entry declares.

The schema of an ABI (`contracts.abi_schema`) says how each type travels: integers as numbers or decimal text, bytes as
0x text. Only the declaration tells text from these: `"0xff"` is text for a `str` and a byte for `bytes`, `"12"` is a
number for a `u64`. What a declaration does not fix is read as `contracts.values.from_json` reads everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from contracts.limits import PYC1
from contracts.resolve import Function, Record
from contracts.shapes import ANY_SHAPE, Shape
from contracts.values import Value, ValueRefused, from_json

_DECIMAL: Final = re.compile(r"(0|-?[1-9][0-9]{0,77})\Z")
_INTEGERS: Final = frozenset(("int", "u64", "u256"))


def typed_arguments(arguments: list[Any], function: Function, records: Mapping[str, Record]) -> list[Value]:
    """The values of parsed JSON. What does not fit is left as it is, for the entry to refuse. Raise `ValueRefused` for
    floats and bad hexadecimal."""
    _check_depth(arguments)
    shapes = [parameter.shape for parameter in function.by_place]
    further = ANY_SHAPE if function.rest is None else function.rest.each
    shapes += [further] * (len(arguments) - len(shapes))
    return [_typed(argument, shape, records) for argument, shape in zip(arguments, shapes, strict=False)]


def _check_depth(value: list[Any]) -> None:
    """Raise `ValueRefused` for what no value can be, before anything walks down into it."""
    level: list[Any] = [value]
    for _ in range(PYC1.nesting + 1):
        lists = [item for found in level if type(found) is list for item in found]
        level = lists + [item for found in level if type(found) is dict for item in found.values()]
        if not level:
            return
    raise ValueRefused(
        "a value is nested too deeply", expected=f"at most {PYC1.nesting}", found="more", fix="flatten the value"
    )


def _typed(value: Any, shape: Shape, records: Mapping[str, Record]) -> Value:
    kind = type(value)
    if kind is str and shape.tag == "str":
        return str(value)
    if kind is str and shape.tag in _INTEGERS and _DECIMAL.match(value):
        return int(value)
    if kind is list and shape.items:
        return _items(value, shape, records)
    if kind is dict and shape.tag == "record":
        fields = records[shape.name].fields
        return {name: _typed(item, fields.get(name, ANY_SHAPE), records) for name, item in value.items()}
    if kind is dict and shape.tag == "dict" and shape.items:
        return {name: _typed(item, shape.items[1], records) for name, item in value.items()}
    found: Value = from_json(value)
    return found


def _items(value: list[Any], shape: Shape, records: Mapping[str, Record]) -> Value:
    match shape.tag:
        case "list" | "set":
            return [_typed(item, shape.items[0], records) for item in value]
        case "tuple" if len(shape.items) == 1:
            return [_typed(item, shape.items[0], records) for item in value]
        case "tuple" if len(shape.items) == len(value):
            return [_typed(item, inner, records) for item, inner in zip(value, shape.items, strict=True)]
        case "dict" if all(type(row) is list and len(row) == 2 for row in value):
            # JSON has no keys but text: a dict with others travels as pairs
            return _dict(
                [[_typed(part, inner, records) for part, inner in zip(row, shape.items, strict=True)] for row in value]
            )
        case _:
            found: Value = from_json(value)
            return found


def _dict(rows: list[list[Any]]) -> Value:
    keyed = [(tuple(key) if type(key) is list else key, item) for key, item in rows]
    try:
        found = dict(keyed)
    except TypeError:
        return [list(row) for row in rows]
    return found if len(found) == len(keyed) else [list(row) for row in rows]
