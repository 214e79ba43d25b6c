"""Static price of source: gas of expressions and statements, read off the syntax tree and the table alone.

A statement is charged with everything it may evaluate: both arms of a conditional and all operands of `and`, `or`.
Comprehension clauses charge for each item (`over`), bodies of lambdas for each call; so neither is counted here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from contracts.descend import children
from contracts.limits import GAS1, ITEM_BYTES, LIST_BYTES, static_gas

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


def expression_gas(node: ast.AST) -> int:
    """Gas of one evaluation of an expression."""
    return sum(static_gas(part) for part in _evaluated(node))


def display_bytes(node: ast.AST) -> int:
    """Memory of the displays that one evaluation makes."""
    return sum(_display(part) for part in _evaluated(node))


def _display(node: ast.AST) -> int:
    match node:
        case ast.List(elts=items, ctx=ast.Load()) | ast.Tuple(elts=items, ctx=ast.Load()) | ast.Set(elts=items):
            return LIST_BYTES + ITEM_BYTES * len(items)
        case ast.Dict(keys=keys):
            return LIST_BYTES + 2 * ITEM_BYTES * len(keys)
        case _:
            return 0


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    pending = [node]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, _COMPREHENSIONS):
            pending.append(part.generators[0].iter)
        elif isinstance(part, ast.Lambda):
            continue
        elif isinstance(part, ast.FormattedValue):
            pieces = part.format_spec.values if isinstance(part.format_spec, ast.JoinedStr) else []
            pending.extend((part.value, *(piece for piece in pieces if isinstance(piece, ast.FormattedValue))))
        else:
            pending.extend(children(part))


def clause_gas(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, index: int) -> int:
    """Gas of one turn of clause `index`: its target, its conditions, and the next clause's source or the element."""
    return target_gas(node.generators[index].target) + sum(map(expression_gas, _turn(node, index)))


def target_gas(target: ast.expr) -> int:
    """Gas of binding the target of a loop or clause once: what stands inside it is unpacked by itself."""
    inside = target.elts if isinstance(target, ast.Tuple | ast.List) else []
    found = 0
    for part in inside:
        held = part.value if isinstance(part, ast.Starred) else part
        if isinstance(held, ast.Tuple | ast.List):
            found += GAS1.pairs + target_gas(held)
    return found


def clause_bytes(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, index: int) -> int:
    """Memory of the displays of one turn of clause `index`."""
    return sum(map(display_bytes, _turn(node, index)))


def _turn(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, index: int) -> list[ast.AST]:
    clause = node.generators[index]
    inner: list[ast.AST] = list(clause.ifs)
    if index + 1 < len(node.generators):
        inner.append(node.generators[index + 1].iter)
    elif isinstance(node, ast.DictComp):
        inner.extend((node.key, node.value))
    else:
        inner.append(node.elt)
    return inner


def header(node: ast.stmt) -> list[ast.AST]:
    """The expressions that a statement itself evaluates once, without nested blocks."""
    match node:
        case ast.AnnAssign():
            return [part for part in (node.target, node.value) if part is not None]
        case ast.FunctionDef():
            return []
        case ast.Try():
            return []
        case ast.For():
            return [node.target, node.iter]
        case ast.Match():
            guards = [case.guard for case in node.cases if case.guard is not None]
            return [node.subject, *guards]
        case _:
            pass
    found: list[ast.AST] = []
    for field, value in ast.iter_fields(node):
        if field in _BODIES:
            continue
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found.extend(value)
    return found


def statement_gas(node: ast.stmt) -> int:
    """Gas of a statement without its nested blocks."""
    own = static_gas(node)
    if isinstance(node, ast.Match):
        own += sum(static_gas(case) for case in node.cases)
    return own + sum(map(expression_gas, header(node)))


def statement_bytes(node: ast.stmt) -> int:
    """Memory of the displays in a statement's own expressions. `a, b = b, a` makes no tuple."""
    spared = 0
    match node:
        case ast.Assign(targets=[ast.Tuple()], value=ast.Tuple(elts=items)):
            spared = LIST_BYTES + ITEM_BYTES * len(items)
        case _:
            pass
    return sum(map(display_bytes, header(node))) - spared
