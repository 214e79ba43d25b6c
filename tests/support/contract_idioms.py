"""Expressions with the less common methods and arguments; plain CPython gives the expected value."""

# ruff: noqa: E501  # one family a line

from __future__ import annotations

_TEXTS = (
    "''",
    "'a'",
    "'hello world'",
    "'aBc dEf'",
    "'  x1 y2 '",
    "'a,b,,c'",
    "'abcabc'",
    "'-42'",
    "'+7'",
    "'1a'",
    "'ABC'",
    "'\\t'",
    "'a\\nb\\r\\nc\\x0bd\\n'",
    "'it\\'s o-k'",
)
_CALLS = (
    "title()", "capitalize()", "swapcase()", "ljust(6)", "rjust(6, '.')", "center(6)", "center(7, '*')", "center(2)", "zfill(6)", "zfill(0)",
    "removeprefix('a')", "removesuffix('c')", "removesuffix('')", "rfind('a')", "rfind('')", "rfind('abc')", "find('b', 2)", "find('c', 0, -1)", "find('a', -3, 9)",
    "count('a', 1)", "count('', 1, 3)", "count('b', 0, -2)", "split(',')", "split(sep=',')", "split(',', maxsplit=1)", "split(sep='b', maxsplit=1)", "split(maxsplit=1)",
    "rsplit(',')", "rsplit(',', 1)", "rsplit(None, 1)", "rsplit()", "rsplit(maxsplit=0)", "rsplit('bc', 1)", "partition(',')", "partition('bc')", "rpartition(',')",
    "rpartition('zz')", "splitlines()", "splitlines(True)", "splitlines(keepends=True)", "isalpha()", "isalnum()", "isupper()", "islower()", "isspace()",
    "isascii()", "startswith('b', 1)", "startswith(('x', 'a'))", "startswith(())", "endswith('b', 0, 2)", "endswith(('c', 'd'))", "encode('utf-8')", "encode(encoding='ascii')",
)  # fmt: skip
_SETS = ("set()", "{1}", "{1, 2}", "{2, 3, 2**90}", "{-1, -2}")
_MERGES = (
    "sorted({a}.union({b}))", "sorted({a}.union([5, 5], {b}))", "sorted({a}.union())", "sorted({a}.intersection({b}))", "sorted({a}.intersection([2, 1]))",
    "sorted({a}.difference({b}))", "sorted({a}.difference({b}, [1]))", "sorted({a}.symmetric_difference({b}))", "{a}.issubset({b})", "{a}.issuperset({b})",
    "{a}.isdisjoint({b})", "{a} <= {b}", "{a} < {b}", "{a} >= {b}", "{a} > {b}", "{a} == {b}", "[{a} | {b} == {a}.union({b})]",
)  # fmt: skip
_OTHERS = (
    "int('1_0')", "int('  -1_000 ')", "int('ff', base=16)", "int('0x1f', 16)", "int('0x1f', 0)", "int('z', 36)", "int('12', 3)", "int('0b11', 0)", "int('777', base=8)",
    "pow(2, 3, mod=5)", "pow(base=2, exp=5)", "sum([1, 2], start=3)", "list(enumerate('ab', start=1))", "sorted([2, 3, 1], reverse=1)", "sorted('bca', key=lambda c: c, reverse=0)",
    "max([], default=7)", "(5).to_bytes(length=2, byteorder='little')", "(-5).to_bytes(2, byteorder='big', signed=True)", "int.from_bytes(bytes=b'\\x01\\x02', byteorder='big')",
    "b'a'.decode('utf-8')", "b'abcab'.rfind(b'ab')", "b'abcab'.count(b'a')", "b'abc'.index(b'c')", "b'abc'.startswith((b'x', b'a'))", "'abc'.index('c')", "'abcab'.rindex('ab')",
    "[1, 2, 1].index(1, 1)", "(3, 4, 3).index(3, 1, 3)", "dict(a=1, b=2)", "dict({'b': 2}, a=1)", "dict([('a', 1)], a=2)", "dict(key=1)", "dict.fromkeys([3, 1, 3])",
    "dict.fromkeys('aba', 0)", "list(dict.fromkeys([2, 1, 2]))",
)  # fmt: skip
IDIOMS = (
    *(f"{text}.{call}" for text in _TEXTS for call in _CALLS),
    *(merge.format(a=a, b=b) for a in _SETS for b in _SETS for merge in _MERGES),
    *_OTHERS,
)
CHANGES = {
    "clear": (
        "def main():\n    a, b, c = [1, 2], {1: 2}, {3}\n    d = a\n    a.clear()\n    b.clear()\n    c.clear()\n    a.append(5)\n    return [a, b, len(c), d]\n",
        [[]],
    ),
    "update": (
        "def main():\n    d, s = {'a': 1}, {1}\n    d.update({'b': 2})\n    d.update([('c', 3)])\n    d.update(a=9, e=4)\n    d.update({'f': 1}, g=2)\n    s.update([2, 3], {4})\n    s.update()\n    return [d, sorted(s)]\n",
        [[]],
    ),
    "unpacked_texts": (
        "def main(w, xs):\n    a, b = w\n    c, *d = 'xyz'\n    *e, f = b'pq'\n    out = [a, b, c, d, e, f]\n    for g, h in xs:\n        out.append(h + g)\n    return [out, [j + k for j, k in xs], [m for m, (n, o) in [(1, w)]], {p: q for p, q in ['ab', 'cd']}]\n",
        [["uv", ["kl", "mn"]], ["ab", []]],
    ),
    "module_constants": (
        "A, B = 2, -3\nC = D = 10**3\nE = 'ab' + 'c' * 2\nF = b'x' * 3\nG = (1, 2) + (3,) * 2\nLOW, HIGH = 'a', 2 * 5\n\n"
        "def main():\n    return [A, B, C, D, E, F, G, LOW, HIGH, len(E)]\n",
        [[]],
    ),
    "popitem": (
        "def main(d):\n    out = []\n    while d:\n        k, v = d.popitem()\n        out.append([k, v])\n    return out\n",
        [[{"a": 1, "b": 2}]],
    ),
}
