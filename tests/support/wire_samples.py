"""Every wire type of the rooms, and one sample of each, filled from its annotations alone."""

from __future__ import annotations

import enum
import importlib
import pkgutil
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ledger.codec import Wire

ROOMS = ("ledger", "consensus", "p2p")
TEXTS = ("sample", "SAMPLE", "127.0.0.1:8700", "00" * 32)
INTEGERS = (1, 127, 128, 300, 70_000, 5_000_000_000)


def wire_types() -> dict[str, type[Wire]]:
    """All concrete wire types by `module.Name`, sorted; a type that others extend is left out."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)
    found: dict[str, type[Wire]] = {}
    waiting = [Wire]
    while waiting:
        kind = waiting.pop()
        below = [child for child in kind.__subclasses__() if child.__module__.split(".")[0] in ROOMS]
        waiting.extend(below)
        if not below and kind is not Wire:
            found[f"{kind.__module__}.{kind.__name__}"] = kind
    return dict(sorted(found.items()))


class Sampler:
    """Makes values; integers take different sizes in turn, so that every width of MessagePack appears."""

    def __init__(self) -> None:
        self._turn = 0

    def of(self, kind: Any, meta: tuple[msgspec.Meta, ...] = ()) -> Any:
        """A sample of a type."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.of(arguments[0], tuple(m for m in arguments[1:] if isinstance(m, msgspec.Meta)))
        if origin in (Union, types.UnionType):
            return self.of(next(argument for argument in arguments if argument is not types.NoneType))
        if origin is Literal:
            return arguments[0]
        if origin is tuple:
            items = (arguments[0], arguments[0]) if arguments[-1] is Ellipsis else arguments
            most = min((m.max_length for m in meta if m.max_length is not None), default=2)
            return tuple(self.of(item) for item in items[: max(most, 1)])
        if issubclass(kind, msgspec.Struct):
            return self.struct(kind)
        return self._plain(kind, meta)

    def struct(self, kind: type[msgspec.Struct]) -> Any:
        """A sample of a struct."""
        hints = get_type_hints(kind, include_extras=True)
        return kind(*(self.of(hints[name]) for name in kind.__struct_fields__))

    def _plain(self, kind: Any, meta: tuple[msgspec.Meta, ...]) -> Any:
        if issubclass(kind, enum.Enum):
            return list(kind)[-1]
        if kind is bool:
            return True
        if kind is int:
            self._turn += 1
            value = INTEGERS[self._turn % len(INTEGERS)]
            bounds = [m.le if m.le is not None else m.lt - 1 for m in meta if m.le is not None or m.lt is not None]
            return min([value, *(int(bound) for bound in bounds)])
        least = max((m.min_length for m in meta if m.min_length is not None), default=3)
        if kind is bytes:
            self._turn += 1
            return bytes((self._turn * 7 + n) % 256 for n in range(least))
        if kind is str:
            patterns = [m.pattern for m in meta if m.pattern is not None]
            return next(text for text in TEXTS if all(re.search(pattern, text) for pattern in patterns))
        raise TypeError(f"no sample for {kind}")
