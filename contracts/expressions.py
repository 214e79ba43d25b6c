"""Expressions: each becomes an inline form where the kinds allow it, else a call of a guarded helper.

Every method returns the emitted node and the kind of its value. Inline and guarded forms mean the same, cost the same
gas and fail with the same code; the kinds only decide how fast it is.
"""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from contracts import emit, kinds
from contracts import vocabulary as words
from contracts.descend import walk
from contracts.intervals import binary_interval, inline_safe
from contracts.key_code import encoded_key
from contracts.kinds import LOW, Kind
from contracts.limits import PYC1
from contracts.narrowing import narrow
from contracts.scope import Scope
from contracts.shapes import Shape, deep_kind, shallow_kind

Emitted = tuple[ast.expr, Kind]
_BINARY: dict[type, str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.Pow: "pow",
    ast.LShift: "lshift", ast.RShift: "rshift", ast.BitOr: "bitor", ast.BitAnd: "bitand", ast.BitXor: "bitxor",
}  # fmt: skip
_COMPARE: dict[type, str] = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.In: "in",
    ast.NotIn: "notin", ast.Is: "is", ast.IsNot: "isnot",
}  # fmt: skip
_INT_RESULT = frozenset(("sub", "floordiv", "mod", "pow", "lshift", "rshift", "add", "bitor", "bitand", "bitxor"))
_CTX: dict[str, Kind] = {
    "sender": kinds.ADDRESS,
    "origin": kinds.ADDRESS,
    "self_address": kinds.ADDRESS,
    "tx_hash": kinds.ADDRESS,
    "height": kinds.U64,
    "block_time_ms": kinds.U64,
    "market_time_ms": kinds.INT,
    "chain_id": kinds.STR,
}
_NODES: dict[type, str] = {
    ast.Name: "name", ast.Constant: "constant", ast.BinOp: "binary", ast.UnaryOp: "unary", ast.BoolOp: "boolean",
    ast.Compare: "comparison", ast.IfExp: "conditional", ast.Attribute: "attribute", ast.Subscript: "subscript",
    ast.List: "list_", ast.Tuple: "tuple_", ast.Dict: "dict_", ast.Set: "set_", ast.ListComp: "list_comprehension",
    ast.GeneratorExp: "list_comprehension", ast.SetComp: "set_comprehension", ast.DictComp: "dict_comprehension",
    ast.JoinedStr: "fstring", ast.NamedExpr: "named", ast.Call: "call",
}  # fmt: skip
_LATE_BITS = 1_024
SHORT = 63
"""Texts up to this length compare at no dynamic price."""


def simple(node: ast.expr) -> bool:
    """Whether evaluating twice is the same as once, and free: a local or a literal."""
    return isinstance(node, ast.Name | ast.Constant)


