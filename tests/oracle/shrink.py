"""Make a failing program small: statements go, blocks take the place of what holds them, parts that of expressions."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator

BODIES = ("body", "orelse", "finalbody")


def shrunk(source: str, fails: Callable[[str], bool], tries: int = 1_500) -> str:
    """The smallest source found that still fails; the same program at worst."""
    best, before = source, ""
    while best != before and tries > 0:
        before = best
        for edits in (_statements, _expressions):
            index = 0
            while tries > 0:
                candidate = _edited(best, edits, index)
                if candidate is None:
                    break
                tries -= 1
                if len(candidate) < len(best) and fails(candidate):
                    best = candidate
                else:
                    index += 1
    return best


def _edited(source: str, edits: Callable[[ast.Module], Iterator[Callable[[], None]]], index: int) -> str | None:
    """The source after edit number `index`; None if there are not so many."""
    tree = ast.parse(source)
    for edit in itertools.islice(edits(tree), index, None):
        edit()
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return None


def _statements(tree: ast.Module) -> Iterator[Callable[[], None]]:
    for node in ast.walk(tree):
        for name in BODIES:
            body = getattr(node, name, None)
            if isinstance(body, list):
                yield from _of_body(body, node is tree)
        if isinstance(node, ast.Try | ast.Match):
            parts: list[ast.AST] = [*(node.handlers if isinstance(node, ast.Try) else node.cases)]
            if len(parts) > 1:
                holder = node.handlers if isinstance(node, ast.Try) else node.cases
                yield from (lambda h=holder, i=index: h.pop(i) for index in range(len(parts)))  # type: ignore[misc]  # a list method


def _of_body(body: list[ast.stmt], module: bool) -> Iterator[Callable[[], None]]:
    for index, node in enumerate(body):
        if not isinstance(node, ast.Pass) or len(body) > 1:
            fill: list[ast.stmt] = [] if module or len(body) > 1 else [ast.Pass()]
            yield lambda i=index, f=fill: body.__setitem__(slice(i, i + 1), f)  # type: ignore[misc]  # a list method
        if isinstance(node, ast.If | ast.For | ast.While | ast.Try) and not module:
            yield lambda i=index, n=node: body.__setitem__(slice(i, i + 1), n.body)  # type: ignore[misc]  # a list method


def _expressions(tree: ast.Module) -> Iterator[Callable[[], None]]:
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr) and isinstance(getattr(value, "ctx", ast.Load()), ast.Load):
                for part in ast.iter_child_nodes(value):
                    if isinstance(part, ast.expr) and not isinstance(part, ast.Starred):
                        yield lambda n=node, f=name, p=part: setattr(n, f, p)  # type: ignore[misc]  # bound now
            elif isinstance(value, list) and len(value) > 1 and isinstance(value[0], ast.expr):
                yield from (lambda v=value, i=index: v.pop(i) for index in range(len(value)))  # type: ignore[misc]  # bound now
