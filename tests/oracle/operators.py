"""Operators, comparisons and item access on values, with what depends on sizes: docs/gas.md, section 3."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from contracts.limits import ITEM_BYTES, search_gas
from oracle.failures import Stop, bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.values import SCALARS, Record, bounded, entry_key, entry_room, key, keys_of, number, walk

TEXTS, SEQUENCES = (str, bytes), (list, tuple)
_INTEGER: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
_SETS = (ast.BitOr, ast.BitAnd, ast.BitXor)


def room(meter: Meter, sample: Any, size: int) -> None:
    """Check and charge a new text or sequence of `size`."""
    if type(sample) in TEXTS:
        if size > L.text:
            raise bad_value()
        meter.spend(G.text + size // G.bytes_per_gas)
        meter.text(size)
    else:
        if size > L.items:
            raise bad_value()
        meter.spend(G.made + G.item * size)
        meter.items(size)


def binary(meter: Meter, which: type, a: Any, b: Any) -> Any:
    if number(a) and number(b):
        return integers(which, a, b)
    if which is ast.Add and type(a) is type(b) and type(a) in TEXTS + SEQUENCES:
        room(meter, a, len(a) + len(b))
        return a + b
    if which is ast.Mult:
        if number(a):
            a, b = b, a
        if number(b) and type(a) in TEXTS + SEQUENCES:
            room(meter, a, len(a) * max(b, 0))
            return a * b
    if type(a) is set and type(b) is set:
        return sets(meter, which, a, b)
    if which is ast.BitOr and type(a) is type(b) is dict:
        if len(a) + len(b) > L.items:
            raise bad_value()
        meter.spend(G.listing + G.merge * (len(a) + len(b)))
        meter.items(len(a) + len(b), 2)
        return a | b
    raise mismatch()


def integers(which: type, a: Any, b: Any) -> Any:
    plain = _INTEGER.get(which)
    if plain is not None:
        return bounded(plain(a, b))
    if b < 0:
        raise bad_value()
    if which is ast.RShift:
        return a >> min(b, 600)
    if which is ast.LShift:
        if a and b > 300:
            raise OverflowError
        return bounded(a << min(b, 300))
    if abs(a) > 1 and b > 300:
        raise OverflowError
    return bounded(int(a) ** (b if abs(a) > 1 else min(b, 2 + b % 2)))


def sets(meter: Meter, which: type, a: set[Any], b: set[Any]) -> set[Any]:
    both = len(a) + len(b)
    if which is ast.Sub:
        meter.spend(G.merge * both)
        meter.items(len(a))
        return a - b
    if which not in _SETS:
        raise mismatch()
    if both > L.items:
        raise bad_value()
    meter.spend(G.merge * both)
    meter.items(both)
    return set(_INTEGER[which](a, b))


def in_place(meter: Meter, which: type, a: Any, b: Any) -> Any:
    """`a op= b`: lists and sets keep their identity."""
    if type(a) is list and (which is ast.Mult or (which is ast.Add and not number(b))):
        meter.spend(3 * G.helper)
        a[:] = binary(meter, which, a, eager(meter, b) if which is ast.Add else b)
        return a
    if type(a) is set and type(b) is set:
        meter.spend(G.helper)
        result = binary(meter, which, a, b)
        a.clear()
        a.update(result)
        return a
    return binary(meter, which, a, b)


def unary(which: type, a: Any) -> Any:
    if which is ast.Not:
        return not a
    if not number(a):
        raise mismatch()
    if which is ast.UAdd:
        return +a
    return bounded(-a if which is ast.USub else -1 - a)


# comparisons

_ORDER: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def compare(meter: Meter, which: type, a: Any, b: Any) -> bool:
    if which is ast.Is or which is ast.IsNot:
        return (a is b) is (which is ast.Is)
    if which is ast.Eq or which is ast.NotEq:
        weigh(meter, a, b)
        return bool(a == b) is (which is ast.Eq)
    if which is ast.In or which is ast.NotIn:
        return contains(meter, a, b) is (which is ast.In)
    if not (number(a) and number(b)):
        ordered(meter, a, b)
    return bool(_ORDER[which](a, b))


def weigh(meter: Meter, a: Any, b: Any) -> None:
    if type(a) is not type(b) or type(a) in SCALARS:
        return
    if type(a) in TEXTS:
        if len(a) == len(b):
            meter.spend(len(a) // 64)
    else:
        meter.spend(walk(meter, a) + walk(meter, b))


def ordered(meter: Meter, a: Any, b: Any) -> None:
    if type(a) is type(b) is set:
        meter.spend(G.helper + G.item * (len(a) + len(b)))
        meter.spend(walk(meter, a) + walk(meter, b))
        return
    if type(a) is not type(b) or type(a) not in TEXTS + SEQUENCES:
        raise mismatch()
    if type(a) in TEXTS:
        meter.spend(G.order_per_64 * (min(len(a), len(b)) // 64))
        return
    meter.spend(G.order + G.item * (len(a) + len(b)) + walk(meter, a) + walk(meter, b))
    sortable(a)
    sortable(b)


def sortable(value: Any) -> None:
    """What has a total order: numbers, texts, and sequences of these."""
    if type(value) in SEQUENCES:
        for item in value:
            sortable(item)
    elif not number(value) and type(value) not in TEXTS:
        raise mismatch()


def contains(meter: Meter, a: Any, b: Any) -> bool:
    if type(b) in (dict, set):
        meter.spend(G.text)
        return key(meter, a) in b
    if type(b) in SEQUENCES:
        weight = walk(meter, b)
        meter.spend(weight + walk(meter, a) * (1 if number(a) else len(b)))
        return a in b
    if type(b) in TEXTS and type(a) is type(b):
        meter.spend(search_gas(b, a))
        return a in b
    raise mismatch()


# items


def get_item(meter: Meter, a: Any, b: Any) -> Any:
    if type(a) is dict:
        return a[key(meter, b)]
    if type(a) not in TEXTS + SEQUENCES or not number(b):
        raise mismatch()
    return a[b]


def set_item(meter: Meter, a: Any, b: Any, value: Any) -> None:
    if type(a) is dict:
        meter.spend(G.helper)
        place = entry_key(meter, b)
        if place not in a:
            meter.allocate(entry_room(place))
            if len(a) >= L.items:
                raise bad_value()
        a[place] = value
    elif type(a) is list and number(b):
        a[b] = value
    else:
        raise mismatch()


def del_item(meter: Meter, a: Any, b: Any) -> None:
    if type(a) is dict:
        meter.spend(G.helper)
        del a[key(meter, b)]
    elif type(a) is list and number(b):
        meter.spend(G.helper + len(a) // 16)
        del a[b]
    else:
        raise mismatch()


def slice_size(a: Any, low: Any, high: Any, step: Any) -> int:
    if any(bound is not None and not number(bound) for bound in (low, high, step)):
        raise mismatch()
    return len(range(*slice(low, high, step).indices(len(a))))


def set_slice(meter: Meter, a: Any, bounds: list[Any], value: Any) -> None:
    if type(a) is not list:
        raise mismatch()
    source = keys_of(meter, value) if type(value) is dict else value
    if type(source) not in SEQUENCES + TEXTS:
        raise mismatch()
    meter.spend(G.helper + G.item * len(source))
    meter.items(len(source))
    items = list(source)
    size = del_price(meter, a, bounds)
    if bounds[2] not in (None, 1) and len(items) != size:
        raise bad_value()
    if len(a) + len(items) - size > L.items:
        raise bad_value()
    meter.allocate(ITEM_BYTES * max(0, len(items) - size))
    a[slice(*bounds)] = items


def del_price(meter: Meter, a: list[Any], bounds: list[Any]) -> int:
    size = slice_size(a, *bounds)
    meter.spend(G.pairs + G.item * size + len(a) // 16)
    return size


def del_slice(meter: Meter, a: Any, bounds: list[Any]) -> None:
    if type(a) is not list:
        raise mismatch()
    del_price(meter, a, bounds)
    del a[slice(*bounds)]


def get_slice(meter: Meter, a: Any, low: Any, high: Any, step: Any) -> Any:
    if type(a) not in TEXTS + SEQUENCES:
        raise mismatch()
    size = slice_size(a, low, high, step)
    if type(a) in TEXTS:
        meter.spend(G.slice + size // (G.bytes_per_gas if step is None or step == 1 else G.scan_bytes_per_gas))
        meter.text(size)
    else:
        meter.spend(G.slice + G.item * size)
        meter.items(size)
    return a[low:high:step]


def field(meter: Meter, a: Any, name: str) -> Any:
    """A field of a record; a list comes out fresh."""
    if type(a) is not Record or name not in a.names:
        raise mismatch()
    return thawed(meter, a.get(name))


def thawed(meter: Meter, value: Any) -> Any:
    if type(value) is not tuple:
        return value
    meter.spend(G.item * len(value))
    meter.items(len(value))
    return [thawed(meter, item) for item in value]


# iteration


def iterate(meter: Meter, value: Any) -> Any:
    """What a loop runs over: a list as it is, so that it may grow; of a dict the keys as they are now."""
    if type(value) is dict:
        meter.spend(G.listing)
        sized(meter, len(value))
        return keys_of(meter, value)
    if type(value) not in (list, tuple, str, bytes, range):
        raise mismatch()
    return value


def sized(meter: Meter, size: int, wide: int = 1) -> None:
    """Room for a new list of `size` items, charged by item."""
    if size > L.items:
        raise bad_value()
    meter.spend(G.item * size)
    meter.items(size, wide)


def eager(meter: Meter, value: Any) -> list[Any]:
    """A new list of what iterating gives."""
    source = iterate(meter, value)
    meter.spend(G.helper)
    if type(source) is range:
        turns(source)
    if type(value) is not dict:
        sized(meter, len(source))
    return list(source)


def ranged(*bounds: Any) -> range:
    if not 1 <= len(bounds) <= 3 or not all(map(number, bounds)):
        raise mismatch()
    return range(*bounds)


def turns(source: range) -> int:
    """Length of a range; beyond 2^48 no gas is enough."""
    size = max(0, (source.stop - source.start + source.step - (1 if source.step > 0 else -1)) // source.step)
    if size > 2**48:
        raise Stop("OutOfGas")
    return size


def unpacked(value: Any, count: int) -> Any:
    if type(value) not in SEQUENCES + TEXTS:
        raise mismatch()
    if len(value) != count:
        raise bad_value()
    return value


def spread(meter: Meter, value: Any, before: int, after: int, more: int = 0) -> tuple[Any, ...]:
    """The right side of `a, *b, c = value`, for `more` gas."""
    if type(value) not in SEQUENCES + TEXTS:
        raise mismatch()
    if len(value) > L.items:
        raise bad_value()
    end = len(value) - after
    if end < before:
        raise bad_value()
    meter.spend(more + G.made + G.item * len(value))
    meter.items(len(value))
    return (*value[:before], list(value[before:end]), *value[end:])


def star(meter: Meter, parts: list[tuple[bool, Any]]) -> list[Any]:
    """Items of a display or call with stars."""
    found: list[Any] = []
    for starred, value in parts:
        found.extend(eager(meter, value) if starred else [value])
        if len(found) > L.items:
            raise bad_value()
    sized(meter, len(found))
    return found


def made(meter: Meter, result: Any) -> Any:
    """The result of a comprehension."""
    if len(result) > L.items:
        raise bad_value()
    if type(result) is not list:
        meter.spend(G.keyed * len(result))
    meter.items(0)
    return result
