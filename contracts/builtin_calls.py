"""Calls of builtins, and functions given as arguments."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Iterator

from contracts import emit, kinds
from contracts import vocabulary as words
from contracts.containers import Containers, makes_set
from contracts.expressions import Emitted, lambda_of
from contracts.kinds import Kind

_RESULTS: dict[str, Kind] = {
    "len": kinds.interval(0, kinds.STR.high),
    "sum": kinds.INT,
    "abs": kinds.INT,
    "any": kinds.BOOL,
    "all": kinds.BOOL,
    "int": kinds.INT,
    "str": kinds.STR,
    "bool": kinds.BOOL,
    "bytes": kinds.BYTES,
    "tuple": kinds.TUPLE,
    "dict": kinds.DICT,
    "set": kinds.SET,
    "isinstance": kinds.BOOL,
    "divmod": Kind("tuple", items=(kinds.INT, kinds.INT)),
    "pow": kinds.INT,
    "ord": kinds.interval(0, 0x10FFFF),
    "chr": Kind("str", 1, 1),
    "map": kinds.list_of(kinds.ANY),
}
_HELPER_NAMES = {"dict": "dictof", "set": "setof", "pow": "pow_"}
_HANDLES_KEY = frozenset(("sorted", "min", "max"))
_KEYWORDS = frozenset(
    (
        "key", "reverse", "default", "start", "maxsplit", "signed", "byteorder", "length", "sep", "base", "exp", "mod",
        "bytes", "encoding", "keepends", "strict",
    )
)  # fmt: skip


class BuiltinCalls(Containers):
    """The part of the compiler for builtins."""

    def arguments(self, node: ast.Call) -> list[ast.expr]:
        """Positional arguments; `*xs` becomes a metered copy."""
        found: list[ast.expr] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                found.append(ast.Starred(emit.helper("eager", self.visit(argument.value)[0]), emit.LOAD))
            else:
                found.append(self.visit(argument)[0])
        return found

    def keywords(self, node: ast.Call, free: bool = False) -> list[ast.keyword]:
        """`free`: names are keys of a dict."""
        for keyword in node.keywords:
            if not free and (keyword.arg not in _KEYWORDS or keyword.arg == "key"):
                raise self.scope.refuse("C077", node, str(keyword.arg))
        return [ast.keyword(keyword.arg, self.visit(keyword.value)[0]) for keyword in node.keywords]

    def builtin(self, node: ast.Call, name: str) -> Emitted:
        if name == "range":
            value, kind = self.source(node)
            bounds = value.args if isinstance(value, ast.Call) else []
            return emit.helper("ranged", *bounds), kind
        if name == "isinstance":
            return self.isinstance(node)
        if name == "str" and node.args:
            self.textual(node.args[0])
        if name in ("map", "filter"):
            return self.mapped(node, name)
        if name in ("any", "all") and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            return self.decided(node, name, node.args[0])
        keyed = [keyword for keyword in node.keywords if keyword.arg == "key" and name != "dict"]
        if keyed and name not in _HANDLES_KEY:
            raise self.scope.refuse("C077", node, "key")
        plain = ast.copy_location(
            ast.Call(node.func, node.args, [keyword for keyword in node.keywords if keyword not in keyed]), node
        )
        visited = [self.visit(part.value if isinstance(part, ast.Starred) else part) for part in node.args]
        starred = any(isinstance(part, ast.Starred) for part in node.args)
        if not node.keywords and not starred:
            quick = self.quick(name, visited)
            if quick is not None:
                return quick
        known = tuple(kind for _, kind in visited)
        named = self.keywords(plain, name == "dict")
        if keyed:
            if node.args and makes_set(node.args[0]):
                raise self.scope.refuse("C068", node)
            items = (kinds.item_kind(known[0]),) if len(known) == 1 and not starred else (kinds.join_all(known),)
            named.append(ast.keyword("key", self.key_function(keyed[0].value, (kinds.ANY,) if starred else items)))
        arguments = self.arguments(node) if starred else [value for value, _ in visited]
        result = kinds.ANY if starred and name in ("min", "max", "sum") else self.result(name, known, bool(named))
        return emit.helper(_HELPER_NAMES.get(name, name), *arguments, keywords=named), result

    def decided(self, node: ast.Call, name: str, items: ast.GeneratorExp) -> Emitted:
        """`any` and `all` of a generator stop at the item that decides: what comes behind it may fail."""
        if node.keywords:
            raise self.scope.refuse("C077", node, str(node.keywords[0].arg))
        clauses, (element, _) = self.comprehend(items, lambda: self.visit(items.elt))
        return emit.helper(f"{name}of", emit.helper("begun"), ast.GeneratorExp(element, clauses)), kinds.BOOL

    def quick(self, name: str, visited: list[Emitted]) -> Emitted | None:
        """Inline forms for numbers and lengths."""
        known = [kind for _, kind in visited]
        values = [value for value, _ in visited]
        if (
            name == "len"
            and len(known) == 1
            and not known[0].optional
            and known[0].tag in ("list", "tuple", "dict", "set", "str", "bytes")
        ):
            low, high = (known[0].low, known[0].high) if known[0].tag in ("str", "bytes") else (0, kinds.STR.high)
            return emit.helper("pylen", *values), kinds.interval(low, high)
        if not known or not all(kind.tag == "int" and not kind.optional for kind in known):
            return None
        if name in ("min", "max") and len(known) > 1:
            pick = min if name == "min" else max
            kind = kinds.interval(pick(kind.low for kind in known), pick(kind.high for kind in known))
            if len(known) == 2 and self.inline:
                picked = emit.picked(ast.Lt() if name == "min" else ast.Gt(), *values)
                if picked is not None:
                    return picked, kind
            return emit.helper("py" + name, *values), kind
        if name == "abs" and len(known) == 1:
            top = max(abs(known[0].low), abs(known[0].high))
            return emit.bounded(emit.helper("pyabs", *values), 0, top, inline=self.inline), kinds.interval(0, top)
        if name == "int" and len(known) == 1:
            return values[0], known[0]
        return None

    def result(self, name: str, known: tuple[Kind, ...], named: bool) -> Kind:
        if any(kind.tag == "never" for kind in known):
            return kinds.NEVER
        if name == "sum" and (named or not all(kind.number for kind in known[1:])):
            return kinds.ANY  # the items may be added to a list or tuple
        if name in _RESULTS:
            return _RESULTS[name]
        item = kinds.item_kind(known[0]) if known else kinds.ANY
        match name:
            case "sorted" | "list" | "reversed":
                return kinds.list_of(item)
            case "min" | "max" if not named:
                return item if len(known) == 1 else kinds.join_all(known)
            case "enumerate" if known:
                return kinds.list_of(
                    Kind("tuple", items=(kinds.INT if len(known) > 1 or named else kinds.interval(0, 65_536), item))
                )
            case "zip":
                return kinds.list_of(Kind("tuple", items=tuple(map(kinds.item_kind, known))))
            case "filter" if len(known) == 2:
                return kinds.list_of(kinds.item_kind(known[1]))
        return kinds.ANY

    def key_function(self, node: ast.expr, parameters: tuple[Kind, ...]) -> ast.expr:
        """A function argument: a lambda, an own function or a builtin, never a value."""
        if isinstance(node, ast.Lambda):
            return self.lambda_(node, parameters)
        if isinstance(node, ast.Constant) and node.value is None:
            return emit.const(None)
        if isinstance(node, ast.Name) and not self.scope.is_local(node.id):
            names = [f"x{index}" for index in range(max(1, len(parameters)))]
            function = self.contract.functions.get(node.id)
            if function is not None or node.id in words.BUILTINS - {"range", "isinstance", "map", "filter"}:
                body = ast.Call(node, [emit.name(name) for name in names], [])
                return self.calling(names, body, node, parameters)
        if isinstance(node, ast.Attribute):
            return self.method_given(node, parameters)
        raise self.scope.refuse("C066", node, "a function argument is a lambda or the name of a function")

    def calling(self, names: list[str], body: ast.Call, node: ast.expr, parameters: tuple[Kind, ...]) -> ast.expr:
        """The lambda with this body that a name or method stands for."""
        wrapper = lambda_of(names, body)
        return self.lambda_(ast.fix_missing_locations(ast.copy_location(wrapper, node)), parameters)

    def method_given(self, node: ast.Attribute, parameters: tuple[Kind, ...]) -> ast.expr:
        """`key=str.lower` is `lambda x: x.lower()`, `key=counts.get` is `lambda x: counts.get(x)`."""
        names = [f"$x{index}" for index in range(max(1, len(parameters)))]
        given: list[ast.expr] = [emit.name(name) for name in names]
        base = node.value
        if not isinstance(base, ast.Name):
            raise self.scope.refuse("C054", node, f".{node.attr} as a function; write a lambda that calls it")
        of_type = not self.scope.is_local(base.id) and base.id in words.METHODS
        if of_type and (base.id, node.attr) not in words.CLASS_METHODS:
            if node.attr not in words.METHODS[base.id]:
                raise self.scope.refuse("C057", node, f"{base.id}.{node.attr}")
            body = ast.Call(ast.Attribute(given[0], node.attr, emit.LOAD), given[1:], [])
        else:
            body = ast.Call(ast.Attribute(base, node.attr, emit.LOAD), given, [])
        return self.calling(names, body, node, parameters)

    def mapped(self, node: ast.Call, name: str) -> Emitted:
        if node.keywords or len(node.args) < 2 or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C077", node, name)
        sources = [self.visit(part) for part in node.args[1:]]
        items = tuple(kinds.item_kind(kind) for _, kind in sources)
        function = self.key_function(node.args[0], items)
        return emit.helper(name, function, *(value for value, _ in sources)), self.result(
            name, (kinds.ANY, *(k for _, k in sources)), False
        )

    def isinstance(self, node: ast.Call) -> Emitted:
        if len(node.args) != 2 or node.keywords:
            raise self.scope.refuse("C077", node, "isinstance")
        names: list[str] = []
        for part in _alternatives(node.args[1]):
            known = isinstance(part, ast.Name) and not self.scope.is_local(part.id)
            python = {"int", "bool", "str", "bytes", "list", "dict", "tuple", "set"}
            if part is None:
                names.append("NoneType")
            elif isinstance(part, ast.Name) and known and part.id in python | set(self.contract.records):
                names.append(part.id)
            else:
                raise self.scope.refuse(
                    "C059", node, "isinstance takes int, bool, str, bytes, list, dict, tuple, set or a record"
                )
        return emit.helper("isinstance", self.visit(node.args[0])[0], emit.const(tuple(names))), kinds.BOOL


def _alternatives(node: ast.expr, united: bool = False) -> Iterator[ast.expr | None]:
    """The types in the second argument of `isinstance`: tuples and unions of them; None for the type of None."""
    match node:
        case ast.Tuple(elts=parts) if not united:
            for part in parts:
                yield from _alternatives(part)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _alternatives(left, True)
            yield from _alternatives(right, True)
        case ast.Constant(value=None) if united:
            yield None
        case _:
            yield node
