"""What a source declares, and which values its nested functions capture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from oracle.gas import Prices
from oracle.shapes import Shape, read

MISSING: Any = object()


@dataclass(slots=True)
class Function:
    """`names`: everything local to it. `hidden`: what it captures, if it is nested."""

    node: ast.FunctionDef
    parameters: list[tuple[str, Shape, Any]]
    """What arguments fill by place (and, but for the first `fixed`, by name)."""
    returns: Shape
    role: str
    names: frozenset[str]
    hidden: tuple[str, ...] = ()
    fixed: int = 0
    rest: tuple[str, Shape] | None = None
    by_name: tuple[tuple[str, Shape, Any], ...] = ()

    @property
    def least(self) -> int:
        """Arguments without a default."""
        return sum(1 for _, _, default in self.parameters if default is MISSING)


@dataclass(frozen=True, slots=True)
class Slot:
    """A cell (no key) or a map."""

    name: str
    key: tuple[Shape, ...]
    tuple_key: bool
    value: Shape
    default: Any


@dataclass(frozen=True, slots=True)
class Index:
    """Rows beside a map: `view` is what their keys look like, the indexed fields and the map's key."""

    of: str
    by: tuple[str, ...]
    view: Slot


@dataclass(slots=True)
class Contract:
    """Everything that a source declares. `nested`: the function that a call or a name in the source stands for."""

    constants: dict[str, Any] = field(default_factory=dict)
    records: dict[str, dict[str, Shape]] = field(default_factory=dict)
    events: dict[str, tuple[str, dict[str, Shape]]] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    nested: dict[int, Function] = field(default_factory=dict)
    methods: dict[int, ast.Lambda] = field(default_factory=dict)
    """The lambdas that `str.lower` and `d.get` as arguments stand for, by their nodes."""
    prices: Prices = field(default_factory=Prices)


