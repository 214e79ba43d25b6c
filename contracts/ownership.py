"""Lists and dicts that only one local name can reach, so that what they hold can be known.

A name is owned if every value bound to it is made on the spot (display, comprehension, copy) and every use reads,
writes or measures the container without letting it out. Then its items change through this name alone, and their kinds
are the join of what this function puts in. Anything else is not owned: always right, only slower.

A name may be lent to a function that only reads its parameter: nobody can change the container meanwhile.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from contracts.descend import walk
from contracts.parameters import all_arguments

_READERS = frozenset(
    (
        "len", "sum", "min", "max", "sorted", "list", "tuple", "set", "dict", "any", "all", "enumerate", "zip",
        "reversed", "map", "filter", "isinstance", "bool",
    )
)  # fmt: skip
_MAKERS = frozenset(("list", "sorted", "reversed", "enumerate", "zip", "map", "filter", "range", "dict"))
_METHODS = frozenset(
    (
        "append", "insert", "extend", "remove", "pop", "sort", "reverse", "index", "count", "copy", "get", "setdefault",
        "keys", "values", "items", "update",
    )
)  # fmt: skip
_COPIES = frozenset(("split", "copy", "items", "keys", "values"))
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


_CHANGERS = frozenset(
    ("append", "insert", "extend", "remove", "pop", "sort", "reverse", "setdefault", "update", "add", "discard")
)
Readers = Mapping[str, Mapping[int | str, str]]
"""Functions of a contract: positions and names of the parameters that they only read, with their names."""
Builtins = Callable[[str], bool]


def owned_names(
    function: ast.FunctionDef, parameters: frozenset[str], is_builtin: Builtins, readers: Readers
) -> frozenset[str]:
    """Names owned by a function. `parameters`: those whose argument nobody else holds."""
    finder = _found(function, is_builtin, readers)
    names = finder.bound | parameters
    arguments = {argument.arg for argument in all_arguments(function.args)}
    return frozenset(names - finder.shared - (arguments - parameters))


def find_readers(functions: Mapping[str, tuple[ast.FunctionDef, Builtins]]) -> Readers:
    """What parameters functions only read: neither changed, bound, kept nor returned, nor given to one that does."""
    readers = {name: _numbered(node, {a.arg for a in node.args.args}) for name, (node, _) in functions.items()}
    callers: dict[str, list[str]] = {name: [] for name in functions}
    for name, (node, _) in functions.items():
        for callee in {part.id for part in walk(node) if isinstance(part, ast.Name)} & functions.keys():
            callers[callee].append(name)
    pending = list(functions)
    while pending:
        again: set[str] = set()
        for name in pending:
            node, is_builtin = functions[name]
            finder = _found(node, is_builtin, readers)
            lost = finder.shared | finder.bound | finder.changed | finder.returned
            found = _numbered(node, set(readers[name].values()) - lost)
            if found != readers[name]:
                readers[name] = found
                again.update(callers[name])
        pending = [name for name in functions if name in again]
    return readers


def _numbered(node: ast.FunctionDef, names: set[str]) -> dict[int | str, str]:
    found: dict[int | str, str] = {name: name for name in sorted(names)}
    by_place = enumerate((*node.args.posonlyargs, *node.args.args))
    found.update((index, argument.arg) for index, argument in by_place if argument.arg in names)
    return found


def _found(function: ast.FunctionDef, is_builtin: Builtins, readers: Readers) -> _Finder:
    finder = _Finder(is_builtin, readers)
    for statement in function.body:
        finder.statement(statement)
    return finder


class _Finder:
    def __init__(self, is_builtin: Builtins, readers: Readers) -> None:
        self.is_builtin = is_builtin
        self.readers = readers
        self.bound: set[str] = set()
        self.shared: set[str] = set()
        self.changed: set[str] = set()
        self.returned: set[str] = set()

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                self.expression(value)
                for target in targets:
                    self.target(target, value if len(targets) == 1 else None)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self.expression(value)
                    self.target(target, value)
            case ast.AugAssign(target=target, op=op, value=value):
                self.expression(value, isinstance(op, ast.Add))
                if isinstance(target, ast.Subscript):
                    self.changing(target.value)
                    self.place(target)
                self.changing(target)
            case ast.Return(value=value):
                if value is not None:
                    self.leaving(value)
            case ast.For():
                self.expression(node.iter, True)
                self.alias(node.target)
                self.blocks(node)
            case ast.If() | ast.While():
                self.test(node.test)
                self.blocks(node)
            case ast.Assert():
                self.test(node.test)
            case ast.Delete():
                for target in node.targets:
                    if isinstance(target, ast.Subscript):
                        self.changing(target.value)
                    self.expression(target)
            case ast.Match():
                self.expression(node.subject, True)
                for case in node.cases:
                    if case.guard is not None:
                        self.test(case.guard)
                    for inner in case.body:
                        self.statement(inner)
            case ast.Try():
                self.blocks(node)
                for handler in node.handlers:
                    for inner in handler.body:
                        self.statement(inner)
            case ast.Expr(value=value):
                self.expression(value, True)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.expression(child)

    def blocks(self, node: ast.For | ast.While | ast.If | ast.Try) -> None:
        for body in (node.body, node.orelse, getattr(node, "finalbody", [])):
            for inner in body:
                self.statement(inner)

    def changing(self, node: ast.expr) -> None:
        """Items of a container are set, added or removed."""
        if isinstance(node, ast.Name):
            self.changed.add(node.id)

    def leaving(self, node: ast.expr) -> None:
        """What a function returns is used no more: a name there shares nothing that matters."""
        if isinstance(node, ast.Tuple | ast.List):
            for item in node.elts:
                self.leaving(item)
        else:
            if isinstance(node, ast.Name):
                self.returned.add(node.id)
            self.expression(node, True)

    def test(self, node: ast.expr) -> None:
        """A condition: only the truth of a container is looked at."""
        if isinstance(node, ast.BoolOp):
            for value in node.values:
                self.test(value)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.test(node.operand)
        else:
            self.expression(node, True)

    def target(self, target: ast.expr, value: ast.expr | None) -> None:
        match target:
            case ast.Name():
                self.bound.add(target.id)
                if value is None or not self.fresh(value):
                    self.shared.add(target.id)
            case ast.Tuple() | ast.List():
                values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
                for index, part in enumerate(target.elts):
                    self.target(part, values[index] if values is not None else None)
            case ast.Subscript():
                self.changing(target.value)
                self.place(target)
            case ast.Starred():
                self.target(target.value, None)
            case _:
                self.expression(target)

    def place(self, target: ast.Subscript) -> None:
        self.expression(target.value, True)
        self.expression(target.slice, True)

    def alias(self, target: ast.expr) -> None:
        """Names that a loop binds hold what is inside other containers."""
        for part in ast.walk(target):
            if isinstance(part, ast.Name):
                self.shared.add(part.id)

    def expression(self, node: ast.expr, safe: bool = False) -> None:
        match node:
            case ast.Name():
                if not safe:
                    self.shared.add(node.id)
            case ast.Subscript():
                self.place(node)
            case ast.Compare():
                for part in (node.left, *node.comparators):
                    self.expression(part, True)
            case ast.Call():
                self.call(node)
            case ast.Starred(value=value):
                self.expression(value, True)
            case ast.FormattedValue(value=value, format_spec=spec):
                self.expression(value, True)
                if spec is not None:
                    self.expression(spec)
            case ast.UnaryOp(op=ast.Not()):
                self.test(node.operand)
            case ast.IfExp():
                self.test(node.test)
                self.expression(node.body)
                self.expression(node.orelse)
            case ast.NamedExpr():
                self.shared.add(node.target.id)
                self.expression(node.value)
            case ast.Lambda():
                self.shared.update(argument.arg for argument in node.args.args)
                self.expression(node.body)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self.comprehension(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.expression(child)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        for clause in node.generators:
            self.expression(clause.iter, True)
            self.alias(clause.target)
            for condition in clause.ifs:
                self.test(condition)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        for part in parts:
            self.expression(part)

    def call(self, node: ast.Call) -> None:
        safe = False
        lent: Mapping[int | str, str] = {}
        match node.func:
            case ast.Name(id=name):
                # min(a, b) gives one of its arguments back, min(a) only an item; sum(a, b) may give b back
                alone = name not in ("min", "max", "sum") or len(node.args) == 1
                safe = name in _READERS and self.is_builtin(name) and alone
                lent = self.readers.get(name, {})
            case ast.Attribute(value=base, attr=method):
                self.expression(base, method in _METHODS or method == "join")
                if method in _CHANGERS:
                    self.changing(base)
                safe = method in ("extend", "join")
            case _:
                self.expression(node.func)
        for index, argument in enumerate(node.args):
            self.expression(argument, safe or index in lent)
        for keyword in node.keywords:
            self.expression(keyword.value, keyword.arg in lent)

    def fresh(self, node: ast.expr) -> bool:
        """Whether the value of an expression, if it is a list or dict, was made by it."""
        match node:
            case (
                ast.List() | ast.Dict() | ast.Constant() | ast.BinOp() | ast.UnaryOp() | ast.Compare() | ast.Attribute()
            ):
                return True
            case ast.JoinedStr() | ast.Tuple():
                return True
            case ast.ListComp() | ast.DictComp() | ast.SetComp():
                return True
            case ast.Subscript(slice=ast.Slice()):
                return True
            case ast.IfExp():
                return self.fresh(node.body) and self.fresh(node.orelse)
            case ast.Call(func=ast.Name(id=name)):
                return name in _MAKERS and self.is_builtin(name)
            case ast.Call(func=ast.Attribute(attr=method)):
                return method in _COPIES
            case _:
                return False
