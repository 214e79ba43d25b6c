"""What the compiler knows while it works on one function: kinds of locals, what was used, who is called."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from contracts import kinds
from contracts.descend import children, walk
from contracts.kinds import Kind
from contracts.resolve import Function
from contracts.rules import Finding, SourceRejected, reject
from contracts.shapes import Shape
from contracts.summaries import Summaries

Now = dict[str, Kind]
"""What is known of immutable locals at one place of a function, where it is more than what holds in all of it."""
_FLOWING = frozenset(("int", "bool", "str", "bytes", "none", "record", "tuple"))
_FLOWS = 96
"""Locals of which more is known at a place than in the whole function; every branch copies what is known."""


@dataclass(slots=True)
class Facts:
    """What compiling a function found out: for the call graph and for linking."""

    callees: set[str] = field(default_factory=set)
    writes: bool = False
    checks: dict[str, tuple[Shape, bool]] = field(default_factory=dict)
    starred: set[str] = field(default_factory=set)
    routes: set[tuple[str, ...]] = field(default_factory=set)
    """Calls whose target stands in the source: contract, entry, what is certain of each argument (`kinds.certain`)."""
    warnings: list[Finding] = field(default_factory=list)

    def joined(self, other: Facts) -> Facts:
        """The facts of both versions of a function."""
        return Facts(
            self.callees | other.callees,
            self.writes or other.writes,
            {**self.checks, **other.checks},
            self.starred | other.starred,
            self.routes | other.routes,
            self.warnings,
        )


class Scope:
    """Names visible in a function. Locals follow Python: whatever is bound anywhere in the body is local."""

    def __init__(self, summaries: Summaries, function: Function, owned: frozenset[str]) -> None:
        self.summaries = summaries
        self.contract = summaries.contract
        self.function = function
        self.owned = owned
        self.kinds: dict[str, Kind] = {}
        self.now: Now | None = {}
        self.base: dict[str, Kind] = {}
        """Kinds of what names are bound to, other than by `name += step`."""
        self.steps: dict[str, Kind] = {}
        named = {parameter.name for parameter in function.parameters}
        self.locals = named | set(function.hidden) | bound_names(function.node.body)
        self.inner: list[dict[str, Kind]] = []
        self.fresh_names = 0
        self.inline = 0
        self.facts = Facts()
        self.changed = False
        self.rounds = 0
        self.prices: dict[ast.stmt, tuple[int, int]] = {}
        """Gas and memory of the statements that were priced: a function is looked at more than once."""
        self.binds: dict[ast.AST, frozenset[str]] = {}

    def is_local(self, name: str) -> bool:
        """Whether `name` is a local, a comprehension variable or a lambda parameter here."""
        return name in self.locals or any(name in level for level in self.inner)

    def kind_of(self, name: str) -> Kind:
        """What is known of a local."""
        for level in reversed(self.inner):
            if name in level:
                return level[name]
        if self.now is not None and name in self.now:
            return self.now[name]
        return self.kinds.get(name, kinds.NEVER)

    def bind(self, name: str, kind: Kind) -> None:
        """A local holds a value of `kind` from here on."""
        if self.now is not None:
            if kind.tag in _FLOWING and (len(self.now) < _FLOWS or name in self.now):
                self.now[name] = kinds.settled(kind)
            else:
                self.now.pop(name, None)
        old = self.base.get(name, kinds.NEVER)
        new = kinds.join(old, kinds.settled(kind))
        if new != old:
            self.changed = True
            self.base[name] = kinds.widen(old, new) if self.rounds >= 3 else new
        self.holds_kind(name, kind)

    def step(self, name: str, step: Kind, result: Kind) -> None:
        """A local changes by a value of `step`, to one of `result`."""
        counted = kinds.counted(self.base.get(name, kinds.NEVER), kinds.join(self.steps.get(name, kinds.NEVER), step))
        if counted is None:
            self.bind(name, result)
            return
        self.steps[name] = kinds.join(self.steps.get(name, kinds.NEVER), step)
        if self.now is not None:
            self.now[name] = kinds.interval(max(result.low, counted.low), min(result.high, counted.high))
        self.holds_kind(name, counted)

    def holds_kind(self, name: str, kind: Kind) -> None:
        """A local may hold a value of `kind` somewhere in the function."""
        old = self.kinds.get(name, kinds.NEVER)
        new = kinds.join(old, kinds.kept(kind) if name in self.owned else kinds.settled(kind))
        if new == old:
            return
        self.changed = True
        if self.rounds >= 3:
            new = kinds.widen(old, new)
        if self.rounds >= 8:
            new = kinds.ANY
        self.kinds[name] = new

    def holds(self, name: str, kind: Kind) -> None:
        """An owned list or dict gets an item; `kind` is the container's with that item."""
        if name in self.owned and not any(name in level for level in self.inner):
            self.bind(name, kind)

    def begin(self) -> None:
        """Start another round over the function."""
        self.changed = False
        self.fresh_names = 0
        self.facts = Facts()
        self.now = {}
        for name in (*(parameter.name for parameter in self.function.parameters), *self.function.hidden):
            self.bind(name, self.summaries.parameter(self.function, name))

    def forget(self, names: Iterable[str]) -> None:
        """These may have been bound anew, or not at all: only what holds in the whole function is known of them."""
        if self.now is not None:
            for name in names:
                self.now.pop(name, None)

    def bound_by(self, node: ast.stmt | ast.expr) -> frozenset[str]:
        """Names that a part of the function binds."""
        bound = self.binds.get(node)
        if bound is None:
            bound = self.binds[node] = frozenset(bound_names([node]))
        return bound

    def forget_bound(self, node: ast.stmt | ast.expr) -> None:
        """`forget` what a part of the function binds."""
        self.forget(self.bound_by(node))

    def fork(self) -> Now | None:
        """What is known now, to begin another way from the same place."""
        return None if self.now is None else dict(self.now)

    def merge(self, other: Now | None) -> None:
        """Two ways meet; None is one that does not get here."""
        if self.now is None or other is None:
            self.now = other if self.now is None else self.now
            return
        met = {name: kinds.join(kind, other[name]) for name, kind in self.now.items() if name in other}
        self.now = {name: kind for name, kind in met.items() if kind.tag in _FLOWING}

    def rejoin(self, before: Now | None) -> None:
        """Go back to what was known before a part of an expression; what that part bound is not known."""
        if self.now is not None and before is not None:
            before = {name: kind for name, kind in before.items() if name in self.now}
        self.now = before

    def give_up(self) -> None:
        """Nothing is known of any local: kinds that do not settle in time are not worth more."""
        self.kinds = dict.fromkeys(self.locals | set(self.kinds), kinds.ANY)
        self.base = dict(self.kinds)
        self.now = {}

    def temporary(self) -> str:
        """A local name that source cannot spell."""
        self.fresh_names += 1
        return f"$v{self.fresh_names}"

    def warn(self, code: str, node: ast.AST, detail: str) -> None:
        """What will certainly fail when it runs. Kinds get sharper with time and what is admitted must not depend on
        them, so this is advice for the author, not a refusal."""
        self.facts.warnings.append(self.refuse(code, node, detail).finding)

    def refuse(self, code: str, node: ast.AST, detail: str = "") -> SourceRejected:
        """The refusal for a rule at a node."""
        return reject(code, getattr(node, "lineno", 1), getattr(node, "col_offset", 0), detail)


def bound_names(body: Sequence[ast.AST]) -> set[str]:
    """Names that a function body binds; comprehension variables and nested functions have scopes of their own."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef():
                found.add(node.name)
                continue
            case ast.Lambda():
                continue
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                found.update(part.target.id for part in walk(node) if isinstance(part, ast.NamedExpr))
                continue
            case _:
                pass
        pending.extend(children(node))
    return found
