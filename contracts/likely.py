"""Which parameters without annotation look like integers: a guess that only decides what is compiled twice."""

from __future__ import annotations

import ast

_ARITHMETIC = (ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.BitAnd, ast.BitXor)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def likely_integers(function: ast.FunctionDef) -> set[str]:
    """Names that are counted with, compared by order or given to range, and never used as a container or text."""
    likely: set[str] = set()
    never: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                if isinstance(op, _ARITHMETIC) or _literal(left) or _literal(right):
                    likely |= _names(left) | _names(right)
            case ast.AugAssign(target=target):
                likely |= _names(target)
            case ast.UnaryOp(op=ast.USub() | ast.Invert(), operand=operand):
                likely |= _names(operand)
            case ast.Compare(left=left, ops=ops, comparators=rights):
                if any(isinstance(op, _ORDER) for op in ops) or any(map(_literal, rights)):
                    likely |= _names(left).union(*map(_names, rights))
            case ast.Call(func=ast.Name(id="range" | "divmod" | "pow" | "abs"), args=arguments):
                likely = likely.union(*map(_names, arguments))
            case ast.Call(func=ast.Name(id="len" | "sorted" | "sum" | "list" | "enumerate" | "zip"), args=arguments):
                never = never.union(*map(_names, arguments))
            case ast.Subscript(value=value):
                never |= _names(value)
            case ast.Attribute(value=value):
                never |= _names(value)
            case ast.For(iter=source) | ast.comprehension(iter=source):
                never |= _names(source)
            case ast.Return(value=ast.Name(id=name)):
                likely.add(name)
            case _:
                pass
    return likely - never


def _names(node: ast.AST) -> set[str]:
    return {node.id} if isinstance(node, ast.Name) else set()


def _literal(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int
