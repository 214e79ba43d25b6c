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
"""

from __future__ import annotations

import ast

from contracts import emit

QUIET = frozenset(
    (
        "ovf", "oog", "pylen", "pyrange", "pymin", "pymax", "pyabs", "mismatch", "assertion", "chk", "within", "revert",
        "isinstance", "pow", "lshift", "rshift", "floordiv", "mod", "neg", "pos", "invert", "bool", "as.int", "as.u64",
        "as.u256", "as.bool",
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
        parts.extend(ast.iter_child_nodes(node))
    return True


def _rewritten(loop: ast.For | ast.While) -> list[ast.stmt]:
    _Localizer().visit(loop)
    meter = ast.Attribute(emit.name("$m"), "gas", emit.LOAD)
    stored = ast.Attribute(emit.name("$m"), "gas", emit.STORE)
    before: list[ast.stmt] = []
    if isinstance(loop, ast.For):
        before.append(emit.assign("$it", loop.iter))
        loop.iter = emit.name("$it")
    before.append(emit.assign(_COUNTER, meter))
    guarded = ast.Try([loop], [], [], [ast.Assign([stored], emit.name(_COUNTER))])
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
