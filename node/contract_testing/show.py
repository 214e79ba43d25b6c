"""Values as people read them in failures and in the console: accounts by name, records with their fields."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from contracts.keys import unwrap
from node.contract_testing.watched_state import Place

LONGEST: Final = 160


class Account(bytes):
    """An address of 32 bytes that knows the name it was made from."""

    name: str

    def __repr__(self) -> str:
        return self.name


def account_named(name: str) -> Account:
    """The account of a name, on every test chain."""
    account = Account(hashlib.sha256(b"gridchain test account " + name.encode()).digest())
    account.name = name
    return account


NOBODY: Final = Account(bytes(32))
"""Whom a contract sees as the sender of a query."""
NOBODY.name = "nobody"


class Show:
    """Turns values into text; `names` are addresses that have one."""

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self.names = names

    def text(self, value: Any) -> str:
        """A value, cut to `LONGEST` characters."""
        found = self._text(value, 0)
        return found if len(found) <= LONGEST else f"{found[: LONGEST - 4]} ..."

    def _text(self, value: Any, depth: int) -> str:
        if depth > 8:
            return ".."
        match value:
            case bytes():
                return self.names.get(bytes(value)) or f"0x{value.hex()}"
            case list() | tuple():
                inner = ", ".join(self._text(item, depth + 1) for item in value[:32])
                more = ", .." if len(value) > 32 else ""
                return f"[{inner}{more}]" if isinstance(value, list) else f"({inner}{more})"
            case dict():
                rows = [
                    f"{self._text(unwrap(key), depth + 1)}: {self._text(item, depth + 1)}"
                    for key, item in list(value.items())[:32]
                ]
                return "{" + ", ".join(rows) + (", ..}" if len(value) > 32 else "}")
            case set():
                return "{" + ", ".join(sorted(self._text(unwrap(item), depth + 1) for item in value)) + "}"
            case msgspec.Struct():
                fields = [f"{name}={self._text(getattr(value, name), depth + 1)}" for name in value.__struct_fields__]
                return f"{type(value).__name__}({', '.join(fields)})"
            case _:
                return repr(value)

    def place(self, place: Place) -> str:
        """A storage entry's name, as source writes it."""
        key = f"[{', '.join(self._text(part, 1) for part in place.key)}]" if place.key else ""
        return f"{place.contract}.{place.slot}{key}"


def plain(value: Any) -> Any:
    """A value as the chain takes it: accounts and instances are their addresses."""
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    address = getattr(value, "contract_address", None)
    return bytes(address) if isinstance(address, bytes) else value
