"""Valid pure programs, each with arguments. Plain CPython gives the expected value, so the subset stays real Python."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

from typing import Any

# name -> (source, [argument lists])
VALID: dict[str, tuple[str, list[list[Any]]]] = {
    "arithmetic": (
        "def main(a, b):\n    return [a + b, a - b, a * b, a // b, a % b, a ** 3, -a, +a, ~a, abs(a)]\n",
        [[7, 3], [-7, 3], [7, -3], [-7, -3], [0, 5], [2**80, 2**70]],
    ),
    "typed_arithmetic": (
        "def main(a: int, b: int) -> list:\n    return [a + b, a - b, a * b, a // b, a % b, -a, ~a, abs(a), a & b, a | b, a ^ b]\n",
        [[7, 3], [-7, 3], [-(2**60), 2**61], [5, 1]],
    ),
    "shifts": (
        "def main(a: int, n: int) -> list:\n    return [a << n, a >> n, 1 << 8, 1024 >> 3]\n",
        [[5, 7], [-9, 2], [1, 0]],
    ),
    "bools": (
        "def main(a, b):\n    t = a > b\n    return [t, not t, t + 1, t & (a == b), t | True, True ^ False, ~True, -True, t * 3, int(t)]\n",
        [[1, 2], [2, 1], [3, 3]],
    ),
    "comparisons": (
        "def main(a, b, c):\n    return [a < b, a <= b, a == b, a != b, a > b, a >= b, a < b < c, a <= b >= c, a < b == c != a]\n",
        [[1, 2, 3], [3, 2, 1], [2, 2, 2]],
    ),
    "text_comparison": (
        "def main(a, b):\n    return [a < b, a == b, a + b, a * 2, len(a), a in b, b not in a, max(a, b)]\n",
        [["abc", "abd"], ["", "x"], ["same", "same"]],
    ),
    "logic": (
        "def main(a, b):\n    return [a and b, a or b, not a, a if b else 'no', (a or 5) and (b or 7)]\n",
        [[0, 3], [4, 0], ["", "x"]],
    ),
    "while": (
        "def main(n):\n    a, b = 0, 1\n    while n > 0:\n        a, b = b, a + b\n        n -= 1\n    return a\n",
        [[0], [1], [90]],
    ),
    "while_else": (
        "def main(n):\n    i = 2\n    while i * i <= n:\n        if n % i == 0:\n            break\n        i += 1\n    else:\n        return [n, 'prime']\n    return [n, i]\n",
        [[97], [91], [2]],
    ),
    "for_range": (
        "def main(n: int) -> int:\n    t = 0\n    for i in range(n):\n        if i % 3 == 0:\n            continue\n        t = (t * 31 + i) % 1000003\n    return t\n",
        [[0], [10], [1000]],
    ),
    "range_forms": (
        "def main():\n    return [list(range(5)), list(range(2, 9, 3)), list(range(9, 1, -2)), [x for x in range(-3, 3)], sum(range(10)), len(range(3))]\n",
        [[]],
    ),
    "for_else": (
        "def main(xs, y):\n    for i, x in enumerate(xs):\n        if x == y:\n            found = i\n            break\n    else:\n        found = -1\n    return found\n",
        [[[3, 1, 2], 1], [[3, 1, 2], 9], [[], 1]],
    ),
    "nested_loops": (
        "def main(n):\n    grid = [[0] * n for _ in range(n)]\n    for i in range(n):\n        for j in range(n):\n            grid[i][j] = i * j\n    return [sum(row) for row in grid]\n",
        [[1], [6]],
    ),
    "list_methods": (
        "def main(xs):\n    ys = xs.copy()\n    ys.append(5)\n    ys.extend([1, 2])\n    ys.insert(1, 9)\n    ys.remove(9)\n    last = ys.pop()\n    first = ys.pop(0)\n    ys.reverse()\n    ys.sort()\n    return [xs, ys, last, first, ys.index(5), ys.count(1), 5 in ys, 77 not in ys]\n",
        [[[3, 1, 2]], [[8]]],
    ),
    "aliasing": (
        "def main():\n    a = [1]\n    b = a\n    b += [2]\n    b.append(3)\n    c = a[:]\n    c.append(4)\n    return [a, b, c]\n",
        [[]],
    ),
    "in_place_times": (
        "def main():\n    a = [1, 2]\n    b = a\n    a *= 2\n    s = 'x'\n    s *= 3\n    return [a, b, s]\n",
        [[]],
    ),
    "slices": (
        "def main(xs, s):\n    return [xs[1:], xs[:-1], xs[::2], xs[::-1], xs[1:3], s[1:4], s[::-1], s[-2:], xs[10:], s[:0]]\n",
        [[[1, 2, 3, 4, 5], "hello"], [[], ""]],
    ),
    "indexing": (
        "def main(xs, i):\n    ys = xs[:]\n    ys[i] = 99\n    ys[i] += 1\n    return [xs[i], ys, xs[-1], 'abc'[i]]\n",
        [[[1, 2, 3], 0], [[1, 2, 3], -2]],
    ),
    "delete_item": (
        "def main(xs):\n    d = {1: 'a', 2: 'b'}\n    del d[1]\n    del xs[0]\n    return [xs, d]\n",
        [[[4, 5, 6]]],
    ),
    "dict_methods": (
        "def main(words):\n    counts = {}\n    for w in words:\n        counts[w] = counts.get(w, 0) + 1\n    d = {'z': 1}\n    d.update(counts)\n    d.setdefault('q', 7)\n    gone = d.pop('z')\n    none = d.pop('nope', None)\n    return [list(counts.items()), list(d.keys()), list(d.values()), gone, none, 'a' in d, len(d), d.copy() == d]\n",
        [[["a", "b", "a"]], [[]]],
    ),
    "dict_keys": (
        "def main():\n    d = {(1, 'x'): 1, 2**70: 2, b'k': 3, True: 4, -5: 5}\n    d[1] = 6\n    out = []\n    for k in d:\n        out.append(k)\n    return [out, d[(1, 'x')], d[2**70], d[True], 2**70 in d, (1, 'y') in d, sorted([v for v in d.values()])]\n",
        [[]],
    ),
    "dict_iteration": (
        "def main(d):\n    out = []\n    for k, v in d.items():\n        out.append([k, v])\n    for k in d:\n        out.append(k)\n    return out\n",
        [[{"a": 1, "b": 2}]],
    ),
    "dict_comprehension": (
        "def main(n):\n    d = {i: i * i for i in range(n) if i % 2}\n    return [d, {v: k for k, v in d.items()}]\n",
        [[7], [0]],
    ),
    "set_basics": (
        "def main(xs):\n    s = set(xs)\n    s.add(4)\n    s.discard(1)\n    t = {1, 2, 3}\n    u = s | t\n    return [sorted(s), len(s), 4 in s, 9 not in s, sorted(u), sorted(s & t), sorted(s - t), sum(u), max(u), sorted({x % 3 for x in xs})]\n",
        [[[1, 2, 2, 3]], [[5]]],
    ),
    "comprehensions": (
        "def main(n):\n    return [[x * y for x in range(n) for y in range(x)], [a for a in range(n) if a % 2 if a % 3],\n        [[j for j in range(i)] for i in range(n)], sum(x for x in range(n)), any(x > 2 for x in range(n)),\n        all(x < 9 for x in range(n)), ','.join(str(x) for x in range(n)), max(x % 4 for x in range(n + 1))]\n",
        [[0], [5]],
    ),
    "comprehension_scope": ("def main():\n    x = 10\n    ys = [x for x in range(3)]\n    return [x, ys]\n", [[]]),
    "unpacking": (
        "def main(p):\n    a, b = p\n    (c, d), e = [[a, b], 5]\n    [f, g] = (1, 2)\n    x = y = a + b\n    a, b = b, a\n    out = []\n    for i, (u, v) in enumerate([(1, 2), (3, 4)]):\n        out.append(i * u + v)\n    return [a, b, c, d, e, f, g, x, y, out, [m + n for m, n in [(1, 2)]]]\n",
        [[[7, 8]]],
    ),
    "stars": (
        "def add3(a, b, c):\n    return a + b * 10 + c * 100\n\ndef main(xs):\n    return [[0, *xs, 9], (*xs, 1), add3(*xs), max(*xs), add3(1, *[2, 3]), sorted({*xs, 7})]\n",
        [[[1, 2, 3]]],
    ),
    "defaults_and_keywords": (
        "def f(a, b=2, c='x'):\n    return [a, b, c]\n\ndef main():\n    return [f(1), f(1, 5), f(1, c='y'), f(b=3, a=9), f(c='k', a=1, b=0)]\n",
        [[]],
    ),
    "recursion": (
        "def fact(n: int) -> int:\n    if n <= 1:\n        return 1\n    return n * fact(n - 1)\n\ndef main(n: int) -> int:\n    return fact(n)\n",
        [[0], [20], [50]],
    ),
    "mutual_recursion": (
        "def even(n):\n    if n == 0:\n        return True\n    return odd(n - 1)\n\ndef odd(n):\n    if n == 0:\n        return False\n    return even(n - 1)\n\ndef main(n):\n    return even(n)\n",
        [[10], [33]],
    ),
    "strings": (
        "def main(s):\n    return [s.strip(), s.lstrip(), s.rstrip(), s.upper(), s.lower(), s.split(), s.split(','), s.split(',', 1),\n        s.replace('a', 'bb'), s.startswith(' '), s.endswith('c'), s.find('b'), s.count('a'), s.isdigit(), '-'.join(['x',\n        'y']), '123'.isdigit(), s.encode()]\n",
        [[" a,b c"], ["aaa"], [""]],
    ),
    "fstrings": (
        "def main(a, s):\n    return [f'{a}', f'{a:>8}|{a:<8}|{a:^8}|', f'{a:08d}', f'{a:x}', f'{s:>5}', f'{s:*^9}', f'{s}-{a + 1}', f'{{}}', f'{a:,}', f'{True}', f'{a:5}', f'{s:3}|', f'{None}']\n",
        [[255, "ab"], [-42, "abcdef"], [0, ""], [123456789, "x"]],
    ),
    "conversion": (
        "def main(s, n):\n    return [int(s), int('-12'), int('ff', 16), int('101', 2), str(n), str(True), str(None), bool(n), bool(''),\n        bool([0]), list('abc'), tuple([1, 2]), list((1, 2)), ord('a'), chr(98), int(True), dict([(1, 2)]),\n        list({'k': 1})]\n",
        [["42", 7], ["-9", 0]],
    ),
    "bytes": (
        "def main(b):\n    return [b + b'x', len(b), b[0], b[1:], b.hex(), bytes.fromhex('00ff'), (258).to_bytes(2, 'big'),\n        int.from_bytes(b, 'big'), b == b'abc', bytes([1, 2]), bytes(3), b * 2, list(b), b.startswith(b'a'), b.find(b'c'),\n        b'a' in b, b.decode()]\n",
        [[b"abc"], [b"zz"]],
    ),
    "builtins": (
        "def main(xs):\n    return [len(xs), sum(xs), min(xs), max(xs), sorted(xs), sorted(xs, reverse=True), list(reversed(xs)),\n        list(enumerate(xs)), list(enumerate(xs, 5)), list(zip(xs, xs[1:])), any(xs), all(xs), divmod(17, 5), pow(3, 4),\n        pow(3, 200, 1000007), min(3, 1, 2), max('a', 'b'), min([], default=4), sum(xs, 100), abs(-3), list(map(str, xs)),\n        list(filter(None, xs))]\n",
        [[[3, 0, 2]], [[5, -1, 9, 4]]],
    ),
    "sort_keys": (
        "def neg(x):\n    return -x\n\ndef main(rows):\n    rows.sort(key=lambda r: (r[1], -r[0]))\n    names = sorted(['bb', 'a', 'ccc'], key=len, reverse=True)\n    return [rows, names, sorted([3, 1, 2], key=neg), max(rows, key=lambda r: r[0]), min(rows,\n        key=lambda r: r[0]), list(map(lambda r: r[0] * 2, rows)), list(filter(lambda r: r[1] > 1, rows)), list(map(neg,\n        [1, 2]))]\n",
        [[[[1, 2], [2, 1], [3, 2]]]],
    ),
    "isinstance": (
        "def main(x):\n    return [isinstance(x, int), isinstance(x, str), isinstance(x, (list, tuple)), isinstance(x, bool), isinstance(x, dict), isinstance(x, bytes)]\n",
        [[1], ["a"], [[1]], [True], [{}], [b""]],
    ),
    "none": ("def main(x):\n    return [x is None, x is not None, x == None, x is True]\n", [[None], [0], [True]]),
    "match": (
        "def main(x):\n    match x:\n        case 0 | 1:\n            return 'small'\n        case -5:\n            return 'minus'\n        case 'a':\n            return 'text'\n        case None:\n            return 'none'\n        case True:\n            return 'never'\n        case _ if x == 7:\n            return 'seven'\n        case _:\n            return 'other'\n",
        [[0], [1], [-5], ["a"], [None], [7], [8], [[1]]],
    ),
    "match_falls_through": (
        "def main(x):\n    y = 1\n    match x:\n        case 3:\n            y = 2\n    return y\n",
        [[3], [4]],
    ),
    "walrus": (
        "def main(n):\n    out = []\n    while (h := n // 2) > 0:\n        out.append(h)\n        n = h\n    return [out, (k := 5) + k]\n",
        [[20]],
    ),
    "constants": (
        "BASE = 10\nLIMIT = BASE * 3 + 1\nNAMES = ('a', 'b')\nTABLE = {'x': 1, 'y': [1, 2]}\nROWS = [1, 2]\nBIG = 2**200\n\ndef main():\n    ROWS.append(BASE)\n    return [LIMIT, NAMES[1], TABLE['y'], ROWS, BIG, len(NAMES), -BIG]\n",
        [[]],
    ),
    "docstrings": ('"""Module."""\n\ndef main():\n    """Doc."""\n    return 1\n', [[]]),
    "annotated_locals": (
        "def main(n: int) -> int:\n    total: int = 0\n    xs: list[int] = []\n    for i in range(n):\n        xs.append(i)\n    for x in xs:\n        total += x\n    return total\n",
        [[5]],
    ),
    "shadowing": ("def main(list, sum):\n    max = list + sum\n    return max\n", [[1, 2]]),
    "nested_functions": (
        "def main(n):\n    def add(x, y=1):\n        return x + y + n\n    def twice(x):\n        def inner(z):\n            return add(z) + n\n        return inner(x) * 2\n    out = [add(1), add(1, 5), add(y=2, x=3), twice(4), sorted([3, 1, 2], key=add), list(map(twice, [1, 2]))]\n    for i in range(2):\n        def shift(v):\n            return v + i\n        out.append(shift(10))\n    def fact(k: int) -> int:\n        if k <= 1:\n            return 1\n        return k * fact(k - 1)\n    def none():\n        return 5\n    out.append(fact(6))\n    out.append([add(q) for q in range(3)])\n    out.append(none())\n    return out\n",
        [[0], [7]],
    ),
    "nested_in_branch": (
        "def main(flag):\n    base = 10\n    if flag:\n        def f(x):\n            return x + base\n        return f(1)\n    return [(lambda_free := base)]\n",
        [[True], [False]],
    ),
    "own_functions_first": (
        "def max(a, b):\n    return a - b\n\ndef range(n):\n    return [n, n]\n\ndef main():\n    return [max(1, 2), [x for x in range(3)], sorted([1, 2], key=abs)]\n\ndef abs(x):\n    return -x\n",
        [[]],
    ),
    "tuples": (
        "def main():\n    t = (1, 'a', (2, 3))\n    return [t[0], t[-1][1], len(t), t + (4,), t[1:], (1, 2) < (1, 3), (1,) * 3, t.index('a'), t.count(1), () == (), t == (1, 'a', (2, 3))]\n",
        [[]],
    ),
    "nested_data": (
        "def main():\n    d = {'a': [1, {'b': (2, 3)}]}\n    d['a'][1]['c'] = 4\n    d['a'].append(None)\n    return [d, d == {'a': [1, {'b': (2, 3), 'c': 4}, None]}, d['a'][1]['b'][0]]\n",
        [[]],
    ),
    "chained_assignment": (
        "def main():\n    a = b = [0]\n    a.append(1)\n    x = y = 5\n    x += 1\n    d = {}\n    d['k'] = z = 3\n    return [a, b, x, y, d, z]\n",
        [[]],
    ),
    "augmented": (
        "def main(n):\n    x = n\n    x += 5\n    x -= 2\n    x *= 3\n    x //= 2\n    x %= 100\n    x **= 2\n    x <<= 1\n    x >>= 2\n    x |= 8\n    x &= 255\n    x ^= 3\n    d = {'a': [1]}\n    d['a'][0] += 4\n    d['a'] += [2]\n    return [x, d]\n",
        [[10], [77]],
    ),
    "sieve": (
        "def main(n: int) -> list:\n    marks = [True] * (n + 1)\n    out = []\n    for i in range(2, n + 1):\n        if marks[i]:\n            out.append(i)\n            for j in range(i * i, n + 1, i):\n                marks[j] = False\n    return out\n",
        [[30]],
    ),
    "gcd": (
        "def gcd(a, b):\n    while b:\n        a, b = b, a % b\n    return a\n\ndef main(a, b):\n    return gcd(a, b)\n",
        [[48, 36], [2**90, 6**40]],
    ),
    "bubble": (
        "def main(xs):\n    n = len(xs)\n    for i in range(n):\n        for j in range(n - i - 1):\n            if xs[j] > xs[j + 1]:\n                xs[j], xs[j + 1] = xs[j + 1], xs[j]\n    return xs\n",
        [[[5, 2, 9, 1]]],
    ),
    "knapsack": (
        "def main(weights, values, room):\n    best = [0] * (room + 1)\n    for i in range(len(weights)):\n        for w in range(room, weights[i] - 1, -1):\n            best[w] = max(best[w], best[w - weights[i]] + values[i])\n    return best[room]\n",
        [[[2, 3, 4], [3, 4, 6], 6]],
    ),
    "power_edges": (
        "def main():\n    return [0**0, 1**(2**200), (-1)**(2**100 + 1), 2**254, (-2)**255, 0**5, True**3, 10**76]\n",
        [[]],
    ),
    "shift_edges": ("def main():\n    return [0 << 5, 1 >> 300, -1 >> 300, 1 << 254, 5 >> 2**60]\n", [[]]),
    "int_edges": (
        "def main():\n    top = 2**254 - 1 + 2**254\n    low = -(2**254) - 2**254\n    return [top, low, top + low, low + 1, top - 1, low // 2, top % 7, low % 7, top & low, top ^ low, top | low, ~low, ~top]\n",
        [[]],
    ),
    "sum_wide": (
        "def main():\n    xs = [2**254, 2**253, -(2**254)]\n    return [sum(xs), sum([], 3), sum([True, True])]\n",
        [[]],
    ),
    "early_return": (
        "def main(xs):\n    for x in xs:\n        if x < 0:\n            return 'negative'\n    return 'fine'\n",
        [[[1, -1]], [[1]]],
    ),
    "no_return": ("def helper():\n    pass\n\ndef main():\n    return helper()\n", [[]]),
    "long_elif": (
        "def main(x):\n"
        + "".join(f"    {'if' if i == 0 else 'elif'} x == {i}:\n        return {i * i}\n" for i in range(60))
        + "    else:\n        return -1\n",
        [[59], [60]],
    ),
    "try_value": (
        "def main(x):\n    try:\n        y = 10 // x\n    except ZERO:\n        y = -1\n    else:\n        y += 1\n    finally:\n        z = 5\n    return [y, z]\n",
        [[2]],
    ),
    "string_building": (
        "def main(n):\n    s = ''\n    for i in range(n):\n        s += chr(97 + i % 26)\n    return s\n",
        [[30]],
    ),
    "unicode_text": ("def main():\n    return ['é', len('日本'), 'ß'.upper() == 'ß' or True, '日本'[1]]\n", [[]]),
    "membership": (
        "def main(x):\n    return [x in [1, 2, 3], x in (1, 'a'), x in {1: 0}, x in range(3), x not in [[1], [2]]]\n",
        [[1], [2]],
    ),
    "lambda_capture": ("def main(k):\n    return sorted([1, 2, 3], key=lambda x: x * k)\n", [[-1], [1]]),
    "ternary_chain": ("def main(x):\n    return 'a' if x < 1 else 'b' if x < 2 else 'c'\n", [[0], [1], [2]]),
    "dict_equality": (
        "def main():\n    return [{1: 2} == {1: 2}, {1: 2} != {1: 3}, [1, [2]] == [1, [2]], {1, 2} == {2, 1}, 'a' == 1, None == 0]\n",
        [[]],
    ),
    "negative_step": (
        "def main(xs):\n    out = []\n    for i in range(len(xs) - 1, -1, -1):\n        out.append(xs[i])\n    return out\n",
        [[[1, 2, 3]]],
    ),
    "list_compare": (
        "def main():\n    return [[1, 2] < [1, 3], [] < [0], ['a'] > ['A'], [[1]] <= [[1]], max([1, 5], [2, 0])]\n",
        [[]],
    ),
}
