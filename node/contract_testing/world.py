"""The names that contract source finds in scope, as plain Python: for type checkers, editors and debuggers.

What a contract does is decided by the real compiler and runtime alone. Here is no gas, no limit, no undo: integers
of any size, the host's containers, storage in dictionaries. Good for stepping through a function and for its types.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NoReturn, ParamSpec, TypeAlias, TypeVar, dataclass_transform, overload

from ledger.crypto import contract_address as _address
from ledger.crypto import verify
from ledger.errors import GridchainError

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
P = ParamSpec("P")
Self_ = TypeVar("Self_", bound="Record")
Function = TypeVar("Function", bound=Callable[..., object])
Address: TypeAlias = bytes
_NOTHING: Final[Any] = object()


class Revert(Exception):
    """A refusal of the contract's own. Codes that an `except` names are classes below this one, made on demand."""

    codes: Final[dict[str, type[Revert]]] = {}

    def __new__(cls, code: str = "", details: object = None) -> Revert:
        """The class of a code that some `except` names, else this one."""
        return super().__new__(Revert.codes.get(code, cls))

    def __init__(self, code: str = "", details: object = None) -> None:
        super().__init__(code or type(self).__name__)
        self.code = code or type(self).__name__
        self.details = details

    def __init_subclass__(cls) -> None:
        Revert.codes.setdefault(cls.__name__, cls)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """What `Name = record("Name", field=type)` makes."""

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def replace(self: Self_, **changes: Any) -> Self_:
        """The same record with other values in some fields."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]  # every subclass is a dataclass


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Event:
    """What `Name = event("Name", field=type)` makes."""

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)


class Var(Generic[V]):
    """One storage cell."""

    def __init__(self, *, default: V = _NOTHING, was: str = "") -> None:
        self.value = default

    def get(self) -> V:
        """The value. Raise `KeyMissing` if there is none and no default."""
        if self.value is _NOTHING:
            raise KeyError("nothing was set")
        return copy.deepcopy(self.value)

    def set(self, value: V) -> None:
        """Write."""
        self.value = copy.deepcopy(value)


class Map(Generic[K, V]):
    """Storage by key; pages are in key order."""

    def __init__(self, *, was: str = "") -> None:
        self.rows: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return copy.deepcopy(self.rows[key])

    def __setitem__(self, key: K, value: V) -> None:
        self.rows[key] = copy.deepcopy(value)

    def __delitem__(self, key: K) -> None:
        del self.rows[key]

    def __contains__(self, key: K) -> bool:
        return key in self.rows

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """The value under a key, else `default`."""
        return copy.deepcopy(self.rows.get(key, default))

    def items(self, prefix: object = (), *, after: K | None = None, limit: int = 1_000) -> list[tuple[K, V]]:
        """At most `limit` rows whose keys begin with the parts in `prefix`, behind `after`."""
        leading = prefix if isinstance(prefix, tuple) else (prefix,)
        found = [
            key
            for key in sorted(self.rows, key=_rank)
            if not leading or (isinstance(key, tuple) and key[: len(leading)] == leading)
        ]
        behind = [key for key in found if after is None or _rank(key) > _rank(after)]
        return [(key, copy.deepcopy(self.rows[key])) for key in behind[:limit]]

    def keys(self, prefix: object = (), *, after: K | None = None, limit: int = 1_000) -> list[K]:
        """The keys of such a page."""
        return [key for key, _ in self.items(prefix, after=after, limit=limit)]


class MapWithDefault(Map[K, V]):
    """A map declared with `default=`."""

    def __init__(self, *, default: V, was: str = "") -> None:
        super().__init__()
        self.default = default

    def __getitem__(self, key: K) -> V:
        return copy.deepcopy(self.rows.get(key, self.default))

    @overload
    def get(self, key: K) -> V: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """The value under a key, else `default`, else the declared one."""
        return copy.deepcopy(self.rows.get(key, self.default if default is None else default))


class Index(Generic[V]):
    """An ordered view of a map of records: keys are the fields `by`, then the parts of the map's key."""

    def __init__(self, of: Map[Any, V], *, by: tuple[str, ...]) -> None:
        self.of = of
        self.by = by

    def items(
        self, prefix: object = (), *, after: tuple[Any, ...] | None = None, limit: int = 1_000
    ) -> list[tuple[tuple[Any, ...], V]]:
        """At most `limit` rows whose keys begin with the parts in `prefix`, behind `after`."""
        ordered: Map[tuple[Any, ...], V] = Map()
        for key, value in self.of.rows.items():
            parts = key if isinstance(key, tuple) else (key,)
            ordered.rows[(*(getattr(value, field) for field in self.by), *parts)] = value
        return ordered.items(prefix, after=after, limit=limit)

    def keys(
        self, prefix: object = (), *, after: tuple[Any, ...] | None = None, limit: int = 1_000
    ) -> list[tuple[Any, ...]]:
        """The keys of such a page."""
        return [key for key, _ in self.items(prefix, after=after, limit=limit)]


