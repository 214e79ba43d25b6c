"""Expressions, walked as they stand in the source. Every method takes the node and the frame and gives the value."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from contracts.limits import ITEM_BYTES, LIST_BYTES
from oracle import operators as ops
from oracle import texts
from oracle.callables import Builtins
from oracle.contract import Contract, Slot, constant
from oracle.failures import bad_value, mismatch
from oracle.gas import G, L, Meter, star_of
from oracle.methods import Methods
from oracle.shapes import Types
from oracle.storage import Storage, key_part
from oracle.values import new_key

UNBOUND: Any = object()
BUILTINS = frozenset(
    [
        "len",
        "range",
        "enumerate",
        "zip",
        "reversed",
        "sorted",
        "sum",
        "min",
        "max",
        "abs",
        "any",
        "all",
        "map",
        "filter",
        "int",
        "str",
        "bool",
        "bytes",
        "list",
        "dict",
        "tuple",
        "set",
        "isinstance",
        "divmod",
        "pow",
        "ord",
        "chr",
    ]
)


class Frame:
    """Locals of one running function, and the comprehensions and lambdas that run in it, innermost last."""

    __slots__ = ("function", "inner", "locals", "result")

    def __init__(self, function: Any) -> None:
        self.function = function
        self.locals: dict[str, Any] = {}
        self.inner: list[dict[str, Any]] = []
        self.result: Any = None

    def has(self, name: str) -> bool:
        return name in self.function.names or any(name in level for level in self.inner)


class Expressions:
    """The part of the interpreter for expressions without calls."""

    def __init__(self, contract: Contract, meter: Meter, types: Types, storage: Storage) -> None:
        self.contract = contract
        self.prices = contract.prices
        self.meter = meter
        self.types = types
        self.storage = storage
        self.builtins = Builtins(meter)
        self.methods = Methods(meter, self.builtins)
        self.constants: dict[str, Any] = {}
        self.context: dict[str, Any] = {}
        self.table: dict[type, Callable[[Any, Frame], Any]] = {
            ast.Name: self.name, ast.Constant: lambda node, _: node.value, ast.BinOp: self.binary,
            ast.UnaryOp: self.unary, ast.BoolOp: self.boolean, ast.Compare: self.comparison, ast.IfExp: self.choice,
            ast.Attribute: self.attribute, ast.Subscript: self.subscript, ast.List: self.list, ast.Tuple: self.tuple,
            ast.Dict: self.dict, ast.Set: self.set, ast.ListComp: self.list_comprehension,
            ast.GeneratorExp: self.list_comprehension, ast.SetComp: self.set_comprehension,
            ast.DictComp: self.dict_comprehension, ast.JoinedStr: self.fstring, ast.NamedExpr: self.walrus,
            ast.Call: self.call,
        }  # fmt: skip

    def visit(self, node: ast.expr, frame: Frame) -> Any:
        return self.table[type(node)](node, frame)

    def call(self, node: ast.Call, frame: Frame) -> Any:
        raise NotImplementedError

    # names

    def name(self, node: ast.Name, frame: Frame) -> Any:
        return self.lookup(node.id, frame)

    def lookup(self, name: str, frame: Frame) -> Any:
        for level in reversed(frame.inner):
            if name in level:
                found = level[name]
                break
        else:
            if name not in frame.function.names and ":" not in name:
                return self.constants[name]
            found = frame.locals.get(name, UNBOUND)
        if found is UNBOUND:
            raise bad_value()
        return found

    def walrus(self, node: ast.NamedExpr, frame: Frame) -> Any:
        value = self.visit(node.value, frame)
        frame.locals[node.target.id] = value
        return value

    # operators

    def binary(self, node: ast.BinOp, frame: Frame) -> Any:
        left = self.visit(node.left, frame)
        return ops.binary(self.meter, type(node.op), left, self.visit(node.right, frame))

    def unary(self, node: ast.UnaryOp, frame: Frame) -> Any:
        return ops.unary(type(node.op), self.visit(node.operand, frame))

    def boolean(self, node: ast.BoolOp, frame: Frame) -> Any:
        wanted = isinstance(node.op, ast.Or)
        value = None
        for part in node.values:
            value = self.visit(part, frame)
            if bool(value) is wanted:
                break
        return value

    def choice(self, node: ast.IfExp, frame: Frame) -> Any:
        return self.visit(node.body if self.visit(node.test, frame) else node.orelse, frame)

    def comparison(self, node: ast.Compare, frame: Frame) -> bool:
        slot = self.slot(node.comparators[0], frame)
        if slot is not None:
            found = self.storage.has(self.slot_key(slot, node.left, frame)[0])
            return found is isinstance(node.ops[0], ast.In)
        left = self.visit(node.left, frame)
        for operator, part in zip(node.ops, node.comparators, strict=True):
            right = self.visit(part, frame)
            if not ops.compare(self.meter, type(operator), left, right):
                return False
            left = right
        return True

    # access

    def slot(self, node: ast.expr, frame: Frame) -> Slot | None:
        """The storage that a bare name means."""
        if isinstance(node, ast.Name) and node.id in self.contract.slots and not frame.has(node.id):
            return self.contract.slots[node.id]
        return None

    def slot_key(self, slot: Slot, node: ast.expr, frame: Frame) -> tuple[bytes, tuple[Any, ...]]:
        """The key of an entry. Parts of a tuple that is written out are checked one by one, each when it is known."""
        plain = isinstance(node, ast.Tuple) and not any(isinstance(part, ast.Starred) for part in node.elts)
        if isinstance(node, ast.Tuple) and plain and slot.tuple_key and len(node.elts) == len(slot.key):
            made = self.storage.head(slot)
            values: list[Any] = []
            for shape, part in zip(slot.key, node.elts, strict=True):
                values.append(self.types.check(shape, self.visit(part, frame)))
                made += key_part(shape, values[-1])
            return made, tuple(values)
        return self.storage.key(slot, self.visit(node, frame))

    def attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id == "ctx":
            return self.context[node.attr]
        return ops.field(self.meter, self.visit(node.value, frame), node.attr)

    def subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        slot = self.slot(node.value, frame)
        if slot is not None:
            return self.storage.load(slot, self.slot_key(slot, node.slice, frame)[0])
        base = self.visit(node.value, frame)
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            low, high, step = [None if part is None else self.visit(part, frame) for part in parts]
            return ops.get_slice(self.meter, base, low, high, step)
        return ops.get_item(self.meter, base, self.visit(node.slice, frame))

    # displays

    def items(self, nodes: list[ast.expr], frame: Frame) -> tuple[list[Any], bool]:
        starred = any(isinstance(node, ast.Starred) for node in nodes)
        parts = [
            (isinstance(node, ast.Starred), self.visit(node.value if isinstance(node, ast.Starred) else node, frame))
            for node in nodes
        ]
        return (ops.star(self.meter, parts) if starred else [value for _, value in parts]), starred

    def list(self, node: ast.List, frame: Frame) -> Any:
        return self.items(node.elts, frame)[0]

    def tuple(self, node: ast.Tuple, frame: Frame) -> Any:
        found, starred = self.items(node.elts, frame)
        return self.builtins.tuple_(found) if starred else tuple(found)

    def set(self, node: ast.Set, frame: Frame) -> Any:
        found, starred = self.items(node.elts, frame)
        return self.builtins.set_(found) if starred else {new_key(self.meter, item) for item in found}

    def dict(self, node: ast.Dict, frame: Frame) -> Any:
        parts = [
            [self.visit(part, frame) for part in (place, value) if part is not None]
            for place, value in zip(node.keys, node.values, strict=True)
        ]
        found: dict[Any, Any] = {}
        for *place, value in parts:
            if place:
                found[new_key(self.meter, place[0])] = value
                continue
            if type(value) is not dict:
                raise mismatch()
            self.meter.spend(G.listing + 2 * G.item * len(value))
            self.meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(value))
            found.update(value)
            if len(found) > L.items:
                raise bad_value()
        return found

    # comprehensions

    def list_comprehension(self, node: ast.ListComp | ast.GeneratorExp, frame: Frame) -> Any:
        found: list[Any] = []
        self.comprehend(node, frame, lambda: found.append(self.visit(node.elt, frame)))
        return ops.made(self.meter, found)

    def set_comprehension(self, node: ast.SetComp, frame: Frame) -> Any:
        found: set[Any] = set()
        self.comprehend(node, frame, lambda: found.add(new_key(self.meter, self.visit(node.elt, frame))))
        return ops.made(self.meter, found)

    def dict_comprehension(self, node: ast.DictComp, frame: Frame) -> Any:
        found: dict[Any, Any] = {}

        def one() -> None:
            place = new_key(self.meter, self.visit(node.key, frame))
            found[place] = self.visit(node.value, frame)

        self.comprehend(node, frame, one)
        return ops.made(self.meter, found)

    def comprehend(self, node: Any, frame: Frame, one: Callable[[], None]) -> None:
        level = {
            part.id: UNBOUND
            for clause in node.generators
            for part in ast.walk(clause.target)
            if isinstance(part, ast.Name)
        }
        depth = len(frame.inner)

        def clause(index: int) -> None:
            source = self.source(node.generators[index].iter, frame)
            if index == 0:
                frame.inner.append(level)
            source = ops.iterate(self.meter, source)
            size = ops.turns(source) if type(source) is range else len(source)
            gas, keep = self.prices.turn(node, index)
            self.meter.spend(gas * size)
            self.meter.allocate(keep * size)
            for item in source[:] if type(source) is list else source:
                target = node.generators[index].target
                self.bind(target, self.fits(target, item), level)
                if all(self.visit(test, frame) for test in node.generators[index].ifs):
                    if index + 1 < len(node.generators):
                        clause(index + 1)
                    else:
                        one()

        try:
            clause(0)
        finally:
            del frame.inner[depth:]

    def source(self, node: ast.expr, frame: Frame) -> Any:
        """What a loop runs over; `range(...)` there makes no list."""
        if isinstance(node, ast.Call) and self.builtin(node.func, frame) == "range":
            return ops.ranged(*[self.visit(part, frame) for part in node.args])
        return self.visit(node, frame)

    def builtin(self, node: ast.expr, frame: Frame) -> str:
        """The builtin that a name means here, or nothing."""
        known = isinstance(node, ast.Name) and node.id in BUILTINS and id(node) not in self.contract.nested
        if known and isinstance(node, ast.Name) and not frame.has(node.id) and node.id not in self.contract.functions:
            return node.id
        return ""

    def bind(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        """Unpack an item into names."""
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value, names)
        elif isinstance(target, ast.Tuple | ast.List):
            for part, item in zip(target.elts, value, strict=True):
                self.bind(part, item, names)

    def fits(self, target: ast.expr, value: Any) -> Any:
        """An item is checked in all its depth, and its stars are paid for, before any name is bound."""
        if isinstance(target, ast.Tuple | ast.List):
            star = star_of(target)
            if star is not None:
                value = ops.spread(self.meter, value, star, len(target.elts) - star - 1, G.pairs)
            value = tuple(ops.unpacked(value, len(target.elts)))
            return tuple([self.fits(part, item) for part, item in zip(target.elts, value, strict=True)])
        return value

    # texts and functions

    def fstring(self, node: ast.JoinedStr, frame: Frame) -> str:
        parts: list[tuple[Any, str | None]] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.visit(part.value, frame)
                if part.conversion == ord("r"):
                    value = texts.kept(self.meter, texts.quoted(self.meter, value))
                elif part.conversion == ord("s"):
                    value = texts.string(self.meter, value)
                parts.append((value, self.format(part.format_spec, frame)))
            else:
                parts.append((self.visit(part, frame), None))
        found = []
        for value, spec in parts:
            if spec is None:
                found.append(value)
            else:
                found.append(texts.formatted(value, spec) if spec else texts.shown(self.meter, value))
        size = sum(map(len, found))
        if size > L.text:
            raise bad_value()
        self.meter.spend(size // G.bytes_per_gas)
        self.meter.text(size)
        return "".join(found)

    def format(self, spec: ast.expr | None, frame: Frame) -> str:
        pieces = spec.values if isinstance(spec, ast.JoinedStr) else []
        values = [
            self.visit(piece.value if isinstance(piece, ast.FormattedValue) else piece, frame) for piece in pieces
        ]
        text = "".join(map(texts.text_of, values))
        if not texts.fits_grammar(text):
            raise bad_value()
        return text

    def lambda_(self, node: ast.Lambda, frame: Frame) -> Callable[..., Any]:
        names = [argument.arg for argument in node.args.args]
        defaults = [constant(self.contract, value) for value in node.args.defaults]
        outer = list(frame.inner)

        def run(*values: Any) -> Any:
            missing = len(names) - len(values)
            if not 0 <= missing <= len(defaults):
                raise mismatch()
            self.meter.spend(self.prices.gas(node.body) + self.prices.gas(node))
            self.meter.allocate(self.prices.room(node.body))
            saved = frame.inner
            given = (*values, *defaults[len(defaults) - missing :])
            frame.inner = [*outer, dict(zip(names, given, strict=True))]
            try:
                return self.visit(node.body, frame)
            finally:
                frame.inner = saved

        return run
