"""Module level of a contract: constants, records, events, storage, functions; who may call what.

The only statements are declarations, so the whole module is data after this step: `Contract`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts import vocabulary as words
from contracts.constants import constant_value, named_values, weight
from contracts.decorators import decoration_of
from contracts.limits import Limits
from contracts.parameters import MISSING, Parameter, default_fits, read_parameters
from contracts.rules import reject
from contracts.shapes import ANY_SHAPE, SCALARS, Shape, parse_shape, storable


@dataclass(frozen=True, slots=True)
class Function:
    """`role`: "", export, view, init or migrate. `hidden`: values captured by a nested function, passed by name.
    `auth`, `signer`, `reentrant`: see `contracts.decorators`."""

    name: str
    node: ast.FunctionDef
    parameters: tuple[Parameter, ...]
    returns: Shape
    role: str
    scheduled: bool
    hidden: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    signer: str = ""
    reentrant: bool = False

    @property
    def by_place(self) -> tuple[Parameter, ...]:
        """Parameters that one argument at their place fills."""
        return tuple(parameter for parameter in self.parameters if parameter.form in ("", "/"))

    @property
    def by_name(self) -> tuple[Parameter, ...]:
        """Parameters that only their name fills."""
        return tuple(parameter for parameter in self.parameters if parameter.form == "k")

    @property
    def rest(self) -> Parameter | None:
        """`*rest`, if there is one."""
        return next((parameter for parameter in self.parameters if parameter.form == "*"), None)


@dataclass(frozen=True, slots=True)
class Record:
    """A record type: field name to shape, in order."""

    name: str
    fields: dict[str, Shape]


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type; `label` is the name the world sees."""

    label: str
    fields: dict[str, Shape]
    indexed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A storage slot. `key` is empty for a Var; `tuple_key` says that keys are tuples even of one part. `was`: it is a
    handle on that slot of the version before an upgrade."""

    name: str
    key: tuple[Shape, ...]
    tuple_key: bool
    value: Shape
    default: Any
    was: str = ""

    @property
    def is_map(self) -> bool:
        """A Map, not a Var."""
        return bool(self.key)


@dataclass(frozen=True, slots=True)
class Index:
    """An ordered index of the map `of` by fields of its records. `view`: what pages of it look like, as a map."""

    name: str
    of: str
    by: tuple[str, ...]
    view: Slot


@dataclass(slots=True)
class Contract:
    """Everything that a source declares."""

    constants: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    events: dict[str, EventType] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)

    def defines(self, name: str) -> bool:
        """Whether the module binds `name`."""
        tables = (self.constants, self.records, self.events, self.slots, self.indexes, self.functions)
        return any(name in table for table in tables)


class _Resolver:
    def __init__(self, limits: Limits, pure: bool, captured: Mapping[str, tuple[str, ...]]) -> None:
        self.limits = limits
        self.pure = pure
        self.captured = captured
        self.contract = Contract()
        self.held = 0
        self.levels: dict[str, int] = {}

    def run(self, tree: ast.Module) -> Contract:
        for index, node in enumerate(tree.body):
            match node:
                case ast.Expr(value=ast.Constant(value=str())) if index == 0:
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.assign(name, value, node)
                case ast.Assign() if pairs := named_values(node):
                    for name, value in pairs:
                        self.assign(name, value, node)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    parse_shape(node.annotation, self.contract.records)
                    self.assign(name, value, node)
                case ast.FunctionDef():
                    self.fresh(node.name, node)
                    self.contract.functions[node.name] = self.function(node)
                case _:
                    raise reject("C060", node.lineno, node.col_offset, type(node).__name__)
        self.check_roles(tree)
        return self.contract

    def fresh(self, name: str, node: ast.stmt) -> None:
        if self.contract.defines(name):
            raise reject("C070", node.lineno, node.col_offset, name)
        if name == "_":
            raise reject("C052", node.lineno, node.col_offset, name)
        if name in words.TYPES | words.UNBINDABLE:
            raise reject("C053", node.lineno, node.col_offset, name)

    def assign(self, name: str, value: ast.expr, node: ast.stmt) -> None:
        self.fresh(name, node)
        target = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        if isinstance(value, ast.Call) and target in words.DECLARATIONS:
            match target:
                case "record":
                    self.contract.records[name] = self.record(name, value)
                case "event":
                    self.contract.events[name] = self.event(value)
                case "Var":
                    self.contract.slots[name] = self.var(name, value)
                case "Index":
                    self.contract.indexes[name] = index_of(name, value, self.contract)
                case _:
                    self.contract.slots[name] = self.map(name, value)
        else:
            found = constant_value(value, self.contract.constants, self.limits)
            self.held += weight(found, self.limits)
            if self.held > self.limits.tree_nodes:
                raise reject(
                    "C078",
                    node.lineno,
                    node.col_offset,
                    f"at most {self.limits.tree_nodes} values, {self.limits.nesting} deep",
                )
            self.contract.constants[name] = found

    def fields(self, call: ast.Call, code: str) -> dict[str, Shape]:
        found: dict[str, Shape] = {}
        for keyword in call.keywords:
            if keyword.arg is None or (keyword.arg == "indexed" and code == "C075"):
                continue
            shape = self.shape(keyword.value, code)
            if keyword.arg in words.METHODS["record"]:
                raise reject(code, call.lineno, call.col_offset, f"a field named {keyword.arg}")
            found[keyword.arg] = shape
        if not 0 < len(found) <= self.limits.record_fields and code == "C074":
            raise reject(code, call.lineno, call.col_offset, f"1 to {self.limits.record_fields} fields")
        return found

    def shape(self, node: ast.expr, code: str) -> Shape:
        shape = parse_shape(node, self.contract.records)
        if not storable(shape):
            raise reject(code, node.lineno, node.col_offset, f"{shape} cannot be stored")
        return shape

    def label(self, call: ast.Call, code: str) -> str:
        match call.args:
            case [ast.Constant(value=str(label))] if 0 < len(label) <= 64 and label.isidentifier() and label.isascii():
                return label
        raise reject(code, call.lineno, call.col_offset)

    def record(self, name: str, call: ast.Call) -> Record:
        if self.label(call, "C074") != name:
            raise reject("C074", call.lineno, call.col_offset, f"the record is called {name}")
        fields = self.fields(call, "C074")
        self.levels[name] = 1 + max(map(self.depth, fields.values()))
        if self.levels[name] > self.limits.nesting:
            raise reject("C074", call.lineno, call.col_offset, f"at most {self.limits.nesting} inside each other")
        return Record(name, fields)

    def depth(self, shape: Shape) -> int:
        """How many containers and records are inside each other."""
        if shape.tag == "record":
            return self.levels[shape.name]
        return max((1 + self.depth(item) for item in shape.items), default=0)

    def event(self, call: ast.Call) -> EventType:
        label = self.label(call, "C075")
        fields = self.fields(call, "C075")
        indexed: tuple[str, ...] = ()
        for keyword in call.keywords:
            if keyword.arg == "indexed":
                value = constant_value(keyword.value, {}, self.limits)
                if type(value) is not tuple or len(value) > 4 or any(name not in fields for name in value):
                    raise reject("C075", call.lineno, call.col_offset, "indexed names up to 4 fields")
                indexed = value
        return EventType(label, fields, indexed)

    def default(self, call: ast.Call, value: Shape) -> Any:
        found = MISSING
        for keyword in call.keywords:
            if keyword.arg == "was":
                continue
            if keyword.arg != "default":
                raise reject("C076", call.lineno, call.col_offset, str(keyword.arg))
            found = constant_value(keyword.value, self.contract.constants, self.limits)
        if found is not MISSING and not default_fits(found, value):
            raise reject("C076", call.lineno, call.col_offset, f"the default is no {value}")
        return found

    def was(self, call: ast.Call) -> str:
        for keyword in call.keywords:
            if keyword.arg == "was":
                match keyword.value:
                    case ast.Constant(value=str(text)) if text.isidentifier() and text.isascii():
                        return text
                raise reject("C076", call.lineno, call.col_offset, 'was="name of a slot of the version before"')
        return ""

    def var(self, name: str, call: ast.Call) -> Slot:
        if len(call.args) != 1:
            raise reject("C076", call.lineno, call.col_offset)
        value = self.shape(call.args[0], "C076")
        return Slot(name, (), False, value, self.default(call, value), self.was(call))

    def map(self, name: str, call: ast.Call) -> Slot:
        if len(call.args) != 2:
            raise reject("C076", call.lineno, call.col_offset)
        key = call.args[0]
        parts = key.elts if isinstance(key, ast.Tuple) else [key]
        shapes = tuple(parse_shape(part, {}) for part in parts)
        if not 0 < len(shapes) <= self.limits.key_items or any(s.tag not in SCALARS or s.optional for s in shapes):
            raise reject("C076", call.lineno, call.col_offset, "a key is one scalar type or a tuple of up to 4")
        value = self.shape(call.args[1], "C076")
        return Slot(name, shapes, isinstance(key, ast.Tuple), value, self.default(call, value), self.was(call))

    def function(self, node: ast.FunctionDef) -> Function:
        says = decoration_of(node)
        role = says.role
        hidden = self.captured.get(node.name, ())
        parameters = read_parameters(node, hidden, self.contract.records, self.contract.constants, self.limits)
        if role and not self.pure and any(parameter.form in ("*", "k") for parameter in parameters):
            raise reject("C041", node.lineno, node.col_offset, "an entry point takes its arguments by their places")
        if role and not self.pure and any(p.shape is ANY_SHAPE for p in parameters):
            raise reject("C071", node.lineno, node.col_offset, node.name)
        returns = parse_shape(node.returns, self.contract.records) if node.returns else ANY_SHAPE
        if role and not self.pure and returns is ANY_SHAPE:
            raise reject("C071", node.lineno, node.col_offset, node.name)
        role = role or ("export" if self.pure and "." not in node.name else "")
        return Function(
            node.name, node, parameters, returns, role, says.scheduled, hidden, says.auth, says.signer,
            says.reentrant,
        )  # fmt: skip

    def check_roles(self, tree: ast.Module) -> None:
        for role in ("init", "migrate"):
            found = [function for function in self.contract.functions.values() if function.role == role]
            if len(found) > 1:
                raise reject("C070", found[1].node.lineno, 0, f"@{role}")
        for function in self.contract.functions.values():
            if function.signer and not _signs(function):
                raise reject("C071", function.node.lineno, 0, f"{function.signer} is no parameter of type Address")
            if function.role == "migrate" and not self.pure and not _migrates(function):
                raise reject("C071", function.node.lineno, 0, "@migrate: (version: u64, cursor: bytes) -> bytes | None")
            if function.scheduled and (
                not function.parameters or function.parameters[0].shape.tag not in ("int", "u64")
            ):
                raise reject(
                    "C071", function.node.lineno, 0, "the first parameter of a scheduled entry is its due time"
                )


def index_of(name: str, call: ast.Call, contract: Contract) -> Index:
    """`Index(map, by=("field", ...))`. Raise `SourceRejected` C076."""
    match call:
        case ast.Call(args=[ast.Name(id=of)], keywords=[ast.keyword(arg="by", value=ast.Tuple(elts=elements))]) if (
            of in contract.slots and contract.slots[of].value.tag == "record"
        ):
            slot = contract.slots[of]
            by = tuple(str(part.value) for part in elements if isinstance(part, ast.Constant))
            fields = contract.records[slot.value.name].fields
            plain = all(name in fields and fields[name].tag in SCALARS and not fields[name].optional for name in by)
            if slot.is_map and not slot.value.optional and plain and 0 < len(elements) == len(set(by)) <= 4:
                key = tuple(fields[name] for name in by) + slot.key
                return Index(name, of, by, Slot(name, key, True, slot.value, MISSING))
        case _:
            pass
    raise reject(
        "C076", call.lineno, call.col_offset, 'Index(map, by=("field", ...)): up to 4 plain fields of its record'
    )


def _signs(function: Function) -> bool:
    signer = Shape("Address")
    return any(p.name == function.signer and p.shape == signer and p.default is MISSING for p in function.parameters)


def _migrates(function: Function) -> bool:
    shapes = [parameter.shape for parameter in function.parameters]
    plain = all(parameter.default is MISSING for parameter in function.parameters)
    return plain and shapes == [Shape("u64"), Shape("bytes")] and function.returns == Shape("bytes", optional=True)


def resolve(
    tree: ast.Module, limits: Limits, pure: bool = False, captured: Mapping[str, tuple[str, ...]] | None = None
) -> Contract:
    """Read the declarations of a validated tree. `pure`: undecorated functions are entries, annotations optional.
    `captured`: what lifted functions get by hidden parameters."""
    return _Resolver(limits, pure, captured or {}).run(tree)


__all__ = ["MISSING", "Contract", "EventType", "Function", "Index", "Parameter", "Record", "Slot", "resolve"]
