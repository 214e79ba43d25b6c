"""Calls: of the contract's own functions, of records, of storage and value methods, of builtins."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from contracts import emit, kinds
from contracts import vocabulary as words
from contracts.containers import Containers
from contracts.expressions import Emitted
from contracts.kinds import Kind
from contracts.resolve import MISSING, Function
from contracts.shapes import deep_kind, shallow_kind

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
_METHOD_RESULTS: dict[str, Kind] = {
    **dict.fromkeys(("strip", "lstrip", "rstrip", "lower", "upper", "join", "hex", "decode"), kinds.STR),
    **dict.fromkeys(("startswith", "endswith", "isdigit"), kinds.BOOL),
    **dict.fromkeys(("find", "count", "index"), kinds.interval(-1, kinds.STR.high)),
    **dict.fromkeys(
        ("append", "extend", "insert", "remove", "sort", "reverse", "update", "add", "discard"), kinds.NONE
    ),
    "split": kinds.list_of(kinds.STR),
    "bit_length": kinds.interval(0, 256),
    "encode": kinds.BYTES,
    "to_bytes": Kind("bytes", 0, 32),
}
_KEYWORDS = frozenset(("key", "reverse", "default", "start", "maxsplit", "count", "signed", "byteorder", "length"))
_HELPER_NAMES = {"dict": "dictof", "set": "setof", "pow": "pow_"}
_HANDLES_KEY = frozenset(("sorted", "min", "max"))


class Calls(Containers):
    """The call part of the compiler."""

    api: Mapping[str, Callable[[ast.Call], Emitted]]

    def call(self, node: ast.Call) -> Emitted:
        if isinstance(node.func, ast.Attribute):
            return self.method(node, node.func)
        if not isinstance(node.func, ast.Name):
            raise self.scope.refuse("C056", node)
        name = node.func.id
        if self.scope.is_local(name):
            raise self.scope.refuse("C056", node, f"{name} is a variable here")
        if name in self.contract.functions:
            return self.own(node, self.contract.functions[name])
        if name in self.contract.records:
            return self.construct(node, name)
        if name in self.api:
            return self.api[name](node)
        if name in words.BUILTINS and not self.contract.defines(name):
            return self.builtin(node, name)
        if self.contract.defines(name) or name in words.TYPES | words.DECLARATIONS | {"ctx"}:
            raise self.scope.refuse("C056", node, name)
        raise self.unknown(node.func)

    def arguments(self, node: ast.Call) -> list[ast.expr]:
        """Positional arguments; `*xs` becomes a metered copy."""
        found: list[ast.expr] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                found.append(ast.Starred(emit.helper("eager", self.visit(argument.value)[0]), emit.LOAD))
            else:
                found.append(self.visit(argument)[0])
        return found

    def fixed(self, node: ast.Call, helper: str, count: int, kind: Kind) -> Emitted:
        if len(node.args) != count or node.keywords or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C077", node, f"{helper} takes {count} arguments")
        return emit.helper(helper, *self.arguments(node)), kind

    # the contract's own functions and records

    def own(self, node: ast.Call, function: Function) -> Emitted:
        if function.role in ("init", "migrate"):
            raise self.scope.refuse("C073", node, f"@{function.role} is called by the chain only")
        self.scope.facts.callees.add(function.name)
        result = shallow_kind(function.returns)
        if any(isinstance(part, ast.Starred) for part in node.args):
            if node.keywords:
                raise self.scope.refuse("C058", node, "with keywords")
            self.scope.facts.starred.add(function.name)
            items = ast.List(
                [
                    emit.pack([emit.const(star), self.visit(part.value if isinstance(part, ast.Starred) else part)[0]])
                    for part in node.args
                    for star in [isinstance(part, ast.Starred)]
                ],
                emit.LOAD,
            )
            spread = emit.helper("star", *items.elts)
            return ast.Call(
                emit.name(f"$f.{function.name}"),
                [ast.Starred(emit.helper(f"args.{function.name}", spread), emit.LOAD)],
                [],
            ), result
        positional, named = self.match_arguments(node, function)
        call = ast.Call(emit.name(f"$f.{function.name}"), positional, named)
        return call, result

    def match_arguments(self, node: ast.Call, function: Function) -> tuple[list[ast.expr], list[ast.keyword]]:
        parameters = function.parameters
        if len(node.args) > len(parameters):
            raise self.scope.refuse("C077", node, f"{function.name} takes {len(parameters)} arguments")
        positional = [self.coerce(self.visit(part), p.shape) for part, p in zip(node.args, parameters, strict=False)]
        by_name = {parameter.name: parameter for parameter in parameters[len(positional) :]}
        named: list[ast.keyword] = []
        for keyword in node.keywords:
            if keyword.arg in function.hidden:
                named.append(ast.keyword(keyword.arg, self.visit(keyword.value)[0]))
                continue
            parameter = by_name.pop(keyword.arg or "", None)
            if parameter is None:
                raise self.scope.refuse("C077", node, f"{function.name} has no free parameter {keyword.arg}")
            named.append(ast.keyword(parameter.name, self.coerce(self.visit(keyword.value), parameter.shape)))
        missing = [name for name, parameter in by_name.items() if parameter.default is MISSING]
        if missing:
            raise self.scope.refuse("C077", node, f"{function.name} needs {missing[0]}")
        return positional, named

    def construct(self, node: ast.Call, name: str) -> Emitted:
        fields = self.contract.records[name].fields
        given = {keyword.arg or "": keyword for keyword in node.keywords}
        if node.args or set(given) != set(fields) or len(given) != len(node.keywords):
            raise self.scope.refuse("C074", node, f"{name} takes exactly {', '.join(fields)} by name")
        values = [(arg, self.coerce(self.visit(keyword.value), fields[arg], True)) for arg, keyword in given.items()]
        struct = emit.name(f"$r.{name}")
        if list(given) == list(fields):
            return ast.Call(struct, [value for _, value in values], []), kinds.record_kind(name)
        return ast.Call(struct, [], [ast.keyword(arg, value) for arg, value in values]), kinds.record_kind(name)

    # methods

    def method(self, node: ast.Call, func: ast.Attribute) -> Emitted:
        base, name = func.value, func.attr
        slot = self.slot_named(base)
        if slot is not None:
            return self.slot_method(node, slot, name)
        if isinstance(base, ast.Name) and not self.scope.is_local(base.id):
            if (base.id, name) in words.CLASS_METHODS:
                kind = kinds.BYTES if base.id == "bytes" else kinds.INT
                return emit.helper(f"{base.id}.{name}", *self.arguments(node), keywords=self.keywords(node)), kind
            if base.id == "ctx" or base.id in words.TYPES:
                raise self.scope.refuse("C057", node, f"{base.id}.{name}")
        return self.value_method(node, self.visit(base), name)

    def keywords(self, node: ast.Call) -> list[ast.keyword]:
        for keyword in node.keywords:
            if keyword.arg not in _KEYWORDS or keyword.arg == "key":
                raise self.scope.refuse("C077", node, str(keyword.arg))
        return [ast.keyword(keyword.arg, self.visit(keyword.value)[0]) for keyword in node.keywords]

    def value_method(self, node: ast.Call, target: Emitted, name: str) -> Emitted:
        value, kind = target
        if kind.tag == "record":
            return self.replace(node, value, kind, name)
        tag = "int" if kind.tag == "bool" else kind.tag
        if name not in (words.ALL_METHODS if tag in ("any", "never") else words.METHODS.get(tag, frozenset())):
            raise self.scope.refuse("C057", node, name)
        keyed = [keyword for keyword in node.keywords if keyword.arg == "key"] if name == "sort" else []
        plain = ast.Call(node.func, node.args, [keyword for keyword in node.keywords if keyword not in keyed])
        named = self.replacements(plain) if name == "replace" and tag in ("any", "never") else self.keywords(plain)
        named += [ast.keyword("key", self.key_function(keyword.value, (kinds.item_kind(kind),))) for keyword in keyed]
        arguments = self.arguments(node)
        result = _METHOD_RESULTS.get(name, kinds.ANY)
        if tag in ("any", "never"):
            known = (
                result if name not in ("count", "index", "copy", "update", "replace", "remove", "pop") else kinds.ANY
            )
            return emit.helper("method", value, emit.const(name), *arguments, keywords=named), known
        if name in ("copy",) or (tag == "str" and name == "replace"):
            result = kind if tag != "str" else kinds.STR
        return emit.helper(f"{tag}.{name}", value, *arguments, keywords=named), result

    def replacements(self, node: ast.Call) -> list[ast.keyword]:
        """Keywords of `.replace(...)` on a value that may be a text or a record."""
        fields = {name for record in self.contract.records.values() for name in record.fields}
        for keyword in node.keywords:
            if keyword.arg not in fields:
                raise self.scope.refuse("C077", node, str(keyword.arg))
        return [ast.keyword(keyword.arg, self.visit(keyword.value)[0]) for keyword in node.keywords]

    def replace(self, node: ast.Call, value: ast.expr, kind: Kind, name: str) -> Emitted:
        fields = self.contract.records[kind.name].fields
        if name != "replace" or node.args:
            raise self.scope.refuse("C057" if name != "replace" else "C074", node, name)
        changes: list[ast.keyword] = []
        for keyword in node.keywords:
            shape = fields.get(keyword.arg or "")
            if shape is None or any(keyword.arg == seen.arg for seen in changes):
                raise self.scope.refuse("C074", node, f"{kind.name} has no field {keyword.arg}")
            changes.append(ast.keyword(keyword.arg, self.coerce(self.visit(keyword.value), shape, True)))
        return emit.helper("replace", value, keywords=changes), kinds.record_kind(kind.name)

    def slot_method(self, node: ast.Call, slot: str, name: str) -> Emitted:
        declared = self.contract.slots[slot]
        value = deep_kind(declared.value)
        allowed = words.MAP_METHODS if declared.is_map else words.VAR_METHODS
        if name not in allowed or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C057", node, f"{slot}.{name}")
        if not declared.is_map:
            return self.cell_method(node, slot, name)
        if name == "get":
            return self.map_get(node, slot, value)
        return self.page(node, slot, name, value)

    def cell_method(self, node: ast.Call, slot: str, name: str) -> Emitted:
        declared = self.contract.slots[slot]
        if node.keywords or len(node.args) != (name == "set"):
            raise self.scope.refuse("C077", node, f"{slot}.{name}")
        key = emit.name(f"$prefix.{slot}")
        if name == "get":
            return emit.helper(f"load.{slot}", key), deep_kind(declared.value)
        self.scope.facts.writes = True
        return emit.helper(
            f"store.{slot}", self.coerce(self.visit(node.args[0]), declared.value, True), key
        ), kinds.NONE

    def map_get(self, node: ast.Call, slot: str, value: Kind) -> Emitted:
        if node.keywords or not 1 <= len(node.args) <= 2:
            raise self.scope.refuse("C077", node, f"{slot}.get")
        key = self.slot_key(slot, node.args[0])
        if len(node.args) == 1:
            known = kinds.optional(value) if self.contract.slots[slot].default is MISSING else value
            return emit.helper(f"find.{slot}", key), known
        default, kind = self.visit(node.args[1])
        kind = kinds.join(kind, value) if self.contract.slots[slot].default is MISSING else kinds.ANY
        return emit.helper(f"find.{slot}", key, default), kind

    def page(self, node: ast.Call, slot: str, name: str, value: Kind) -> Emitted:
        declared = self.contract.slots[slot]
        known = {"after", "limit", "prefix"}
        if len(node.args) > 1 or any(keyword.arg not in known for keyword in node.keywords):
            raise self.scope.refuse("C077", node, f"{slot}.{name}(prefix, after=None, limit=n)")
        named = [
            ast.keyword("start" if keyword.arg == "prefix" else keyword.arg, self.visit(keyword.value)[0])
            for keyword in node.keywords
        ]
        parts = tuple(shallow_kind(shape) for shape in declared.key)
        key = Kind("tuple", items=parts) if declared.tuple_key else parts[0]
        row = Kind("tuple", items=(key, value)) if name == "items" else key
        return emit.helper(f"{name}.{slot}", *self.arguments(node), keywords=named), kinds.list_of(row)

    # builtins

    def builtin(self, node: ast.Call, name: str) -> Emitted:
        if name == "range":
            value, kind = self.source(node)
            bounds = value.args if isinstance(value, ast.Call) else []
            return emit.helper("ranged", *bounds), kind
        if name == "isinstance":
            return self.isinstance(node)
        if name in ("map", "filter"):
            return self.mapped(node, name)
        keyed = [keyword for keyword in node.keywords if keyword.arg == "key"]
        if keyed and name not in _HANDLES_KEY:
            raise self.scope.refuse("C077", node, "key")
        plain = ast.Call(node.func, node.args, [keyword for keyword in node.keywords if keyword not in keyed])
        visited = [self.visit(part.value if isinstance(part, ast.Starred) else part) for part in node.args]
        starred = any(isinstance(part, ast.Starred) for part in node.args)
        if not node.keywords and not starred:
            quick = self.quick(name, visited)
            if quick is not None:
                return quick
        known = tuple(kind for _, kind in visited)
        named = self.keywords(plain)
        if keyed:
            if visited and visited[0][1].tag == "set":
                raise self.scope.refuse("C068", node)
            items = (kinds.item_kind(known[0]),) if len(known) == 1 and not starred else (kinds.join_all(known),)
            named.append(ast.keyword("key", self.key_function(keyed[0].value, (kinds.ANY,) if starred else items)))
        arguments = self.arguments(node) if starred else [value for value, _ in visited]
        result = kinds.ANY if starred and name in ("min", "max") else self.result(name, known, bool(named))
        return emit.helper(_HELPER_NAMES.get(name, name), *arguments, keywords=named), result

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
                wrapper = ast.Lambda(ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, []), body)
                return self.lambda_(ast.fix_missing_locations(ast.copy_location(wrapper, node)), parameters)
        raise self.scope.refuse("C066", node, "a function argument is a lambda or the name of a function")

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
        parts = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
        names: list[str] = []
        for part in parts:
            known = isinstance(part, ast.Name) and not self.scope.is_local(part.id)
            python = {"int", "bool", "str", "bytes", "list", "dict", "tuple", "set"}
            if not isinstance(part, ast.Name) or not known or part.id not in python | set(self.contract.records):
                raise self.scope.refuse(
                    "C059", node, "isinstance takes int, bool, str, bytes, list, dict, tuple, set or a record"
                )
            names.append(part.id)
        return emit.helper("isinstance", self.visit(node.args[0])[0], emit.const(tuple(names))), kinds.BOOL
