"""Guarded operations: what the compiler emits where types are not known. Each checks types, bounds, then works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from contracts.faults import (
    RESERVED_CODES,
    Assertion,
    BadValue,
    DepthExceeded,
    OutOfGas,
    OutOfMemory,
    Overflow,
    Reverted,
    TypeMismatch,
)
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter

LOW, HIGH = LIMITS.int_low, LIMITS.int_high
SEQUENCES = (list, tuple)
TEXTS = (str, bytes)
Helper = Callable[..., Any]
SCALARS = frozenset((int, bool, type(None)))


def checked(value: int) -> int:
    """The result of an integer operation, inside the width of the language."""
    if LOW <= value < HIGH:
        return value
    raise Overflow


def is_number(kind: type) -> bool:
    """int or bool, which arithmetic treats alike."""
    return kind is int or kind is bool


def numbers(a: Any, b: Any) -> None:
    """Refuse operands that are not both numbers."""
    if not (is_number(type(a)) and is_number(type(b))):
        raise TypeMismatch


def make_revert() -> Helper:
    """`revert("CODE", details)`."""

    def revert(code: Any, details: Any = None) -> None:
        if type(code) is not str or not valid_code(code):
            raise BadValue
        raise Reverted(code, details)

    return revert


def valid_code(code: str) -> bool:
    """Letters, digits and underscores, 1 to 64, no built-in code."""
    return (
        0 < len(code) <= LIMITS.code_chars
        and code.isascii()
        and code.replace("_", "a").isalnum()
        and code not in RESERVED_CODES
    )


def size_of(meter: Meter, value: Any, depth: int = 0) -> int:
    """Walk a value, charged as it goes: number of parts plus 1 per 64 bytes of text; bounded nesting."""
    kind = type(value)
    if kind is str or kind is bytes:
        return 1 + len(value) // 64
    if kind is list or kind is tuple:
        if depth >= LIMITS.nesting:
            raise BadValue
        meter.spend(GAS.walk * (6 + len(value)))
        if SCALARS.issuperset(map(type, value)):
            return 1 + len(value)
        return 1 + sum(size_of(meter, item, depth + 1) for item in value)
    if kind is dict:
        if depth >= LIMITS.nesting:
            raise BadValue
        meter.spend(GAS.walk * (8 + 2 * len(value)))
        kept = sum(size_of(meter, key, depth + 1) for key in value)
        return 1 + kept + sum(size_of(meter, item, depth + 1) for item in value.values())
    if kind is set:
        meter.spend(GAS.walk * 6 + (GAS.walk + GAS.item) * len(value))
        return 1 + sum(size_of(meter, item, depth + 1) for item in value)
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        meter.spend(GAS.walk * (6 + len(fields)))
        return 1 + sum(size_of(meter, getattr(value, name), depth + 1) for name in fields)
    return 1


def arithmetic(meter: Meter) -> dict[str, Helper]:
    """+ and * of integers, texts and sequences."""

    def add(a: Any, b: Any) -> Any:
        if type(a) is int and type(b) is int:
            result = a + b
            if LOW <= result < HIGH:
                return result
            raise Overflow
        kind = type(a)
        if is_number(kind) and is_number(type(b)):
            return checked(a + b)
        if kind is not type(b):
            raise TypeMismatch
        if kind in TEXTS:
            text_room(len(a) + len(b))
        elif kind in SEQUENCES:
            item_room(len(a) + len(b))
        else:
            raise TypeMismatch
        return a + b

    def text_room(size: int) -> None:
        if size > LIMITS.text:
            raise BadValue
        meter.spend(GAS.text + size // GAS.bytes_per_gas)
        meter.allocate(TEXT_BYTES + size)

    def item_room(size: int) -> None:
        if size > LIMITS.items:
            raise BadValue
        meter.spend(GAS.made + GAS.item * size)
        meter.allocate(LIST_BYTES + ITEM_BYTES * size)

    def mul(a: Any, b: Any) -> Any:
        if type(a) is int and type(b) is int:
            result = a * b
            if LOW <= result < HIGH:
                return result
            raise Overflow
        left, right = type(a), type(b)
        if is_number(left) and is_number(right):
            return checked(a * b)
        if is_number(left):
            a, b, left, right = b, a, right, left
        if not is_number(right):
            raise TypeMismatch
        if left in TEXTS:
            text_room(len(a) * max(b, 0))
        elif left in SEQUENCES:
            item_room(len(a) * max(b, 0))
        else:
            raise TypeMismatch
        return a * b

    return {"add": add, "mul": mul}


def integers(meter: Meter) -> dict[str, Helper]:
    """Operators of integers, and - of sets."""

    def sub(a: Any, b: Any) -> Any:
        if type(a) is int and type(b) is int:
            result = a - b
            if LOW <= result < HIGH:
                return result
            raise Overflow
        if type(a) is set and type(b) is set:
            meter.spend(GAS.merge * (len(a) + len(b)))
            meter.allocate(LIST_BYTES + ITEM_BYTES * len(a))
            return a - b
        numbers(a, b)
        return checked(a - b)

    def floordiv(a: Any, b: Any) -> Any:
        if type(a) is int and type(b) is int:
            return checked(a // b)
        numbers(a, b)
        return checked(a // b)

    def mod(a: Any, b: Any) -> Any:
        numbers(a, b)
        return a % b

    def neg(a: Any) -> Any:
        numbers(a, a)
        return checked(-a)

    def pos(a: Any) -> Any:
        numbers(a, a)
        return +a

    def invert(a: Any) -> Any:
        numbers(a, a)
        return -1 - a

    return {"sub": sub, "floordiv": floordiv, "mod": mod, "neg": neg, "pos": pos, "invert": invert, "chk": checked}


def powers(_: Meter) -> dict[str, Helper]:
    """Powers and shifts of integers."""

    def power(a: Any, b: Any) -> Any:
        numbers(a, b)
        if b < 0:
            raise BadValue
        if a in (0, 1, -1):
            return int(a) if b % 2 or a == 1 else int(b == 0 or a == -1)
        if (abs(a).bit_length() - 1) * b > 256:
            raise Overflow
        return checked(a**b)

    def lshift(a: Any, b: Any) -> Any:
        numbers(a, b)
        if b < 0:
            raise BadValue
        if a == 0:
            return 0
        if a.bit_length() + b > 256:
            raise Overflow
        return checked(a << b)

    def rshift(a: Any, b: Any) -> Any:
        numbers(a, b)
        if b < 0:
            raise BadValue
        return a >> min(b, 512)

    return {"pow": power, "lshift": lshift, "rshift": rshift}


def bits(meter: Meter) -> dict[str, Helper]:
    """Bit operators of integers and sets; `|` of dicts."""

    def sets(a: Any, b: Any) -> bool:
        if type(a) is set and type(b) is set:
            size = len(a) + len(b)
            if size > LIMITS.items:
                raise BadValue
            meter.spend(GAS.merge * size)
            meter.allocate(LIST_BYTES + ITEM_BYTES * size)
            return True
        numbers(a, b)
        return False

    def bitor(a: Any, b: Any) -> Any:
        if type(a) is dict and type(b) is dict:
            size = len(a) + len(b)
            if size > LIMITS.items:
                raise BadValue
            meter.spend(GAS.listing + GAS.merge * size)
            meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * size)
            return a | b
        sets(a, b)
        return a | b

    def bitand(a: Any, b: Any) -> Any:
        sets(a, b)
        return a & b

    def bitxor(a: Any, b: Any) -> Any:
        sets(a, b)
        return a ^ b

    return {"bitor": bitor, "bitand": bitand, "bitxor": bitxor}


def failures(meter: Meter) -> dict[str, Helper]:
    """What emitted code calls to fail, and the depth counter."""

    def out_of_gas() -> None:
        raise OutOfGas

    def out_of_memory() -> None:
        raise OutOfMemory

    def overflow() -> None:
        raise Overflow

    def mismatch() -> None:
        raise TypeMismatch

    def assertion() -> None:
        raise Assertion

    def too_deep() -> None:
        raise DepthExceeded

    revert = make_revert()

    def require(condition: Any, code: Any, details: Any = None) -> None:
        if not condition:
            revert(code, details)

    return {
        "oog": out_of_gas, "oom": out_of_memory, "ovf": overflow, "mismatch": mismatch, "assertion": assertion,
        "deep": too_deep, "revert": revert, "require": require,
    }  # fmt: skip


def build_operators(meter: Meter) -> dict[str, Helper]:
    """All guarded operations of one meter by their helper name (without the `$`)."""
    groups = (arithmetic, integers, powers, bits, failures)
    return {name: helper for group in groups for name, helper in group(meter).items()}
