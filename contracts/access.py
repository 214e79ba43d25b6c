"""Guarded comparisons and item access: total orders only, walked sizes charged, dict keys wrapped."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts import keys
from contracts.faults import BadValue, OutOfGas, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES, search_gas
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import SCALARS, SEQUENCES, TEXTS, Helper, is_number, size_of


def comparing(meter: Meter) -> dict[str, Helper]:
    """Comparisons and membership."""
    wrap = keys.make_wrap(meter)

    def weigh(a: Any, b: Any) -> None:
        """Charge a comparison: nothing for scalars, the walked sizes for containers, the length for texts."""
        kind = type(a)
        if kind is not type(b):
            return
        if kind is str or kind is bytes:
            if len(a) == len(b):
                meter.spend(len(a) // 64)
        elif kind in (list, tuple, dict, set) or isinstance(a, msgspec.Struct):
            meter.spend(size_of(meter, a) + size_of(meter, b))

    def eq(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind not in SCALARS and not (kind in TEXTS and len(a) < 64):
            weigh(a, b)
        return a == b

    def ne(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind not in SCALARS and not (kind in TEXTS and len(a) < 64):
            weigh(a, b)
        return a != b

    per_64 = GAS.order_per_64

    def ordered(a: Any, b: Any) -> None:
        left, right = type(a), type(b)
        if left is right and (left is str or left is bytes):
            size, other = len(a), len(b)
            meter.gas -= per_64 * ((size if size < other else other) // 64)
            if meter.gas < 0:
                raise OutOfGas
            return
        if is_number(left) and is_number(right):
            return
        if left is set and right is set:
            # by inclusion; inside sequences it would be no total order
            meter.spend(GAS.helper + GAS.item * (len(a) + len(b)))
            meter.spend(size_of(meter, a) + size_of(meter, b))
            return
        if left is not right or left not in (list, tuple):
            raise TypeMismatch
        meter.spend(GAS.order + GAS.item * (len(a) + len(b)) + size_of(meter, a) + size_of(meter, b))
        sortable(a)
        sortable(b)

    def sortable(value: Any) -> None:
        """Refuse what has no total order: sets inside sequences compare by inclusion."""
        pending = [value]
        while pending:
            item = pending.pop()
            if type(item) in SEQUENCES:
                pending.extend(item)
            elif type(item) not in (int, bool, str, bytes):
                raise TypeMismatch

    def lt(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind is not type(b) or (kind is not int and (kind not in TEXTS or len(a) >= 64)):
            ordered(a, b)
        return a < b

    def le(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind is not type(b) or (kind is not int and (kind not in TEXTS or len(a) >= 64)):
            ordered(a, b)
        return a <= b

    def gt(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind is not type(b) or (kind is not int and (kind not in TEXTS or len(a) >= 64)):
            ordered(a, b)
        return a > b

    def ge(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind is not type(b) or (kind is not int and (kind not in TEXTS or len(a) >= 64)):
            ordered(a, b)
        return a >= b

    def contains(a: Any, b: Any) -> bool:
        """`a in b`."""
        kind = type(b)
        if kind is dict or kind is set:
            meter.spend(GAS.text)
            return wrap(a) in b
        if kind is list or kind is tuple:
            meter.spend(size_of(meter, b) + size_of(meter, a) * (len(b) if type(a) not in (int, bool) else 1))
            return a in b
        if (kind is str and type(a) is str) or (kind is bytes and type(a) is bytes):
            meter.spend(search_gas(b, a))
            return a in b
        raise TypeMismatch

    return {
        "eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge, "in": contains,
        "notin": lambda a, b: not contains(a, b), "sortable": sortable,
    }  # fmt: skip


def access(meter: Meter) -> dict[str, Helper]:
    """Items, slices, record fields, unpacking."""
    return {**_items(meter), **_slices(meter), **_parts(meter)}


def _items(meter: Meter) -> dict[str, Helper]:
    wrap, wrap_new = keys.make_wrap(meter), keys.make_wrap_new(meter)

    def getitem(a: Any, b: Any) -> Any:
        kind = type(a)
        if (kind is list or kind is tuple) and type(b) is int:
            return a[b]
        if kind is dict:
            return a[wrap(b)]
        if kind not in (list, tuple, str, bytes) or not is_number(type(b)):
            raise TypeMismatch
        return a[b]

    def setitem(value: Any, a: Any, b: Any) -> None:
        """`a[b] = value`; arguments in the order in which Python evaluates them."""
        kind = type(a)
        if kind is dict:
            meter.spend(GAS.helper)
            key = wrap_new(b)
            size = len(a)
            if size >= LIMITS.items and key not in a:
                meter.allocate(keys.entry_bytes(key))
                raise BadValue
            a[key] = value
            if len(a) != size:
                meter.allocate(keys.entry_bytes(key))
        elif kind is list and is_number(type(b)):
            a[b] = value
        else:
            raise TypeMismatch

    def delitem(a: Any, b: Any) -> None:
        kind = type(a)
        if kind is dict:
            meter.spend(GAS.helper)
            del a[wrap(b)]
            keys.tidied(a)
        elif kind is list and is_number(type(b)):
            meter.spend(GAS.helper + len(a) // 16)
            del a[b]
        else:
            raise TypeMismatch

    return {"getitem": getitem, "setitem": setitem, "delitem": delitem}


def _slices(meter: Meter) -> dict[str, Helper]:
    def size_between(a: Any, low: Any, high: Any, step: Any) -> int:
        """How many items a slice has."""
        for bound in (low, high, step):
            if bound is not None and type(bound) is not int and type(bound) is not bool:
                raise TypeMismatch
        return len(range(*slice(low, high, step).indices(len(a))))

    def part(a: Any, low: Any, high: Any, step: Any) -> Any:
        """`a[low:high:step]`."""
        kind = type(a)
        if kind not in (list, tuple, str, bytes):
            raise TypeMismatch
        size = size_between(a, low, high, step)
        if kind in TEXTS:
            meter.spend(
                GAS.slice + size // (GAS.bytes_per_gas if step is None or step == 1 else GAS.scan_bytes_per_gas)
            )
            meter.allocate(TEXT_BYTES + size)
        else:
            meter.spend(GAS.slice + GAS.item * size)
            meter.allocate(LIST_BYTES + ITEM_BYTES * size)
        return a[low:high:step]

    def moved(a: Any, low: Any, high: Any, step: Any) -> int:
        """Charge for taking a slice out of a list; how many items it has."""
        if type(a) is not list:
            raise TypeMismatch
        size = size_between(a, low, high, step)
        meter.spend(GAS.pairs + GAS.item * size + len(a) // 16)
        return size

    def setslice(value: Any, a: Any, low: Any, high: Any, step: Any) -> None:
        """`a[low:high:step] = value`, which is copied first: it may be `a` itself."""
        if type(a) is not list:
            raise TypeMismatch
        items = copied(value)
        size = moved(a, low, high, step)
        if step is not None and step != 1 and len(items) != size:
            raise BadValue
        if len(a) - size + len(items) > LIMITS.items:
            raise BadValue
        meter.allocate(ITEM_BYTES * max(0, len(items) - size))
        a[low:high:step] = items

    def copied(value: Any) -> Any:
        """What is put into a slice."""
        source = keys.unwrap_all(value, meter) if type(value) is dict else value
        if type(source) not in (list, tuple, str, bytes):
            raise TypeMismatch
        meter.spend(GAS.helper + GAS.item * len(source))
        meter.allocate(LIST_BYTES + ITEM_BYTES * len(source))
        return list(source)

    def delslice(a: Any, low: Any, high: Any, step: Any) -> None:
        """`del a[low:high:step]`."""
        moved(a, low, high, step)
        del a[low:high:step]

    return {"slice": part, "setslice": setslice, "delslice": delslice}


def _parts(meter: Meter) -> dict[str, Helper]:
    def attribute(a: Any, name: str) -> Any:
        """A record field of a value whose type is not known."""
        if not isinstance(a, msgspec.Struct) or name not in a.__struct_fields__:
            raise TypeMismatch
        value = getattr(a, name)
        return opened(value) if type(value) is tuple else value

    def opened(value: Any) -> Any:
        """A list field as a fresh list: records keep tuples."""
        if type(value) is not tuple:
            return value
        meter.spend(GAS.item * len(value))
        meter.allocate(LIST_BYTES + ITEM_BYTES * len(value))
        return [opened(item) for item in value]

    def unpack(value: Any, count: int) -> Any:
        """The right side of `a, b = value`."""
        kind = type(value)
        if kind not in (list, tuple, str, bytes):
            raise TypeMismatch
        if len(value) != count:
            raise BadValue
        return value

    def spread(value: Any, before: int, after: int) -> Any:
        """The right side of `a, *b, c = value`, as a tuple."""
        if type(value) not in (list, tuple, str, bytes):
            raise TypeMismatch
        if len(value) > LIMITS.items:
            raise BadValue
        end = len(value) - after
        if end < before:
            raise BadValue
        meter.spend(GAS.made + GAS.item * len(value))
        meter.allocate(LIST_BYTES + ITEM_BYTES * len(value))
        return (*value[:before], list(value[before:end]), *value[end:])

    def boolean(value: Any) -> bool:
        return bool(value)

    return {"attr": attribute, "opened": opened, "unpack": unpack, "spread": spread, "bool": boolean}
