"""Methods of sets. What they make is a set or a truth, so that no order of a set can be seen."""

# ruff: noqa: D102  # a method is named after the Python method that it stands for; it checks, charges and does it

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import keys
from contracts.faults import BadValue
from contracts.limits import ITEM_BYTES, LIST_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper, size_of


class SetMethods:
    """set; items are kept wrapped (`contracts.keys`). Other operands may be anything that `set(...)` takes."""

    def __init__(self, meter: Meter, base: Mapping[str, Helper]) -> None:
        self.meter = meter
        self.base = base
        self.wrap = keys.make_wrap(meter)
        self.wrap_new = keys.make_wrap_new(meter)

    def add(self, items: set[Any], value: Any) -> None:
        self.meter.spend(GAS.helper + GAS.text)
        kept = self.wrap_new(value)
        size = len(items)
        if size >= LIMITS.items and kept not in items:
            raise BadValue
        items.add(kept)
        if len(items) != size:
            self.meter.allocate(keys.entry_bytes(kept))

    def discard(self, items: set[Any], value: Any) -> None:
        self.meter.spend(GAS.helper + GAS.text)
        items.discard(self.wrap(value))
        keys.tidied(items)

    def remove(self, items: set[Any], value: Any) -> None:
        self.meter.spend(GAS.helper + GAS.text)
        items.remove(self.wrap(value))
        keys.tidied(items)

    def other(self, value: Any) -> set[Any]:
        found: set[Any] = value if type(value) is set else self.base["setof"](value)
        return found

    def both(self, items: set[Any], other: set[Any]) -> None:
        """Charge for a new set of at most all items of two."""
        size = len(items) + len(other)
        if size > LIMITS.items:
            raise BadValue
        self.meter.spend(GAS.listing + GAS.merge * size)
        self.meter.allocate(LIST_BYTES + ITEM_BYTES * size)

    def union(self, items: set[Any], *others: Any) -> set[Any]:
        for value in others or (set(),):
            other = self.other(value)
            self.both(items, other)
            items = items | other
        return items

    def intersection(self, items: set[Any], *others: Any) -> set[Any]:
        for value in others or (items,):
            other = self.other(value)
            self.both(items, other)
            items = items & other
        return items

    def difference(self, items: set[Any], *others: Any) -> set[Any]:
        for value in others or (set(),):
            other = self.other(value)
            self.both(items, other)
            items = items - other
        return items

    def symmetric_difference(self, items: set[Any], value: Any, /) -> set[Any]:
        other = self.other(value)
        self.both(items, other)
        return items ^ other

    def update(self, items: set[Any], *others: Any) -> None:
        for value in others:
            other = self.other(value)
            self.meter.spend(GAS.listing + GAS.update * len(other))
            size = len(items)
            if size + len(other) > LIMITS.items:
                self.meter.spend(GAS.update * len(other))
                if size + len(other - items) > LIMITS.items:
                    raise BadValue
            items.update(other)
            self.meter.allocate(ITEM_BYTES * (len(items) - size))

    def compared(self, items: set[Any], value: Any) -> set[Any]:
        other = self.other(value)
        self.meter.spend(GAS.helper + GAS.item * (len(items) + len(other)))
        self.meter.spend(size_of(self.meter, items) + size_of(self.meter, other))
        return other

    def issubset(self, items: set[Any], value: Any, /) -> bool:
        return items <= self.compared(items, value)

    def issuperset(self, items: set[Any], value: Any, /) -> bool:
        return items >= self.compared(items, value)

    def isdisjoint(self, items: set[Any], value: Any, /) -> bool:
        return items.isdisjoint(self.compared(items, value))

    def copy(self, items: set[Any]) -> set[Any]:
        self.meter.spend(GAS.listing + 2 * GAS.item * len(items))
        self.meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(items))
        return items.copy()

    def clear(self, items: set[Any]) -> None:
        self.meter.spend(GAS.helper + GAS.item * len(items))
        items.clear()

    def table(self) -> dict[str, Helper]:
        names = (
            "add", "discard", "remove", "union", "intersection", "difference", "symmetric_difference", "update",
            "issubset", "issuperset", "isdisjoint", "copy", "clear",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}
