"""What a test tells about the locals in it, where it held and where it did not.

    if desk is None:            # behind this statement `desk` is no None
        revert("NOT_MEMBER")
    require(0 < wh <= cap)      # from here on `wh` is between 1 and the largest that `cap` can be

It makes kinds narrower at a place of the program; what is kept of a name over the whole function stays as it was.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from contracts import kinds
from contracts.kinds import Kind
from contracts.scope import Now, Scope
from contracts.shapes import shallow_kind

_MIRRORED: dict[type, type] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_OPPOSITE: dict[type, type] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def narrow(scope: Scope, test: ast.expr, held: bool) -> None:
    """Sharpen what `scope` knows now by a test that was evaluated, and was true if `held`, else false. A test that
    binds a name tells nothing: it may have looked at the name before."""
    if scope.now is not None and not scope.bound_by(test):
        _narrow(scope, scope.now, test, held)


def _narrow(scope: Scope, now: Now, test: ast.expr, held: bool) -> None:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _narrow(scope, now, operand, not held)
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) is held:
            for value in values:
                _narrow(scope, now, value, held)
        case ast.Compare(left=left, ops=ops, comparators=rights) if held or len(ops) == 1:
            for one, operator, other in zip([left, *rights], ops, rights, strict=False):
                which = type(operator) if held else _OPPOSITE.get(type(operator))
                if which is not None:
                    _compared(scope, now, one, which, other)
        case ast.Name():
            kind = _local(scope, test)
            if kind is not None and held:
                _keep(now, test, _truthy(kind))
        case _:
            pass


def _compared(scope: Scope, now: Now, left: ast.expr, operator: type, right: ast.expr) -> None:
    if operator in (ast.Is, ast.IsNot):
        kind = _local(scope, left)
        if kind is not None and isinstance(right, ast.Constant) and right.value is None:
            _keep(now, left, kinds.NONE if operator is ast.Is and kind.optional else replace(kind, optional=False))
        return
    one, other = whole_kind(scope, left), whole_kind(scope, right)
    if one is None or other is None:
        return
    if _local(scope, left) is not None:
        _keep(now, left, _bounded(one, operator, other))
    if _local(scope, right) is not None:
        _keep(now, right, _bounded(other, _MIRRORED.get(operator, operator), one))


def _bounded(kind: Kind, operator: type, other: Kind) -> Kind:
    """An integer of `kind` that compares so with one of `other`."""
    low, high = kind.low, kind.high
    if operator is ast.Eq:
        low, high = max(low, other.low), min(high, other.high)
    elif operator is ast.NotEq and other.low == other.high:
        low, high = low + (low == other.low), high - (high == other.low)
    elif operator in (ast.Lt, ast.LtE):
        high = min(high, other.high - (operator is ast.Lt))
    elif operator in (ast.Gt, ast.GtE):
        low = max(low, other.low + (operator is ast.Gt))
    return replace(kind, low=low, high=high) if low <= high else kind


def _truthy(kind: Kind) -> Kind:
    """What is neither None nor zero."""
    if kind.tag == "int" and kind.low == 0 < kind.high:
        return replace(kind, low=1, optional=False)
    return replace(kind, optional=False)


def _local(scope: Scope, node: ast.expr) -> Kind | None:
    """The kind of a local of the function, if the node is one and something is known of it."""
    if not isinstance(node, ast.Name) or node.id not in scope.locals:
        return None
    if any(node.id in level for level in scope.inner):
        return None
    kind = scope.kind_of(node.id)
    return None if kind.tag in ("any", "never", "none", "list", "dict", "set") else kind


def whole_kind(scope: Scope, node: ast.expr) -> Kind | None:
    """The interval of an expression that is certainly an integer, without compiling it."""
    kind: Kind | None = None
    match node:
        case ast.Constant(value=int()) if type(node.value) is int:
            kind = kinds.literal_kind(node.value)
        case ast.Name() if scope.is_local(node.id):
            kind = scope.kind_of(node.id)
        case ast.Name() if type(scope.contract.constants.get(node.id)) is int:
            kind = kinds.literal_kind(scope.contract.constants[node.id])
        case ast.Attribute(value=ast.Name(id=name)) if scope.is_local(name):
            owner = scope.kind_of(name)
            record = scope.contract.records.get(owner.name) if owner.tag == "record" else None
            if record is not None and node.attr in record.fields:
                kind = shallow_kind(record.fields[node.attr])
        case _:
            pass
    return kind if kind is not None and kind.tag == "int" and not kind.optional else None


def _keep(now: Now, node: ast.expr, kind: Kind) -> None:
    if isinstance(node, ast.Name):
        now[node.id] = kind
