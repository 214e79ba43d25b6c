"""Which codes an entry can fail with, as far as its source says."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache

from contracts.faults import CATCHABLE
from contracts.resolve import Contract

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
    pending, seen = [entry], {entry}
    found: set[str] = set()
    more = False
    while pending:
        names, codes, other = _said(contract.functions[pending.pop()].node)
        found |= codes
        more = more or other
        fresh = [name for name in names if name in contract.functions and name not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return ErrorCodes(tuple(sorted(found)), more)


@lru_cache(maxsize=1_024)
def _said(function: ast.FunctionDef) -> tuple[frozenset[str], frozenset[str], bool]:
    """Names and codes in a function, and whether there may be more codes. Each entry asks for all that it reaches."""
    names: set[str] = set()
    codes: set[str] = set()
    more = False
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            code, other = _code_of(node, node.func.id)
            codes |= code
            more = more or other
    return frozenset(names), frozenset(codes), more


def _code_of(call: ast.Call, name: str) -> tuple[set[str], bool]:
    place = {"require": 1, "revert": 0, "Revert": 0}.get(name)
    if place is None:
        return set(), name in ("call", "view_call")
    match call.args[place : place + 1]:
        case [ast.Constant(value=str(code))]:
            return {code}, False
        case _:
            return set(), True
