"""Keys of contract dicts and sets as they are kept in memory.

Python hashes integers by their value modulo 2^61-1 and tuples by a fixed mix, and looks for a free place along a path
that follows from the hash. So a contract could make 65,536 keys that collide, or fill a table along one such path: one
lookup would then visit every key (188 us for a dict of 65,535 small integers). Tables of at most 256 small integers are
kept as they are; other integers are mixed with a salt that the process draws (`hash` of a text), and wide integers and
tuples are kept in a form whose hash begins with a text, which CPython salts. Order, values and gas do not depend on it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from contracts.faults import BadValue, TypeMismatch
from contracts.limits import ITEM_BYTES, LANGUAGE, WIDE_KEY_BYTES
from contracts.meter import GAS, LIMITS, Meter

_WIDE = "wide integer"
_TUPLE = "tuple"
_CHARACTER = 4
"""Bytes of a character in a text with any beyond ASCII: CPython keeps and compares so many for the widest."""
_NARROW = LIMITS.narrow_key
_SMALL = LIMITS.small_key
_SURE = LIMITS.key_bytes // _CHARACTER
"""A text of so many characters fits, whatever they are."""
_SALT = 2**60 | (hash(LANGUAGE) & (2**60 - 1))
"""A bit above every narrow integer, so that no salted key is a small one, and 60 that nobody else knows."""


def wrap(key: Any) -> Any:
    """The form in which a key is kept, unmetered. Raise `TypeMismatch` for anything that is no key."""
    kind = type(key)
    if kind is str or kind is bytes or kind is bool:
        return key
    if kind is int:
        if 0 <= key < _SMALL:
            return key
        return key ^ _SALT if -_NARROW < key < _NARROW else (_WIDE, key.to_bytes(32, "big", signed=True))
    if kind is tuple:
        if len(key) > LIMITS.key_items:
            raise BadValue
        for part in key:
            if type(part) is tuple:
                raise TypeMismatch
        return (_TUPLE, *map(wrap, key))
    raise TypeMismatch


def fits(part: Any) -> bool:
    """Whether what a key holds may be kept: texts and bytes of at most `key_bytes`, where every character of a text
    that is not all ASCII counts four. CPython compares a key with an equal one that is another object byte by byte, and
    no price of a lookup knows how long they are."""
    kind = type(part)
    if (kind is not str and kind is not bytes) or len(part) <= _SURE:
        return True
    return len(part) <= LIMITS.key_bytes and (kind is bytes or part.isascii())


def wrap_new(key: Any) -> Any:
    """`wrap` for a key that a dict or set is going to keep. Raise `BadValue` too for one that is too long."""
    kept = wrap(key)
    if not (all(map(fits, kept)) if type(kept) is tuple else fits(kept)):
        raise BadValue
    return kept


def make_wrap(meter: Meter) -> Callable[[Any], Any]:
    """`wrap` that charges for what is not kept as it is."""

    def metered(key: Any) -> Any:
        kind = type(key)
        if kind is str or kind is bytes or kind is bool:
            return key
        if kind is int:
            if 0 <= key < _SMALL:
                return key
            if -_NARROW < key < _NARROW:
                return key ^ _SALT
            meter.spend(GAS.wide_key)
        elif kind is tuple:
            meter.spend(GAS.tuple_key + GAS.wide_key * len(key))
        return wrap(key)

    return metered


def make_wrap_new(meter: Meter) -> Callable[[Any], Any]:
    """`wrap_new` that charges as `make_wrap` does."""
    wrapped = make_wrap(meter)

    def metered(key: Any) -> Any:
        kind = type(key)
        if kind is str or kind is bytes:
            if len(key) > _SURE and not fits(key):
                raise BadValue
            return key
        kept = wrapped(key)
        if kind is tuple and not all(map(fits, kept)):
            raise BadValue
        return kept

    return metered


def make_new_key(meter: Meter) -> Callable[[Any], Any]:
    """`make_wrap_new` that charges the memory of the kept form too."""
    wrapped = make_wrap_new(meter)

    def metered(key: Any) -> Any:
        kept = wrapped(key)
        if type(kept) is tuple:
            meter.allocate(WIDE_KEY_BYTES)
        return kept

    return metered


def entry_bytes(kept: Any) -> int:
    """Memory of a new entry under a wrapped key."""
    return 2 * ITEM_BYTES + (WIDE_KEY_BYTES if type(kept) is tuple else 0)


def unwrap(kept: Any) -> Any:
    """The key again."""
    if type(kept) is not tuple:
        return kept ^ _SALT if type(kept) is int and not 0 <= kept < _SMALL else kept
    if kept[0] is _WIDE:
        return int.from_bytes(kept[1], "big", signed=True)
    return tuple(map(unwrap, kept[1:]))


def unwrap_all(kept: Any, meter: Meter) -> list[Any]:
    """Keys of a dict or set in its order."""
    keys = list(kept)
    kinds = set(map(type, keys))
    if tuple in kinds:
        meter.spend((GAS.tuple_key + GAS.wide_key) * len(keys))
        return list(map(unwrap, keys))
    if int not in kinds:
        return keys
    meter.spend(GAS.item * len(keys))
    if len(kinds) == 1:
        return [key if 0 <= key < _SMALL else key ^ _SALT for key in keys]
    return list(map(unwrap, keys))


def tidied(kept: Any) -> None:
    """After a removal from a dict or set: give back the room that many removed keys left, or walking over what stayed
    would take the time of what was there. Looks at its memory when the number of keys is a power of two."""
    size = len(kept)
    if size & (size - 1) or sys.getsizeof(kept) < 2_000 + 400 * size:
        return
    stayed = kept.copy()
    kept.clear()
    kept.update(stayed)
