"""Calls: own functions, records, storage, methods, builtins, the module API."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from typing import Any

from contracts.limits import TEXT_BYTES, ExecutionLimits
from oracle import operators as ops
from oracle.contract import MISSING, Function, Index, Slot, held
from oracle.expressions import Expressions, Frame
from oracle.failures import RESERVED, Failure, Stop, bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.shapes import Shape, outgoing
from oracle.values import Record, pack

Named = dict[str, Any]
EXECUTION = ExecutionLimits()


def packed(meter: Meter, name: str, values: list[Any]) -> Named:
    """What `*rest` takes; nothing is paid for an empty one."""
    if values:
        meter.spend(G.made + G.item * len(values))
        meter.items(len(values))
    return {name: tuple(values)}


class _Decided(Exception):
    """The item that decides was seen."""


TYPES = frozenset(("int", "str", "bytes", "list", "dict", "tuple", "set"))


class Calls(Expressions):
    """The part of the interpreter for calls."""

    events: list[tuple[str, str, bytes]]
    instance: str
    outside: Callable[..., Any]

    def invoke(self, function: Function, given: Named) -> Any:
        raise NotImplementedError

    def call(self, node: ast.Call, frame: Frame) -> Any:
        if isinstance(node.func, ast.Attribute):
            return self.method(node, node.func, frame)
        assert isinstance(node.func, ast.Name)
        nested = self.contract.nested.get(id(node))
        if nested is not None:
            return self.own(node, nested, frame)
        name = node.func.id
        if name in self.contract.functions:
            return self.own(node, self.contract.functions[name], frame)
        if name in self.contract.records:
            fields = self.contract.records[name]
            given = {}
            for keyword in node.keywords:
                arg = keyword.arg or ""
                given[arg] = self.types.check(fields[arg], self.visit(keyword.value, frame), True)
            return self.types.made(name, given)
        api = getattr(self, f"api_{name}", None)
        if api is not None:
            return api(node, frame)
        return self.of_builtin(node, name, frame)

    # own functions

    def own(self, node: ast.Call, function: Function, frame: Frame) -> Any:
        if any(isinstance(part, ast.Starred) for part in node.args):
            return self.spread(node, function, frame)
        given: Named = {}
        for part, (name, shape, _) in zip(node.args, function.parameters, strict=False):
            given[name] = self.types.check(shape, self.visit(part, frame))
        if function.rest is not None:
            name, shape = function.rest
            further = node.args[len(function.parameters) :]
            given |= packed(self.meter, name, [self.types.check(shape, self.visit(part, frame)) for part in further])
        given |= self.by_name(node, function, frame)
        return self.invoke(function, given | self.hidden(node, function, frame))

    def by_name(self, node: ast.Call, function: Function, frame: Frame) -> Named:
        shapes = {name: shape for name, shape, _ in (*function.parameters, *function.by_name)}
        given: Named = {}
        for keyword in node.keywords:
            arg = keyword.arg or ""
            given[arg] = self.types.check(shapes[arg], self.visit(keyword.value, frame))
        return given

    def hidden(self, node: ast.AST, function: Function, frame: Frame) -> Named:
        """Captured values that a call of a nested function passes."""
        kept = self.prices.hidden.get(id(node), ())
        return {name: self.lookup(place, frame) for name, place in zip(function.hidden, kept, strict=True)}

    def spread(self, node: ast.Call, function: Function, frame: Frame) -> Any:
        found, _ = self.items(node.args, frame)
        given = self.placed(function, found, [keyword.arg or "" for keyword in node.keywords])
        given |= self.by_name(node, function, frame)
        return self.invoke(function, given | self.hidden(node, function, frame))

    def placed(self, function: Function, found: list[Any], named: list[str]) -> Named:
        """Arguments by place that were not counted before; `named`: what comes by name."""
        plain, count = function.parameters, len(found)
        left = [*plain[count:], *function.by_name]
        if (
            (count > len(plain) and function.rest is None)
            or any(default is MISSING and name not in named for name, _, default in left)
            or any(name in named for name, _, _ in plain[:count])
        ):
            raise mismatch()
        given = {name: self.types.check(shape, value) for value, (name, shape, _) in zip(found, plain, strict=False)}
        if function.rest is not None:
            name, shape = function.rest
            given |= packed(self.meter, name, [self.types.check(shape, value) for value in found[len(plain) :]])
        return given

    def define(self, node: ast.FunctionDef, frame: Frame) -> None:
        """A nested function keeps what it captures as it is now."""
        for name in self.prices.captured[id(node)]:
            frame.locals[held(node, name)] = self.lookup(name, frame)

    # builtins

    def arguments(self, node: ast.Call, frame: Frame) -> list[Any]:
        found: list[Any] = []
        for part in node.args:
            if isinstance(part, ast.Starred):
                found += ops.eager(self.meter, self.visit(part.value, frame))
            else:
                found.append(self.visit(part, frame))
        return found

    def named(self, node: ast.Call, frame: Frame) -> Named:
        plain = isinstance(node.func, ast.Name) and node.func.id == "dict"
        plain = plain or (isinstance(node.func, ast.Attribute) and node.func.attr == "update")
        found = {part.arg or "": self.visit(part.value, frame) for part in node.keywords if plain or part.arg != "key"}
        for part in node.keywords:
            if part.arg == "key" and not plain:
                found["key"] = self.function_given(part.value, 1, frame)
        return found

    def of_builtin(self, node: ast.Call, name: str, frame: Frame) -> Any:
        if name in ("map", "filter"):
            function = self.function_given(node.args[0], len(node.args) - 1, frame)
            return self.builtins.call(name, [function, *[self.visit(part, frame) for part in node.args[1:]]], {})
        if name in ("any", "all") and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            return self.decided(name == "any", node.args[0], frame)
        if name == "isinstance":
            parts = list(ast.walk(node.args[1]))
            names = tuple(part.id for part in parts if isinstance(part, ast.Name))
            names += tuple("NoneType" for part in parts if isinstance(part, ast.Constant))
            return self.builtins.isinstance_(self.visit(node.args[0], frame), names)
        arguments = self.arguments(node, frame)
        return self.builtins.call(name, arguments, self.named(node, frame))

    def decided(self, wanted: bool, node: ast.GeneratorExp, frame: Frame) -> bool:
        """`any` and `all` of a generator end at the item that decides; what was charged stays charged."""

        def one() -> None:
            if bool(self.visit(node.elt, frame)) is wanted:
                raise _Decided

        self.meter.spend(G.listing)
        try:
            self.comprehend(node, frame, one)
        except _Decided:
            return wanted
        return not wanted

    def function_given(self, node: ast.expr, count: int, frame: Frame) -> Callable[..., Any] | None:
        """A function as an argument. A name stands for a lambda that calls it."""
        if isinstance(node, ast.Lambda):
            return self.lambda_(node, frame)
        if isinstance(node, ast.Constant):
            return None
        if isinstance(node, ast.Attribute):
            return self.method_given(node, count, frame)
        assert isinstance(node, ast.Name)
        nested = self.contract.nested.get(id(node))
        function = nested or self.contract.functions.get(node.id)
        passed = len(self.prices.hidden.get(id(node), ())) if nested else 0
        price = G.nodes["Lambda"] + G.nodes["Call"] + G.nodes["Name"] * (1 + count + passed)

        def run(*values: Any) -> Any:
            self.meter.spend(price)
            if function is None:
                return self.builtins.call(node.id, list(values), {})
            given = self.placed(function, list(values), [])
            return self.invoke(function, given | (self.hidden(node, function, frame) if nested else {}))

        return run

    def method_given(self, node: ast.Attribute, count: int, frame: Frame) -> Callable[..., Any]:
        """`str.lower` stands for `lambda x: x.lower()`, `d.get` for `lambda x: d.get(x)`."""
        known = self.contract.methods.get(id(node))
        if known is not None:
            return self.lambda_(known, frame)
        assert isinstance(node.value, ast.Name)
        base = node.value.id
        whole = {"int": ("from_bytes",), "bytes": ("fromhex",), "dict": ("fromkeys",)}
        of_type = not frame.has(base) and base in TYPES and node.attr not in whole.get(base, ())
        names = [f"${index}" for index in range(count)]
        given: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
        target, rest = (given[0], given[1:]) if of_type else (node.value, given)
        body = ast.Call(ast.Attribute(target, node.attr, ast.Load()), rest, [])
        arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
        made = self.contract.methods[id(node)] = ast.Lambda(arguments, body)
        return self.lambda_(made, frame)

    # methods

    def method(self, node: ast.Call, func: ast.Attribute, frame: Frame) -> Any:
        slot = self.slot(func.value, frame)
        if slot is not None:
            return self.slot_method(node, slot, func.attr, frame)
        if isinstance(func.value, ast.Name) and func.value.id in self.contract.indexes and not frame.has(func.value.id):
            return self.index_method(node, self.contract.indexes[func.value.id], func.attr, frame)
        base = func.value.id if isinstance(func.value, ast.Name) and not frame.has(func.value.id) else ""
        if (base, func.attr) in (("bytes", "fromhex"), ("int", "from_bytes"), ("dict", "fromkeys")):
            return self.builtins.call(func.attr, self.arguments(node, frame), self.named(node, frame))
        target = self.visit(func.value, frame)
        arguments = self.arguments(node, frame)
        named = self.named(node, frame)
        if type(target) is Record:
            return self.replaced(target, func.attr, arguments, named)
        return self.methods.call(target, func.attr, arguments, named)

    def replaced(self, target: Record, name: str, arguments: list[Any], changes: Named) -> Record:
        fields = self.contract.records[target.name]
        if name != "replace" or arguments or not set(changes) <= set(fields):
            raise mismatch()
        made = {arg: self.types.check(fields[arg], value, True) for arg, value in changes.items()}
        return self.types.made(target.name, {**dict(zip(target.names, target.values, strict=True)), **made})

    def slot_method(self, node: ast.Call, slot: Slot, name: str, frame: Frame) -> Any:
        storage = self.storage
        if not slot.key:
            place = storage.head(slot), ()
            if name == "get":
                return storage.load(slot, place[0])
            return storage.store(slot, place, self.types.check(slot.value, self.visit(node.args[0], frame), True))
        if name == "get":
            place = self.slot_key(slot, node.args[0], frame)
            return storage.find(slot, place[0], *[self.visit(part, frame) for part in node.args[1:]])
        start, named = self.page_arguments(node, frame)
        return storage.page(slot, name == "items", *start, **named)

    def index_method(self, node: ast.Call, index: Index, name: str, frame: Frame) -> Any:
        start, named = self.page_arguments(node, frame)
        slot = self.contract.slots[index.of]
        return self.storage.index_page(index, slot, name == "items", *start, **named)

    def page_arguments(self, node: ast.Call, frame: Frame) -> tuple[list[Any], Named]:
        start = [self.visit(part, frame) for part in node.args]
        named = {str(part.arg): self.visit(part.value, frame) for part in node.keywords}
        return start, {{"prefix": "start"}.get(name, name): value for name, value in named.items()}

    # module API

    def api_require(self, node: ast.Call, frame: Frame) -> None:
        condition, *rest = [self.visit(part, frame) for part in node.args]
        if not condition:
            self.revert(*rest)

    def required(self, node: ast.Call, frame: Frame) -> None:
        """`require` as a statement: code and details are evaluated on failure only."""
        if not self.visit(node.args[0], frame):
            self.revert(*[self.visit(part, frame) for part in node.args[1:]])

    def api_revert(self, node: ast.Call, frame: Frame) -> None:
        self.revert(*[self.visit(part, frame) for part in node.args])

    api_Revert = api_revert

    def revert(self, code: Any, details: Any = None) -> None:
        letters = type(code) is str and code.isascii() and code.replace("_", "a").isalnum()
        if not letters or not 0 < len(code) <= L.code_chars or code in RESERVED:
            raise bad_value()
        raise Failure(code, details, own=True)

    def api_emit(self, node: ast.Call, frame: Frame) -> None:
        assert isinstance(node.args[0], ast.Name)
        label, fields = self.contract.events[node.args[0].id]
        table = {}
        for keyword in node.keywords:
            arg = keyword.arg or ""
            table[arg] = self.types.check(fields[arg], self.visit(keyword.value, frame), True)
        data = pack(table, False)
        self.meter.spend(G.event + G.event_per_byte * min(len(data), L.event_bytes))
        if len(data) > L.event_bytes or len(self.events) >= L.call_events:
            raise bad_value()
        self.meter.allocate(TEXT_BYTES + len(data))
        if self.storage.readonly:
            raise Stop("AuthDenied")
        self.events.append((self.instance, label, data))

    def api_call(self, node: ast.Call, frame: Frame) -> Any:
        assert isinstance(node.func, ast.Name)
        name, entry, *arguments = [self.visit(part, frame) for part in node.args]
        quiet = any(keyword.arg == "on_fail" for keyword in node.keywords)
        caps = [self.visit(keyword.value, frame) for keyword in node.keywords if keyword.arg == "gas"]
        return self.outside(self, name, entry, arguments, node.func.id == "view_call", quiet, caps[0] if caps else None)

    api_view_call = api_call

    def api_schedule(self, node: ast.Call, frame: Frame) -> None:
        due = self.types.check(Shape("u64"), self.visit(node.args[0], frame))
        arguments = [self.visit(part, frame) for part in node.args[2:]]
        caps = [self.visit(keyword.value, frame) for keyword in node.keywords]
        cap = caps[0] if caps else EXECUTION.scheduled_default_gas
        if type(cap) is not int:
            raise mismatch()
        if not 0 < cap <= EXECUTION.scheduled_gas or due >= 2**64:
            raise bad_value()
        if self.storage.readonly:
            raise Stop("AuthDenied")
        raw = pack([outgoing(self.meter, value) for value in arguments], False)
        if len(raw) > L.stored_value:
            raise bad_value()
        self.meter.spend(G.schedule + G.write_per_byte * len(raw))

    def api_contract_address(self, node: ast.Call, frame: Frame) -> bytes:
        (name,) = self.arguments(node, frame)
        if type(name) is not str:
            raise mismatch()
        if not 0 < len(name) <= 64:
            raise bad_value()
        self.meter.spend(G.hash_base)
        return hashlib.sha256(b"gridchain/contract\0" + name.encode()).digest()

    def api_sha256(self, node: ast.Call, frame: Frame) -> bytes:
        return self.builtins.sha256_(*self.arguments(node, frame))

    def api_mul_div(self, node: ast.Call, frame: Frame) -> int:
        return self.builtins.mul_div_(*self.arguments(node, frame))
