"""Module constants: literals, displays, other constants and integer arithmetic under the language's width rule."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from contracts.keys import fits
from contracts.limits import PYC1, Limits
from contracts.rules import SourceRejected, reject

_LONGEST = 4_096
"""Characters or items of a constant made by + and *: source is not charged for what it grows into."""


def constant_value(node: ast.expr, known: Mapping[str, Any], limits: Limits) -> Any:
    """The value of a constant expression. Raise `SourceRejected` C078. Lists, dicts and sets are new in every
    call."""
    try:
        return _value(node, known, limits)
    except (TypeError, ZeroDivisionError, ValueError, OverflowError):
        raise reject("C078", node.lineno, node.col_offset) from None


def weight(value: Any, limits: Limits) -> int:
    """How many values a constant holds, itself included, or more than `limits.tree_nodes` if it is too large or deep.
    A constant that names another one twice holds it twice, so thirty lines could hold a thousand million."""
    count = 0
    pending = [(value, 0)]
    while pending:
        found, depth = pending.pop()
        count += 1
        if count > limits.tree_nodes or depth > limits.nesting:
            return limits.tree_nodes + 1
        if isinstance(found, list | tuple | dict | set):
            items = found.values() if isinstance(found, dict) else found
            pending.extend((item, depth + 1) for item in items)
    return count


def _value(node: ast.expr, known: Mapping[str, Any], limits: Limits) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | str() | bytes()):
            return node.value
        case ast.Name() if node.id in known:
            return known[node.id]
        case ast.Tuple():
            return tuple(_value(item, known, limits) for item in node.elts)
        case ast.List():
            return [_value(item, known, limits) for item in node.elts]
        case ast.Dict():
            keys = [_key(_value(item, known, limits), item) for item in node.keys if item is not None]
            return dict(zip(keys, (_value(item, known, limits) for item in node.values), strict=True))
        case ast.Set():
            return {_key(_value(item, known, limits), item) for item in node.elts}
        case ast.Call(func=ast.Name(id="set" | "dict" | "list" | "tuple" as name), args=[], keywords=[]):
            return {"set": set, "dict": dict, "list": list, "tuple": tuple}[name]()
        case ast.UnaryOp(op=ast.USub()):
            return _bounded(-_integer(_value(node.operand, known, limits)), node, limits)
        case ast.UnaryOp(op=ast.UAdd()):
            return _integer(_value(node.operand, known, limits))
        case ast.UnaryOp(op=ast.Invert()):
            return _bounded(~_integer(_value(node.operand, known, limits)), node, limits)
        case ast.BinOp():
            return _binary(node, known, limits)
        case _:
            raise _refused(node)


def _refused(node: ast.expr) -> SourceRejected:
    return reject("C078", node.lineno, node.col_offset)


def _key(value: Any, node: ast.expr) -> Any:
    parts = value if type(value) is tuple else (value,)
    if len(parts) > PYC1.key_items or any(type(part) not in (int, str, bytes, bool) for part in parts):
        raise _refused(node)
    if not all(map(fits, parts)):
        raise reject("C078", node.lineno, node.col_offset, "a key that is too long")
    return value


def _joined(node: ast.BinOp, one: Any, other: Any) -> Any:
    """`+` and `*` of texts and of tuples of scalars, checked for their size before."""
    if isinstance(node.op, ast.Add):
        size = len(one) + len(other) if type(other) is type(one) else _LONGEST + 1
    else:
        size = len(one) * max(0, _integer(other))
    if size > _LONGEST or (type(one) is tuple and not all(_scalar(item) for item in one)):
        raise _refused(node)
    return one + other if isinstance(node.op, ast.Add) else one * other


def _scalar(value: Any) -> bool:
    return value is None or type(value) in (int, str, bytes, bool)


def named_values(node: ast.Assign) -> list[tuple[str, ast.expr]]:
    """`A, B = 1, 2` and `A = B = 1` as single assignments of expressions without containers; nothing if it is neither,
    or if two names would share what can change."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(names) == len(values):
            pairs = list(zip(names, values, strict=True))
        case ast.Assign(targets=[_, _, *_], value=value):
            pairs = [(name, value) for name in node.targets]
        case _:
            return []
    plain = (ast.Constant, ast.UnaryOp, ast.BinOp)
    named: list[tuple[str, ast.expr]] = []
    for name, value in pairs:
        if isinstance(name, ast.Name) and isinstance(value, plain):
            named.append((name.id, value))
    new = {name for name, _ in named}
    early = any(isinstance(part, ast.Name) and part.id in new for _, value in named for part in ast.walk(value))
    return named if len(named) == len(pairs) and not early else []


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _bounded(value: int, node: ast.expr, limits: Limits) -> int:
    if not limits.int_low <= value < limits.int_high:
        raise _refused(node)
    return value


def _binary(node: ast.BinOp, known: Mapping[str, Any], limits: Limits) -> Any:
    one, other = _value(node.left, known, limits), _value(node.right, known, limits)
    if isinstance(node.op, ast.Add | ast.Mult) and isinstance(one, str | bytes | tuple):
        return _joined(node, one, other)
    left, right = _integer(one), _integer(other)
    result: int
    match node.op:
        case ast.Add():
            result = left + right
        case ast.Sub():
            result = left - right
        case ast.Mult():
            result = left * right
        case ast.FloorDiv():
            result = left // right
        case ast.Mod():
            result = left % right
        case ast.Pow():
            if right < 0 or (abs(left).bit_length() - 1) * right > 256:
                raise _refused(node)
            result = left**right if abs(left) > 1 else left ** (2 - right % 2 if right else 0)
        case ast.LShift():
            if right < 0 or left.bit_length() + right > 256:
                raise _refused(node)
            result = left << right
        case ast.RShift() if right >= 0:
            result = left >> min(right, 512)
        case ast.BitOr():
            result = left | right
        case ast.BitAnd():
            result = left & right
        case ast.BitXor():
            result = left ^ right
        case _:
            raise _refused(node)
    return _bounded(result, node, limits)
