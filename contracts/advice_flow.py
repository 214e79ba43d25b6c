"""Writes to storage that may come after a call to another contract: followed through branches, loops and own functions.

A callee sees storage as it was before such a write. What a statement does by itself counts as one step, so storing the
answer of a call is no write after it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deeds:
    """What a function does, with all that it calls in its own contract: calls out, writes storage."""

    calls: bool = False
    writes: bool = False


class Flow:
    """Walks one function. `writes`: whether a node writes; `calls`: whether it calls out; `own`: deeds of functions."""

    def __init__(
        self,
        writes: Callable[[ast.AST], bool],
        calls: Callable[[ast.AST], bool],
        own: Mapping[str, Deeds],
    ) -> None:
        self._writes, self._calls, self._own = writes, calls, own
        self.late: list[ast.AST] = []
        self.wrote = False

    def body(self, statements: Sequence[ast.stmt], called: bool) -> bool:
        """Walk statements in order; whether a call may have been made at their end."""
        for statement in statements:
            called = self.statement(statement, called)
        return called

    def statement(self, node: ast.stmt, called: bool) -> bool:
        """Walk one statement."""
        match node:
            case ast.If():
                called = self.step(node.test, called)
                return any([self.body(node.body, called), self.body(node.orelse, called)])
            case ast.For() | ast.While():
                head = node.iter if isinstance(node, ast.For) else node.test
                called = self.step(head, called)
                # twice: a turn may follow one that called
                called = self.body(node.body, self.body(node.body, called))
                return self.body(node.orelse, called)
            case ast.Try():
                inside = self.body(node.body, called)
                ends = [self.body(handler.body, inside) for handler in node.handlers]
                return self.body(node.finalbody, any([self.body(node.orelse, inside), *ends]))
            case ast.Match():
                called = self.step(node.subject, called)
                ends = [self.body(case.body, called) for case in node.cases]
                return called or True in ends
            case ast.FunctionDef():
                return called
            case _:
                return self.step(node, called)

    def step(self, place: ast.AST, called: bool) -> bool:
        """One evaluation: what it writes comes after calls before it, not after its own."""
        calls = writes = False
        for node in ast.walk(place):
            found = self._own.get(_name(node), Deeds())
            calls = calls or self._calls(node) or found.calls
            writes = writes or self._writes(node) or found.writes
        self.wrote = self.wrote or writes
        if called and writes and place not in self.late:
            self.late.append(place)
        return called or calls


def deeds_of(
    functions: Mapping[str, ast.FunctionDef], writes: Callable[[ast.AST], bool], calls: Callable[[ast.AST], bool]
) -> dict[str, tuple[Deeds, list[ast.AST]]]:
    """For each function its deeds and the places of late writes. A function that calls itself is seen once."""
    done: dict[str, tuple[Deeds, list[ast.AST]]] = {}

    def visit(name: str, above: frozenset[str]) -> Deeds:
        if name not in done:
            if name in above:
                return Deeds()
            function = functions[name]
            asked = {_name(node) for node in ast.walk(function)} & set(functions)
            own = {other: visit(other, above | {name}) for other in sorted(asked - {""})}
            flow = Flow(writes, calls, own)
            calls_out = flow.body(function.body, False)
            done[name] = (Deeds(calls_out, flow.wrote), flow.late)
        return done[name][0]

    for name in functions:
        visit(name, frozenset())
    return done


def _name(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
