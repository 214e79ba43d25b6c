"""Warnings about sources that are admitted: habits that cost money in contracts. Nothing is refused for them.

A line that ends in a comment `# accept W003: everybody may pay` is not warned of W003.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.compile import Program
from contracts.resolve import Contract, Function
from contracts.rules import Finding

ADVICE: Final[dict[str, tuple[str, str]]] = {
    "W001": (
        "nobody looks whether this call succeeded",
        'test the first value: `done = call(.., on_fail="return")`, then `if not done[0]`',
    ),
    "W002": (
        "storage is written after a call to another contract, which saw it as it was before",
        "write first, call last; a call that fails undoes the writes too",
    ),
    "W003": (
        "anybody may change storage with this entry: it never looks at ctx.sender",
        "require(ctx.sender == ..), or @export(auth=(..))",
    ),
    "W004": ("an event that is never emitted", "emit it, or remove it"),
    "W005": ("division before multiplication loses what the division rounds off", "mul_div(a, b, c)"),
    "W006": (
        "a page without limit: it grows with storage until the call runs out of gas",
        "limit=.. and `after=` for the next page",
    ),
}
_ACCEPT: Final = re.compile(r"#\s*accept\s+((?:W\d{3}[,\s]*)+)")
_WHO: Final = frozenset(("sender", "origin", "has_role"))


@dataclass(slots=True)
class _Facts:
    """What a function does by itself."""

    asks_who: bool = False
    writes: list[ast.AST] = field(default_factory=list)
    calls: list[ast.Call] = field(default_factory=list)
    own: set[str] = field(default_factory=set)


def advice(text: str, program: Program, *, pure: bool = False) -> list[Finding]:
    """Warnings about a source and its program, in source order. `pure`: functions are no entries, so nothing is said
    about who may call them."""
    tree = ast.parse(text)
    contract = program.contract
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    facts = {name: _facts(node, contract) for name, node in functions.items()}
    found = [_found("W004", node, name) for name, node in _silent_events(tree, contract)]
    for name, node in functions.items():
        found += _in_function(node, contract, facts[name])
        if not pure and _open_to_all(contract.functions[name], facts):
            found.append(_found("W003", node, name))
    accepted = _accepted(text)
    kept = [finding for finding in found if finding.code not in accepted.get(finding.line, ())]
    return sorted(kept, key=lambda finding: (finding.line, finding.column, finding.code))


def _found(code: str, node: ast.AST, detail: str = "") -> Finding:
    reason, fix = ADVICE[code]
    return Finding(
        code,
        getattr(node, "lineno", 1),
        getattr(node, "col_offset", 0),
        f"{reason}: {detail}" if detail else reason,
        fix,
    )


def _accepted(text: str) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if match := _ACCEPT.search(line):
            found[number] = set(re.findall(r"W\d{3}", match[1]))
    return found


def _silent_events(tree: ast.Module, contract: Contract) -> Iterator[tuple[str, ast.stmt]]:
    emitted = {
        node.args[0].id
        for node in ast.walk(tree)
        if _calls(node, "emit") and isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name)
    }
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if name in contract.events and name not in emitted:
                yield name, node
            case _:
                pass


def _calls(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _facts(function: ast.FunctionDef, contract: Contract) -> _Facts:
    facts = _Facts()
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Name(id="ctx"), attr=attr) if attr in _WHO:
                facts.asks_who = True
            case ast.Call(func=ast.Attribute(value=ast.Name(id=slot), attr="set")) if slot in contract.slots:
                facts.writes.append(node)
            case ast.Subscript(value=ast.Name(id=slot), ctx=ast.Store() | ast.Del()) if slot in contract.slots:
                facts.writes.append(node)
            case ast.Call(func=ast.Name(id="call")):
                facts.calls.append(node)
            case ast.Call(func=ast.Name(id=name)) if name in contract.functions:
                facts.own.add(name)
            case _:
                pass
    return facts


def _reached(name: str, facts: Mapping[str, _Facts]) -> Iterator[_Facts]:
    """The facts of a function and of all that it calls."""
    pending, known = [name], {name}
    while pending:
        found = facts.get(pending.pop())
        if found is None:
            continue
        yield found
        pending += sorted(found.own - known)
        known |= found.own


def _open_to_all(function: Function, facts: Mapping[str, _Facts]) -> bool:
    if function.role != "export" or function.scheduled or function.auth or function.signer:
        return False
    reached = list(_reached(function.name, facts))
    return any(found.writes for found in reached) and not any(found.asks_who for found in reached)


def _in_function(function: ast.FunctionDef, contract: Contract, facts: _Facts) -> Iterator[Finding]:
    first_call = min((call.end_lineno or call.lineno for call in facts.calls), default=None)
    if first_call is not None:
        later = [node for node in facts.writes if getattr(node, "lineno", 0) > first_call]
        if later:
            yield _found("W002", min(later, key=lambda node: getattr(node, "lineno", 0)))
    for node in ast.walk(function):
        match node:
            case ast.Expr(value=ast.Call() as call) if _quiet(call):
                yield _found("W001", node)
            case ast.Assign(targets=[target], value=ast.Call() as call) if _quiet(call) and not _is_read(
                function, target
            ):
                yield _found("W001", node)
            case ast.BinOp(op=ast.Mult()) if any(
                isinstance(side, ast.BinOp) and isinstance(side.op, ast.FloorDiv) for side in (node.left, node.right)
            ):
                yield _found("W005", node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=slot), attr="items" | "keys" as method)) if (
                slot in contract.slots or slot in contract.indexes
            ) and all(word.arg != "limit" for word in node.keywords):
                yield _found("W006", node, f"{slot}.{method}")
            case _:
                pass


def _quiet(call: ast.Call) -> bool:
    return _calls(call, "call") and any(word.arg == "on_fail" for word in call.keywords)


def _is_read(function: ast.FunctionDef, target: ast.expr) -> bool:
    """Whether the name that holds whether a call succeeded is read anywhere."""
    first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
    if not isinstance(first, ast.Name):
        return True
    return any(
        isinstance(node, ast.Name) and node.id == first.id and isinstance(node.ctx, ast.Load)
        for node in ast.walk(function)
    )
