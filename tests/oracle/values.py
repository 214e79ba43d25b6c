"""Values of the language as plain Python values, what keys and walks cost, and the one encoding of a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contracts.limits import ITEM_BYTES, WIDE_KEY_BYTES
from oracle.failures import bad_value, mismatch
from oracle.gas import G, L, Meter

NARROW = L.narrow_key
SCALARS = (int, bool, type(None))


@dataclass(frozen=True, slots=True)
class Record:
    """An immutable record; lists among its values are kept as tuples."""

    name: str
    names: tuple[str, ...]
    values: tuple[Any, ...]

    def get(self, name: str) -> Any:
        return self.values[self.names.index(name)]


def number(value: Any) -> bool:
    return type(value) is int or type(value) is bool


def bounded(value: int) -> int:
    if not L.int_low <= value < L.int_high:
        raise OverflowError
    return value


# keys


def kept_otherwise(key: Any) -> bool:
    """Wide integers and tuples are kept in another form."""
    return type(key) is tuple or (type(key) is int and not -NARROW < key < NARROW)


def key(meter: Meter, value: Any) -> Any:
    """A key of a dict or set: charged, then checked."""
    if type(value) is tuple:
        meter.spend(G.tuple_key + G.wide_key * len(value))
    elif kept_otherwise(value):
        meter.spend(G.wide_key)
    return checked_key(value)


def entry_key(meter: Meter, value: Any) -> Any:
    """A key that a dict or set is going to keep: texts and bytes in it have a longest size."""
    return short_key(key(meter, value))


def short_key(place: Any) -> Any:
    for part in place if type(place) is tuple else (place,):
        if type(part) is str or type(part) is bytes:
            each = 4 if type(part) is str and max(part, default="") > "\x7f" else 1
            if len(part) * each > L.key_bytes:
                raise bad_value()
    return place


def new_key(meter: Meter, value: Any) -> Any:
    """A key that a display, comprehension, `dict` or `set` is given: memory of its form too."""
    place = entry_key(meter, value)
    if kept_otherwise(place):
        meter.allocate(WIDE_KEY_BYTES)
    return place


def entry_room(place: Any) -> int:
    """Memory of a new entry of a dict or set."""
    return 2 * ITEM_BYTES + (WIDE_KEY_BYTES if kept_otherwise(place) else 0)


def checked_key(value: Any) -> Any:
    if type(value) is tuple:
        if len(value) > L.key_items:
            raise bad_value()
        if any(type(part) is tuple for part in value):
            raise mismatch()
        for part in value:
            checked_key(part)
    elif type(value) not in (int, bool, str, bytes):
        raise mismatch()
    return value


def keys_of(meter: Meter, kept: Any) -> list[Any]:
    """Keys of a dict or set as a list; those kept in another form cost."""
    found = list(kept)
    if any(map(kept_otherwise, found)):
        meter.spend((G.tuple_key + G.wide_key) * len(found))
    elif any(type(one) is int for one in found):
        meter.spend(G.item * len(found))
    return found


# walks


def walk(meter: Meter, value: Any, depth: int = 0) -> int:
    """Look at every part of a value: charged on the way; the weight is what comparing it costs."""
    kind = type(value)
    if kind is str or kind is bytes:
        return 1 + len(value) // 64
    if kind is list or kind is tuple:
        if depth >= L.nesting:
            raise bad_value()
        meter.spend(G.walk * (6 + len(value)))
        return 1 + sum([walk(meter, item, depth + 1) for item in value])
    if kind is dict:
        if depth >= L.nesting:
            raise bad_value()
        meter.spend(G.walk * (8 + 2 * len(value)))
        weight = sum([walk_key(meter, item, depth + 1) for item in value])
        return 1 + weight + sum([walk(meter, item, depth + 1) for item in value.values()])
    if kind is set:
        meter.spend(G.walk * 6 + (G.walk + G.item) * len(value))
        return 1 + sum([walk_key(meter, item, depth + 1) for item in value])
    if kind is Record:
        meter.spend(G.walk * (6 + len(value.values)))
        return 1 + sum([walk(meter, item, depth + 1) for item in value.values])
    return 1


def walk_key(meter: Meter, value: Any, depth: int) -> int:
    """A key is walked as it is kept: a wide integer as a pair of texts, a tuple behind one text more."""
    if not kept_otherwise(value):
        return walk(meter, value, depth)
    if depth >= L.nesting:
        raise bad_value()
    if type(value) is int:
        meter.spend(G.walk * 8)
        return 3
    meter.spend(G.walk * (7 + len(value)))
    return 2 + sum([walk_key(meter, part, depth + 1) for part in value])


# encoding: MessagePack, shortest forms, wide integers as extension 1


def head(size: int, short: tuple[int, int], *forms: tuple[int, int]) -> bytes:
    """A type byte and a size. `short`: base and limit of the one-byte form; `forms`: type byte and width."""
    if size < short[1]:
        return bytes((short[0] | size,))
    for code, width in forms:
        if size < 1 << 8 * width:
            return bytes((code,)) + size.to_bytes(width, "big")
    raise AssertionError(size)


def pack_int(value: int) -> bytes:
    if 0 <= value < 128 or -32 <= value < 0:
        return value.to_bytes(1, "big", signed=value < 0)
    if value >= 0:
        for code, width in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if value < 1 << 8 * width:
                return bytes((code,)) + value.to_bytes(width, "big")
    else:
        for code, width in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
            if -(1 << 8 * width - 1) <= value:
                return bytes((code,)) + value.to_bytes(width, "big", signed=True)
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    raw = value.to_bytes(size, "big", signed=True)
    return (b"\xd8\x01" if size == 16 else bytes((0xC7, size, 1))) + raw


def pack(value: Any, arrays: bool, depth: int = 0) -> bytes:
    """Encode. `arrays`: records as arrays, as storage keeps them; else as maps with sorted keys, as the world sees."""
    kind = type(value)
    if value is None:
        return b"\xc0"
    if kind is bool:
        return b"\xc3" if value else b"\xc2"
    if kind is int:
        return pack_int(value)
    if kind is str:
        raw = value.encode("utf-8")
        return head(len(raw), (0xA0, 32), (0xD9, 1), (0xDA, 2), (0xDB, 4)) + raw
    if kind is bytes:
        return head(len(value), (0, 0), (0xC4, 1), (0xC5, 2), (0xC6, 4)) + value
    if depth >= L.nesting:
        raise bad_value()
    if kind is list or kind is tuple or (kind is Record and arrays):
        items = value.values if kind is Record else value
        packed = [pack(item, arrays, depth + 1) for item in items]
        return head(len(packed), (0x90, 16), (0xDC, 2), (0xDD, 4)) + b"".join(packed)
    if kind is Record:
        value = dict(zip(value.names, value.values, strict=True))
    elif kind is not dict:
        raise bad_value()
    rows = sorted((pack(name, arrays), pack(item, arrays, depth + 1)) for name, item in value.items())
    if len({name for name, _ in rows}) != len(rows):
        raise bad_value()
    return head(len(rows), (0x80, 16), (0xDE, 2), (0xDF, 4)) + b"".join(name + item for name, item in rows)
