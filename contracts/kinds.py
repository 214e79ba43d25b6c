"""Static kinds of values: what the compiler knows about an expression before it runs.

A kind is a promise about every value the expression can yield, so `ANY` is always right and merely slow. Integers carry
an interval; it decides where the 256-bit range check can be left out. Kinds never change what a program means or costs.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.limits import PYC1

LOW, HIGH = PYC1.int_low, PYC1.int_high - 1
U64_MAX = 2**64 - 1
U256_MAX = PYC1.int_high - 1
"""Stored `u256` values are non-negative and obey the width rule of the language, so the largest is 2^255-1."""
_HEAVIEST, _DEEPEST = 64, 12
"""Kinds inside a kind, and one in another, above which nothing is said of its items: a line that puts a tuple into a
tuple twice would double what there is to say, and a thousand functions that each add one could not be compared."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`tag`: any never none bool int str bytes list tuple dict set record. `items`: element kinds (list: one, tuple:
    each, dict: key, value). `low..high`: interval of an int, of the length of a text. `optional`: or None."""

    tag: str
    low: int = 0
    high: int = 0
    items: tuple[Kind, ...] = ()
    name: str = ""
    optional: bool = False
    weight: int = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        weight = depth = 1
        if self.items:
            weight += sum([item.weight for item in self.items])
            depth += max([item.depth for item in self.items])
        if weight > _HEAVIEST or depth > _DEEPEST:
            object.__setattr__(self, "items", ())
            weight = depth = 1
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "depth", depth)

    @property
    def number(self) -> bool:
        """An int or a bool, never None."""
        return self.tag in ("int", "bool") and not self.optional

    @property
    def scalar(self) -> bool:
        """A number or None: equality with anything costs nothing."""
        return self.tag in ("int", "bool", "none")


_STEP, _BASE, _COUNTED = 2**64, 2**128, 2**130

ANY = Kind("any")
NEVER = Kind("never")
NONE = Kind("none")
BOOL = Kind("bool", 0, 1)
INT = Kind("int", LOW, HIGH)
U64 = Kind("int", 0, U64_MAX)
U256 = Kind("int", 0, U256_MAX)
STR = Kind("str", 0, PYC1.text)
BYTES = Kind("bytes", 0, PYC1.text)
ADDRESS = Kind("bytes", 32, 32)
LIST = Kind("list")
DICT = Kind("dict")
SET = Kind("set")
TUPLE = Kind("tuple")


def interval(low: int, high: int) -> Kind:
    """The kind of integers low..high; both clipped to the language's width (a check raises beyond it)."""
    return Kind("int", max(low, LOW), min(high, HIGH))


def list_of(item: Kind) -> Kind:
    """A fresh list whose items are all of one kind."""
    return Kind("list", items=(item,))


def record_kind(name: str) -> Kind:
    """A value of the record declared under `name`."""
    return Kind("record", name=name)


def certain(kind: Kind) -> str:
    """The narrowest parameter type that takes every value of a kind as it is, of those that need no look at the value:
    "u64", "u256", "int", "bool", "Address"; else "any"."""
    if kind.optional:
        return "any"
    if kind.tag == "int":
        return "int" if kind.low < 0 else "u64" if kind.high <= U64_MAX else "u256"
    if kind.tag == "bytes" and kind.low == kind.high == ADDRESS.low:
        return "Address"
    return "bool" if kind.tag == "bool" else "any"


def optional(kind: Kind) -> Kind:
    """The kind, or None."""
    return kind if kind.tag in ("any", "none", "never") else replace(kind, optional=True)


def item_kind(kind: Kind) -> Kind:
    """What iterating over a value of this kind yields."""
    match kind.tag:
        case "list" | "dict" if kind.items:
            return kind.items[0]
        case "tuple" if kind.items:
            return join_all(kind.items)
        case "str":
            return Kind("str", 1, 1)
        case "bytes":
            return interval(0, 255)
        case _:
            return ANY


