"""Which codes an entry can fail with, as far as its source says."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from contracts.faults import CATCHABLE
from contracts.resolve import Contract, Function

HOST_CODES = tuple(
    sorted((*CATCHABLE, "AuthDenied", "DepthExceeded", "Frozen", "Migrating", "OutOfGas", "OutOfMemory", "Reentrancy"))
)
"""What the runtime itself may end a call with."""


@dataclass(frozen=True, slots=True)
class ErrorCodes:
    """`own`: codes in `require`, `revert` and `raise` that the entry reaches. `more`: a code may also be computed, or
    come from a contract that is called."""

    own: tuple[str, ...]
    more: bool


def error_codes(contract: Contract, entry: str) -> ErrorCodes:
    """The codes that an entry reaches by calls of its own contract."""
    found: set[str] = set()
    more = False
    for function in _reached(contract, entry):
        for node in ast.walk(function.node):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                code, other = _code_of(node, node.func.id)
                more = more or other
                found.update(code)
    return ErrorCodes(tuple(sorted(found)), more)


def _reached(contract: Contract, entry: str) -> list[Function]:
    pending, seen = [entry], {entry}
    while pending:
        for node in ast.walk(contract.functions[pending.pop()].node):
            if isinstance(node, ast.Name) and node.id in contract.functions and node.id not in seen:
                seen.add(node.id)
                pending.append(node.id)
    return [contract.functions[name] for name in sorted(seen)]


def _code_of(call: ast.Call, name: str) -> tuple[set[str], bool]:
    place = {"require": 1, "revert": 0, "Revert": 0}.get(name)
    if place is None:
        return set(), name in ("call", "view_call")
    match call.args[place : place + 1]:
        case [ast.Constant(value=str(code))]:
            return {code}, False
        case _:
            return set(), True
