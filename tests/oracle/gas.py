"""The meter, and what source costs before it runs: docs/gas.md, sections 1 and 2."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.limits import FUNCTION_GAS, GAS1, HANDLER_GAS, ITEM_BYTES, LIST_BYTES, LOOP_GAS, PYC1, TEXT_BYTES
from oracle.failures import Stop

G, L = GAS1, PYC1
FUNCTION, LOOP, HANDLER = FUNCTION_GAS, LOOP_GAS, HANDLER_GAS
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Meter:
    """Gas and memory that are left."""

    def __init__(self, gas: int) -> None:
        self.gas = gas
        self.mem = L.memory

    def spend(self, gas: int) -> None:
        self.gas -= gas
        if self.gas < 0:
            raise Stop("OutOfGas")

    def allocate(self, size: int) -> None:
        self.mem -= size
        if self.mem < 0:
            raise Stop("OutOfMemory")

    def text(self, size: int) -> None:
        """Room for a text."""
        self.allocate(TEXT_BYTES + size)

    def items(self, count: int, wide: int = 1) -> None:
        """Room for a container of `count` items."""
        self.allocate(LIST_BYTES + ITEM_BYTES * wide * count)


@dataclass(frozen=True, slots=True)
class Run:
    """A basic block: statements up to and including the next compound one, and what they cost together."""

    gas: int
    memory: int
    line: int
    statements: tuple[ast.stmt, ...]


class Prices:
    """Static prices of one source. `hidden`: captured values that a call of a nested function passes; `wrapped`: names
    of nested functions given as arguments, which stand for a lambda; `captured`: values that a nested `def` keeps."""

    def __init__(self) -> None:
        self.hidden: dict[int, tuple[str, ...]] = {}
        self.wrapped: set[int] = set()
        self.captured: dict[int, tuple[str, ...]] = {}
        self.known: dict[int, int] = {}
        self.rooms: dict[int, int] = {}
        self.blocks: dict[tuple[int, int], list[Run]] = {}

    def gas(self, node: ast.AST) -> int:
        """One evaluation of an expression."""
        found = self.known.get(id(node))
        if found is None:
            found = self.own(node) + sum(map(self.gas, evaluated(node)))
            self.known[id(node)] = found
        return found

    def own(self, node: ast.AST) -> int:
        if id(node) in self.wrapped:
            return G.nodes["Lambda"]
        price = G.nodes.get(type(node).__name__, 0)
        if isinstance(node, ast.Dict):
            price += 4 * len(node.keys)
        if isinstance(node, ast.Set):
            price += 4 * len(node.elts)
        return price + G.nodes["Name"] * len(self.hidden.get(id(node), ()))

    def room(self, node: ast.AST) -> int:
        """Memory of the displays of one evaluation."""
        found = self.rooms.get(id(node))
        if found is None:
            found = display_room(node) + sum(map(self.room, evaluated(node)))
            self.rooms[id(node)] = found
        return found

    def statement(self, node: ast.stmt) -> int:
        if isinstance(node, ast.FunctionDef):
            return len(self.captured[id(node)]) * (G.nodes["Assign"] + 2 * G.nodes["Name"])
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and star_of(node.targets[0]) is not None:
            # the value is copied by a call with two numbers; the star itself is free
            added = G.nodes["Call"] + G.nodes["Name"] + 2 * G.nodes["Constant"] - G.nodes["Starred"]
            return G.nodes["Assign"] + sum(map(self.gas, header(node))) + added
        price = G.nodes.get(type(node).__name__, 0) + sum(map(self.gas, header(node)))
        return price + G.nodes["match_case"] * len(node.cases) if isinstance(node, ast.Match) else price

    def statement_room(self, node: ast.stmt) -> int:
        room = sum(map(self.room, header(node)))
        swap = isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Tuple)
        if (
            swap
            and star_of(node.targets[0]) is None
            and isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Tuple)
        ):
            room -= display_room(node.value)
        return room

    def turn(self, node: Comprehension, index: int) -> tuple[int, int]:
        """Gas and memory of one turn of a comprehension clause."""
        parts = turn_parts(node, index)
        keep = sum(map(self.room, parts))
        if index + 1 == len(node.generators):
            item = ITEM_BYTES if isinstance(node, ast.ListComp | ast.GeneratorExp) else 2 * ITEM_BYTES
            keep += item // 4 if node.generators[index].ifs else item
        return LOOP + inner_targets(node.generators[index].target) + sum(map(self.gas, parts)), keep

    def runs(self, body: list[ast.stmt], first: int = 0) -> list[Run]:
        """The basic blocks of a body. `first` is what the first one costs besides its statements."""
        found = self.blocks.get((id(body), first))
        if found is None:
            found = self.blocks[id(body), first] = list(self.split(body, first))
        return found

    def split(self, body: list[ast.stmt], gas: int) -> Iterator[Run]:
        memory, line = 0, body[0].lineno
        held: list[ast.stmt] = []
        works = False
        for node in body:
            gas += self.statement(node)
            memory += self.statement_room(node)
            held.append(node)
            works = works or not self.empty(node)
            if isinstance(node, ast.For | ast.While | ast.If | ast.Try | ast.Match):
                yield Run(gas, memory, line, tuple(held))
                gas, memory, line, held, works = 0, 0, node.lineno, [], False
            elif not works and gas == 0:
                line = node.lineno
        if held or gas:
            yield Run(gas, memory, line, tuple(held))

    def empty(self, node: ast.stmt) -> bool:
        """Whether a statement does nothing at all."""
        return isinstance(node, ast.Pass) or (isinstance(node, ast.FunctionDef) and not self.captured[id(node)])


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that are evaluated, or may be, when it is evaluated once."""
    match node:
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield node.generators[0].iter
        case ast.Lambda():
            return
        case ast.FormattedValue(value=value, format_spec=spec):
            yield value
            if isinstance(spec, ast.JoinedStr):
                yield from (part for part in spec.values if isinstance(part, ast.FormattedValue))
        case _:
            yield from ast.iter_child_nodes(node)


