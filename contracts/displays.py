"""Displays, comprehensions and iteration: helpers that make new containers."""

from __future__ import annotations

from typing import Any

from contracts import keys
from contracts.faults import BadValue, OutOfGas, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, LOOP_GAS
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper, is_number

_TURNS = 2**48
_FAR = 2**60
_INTEGERS = frozenset((int,))


def packed(meter: Meter, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments that `*rest` takes, paid for."""
    meter.spend(GAS.made + GAS.item * len(values))
    meter.allocate(LIST_BYTES + ITEM_BYTES * len(values))
    return values


def build_displays(meter: Meter) -> dict[str, Helper]:
    """Helpers of one meter by name."""
    wrap = keys.make_new_key(meter)

    def room(size: int, per_item: int = 1) -> None:
        if size > LIMITS.items:
            raise BadValue
        meter.spend(GAS.item * size)
        meter.allocate(LIST_BYTES + ITEM_BYTES * per_item * size)

    def iterate(value: Any) -> Any:
        """What a for loop runs over. Sets have no order and are refused; dicts give a list of their keys."""
        kind = type(value)
        if kind is list or kind is tuple or kind is str or kind is range:
            return value
        if kind is bytes:
            return value
        if kind is dict:
            meter.spend(GAS.listing)
            room(len(value))
            return keys.unwrap_all(value, meter)
        raise TypeMismatch

    def eager(value: Any) -> list[Any]:
        """A new list of what iterating yields."""
        source = iterate(value)
        meter.spend(GAS.helper)
        if type(source) is range:
            span(source)
        if type(value) is not dict:
            room(len(source))
        return list(source)

    def span(source: range, longest: int = 0) -> int:
        """Length of a range, which may be longer than Python's `len` can say; beyond 2^48 the gas is out."""
        low, high, step = source.start, source.stop, source.step
        size = max(0, (high - low + step - (1 if step > 0 else -1)) // step)
        if size > _TURNS and not longest:
            raise OutOfGas
        return size

    def over(value: Any, gas: int, keep: int) -> Any:
        """A comprehension clause: gas for all its turns and room for what it keeps, before the first turn. It runs over
        the items that a list has now: turns that are added on the way would be free."""
        source = iterate(value)
        size = span(source) if type(source) is range else len(source)
        meter.spend((LOOP_GAS + gas) * size)
        meter.allocate(keep * size)
        return source[:] if type(source) is list else source

    def made(result: Any) -> Any:
        """The result of a comprehension, within the size limit."""
        if len(result) > LIMITS.items:
            raise BadValue
        if type(result) is not list:
            meter.spend(GAS.keyed * len(result))
        meter.allocate(LIST_BYTES)
        return result

    def range_(*bounds: Any) -> range:
        """range(...) as the source of a loop; lazy, and never a value."""
        if _INTEGERS.issuperset(map(type, bounds)) and min(bounds) > -_FAR and max(bounds) < _FAR:
            if len(bounds) < 3 or bounds[2]:
                return range(*bounds)
            raise BadValue
        if not 1 <= len(bounds) <= 3 or not all(is_number(type(bound)) for bound in bounds):
            raise TypeMismatch
        if len(bounds) == 3 and bounds[2] == 0:
            raise BadValue
        made = range(*bounds)
        if max(map(abs, bounds)) < _FAR:
            return made
        # no gas reaches beyond 2^48 turns; a nearer end keeps CPython on its fast iterator and changes nothing else
        return range(made.start, made.start + made.step * min(span(made, _TURNS), _TURNS), made.step)

    def dict_(*pairs: Any) -> dict[Any, Any]:
        return {wrap(key): value for key, value in pairs}

    def merged(*parts: tuple[Any, ...]) -> dict[Any, Any]:
        """A dict display with stars: (key, value), or (another dict,)."""
        found: dict[Any, Any] = {}
        for part in parts:
            if len(part) == 2:
                found[wrap(part[0])] = part[1]
                continue
            (more,) = part
            if type(more) is not dict:
                raise TypeMismatch
            meter.spend(GAS.listing + GAS.item * len(more))
            room(len(more), 2)
            found.update(more)
            if len(found) > LIMITS.items:
                raise BadValue
        return found

    def set_(*items: Any) -> set[Any]:
        return {wrap(item) for item in items}

    def star(*parts: Any) -> list[Any]:
        """Items of a display with stars: (starred?, value) pairs."""
        found: list[Any] = []
        for starred, value in parts:
            if starred:
                found.extend(eager(value))
            else:
                found.append(value)
            if len(found) > LIMITS.items:
                raise BadValue
        room(len(found))
        return found

    def packed_(*values: Any) -> tuple[Any, ...]:
        return packed(meter, values)

    return {
        "iter": iterate, "eager": eager, "over": over, "made": made, "range": range_, "dict": dict_, "merged": merged,
        "set": set_,
        "star": star, "packed": packed_, "room": room, "key": wrap,
    }  # fmt: skip