@lru_cache(maxsize=4)
def parse(source: str) -> Contract:
    """Read a source that the language admits. What is read never changes, so the last ones are remembered."""
    found = Contract()
    for node in ast.parse(source).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                declare(found, name, value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, part in zip(names, values, strict=True):
                    assert isinstance(target, ast.Name)
                    declare(found, target.id, part)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    assert isinstance(target, ast.Name)
                    declare(found, target.id, value)
            case ast.FunctionDef():
                found.functions[node.name] = function(node, (), found)
                resolve_nested(found, node, ())
            case _:
                continue
    return found


def declare(contract: Contract, name: str, value: ast.expr) -> None:
    match value:
        case ast.Call(func=ast.Name(id="record"), keywords=keywords):
            contract.records[name] = {keyword.arg or "": read(keyword.value) for keyword in keywords}
        case ast.Call(func=ast.Name(id="event"), args=[ast.Constant(value=label)], keywords=keywords):
            fields = {keyword.arg or "": read(keyword.value) for keyword in keywords if keyword.arg != "indexed"}
            contract.events[name] = (str(label), fields)
        case ast.Call(func=ast.Name(id="Var"), args=[shape]):
            contract.slots[name] = Slot(name, (), False, read(shape), default(contract, value))
        case ast.Call(func=ast.Name(id="Map"), args=[key, shape]):
            parts = key.elts if isinstance(key, ast.Tuple) else [key]
            shapes = tuple(map(read, parts))
            contract.slots[name] = Slot(name, shapes, isinstance(key, ast.Tuple), read(shape), default(contract, value))
        case ast.Call(func=ast.Name(id="Index"), args=[ast.Name(id=of)], keywords=[ast.keyword(value=fields_)]):
            slot = contract.slots[of]
            by = ast.literal_eval(fields_)
            key = tuple(contract.records[slot.value.tag][part] for part in by) + slot.key
            contract.indexes[name] = Index(of, by, Slot(name, key, True, slot.value, MISSING))
        case _:
            contract.constants[name] = constant(contract, value)


def default(contract: Contract, call: ast.Call) -> Any:
    for keyword in call.keywords:
        return constant(contract, keyword.value)
    return MISSING


def constant(contract: Contract, node: ast.expr) -> Any:
    """Module constants are what Python makes of them."""
    code = compile(ast.Expression(node), "<constant>", "eval")
    makers = {"set": set, "dict": dict, "list": list, "tuple": tuple}
    return eval(code, {"__builtins__": {}, **makers}, dict(contract.constants))


def copied(value: Any) -> Any:
    """Lists and dicts of constants are new in every call."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    if type(value) is set:
        return set(value)
    return tuple(map(copied, value)) if type(value) is tuple else value


def function(node: ast.FunctionDef, hidden: tuple[str, ...], contract: Contract) -> Function:
    given = [*node.args.posonlyargs, *node.args.args]
    first = len(given) - len(node.args.defaults)
    parameters = [
        parameter(argument, None if index < first else node.args.defaults[index - first], contract)
        for index, argument in enumerate(given)
    ]
    roles = [part.func if isinstance(part, ast.Call) else part for part in node.decorator_list]
    role = roles[0].id if roles and isinstance(roles[0], ast.Name) else ""
    names = frozenset(own_names(node) | bound(node.body) | set(hidden))
    rest = None if node.args.vararg is None else (node.args.vararg.arg, read(node.args.vararg.annotation))
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    by_name = tuple(parameter(argument, value, contract) for argument, value in pairs)
    fixed = len(node.args.posonlyargs)
    return Function(node, parameters, read(node.returns), role, names, hidden, fixed, rest, by_name)


def parameter(argument: ast.arg, value: ast.expr | None, contract: Contract) -> tuple[str, Shape, Any]:
    """Name, type and default of a parameter; None as a default makes its type optional."""
    shape = read(argument.annotation)
    if value is None:
        return argument.arg, shape, MISSING
    found = constant(contract, value)
    if found is None and shape.tag not in ("any", "none"):
        shape = replace(shape, optional=True)
    return argument.arg, shape, found


def own_names(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Names of all parameters."""
    return {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}


def bound(body: list[ast.stmt]) -> set[str]:
    """Names that a body binds in its own scope."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            found |= {part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr)}
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            pending.extend(ast.iter_child_nodes(node))
    return found


# nested functions


def resolve_nested(contract: Contract, outer: ast.FunctionDef, hidden: tuple[str, ...]) -> None:
    """A nested function takes what it captures by value, also what the functions that it calls captured before it."""
    here = own_names(outer) | bound(outer.body) | set(hidden)
    inner = list(directly_nested(outer))
    given = {
        id(node): names for group in groups(contract, outer, here) for node, names in together(contract, outer, group)
    }
    for index, node in enumerate(inner):
        if id(node) in given:
            continue
        here |= {held(before, name) for before in inner[:index] for name in contract.prices.captured[id(before)]}
        wanted = dict.fromkeys(free(contract.prices, node, frozenset()))
        captured = tuple(name for name in wanted if name in here and name != node.name)
        contract.prices.captured[id(node)] = captured
        made = function(node, captured, contract)
        inside = {id(part) for part in ast.walk(node)}
        for use in uses(outer, node.name):
            own = id(use) in inside
            contract.nested[id(use)] = made
            contract.prices.hidden[id(use)] = captured if own else tuple(held(node, name) for name in captured)
            if isinstance(use, ast.Name):
                contract.prices.wrapped.add(id(use))
    for node in inner:
        resolve_nested(contract, node, given.get(id(node), contract.prices.captured[id(node)]))


Together = tuple[list[ast.FunctionDef], dict[str, list[str]], tuple[str, ...]]


def groups(contract: Contract, outer: ast.FunctionDef, here: set[str]) -> list[Together]:
    """Nested functions that calls connect, where one is called that is defined later: the functions, what each
    captures itself, what they capture together."""
    nested = [node for node in outer.body if isinstance(node, ast.FunctionDef)]
    names = [node.name for node in nested]
    reads = {node.name: list(dict.fromkeys(free(contract.prices, node, frozenset()))) for node in nested}
    found: list[Together] = []
    left = set(names)
    while left:
        together, grown = set[str](), {min(left, key=names.index)}
        while grown != together:
            together = grown
            grown = together | {n for n in names if any(n in reads[m] or m in reads[n] for m in together)}
        left -= together
        order = [name for name in names if name in together]
        late = any(order.index(b) > order.index(a) for a in order for b in reads[a] if b in together)
        if late:
            own = {name: [read for read in reads[name] if read in here and read not in names] for name in order}
            shared = tuple(dict.fromkeys(read for name in order for read in own[name]))
            found.append(([node for node in nested if node.name in together], own, shared))
    return found


def together(
    contract: Contract, outer: ast.FunctionDef, group: Together
) -> Iterator[tuple[ast.FunctionDef, tuple[str, ...]]]:
    """Resolve a group: the last keeps what they capture, each gets and passes all of it."""
    members, own, shared = group
    names = {
        node.name: tuple(name if name in own[node.name] else held(members[-1], name) for name in shared)
        for node in members
    }
    inside = {id(part): node.name for node in members for part in ast.walk(node)}
    for node in members:
        contract.prices.captured[id(node)] = shared if node is members[-1] else ()
        made = function(node, names[node.name], contract)
        for use in uses(outer, node.name):
            contract.nested[id(use)] = made
            caller = inside.get(id(use), "")
            contract.prices.hidden[id(use)] = names[caller] if caller else tuple(held(members[-1], n) for n in shared)
            if isinstance(use, ast.Name):
                contract.prices.wrapped.add(id(use))
        yield node, names[node.name]


def held(node: ast.FunctionDef, name: str) -> str:
    """Where the outer function keeps a captured value."""
    return f"{node.name}:{name}"


def directly_nested(outer: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    pending: list[ast.AST] = list(reversed(outer.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            yield node
        else:
            pending.extend(reversed(list(ast.iter_child_nodes(node))))


def uses(outer: ast.FunctionDef, name: str) -> Iterator[ast.Call | ast.Name]:
    """Calls of a function, and its name where it is given as an argument."""
    called: set[int] = set()
    for node in ast.walk(outer):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            called.add(id(node.func))
            yield node
    for node in ast.walk(outer):
        if isinstance(node, ast.Name) and node.id == name and id(node) not in called:
            yield node


def free(prices: Prices, node: ast.AST, inner: frozenset[str]) -> Iterator[str]:
    """Names that a node reads from outside itself; `inner`: what it binds."""
    yield from (name for name in prices.hidden.get(id(node), ()) if name not in inner)
    match node:
        case ast.FunctionDef():
            known = inner | own_names(node) | bound(node.body)
            for part in node.body:
                yield from free(prices, part, known)
        case ast.Lambda():
            yield from free(prices, node.body, inner | own_names(node))
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            known = inner | {
                part.id for clause in node.generators for part in ast.walk(clause.target) if isinstance(part, ast.Name)
            }
            yield from free(prices, node.generators[0].iter, inner)
            for child in ast.iter_child_nodes(node):
                yield from free(prices, child, known)
        case ast.Name(ctx=ast.Load()):
            if node.id not in inner and id(node) not in prices.wrapped:
                yield node.id
        case ast.Call() if id(node) in prices.hidden:
            for child in (*node.args, *node.keywords):
                yield from free(prices, child, inner)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from free(prices, child, inner)
