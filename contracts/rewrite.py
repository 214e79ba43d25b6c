"""From a resolved contract to the tree that runs: kinds to a fixpoint per function, then one emission with prices."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass

from contracts import emit, kinds
from contracts.descend import walk
from contracts.leaf_loops import localize
from contracts.likely import likely_integers
from contracts.limits import FUNCTION_GAS, PYC1
from contracts.ownership import find_readers, owned_names
from contracts.resolve import MISSING, Contract, Function
from contracts.rules import Finding, reject
from contracts.scope import Facts, Scope, bound_names
from contracts.shapes import Shape, shallow_kind
from contracts.statements import Statements
from contracts.summaries import Summaries

_PATIENCE = 10
_ROUNDS = 6
"""So often a contract is looked at on average until its kinds settle; what has not settled then is not believed."""
_VERSIONED = 6_000
"""Syntax nodes up to which a second version for integers is worth its compile time."""
_UNCOUNTED = 16
"""Contracts without recursion whose calls nest at most so deep need no counter at run time."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The emitted module and what linking needs to know."""

    tree: ast.Module
    checks: dict[str, tuple[Shape, bool]]
    starred: frozenset[str]
    routes: frozenset[tuple[str, ...]]
    writers: frozenset[str]
    chain: int
    counted: bool
    warnings: tuple[Finding, ...]


def rewrite(contract: Contract, pure: bool) -> Rewritten:
    """Compile every function. Raise `SourceRejected` for what the types and scopes forbid."""
    bodies, facts = _world(Summaries(contract, {}))
    writers = _closure({name for name, fact in facts.items() if fact.writes}, facts)
    for function in contract.functions.values():
        if function.role == "view" and function.name in writers:
            raise reject("C072", function.node.lineno, function.node.col_offset, function.name)
    chain = _longest_chain(facts)
    counted = chain > _UNCOUNTED
    emitted: list[ast.stmt] = []
    small = sum(1 for function in contract.functions.values() for _ in walk(function.node)) <= _VERSIONED
    assumed = _assumed(contract) if pure and small else {}
    if assumed:
        quick, more = _world(Summaries(contract, assumed, "$i."))
        facts = {name: fact.joined(more[name]) for name, fact in facts.items()}
        emitted += [_emit(contract.functions[name], body, counted, "$i.") for name, body in quick.items()]
    for name, body in bodies.items():
        function = contract.functions[name]
        emitted.append(_emit(function, body, counted, "$f.", tuple(assumed.get(name, ()))))
    checks = {label: check for fact in facts.values() for label, check in fact.checks.items()}
    starred = frozenset(name for fact in facts.values() for name in fact.starred)
    routes = frozenset(route for fact in facts.values() for route in fact.routes)
    tree = emit.completed(ast.Module(emitted, []))
    warnings = tuple(warning for fact in facts.values() for warning in fact.warnings)
    return Rewritten(tree, checks, starred, routes, frozenset(writers), chain, counted, warnings)


def _world(summaries: Summaries) -> tuple[dict[str, list[ast.stmt]], dict[str, Facts]]:
    """Kinds of all functions to a fixpoint; bodies and facts of the last round of each."""
    contract = summaries.contract
    called = _called(contract)
    tests = {name: _builtin_test(contract, function) for name, function in contract.functions.items()}
    readers = find_readers({name: (function.node, tests[name]) for name, function in contract.functions.items()})
    summaries.readers = readers
    scopes: dict[str, Scope] = {}
    for function in contract.functions.values():
        alone = bool(function.role) and function.name not in called
        summaries.seed(function, alone)
        fresh = frozenset(parameter.name for parameter in function.parameters if alone)
        owned = owned_names(function.node, fresh, tests[function.name], readers)
        read = frozenset() if function.role else frozenset(readers[function.name].values())
        scopes[function.name] = Scope(summaries, function, owned | read)
    bodies: dict[str, list[ast.stmt]] = {}
    writers = {name: Statements(scope) for name, scope in scopes.items()}
    sizes = {name: sum(1 for _ in walk(scope.function.node)) for name, scope in scopes.items()}
    left = _ROUNDS * sum(sizes.values())
    pending = list(scopes)
    while pending:
        summaries.dirty.clear()
        for name in pending:
            left -= sizes[name]
            if left < 0:
                break
            bodies[name] = _round(writers[name])
        again = summaries.dirty | {name for name in pending if scopes[name].changed}
        if left < 0:
            left = sys.maxsize
            summaries.surrender()
            for scope in scopes.values():
                scope.give_up()
            again = set(scopes)
        pending = [name for name in scopes if name in again]
    return bodies, {name: scope.facts for name, scope in scopes.items()}


