"""`first, *rest = items`: becomes an unpacking of known length before anything else looks at the tree."""

from __future__ import annotations

import ast
from typing import Final

from contracts import emit

SPREAD: Final = "$spread"
"""Called as `$spread(items, before, after)`: a tuple of the first items, a list of the rest, and the last items."""


def star_of(node: ast.Assign) -> int | None:
    """Where the one star is in the target of an assignment; None if the language has no such assignment."""
    target = node.targets[0]
    if len(node.targets) != 1 or not isinstance(target, ast.Tuple | ast.List):
        return None
    stars = [index for index, part in enumerate(target.elts) if isinstance(part, ast.Starred)]
    starred = target.elts[stars[0]] if len(stars) == 1 else None
    return stars[0] if isinstance(starred, ast.Starred) and isinstance(starred.value, ast.Name) else None


def spread_stars(tree: ast.Module) -> None:
    """Rewrite the assignments with a star, in place."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        index, target = star_of(node), node.targets[0]
        if index is None or not isinstance(target, ast.Tuple | ast.List):
            continue
        starred = target.elts[index]
        assert isinstance(starred, ast.Starred), "found above"
        after = len(target.elts) - index - 1
        target.elts[index] = starred.value
        call = ast.Call(emit.name(SPREAD), [node.value, emit.const(index), emit.const(after)], [])
        node.value = ast.fix_missing_locations(ast.copy_location(call, node.value))