def display_room(node: ast.AST) -> int:
    match node:
        case ast.List(ctx=ast.Load(), elts=items) | ast.Tuple(ctx=ast.Load(), elts=items) | ast.Set(elts=items):
            return LIST_BYTES + ITEM_BYTES * len(items)
        case ast.Dict(keys=keys):
            return LIST_BYTES + 2 * ITEM_BYTES * len(keys)
    return 0


def inner_targets(target: ast.expr) -> int:
    """What unpacking inside the target of a loop costs at every turn."""
    tuples = [part for part in ast.walk(target) if isinstance(part, ast.Tuple | ast.List) and part is not target]
    return G.pairs * len([part for part in tuples if isinstance(part.ctx, ast.Store)])


def star_of(target: ast.expr) -> int | None:
    """Where the star is in the target of an assignment."""
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else []
    return next((index for index, part in enumerate(parts) if isinstance(part, ast.Starred)), None)


def turn_parts(node: Comprehension, index: int) -> list[ast.expr]:
    parts = list(node.generators[index].ifs)
    if index + 1 < len(node.generators):
        return [*parts, node.generators[index + 1].iter]
    return [*parts, node.key, node.value] if isinstance(node, ast.DictComp) else [*parts, node.elt]


def header(node: ast.stmt) -> list[ast.AST]:
    """What a statement itself evaluates once, without its blocks."""
    match node:
        case ast.Expr(value=value):
            return [value]
        case ast.Return(value=value):
            return [] if value is None else [value]
        case ast.Assign(targets=targets, value=value):
            return [*targets, value]
        case ast.AnnAssign(target=target, value=value):
            return [target] if value is None else [target, value]
        case ast.AugAssign(target=target, op=op, value=value):
            return [target, op, value]
        case ast.Delete(targets=targets):
            return list(targets)
        case ast.Assert(test=test, msg=msg):
            return [test] if msg is None else [test, msg]
        case ast.Raise(exc=ast.expr() as exc):
            return [exc]
        case ast.If(test=test) | ast.While(test=test):
            return [test]
        case ast.For(target=target, iter=source):
            return [target, source]
        case ast.Match(subject=subject, cases=cases):
            return [subject, *(case.guard for case in cases if case.guard is not None)]
    return []
