"""Keys of contract dicts and sets as they are kept in memory.

Python hashes integers by their value modulo 2^61-1 and tuples by a fixed mix, so a contract could make 65,536 keys that
collide. Wide integers and tuples are therefore kept in a form whose hash begins with a text, which CPython salts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.faults import BadValue, TypeMismatch
from contracts.meter import GAS, LIMITS, Meter

_WIDE = "wide integer"
_TUPLE = "tuple"
_NARROW = 2**60


def wrap(key: Any) -> Any:
    """The form in which a key is kept, unmetered. Raise `TypeMismatch` for anything that is no key."""
    kind = type(key)
    if kind is str or kind is bytes or kind is bool:
        return key
    if kind is int:
        return key if -_NARROW < key < _NARROW else (_WIDE, key.to_bytes(32, "big", signed=True))
    if kind is tuple:
        if len(key) > LIMITS.key_items:
            raise BadValue
        for part in key:
            if type(part) is tuple:
                raise TypeMismatch
        return (_TUPLE, *map(wrap, key))
    raise TypeMismatch


def make_wrap(meter: Meter) -> Callable[[Any], Any]:
    """`wrap` that charges for what is not kept as it is."""

    def metered(key: Any) -> Any:
        kind = type(key)
        if kind is str or kind is bytes or kind is bool:
            return key
        if kind is int:
            if -_NARROW < key < _NARROW:
                return key
            meter.spend(GAS.wide_key)
        elif kind is tuple:
            meter.spend(GAS.tuple_key + GAS.wide_key * len(key))
        return wrap(key)

    return metered


def unwrap(kept: Any) -> Any:
    """The key again."""
    if type(kept) is not tuple:
        return kept
    if kept[0] is _WIDE:
        return int.from_bytes(kept[1], "big", signed=True)
    return tuple(map(unwrap, kept[1:]))


def unwrap_all(kept: Any, meter: Meter) -> list[Any]:
    """Keys of a dict or set in its order."""
    keys = list(kept)
    if tuple not in set(map(type, keys)):
        return keys
    meter.spend((GAS.tuple_key + GAS.wide_key) * len(keys))
    return list(map(unwrap, keys))
