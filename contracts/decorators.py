"""Decorators of entry points: what they say about an entry, checked before it runs.

@export                                   anybody may call it
@export(auth=("trader", "operator"))      a sender with one of these roles may
@export(signers=("seller",))              the account in that parameter must be the sender
@export(reentrant=True)                   it may be called while its own contract is running
@export(scheduled=True)                   the chain calls it, nobody else
@view  @init  @migrate
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from contracts.rules import SourceRejected, reject

_MAX_ROLES = 8


@dataclass(frozen=True, slots=True)
class Decoration:
    """What stands before a function; `role` is empty for an internal one."""

    role: str = ""
    scheduled: bool = False
    auth: tuple[str, ...] = ()
    signer: str = ""
    reentrant: bool = False


def decoration_of(node: ast.FunctionDef) -> Decoration:
    """Read the decorators of a function. Raise `SourceRejected` C040."""
    match node.decorator_list:
        case []:
            return Decoration()
        case [ast.Name(id=name)]:
            return Decoration(name)
        case [ast.Call(func=ast.Name(id="export"), args=[], keywords=keywords)]:
            return _export(node, keywords)
        case _:
            raise _refused(node)


def _export(node: ast.FunctionDef, keywords: list[ast.keyword]) -> Decoration:
    flags: dict[str, bool] = {}
    names: dict[str, tuple[str, ...]] = {}
    for keyword in keywords:
        match keyword:
            case ast.keyword(arg="scheduled" | "reentrant" as arg, value=ast.Constant(value=bool(flag))):
                flags[arg] = flag
            case ast.keyword(arg="auth" | "signers" as arg, value=ast.Tuple(elts=elements)):
                names[arg] = _texts(node, elements)
            case _:
                raise _refused(node)
    signers = names.get("signers", ())
    if len(signers) > 1:
        raise _refused(node, "a transaction has one signer: let the parties propose and accept")
    if flags.get("scheduled") and (names or flags.get("reentrant")):
        raise _refused(node, "a scheduled entry has no caller to check")
    return Decoration(
        "export",
        flags.get("scheduled", False),
        names.get("auth", ()),
        signers[0] if signers else "",
        flags.get("reentrant", False),
    )


def _texts(node: ast.FunctionDef, elements: list[ast.expr]) -> tuple[str, ...]:
    found = [part.value for part in elements if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    plain = len(found) == len(elements) and all(text.isascii() and 0 < len(text) <= 64 for text in found)
    if not plain or not 0 < len(set(found)) == len(found) <= _MAX_ROLES:
        raise _refused(node, "a tuple of names, each once")
    return tuple(found)


def _refused(node: ast.FunctionDef, detail: str = "") -> SourceRejected:
    return reject("C040", node.lineno, node.col_offset, detail)
