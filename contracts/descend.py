"""Going down syntax trees. `ast.walk` asks each node for its fields by name, a third of the time of a compile."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly under one, in any order."""
    found: list[ast.AST] = []
    for part in node.__dict__.values():
        if isinstance(part, ast.AST):
            found.append(part)
        elif type(part) is list:
            found.extend([item for item in part if isinstance(item, ast.AST)])
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all under it, in any order."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(children(node))
