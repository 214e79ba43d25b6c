"""Constructors for the syntax tree that the compiler emits. Helper names begin with `$`, which no source can spell."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from contracts.descend import children
from contracts.kinds import HIGH, LOW

LOAD, STORE = ast.Load(), ast.Store()
TEMP = "$t"
_PLACED = (ast.expr, ast.stmt, ast.arg, ast.keyword, ast.excepthandler)


def name(identifier: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(identifier, LOAD)


def target(identifier: str) -> ast.Name:
    """A name that is bound."""
    return ast.Name(identifier, STORE)


def const(value: Any) -> ast.Constant:
    """A literal."""
    return ast.Constant(value)


def helper(which: str, *arguments: ast.expr, keywords: Iterable[ast.keyword] = ()) -> ast.Call:
    """A call of the helper `$which`."""
    return ast.Call(name("$" + which), list(arguments), list(keywords))


def pack(items: Sequence[ast.expr]) -> ast.Tuple:
    """A tuple display."""
    return ast.Tuple(list(items), LOAD)


def walrus(identifier: str, value: ast.expr) -> ast.NamedExpr:
    """`(identifier := value)`."""
    return ast.NamedExpr(target(identifier), value)


def assign(identifier: str, value: ast.expr) -> ast.stmt:
    """`identifier = value`."""
    return ast.Assign([target(identifier)], value)


def statement(value: ast.expr) -> ast.stmt:
    """An expression as a statement."""
    return ast.Expr(value)


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.Compare:
    """One comparison."""
    return ast.Compare(left, [operator], [right])


def bounded(
    value: ast.expr, low: int, high: int, bounds: tuple[int, int] = (LOW, HIGH), inline: bool = True
) -> ast.expr:
    """Check that an integer expression known to lie in low..high lies in `bounds`; nothing is emitted where it must."""
    under, above = low < bounds[0], high > bounds[1]
    if not under and not above:
        return value
    if not inline:
        return (
            helper("chk", value)
            if bounds == (LOW, HIGH)
            else helper("within", value, const(bounds[0]), const(bounds[1]))
        )
    once = walrus(TEMP, value)
    if under and above:
        test = ast.Compare(const(bounds[0]), [ast.LtE(), ast.Lt()], [once, const(bounds[1] + 1)])
    elif above:
        test = compare(once, ast.Lt(), const(bounds[1] + 1))
    else:
        test = compare(once, ast.GtE(), const(bounds[0]))
    return ast.IfExp(test, name(TEMP), helper("ovf"))


def picked(operator: ast.cmpop, left: ast.expr, right: ast.expr) -> ast.expr | None:
    """`left` if it is `operator` `right`, else `right`, of two integers; without a call. None where both would have to
    be kept, or where evaluating one might bind the other."""
    if not isinstance(right, ast.Name | ast.Constant):
        left, right = right, left
    if not isinstance(right, ast.Name | ast.Constant):
        return None
    if isinstance(left, ast.Name | ast.Constant):
        return ast.IfExp(compare(left, operator, right), left, right)
    if isinstance(right, ast.Name) and not (isinstance(left, ast.Attribute) and isinstance(left.value, ast.Name)):
        return None
    return ast.IfExp(compare(walrus(TEMP, left), operator, right), name(TEMP), right)


def charge(gas: int, memory: int = 0) -> list[ast.stmt]:
    """The start of a basic block: subtract its price and stop when nothing is left."""
    statements = _subtract("gas", gas, "oog") if gas else []
    return statements + (_subtract("mem", memory, "oom") if memory else [])


def _subtract(counter: str, amount: int, failure: str) -> list[ast.stmt]:
    left = ast.Attribute(name("$m"), counter, STORE)
    read = ast.Attribute(name("$m"), counter, LOAD)
    return [
        ast.AugAssign(left, ast.Sub(), const(amount)),
        ast.If(compare(read, ast.Lt(), const(0)), [statement(helper(failure))], []),
    ]


def locate(nodes: Iterable[ast.stmt], line: int) -> None:
    """Give statements without a place the first line of theirs: equal failure lines on every Python release. What is in
    them gets it from them in the end (`completed`): most rounds over a function are thrown away."""
    for node in nodes:
        if "lineno" not in node.__dict__:
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0


def completed(tree: ast.Module) -> ast.Module:
    """Give every node that is still without a place the line of the node above it: what `ast.fix_missing_locations`
    does, without a host frame for each level."""
    pending: list[tuple[ast.AST, int]] = [(tree, 1)]
    while pending:
        node, line = pending.pop()
        fields = node.__dict__
        if "lineno" in fields:
            line = fields["lineno"]
        elif isinstance(node, _PLACED):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
        for child in children(node):
            pending.append((child, line))
    return tree