def join_all(kinds: tuple[Kind, ...]) -> Kind:
    """The narrowest kind that holds all of them."""
    joined = NEVER
    for kind in kinds:
        joined = join(joined, kind)
    return joined


def join(a: Kind, b: Kind) -> Kind:
    """The narrowest kind of this lattice that holds both."""
    if a is b or a == b or b.tag == "never":
        return a
    if a.tag == "never":
        return b
    if a.tag == "none":
        return optional(b)
    if b.tag == "none":
        return optional(a)
    maybe = a.optional or b.optional
    if a.tag != b.tag:
        return ANY
    match a.tag:
        case "int" | "bool" | "str" | "bytes":
            return Kind(a.tag, min(a.low, b.low), max(a.high, b.high), optional=maybe)
        case "record":
            return Kind("record", name=a.name, optional=maybe) if a.name == b.name else ANY
        case "list" | "dict":
            known = bool(a.items) and bool(b.items)
            items = tuple(join(x, y) for x, y in zip(a.items, b.items, strict=True)) if known else ()
            return Kind(a.tag, items=items, optional=maybe)
        case "tuple":
            same = len(a.items) == len(b.items)
            return Kind("tuple", items=tuple(map(join, a.items, b.items)) if same else (), optional=maybe)
        case "set":
            return Kind("set", optional=maybe)
        case _:
            return ANY


def widen(old: Kind, new: Kind) -> Kind:
    """Stop an ascending chain of intervals: a bound that still moves goes to the end of the range."""
    if new.tag == "int" and old.tag == "int" and old != new:
        low = new.low if new.low >= old.low else LOW if new.low < 0 else 0
        return Kind("int", low, new.high if new.high <= old.high else HIGH, optional=new.optional)
    if old.items and new.items and len(old.items) == len(new.items) and old.tag == new.tag:
        return replace(new, items=tuple(widen(x, y) for x, y in zip(old.items, new.items, strict=True)))
    return new


def counted(base: Kind, step: Kind) -> Kind | None:
    """What a variable can be that is only ever bound to something of `base`, or changed by something of `step`.

    Every change costs gas, of which there is less than 2^64, so it never gets far. None if base or step are too wide.
    """
    if not _whole(base, _BASE) or not _whole(step, _STEP):
        return None
    return Kind("int", base.low if step.low >= 0 else -_COUNTED, base.high if step.high <= 0 else _COUNTED)


def _whole(kind: Kind, bound: int) -> bool:
    return kind.tag == "int" and not kind.optional and -bound <= kind.low and kind.high <= bound


def settled(kind: Kind) -> Kind:
    """What stays certain once a value has a name: others may then change the items of a list or dict."""
    if kind.tag in ("list", "dict") and kind.items:
        return replace(kind, items=())
    if kind.tag == "tuple" and kind.items:
        items = tuple(map(settled, kind.items))
        return kind if all(map(operator.is_, items, kind.items)) else replace(kind, items=items)
    return kind


def kept(kind: Kind) -> Kind:
    """What stays certain of a container that one name owns: its items, but not what is inside them."""
    if kind.tag in ("list", "dict") and kind.items:
        return replace(kind, items=tuple(map(settled, kind.items)))
    return settled(kind)


def fits(kind: Kind, wanted: Kind) -> bool:
    """Whether every value of `kind` is certainly a value of `wanted` (an annotation)."""
    return join(wanted, kind) == wanted


def literal_kind(value: Any) -> Kind:
    """The kind of a constant."""
    match value:
        case None:
            return NONE
        case bool():
            return BOOL
        case int():
            return interval(value, value)
        case str():
            return Kind("str", len(value), len(value))
        case bytes():
            return Kind("bytes", len(value), len(value))
        case tuple():
            return Kind("tuple", items=tuple(map(literal_kind, value)))
        case list():
            return LIST
        case set():
            return SET
        case _:
            return DICT
