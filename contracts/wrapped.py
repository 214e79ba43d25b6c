"""The builtins of the language, each wrapped: types checked, sizes bounded, work charged, lists for iterators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from contracts import keys
from contracts.faults import BadValue, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper, checked, is_number, numbers, size_of
from ledger.crypto import contract_address, sha256, verify

_NOTHING: Any = object()
_NUMBERS = frozenset((int, bool))
_BYTES = bytes


def build_wrapped(meter: Meter, base: dict[str, Helper]) -> dict[str, Helper]:
    """Builtins and free functions of the module API by name; `base` are the operators of the same meter."""
    return {
        **_sequences(meter, base),
        **_aggregates(meter, base),
        **_conversions(meter, base),
        **_integers(meter, base),
        **_hashes(meter),
    }


def _sequences(meter: Meter, base: dict[str, Helper]) -> dict[str, Helper]:
    eager = base["eager"]

    def length(value: Any) -> int:
        if type(value) not in (list, tuple, dict, set, str, bytes):
            raise TypeMismatch
        return len(value)

    def pairs(size: int) -> None:
        meter.spend(GAS.pairs + GAS.pair * size)
        meter.allocate(LIST_BYTES * size)

    def enumerate_(value: Any, start: Any = 0) -> list[Any]:
        if not is_number(type(start)):
            raise TypeMismatch
        items = eager(value)
        pairs(len(items))
        checked(start + len(items))
        return list(enumerate(items, start))

    def zip_(*values: Any, strict: Any = False) -> list[Any]:
        lists = [eager(value) for value in values]
        if strict and len(set(map(len, lists))) > 1:
            raise BadValue
        shortest = min(map(len, lists), default=0)
        pairs(shortest * max(1, len(lists)))
        return list(zip(*lists, strict=False))

    def reversed_(value: Any) -> list[Any]:
        if type(value) is dict:
            raise TypeMismatch
        items: list[Any] = eager(value)
        items.reverse()
        return items

    def map_(function: Callable[..., Any], *values: Any) -> list[Any]:
        lists = [eager(value) for value in values]
        if not lists:
            raise TypeMismatch
        meter.spend(GAS.listing + GAS.pair * min(map(len, lists)))
        return [function(*row) for row in zip(*lists, strict=False)]

    def filter_(function: Callable[..., Any] | None, value: Any) -> list[Any]:
        items = eager(value)
        meter.spend(GAS.listing)
        return [item for item in items if (item if function is None else function(item))]

    def ranged(*bounds: Any) -> list[int]:
        meter.spend(GAS.listing)
        return list(eager(base["range"](*bounds)))

    return {
        "len": length, "enumerate": enumerate_, "zip": zip_, "reversed": reversed_, "map": map_, "filter": filter_,
        "ranged": ranged,
    }  # fmt: skip


def _aggregates(meter: Meter, base: dict[str, Helper]) -> dict[str, Helper]:
    eager, sortable = base["eager"], base["sortable"]

    def keyed(items: list[Any], key: Any) -> list[Any]:
        """The sort keys of items, checked to have a total order and charged by size."""
        found = items if key is None else [key(item) for item in items]
        weight = size_of(meter, found)
        steps = max(1, len(found).bit_length())
        meter.spend(GAS.sort + (GAS.item * len(found) + weight) * steps // 2)
        for value in found:
            sortable(value)
        return found

    def sorted_(value: Any, key: Any = None, reverse: Any = False) -> list[Any]:
        if not is_number(type(reverse)):
            raise TypeMismatch
        reverse = bool(reverse)
        if type(value) is set:
            if key is not None:
                raise TypeMismatch
            meter.spend(GAS.item * len(value))
            meter.allocate(LIST_BYTES + ITEM_BYTES * len(value))
            items = keys.unwrap_all(value, meter)
        else:
            items = eager(value)
        found = keyed(items, key)
        if key is None:
            items.sort(reverse=reverse)
            return items
        order = sorted(range(len(items)), key=found.__getitem__, reverse=reverse)
        return [items[index] for index in order]

    def extreme(pick: Callable[..., Any], values: tuple[Any, ...], key: Any, default: Any) -> Any:
        if len(values) == 1:
            items = keys.unwrap_all(values[0], meter) if type(values[0]) is set and key is None else eager(values[0])
        else:
            items = list(values)
            if default is not _NOTHING:
                raise TypeMismatch
        if not items:
            if default is _NOTHING:
                raise BadValue
            return default
        found = keyed(items, key)
        if len(values) == 1 and type(values[0]) is set:
            # of items without a common order the first one that is seen would decide, and a set has no first one
            items.sort()
        return items[pick(range(len(items)), key=found.__getitem__)]

    def min_(*values: Any, key: Any = None, default: Any = _NOTHING) -> Any:
        if key is None and default is _NOTHING and len(values) > 1 and _NUMBERS.issuperset(map(type, values)):
            return min(values)
        return extreme(min, values, key, default)

    def max_(*values: Any, key: Any = None, default: Any = _NOTHING) -> Any:
        if key is None and default is _NOTHING and len(values) > 1 and _NUMBERS.issuperset(map(type, values)):
            return max(values)
        return extreme(max, values, key, default)

    def sum_(value: Any, start: Any = 0) -> Any:
        meter.spend(GAS.sum)
        if type(start) is list or type(start) is tuple:
            return functools.reduce(base["add"], eager(value), start)
        if type(value) is set:
            meter.spend(GAS.wide_sum * len(value))
            items = keys.unwrap_all(value, meter)
            items.sort()
        else:
            items = eager(value)
        kinds = set(map(type, items)) | {type(start)}
        if not kinds <= {int, bool}:
            raise TypeMismatch
        bound = max((abs(max(items)), abs(min(items))), default=0) if items else 0
        if abs(start) + bound * len(items) < LIMITS.int_high:
            return int(sum(items, start))
        meter.spend(GAS.wide_sum * len(items))
        return int(functools.reduce(lambda total, item: checked(total + item), items, start))

    def looked_at(value: Any) -> list[Any]:
        """The items for any and all, which may be those of a set: their order does not matter."""
        if type(value) is not set:
            found: list[Any] = eager(value)
            return found
        meter.spend(GAS.item * len(value))
        return keys.unwrap_all(value, meter)

    def any_(value: Any) -> bool:
        return any(looked_at(value))

    def all_(value: Any) -> bool:
        return all(looked_at(value))

    def begun() -> None:
        """`any` and `all` of a generator begin."""
        meter.spend(GAS.listing)

    return {
        "sorted": sorted_, "min": min_, "max": max_, "sum": sum_, "any": any_, "all": all_, "begun": begun,
        "anyof": lambda _, items: any(items), "allof": lambda _, items: all(items),
    }  # fmt: skip


def _conversions(meter: Meter, base: dict[str, Helper]) -> dict[str, Helper]:
    eager = base["eager"]

    def int_(value: Any = 0, /, base: Any = _NOTHING) -> int:
        if type(value) is not str:
            numbers(value, value)
            if base is not _NOTHING:
                raise TypeMismatch
            return int(value)
        number = 10 if base is _NOTHING else base
        if type(number) is not int or not (number == 0 or 2 <= number <= 36):
            raise BadValue
        if len(value) > 260 or not value.isascii():
            raise BadValue
        meter.spend(GAS.parse if number in (2, 8, 10, 16) else 2 * GAS.parse)
        text = value.strip()
        bare = text[1:] if text[:1] in ("+", "-") else text
        if not bare.replace("_", "").isalnum():
            raise BadValue
        return checked(int(text, number))

    def bool_(value: Any = False) -> bool:
        return bool(value)

    def bytes_(value: Any = b"") -> bytes:
        if type(value) is bytes:
            return value
        if is_number(type(value)):
            if not 0 <= value <= LIMITS.text:
                raise BadValue
            meter.spend(value // GAS.bytes_per_gas)
            meter.allocate(TEXT_BYTES + value)
            return bytes(value)
        items = eager(value)
        if not all(type(item) is int for item in items):
            raise TypeMismatch
        return bytes(items)

    def list_(value: Any = ()) -> list[Any]:
        return list(eager(value))

    def tuple_(value: Any = ()) -> tuple[Any, ...]:
        return tuple(eager(value))

    def dict_(value: Any = (), /, **named: Any) -> dict[Any, Any]:
        made = pairs_of(value)
        if named:
            meter.spend(GAS.pair * 2 * len(named))
            meter.allocate(2 * ITEM_BYTES * len(named))
            made.update(named)
        if len(made) > LIMITS.items:
            raise BadValue
        return made

    def fromkeys(value: Any, filled: Any = None, /) -> dict[Any, Any]:
        items = eager(value)
        meter.spend(GAS.helper + (GAS.pair + GAS.keyed) * len(items))
        meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(items))
        return {base["key"](item): filled for item in items}

    def pairs_of(value: Any) -> dict[Any, Any]:
        if type(value) is dict:
            meter.spend(2 * GAS.item * len(value))
            meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(value))
            return value.copy()
        made: dict[Any, Any] = {}
        rows = eager(value)
        pairs = (GAS.pair + GAS.keyed) * len(rows)
        meter.spend(pairs)
        for row in rows:
            if type(row) not in (tuple, list) or len(row) != 2:
                raise TypeMismatch
            meter.allocate(2 * ITEM_BYTES)
            made[base["key"](row[0])] = row[1]
        return made

    def set_(value: Any = ()) -> set[Any]:
        if type(value) is set:
            base["room"](len(value))
            return value.copy()
        items = eager(value)
        meter.spend(GAS.keyed * len(items))
        meter.allocate(ITEM_BYTES * len(items))
        return set(map(base["key"], items))

    def fromhex(text: Any) -> bytes:
        if type(text) is not str:
            raise TypeMismatch
        meter.spend(len(text) // GAS.scan_bytes_per_gas)
        meter.allocate(TEXT_BYTES + len(text))
        if not text.isascii() or not (text.isalnum() or not text):
            raise BadValue
        return bytes.fromhex(text)

    def from_bytes(bytes: Any, byteorder: Any = "big", signed: Any = False) -> int:
        if type(bytes) is not _BYTES or type(signed) is not bool:
            raise TypeMismatch
        if len(bytes) > 32 or byteorder not in ("big", "little"):
            raise BadValue
        return checked(int.from_bytes(bytes, byteorder, signed=signed))

    def ord_(text: Any) -> int:
        if type(text) is not str:
            raise TypeMismatch
        if len(text) != 1:
            raise BadValue
        return ord(text)

    def chr_(point: Any) -> str:
        numbers(point, point)
        if not 0 <= point < 0x110000 or 0xD800 <= point < 0xE000:
            raise BadValue
        return chr(point)

    return {
        "int": int_, "bool": bool_, "bytes": bytes_, "list": list_, "tuple": tuple_, "dictof": dict_,
        "setof": set_, "dict.fromkeys": fromkeys, "bytes.fromhex": fromhex, "int.from_bytes": from_bytes, "ord": ord_,
        "chr": chr_,
    }  # fmt: skip


def _integers(meter: Meter, base: dict[str, Helper]) -> dict[str, Helper]:
    power = base["pow"]

    def abs_(value: Any) -> int:
        numbers(value, value)
        return checked(abs(value))

    def divmod_(a: Any, b: Any) -> tuple[int, int]:
        numbers(a, b)
        meter.spend(GAS.text)
        return (checked(a // b), a % b)

    def pow_(base: Any, exp: Any, mod: Any = None) -> int:
        if mod is None:
            return int(power(base, exp))
        numbers(base, exp)
        numbers(mod, mod)
        if mod == 0:
            raise BadValue
        meter.spend(GAS.listing + 20 * max(1, int(exp).bit_length()))
        if exp < 0:
            meter.spend(10 * int(mod).bit_length())
        return pow(int(base), int(exp), int(mod))

    def mul_div(a: Any, b: Any, c: Any) -> int:
        """floor(a * b / c) with a product of full width."""
        numbers(a, b)
        numbers(c, c)
        meter.spend(GAS.mul_div)
        return checked(a * b // c)

    def instance_test(value: Any, names: tuple[str, ...]) -> bool:
        kind = type(value)
        return kind.__name__ in names or (kind is bool and "int" in names)

    return {"abs": abs_, "divmod": divmod_, "pow_": pow_, "mul_div": mul_div, "isinstance": instance_test}


def _hashes(meter: Meter) -> dict[str, Helper]:
    cache: dict[str, bytes] = {}

    def digest(data: Any) -> bytes:
        if type(data) is not bytes:
            raise TypeMismatch
        meter.spend(GAS.hash_base + GAS.hash_per_64_bytes * (len(data) // 64))
        meter.allocate(TEXT_BYTES + 32)
        return sha256(data)

    def address(name: Any) -> bytes:
        if type(name) is not str:
            raise TypeMismatch
        if not 0 < len(name) <= 64:
            raise BadValue
        meter.spend(GAS.hash_base)
        found = cache.get(name)
        if found is None:
            if len(cache) > 256:
                cache.clear()
            found = cache[name] = contract_address(name)
        return found

    def verified(public_key: Any, message: Any, signature: Any) -> bool:
        """RFC 8032 over the bare message, as meters and oracles outside sign; a key or signature of another length
        verifies nothing."""
        if not type(public_key) is type(message) is type(signature) is bytes:
            raise TypeMismatch
        meter.spend(GAS.verify + GAS.hash_per_64_bytes * (len(message) // 64))
        return verify(public_key, b"", message, signature)

    return {"sha256": digest, "contract_address": address, "verify_ed25519": verified}
