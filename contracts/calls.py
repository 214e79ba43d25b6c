"""Calls: of the contract's own functions, of records, of storage and value methods, of builtins."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from contracts import emit, kinds
from contracts import vocabulary as words
from contracts.builtin_calls import BuiltinCalls
from contracts.expressions import Emitted
from contracts.kinds import Kind
from contracts.resolve import MISSING, Function, Parameter, Slot
from contracts.shapes import Shape, deep_kind, shallow_kind
from contracts.stars import SPREAD

# fmt: off
_METHOD_RESULTS: dict[str, Kind] = {
    **dict.fromkeys(
        (
            "strip", "lstrip", "rstrip", "lower", "upper", "join", "hex", "decode", "title", "capitalize", "swapcase",
            "ljust", "rjust", "center", "zfill", "removeprefix", "removesuffix",
        ),
        kinds.STR,
    ),
    **dict.fromkeys(
        (
            "startswith", "endswith", "isdigit", "isalpha", "isalnum", "isupper", "islower", "isspace", "isascii",
            "issubset", "issuperset", "isdisjoint",
        ),
        kinds.BOOL,
    ),
    **dict.fromkeys(("find", "count", "index", "rfind", "rindex"), kinds.interval(-1, kinds.STR.high)),
    **dict.fromkeys(
        ("append", "extend", "insert", "remove", "sort", "reverse", "update", "add", "discard", "clear"), kinds.NONE
    ),
    **dict.fromkeys(("split", "rsplit", "splitlines"), kinds.list_of(kinds.STR)),
    **dict.fromkeys(("union", "intersection", "difference", "symmetric_difference"), kinds.SET),
    **dict.fromkeys(("bit_length", "bit_count"), kinds.interval(0, 256)),
    "encode": kinds.BYTES,
    "to_bytes": Kind("bytes", 0, 32),
}
# fmt: on


class Calls(BuiltinCalls):
    """The call part of the compiler."""

    api: Mapping[str, Callable[[ast.Call], Emitted]]

    def call(self, node: ast.Call) -> Emitted:
        if isinstance(node.func, ast.Attribute):
            return self.method(node, node.func)
        if not isinstance(node.func, ast.Name):
            raise self.scope.refuse("C056", node)
        name = node.func.id
        if name == SPREAD:
            return self.fixed(node, "spread", 3, kinds.ANY)
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

    def fixed(self, node: ast.Call, helper: str, count: int, kind: Kind) -> Emitted:
        if len(node.args) != count or node.keywords or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C077", node, f"{helper} takes {count} arguments")
        return emit.helper(helper, *self.arguments(node)), kind

    # the contract's own functions and records

    def own(self, node: ast.Call, function: Function) -> Emitted:
        if function.role in ("init", "migrate"):
            raise self.scope.refuse("C073", node, f"@{function.role} is called by the chain only")
        self.scope.facts.callees.add(function.name)
        summaries = self.scope.summaries
        result = summaries.result(self.scope.function.name, function)
        if any(isinstance(part, ast.Starred) for part in node.args):
            positional, named = self.spread_arguments(node, function)
        else:
            positional, named = self.match_arguments(node, function)
        return ast.Call(emit.name(f"{summaries.prefix}{function.name}"), positional, named), result

    def spread_arguments(self, node: ast.Call, function: Function) -> tuple[list[ast.expr], list[ast.keyword]]:
        """Arguments with stars are checked when all of them are known."""
        summaries = self.scope.summaries
        self.scope.facts.starred.add(function.name)
        for parameter in function.parameters:
            if parameter.shape.tag == "any":
                summaries.passes(function.name, parameter.name, kinds.ANY)
            elif summaries.learns(function, parameter):
                summaries.lends(function, parameter, kinds.ANY)
        parts = [
            emit.pack([emit.const(star), self.visit(part.value if isinstance(part, ast.Starred) else part)[0]])
            for part in node.args
            for star in [isinstance(part, ast.Starred)]
        ]
        given = [emit.helper("star", *parts)]
        by_name = {parameter.name: parameter for parameter in function.parameters if parameter.form in ("", "k")}
        named = self.named_arguments(node, function, by_name)
        names = tuple(keyword.arg for keyword in node.keywords if keyword.arg not in function.hidden)
        checked = emit.helper(f"args.{function.name}", *given, *([emit.const(names)] if names else []))
        return [ast.Starred(checked, emit.LOAD)], named

    def match_arguments(self, node: ast.Call, function: Function) -> tuple[list[ast.expr], list[ast.keyword]]:
        plain, rest = function.by_place, function.rest
        if len(node.args) > len(plain) and rest is None:
            raise self.scope.refuse("C077", node, f"{function.name} takes {len(plain)} arguments")
        positional = [self.given(function, p, part) for part, p in zip(node.args, plain, strict=False)]
        left = [*plain[len(positional) :], *function.by_name]
        if rest is not None and len(node.args) > len(plain):
            further = [self.coerce(self.visit(part), rest.each) for part in node.args[len(plain) :]]
            positional.append(emit.helper("packed", *further))
        by_name = {parameter.name: parameter for parameter in left if parameter.form != "/"}
        named = self.named_arguments(node, function, by_name)
        given = {keyword.arg for keyword in named}
        missing = [p.name for p in left if p.default is MISSING and (p.name not in given or p.form == "/")]
        if missing:
            raise self.scope.refuse("C077", node, f"{function.name} needs {missing[0]}")
        return positional, named

    def named_arguments(self, node: ast.Call, function: Function, free: dict[str, Parameter]) -> list[ast.keyword]:
        """Arguments by name; `free`: the parameters that they may fill. Captured values come behind them."""
        named: list[ast.keyword] = []
        for keyword in node.keywords:
            if keyword.arg in function.hidden:
                value, kind = self.visit(keyword.value)
                self.scope.summaries.passes(function.name, keyword.arg, kind)
                named.append(ast.keyword(keyword.arg, value))
                continue
            parameter = free.pop(keyword.arg or "", None)
            if parameter is None:
                raise self.scope.refuse("C077", node, f"{function.name} has no free parameter {keyword.arg}")
            named.append(ast.keyword(parameter.name, self.given(function, parameter, keyword.value)))
        return named

    def given(self, function: Function, parameter: Parameter, node: ast.expr) -> ast.expr:
        emitted = self.visit(node)
        if parameter.shape.tag == "any":
            self.scope.summaries.passes(function.name, parameter.name, emitted[1])
        elif self.scope.summaries.learns(function, parameter):
            self.scope.summaries.lends(function, parameter, emitted[1])
        return self.coerce(emitted, parameter.shape)

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
        if isinstance(base, ast.Name) and base.id in self.contract.indexes and not self.scope.is_local(base.id):
            return self.index_method(node, base.id, name)
        if isinstance(base, ast.Name) and not self.scope.is_local(base.id):
            if (base.id, name) in words.CLASS_METHODS:
                kind = {"bytes": kinds.BYTES, "int": kinds.INT, "dict": kinds.DICT}[base.id]
                return emit.helper(f"{base.id}.{name}", *self.arguments(node), keywords=self.keywords(node)), kind
            if base.id == "ctx" and name == "has_role":
                return self.fixed(node, "has_role", 1, kinds.BOOL)
            if base.id == "ctx" or base.id in words.TYPES:
                raise self.scope.refuse("C057", node, f"{base.id}.{name}")
        return self.value_method(node, self.visit(base), name)

    def value_method(self, node: ast.Call, target: Emitted, name: str) -> Emitted:
        value, kind = target
        if name not in words.ALL_METHODS:
            raise self.scope.refuse("C057", node, name)
        tag = "int" if kind.tag == "bool" else kind.tag
        if tag == "record" and name == "replace":
            fields = self.contract.records[kind.name].fields
            if not node.args and all(keyword.arg in fields for keyword in node.keywords):
                return self.replace(node, value, kind)
        if tag not in ("any", "never") and (tag == "record" or name not in words.METHODS.get(tag, frozenset())):
            self.scope.warn("C057", node, f"{kind.name or tag} has no method {name} with these arguments")
            tag, kind = "any", kinds.ANY
        if kind.optional:
            tag = "any"  # None has no methods, and the dispatch knows it before anything is charged
        keyed = [keyword for keyword in node.keywords if keyword.arg == "key"] if name == "sort" else []
        plain = ast.Call(node.func, node.args, [keyword for keyword in node.keywords if keyword not in keyed])
        named = self.replacements(plain) if name == "replace" else self.keywords(plain, name == "update")
        if name == "replace" and named:
            tag = "any"
        named += [ast.keyword("key", self.key_function(keyword.value, (kinds.item_kind(kind),))) for keyword in keyed]
        arguments = self.arguments(node)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            self.contribute(node.func.value.id, name, [self.visit(part)[1] for part in node.args])
        result = _METHOD_RESULTS.get(name, kinds.ANY)
        if kind.items and tag in ("list", "dict"):
            result = self.item_result(name, kind, node) or result
        if tag in ("any", "never"):
            known = (
                result if name not in ("count", "index", "copy", "update", "replace", "remove", "pop") else kinds.ANY
            )
            return emit.helper("method", value, emit.const(name), *arguments, keywords=named), known
        if name in ("copy",) or (tag == "str" and name == "replace"):
            result = kind if tag != "str" else kinds.STR
        return emit.helper(f"{tag}.{name}", value, *arguments, keywords=named), result

    def contribute(self, owner: str, method: str, given: list[Kind]) -> None:
        """A method puts something into a container that a name owns."""
        match method, given:
            case "append", [kind]:
                self.scope.holds(owner, kinds.list_of(kind))
            case "insert", [_, kind]:
                self.scope.holds(owner, kinds.list_of(kind))
            case "extend", [kind]:
                self.scope.holds(owner, kinds.list_of(kinds.item_kind(kind)))
            case "setdefault", [key, kind]:
                self.scope.holds(owner, Kind("dict", items=(key, kind)))
            case "append" | "insert" | "extend" | "setdefault" | "update", _:
                self.scope.holds(owner, kinds.ANY)
            case _:
                pass

    def item_result(self, name: str, kind: Kind, node: ast.Call) -> Kind | None:
        """What methods of containers with known items give."""
        value = kind.items[-1]
        match kind.tag, name, len(node.args):
            case "list", "pop", _:
                return value
            case "dict", "get" | "pop", 1:
                return kinds.optional(value) if name == "get" else value
            case "dict", "get" | "pop" | "setdefault", 2:
                return kinds.join(value, self.visit(node.args[1])[1])
            case "dict", "keys", 0:
                return kinds.list_of(kind.items[0])
            case "dict", "values", 0:
                return kinds.list_of(value)
            case "dict", "items", 0:
                return kinds.list_of(Kind("tuple", items=kind.items))
            case _:
                return None

    def replacements(self, node: ast.Call) -> list[ast.keyword]:
        """Keywords of `.replace(...)` on a value that may be a text or a record."""
        fields = {name for record in self.contract.records.values() for name in record.fields}
        for keyword in node.keywords:
            if keyword.arg not in fields:
                raise self.scope.refuse("C074", node, str(keyword.arg))
        return [ast.keyword(keyword.arg, self.visit(keyword.value)[0]) for keyword in node.keywords]

    def replace(self, node: ast.Call, value: ast.expr, kind: Kind) -> Emitted:
        """All values, then the checks in their order, as the dispatch does it: inline where nobody can tell."""
        fields = self.contract.records[kind.name].fields
        given = [(keyword.arg or "", self.visit(keyword.value)) for keyword in node.keywords]
        changes = [ast.keyword(arg, self.coerce(value, fields[arg], True)) for arg, value in given]
        plain = [ast.keyword(arg, value) for arg, (value, _) in given]
        checked = any(made.value is not found.value for made, found in zip(changes, plain, strict=True))
        if checked and (kind.optional or not all(self.certain(keyword.value) for keyword in node.keywords[1:])):
            if self.inline and not kind.optional:
                return self.replace_held(value, given, fields), kinds.record_kind(kind.name)
            return emit.helper("method", value, emit.const("replace"), keywords=plain), kinds.record_kind(kind.name)
        return emit.helper("replace", value, keywords=changes), kinds.record_kind(kind.name)

    def replace_held(self, value: ast.expr, given: list[tuple[str, Emitted]], fields: Mapping[str, Shape]) -> ast.expr:
        """The same with every value in a temporary first: `(v0 := value, v1 := ..., replace(v0, a=check(v1)))[-1]`."""
        record = self.scope.temporary()
        before: list[ast.expr] = [emit.walrus(record, value)]
        changes: list[ast.keyword] = []
        for arg, (made, kind) in given:
            held = self.scope.temporary()
            before.append(emit.walrus(held, made))
            changes.append(ast.keyword(arg, self.coerce((emit.name(held), kind), fields[arg], True)))
        last = emit.helper("replace", emit.name(record), keywords=changes)
        return ast.Subscript(emit.pack([*before, last]), emit.const(-1), emit.LOAD)

    def certain(self, node: ast.expr) -> bool:
        """Whether an expression cannot fail and costs nothing: a literal or a parameter."""
        parameters = [parameter.name for parameter in self.scope.function.parameters]
        return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in parameters)

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
        return self.page(node, declared, name, value)

    def index_method(self, node: ast.Call, index: str, name: str) -> Emitted:
        if name not in words.INDEX_METHODS or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C057", node, f"{index}.{name}")
        declared = self.contract.indexes[index].view
        return self.page(node, declared, name, deep_kind(declared.value))

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

    def page(self, node: ast.Call, declared: Slot, name: str, value: Kind) -> Emitted:
        slot = declared.name
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
