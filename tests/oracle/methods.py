"""Methods of values: docs/gas.md, section 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.limits import ITEM_BYTES, search_gas, strip_gas
from oracle.callables import ABSENT, Builtins
from oracle.failures import Failure, bad_value, mismatch
from oracle.further import Further, numbers, texts
from oracle.gas import G, L, Meter
from oracle.operators import TEXTS
from oracle.values import entry_key, entry_room, key, keys_of, walk

SPACE = " \n\t\r\x0b\x0c"
TABLE: dict[type, frozenset[str]] = {
    str: frozenset(
        [
            "strip",
            "lstrip",
            "rstrip",
            "lower",
            "upper",
            "split",
            "join",
            "replace",
            "startswith",
            "endswith",
            "find",
            "count",
            "isdigit",
            "encode",
            "rfind",
            "index",
            "rindex",
            "rsplit",
            "partition",
            "rpartition",
            "splitlines",
            "title",
            "capitalize",
            "swapcase",
            "ljust",
            "rjust",
            "center",
            "zfill",
            "removeprefix",
            "removesuffix",
            "isalpha",
            "isalnum",
            "isupper",
            "islower",
            "isspace",
            "isascii",
        ]
    ),
    bytes: frozenset(["hex", "decode", "startswith", "endswith", "find", "count", "index", "rfind", "rindex"]),
    list: frozenset(
        ["append", "extend", "insert", "remove", "pop", "sort", "reverse", "index", "count", "copy", "clear"]
    ),
    tuple: frozenset(("index", "count")),
    dict: frozenset(["get", "items", "keys", "values", "pop", "popitem", "setdefault", "update", "copy", "clear"]),
    set: frozenset(
        [
            "add",
            "discard",
            "remove",
            "union",
            "intersection",
            "difference",
            "symmetric_difference",
            "update",
            "issubset",
            "issuperset",
            "isdisjoint",
            "copy",
            "clear",
        ]
    ),
    int: frozenset(("to_bytes", "bit_length", "bit_count")),
    bool: frozenset(("to_bytes", "bit_length", "bit_count")),
}


class Methods(Further):
    """`<type>_<name>` for each method; texts and bytes share `text_`, int and bool `int_`, list and tuple `list_`."""

    def __init__(self, meter: Meter, builtins: Builtins) -> None:
        self.meter = meter
        self.builtins = builtins

    def call(self, target: Any, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        kind = type(target)
        if name not in TABLE.get(kind, frozenset()):
            raise mismatch()
        family = {str: "text", bytes: "text", tuple: "list", bool: "int"}.get(kind, kind.__name__)
        if kind is dict and name == "copy":
            family = "set"
        return getattr(self, f"{family}_{name}")(target, *arguments, **named)

    # texts

    def made(self, size: int) -> None:
        if size > L.text:
            raise bad_value()
        self.meter.spend(G.made + size // G.bytes_per_gas)
        self.meter.text(size)

    def scanned(self, text: Any) -> None:
        self.meter.spend(G.scanned + len(text) // G.scan_bytes_per_gas)
        self.made(len(text))

    def stripped(self, text: str, chars: Any, strip: Callable[[str, str], str]) -> str:
        chars = SPACE if chars is None else chars
        texts(chars)
        if len(chars) > L.strip_chars:
            raise bad_value()
        self.meter.spend(strip_gas(text, chars))
        self.made(len(text))
        return strip(text, chars)

    def text_strip(self, text: str, chars: Any = None) -> str:
        return self.stripped(text, chars, str.strip)

    def text_lstrip(self, text: str, chars: Any = None) -> str:
        return self.stripped(text, chars, str.lstrip)

    def text_rstrip(self, text: str, chars: Any = None) -> str:
        return self.stripped(text, chars, str.rstrip)

    def text_lower(self, text: str) -> str:
        self.scanned(text)
        return "".join(char.lower() if "A" <= char <= "Z" else char for char in text)

    def text_upper(self, text: str) -> str:
        self.scanned(text)
        return "".join(char.upper() if "a" <= char <= "z" else char for char in text)

    def text_split(self, text: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        numbers(maxsplit)
        if sep is None:
            self.scanned(text)
            if not text.isascii():
                self.scanned(text)
                if any(char > "\x7f" and char.isspace() for char in text):
                    raise bad_value()
            most = len(text) // 2 + 1
        else:
            texts(sep)
            if not sep:
                raise bad_value()
            self.made(len(text))
            self.meter.spend(search_gas(text, sep, repeated=True))
            most = text.count(sep) + 1
        count = most if maxsplit < 0 else min(most, maxsplit + 1)
        if count > L.items:
            raise bad_value()
        self.meter.spend(G.made + G.item * count)
        self.meter.items(count)
        return text.split(sep, maxsplit)

    def text_join(self, text: str, parts: Any) -> str:
        if type(parts) is dict:
            parts = keys_of(self.meter, parts)
        if type(parts) not in (list, tuple, str):
            raise mismatch()
        self.meter.spend(G.helper + G.item * len(parts))
        texts(*parts)
        self.made(sum(map(len, parts)) + len(text) * max(0, len(parts) - 1))
        return text.join(parts)

    def text_replace(self, text: str, old: Any, new: Any, count: Any = -1) -> str:
        texts(old, new)
        numbers(count)
        self.made(len(text))
        self.meter.spend(search_gas(text, old, repeated=True))
        found = text.count(old) if old else len(text) + 1
        self.meter.spend(G.match * found)
        if count >= 0:
            found = min(found, count)
        self.made(len(text) + found * (len(new) - len(old)))
        return text.replace(old, new, count)

    def same(self, text: Any, part: Any, bounds: tuple[Any, ...]) -> None:
        numbers(*bounds)
        for one in part if type(part) is tuple else (part,):
            if type(one) is not type(text) or len(bounds) > 2:
                raise mismatch()
            self.meter.spend(G.prefix + min(len(text), len(one)) // 64)

    def text_startswith(self, text: Any, part: Any, *bounds: Any) -> bool:
        self.same(text, part, bounds)
        return bool(text.startswith(part, *bounds))

    def text_endswith(self, text: Any, part: Any, *bounds: Any) -> bool:
        self.same(text, part, bounds)
        return bool(text.endswith(part, *bounds))

    def text_isdigit(self, text: str) -> bool:
        self.meter.spend(G.text + len(text) // G.scan_bytes_per_gas)
        return text != "" and all("0" <= char <= "9" for char in text)

    def coding(self, name: Any) -> str:
        texts(name)
        if name not in ("utf-8", "utf8", "UTF-8", "ascii"):
            raise bad_value()
        return str(name)

    def text_encode(self, text: str, encoding: Any = "utf-8") -> bytes:
        name = self.coding(encoding)
        self.scanned(text)
        raw = text.encode(name)
        self.made(len(raw))
        return raw

    def text_hex(self, raw: bytes) -> str:
        self.made(2 * len(raw))
        return raw.hex()

    def text_decode(self, raw: bytes, encoding: Any = "utf-8") -> str:
        name = self.coding(encoding)
        self.meter.spend(G.listing)
        self.scanned(raw)
        return raw.decode(name)

    # lists and tuples

    def grow(self, items: Any, more: int, each: int = ITEM_BYTES) -> None:
        if len(items) + more > L.items:
            raise bad_value()
        self.meter.allocate(each * more)

    def list_append(self, items: list[Any], value: Any) -> None:
        self.grow(items, 1)
        items.append(value)

    def list_extend(self, items: list[Any], more: Any) -> None:
        source = keys_of(self.meter, more) if type(more) is dict else more
        if type(source) not in (list, tuple, *TEXTS):
            raise mismatch()
        self.meter.spend(G.helper + G.item * len(source))
        self.grow(items, len(source))
        items.extend(source)

    def list_insert(self, items: list[Any], index: Any, value: Any) -> None:
        numbers(index)
        self.grow(items, 1)
        self.meter.spend(G.shift + len(items) // 16)
        items.insert(index, value)

    def walked(self, items: Any, value: Any) -> None:
        self.meter.spend(G.item * len(items) + walk(self.meter, items) + walk(self.meter, value))

    def list_remove(self, items: list[Any], value: Any) -> None:
        self.walked(items, value)
        items.remove(value)

    def list_index(self, items: Any, value: Any, *bounds: Any) -> int:
        numbers(*bounds)
        self.walked(items, value)
        return int(items.index(value, *bounds))

    def list_count(self, items: Any, value: Any) -> int:
        self.walked(items, value)
        return int(items.count(value))

    def list_pop(self, items: list[Any], index: Any = -1) -> Any:
        numbers(index)
        self.meter.spend(G.text + (len(items) // 16 if index != -1 else 0))
        return items.pop(index)

    def list_reverse(self, items: list[Any]) -> None:
        self.meter.spend(len(items) // 4)
        items.reverse()

    def list_sort(self, items: list[Any], key: Any = None, reverse: Any = False) -> None:
        items[:] = self.builtins.sorted_(items, key, reverse)

    def list_copy(self, items: list[Any]) -> list[Any]:
        self.meter.spend(G.item * len(items))
        self.meter.items(len(items))
        return items.copy()

    # dicts and sets

    def room(self, size: int) -> None:
        self.meter.spend(G.listing + G.item * size)
        self.meter.items(size)

    def dict_get(self, table: dict[Any, Any], place: Any, default: Any = None) -> Any:
        self.meter.spend(G.helper)
        return table.get(key(self.meter, place), default)

    def dict_items(self, table: dict[Any, Any]) -> list[Any]:
        self.room(2 * len(table))
        return list(zip(keys_of(self.meter, table), table.values(), strict=True))

    def dict_keys(self, table: dict[Any, Any]) -> list[Any]:
        self.room(len(table))
        return keys_of(self.meter, table)

    def dict_values(self, table: dict[Any, Any]) -> list[Any]:
        self.room(len(table))
        return list(table.values())

    def dict_pop(self, table: dict[Any, Any], place: Any, default: Any = ABSENT) -> Any:
        self.meter.spend(G.helper + G.text)
        found = key(self.meter, place)
        if found not in table and default is ABSENT:
            raise Failure("KeyMissing")
        return table.pop(found, default)

    def dict_setdefault(self, table: dict[Any, Any], place: Any, default: Any = None) -> Any:
        self.meter.spend(G.helper + G.text)
        found = entry_key(self.meter, place)
        if found not in table:
            self.grow(table, 1, entry_room(found))
        return table.setdefault(found, default)

    def dict_update(self, table: dict[Any, Any], more: Any = (), /, **named: Any) -> None:
        if type(more) is not dict or named:
            more = self.builtins.dict_(more, **named)
        self.meter.spend(G.listing + G.update * len(more) * (2 if len(table) + len(more) > L.items else 1))
        self.grow(table, sum(1 for place in more if place not in table), 2 * ITEM_BYTES)
        table.update(more)

    def set_copy(self, table: Any) -> Any:
        self.room(2 * len(table))
        return table.copy()

    def set_add(self, items: set[Any], value: Any) -> None:
        self.meter.spend(G.helper + G.text)
        found = entry_key(self.meter, value)
        if found not in items:
            self.grow(items, 1, entry_room(found))
        items.add(found)

    def set_discard(self, items: set[Any], value: Any) -> None:
        self.meter.spend(G.helper + G.text)
        items.discard(key(self.meter, value))

    def set_remove(self, items: set[Any], value: Any) -> None:
        self.meter.spend(G.helper + G.text)
        items.remove(key(self.meter, value))

    # integers

    def int_bit_length(self, value: int) -> int:
        return value.bit_length()

    def int_bit_count(self, value: int) -> int:
        return f"{abs(value):b}".count("1")

    def int_to_bytes(self, value: int, length: Any = 1, byteorder: Any = "big", signed: Any = False) -> bytes:
        numbers(length)
        if byteorder not in ("big", "little") or type(signed) is not bool or not 0 <= length <= 32:
            raise bad_value()
        self.meter.spend(G.helper)
        self.meter.text(length)
        return int(value).to_bytes(length, byteorder, signed=signed)
