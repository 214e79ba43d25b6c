"""Methods of values: `obj.name(...)` is a dispatch on (type, name) into this table, never an attribute access."""

# ruff: noqa: D102  # a method is named after the Python method that it stands for; it checks, charges and does it

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts import keys
from contracts.faults import BadValue, Fault, KeyMissing, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES, search_gas, strip_gas
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper, is_number, size_of

_SPACE = " \n\t\r\x0b\x0c"
_WIDE_SPACE = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""White space beyond ASCII; Unicode has added none since version 6.3."""
_NOTHING: Any = object()


def _texts(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise TypeMismatch


def _index(*values: Any) -> None:
    for value in values:
        if not is_number(type(value)):
            raise TypeMismatch


class TextMethods:
    """str and bytes."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def made(self, size: int) -> None:
        if size > LIMITS.text:
            raise BadValue
        self.meter.spend(GAS.made + size // GAS.bytes_per_gas)
        self.meter.allocate(TEXT_BYTES + size)

    def strip(self, s: str, chars: Any = None) -> str:
        return s.strip(self.chars(s, chars))

    def lstrip(self, s: str, chars: Any = None) -> str:
        return s.lstrip(self.chars(s, chars))

    def rstrip(self, s: str, chars: Any = None) -> str:
        return s.rstrip(self.chars(s, chars))

    def scanned(self, s: Any) -> None:
        """Charge for looking at every character, and for a result of that size."""
        self.meter.spend(GAS.scanned + len(s) // GAS.scan_bytes_per_gas)
        self.made(len(s))

    def chars(self, s: str, chars: Any) -> str:
        """The characters to strip from `s`, paid for."""
        if chars is None:
            chars = _SPACE
        _texts(chars)
        if len(chars) > LIMITS.strip_chars:
            raise BadValue
        self.meter.spend(strip_gas(s, chars))
        self.made(len(s))
        return str(chars)

    def lower(self, s: str) -> str:
        self.scanned(s)
        return s.lower() if s.isascii() else s.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")

    def upper(self, s: str) -> str:
        self.scanned(s)
        return s.upper() if s.isascii() else s.encode("utf-8", "surrogatepass").upper().decode("utf-8", "surrogatepass")

    def split(self, s: str, separator: Any = None, maxsplit: Any = -1) -> list[str]:
        _index(maxsplit)
        if separator is None:
            self.scanned(s)
            # only ASCII white space separates, whatever the Unicode tables of the host say
            if not s.isascii():
                self.scanned(s)
                if any(white in s for white in _WIDE_SPACE):
                    raise BadValue
            bound = len(s) // 2 + 1
            self.room(bound if maxsplit < 0 else min(bound, maxsplit + 1))
            return s.split(None, maxsplit)
        _texts(separator)
        if not separator:
            raise BadValue
        self.made(len(s))
        self.meter.spend(search_gas(s, separator, repeated=True))
        count = s.count(separator) + 1
        self.room(count if maxsplit < 0 else min(count, maxsplit + 1))
        return s.split(separator, maxsplit)

    def room(self, items: int) -> None:
        if items > LIMITS.items:
            raise BadValue
        self.meter.spend(GAS.made + GAS.item * items)
        self.meter.allocate(LIST_BYTES + ITEM_BYTES * items)

    def join(self, s: str, parts: Any) -> str:
        if type(parts) is dict:
            parts = keys.unwrap_all(parts, self.meter)
        elif type(parts) not in (list, tuple, str):
            raise TypeMismatch
        self.meter.spend(GAS.helper + GAS.item * len(parts))
        _texts(*parts)
        self.made(sum(map(len, parts)) + len(s) * max(0, len(parts) - 1))
        return s.join(parts)

    def replace(self, s: str, old: Any, new: Any, count: Any = -1) -> str:
        _texts(old, new)
        _index(count)
        self.made(len(s))
        self.meter.spend(search_gas(s, old, repeated=True))
        found = s.count(old) if old else len(s) + 1
        self.meter.spend(GAS.match * found)
        if count >= 0:
            found = min(found, count)
        self.made(len(s) + found * (len(new) - len(old)))
        return s.replace(old, new, count)

    def startswith(self, s: Any, prefix: Any, *rest: Any) -> bool:
        self.same(s, prefix, rest)
        return bool(s.startswith(prefix))

    def endswith(self, s: Any, suffix: Any, *rest: Any) -> bool:
        self.same(s, suffix, rest)
        return bool(s.endswith(suffix))

    def same(self, s: Any, other: Any, rest: tuple[Any, ...] = ()) -> None:
        if type(other) is not type(s) or rest:
            raise TypeMismatch
        self.meter.spend(GAS.prefix + min(len(s), len(other)) // 64)

    def find(self, s: Any, part: Any, start: Any = 0) -> int:
        _index(start)
        if type(part) is not type(s):
            raise TypeMismatch
        self.meter.spend(search_gas(s, part, start))
        return int(s.find(part, start))

    def count(self, s: Any, part: Any) -> int:
        if type(part) is not type(s):
            raise TypeMismatch
        self.meter.spend(search_gas(s, part))
        return int(s.count(part))

    def isdigit(self, s: str) -> bool:
        self.meter.spend(GAS.text + len(s) // GAS.scan_bytes_per_gas)
        return s.isascii() and s.isdigit()

    def encode(self, s: str) -> bytes:
        self.scanned(s)
        raw = s.encode("utf-8")
        self.made(len(raw))
        return raw

    def hex(self, b: bytes) -> str:
        self.made(2 * len(b))
        return b.hex()

    def decode(self, b: bytes) -> str:
        self.meter.spend(GAS.listing)
        self.scanned(b)
        return b.decode("utf-8")

    def table(self) -> dict[type, dict[str, Helper]]:
        text = {
            name: getattr(self, name)
            for name in (
                "strip", "lstrip", "rstrip", "lower", "upper", "split", "join", "replace", "startswith", "endswith",
                "find", "count", "isdigit", "encode",
            )
        }  # fmt: skip
        return {
            str: text,
            bytes: {name: getattr(self, name) for name in ("hex", "decode", "startswith", "endswith", "find")},
        }


class ListMethods:
    """list and tuple. `append` is inlined by the compiler where it knows the type, with the same price."""

    def __init__(self, meter: Meter, call_sort: Callable[..., list[Any]]) -> None:
        self.meter = meter
        self.call_sort = call_sort

    def grow(self, items: list[Any], more: int) -> None:
        if len(items) + more > LIMITS.items:
            raise BadValue
        self.meter.allocate(ITEM_BYTES * more)

    def append(self, items: list[Any], value: Any) -> None:
        if len(items) >= LIMITS.items:
            raise BadValue
        self.meter.allocate(ITEM_BYTES)
        items.append(value)

    def extend(self, items: list[Any], more: Any) -> None:
        source = keys.unwrap_all(more, self.meter) if type(more) is dict else more
        if type(source) not in (list, tuple, str, bytes):
            raise TypeMismatch
        self.meter.spend(GAS.helper + GAS.item * len(source))
        self.grow(items, len(source))
        items.extend(source)

    def insert(self, items: list[Any], index: Any, value: Any) -> None:
        _index(index)
        self.grow(items, 1)
        self.meter.spend(GAS.shift + len(items) // 16)
        items.insert(index, value)

    def remove(self, items: list[Any], value: Any) -> None:
        self.walk(items, value)
        items.remove(value)

    def walk(self, items: Any, value: Any) -> None:
        self.meter.spend(GAS.item * len(items) + size_of(self.meter, items) + size_of(self.meter, value))

    def pop(self, items: list[Any], index: Any = -1) -> Any:
        _index(index)
        self.meter.spend(GAS.text + (len(items) // 16 if index != -1 else 0))
        return items.pop(index)

    def reverse(self, items: list[Any]) -> None:
        self.meter.spend(len(items) // 4)
        items.reverse()

    def sort(self, items: list[Any], key: Any = None, reverse: Any = False) -> None:
        items[:] = self.call_sort(items, key=key, reverse=reverse)

    def index(self, items: Any, value: Any) -> int:
        self.walk(items, value)
        return int(items.index(value))

    def count(self, items: Any, value: Any) -> int:
        self.walk(items, value)
        return int(items.count(value))

    def copy(self, items: list[Any]) -> list[Any]:
        self.meter.spend(GAS.item * len(items))
        self.meter.allocate(LIST_BYTES + ITEM_BYTES * len(items))
        return items.copy()

    def table(self) -> dict[type, dict[str, Helper]]:
        names = ("append", "extend", "insert", "remove", "pop", "sort", "reverse", "index", "count", "copy")
        return {list: {name: getattr(self, name) for name in names}, tuple: {"index": self.index, "count": self.count}}


class DictMethods:
    """dict and set; keys are kept wrapped (`contracts.keys`)."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.wrap = keys.make_wrap(meter)

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
        self.meter.spend(GAS.helper)
        kept = self.wrap(key)
        if kept not in table:
            if default is _NOTHING:
                raise KeyMissing
            return default
        found = table.pop(kept)
        keys.tidied(table)
        return found

    def setdefault(self, table: dict[Any, Any], key: Any, default: Any = None) -> Any:
        self.meter.spend(GAS.helper)
        kept = self.wrap(key)
        if kept not in table:
            self.grow(table, 1, kept)
        return table.setdefault(kept, default)

    def grow(self, table: Any, more: int, kept: Any = None) -> None:
        if len(table) + more > LIMITS.items:
            raise BadValue
        self.meter.allocate(keys.entry_bytes(kept) * more)

    def update(self, table: dict[Any, Any], more: Any) -> None:
        if type(more) is not dict:
            raise TypeMismatch
        self.meter.spend(GAS.listing + 2 * GAS.item * len(more))
        self.grow(table, sum(1 for key in more if key not in table))
        table.update(more)

    def copy(self, table: Any) -> Any:
        self.room(2 * len(table))
        return table.copy()

    def add(self, items: set[Any], value: Any) -> None:
        self.meter.spend(GAS.helper)
        kept = self.wrap(value)
        if kept not in items:
            self.grow(items, 1, kept)
        items.add(kept)

    def discard(self, items: set[Any], value: Any) -> None:
        self.meter.spend(GAS.helper)
        items.discard(self.wrap(value))
        keys.tidied(items)

    def remove(self, items: set[Any], value: Any) -> None:
        self.meter.spend(GAS.helper)
        items.remove(self.wrap(value))
        keys.tidied(items)

    def union(self, items: set[Any], other: Any) -> set[Any]:
        if type(other) is not set:
            raise TypeMismatch
        if len(items) + len(other) > LIMITS.items:
            raise BadValue
        self.room(len(items) + len(other))
        return items | other

    def table(self) -> dict[type, dict[str, Helper]]:
        names = ("get", "items", "keys", "values", "pop", "setdefault", "update", "copy")
        sets = ("add", "discard", "remove", "union", "copy")
        return {dict: {name: getattr(self, name) for name in names}, set: {name: getattr(self, name) for name in sets}}


def _to_bytes(meter: Meter) -> Helper:
    def to_bytes(value: int, length: Any = 1, byteorder: Any = "big", signed: Any = False) -> bytes:
        _index(length)
        if byteorder not in ("big", "little") or type(signed) is not bool or not 0 <= length <= 32:
            raise BadValue
        meter.spend(GAS.helper)
        meter.allocate(TEXT_BYTES + length)
        return value.to_bytes(length, byteorder, signed=signed)

    return to_bytes


def build_methods(
    meter: Meter, call_sort: Callable[..., list[Any]], records: Mapping[type, Callable[..., Any]]
) -> dict[str, Helper]:
    """Helpers `<type>.<method>`, and `method` for the dispatch. `records`: replace functions by struct."""
    table: dict[type, dict[str, Helper]] = {
        **TextMethods(meter).table(),
        **ListMethods(meter, call_sort).table(),
        **DictMethods(meter).table(),
    }
    numbers = {"to_bytes": _to_bytes(meter), "bit_length": int.bit_length}
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
