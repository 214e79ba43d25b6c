"""From a resolved contract to the tree that runs: kinds to a fixpoint per function, then one emission with prices."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from contracts import emit, kinds
from contracts.limits import FUNCTION_GAS, PYC1
from contracts.resolve import MISSING, Contract, Function
from contracts.rules import reject
from contracts.scope import Facts, Scope
from contracts.shapes import Shape, shallow_kind
from contracts.statements import Statements
from ledger.errors import InvariantBroken

_MAX_ROUNDS = 20
_PATIENCE = 10
_UNCOUNTED = 16
"""Contracts without recursion whose calls nest at most so deep need no counter at run time."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The emitted module and what linking needs to know."""

    tree: ast.Module
    checks: dict[str, tuple[Shape, bool]]
    starred: frozenset[str]
    writers: frozenset[str]
    chain: int
    counted: bool


def rewrite(contract: Contract) -> Rewritten:
    """Compile every function. Raise `SourceRejected` for what the types and scopes forbid."""
    bodies: dict[str, list[ast.stmt]] = {}
    facts: dict[str, Facts] = {}
    for function in contract.functions.values():
        bodies[function.name], facts[function.name] = _function(contract, function)
    writers = _closure({name for name, fact in facts.items() if fact.writes}, facts)
    for function in contract.functions.values():
        if function.role == "view" and function.name in writers:
            raise reject("C072", function.node.lineno, function.node.col_offset, function.name)
    chain = _longest_chain(facts)
    counted = chain > _UNCOUNTED
    module = ast.Module([_emit(contract.functions[name], body, counted) for name, body in bodies.items()], [])
    checks = {label: check for fact in facts.values() for label, check in fact.checks.items()}
    starred = frozenset(name for fact in facts.values() for name in fact.starred)
    return Rewritten(ast.fix_missing_locations(module), checks, starred, frozenset(writers), chain, counted)


def _function(contract: Contract, function: Function) -> tuple[list[ast.stmt], Facts]:
    scope = Scope(contract, function)
    for parameter in function.parameters:
        scope.bind(parameter.name, shallow_kind(parameter.shape))
    for name in function.hidden:
        scope.bind(name, kinds.ANY)
    for scope.rounds in range(_MAX_ROUNDS):
        scope.changed = False
        scope.fresh_names = 0
        scope.facts = Facts()
        body = Statements(scope).block(function.node.body, FUNCTION_GAS)
        if not scope.changed:
            break
        if scope.rounds == _PATIENCE:
            scope.give_up()
    else:
        raise InvariantBroken(f"kinds of {function.name} do not settle")
    returns = function.returns
    if not isinstance(function.node.body[-1], ast.Return) and not kinds.fits(kinds.NONE, shallow_kind(returns)):
        end: list[ast.stmt] = [emit.statement(emit.helper("mismatch"))]
        emit.locate(end, function.node.lineno)
        body = body + end
    return body, scope.facts


def _emit(function: Function, body: list[ast.stmt], counted: bool) -> ast.stmt:
    if counted:
        depth = ast.Attribute(emit.name("$m"), "depth", emit.STORE)
        leave: list[ast.stmt] = [ast.AugAssign(depth, ast.Sub(), emit.const(1))]
        body = [emit.statement(emit.helper("enter")), ast.Try(body, [], [], leave)]
    hidden = [ast.arg(name) for name in function.hidden]
    empty: list[ast.expr | None] = [None] * len(hidden)
    plain = [ast.arg(parameter.name) for parameter in function.parameters]
    arguments = ast.arguments([], plain, None, hidden, empty, None, _defaults(function))
    made = ast.FunctionDef(f"$f.{function.name}", arguments, body, [], None)
    emit.locate([made], function.node.lineno)
    return made


def _defaults(function: Function) -> list[ast.expr]:
    return [emit.const(p.default) for p in function.parameters if p.default is not MISSING]


def _closure(seed: set[str], facts: dict[str, Facts]) -> set[str]:
    """Functions that reach one of `seed` by calls."""
    found = set(seed)
    growing = True
    while growing:
        more = {name for name, fact in facts.items() if name not in found and fact.callees & found}
        growing = bool(more)
        found |= more
    return found


def _longest_chain(facts: dict[str, Facts]) -> int:
    """Functions that can be active at once; the limit for contracts that recurse or come near to it."""
    depth = dict.fromkeys(facts, 1)
    for _ in range(_UNCOUNTED):
        grown = {name: 1 + max((depth[callee] for callee in fact.callees), default=0) for name, fact in facts.items()}
        if grown == depth:
            return max(depth.values(), default=1)
        depth = grown
    return PYC1.function_depth
