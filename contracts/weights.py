"""How large a value can become when it is written down, told before anybody begins.

Values are shared, not copied: a record that holds another one twice, thirty times over, is thirty objects in memory
and a thousand million when encoded. So what may hold others is counted first, and no further than the limit.
"""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.resolve import Contract
from contracts.shapes import Shape


def compound(shape: Shape, contract: Contract) -> bool:
    """Whether values of a declared type can hold the same part many times: lists, and records that hold either."""
    if shape.tag == "record":
        return any(field.tag in ("list", "record") for field in contract.records[shape.name].fields.values())
    return shape.tag == "list"


def too_large(value: Any, limit: int) -> bool:
    """Whether the encoding of a value has certainly more than `limit` bytes: each part takes one, texts one each more
    for every character."""
    left = limit
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is str or kind is bytes:
            left -= len(item)
        elif kind is list or kind is tuple:
            left -= len(item)
            pending += [part for part in item if type(part) is not int]
        elif kind is dict:
            left -= len(item)
            pending += item.values()
        elif isinstance(item, msgspec.Struct):
            names = item.__struct_fields__
            left -= len(names)
            pending += [getattr(item, name) for name in names]
        if left < 0:
            return True
    return False
