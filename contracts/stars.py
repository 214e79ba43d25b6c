"""`first, *rest = items`: becomes an unpacking of known length before anything else looks at the tree."""

from __future__ import annotations

import ast
from typing import Final

from contracts import emit

SPREAD: Final = "$spread"
"""Called as `$spread(items, before, after)`: a tuple of the first items, a list of the rest, and the last items."""


def star_in(target: ast.expr) -> int | None:
    """Where the star is in a target; None if there is none."""
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else []
    return next((index for index, part in enumerate(parts) if isinstance(part, ast.Starred)), None)


def spread_stars(tree: ast.Module) -> None:
    """Rewrite the assignments to one target with a star, in place. Stars inside a target, in one of several targets and
    in loops are left to the compiler."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target = node.targets[0]
        index = star_in(target)
        if index is None or not isinstance(target, ast.Tuple | ast.List):
            continue
        starred = target.elts[index]
        assert isinstance(starred, ast.Starred), "found above"
        after = len(target.elts) - index - 1
        target.elts[index] = starred.value
        call = ast.Call(emit.name(SPREAD), [node.value, emit.const(index), emit.const(after)], [])
        node.value = ast.fix_missing_locations(ast.copy_location(call, node.value))
