"""Displays, comprehensions, loops' sources, f-strings, lambdas: expressions that make or walk containers."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Callable

from contracts import emit, kinds
from contracts.cost import clause_bytes, clause_gas, display_bytes, expression_gas
from contracts.descend import walk
from contracts.expressions import Emitted, Expressions, lambda_of
from contracts.formatting import valid_spec
from contracts.keys import fits
from contracts.kinds import Kind
from contracts.limits import ITEM_BYTES, PYC1
from contracts.parameters import default_value
from contracts.stars import star_in

_LAZY = frozenset(("range", "map", "filter", "zip", "enumerate", "reversed"))
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Containers(Expressions):
    """The part of the compiler for containers and functions as arguments."""

    # displays and comprehensions

    def items(self, nodes: list[ast.expr]) -> tuple[list[ast.expr], list[Kind], bool]:
        starred = any(isinstance(node, ast.Starred) for node in nodes)
        found: list[ast.expr] = []
        known: list[Kind] = []
        for node in nodes:
            star = isinstance(node, ast.Starred)
            value, kind = self.visit(node.value if isinstance(node, ast.Starred) else node)
            found.append(emit.pack([emit.const(star), value]) if starred else value)
            known.append(kinds.item_kind(kind) if star else kind)
        return found, known, starred

    def list_(self, node: ast.List) -> Emitted:
        found, known, starred = self.items(node.elts)
        kind = kinds.list_of(kinds.join_all(tuple(known)))
        return (emit.helper("star", *found) if starred else ast.List(found, emit.LOAD)), kind

    def tuple_(self, node: ast.Tuple) -> Emitted:
        found, known, starred = self.items(node.elts)
        if starred:
            return emit.helper("tuple", emit.helper("star", *found)), kinds.TUPLE
        return emit.pack(found), Kind("tuple", items=tuple(known))

    def set_(self, node: ast.Set) -> Emitted:
        found, _, starred = self.items(node.elts)
        return (emit.helper("setof", emit.helper("star", *found)) if starred else emit.helper("set", *found)), kinds.SET

    def dict_(self, node: ast.Dict) -> Emitted:
        if None in node.keys:
            parts = [
                emit.pack([self.visit(part)[0] for part in (key, value) if part])
                for key, value in zip(node.keys, node.values, strict=True)
            ]
            return emit.helper("merged", *parts), kinds.DICT
        pairs = [(self.visit(key), self.visit(value)) for key, value in zip(node.keys, node.values, strict=True) if key]
        known = (
            kinds.join_all(tuple(key[1] for key, _ in pairs)),
            kinds.join_all(tuple(value[1] for _, value in pairs)),
        )
        kind = Kind("dict", items=known)
        if all(_short_text(*key) for key, _ in pairs):
            return ast.Dict([key[0] for key, _ in pairs], [value[0] for _, value in pairs]), kind
        return emit.helper("dict", *(emit.pack([key[0], value[0]]) for key, value in pairs)), kind

    def list_comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Emitted:
        clauses, (element, kind) = self.comprehend(node, lambda: self.visit(node.elt))
        return emit.helper("made", ast.ListComp(element, clauses)), kinds.list_of(kind)

    def set_comprehension(self, node: ast.SetComp) -> Emitted:
        clauses, (element, _) = self.comprehend(node, lambda: self.visit(node.elt))
        return emit.helper("made", ast.SetComp(emit.helper("key", element), clauses)), kinds.SET

    def dict_comprehension(self, node: ast.DictComp) -> Emitted:
        clauses, (pair, known) = self.comprehend(node, lambda: self.pair(node))
        key, value = pair.elts if isinstance(pair, ast.Tuple) else (pair, pair)
        return emit.helper("made", ast.DictComp(emit.helper("key", key), value, clauses)), Kind(
            "dict", items=known.items
        )

    def pair(self, node: ast.DictComp) -> Emitted:
        (key, key_kind), (value, kind) = self.visit(node.key), self.visit(node.value)
        return emit.pack([key, value]), Kind("tuple", items=(key_kind, kind))

    def comprehend(
        self, node: Comprehension, element: Callable[[], Emitted]
    ) -> tuple[list[ast.comprehension], Emitted]:
        """Emit the clauses; each charges for all its items before the first (`over`)."""
        scope = self.scope
        scope.forget_bound(node)
        scope.inner.append({})
        scope.inline += 1
        clauses: list[ast.comprehension] = []
        for index, clause in enumerate(node.generators):
            if any(isinstance(part, ast.NamedExpr) for part in walk(clause.iter)):
                raise scope.refuse("C020", clause.iter, "a walrus in the source of a comprehension")
            source, kind = self.source(clause.iter)
            last = index + 1 == len(node.generators)
            item = ITEM_BYTES if isinstance(node, ast.ListComp | ast.GeneratorExp) else 2 * ITEM_BYTES
            keep = (item if not clause.ifs else item // 4) if last else 0
            keep += clause_bytes(node, index)
            source = emit.helper("over", source, emit.const(clause_gas(node, index)), emit.const(keep))
            target, guard = self.targets(clause.target, kinds.item_kind(kind), scope.inner[-1])
            if guard is not None:
                source = emit.helper("rows", source, guard)
            tests = [self.visit(test)[0] for test in clause.ifs]
            clauses.append(ast.comprehension(target, source, tests, 0))
        made = element()
        scope.inline -= 1
        scope.inner.pop()
        return clauses, made

    def source(self, node: ast.expr) -> Emitted:
        """The iterable of a loop; `range` stays lazy."""
        is_range = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"
        if (
            isinstance(node, ast.Call)
            and is_range
            and not self.scope.is_local("range")
            and not self.contract.defines("range")
        ):
            bounds = [self.visit(part) for part in node.args]
            if node.keywords or not 1 <= len(bounds) <= 3 or any(isinstance(part, ast.Starred) for part in node.args):
                raise self.scope.refuse("C077", node, "range")
            plain = all(
                kind.tag == "int" and not kind.optional and kind.low > -(2**60) and kind.high < 2**60
                for _, kind in bounds
            )
            return emit.helper("pyrange" if plain else "range", *(value for value, _ in bounds)), range_kind(bounds)
        if makes_set(node):
            raise self.scope.refuse("C067", node)
        value, kind = self.visit(node)
        if kind.tag == "set":
            self.scope.warn("C067", node, "")
        return value, kind

    def targets(self, node: ast.expr, kind: Kind, level: dict[str, Kind]) -> tuple[ast.expr, ast.expr | None]:
        """A loop target and, where the items are not known to be tuples of the right length, the shape to check."""
        match node:
            case ast.Name():
                level[node.id] = kinds.settled(kind)
                return emit.target(node.id), None
            case ast.Tuple() | ast.List():
                star = star_in(node)
                known = star is None and kind.tag == "tuple" and len(kind.items) == len(node.elts) and not kind.optional
                inner = kind.items if known else tuple(self.unpacked(kind) for _ in node.elts)
                parts = [self.targets(part, item, level) for part, item in zip(node.elts, inner, strict=True)]
                target = ast.Tuple([part for part, _ in parts], emit.STORE)
                if known and all(guard is None for _, guard in parts):
                    return target, None
                return target, emit.pack([guard or emit.const(0) for _, guard in parts])
            case ast.Starred(value=ast.Name() as name):
                held, _ = self.targets(name, kinds.list_of(kind), level)
                return ast.Starred(held, emit.STORE), emit.const(1)
            case _:
                raise self.scope.refuse("C030", node, "a loop target")

    def unpacked(self, kind: Kind) -> Kind:
        return kinds.NEVER if kind.tag == "never" else kinds.item_kind(kind)

    # texts and functions

    def fstring(self, node: ast.JoinedStr) -> Emitted:
        parts: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.textual(part.value)
                value = self.visit(part.value)[0]
                if part.conversion >= 0:
                    value = emit.helper("repr" if part.conversion == ord("r") else "str", value)
                parts.append(emit.pack([value, self.format(part.format_spec, node)]))
            else:
                parts.append(self.visit(part)[0])
        return emit.helper("fstring", *parts), kinds.STR

    def textual(self, node: ast.expr) -> None:
        """Refuse what CPython shows as a view, a range or an iterator: here it is a list and would read as one."""
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _LAZY and not self.contract.defines(name):
                shown = name
            case ast.Call(func=ast.Attribute(attr="keys" | "values" | "items" as shown), args=[], keywords=[]):
                pass
            case _:
                return
        raise self.scope.refuse("C050", node, f"the text of {shown}(...); write list(...) around it")

    def format(self, spec: ast.expr | None, node: ast.JoinedStr) -> ast.expr:
        """The format of a field: a text, or pieces that are put together when it runs."""
        pieces = spec.values if isinstance(spec, ast.JoinedStr) else []
        if any(isinstance(piece, ast.FormattedValue) for piece in pieces):
            found = [self.visit(piece.value if isinstance(piece, ast.FormattedValue) else piece)[0] for piece in pieces]
            return emit.helper("spec", *found)
        text = "".join([str(piece.value) for piece in pieces if isinstance(piece, ast.Constant)])
        if not valid_spec(text):
            raise self.scope.refuse("C050", node, text)
        return emit.const(text)

    def named(self, node: ast.NamedExpr) -> Emitted:
        value, kind = self.visit(node.value)
        name = node.target.id
        if any(name in level for level in self.scope.inner):
            raise self.scope.refuse("C020", node, f"{name} is a comprehension variable")
        self.scope.bind(name, kind)
        self.scope.forget((name,))  # it may stand behind an `and`
        return emit.walrus(name, value), kind

    def lambda_(self, node: ast.Lambda, parameters: tuple[Kind, ...]) -> ast.expr:
        """A lambda as key=, map or filter argument; `parameters` are the kinds it will be called with."""
        names = [argument.arg for argument in node.args.args]
        known_here = {name: value for name, value in self.contract.constants.items() if not self.scope.is_local(name)}
        defaults = [emit.const(default_value(part, known_here, PYC1)) for part in node.args.defaults]
        if any(isinstance(part, ast.NamedExpr) for part in walk(node.body)):
            raise self.scope.refuse("C043", node, "a walrus in a lambda")
        known = parameters if len(parameters) == len(names) else (kinds.ANY,) * len(names)
        self.scope.inner.append(dict(zip(names, map(kinds.settled, known), strict=True)))
        self.scope.inline += 1
        body, _ = self.visit(node.body)
        self.scope.inline -= 1
        self.scope.inner.pop()
        price = emit.const(expression_gas(node.body) + expression_gas(node))
        tick = emit.helper("tick", price, emit.const(display_bytes(node.body)))
        return lambda_of(names, ast.BoolOp(ast.And(), [tick, body]), defaults)


def range_kind(bounds: list[Emitted]) -> Kind:
    """A pseudo-list with the interval of a range's items."""
    numbers = [kind for _, kind in bounds]
    if any(kind.tag == "never" for kind in numbers):
        return kinds.list_of(kinds.NEVER)
    if not all(kind.tag == "int" and not kind.optional for kind in numbers):
        return kinds.list_of(kinds.INT)
    if len(numbers) == 1:
        return kinds.list_of(kinds.interval(0, max(0, numbers[0].high - 1)))
    low = min(kind.low for kind in numbers[:2])
    if len(numbers) == 2 or numbers[2].low > 0:
        low = numbers[0].low
        return kinds.list_of(kinds.interval(low, max(low, numbers[1].high - 1)))
    return kinds.list_of(kinds.interval(low, max(kind.high for kind in numbers[:2])))


def _short_text(key: ast.expr, kind: Kind) -> bool:
    """Whether a key of a display is kept as it is, whatever happens at run time."""
    return isinstance(key, ast.Constant) and kind.tag in ("str", "bytes") and fits(key.value)


def makes_set(node: ast.expr) -> bool:
    """Whether an expression is a set by its syntax."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "set"
    return called or isinstance(node, ast.Set | ast.SetComp)
