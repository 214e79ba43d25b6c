"""Emitted code that encodes a storage key: prefix of the slot, then the parts as `contracts.storage` describes them."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from contracts import emit
from contracts.shapes import Shape


def encoded_key(prefix: ast.expr, parts: Sequence[tuple[ast.expr, Shape]]) -> ast.expr:
    """The bytes of a key from parts that were checked to be of their types; u64 in a row are packed at once."""
    encoded = prefix
    whole: list[ast.expr] = []
    for value, shape in parts:
        if shape.tag == "u64":
            whole.append(value)
            continue
        encoded = ast.BinOp(_packed(encoded, whole), ast.Add(), _part(value, shape))
        whole = []
    return _packed(encoded, whole)


def _packed(encoded: ast.expr, whole: list[ast.expr]) -> ast.expr:
    if not whole:
        return encoded
    part = _big_endian(whole[0], 8) if len(whole) == 1 else emit.helper(f"pack{len(whole)}", *whole)
    return ast.BinOp(encoded, ast.Add(), part)


def _part(value: ast.expr, shape: Shape) -> ast.expr:
    match shape.tag:
        case "u256":
            return _big_endian(value, 32)
        case "Address":
            return value
        case "bool":
            return ast.IfExp(value, emit.const(b"\x01"), emit.const(b"\x00"))
        case "int":
            return emit.helper("keyint", value)
        case _:
            return emit.helper("keytext", value)


def _big_endian(value: ast.expr, width: int) -> ast.expr:
    if isinstance(value, ast.Constant) and isinstance(value.value, int):
        return emit.const(value.value.to_bytes(width, "big"))
    return ast.Call(ast.Attribute(value, "to_bytes", emit.LOAD), [emit.const(width), emit.const("big")], [])