def _rank(key: object) -> Any:
    match key:
        case tuple():
            return tuple(map(_rank, key))
        case str():
            return (len(key.encode()), key.encode())
        case bytes():
            return (len(key), key)
        case _:
            return key


@dataclass(slots=True)
class Context:
    """`ctx`. A debugging session sets what it needs: `shop.ctx.sender = alice`."""

    sender: Address = bytes(32)
    origin: Address = bytes(32)
    self_address: Address = bytes(32)
    height: int = 1
    block_time_ms: int = 1_000
    market_time_ms: int = 1_000
    tx_hash: bytes = bytes(32)
    chain_id: str = "plain"
    roles: dict[Address, set[str]] = field(default_factory=dict)

    def has_role(self, role: str) -> bool:
        """Whether the sender has a role; a debugging session fills `roles`."""
        return role in self.roles.get(self.sender, set())


@dataclass(slots=True)
class World:
    """What one contract sees as plain Python. `contracts`: those that it may call, by name; `events`: (event, fields)
    in order; `scheduled`: (due, entry, arguments)."""

    ctx: Context = field(default_factory=Context)
    contracts: Mapping[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    scheduled: list[tuple[int, str, tuple[Any, ...]]] = field(default_factory=list)

    def emit(self, event: Callable[P, Event], /, *args: P.args, **fields: P.kwargs) -> None:
        """Tell the world."""
        event(*args, **fields)
        self.events.append((getattr(event, "__name__", "event"), dict(fields)))

    def call(self, contract: str, entry: str, *arguments: Any, gas: int | None = None, on_fail: str = "") -> Any:
        """Call another contract. Raise `GridchainError` for one that `load` was not given."""
        other = self.contracts.get(contract)
        if other is None:
            raise GridchainError(
                f"there is no contract {contract} here", code="UNKNOWN_CONTRACT", expected=", ".join(self.contracts),
                fix=f"load(.., contracts={{{contract!r}: ..}})",
            )  # fmt: skip
        before, other.ctx.sender = other.ctx.sender, self.ctx.self_address
        try:
            value = getattr(other, entry)(*arguments)
            return (True, value) if on_fail else value
        except Revert as error:
            if not on_fail:
                raise
            return (False, error.code)
        finally:
            other.ctx.sender = before

    def view_call(self, contract: str, entry: str, *arguments: Any, gas: int | None = None, on_fail: str = "") -> Any:
        """Ask another contract."""
        return self.call(contract, entry, *arguments, on_fail=on_fail)

    def schedule(self, due: int, entry: str, *arguments: Any, gas: int | None = None) -> None:
        """Note a call for later; nobody makes it here."""
        self.scheduled.append((due, entry, arguments))


@overload
def export(function: Function) -> Function: ...
@overload
def export(
    *, scheduled: bool = False, auth: tuple[str, ...] = (), signers: tuple[str, ...] = (), reentrant: bool = False
) -> Callable[[Function], Function]: ...
def export(function: Any = None, **options: Any) -> Any:
    """An entry that transactions and contracts call."""
    return (lambda found: found) if function is None else function


def marked(function: Function) -> Function:
    """@view, @init, @migrate: the function itself."""
    return function


def revert(code: str, details: object = None) -> NoReturn:
    """Undo everything and leave the code in the receipt."""
    raise Revert(code, details)


def require(condition: bool, code: str, details: object = None) -> None:
    """Revert unless the condition holds."""
    if not condition:
        revert(code, details)


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def mul_div(a: int, b: int, c: int) -> int:
    """Floor of a * b / c."""
    return a * b // c


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is good."""
    return verify(public_key, b"", message, signature)


def contract_address(name: str) -> Address:
    """The account of an instance."""
    return _address(name)
