"""More operations for `gas_prices`: the less common methods and arguments."""

# ruff: noqa: E501  # one operation a line

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gas_price_values import WIDER, Maker, Operation, _set, blob_needles, dicts, key_twins, lists, needles, texts, twins

HALF = (1, 7, 63, 400, 2_400, 29_999)


def turned(values: dict[str, Maker]) -> dict[str, Maker]:
    """Texts and parts written backwards: what is searched from the right."""

    def back(make: Maker) -> Maker:
        def made(size: int) -> tuple[Any, Any, Any]:
            text, part, other = make(size)
            return text[::-1], part[::-1], other

        return made

    return {name: back(make) for name, make in values.items()}


def lines(end: str) -> Callable[[int], tuple[Any, Any, Any]]:
    return lambda n: (end * n, 0, 0)


def row_twins() -> dict[str, Maker]:
    return {
        "numbers": lambda n: (_set(list(range(n))), list(range(n, 2 * n)), 0),
        "wide": lambda n: (_set([2**200 + j for j in range(n)]), [2**201 + j for j in range(n)], 0),
    }


METHODS: dict[str, Operation] = {
    "rfind": Operation("v = a.rfind(b)", {**turned(needles()), **{"b " + k: v for k, v in turned(blob_needles()).items()}}),
    "rindex": Operation("try:\n    v = a.rindex(b)\nexcept BadValue:\n    pass", turned(needles())),
    "index of text": Operation("try:\n    v = a.index(b, 1, 60000)\nexcept BadValue:\n    pass", needles()),
    "count between": Operation("v = a.count(b, 1, 60000)", needles()),
    "rsplit": Operation("v = a.rsplit(b)", turned(needles())),
    "rsplit white once": Operation("v = a.rsplit(None, 1)", texts()),
    "partition": Operation("v = a.partition(b)", {k: v for k, v in needles().items() if k != "empty"}),
    "rpartition": Operation("v = a.rpartition(b)", {k: v for k, v in turned(needles()).items() if k != "empty"}),
    "splitlines": Operation("v = a.splitlines()", {**texts(), "lines": lines("a\n"), "ends": lines("\n"), "both": lines("\r\n"), "wide": lines("\u2028")}, HALF),
    "title": Operation("v = a.title()", texts(), (1, 7, 63, 400, 2_400, 15_000)),
    "capitalize": Operation("v = a.capitalize()", texts(), (1, 7, 63, 400, 2_400, 15_000)),
    "swapcase": Operation("v = a.swapcase()", texts(), (1, 7, 63, 400, 2_400, 15_000)),
    "ljust": Operation("v = a.ljust(b)", {"fixed": lambda n: ("a", n, 0), "wide": lambda n: (WIDER, n, 0)}),
    "rjust": Operation("v = a.rjust(b, '.')", {"fixed": lambda n: ("a", n, 0), "wide": lambda n: (WIDER, n, 0)}),
    "center": Operation("v = a.center(b)", {"fixed": lambda n: ("a", n, 0), "wide": lambda n: (WIDER, n, 0)}),
    "zfill": Operation("v = a.zfill(b)", {"fixed": lambda n: ("-1", n, 0), "wide": lambda n: (WIDER, n, 0)}),
    "removeprefix": Operation("v = a.removeprefix(b)", {k: v for k, v in twins().items() if k != "blob"}),
    "removesuffix": Operation("v = a.removesuffix(b)", {k: v for k, v in twins().items() if k != "blob"}),
    **{name: Operation(f"v = a.{name}()", texts()) for name in ("isalpha", "isalnum", "isupper", "islower", "isspace", "isascii")},
    "startswith of many": Operation("v = a.startswith((b, b, 'zz'))", twins()),
    "list index from": Operation("try:\n    v = a.index(b, 1)\nexcept BadValue:\n    pass", lists(lambda n: "zz")),
    "list clear": Operation("b = list(a)\nb.clear()", lists()),
    "dict clear": Operation("b = dict(a)\nb.clear()", dicts()),
    "dict popitem": Operation("v = a.popitem()\na[v[0]] = v[1]", dicts()),
    "dict update rows": Operation("b = {}\nb.update(a, k=1)", {"rows": lambda n: ([(j, 1) for j in range(n)], 0, 0)}),
    "dict names": Operation("v = dict(a, k=1, l=2)", dicts()),
    "dict fromkeys": Operation("v = dict.fromkeys(a, 1)", {"numbers": lambda n: (list(range(n)), 0, 0), "wide": lambda n: ([2**200 + j for j in range(n)], 0, 0), "text": lambda n: ("a" * n, 0, 0)}),
    **{f"set .{name}": Operation(f"v = a.{name}(b)", row_twins(), (1, 7, 63, 400, 2_400, 29_999)) for name in ("intersection", "difference", "symmetric_difference", "issubset", "issuperset", "isdisjoint")},
    "set .union rows": Operation("v = a.union(b)", row_twins(), HALF),
    "set .update": Operation("c = set()\nc.update(a, b)", row_twins(), HALF),
    "set order": Operation("v = a <= a", dicts(_set)),
    # equal keys that are other objects, so that CPython compares them
    "dict update twin": Operation("a.update(b)", key_twins()),
    "dict merge twin": Operation("v = {**a, **b}", key_twins()),
    "dict == twin": Operation("v = a == b", key_twins()),
    "dict set twins": Operation("for x in c:\n    a[x] = 1", key_twins()),
    "dict setdefault twins": Operation("for x in c:\n    a.setdefault(x, 1)", key_twins()),
    "dict get twins": Operation("for x in c:\n    v = a[x]", key_twins()),
    "dict fromkeys twins": Operation("v = dict.fromkeys(c + c)", key_twins(), (1, 7, 63, 400, 2_400, 29_999)),
    "set twins": Operation("v = {x for x in c + c}", key_twins(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set add twins": Operation("for x in c:\n    a.add(x)", key_twins(_set)),
    "set | twin": Operation("v = a | b", key_twins(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set & twin": Operation("v = a & b", key_twins(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set - twin": Operation("v = a - b", key_twins(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set ^ twin": Operation("v = a ^ b", key_twins(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set <= twin": Operation("v = a <= b", key_twins(_set)),
    "set update twin": Operation("a.update(b)", key_twins(_set)),
    "set update list twin": Operation("a.update(c)", key_twins(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "slice assign": Operation("d = list(a)\nd[1:] = a", lists()),
    "slice assign step": Operation("d = list(a)\nd[::2] = d[::2]", lists()),
    "slice assign front": Operation("d = list(a)\nfor k in range(20):\n    d[0:1] = [1, 2]\n    d[0:2] = [1]", lists()),
    "slice delete": Operation("d = list(a)\ndel d[::2]", lists()),
    "slice delete front": Operation("d = list(a)\nfor k in range(20):\n    del d[0:1]", {"ones": lambda n: ([1] * n, 0, 0)}),
    "dict | twin": Operation("v = a | b", key_twins(), HALF),
    "dict |= twin": Operation("d = dict(a)\nd |= b", key_twins(), HALF),
    "star target": Operation("x, *y = a", lists(), (63, 400, 2_400, 29_999, 65_000)),
    "str of a list": Operation("v = str(a)", {k: v for k, v in lists().items() if k not in ("sets", "huge texts")}, (1, 7, 63, 400, 2_400)),
    "repr of a text": Operation('v = f"{a!r}"', {**texts(), "controls": lambda n: ("\x01" * n, 0, 0), "quotes": lambda n: ("'\"" * (n // 2), 0, 0), "private": lambda n: ("\ue000" * n, 0, 0)}, (1, 7, 63, 400, 2_400, 6_000)),
    "str of a dict": Operation("v = str(a)", dicts(), (1, 7, 63, 400, 2_400)),
    "str of nested": Operation("v = str([a, a, a])", lists(), (1, 7, 63, 400)),
    "format by value": Operation('v = f"{a:>{b}}"', {"fixed": lambda n: ("a", min(n, 9_999), 0), "wide": lambda n: (WIDER, min(n, 9_999), 0), "number": lambda n: (2**250, min(n, 9_999), 0)}),
    "format precision": Operation('v = f"{a:.5}"', texts()),
    "sorted by method": Operation("v = sorted(a, key=str.lower)", {k: v for k, v in lists().items() if k in ("texts", "long texts", "ucs2 texts")}, (1, 7, 63, 400, 2_400)),
    "set clear": Operation("b = set(a)\nb.clear()", dicts(_set)),
    "int(text, 36)": Operation("v = int(a, 36)", {"z": lambda n: ("z" * 49, 0, 0), "spaces": lambda n: (" " * 200 + "1_1", 0, 0)}, (1,)),
    "int(text, 7)": Operation("v = int(a, 7)", {"z": lambda n: ("6" * 90, 0, 0), "zeroes": lambda n: ("0" * 250 + "1", 0, 0)}, (1,)),
}  # fmt: skip
