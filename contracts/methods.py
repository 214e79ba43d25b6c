"""Methods of values: `obj.name(...)` is a dispatch on (type, name) into this table, never an attribute access."""

# ruff: noqa: D102  # a method is named after the Python method that it stands for; it checks, charges and does it

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts import keys
from contracts.faults import BadValue, Fault, KeyMissing, OutOfMemory, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper, size_of
from contracts.set_methods import SetMethods
from contracts.text_methods import TextMethods, whole

_NOTHING: Any = object()


_MOST = LIMITS.items


class ListMethods:
    """list and tuple. `append` is written out: loops call it most."""

    def __init__(self, meter: Meter, call_sort: Callable[..., list[Any]]) -> None:
        self.meter = meter
        self.call_sort = call_sort

    def grow(self, items: list[Any], more: int) -> None:
        if len(items) + more > LIMITS.items:
            raise BadValue
        self.meter.allocate(ITEM_BYTES * more)

    def append(self, items: list[Any], value: Any) -> None:
        if len(items) >= _MOST:
            raise BadValue
        meter = self.meter
        meter.mem -= ITEM_BYTES
        if meter.mem < 0:
            raise OutOfMemory
        items.append(value)

    def extend(self, items: list[Any], more: Any) -> None:
        source = keys.unwrap_all(more, self.meter) if type(more) is dict else more
        if type(source) not in (list, tuple, str, bytes):
            raise TypeMismatch
        self.meter.spend(GAS.helper + GAS.item * len(source))
        self.grow(items, len(source))
        items.extend(source)

    def insert(self, items: list[Any], index: Any, value: Any) -> None:
        whole(index)
        self.grow(items, 1)
        self.meter.spend(GAS.shift + len(items) // 16)
        items.insert(index, value)

    def remove(self, items: list[Any], value: Any) -> None:
        self.walk(items, value)
        items.remove(value)

    def walk(self, items: Any, value: Any) -> None:
        self.meter.spend(GAS.item * len(items) + size_of(self.meter, items) + size_of(self.meter, value))

    def pop(self, items: list[Any], index: Any = -1) -> Any:
        whole(index)
        self.meter.spend(GAS.text + (len(items) // 16 if index != -1 else 0))
        return items.pop(index)

    def reverse(self, items: list[Any]) -> None:
        self.meter.spend(len(items) // 4)
        items.reverse()

    def sort(self, items: list[Any], key: Any = None, reverse: Any = False) -> None:
        items[:] = self.call_sort(items, key=key, reverse=reverse)

    def index(self, items: Any, value: Any, *bounds: Any) -> int:
        whole(*bounds)
        self.walk(items, value)
        return int(items.index(value, *bounds))

    def clear(self, items: Any) -> None:
        """Also of dicts and sets."""
        self.meter.spend(GAS.helper + GAS.item * len(items))
        items.clear()

    def count(self, items: Any, value: Any) -> int:
        self.walk(items, value)
        return int(items.count(value))

    def copy(self, items: list[Any]) -> list[Any]:
        self.meter.spend(GAS.item * len(items))
        self.meter.allocate(LIST_BYTES + ITEM_BYTES * len(items))
        return items.copy()

    def table(self) -> dict[type, dict[str, Helper]]:
        names = ("append", "extend", "insert", "remove", "pop", "sort", "reverse", "index", "count", "copy", "clear")
        return {list: {name: getattr(self, name) for name in names}, tuple: {"index": self.index, "count": self.count}}


class DictMethods:
    """dict; keys are kept wrapped (`contracts.keys`)."""

    def __init__(self, meter: Meter, base: Mapping[str, Helper]) -> None:
        self.meter = meter
        self.base = base
        self.wrap = keys.make_wrap(meter)
        self.wrap_new = keys.make_wrap_new(meter)

    def room(self, size: int) -> None:
        self.meter.spend(GAS.listing + GAS.item * size)
        self.meter.allocate(LIST_BYTES + ITEM_BYTES * size)

    def get(self, table: dict[Any, Any], key: Any, default: Any = None) -> Any:
        self.meter.spend(GAS.helper)
        return table.get(self.wrap(key), default)

    def items(self, table: dict[Any, Any]) -> list[Any]:
        self.room(2 * len(table))
        return list(zip(keys.unwrap_all(table, self.meter), table.values(), strict=True))

    def keys(self, table: dict[Any, Any]) -> list[Any]:
        self.room(len(table))
        return keys.unwrap_all(table, self.meter)

    def values(self, table: dict[Any, Any]) -> list[Any]:
        self.room(len(table))
        return list(table.values())

    def pop(self, table: dict[Any, Any], key: Any, default: Any = _NOTHING) -> Any:
        self.meter.spend(GAS.helper + GAS.text)
        kept = self.wrap(key)
        if kept not in table:
            if default is _NOTHING:
                raise KeyMissing
            return default
        found = table.pop(kept)
        keys.tidied(table)
        return found

    def setdefault(self, table: dict[Any, Any], key: Any, default: Any = None) -> Any:
        self.meter.spend(GAS.helper + GAS.text)
        kept = self.wrap_new(key)
        size = len(table)
        if size >= LIMITS.items and kept not in table:
            raise BadValue
        found = table.setdefault(kept, default)
        if len(table) != size:
            self.meter.allocate(keys.entry_bytes(kept))
        return found

    def update(self, table: dict[Any, Any], more: Any = (), /, **named: Any) -> None:
        """By another dict; pairs and names make one first."""
        if type(more) is not dict or named:
            more = self.base["dictof"](more, **named)
        self.meter.spend(GAS.listing + GAS.update * len(more))
        size = len(table)
        if size + len(more) > LIMITS.items:
            self.meter.spend(GAS.update * len(more))
            if len(table | more) > LIMITS.items:
                raise BadValue
        table.update(more)
        self.meter.allocate(keys.entry_bytes(None) * (len(table) - size))

    def popitem(self, table: dict[Any, Any]) -> tuple[Any, Any]:
        self.meter.spend(2 * GAS.helper)
        self.meter.allocate(LIST_BYTES + 2 * ITEM_BYTES)
        kept, value = table.popitem()
        keys.tidied(table)
        return keys.unwrap(kept), value

    def clear(self, table: Any) -> None:
        self.meter.spend(GAS.helper + GAS.item * len(table))
        table.clear()

    def copy(self, table: Any) -> Any:
        self.room(2 * len(table))
        return table.copy()

    def table(self) -> dict[str, Helper]:
        names = ("get", "items", "keys", "values", "pop", "popitem", "setdefault", "update", "copy", "clear")
        return {name: getattr(self, name) for name in names}


def _to_bytes(meter: Meter) -> Helper:
    def to_bytes(value: int, length: Any = 1, byteorder: Any = "big", signed: Any = False) -> bytes:
        whole(length)
        if byteorder not in ("big", "little") or type(signed) is not bool or not 0 <= length <= 32:
            raise BadValue
        meter.spend(GAS.helper)
        meter.allocate(TEXT_BYTES + length)
        return value.to_bytes(length, byteorder, signed=signed)

    return to_bytes


def build_methods(
    meter: Meter, base: Mapping[str, Helper], records: Mapping[type, Callable[..., Any]]
) -> dict[str, Helper]:
    """Helpers `<type>.<method>`, and `method` for the dispatch. `base`: operators and builtins of the meter; `records`:
    replace functions by struct."""
    table: dict[type, dict[str, Helper]] = {
        **TextMethods(meter).table(),
        **ListMethods(meter, base["sorted"]).table(),
        dict: DictMethods(meter, base).table(),
        set: SetMethods(meter, base).table(),
    }
    numbers = {"to_bytes": _to_bytes(meter), "bit_length": int.bit_length, "bit_count": int.bit_count}
    table[int] = table[bool] = numbers

    flat = {(kind, name): found for kind, methods in table.items() for name, found in methods.items()}

    def method(target: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
        kind = type(target)
        found = flat.get((kind, name))
        if found is None:
            if name != "replace" or kind not in records or arguments:
                raise TypeMismatch
            return records[kind](target, **named)
        try:
            return found(target, *arguments, **named)
        except Fault:
            raise
        except ValueError:
            raise BadValue from None

    helpers: dict[str, Helper] = {"method": method}
    for kind, methods in table.items():
        if kind is not bool:
            helpers.update({f"{kind.__name__}.{name}": found for name, found in methods.items()})
    return helpers
