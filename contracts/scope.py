"""What the compiler knows while it works on one function: kinds of locals, what was used, who is called."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from contracts import kinds
from contracts.kinds import Kind
from contracts.resolve import Contract, Function
from contracts.rules import SourceRejected, reject
from contracts.shapes import Shape


@dataclass(slots=True)
class Facts:
    """What compiling a function found out: for the call graph and for linking."""

    callees: set[str] = field(default_factory=set)
    writes: bool = False
    checks: dict[str, tuple[Shape, bool]] = field(default_factory=dict)
    starred: set[str] = field(default_factory=set)


class Scope:
    """Names visible in a function. Locals follow Python: whatever is bound anywhere in the body is local."""

    def __init__(self, contract: Contract, function: Function) -> None:
        self.contract = contract
        self.function = function
        self.kinds: dict[str, Kind] = {}
        named = {parameter.name for parameter in function.parameters}
        self.locals = named | set(function.hidden) | bound_names(function.node.body)
        self.inner: list[dict[str, Kind]] = []
        self.fresh_names = 0
        self.inline = 0
        self.facts = Facts()
        self.changed = False
        self.rounds = 0

    def is_local(self, name: str) -> bool:
        """Whether `name` is a local, a comprehension variable or a lambda parameter here."""
        return name in self.locals or any(name in level for level in self.inner)

    def kind_of(self, name: str) -> Kind:
        """What is known of a local."""
        for level in reversed(self.inner):
            if name in level:
                return level[name]
        return self.kinds.get(name, kinds.NEVER)

    def bind(self, name: str, kind: Kind) -> None:
        """A local may hold a value of `kind`."""
        old = self.kinds.get(name, kinds.NEVER)
        new = kinds.join(old, kinds.settled(kind))
        if new == old:
            return
        self.changed = True
        if self.rounds >= 3:
            new = kinds.widen(old, new)
        if self.rounds >= 8:
            new = kinds.ANY
        self.kinds[name] = new

    def give_up(self) -> None:
        """Nothing is known of any local: kinds that do not settle in time are not worth more."""
        self.kinds = dict.fromkeys(self.locals | set(self.kinds), kinds.ANY)

    def temporary(self) -> str:
        """A local name that source cannot spell."""
        self.fresh_names += 1
        return f"$v{self.fresh_names}"

    def refuse(self, code: str, node: ast.AST, detail: str = "") -> SourceRejected:
        """The refusal for a rule at a node."""
        return reject(code, getattr(node, "lineno", 1), getattr(node, "col_offset", 0), detail)


def bound_names(body: list[ast.stmt]) -> set[str]:
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
                found.update(part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
                continue
            case _:
                pass
        pending.extend(ast.iter_child_nodes(node))
    return found