class Expressions:
    """The expression part of the compiler; `contracts.containers` and `contracts.calls` add to it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.contract = scope.contract
        self.table: dict[type, Callable[[Any], Emitted]] = {kind: getattr(self, name) for kind, name in _NODES.items()}
        self.visited: dict[tuple[int, bool], tuple[ast.expr, Emitted]] = {}
        self.unchecked: dict[int, tuple[ast.expr, ast.expr, int, int]] = {}
        """Integers of this statement that are checked for being too large only: checked and unchecked form, bounds."""

    def visit(self, node: ast.expr) -> Emitted:
        """Emit an expression. Calls and comparisons are remembered while their statement lasts: some look at an operand
        twice, and inside each other that would take time that doubles with each of them."""
        method = self.table.get(type(node))
        if method is None:
            raise self.scope.refuse("C030", node, type(node).__name__)
        if not isinstance(node, ast.Call | ast.Compare):
            return method(node)
        place = (id(node), self.inline)
        known = self.visited.get(place)
        if known is None:
            known = self.visited[place] = (node, method(node))
        return known[1]

    @property
    def inline(self) -> bool:
        """Whether a temporary may be bound here (not inside comprehensions and lambdas)."""
        return self.scope.inline == 0

    def coerce(self, emitted: Emitted, shape: Shape, deep: bool = False) -> ast.expr:
        """Make sure that a value is of a declared type; nothing is emitted where that is certain."""
        node, kind = emitted
        wanted = shallow_kind(shape)
        frozen = deep and shape.tag == "list"
        if not frozen and (kind.tag == "never" or kinds.fits(kind, wanted)):
            return node
        if kind.tag == "int" and not kind.optional and wanted.tag == "int" and not frozen:
            return emit.bounded(node, kind.low, kind.high, (wanted.low, wanted.high), self.inline)
        label = f"{'deep' if frozen else 'as'}.{shape}"
        self.scope.facts.checks[label] = (shape, frozen)
        return emit.helper(label, node)

    # names and literals

    def name(self, node: ast.Name) -> Emitted:
        if self.scope.is_local(node.id):
            return emit.name(node.id), self.scope.kind_of(node.id)
        if node.id in self.contract.constants:
            return self.module_constant(node.id)
        raise self.unknown(node)

    def unknown(self, node: ast.Name) -> Exception:
        known = node.id in words.BUILTINS | words.API | words.DECLARATIONS | words.TYPES | {"ctx", "Revert"}
        if known or self.contract.defines(node.id):
            return self.scope.refuse("C066", node, node.id)
        return self.scope.refuse("C069" if node.id in words.KNOWN_MISSING else "C055", node, node.id)

    def module_constant(self, name: str) -> Emitted:
        value = self.contract.constants[name]
        if type(value) in (int, bool, str, bytes) or value is None:
            return emit.const(value), kinds.literal_kind(value)
        return emit.name(f"$c.{name}"), kinds.literal_kind(value)

    def constant(self, node: ast.Constant) -> Emitted:
        return emit.const(node.value), kinds.literal_kind(node.value)

    # operators

    def binary(self, node: ast.BinOp) -> Emitted:
        return self.operate(type(node.op), self.visit(node.left), self.visit(node.right))

    def operate(self, operator: type, left: Emitted, right: Emitted) -> Emitted:
        which = _BINARY[operator]
        a, b = left[1], right[1]
        if "never" in (a.tag, b.tag):
            return emit.helper(which, left[0], right[0]), kinds.NEVER
        if a.tag in ("int", "bool") and b.tag in ("int", "bool") and inline_safe(which, a, b):
            plain = ast.BinOp(left[0], operator(), right[0])
            if which in ("bitor", "bitand", "bitxor") and a.tag == b.tag == "bool":
                return plain, kinds.BOOL
            low, high = binary_interval(which, a, b)
            return self.in_width(*self.late(which, left, right, (plain, low, high))), kinds.interval(low, high)
        kind = kinds.ANY
        if (which in _INT_RESULT and (a.number or b.number)) or which in ("floordiv", "mod", "pow", "lshift", "rshift"):
            kind = kinds.INT
        elif which == "add" and a.tag == b.tag and a.tag in ("str", "bytes"):
            kind = Kind(a.tag, a.low + b.low, min(a.high + b.high, kinds.STR.high))
        elif which == "add" and a.tag == b.tag == "list" and a.items and b.items:
            kind = kinds.list_of(kinds.join(a.items[0], b.items[0]))
        elif which == "mul" and a.number and b.number:
            kind = kinds.INT
        elif which == "bitor" and a.tag == b.tag == "dict":
            kind = kinds.DICT
        elif which == "mul" and "list" in (a.tag, b.tag) and (a.number or b.number):
            kind = a if a.tag == "list" else b
        return emit.helper(which, left[0], right[0]), kind

    def in_width(self, plain: ast.expr, low: int, high: int) -> ast.expr:
        """An integer inside the width of the language, checked where it could be outside."""
        made = emit.bounded(plain, low, high, inline=self.inline)
        if made is not plain and self.inline and low >= LOW and high.bit_length() <= _LATE_BITS:
            self.unchecked[id(made)] = (made, plain, low, high)
        return made

    def late(
        self, which: str, left: Emitted, right: Emitted, early: tuple[ast.expr, int, int]
    ) -> tuple[ast.expr, int, int]:
        """`3 * x + 1` without the check of `3 * x`: the sum is too large wherever the product is, and nothing between
        the two checks can fail otherwise. Expression and its bounds; `early` if a check has to stay."""
        held = self.unchecked.get(id(left[0]))
        b = right[1]
        known = isinstance(right[0], ast.Constant) or (
            isinstance(right[0], ast.Name) and self.scope.now is not None and right[0].id in self.scope.now
        )
        if held is None or not known or b.tag != "int" or b.optional:
            return early
        _, plain, low, high = held
        if which == "add" and b.low >= 0:
            return ast.BinOp(plain, ast.Add(), right[0]), low + b.low, high + b.high
        if which == "mul" and b.low >= 1:
            return ast.BinOp(plain, ast.Mult(), right[0]), min(low * b.low, low * b.high), high * b.high
        return early

    def unary(self, node: ast.UnaryOp) -> Emitted:
        value, kind = self.visit(node.operand)
        match node.op:
            case ast.Not():
                return ast.UnaryOp(ast.Not(), value), kinds.BOOL
            case ast.USub() if kind.number:
                low, high = -kind.high, -kind.low
                plain = ast.UnaryOp(ast.USub(), value)
                return emit.bounded(plain, low, high, inline=self.inline), kinds.interval(low, high)
            case ast.UAdd() if kind.number:
                return ast.UnaryOp(ast.UAdd(), value), kinds.interval(kind.low, kind.high)
            case ast.Invert() if kind.number:
                return ast.BinOp(emit.const(-1), ast.Sub(), value), kinds.interval(-1 - kind.high, -1 - kind.low)
        which = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert"}[type(node.op)]
        return emit.helper(which, value), kinds.INT

    def boolean(self, node: ast.BoolOp) -> Emitted:
        before = self.scope.fork()
        parts: list[Emitted] = []
        for value in node.values:
            parts.append(self.visit(value))
            narrow(self.scope, value, isinstance(node.op, ast.And))
        self.scope.rejoin(before)
        joined = kinds.join_all(tuple(kind for _, kind in parts))
        return ast.BoolOp(type(node.op)(), [value for value, _ in parts]), joined

    def conditional(self, node: ast.IfExp) -> Emitted:
        test, _ = self.visit(node.test)
        before = self.scope.fork()
        narrow(self.scope, node.test, True)
        body, first = self.visit(node.body)
        self.scope.rejoin(before)
        narrow(self.scope, node.test, False)
        other, second = self.visit(node.orelse)
        self.scope.rejoin(before)
        return ast.IfExp(test, body, other), kinds.join(first, second)

    def comparison(self, node: ast.Compare) -> Emitted:
        first = self.visit(node.left)
        if len(node.ops) == 1:
            return self.compare_pair(first, node.ops[0], node.comparators[0])
        rest = [self.visit(part) for part in node.comparators]
        pairs = zip([first, *rest], node.ops, rest, strict=False)
        if all(plain_comparison(_COMPARE[type(op)], a[1], b[1]) for a, op, b in pairs):
            ops: list[ast.cmpop] = [type(op)() for op in node.ops]
            return ast.Compare(first[0], ops, [part for part, _ in rest]), kinds.BOOL
        if any(isinstance(part, ast.NamedExpr) for part in walk(node)):
            raise self.scope.refuse("C061", node, "a walrus in a chain")
        return self.chain(first, node.ops, node.comparators), kinds.BOOL

    def chain(self, left: Emitted, operators: list[ast.cmpop], operands: list[ast.expr]) -> ast.expr:
        """`a < b < c` with guarded comparisons: each operand once, the rest only while the comparisons hold."""
        right = self.visit(operands[0])
        if len(operators) == 1:
            return self.compared(left, operators[0], right)
        self.scope.inline += 1
        level = len(operators)
        names = (f"$a{level}", f"$b{level}")
        test = self.compared((emit.name(names[0]), left[1]), operators[0], (emit.name(names[1]), right[1]))
        more = self.chain((emit.name(names[1]), right[1]), operators[1:], operands[1:])
        self.scope.inline -= 1
        body = ast.BoolOp(ast.And(), [test, more])
        return ast.Call(lambda_of(names, body), [left[0], right[0]], [])

    def compare_pair(self, left: Emitted, operator: ast.cmpop, operand: ast.expr) -> Emitted:
        slot = self.slot_named(operand)
        if slot is not None and isinstance(operator, ast.In | ast.NotIn):
            found = emit.helper(f"has.{slot}", self.key_of(slot, left, operand))
            return (found if isinstance(operator, ast.In) else ast.UnaryOp(ast.Not(), found)), kinds.BOOL
        return self.compared(left, operator, self.visit(operand)), kinds.BOOL

    def compared(self, left: Emitted, operator: ast.cmpop, right: Emitted) -> ast.expr:
        which = _COMPARE[type(operator)]
        if plain_comparison(which, left[1], right[1]):
            return emit.compare(left[0], type(operator)(), right[0])
        return emit.helper(which, left[0], right[0])

    # access

    def slot_named(self, node: ast.expr) -> str | None:
        """The map or cell that a bare name means here, if it means one."""
        if isinstance(node, ast.Name) and node.id in self.contract.slots and not self.scope.is_local(node.id):
            return node.id
        return None

    def attribute(self, node: ast.Attribute) -> Emitted:
        if isinstance(node.value, ast.Name) and node.value.id == "ctx":
            if node.attr not in _CTX:
                raise self.scope.refuse("C054", node, f"ctx.{node.attr}")
            return ast.Attribute(emit.name("$m"), node.attr, emit.LOAD), _CTX[node.attr]
        value, kind = self.visit(node.value)
        if not any(node.attr in record.fields for record in self.contract.records.values()):
            raise self.scope.refuse("C054", node, node.attr)
        shape = self.contract.records[kind.name].fields.get(node.attr) if kind.tag == "record" else None
        if shape is not None:
            plain = ast.Attribute(value, node.attr, emit.LOAD)
            return (emit.helper("opened", plain) if shape.tag == "list" else plain), deep_kind(shape)
        if kind.tag not in ("any", "never"):
            self.scope.warn("C054", node, f"{kind.name or kind.tag} has no field {node.attr}")
        return emit.helper("attr", value, emit.const(node.attr)), kinds.NEVER if kind.tag == "never" else kinds.ANY

    def subscript(self, node: ast.Subscript) -> Emitted:
        slot = self.slot_named(node.value)
        if slot is not None:
            declared = self.contract.slots[slot]
            key = self.slot_key(slot, node.slice)
            return emit.helper(f"load.{slot}", key), deep_kind(declared.value)
        value, kind = self.visit(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = self.bounds(node.slice)
            same = Kind(kind.tag, 0, kind.high, kind.items[:1]) if kind.tag in ("str", "bytes", "list") else kinds.ANY
            return emit.helper("slice", value, *bounds), same
        index, wanted = self.visit(node.slice)
        if kind.tag in ("list", "tuple", "str", "bytes") and wanted.number:
            return ast.Subscript(value, index, emit.LOAD), indexed_kind(kind, node.slice)
        if kind.tag == "dict" and kind.items:
            if _narrow(wanted):
                return ast.Subscript(value, index, emit.LOAD), kind.items[1]
            return emit.helper("getitem", value, index), kind.items[1]
        return emit.helper("getitem", value, index), kinds.NEVER if kind.tag == "never" else kinds.ANY

    def bounds(self, node: ast.Slice) -> list[ast.expr]:
        """Begin, end and step of a slice."""
        parts = (node.lower, node.upper, node.step)
        return [emit.const(None) if part is None else self.visit(part)[0] for part in parts]

    def slot_key(self, slot: str, node: ast.expr) -> ast.expr:
        """The stored key of `slot[node]`: key parts are encoded inline where their kinds are known."""
        declared = self.contract.slots[slot]
        if not declared.is_map:
            raise self.scope.refuse("C076", node, f"{slot} is a Var: use .get() and .set()")
        if declared.tuple_key and isinstance(node, ast.Tuple):
            if len(node.elts) != len(declared.key):
                raise self.scope.refuse("C076", node, f"a key of {slot} has {len(declared.key)} parts")
            return self.key_parts(slot, [self.visit(part) for part in node.elts])
        return self.key_of(slot, self.visit(node), node)

    def key_of(self, slot: str, key: Emitted, node: ast.expr) -> ast.expr:
        declared = self.contract.slots[slot]
        if not declared.is_map:
            raise self.scope.refuse("C076", node, f"{slot} is a Var")
        if not declared.tuple_key:
            return self.key_parts(slot, [key])
        if isinstance(key[0], ast.Tuple) and len(key[0].elts) == len(declared.key) and key[1].items:
            return self.key_parts(slot, list(zip(key[0].elts, key[1].items, strict=True)))
        if isinstance(key[0], ast.Name) and len(key[1].items) == len(declared.key) and not key[1].optional:
            parts = [ast.Subscript(key[0], emit.const(i), emit.LOAD) for i in range(len(declared.key))]
            return self.key_parts(slot, list(zip(parts, key[1].items, strict=True)))
        return emit.helper(f"key.{slot}", key[0])

    def key_parts(self, slot: str, parts: list[Emitted]) -> ast.expr:
        shapes = self.contract.slots[slot].key
        values = [(self.coerce(part, shape), shape) for part, shape in zip(parts, shapes, strict=True)]
        return encoded_key(emit.name(f"$prefix.{slot}"), values)


def lambda_of(names: Sequence[str], body: ast.expr, defaults: Sequence[ast.expr] = ()) -> ast.Lambda:
    """A lambda with plain parameters; `defaults` of the last ones."""
    arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, list(defaults))
    return ast.Lambda(arguments, body)


def plain_comparison(which: str, a: Kind, b: Kind) -> bool:
    """Whether a comparison can be emitted as it is: cheap, total, and failing only where the guarded one fails."""
    if which in ("is", "isnot"):
        return True
    texts = a.tag == b.tag and a.tag in ("str", "bytes") and min(a.high, b.high) <= SHORT
    if which in ("eq", "ne"):
        return a.scalar or b.scalar or texts or (_short(a) or _short(b))
    if which in ("lt", "le", "gt", "ge"):
        return (a.tag in ("int", "bool") and b.tag in ("int", "bool")) or texts
    return False


def _short(kind: Kind) -> bool:
    return kind.tag in ("str", "bytes") and kind.high <= SHORT


def _narrow(kind: Kind) -> bool:
    return not kind.optional and (
        kind.tag in ("str", "bytes") or (kind.tag == "int" and kind.low >= 0 and kind.high < PYC1.small_key)
    )


def indexed_kind(kind: Kind, index: ast.expr) -> Kind:
    """The kind of one item."""
    number: int | None = None
    match index:
        case ast.Constant(value=int(position)):
            number = position
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(position))):
            number = -position
        case _:
            pass
    if kind.tag == "tuple" and number is not None and -len(kind.items) <= number < len(kind.items):
        return kind.items[number]
    return kinds.item_kind(kind)
