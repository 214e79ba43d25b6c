"""Loops that call nothing which is metered keep the gas counter in a local variable.

    $g = $m.gas
    try:
        for i in ...:
            $g -= 30
            if $g < 0: $oog()
            ...
    finally:
        $m.gas = $g

The counter has the same value wherever anyone can see it; only the loop gets faster.

A `for` over a range whose body is one basic block is charged at once if the gas is enough for all its turns:

    $n1 = len($r1) * 30
    if $g >= $n1:
        try:
            for i in $r1: ...
        except BaseException:
            $g -= $turns($r1, i) * 30
            raise
        $g -= $n1
    else:
        for i in $r1: $g -= 30; ...
"""

from __future__ import annotations

import ast
import copy

from contracts import emit
from contracts.descend import children, walk

QUIET = frozenset(
    (
        "ovf", "oog", "pylen", "pyrange", "pymin", "pymax", "pyabs", "mismatch", "assertion", "chk", "within", "revert",
        "isinstance", "pow", "lshift", "rshift", "floordiv", "mod", "neg", "pos", "invert", "bool", "as.int", "as.u64",
        "as.u256", "as.bool", "range", "turns",
    )
)  # fmt: skip
"""Helpers that neither charge gas nor run contract code."""
_COUNTER = "$g"


def localize(body: list[ast.stmt]) -> list[ast.stmt]:
    """Rewrite the outermost quiet loops in emitted statements."""
    made: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.For | ast.While) and _quiet(node):
            made.extend(_rewritten(node))
            continue
        for block in ("body", "orelse", "finalbody"):
            inner = getattr(node, block, None)
            if inner:
                setattr(node, block, localize(inner))
        for handler in getattr(node, "handlers", []):
            handler.body = localize(handler.body)
        made.append(node)
    return made


def _quiet(loop: ast.For | ast.While) -> bool:
    """Whether everything that a loop does each turn leaves the meter alone."""
    parts: list[ast.AST] = [*loop.body, *loop.orelse]
    if isinstance(loop, ast.While):
        parts.append(loop.test)
    while parts:
        node = parts.pop()
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id[1:] in QUIET):
            return False
        if isinstance(node, ast.Attribute) and node.attr == "mem":
            return False
        if isinstance(node, ast.Try | ast.Lambda):
            return False
        parts.extend(children(node))
    return True


def _rewritten(loop: ast.For | ast.While) -> list[ast.stmt]:
    _Localizer().visit(loop)
    meter = ast.Attribute(emit.name("$m"), "gas", emit.LOAD)
    stored = ast.Attribute(emit.name("$m"), "gas", emit.STORE)
    before: list[ast.stmt] = []
    ranged = isinstance(loop, ast.For) and _is_range(loop.iter)
    if isinstance(loop, ast.For):
        before.append(emit.assign("$it", loop.iter))
        loop.iter = emit.name("$it")
    before.append(emit.assign(_COUNTER, meter))
    charged = _Bulk(ranged).charged(loop)
    guarded = ast.Try(charged, [], [], [ast.Assign([stored], emit.name(_COUNTER))])
    made = [*before, guarded]
    emit.locate(made, loop.lineno)
    return made


class _Localizer(ast.NodeTransformer):
    """`$m.gas` becomes `$g`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """The counter, and nothing else of the meter."""
        if node.attr == "gas" and isinstance(node.value, ast.Name) and node.value.id == "$m":
            return ast.copy_location(ast.Name(_COUNTER, node.ctx), node)
        self.generic_visit(node)
        return node


class _Bulk(ast.NodeTransformer):
    """Charges loops of one basic block at once. `ranged`: `$it`, what the outermost loop runs over, is a range."""

    def __init__(self, ranged: bool) -> None:
        self.ranged = ranged
        self.made = 0

    def charged(self, loop: ast.For | ast.While) -> list[ast.stmt]:
        """The statements in the place of a loop whose counter is local."""
        made = self.visit(loop)
        return made if isinstance(made, list) else [made]

    def visit_For(self, loop: ast.For) -> ast.stmt | list[ast.stmt]:
        """The loop, after those inside it."""
        self.generic_visit(loop)
        over_range = _is_range(loop.iter) or (self.ranged and isinstance(loop.iter, ast.Name) and loop.iter.id == "$it")
        gas = _price(loop) if over_range else None
        if gas is None or not isinstance(loop.target, ast.Name):
            return loop
        self.made += 1
        turns, price = f"$r{self.made}", f"$n{self.made}"
        before = [
            emit.assign(turns, loop.iter),
            emit.assign(price, ast.BinOp(emit.helper("pylen", emit.name(turns)), ast.Mult(), emit.const(gas))),
        ]
        loop.iter = emit.name(turns)
        body = [copy.deepcopy(part) for part in loop.body[2:]]
        done = ast.BinOp(emit.helper("turns", emit.name(turns), emit.name(loop.target.id)), ast.Mult(), emit.const(gas))
        failed = ast.ExceptHandler(emit.name("$anything"), None, [_spent(done), ast.Raise()])
        free = ast.For(copy.deepcopy(loop.target), emit.name(turns), body, [])
        enough = emit.compare(emit.name(_COUNTER), ast.GtE(), emit.name(price))
        choice = ast.If(enough, [ast.Try([free], [failed], [], []), _spent(emit.name(price))], [loop])
        made = [*before, choice]
        emit.locate(made, loop.lineno)
        return made


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("$pyrange", "$range")


def _spent(amount: ast.expr) -> ast.stmt:
    return ast.AugAssign(ast.Name(_COUNTER, emit.STORE), ast.Sub(), amount)


def _price(loop: ast.For) -> int | None:
    """The gas of a turn, if every turn costs the same, none ends the loop, and the loop alone sets its variable."""
    match loop:
        case ast.For(
            target=ast.Name(id=name),
            body=[ast.AugAssign(target=ast.Name(id="$g"), value=ast.Constant(value=int(gas))), ast.If(), *rest],
            orelse=[],
        ) if rest:
            pass
        case _:
            return None
    ending = (ast.For, ast.While, ast.If, ast.Try, ast.Return, ast.Break, ast.Continue, ast.Raise)
    for statement in rest:
        for part in walk(statement):
            if isinstance(part, ending):
                return None
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id in (name, _COUNTER):
                return None
    return gas
