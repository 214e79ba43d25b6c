"""Warnings about sources that are admitted: habits that cost money in contracts. Nothing is refused for them.

A line that ends in a comment `# accept W003: everybody may pay` is not warned of W003.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.advice_flow import deeds_of
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
        "a page without limit, or a loop as long as what is stored: it grows until the call runs out of gas",
        "limit=.. in each call and `after=` for the next one, or go on in a scheduled call",
    ),
}
_ACCEPT: Final = re.compile(r"#\s*accept\s+((?:W\d{3}[,\s]*)+)")
_WHO: Final = frozenset(("sender", "origin", "has_role"))


@dataclass(slots=True)
class _Facts:
    """What a function does by itself."""

    asks_who: bool = False
    writes: list[ast.AST] = field(default_factory=list)
    own: set[str] = field(default_factory=set)


def advice(text: str, program: Program, *, pure: bool = False) -> list[Finding]:
    """Warnings about a source and its program, in source order. `pure`: functions are no entries, so nothing is said
    about who may call them."""
    tree = ast.parse(text)
    contract = program.contract
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    facts = {name: _facts(node, contract) for name, node in functions.items()}
    deeds = deeds_of(functions, lambda node: _writes(node, contract), lambda node: _calls(node, "call"))
    found = [_found("W004", node, name) for name, node in _silent_events(tree, contract)]
    for name, node in functions.items():
        found += [_found("W002", late) for late in deeds[name][1][:1]]
        found += _in_function(node, contract)
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
            case _ if _writes(node, contract):
                facts.writes.append(node)
            case ast.Call(func=ast.Name(id=name)) if name in contract.functions:
                facts.own.add(name)
            case _:
                pass
    return facts


def _writes(node: ast.AST, contract: Contract) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=slot), attr="set")):
            return slot in contract.slots
        case ast.Subscript(value=ast.Name(id=slot), ctx=ast.Store() | ast.Del()):
            return slot in contract.slots
        case _:
            return False


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


def _in_function(function: ast.FunctionDef, contract: Contract) -> Iterator[Finding]:
    rounded = set(_only(function, _divides))
    counts = set(_only(function, lambda value: _reads(value, contract)))
    for node in ast.walk(function):
        match node:
            case ast.Expr(value=ast.Call() as call) if _quiet(call):
                yield _found("W001", node)
            case ast.Assign(targets=[target], value=ast.Call() as call) if _quiet(call) and not _is_read(
                function, target
            ):
                yield _found("W001", node)
            case ast.BinOp(op=ast.Mult()) if any(
                _divides(side) or (isinstance(side, ast.Name) and side.id in rounded)
                for side in (node.left, node.right)
            ):
                yield _found("W005", node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=slot), attr="items" | "keys" as method)) if (
                slot in contract.slots or slot in contract.indexes
            ) and all(word.arg != "limit" for word in node.keywords):
                yield _found("W006", node, f"{slot}.{method}")
            case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=ends)) if _touches(node, contract) and any(
                _reads(end, contract) or (isinstance(end, ast.Name) and end.id in counts) for end in ends
            ):
                yield _found("W006", node, "its turns are a stored number")
            case ast.While() if (page := _next_page(node, contract)) is not None:
                yield _found("W006", page, "a loop over all pages")
            case _:
                pass


def _divides(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv)


def _reads(node: ast.AST, contract: Contract) -> bool:
    """Whether this is what a Var holds, or that and a constant."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=slot), attr="get")):
            return slot in contract.slots and not contract.slots[slot].key
        case ast.BinOp(left=left, right=ast.Constant()):
            return _reads(left, contract)
        case _:
            return False


def _only(function: ast.FunctionDef, fits: Callable[[ast.AST], bool]) -> Iterator[str]:
    """Variables that are bound once, to something that fits."""
    bound = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if fits(value) and bound.count(name) == 1:
                yield name
            case _:
                pass


def _touches(loop: ast.For, contract: Contract) -> bool:
    """Whether the body of a loop uses a map."""
    return any(
        isinstance(node, ast.Name) and node.id in contract.slots and contract.slots[node.id].key
        for statement in loop.body
        for node in ast.walk(statement)
    )


def _next_page(loop: ast.While, contract: Contract) -> ast.Call | None:
    """A page of storage that each turn of a loop without other end asks for behind the one before."""
    known = {*contract.slots, *contract.indexes}
    bounded = any(isinstance(node, ast.Compare) for node in ast.walk(loop.test))
    for node in ast.walk(loop):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=slot), attr="items" | "keys")) if slot in known:
                if not bounded and any(word.arg == "after" for word in node.keywords):
                    return node
            case _:
                pass
    return None


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
