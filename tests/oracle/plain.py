"""The third opinion: what plain CPython makes of a program that ended well, where the two languages mean the same."""

from __future__ import annotations

import ast
import copy
import hashlib
import warnings
from typing import Any

from oracle.border import Shown, given
from oracle.contract import parse
from oracle.gas import Meter
from oracle.session import started, taken
from oracle.shapes import ANY
from oracle.storage import State

ENDLESS = 10**12


class _Lists(ast.NodeTransformer):
    """Views and iterators are lists in the language; annotations say nothing to Python."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        view = isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "keys", "values")
        lazy = isinstance(node.func, ast.Name) and node.func.id in ("map", "filter", "zip", "enumerate", "reversed")
        if isinstance(node.func, ast.Name) and node.func.id == "require":
            node.args = node.args[:1]  # code and details are evaluated on failure only
        if view or lazy:
            return ast.Call(ast.Name("list", ast.Load()), [node], [])
        return node


def comparable(source: str) -> bool:
    """No records, no handlers (Python does not overflow), no text beyond ASCII (case is ASCII in the language)."""
    return source.isascii() and "try:" not in source and "record(" not in source


def python_value(source: str, arguments: list[Any], otherwise: Any) -> Any:
    """What `main` gives in plain Python, as JSON; `otherwise` if it changes a dict while it runs over its keys: the
    language takes a copy of them."""
    contract = parse(source)
    running = started(contract, "solo", Meter(ENDLESS), State())
    function = contract.functions["main"]
    shapes = [shape for _, shape, _ in function.parameters] + [ANY] * len(arguments)
    values = [given(value, shape, 0) for value, shape in zip(arguments, shapes, strict=False)]
    named = taken(running.types, function, values)
    tree = _Lists().visit(ast.parse("from __future__ import annotations\n" + source))
    scope: dict[str, Any] = {
        "sha256": lambda raw: hashlib.sha256(raw).digest(),
        "mul_div": lambda a, b, c: a * b // c,
        "require": lambda *_: None,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(ast.fix_missing_locations(tree), "<plain>", "exec")
    exec(code, scope)
    try:
        found = scope["main"](**copy.deepcopy(named))
    except RuntimeError as error:
        if "changed size" in str(error) or "keys changed" in str(error):
            return otherwise
        raise
    return Shown(Meter(ENDLESS)).json(found, 0)
