"""Builtins of the language by name: docs/gas.md, section 4."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from typing import Any

from contracts.limits import ITEM_BYTES, LIST_BYTES
from oracle.failures import bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.operators import binary, eager, integers, ranged, sized, sortable
from oracle.texts import string
from oracle.values import Record, bounded, keys_of, new_key, number, walk

ABSENT: Any = object()
_BYTES = bytes


def numbers(*values: Any) -> None:
    if not all(map(number, values)):
        raise mismatch()


class Builtins:
    """Each method is the builtin of its name (with `_` behind it)."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def call(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        return getattr(self, name + "_")(*arguments, **named)

    # sequences

    def len_(self, value: Any) -> int:
        if type(value) not in (list, tuple, dict, set, str, bytes):
            raise mismatch()
        return len(value)

    def range_(self, *bounds: Any) -> list[int]:
        self.meter.spend(G.listing)
        return eager(self.meter, ranged(*bounds))

    def pairs(self, size: int) -> None:
        self.meter.spend(G.pairs + G.pair * size)
        self.meter.allocate(LIST_BYTES * size)

    def enumerate_(self, value: Any, start: Any = 0) -> list[Any]:
        numbers(start)
        items = eager(self.meter, value)
        self.pairs(len(items))
        bounded(start + len(items))
        return list(enumerate(items, start))

    def zip_(self, *values: Any, strict: Any = False) -> list[Any]:
        lists = [eager(self.meter, value) for value in values]
        if strict and any(len(one) != len(lists[0]) for one in lists):
            raise bad_value()
        self.pairs(min(map(len, lists), default=0) * max(1, len(lists)))
        return list(zip(*lists, strict=False))

    def reversed_(self, value: Any) -> list[Any]:
        if type(value) is dict:
            raise mismatch()
        return eager(self.meter, value)[::-1]

    def map_(self, function: Callable[..., Any], *values: Any) -> list[Any]:
        lists = [eager(self.meter, value) for value in values]
        self.meter.spend(G.listing + G.pair * min(map(len, lists)))
        return [function(*row) for row in zip(*lists, strict=False)]

    def filter_(self, function: Callable[..., Any] | None, value: Any) -> list[Any]:
        items = eager(self.meter, value)
        self.meter.spend(G.listing)
        return [item for item in items if (item if function is None else function(item))]

    # order

    def weighed(self, items: list[Any], function: Callable[..., Any] | None) -> list[Any]:
        """Sort keys: made, walked, charged, checked to have a total order."""
        found = items if function is None else [function(item) for item in items]
        weight = walk(self.meter, found)
        self.meter.spend(G.sort + (G.item * len(found) + weight) * max(1, len(found).bit_length()) // 2)
        for value in found:
            sortable(value)
        return found

    def sorted_(self, value: Any, key: Any = None, reverse: Any = False) -> list[Any]:
        numbers(reverse)
        reverse = bool(reverse)
        if type(value) is set:
            if key is not None:
                raise mismatch()
            self.meter.spend(G.item * len(value))
            self.meter.items(len(value))
            items = keys_of(self.meter, value)
        else:
            items = eager(self.meter, value)
        order = self.weighed(items, key)
        places = sorted(range(len(items)), key=order.__getitem__, reverse=reverse)
        return [items[place] for place in places]

    def min_(self, *values: Any, key: Any = None, default: Any = ABSENT) -> Any:
        return self.extreme(min, values, key, default)

    def max_(self, *values: Any, key: Any = None, default: Any = ABSENT) -> Any:
        return self.extreme(max, values, key, default)

    def extreme(self, pick: Callable[..., Any], values: tuple[Any, ...], key: Any, default: Any) -> Any:
        of_set = len(values) == 1 and type(values[0]) is set and key is None
        if len(values) == 1:
            items = keys_of(self.meter, values[0]) if of_set else eager(self.meter, values[0])
        else:
            if default is not ABSENT:
                raise mismatch()
            items = list(values)
            if key is None and all(map(number, items)):
                return pick(items)
        if not items:
            if default is ABSENT:
                raise bad_value()
            return default
        order = self.weighed(items, key)
        if of_set:
            order.sort()  # which items are compared must not depend on the order of a set
        return items[pick(range(len(items)), key=order.__getitem__)]

    # totals

    def sum_(self, value: Any, start: Any = 0) -> Any:
        self.meter.spend(G.sum)
        if type(start) in (list, tuple):
            for item in eager(self.meter, value):
                start = binary(self.meter, ast.Add, start, item)
            return start
        if type(value) is set:
            self.meter.spend(G.wide_sum * len(value))
            items = keys_of(self.meter, value)
            items.sort()
        else:
            items = eager(self.meter, value)
        numbers(start, *items)
        widest = max(map(abs, items), default=0)
        if abs(start) + widest * len(items) >= L.int_high:
            self.meter.spend(G.wide_sum * len(items))
        total = start
        for item in items:
            total = bounded(total + item)
        return int(total)

    def looked_at(self, value: Any) -> list[Any]:
        if type(value) is not set:
            return eager(self.meter, value)
        self.meter.spend(G.item * len(value))
        return keys_of(self.meter, value)

    def any_(self, value: Any) -> bool:
        return any(self.looked_at(value))

    def all_(self, value: Any) -> bool:
        return all(self.looked_at(value))

    # integers

    def abs_(self, value: Any) -> int:
        numbers(value)
        return bounded(abs(value))

    def divmod_(self, a: Any, b: Any) -> tuple[int, int]:
        numbers(a, b)
        self.meter.spend(G.text)
        return bounded(a // b), a % b

    def pow_(self, base: Any, exp: Any, mod: Any = None) -> int:
        a, b, modulus = base, exp, mod
        numbers(a, b)
        if modulus is None:
            return int(integers(ast.Pow, a, b))
        numbers(modulus)
        if modulus == 0:
            raise bad_value()
        self.meter.spend(G.listing + 20 * max(1, int(b).bit_length()))
        if b < 0:
            self.meter.spend(10 * int(modulus).bit_length())
        return pow(int(a), int(b), int(modulus))

    def mul_div_(self, a: Any, b: Any, c: Any) -> int:
        numbers(a, b, c)
        self.meter.spend(G.mul_div)
        return bounded(a * b // c)

    # conversions

    def int_(self, value: Any = 0, /, base: Any = ABSENT) -> int:
        if type(value) is not str:
            numbers(value)
            if base is not ABSENT:
                raise mismatch()
            return int(value)
        base = 10 if base is ABSENT else base
        if type(base) is not int or base not in (0, *range(2, 37)) or len(value) > 260 or not value.isascii():
            raise bad_value()
        self.meter.spend(G.parse if base in (2, 8, 10, 16) else 2 * G.parse)
        text = value.strip()
        digits = text[1:] if text[:1] in ("+", "-") else text
        if not all(digit.isalnum() or digit == "_" for digit in digits) or not digits.strip("_"):
            raise bad_value()
        return bounded(int(text, base))

    def str_(self, value: Any = "") -> str:
        return string(self.meter, value)

    def bool_(self, value: Any = False) -> bool:
        return bool(value)

    def bytes_(self, value: Any = b"") -> bytes:
        if type(value) is bytes:
            return value
        if number(value):
            if not 0 <= value <= L.text:
                raise bad_value()
            self.meter.spend(value // G.bytes_per_gas)
            self.meter.text(value)
            return bytes(value)
        items = eager(self.meter, value)
        if not all(type(item) is int for item in items):
            raise mismatch()
        return bytes(items)

    def list_(self, value: Any = ()) -> list[Any]:
        return eager(self.meter, value)

    def tuple_(self, value: Any = ()) -> tuple[Any, ...]:
        return tuple(eager(self.meter, value))

    def dict_(self, value: Any = (), /, **named: Any) -> dict[Any, Any]:
        made = self.pairs_of(value)
        if named:
            self.meter.spend(2 * G.pair * len(named))
            self.meter.allocate(2 * ITEM_BYTES * len(named))
            made.update(named)
        if len(made) > L.items:
            raise bad_value()
        return made

    def fromkeys_(self, value: Any, filled: Any = None) -> dict[Any, Any]:
        items = eager(self.meter, value)
        self.meter.spend(G.helper + (G.pair + G.keyed) * len(items))
        self.meter.items(len(items), 2)
        return {new_key(self.meter, item): filled for item in items}

    def pairs_of(self, value: Any) -> dict[Any, Any]:
        if type(value) is dict:
            self.meter.spend(2 * G.item * len(value))
            self.meter.items(len(value), 2)
            return value.copy()
        rows = eager(self.meter, value)
        self.meter.spend((G.pair + G.keyed) * len(rows))
        made: dict[Any, Any] = {}
        for row in rows:
            if type(row) not in (tuple, list) or len(row) != 2:
                raise mismatch()
            self.meter.allocate(2 * ITEM_BYTES)
            made[new_key(self.meter, row[0])] = row[1]
        return made

    def set_(self, value: Any = ()) -> set[Any]:
        if type(value) is set:
            sized(self.meter, len(value))
            return value.copy()
        items = eager(self.meter, value)
        self.meter.spend(G.keyed * len(items))
        self.meter.allocate(ITEM_BYTES * len(items))
        return {new_key(self.meter, item) for item in items}

    def ord_(self, text: Any) -> int:
        if type(text) is not str:
            raise mismatch()
        if len(text) != 1:
            raise bad_value()
        return ord(text)

    def chr_(self, point: Any) -> str:
        numbers(point)
        if not 0 <= point < 0x110000 or 0xD800 <= point < 0xE000:
            raise bad_value()
        return chr(point)

    def isinstance_(self, value: Any, names: tuple[str, ...]) -> bool:
        kind = value.name if type(value) is Record else type(value).__name__
        return kind in names or (type(value) is bool and "int" in names)

    def fromhex_(self, text: Any) -> bytes:
        if type(text) is not str:
            raise mismatch()
        self.meter.spend(len(text) // G.scan_bytes_per_gas)
        self.meter.text(len(text))
        if not text.isascii() or (text and not text.isalnum()):
            raise bad_value()
        return bytes.fromhex(text)

    def from_bytes_(self, bytes: Any, byteorder: Any = "big", signed: Any = False) -> int:
        raw = bytes
        if not isinstance(raw, _BYTES) or type(signed) is not bool:
            raise mismatch()
        if len(raw) > 32 or byteorder not in ("big", "little"):
            raise bad_value()
        return bounded(int.from_bytes(raw, byteorder, signed=signed))

    # hashes

    def sha256_(self, data: Any) -> bytes:
        if type(data) is not bytes:
            raise mismatch()
        self.meter.spend(G.hash_base + G.hash_per_64_bytes * (len(data) // 64))
        self.meter.text(32)
        return hashlib.sha256(data).digest()
