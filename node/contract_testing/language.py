"""What type checkers see in scope of a contract; the mypy plugin imports all of it into contracts."""

from __future__ import annotations

from typing import Final, TypeAlias

from node.contract_testing.world import (
    Address,
    Event,
    Index,
    Map,
    MapWithDefault,
    Record,
    Revert,
    Var,
    World,
    contract_address,
    export,
    marked,
    mul_div,
    require,
    revert,
    sha256,
    verify_ed25519,
)

u64: TypeAlias = int
u256: TypeAlias = int
Overflow: TypeAlias = OverflowError
DivByZero: TypeAlias = ZeroDivisionError
KeyMissing: TypeAlias = KeyError
IndexRange: TypeAlias = IndexError
TypeMismatch: TypeAlias = TypeError
BadValue: TypeAlias = ValueError
Assertion: TypeAlias = AssertionError
_world: Final = World()
ctx = _world.ctx
emit = _world.emit
call = _world.call
view_call = _world.view_call
schedule = _world.schedule
view = init = migrate = marked

__all__ = [
    "Address",
    "Assertion",
    "BadValue",
    "DivByZero",
    "Event",
    "Index",
    "IndexRange",
    "KeyMissing",
    "Map",
    "MapWithDefault",
    "Overflow",
    "Record",
    "Revert",
    "TypeMismatch",
    "Var",
    "call",
    "contract_address",
    "ctx",
    "emit",
    "export",
    "init",
    "migrate",
    "mul_div",
    "require",
    "revert",
    "schedule",
    "sha256",
    "u64",
    "u256",
    "verify_ed25519",
    "view",
    "view_call",
]
