"""Guarded operations: what the compiler emits where it does not know the types. Each checks types, bounds, then works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from contracts import keys
from contracts.faults import (
    RESERVED_CODES,
    Assertion,
    BadValue,
    DepthExceeded,
    IndexRange,
    OutOfGas,
    OutOfMemory,
    Overflow,
    Reverted,
    TypeMismatch,
)
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter

LOW, HIGH = LIMITS.int_low, LIMITS.int_high
_SEQUENCES = (list, tuple)
_TEXTS = (str, bytes)
Helper = Callable[..., Any]


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


def make_revert(meter: Meter) -> Helper:
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
    """Walk a value, charged as it goes: number of parts plus 1 per 64 bytes of text. Refuses nesting above the limit."""
    kind = type(value)
    if kind is str or kind is bytes:
        return 1 + len(value) // 64
    if kind is list or kind is tuple:
        if depth >= LIMITS.nesting:
            raise BadValue
        meter.spend(GAS.item * len(value))
        return 1 + sum(size_of(meter, item, depth + 1) for item in value)
    if kind is dict:
        if depth >= LIMITS.nesting:
            raise BadValue
        meter.spend(2 * GAS.item * len(value))
        kept = sum(size_of(meter, key, depth + 1) for key in value)
        return 1 + kept + sum(size_of(meter, item, depth + 1) for item in value.values())
    if kind is set:
        meter.spend(GAS.item * len(value))
        return 1 + sum(size_of(meter, item, depth + 1) for item in value)
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        meter.spend(GAS.item * len(fields))
        return 1 + sum(size_of(meter, getattr(value, name), depth + 1) for name in fields)
    return 1


def arithmetic(meter: Meter) -> dict[str, Helper]:
    def add(a: Any, b: Any) -> Any:
        kind = type(a)
        if is_number(kind) and is_number(type(b)):
            return checked(a + b)
        if kind is not type(b):
            raise TypeMismatch
        if kind in _TEXTS:
            text_room(len(a) + len(b))
        elif kind in _SEQUENCES:
            item_room(len(a) + len(b))
        else:
            raise TypeMismatch
        return a + b

    def text_room(size: int) -> None:
        if size > LIMITS.text:
            raise BadValue
        meter.spend(size // GAS.bytes_per_gas)
        meter.allocate(TEXT_BYTES + size)

    def item_room(size: int) -> None:
        if size > LIMITS.items:
            raise BadValue
        meter.spend(GAS.item * size)
        meter.allocate(LIST_BYTES + ITEM_BYTES * size)

    def mul(a: Any, b: Any) -> Any:
        left, right = type(a), type(b)
        if is_number(left) and is_number(right):
            return checked(a * b)
        if is_number(left):
            a, b, left, right = b, a, right, left
        if not is_number(right):
            raise TypeMismatch
        if left in _TEXTS:
            text_room(len(a) * max(b, 0))
        elif left in _SEQUENCES:
            item_room(len(a) * max(b, 0))
        else:
            raise TypeMismatch
        return a * b

    def sub(a: Any, b: Any) -> Any:
        if type(a) is set and type(b) is set:
            meter.spend(GAS.item * (len(a) + len(b)))
            meter.allocate(LIST_BYTES + ITEM_BYTES * len(a))
            return a - b
        numbers(a, b)
        return checked(a - b)

    def floordiv(a: Any, b: Any) -> Any:
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

    return {
        "add": add, "mul": mul, "sub": sub, "floordiv": floordiv, "mod": mod, "neg": neg, "pos": pos, "invert": invert,
        "pow": power, "lshift": lshift, "rshift": rshift, "chk": checked,
    }  # fmt: skip


def bits(meter: Meter) -> dict[str, Helper]:
    def sets(a: Any, b: Any) -> bool:
        if type(a) is set and type(b) is set:
            size = len(a) + len(b)
            if size > LIMITS.items:
                raise BadValue
            meter.spend(GAS.item * size)
            meter.allocate(LIST_BYTES + ITEM_BYTES * size)
            return True
        numbers(a, b)
        return False

    def bitor(a: Any, b: Any) -> Any:
        sets(a, b)
        return a | b

    def bitand(a: Any, b: Any) -> Any:
        sets(a, b)
        return a & b

    def bitxor(a: Any, b: Any) -> Any:
        sets(a, b)
        return a ^ b

    return {"bitor": bitor, "bitand": bitand, "bitxor": bitxor}


def comparing(meter: Meter) -> dict[str, Helper]:
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

    def eq(a: Any, b: Any) -> bool:
        weigh(a, b)
        return bool(a == b)

    def ne(a: Any, b: Any) -> bool:
        weigh(a, b)
        return bool(a != b)

    def ordered(a: Any, b: Any) -> None:
        left, right = type(a), type(b)
        if is_number(left) and is_number(right):
            return
        if left is not right or left not in (str, bytes, list, tuple):
            raise TypeMismatch
        if left in _TEXTS:
            meter.spend(min(len(a), len(b)) // 64)
            return
        meter.spend(size_of(meter, a) + size_of(meter, b))
        sortable(a)
        sortable(b)

    def sortable(value: Any) -> None:
        """Refuse what has no total order: sets inside sequences compare by inclusion."""
        pending = [value]
        while pending:
            item = pending.pop()
            if type(item) in _SEQUENCES:
                pending.extend(item)
            elif type(item) not in (int, bool, str, bytes):
                raise TypeMismatch

    def lt(a: Any, b: Any) -> bool:
        ordered(a, b)
        return bool(a < b)

    def le(a: Any, b: Any) -> bool:
        ordered(a, b)
        return bool(a <= b)

    def gt(a: Any, b: Any) -> bool:
        ordered(a, b)
        return bool(a > b)

    def ge(a: Any, b: Any) -> bool:
        ordered(a, b)
        return bool(a >= b)

    def contains(a: Any, b: Any) -> bool:
        """`a in b`."""
        kind = type(b)
        if kind is dict or kind is set:
            return keys.wrap(a) in b
        if kind is list or kind is tuple:
            meter.spend(size_of(meter, b) + size_of(meter, a) * (len(b) if type(a) not in (int, bool) else 1))
            return a in b
        if (kind is str and type(a) is str) or (kind is bytes and type(a) is bytes):
            meter.spend((len(a) + len(b)) // 16)
            return a in b
        raise TypeMismatch

    return {
        "eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge, "in": contains,
        "notin": lambda a, b: not contains(a, b), "sortable": sortable,
    }  # fmt: skip


def access(meter: Meter) -> dict[str, Helper]:
    def getitem(a: Any, b: Any) -> Any:
        kind = type(a)
        if kind is dict:
            return a[keys.wrap(b)]
        if kind not in (list, tuple, str, bytes) or not is_number(type(b)):
            raise TypeMismatch
        return a[b]

    def setitem(value: Any, a: Any, b: Any) -> None:
        """`a[b] = value`; arguments in the order in which Python evaluates them."""
        kind = type(a)
        if kind is dict:
            key = keys.wrap(b)
            if key not in a:
                meter.allocate(2 * ITEM_BYTES)
                if len(a) >= LIMITS.items:
                    raise BadValue
            a[key] = value
        elif kind is list and is_number(type(b)):
            a[b] = value
        else:
            raise TypeMismatch

    def delitem(a: Any, b: Any) -> None:
        kind = type(a)
        if kind is dict:
            del a[keys.wrap(b)]
        elif kind is list and is_number(type(b)):
            meter.spend(len(a) // 16)
            del a[b]
        else:
            raise TypeMismatch

    def part(a: Any, low: Any, high: Any, step: Any) -> Any:
        """`a[low:high:step]`."""
        kind = type(a)
        if kind not in (list, tuple, str, bytes):
            raise TypeMismatch
        if any(bound is not None and not is_number(type(bound)) for bound in (low, high, step)):
            raise TypeMismatch
        size = len(range(*slice(low, high, step).indices(len(a))))
        texts = kind in _TEXTS
        meter.spend(size // GAS.bytes_per_gas if texts else GAS.item * size)
        meter.allocate(TEXT_BYTES + size if texts else LIST_BYTES + ITEM_BYTES * size)
        return a[low:high:step]

    def attribute(a: Any, name: str) -> Any:
        """A record field of a value whose type is not known."""
        if not isinstance(a, msgspec.Struct) or name not in a.__struct_fields__:
            raise TypeMismatch
        return opened(getattr(a, name))

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
        if kind not in (list, tuple):
            raise TypeMismatch
        if len(value) != count:
            raise BadValue
        return value

    def boolean(value: Any) -> bool:
        return bool(value)

    return {
        "getitem": getitem, "setitem": setitem, "delitem": delitem, "slice": part, "attr": attribute, "opened": opened,
        "unpack": unpack, "bool": boolean,
    }  # fmt: skip


def failures(meter: Meter) -> dict[str, Helper]:
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

    def index() -> None:
        raise IndexRange

    def enter() -> None:
        """Entry into a function of a contract that recurses."""
        meter.depth += 1
        if meter.depth > LIMITS.function_depth:
            raise DepthExceeded

    revert = make_revert(meter)

    def require(condition: Any, code: Any, details: Any = None) -> None:
        if not condition:
            revert(code, details)

    return {
        "oog": out_of_gas, "oom": out_of_memory, "ovf": overflow, "mismatch": mismatch, "assertion": assertion, "index": index,
        "enter": enter, "revert": revert, "require": require,
    }  # fmt: skip


def build_operators(meter: Meter) -> dict[str, Helper]:
    """All guarded operations of one meter by their helper name (without the `$`)."""
    groups = (arithmetic, bits, comparing, access, failures)
    return {name: helper for group in groups for name, helper in group(meter).items()}