def _called(contract: Contract) -> set[str]:
    """Names that are called somewhere inside the contract, or given as arguments."""
    trees = [function.node for function in contract.functions.values()]
    return {node.id for tree in trees for node in walk(tree) if isinstance(node, ast.Name)}


def _builtin_test(contract: Contract, function: Function) -> Callable[[str], bool]:
    own = bound_names(function.node.body) | {parameter.name for parameter in function.parameters}
    return lambda name: name not in own and not contract.defines(name)


def _round(writer: Statements) -> list[ast.stmt]:
    """One pass over a function with what is known now. The first is a draft, whose statements nobody uses."""
    scope = writer.scope
    scope.begin()
    function = scope.function
    body = writer.block(function.node.body, FUNCTION_GAS)
    if not isinstance(function.node.body[-1], ast.Return):
        scope.summaries.returns(function, kinds.NONE)
        if not kinds.fits(kinds.NONE, shallow_kind(function.returns)):
            end: list[ast.stmt] = [emit.statement(emit.helper("mismatch"))]
            emit.locate(end, function.node.lineno)
            body = body + end
    scope.changed = scope.changed or scope.rounds == 0
    scope.rounds += 1
    if scope.changed and scope.rounds >= _PATIENCE:
        scope.give_up()
    return body


def _assumed(contract: Contract) -> dict[str, dict[str, kinds.Kind]]:
    """Parameters without annotation that look like integers, by entry: worth a version for integers."""
    found: dict[str, dict[str, kinds.Kind]] = {}
    for function in contract.functions.values():
        free = {parameter.name for parameter in function.parameters if parameter.shape.tag == "any"}
        likely = sorted(free & likely_integers(function.node)) if function.role else []
        if likely:
            found[function.name] = dict.fromkeys(likely, kinds.INT)
    return found


def _emit(
    function: Function, body: list[ast.stmt], counted: bool, prefix: str, integers: tuple[str, ...] = ()
) -> ast.stmt:
    body = localize(body)
    if counted:
        body = [*_entered(), ast.Try(body, [], [], [_stepped(ast.Sub())])]
    if integers:
        body = [_dispatch(function, integers), *body]
    named = [ast.arg(name) for name in (*(parameter.name for parameter in function.by_name), *function.hidden)]
    values: list[ast.expr | None] = [None if p.default is MISSING else emit.const(p.default) for p in function.by_name]
    values += [None] * len(function.hidden)
    # `*rest` comes as one tuple, which the caller has paid for
    plain = [ast.arg(parameter.name) for parameter in function.parameters if parameter.form != "k"]
    arguments = ast.arguments([], plain, None, named, values, None, _defaults(function))
    made = ast.FunctionDef(f"{prefix}{function.name}", arguments, body, [], None)
    emit.locate([made], function.node.lineno)
    return made


def _entered() -> list[ast.stmt]:
    """Count the entry into a function of a contract that recurses."""
    now = ast.Attribute(emit.name("$m"), "depth", emit.LOAD)
    allowed = ast.Attribute(emit.name("$m"), "allowed", emit.LOAD)
    return [
        _stepped(ast.Add()),
        ast.If(emit.compare(now, ast.Gt(), allowed), [emit.statement(emit.helper("deep"))], []),
    ]


def _stepped(operator: ast.operator) -> ast.stmt:
    return ast.AugAssign(ast.Attribute(emit.name("$m"), "depth", emit.STORE), operator, emit.const(1))


def _dispatch(function: Function, integers: tuple[str, ...]) -> ast.stmt:
    """`if type(n) is int: return` the version for integers: same meaning, same gas."""
    tests: list[ast.expr] = [
        emit.compare(emit.helper("type", emit.name(name)), ast.Is(), emit.name("$pyint")) for name in integers
    ]
    given: list[ast.expr] = [emit.name(parameter.name) for parameter in function.parameters if parameter.form != "k"]
    named = [ast.keyword(parameter.name, emit.name(parameter.name)) for parameter in function.by_name]
    call = ast.Call(emit.name(f"$i.{function.name}"), given, named)
    return ast.If(tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests), [ast.Return(call)], [])


def _defaults(function: Function) -> list[ast.expr]:
    return [emit.const(p.default) for p in function.parameters if p.default is not MISSING and p.form != "k"]


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
