"""Binding and calling forms, each a valid program with arguments; plain CPython gives the expected value."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

from typing import Any

FORMS: dict[str, tuple[str, list[list[Any]]]] = {
    "rest": (
        "def all_of(*xs):\n    return [len(xs), xs, sum(xs)]\n"
        "def main(a, b):\n    return [all_of(), all_of(a), all_of(a, b, 3), all_of(*[a, b], b), all_of(*range(4))]\n",
        [[1, 2], [-5, 2**80]],
    ),
    "rest_behind_places": (
        "def f(a, b=7, *more):\n    return [a, b, more]\n"
        "def main(xs):\n    return [f(1), f(1, 2), f(1, 2, 3, 4), f(*xs), f(a=1), f(b=2, a=1), f(*xs[:1], b=9)]\n",
        [[[1]], [[1, 2, 3]]],
    ),
    "by_place_only": (
        "def f(a, b=2, /, c=3, *, d=4):\n    return [a, b, c, d]\n"
        "def main():\n    return [f(1), f(1, 5), f(1, 5, 6), f(1, c=6), f(1, d=0, c=9), f(*[1, 2], d=8), f(*(1, 2, 3))]\n",
        [[]],
    ),
    "by_name_only": (
        "def f(a, *, scale, shift=0):\n    return a * scale + shift\n"
        "def main(a):\n    return [f(a, scale=2), f(a, shift=1, scale=3), f(*[a], scale=4), f(a=a, scale=5)]\n",
        [[3], [-8]],
    ),
    "rest_and_names": (
        "def joined(*parts, sep=',', end=''):\n    return sep.join(parts) + end\n"
        "def main(ws):\n    return [joined(), joined('a'), joined('a', 'b', sep='-'), joined(*ws, end='!'), joined(*ws, 'z')]\n",
        [[["x", "y"]], [[]]],
    ),
    "annotated_rest": (
        "def total(first: int, *more: int, by: int = 1) -> int:\n    for x in more:\n        first += x * by\n    return first\n"
        "def main(xs: list[int]) -> list:\n    return [total(1), total(1, 2, 3), total(*xs), total(0, *xs, by=2)]\n",
        [[[1, 2, 3]], [[4]]],
    ),
    "rest_as_key": (
        "def least(*xs):\n    return -xs[0]\n"
        "def both(a, *b):\n    return [a, b]\n"
        "def main(xs):\n    return [sorted(xs, key=least), list(map(both, xs)), list(map(both, xs, xs, xs)), max(xs, key=least)]\n",
        [[[3, 1, 2]], [[0]]],
    ),
    "nested_forms": (
        "def main(a, xs):\n"
        "    k = a + 1\n"
        "    def f(x, *more, by=2):\n        return [x, more, by, k]\n"
        "    def g(x, /, y=1):\n        return x + y + k\n"
        "    return [f(1), f(1, 2, by=k), f(*xs), f(*xs, by=0), g(1), g(1, y=5), g(*xs[:2])]\n",
        [[1, [5, 6, 7]], [0, [1]]],
    ),
    "entry_takes_the_rest": ("def main(a, *more, by=2):\n    return [a, more, by]\n", [[1], [1, 2], [1, "x", [3]]]),
    "entry_without_names": ("def main(*xs: int):\n    return sum(xs)\n", [[], [4], [1, 2, 3]]),
    "rest_in_recursion": (
        "def depth(*xs):\n    if len(xs) < 2:\n        return 0\n    head, *tail = xs\n    return head + depth(*tail)\n"
        "def main(xs):\n    return depth(*xs)\n",
        [[[1, 2, 3, 4]], [[]]],
    ),
}
"""Name -> (source, argument lists)."""
