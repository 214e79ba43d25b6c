"""Methods of texts and sets beyond the plain ones: docs/gas.md, section 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.limits import ITEM_BYTES, LIST_BYTES, search_gas
from oracle.callables import Builtins
from oracle.failures import bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.values import number, walk

ENDS = ("\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


def numbers(*values: Any) -> None:
    if not all(map(number, values)):
        raise mismatch()


def texts(*values: Any) -> None:
    if any(type(value) is not str for value in values):
        raise mismatch()


def upper(char: str) -> bool:
    return "A" <= char <= "Z"


def lower(char: str) -> bool:
    return "a" <= char <= "z"


def letter(char: str) -> bool:
    return upper(char) or lower(char)


def large(char: str) -> str:
    return char.upper() if lower(char) else char


def small(char: str) -> str:
    return char.lower() if upper(char) else char


class Further:
    """The part of the interpreter for them."""

    meter: Meter
    builtins: Builtins

    def made(self, size: int) -> None:
        raise NotImplementedError

    def scanned(self, text: Any) -> None:
        raise NotImplementedError

    def text_split(self, text: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        raise NotImplementedError

    def same(self, text: Any, part: Any, bounds: tuple[Any, ...]) -> None:
        raise NotImplementedError

    def several(self, count: int) -> None:
        """Room for a list of new texts."""
        if count > L.items:
            raise bad_value()
        self.meter.spend(G.made + G.item * count)
        self.meter.items(count)

    # searches

    def sought(self, text: Any, part: Any, bounds: tuple[Any, ...]) -> None:
        numbers(*bounds)
        if type(part) is not type(text):
            raise mismatch()
        self.meter.spend(search_gas(text, part, *bounds[:1]))

    def text_find(self, text: Any, part: Any, start: Any = 0, *end: Any) -> int:
        self.sought(text, part, (start, *end))
        return int(text.find(part, start, *end))

    def text_index(self, text: Any, part: Any, start: Any = 0, *end: Any) -> int:
        self.sought(text, part, (start, *end))
        return int(text.index(part, start, *end))

    def text_count(self, text: Any, part: Any, start: Any = 0, *end: Any) -> int:
        self.sought(text, part, (start, *end))
        return int(text.count(part, start, *end))

    def text_rfind(self, text: Any, part: Any) -> int:
        if type(part) is not type(text):
            raise mismatch()
        self.scanned(text)
        self.meter.spend(search_gas(text[::-1], part[::-1]))
        return int(text.rfind(part))

    def text_rindex(self, text: Any, part: Any) -> int:
        found = self.text_rfind(text, part)
        if found < 0:
            raise bad_value()
        return found

    def text_rsplit(self, text: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        if sep is None:
            numbers(maxsplit)
            if maxsplit < 0:
                return self.text_split(text)
        else:
            texts(sep)
        self.meter.spend(G.listing)
        self.scanned(text)
        self.text_split(text[::-1], None if sep is None else sep[::-1], maxsplit)
        return text.rsplit(sep, maxsplit)

    def text_partition(self, text: str, sep: Any) -> tuple[str, str, str]:
        texts(sep)
        if not sep:
            raise bad_value()
        self.meter.spend(search_gas(text, sep))
        self.made(len(text))
        self.several(3)
        return text.partition(sep)

    def text_rpartition(self, text: str, sep: Any) -> tuple[str, str, str]:
        texts(sep)
        if not sep:
            raise bad_value()
        self.text_rfind(text, sep)
        self.made(len(text))
        self.several(3)
        return text.rpartition(sep)

    def text_splitlines(self, text: str, keepends: Any = False) -> list[str]:
        numbers(keepends)
        self.scanned(text)
        self.scanned(text)
        self.several(1 + sum(text.count(end) for end in ENDS))
        return text.splitlines(bool(keepends))

    # new texts

    def text_title(self, text: str) -> str:
        self.scanned(text)
        self.scanned(text)
        before = [" ", *text]
        return "".join(small(char) if letter(last) else large(char) for last, char in zip(before, text, strict=False))

    def text_capitalize(self, text: str) -> str:
        self.scanned(text)
        self.scanned(text)
        return "".join(map(large, text[:1])) + "".join(map(small, text[1:]))

    def text_swapcase(self, text: str) -> str:
        self.scanned(text)
        self.scanned(text)
        return "".join(large(char) if lower(char) else small(char) for char in text)

    def padded(self, text: str, width: Any, fill: Any) -> int:
        numbers(width)
        texts(fill)
        if len(fill) != 1:
            raise mismatch()
        self.meter.spend(G.helper)
        self.made(max(len(text), width))
        return max(0, int(width) - len(text))

    def text_ljust(self, text: str, width: Any, fill: Any = " ") -> str:
        return text + fill * self.padded(text, width, fill)

    def text_rjust(self, text: str, width: Any, fill: Any = " ") -> str:
        return fill * self.padded(text, width, fill) + text

    def text_center(self, text: str, width: Any, fill: Any = " ") -> str:
        more = self.padded(text, width, fill)
        left = more // 2 + (more & int(width) & 1)
        return fill * left + text + fill * (more - left)

    def text_zfill(self, text: str, width: Any) -> str:
        zeros = "0" * self.padded(text, width, "0")
        return text[0] + zeros + text[1:] if text[:1] in ("+", "-") and text else zeros + text

    def cut(self, text: str, part: Any) -> None:
        texts(part)
        self.same(text, part, ())
        self.made(len(text))

    def text_removeprefix(self, text: str, part: Any) -> str:
        self.cut(text, part)
        return text[len(part) :] if text[: len(part)] == part else text

    def text_removesuffix(self, text: str, part: Any) -> str:
        self.cut(text, part)
        return text[: len(text) - len(part)] if part and text.endswith(part) else text

    # classes of characters

    def all_are(self, text: str, test: Callable[[str], bool]) -> bool:
        self.meter.spend(G.text + 2 * (len(text) // G.scan_bytes_per_gas))
        return text != "" and all(map(test, text))

    def text_isalpha(self, text: str) -> bool:
        return self.all_are(text, letter)

    def text_isalnum(self, text: str) -> bool:
        return self.all_are(text, lambda char: letter(char) or "0" <= char <= "9")

    def text_isspace(self, text: str) -> bool:
        return self.all_are(text, lambda char: char in " \t\n\r\v\f")

    def text_isascii(self, text: str) -> bool:
        return self.all_are(text, lambda char: char < "\x80") or text == ""

    def text_isupper(self, text: str) -> bool:
        return self.all_are(text, lambda char: not lower(char)) and any(map(upper, text))

    def text_islower(self, text: str) -> bool:
        return self.all_are(text, lambda char: not upper(char)) and any(map(lower, text))

    # sets

    def other(self, value: Any) -> set[Any]:
        return value if type(value) is set else self.builtins.set_(value)

    def merged(self, items: set[Any], others: tuple[Any, ...], merge: Callable[[Any, Any], Any]) -> set[Any]:
        for value in others:
            other = self.other(value)
            size = len(items) + len(other)
            if size > L.items:
                raise bad_value()
            self.meter.spend(G.listing + G.merge * size)
            self.meter.items(size)
            items = merge(items, other)
        return items

    def set_union(self, items: set[Any], *others: Any) -> set[Any]:
        return self.merged(items, others or (set(),), set.union)

    def set_intersection(self, items: set[Any], *others: Any) -> set[Any]:
        return self.merged(items, others or (items,), set.intersection)

    def set_difference(self, items: set[Any], *others: Any) -> set[Any]:
        return self.merged(items, others or (set(),), set.difference)

    def set_symmetric_difference(self, items: set[Any], other: Any) -> set[Any]:
        return self.merged(items, (other,), set.symmetric_difference)

    def set_update(self, items: set[Any], *others: Any) -> None:
        for value in others:
            other = self.other(value)
            self.meter.spend(G.listing + G.update * len(other) * (2 if len(items) + len(other) > L.items else 1))
            more = len(other - items)
            if len(items) + more > L.items:
                raise bad_value()
            self.meter.allocate(ITEM_BYTES * more)
            items |= other

    def compared(self, items: set[Any], value: Any) -> set[Any]:
        other = self.other(value)
        self.meter.spend(G.helper + G.item * (len(items) + len(other)))
        self.meter.spend(walk(self.meter, items) + walk(self.meter, other))
        return other

    def set_issubset(self, items: set[Any], other: Any) -> bool:
        return items.issubset(self.compared(items, other))

    def set_issuperset(self, items: set[Any], other: Any) -> bool:
        return items.issuperset(self.compared(items, other))

    def set_isdisjoint(self, items: set[Any], other: Any) -> bool:
        return items.isdisjoint(self.compared(items, other))

    # all containers

    def cleared(self, items: Any) -> None:
        self.meter.spend(G.helper + G.item * len(items))
        items.clear()

    list_clear = dict_clear = set_clear = cleared

    def dict_popitem(self, table: dict[Any, Any]) -> tuple[Any, Any]:
        self.meter.spend(2 * G.helper)
        self.meter.allocate(LIST_BYTES + 2 * ITEM_BYTES)
        return table.popitem()
