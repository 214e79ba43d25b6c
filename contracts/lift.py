"""Nested functions become functions of the module: what they capture is passed by value, as hidden parameters.

    def outer(n):                 def outer(n):
        def add(x):                   $add:n = n
            return x + n              return outer.add(1, n=$add:n)
        return add(1)
                                  def outer.add(x, n):
                                      return x + n

Names with `$` or `.` cannot be spelled in source. A nested function may be called and given as key=, map or filter
argument; it may not escape, and a captured variable may not be bound again after the definition, so that by value and
by reference are the same. Functions that call others which are defined behind them are lifted together
(`contracts.siblings`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from contracts import emit
from contracts.descend import walk
from contracts.limits import Limits
from contracts.parameters import all_arguments
from contracts.rules import SourceRejected, reject
from contracts.scope import bound_names
from contracts.siblings import Group, find_groups
from contracts.vocabulary import KEY_HOSTS

_PASSED = 4_096
"""Captured values that calls of nested functions may pass: each becomes an argument, and source is not charged for what
it grows into."""


def lift(tree: ast.Module, limits: Limits) -> dict[str, tuple[str, ...]]:
    """Rewrite a validated tree in place; what the functions that it makes get by hidden parameters. Raise
    `SourceRejected` C063."""
    inner = [part for node in tree.body for part in ast.walk(node) if isinstance(part, ast.FunctionDef)]
    count = len(inner) - sum(isinstance(node, ast.FunctionDef) for node in tree.body)
    if count > limits.nested_functions:
        raise _refused(inner[-1], f"at most {limits.nested_functions} in a contract")
    pending = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    captured: dict[str, tuple[str, ...]] = {}
    passed = [0]
    while pending:
        outer = pending.pop()
        for group in find_groups(outer, _parameters(outer) | bound_names(outer.body), _read_outside):
            for lifted in _lift_group(outer, group, captured, passed):
                tree.body.append(lifted)
                pending.append(lifted)
        for nested in _nested(outer):
            lifting = _Lifting(outer, nested, passed)
            lifted = lifting.run()
            captured[lifted.name] = tuple(lifting.captured)
            tree.body.append(lifted)
            pending.append(lifted)
    return captured


def _read_outside(node: ast.FunctionDef) -> Iterator[str]:
    return _free(node, frozenset())


def _lift_group(
    outer: ast.FunctionDef, group: Group, captured: dict[str, tuple[str, ...]], passed: list[int]
) -> list[ast.FunctionDef]:
    """Lift functions that call each other; what the group captures is kept where the last of them is defined."""
    lifts = [_Lifting(outer, member, passed) for member in group.members]
    for lifting in lifts:
        lifting.captured = group.captured
        lifting.check(group)
    made = []
    for lifting in lifts:
        given = group.parameters(lifting.inner)
        for other in lifts:
            values = dict(zip(group.parameters(other.inner), given, strict=True))
            _Calls(other, values).visit_body(lifting.inner)
        captured[lifting.name] = tuple(given)
    kept: list[ast.stmt] = [ast.Assign([emit.target(group.place(name))], emit.name(name)) for name in group.captured]
    kept = [ast.fix_missing_locations(ast.copy_location(node, group.last)) for node in kept or [ast.Pass()]]
    others = {id(member) for member in group.members[:-1]}
    outer.body = [ast.copy_location(ast.Pass(), node) if id(node) in others else node for node in outer.body]
    place = outer.body.index(group.last)
    outer.body[place : place + 1] = kept
    for lifting in lifts:
        names = group.parameters(lifting.inner)
        _Calls(lifting, dict(zip(names, map(group.place, group.captured), strict=True))).visit_body(outer)
        made.append(lifting.lifted(names))
    return made


def _nested(outer: ast.FunctionDef) -> list[ast.FunctionDef]:
    """Functions defined in the body, in source order, not those inside them."""
    found: list[ast.FunctionDef] = []
    pending: list[ast.AST] = list(reversed(outer.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            found.append(node)
        else:
            pending.extend(reversed(list(ast.iter_child_nodes(node))))
    return found


def _refused(node: ast.AST, detail: str) -> SourceRejected:
    return reject("C063", getattr(node, "lineno", 1), getattr(node, "col_offset", 0), detail)


def _parameters(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    return {argument.arg for argument in all_arguments(node.args)}


def _free(node: ast.AST, bound: frozenset[str]) -> Iterator[str]:
    """Names that a node reads and does not bind itself."""
    match node:
        case ast.FunctionDef():
            inside = bound | _parameters(node) | bound_names(node.body)
            for part in node.body:
                yield from _free(part, frozenset(inside))
        case ast.Lambda():
            yield from _free(node.body, bound | _parameters(node))
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            targets = {
                part.id for clause in node.generators for part in ast.walk(clause.target) if isinstance(part, ast.Name)
            }
            yield from _free(node.generators[0].iter, bound)
            for child in ast.iter_child_nodes(node):
                yield from _free(child, bound | targets)
        case ast.Name(ctx=ast.Load()):
            if node.id not in bound:
                yield node.id
        case ast.arg() | ast.arguments():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _free(child, bound)


class _Lifting:
    """Lifts one nested function out of one function."""

    def __init__(self, outer: ast.FunctionDef, inner: ast.FunctionDef, passed: list[int]) -> None:
        """`passed`: how many captured values calls of this contract pass so far, which grows."""
        self.passed = passed
        self.outer = outer
        self.inner = inner
        self.name = f"{outer.name}.{inner.name}"
        outside = _parameters(outer) | bound_names(outer.body)
        wanted = dict.fromkeys(_free(inner, frozenset()))
        self.captured = tuple(name for name in wanted if name in outside and name != inner.name)

    def run(self) -> ast.FunctionDef:
        """Rewrite the outer function in place and return the new one."""
        self.check()
        inside = _Calls(self, {name: name for name in self.captured})
        inside.visit_body(self.inner)
        _Calls(self, {name: self.held(name) for name in self.captured}).visit_body(self.outer)
        return self.lifted(self.captured)

    def lifted(self, names: Iterable[str]) -> ast.FunctionDef:
        """The function of the module; `names` of its hidden parameters."""
        own = self.inner.args
        hidden = [ast.copy_location(ast.arg(name), self.inner) for name in names]
        empty: list[ast.expr | None] = [None] * len(hidden)
        by_name, values = [*own.kwonlyargs, *hidden], [*own.kw_defaults, *empty]
        arguments = ast.arguments(own.posonlyargs, own.args, own.vararg, by_name, values, None, own.defaults)
        made = ast.FunctionDef(self.name, arguments, self.inner.body, [], self.inner.returns, None)
        return ast.copy_location(made, self.inner)

    def held(self, name: str) -> str:
        """The local of the outer function that keeps a captured value."""
        return f"${self.inner.name}:{name}"

    def check(self, group: Group | None = None) -> None:
        """Refuse what would tell capture by value from capture by reference."""
        inner = self.inner
        begin, members = (inner, (inner,)) if group is None else (group.last, group.members)
        if inner.decorator_list:
            raise _refused(inner, "a decorator on a nested function")
        inside = {id(part) for member in members for part in walk(member)}
        if any(self.clash(node, begin, inside) for node in walk(self.outer)):
            # the first one in an order that every node goes
            first = next(node for node in ast.walk(self.outer) if self.clash(node, begin, inside))
            raise _refused(first, self.clash(first, begin, inside))
        if inner.name in _parameters(self.outer):
            raise _refused(inner, f"{inner.name} is bound twice")

    def clash(self, node: ast.AST, begin: ast.FunctionDef, inside: set[int]) -> str:
        """What is wrong with a node of the outer function; "" if nothing is. `inside`: nodes of the nested ones, of
        which `begin` is the last."""
        inner = self.inner
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if node.id == inner.name:
                return f"{inner.name} is bound twice"
            late = getattr(node, "lineno", 0) >= begin.lineno
            if late and node.id in self.captured and id(node) not in inside:
                return f"a variable changes after {inner.name} captured it"
        elif isinstance(node, ast.FunctionDef) and node.name == inner.name and node is not inner:
            return f"{inner.name} is bound twice" if node is not self.outer else ""
        return ""


class _Calls(ast.NodeTransformer):
    """Turns uses of the nested function into calls of the lifted one with the captured values."""

    def __init__(self, lifting: _Lifting, values: dict[str, str]) -> None:
        self.lifting = lifting
        self.values = values

    def visit_body(self, function: ast.FunctionDef) -> None:
        """Rewrite the statements of a function in place."""
        body: list[ast.stmt] = []
        for statement in function.body:
            made = self.visit(statement) if self.concerns(statement) else statement
            body.extend(made if isinstance(made, list) else [made])
        function.body = body

    def concerns(self, statement: ast.stmt) -> bool:
        """Whether a statement defines the function or uses it: each nested function would else rewrite everything."""
        inner = self.lifting.inner
        return any(part is inner or (isinstance(part, ast.Name) and part.id == inner.name) for part in walk(statement))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | list[ast.AST]:
        """The definition itself becomes the capture of values."""
        lifting = self.lifting
        if node is not lifting.inner:
            return self.generic_visit(node)
        kept: list[ast.stmt] = [
            ast.Assign([emit.target(lifting.held(name))], emit.name(name)) for name in lifting.captured
        ]
        return [ast.fix_missing_locations(ast.copy_location(made, node)) for made in kept or [ast.Pass()]]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call of the function, or one that takes it as an argument."""
        inner = self.lifting.inner
        own = isinstance(node.func, ast.Name) and node.func.id == inner.name
        host = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if host in ("map", "filter") and node.args:
            node.args[0] = self.as_lambda(node.args[0], len(node.args) - 1)
        for keyword in node.keywords:
            if keyword.arg == "key" and (host in KEY_HOSTS or method == "sort"):
                keyword.value = self.as_lambda(keyword.value, 1)
        if own:
            self.lifting.passed[0] += len(self.values)
            if self.lifting.passed[0] > _PASSED:
                raise reject("C022", node.lineno, node.col_offset, f"at most {_PASSED} captured values in calls")
            node.func = ast.copy_location(emit.name(self.lifting.name), node.func)
            for name, held in self.values.items():
                value = ast.copy_location(emit.name(held), node)
                node.keywords.append(ast.copy_location(ast.keyword(name, value), node))
        return self.generic_visit(node)

    def as_lambda(self, node: ast.expr, count: int) -> ast.expr:
        """The function as an argument: a lambda that calls it with `count` arguments."""
        inner = self.lifting.inner
        if not isinstance(node, ast.Name) or node.id != inner.name:
            return node
        names = [f"$x{index}" for index in range(count)]
        call = ast.Call(emit.name(inner.name), [emit.name(name) for name in names], [])
        arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
        return ast.fix_missing_locations(ast.copy_location(ast.Lambda(arguments, call), node))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Any other use lets it escape."""
        if node.id == self.lifting.inner.name and isinstance(node.ctx, ast.Load):
            raise _refused(node, f"{node.id} escapes")
        return node


__all__ = ["lift"]
