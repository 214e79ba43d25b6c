"""Tricky programs that are valid: orders of evaluation, aliasing, scopes, signs, ties. Plain CPython gives the values."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

from typing import Any

# name -> (source, [argument lists])
TRICKY: dict[str, tuple[str, list[list[Any]]]] = {
    "constants_as_defaults": (
        "RATE = 5\nPAIR = (1, \"a\")\ndef fee(amount, rate=RATE, pair=PAIR, base=(0, -1), *, scale=RATE * 20):\n    return [amount * rate // scale, pair, base]\n\ndef main(amount, extra=RATE + 1):\n    def near(x, box=(1, (2, 3))):\n        return [x, box]\n    return [fee(amount), fee(amount, 7, scale=10), near(extra), near(1, ())]\n",
        [[1000], [3, 9]],
    ),
    "dict_displays_with_stars": (
        "def main(d, e):\n    log = []\n    def note(x):\n        log.append(x)\n        return x\n    f = {**d, note(\"k\"): note(1), **e, \"a\": 9}\n    f[\"list\"] = [0]\n    g = {**f}\n    g[\"list\"].append(1)\n    h = {\"z\": 0, **{(1, 2): \"t\", 2**70: \"w\", 5: \"s\"}, **{}}\n    h[(1, 2)] = \"T\"\n    return [f, g == f, h, log, d, len({**d, **e}), list({**d, **e})]\n",
        [[{"a": 1, "b": 2}, {"b": 3, "k": 4}], [{}, {}]],
    ),
    "words_of_the_module_as_variables": (
        "def main(schedule, view=2):\n    out = []\n    for event in schedule:\n        record, call = event\n        out.append(record + call)\n    def shifted(init):\n        return init + view\n    export = [shifted(record) for record in out]\n    return [export, sorted(export, key=lambda event: -event), {call: record for call, record in schedule}]\n",
        [[[[1, 2], [3, 4]]], [[], 5]],
    ),
    "evaluation_order_of_calls": (
        "def note(log, x):\n    log.append(x)\n    return x\n\ndef three(a, b, c):\n    return [a, b, c]\n\ndef main():\n    log = []\n    r = three(note(log, 1), c=note(log, 2), b=note(log, 3))\n    return [r, log]\n",
        [[]],
    ),
    "evaluation_order_of_displays": (
        "def note(log, x):\n    log.append(x)\n    return x\n\ndef main():\n    log = []\n    d = {note(log, 'k1'): note(log, 1), note(log, 'k2'): note(log, 2)}\n    xs = [note(log, 3), note(log, 4)]\n    t = (note(log, 5), *[note(log, 6)], note(log, 7))\n    s = note(log, 8) + note(log, 9) * note(log, 10)\n    return [d, xs, t, s, log]\n",
        [[]],
    ),
    "evaluation_order_of_item_assignment": (
        "def note(log, x):\n    log.append(x)\n    return x\n\ndef main():\n    log = []\n    xs = [0, 0, 0]\n    ys = [xs]\n    ys[note(log, 0)][note(log, 1)] = note(log, 2)\n    xs[note(log, 2)] += note(log, 5)\n    return [xs, log]\n",
        [[]],
    ),
    "chained_comparison_evaluates_once": (
        "def note(log, x):\n    log.append(x)\n    return x\n\ndef main(n):\n    log = []\n    a = note(log, 1) < note(log, n) < note(log, 5)\n    b = note(log, 9) < note(log, n) < note(log, 5)\n    c = note(log, 1) in [note(log, 1)] in [[1], note(log, 2)]\n    return [a, b, c, log]\n",
        [[3], [7]],
    ),
    "short_circuits": (
        "def boom(log):\n    log.append('boom')\n    return True\n\ndef main():\n    log = []\n    a = False and boom(log)\n    b = True or boom(log)\n    c = [] or {} or 0 or ''\n    d = 1 and 'x' and [] and boom(log)\n    e = boom(log) if a else 5\n    f = any([1, 0]) and all([])\n    return [a, b, c, d, e, f, log]\n",
        [[]],
    ),
    "tuple_swap_with_subscripts": (
        "def main():\n    xs = [1, 2, 3]\n    i = 0\n    i, xs[i] = 1, 9\n    a = [10, 20]\n    j = 1\n    a[j], j = j, a[j]\n    return [i, xs, a, j]\n",
        [[]],
    ),
    "chained_targets_left_to_right": (
        "def main():\n    xs = [0, 0, 0]\n    i = xs[0] = 2\n    i = xs[i] = 1\n    return [xs, i]\n",
        [[]],
    ),
    "aug_assign_aliases_lists_not_tuples": (
        "def main():\n    a = b = [1]\n    a += [2]\n    t = u = (1,)\n    t += (2,)\n    s = r = 'x'\n    s += 'y'\n    c = a\n    c = c + [3]\n    return [a, b, t, u, s, r, c]\n",
        [[]],
    ),
    "list_times_shares_rows": (
        "def main():\n    grid = [[0] * 2] * 3\n    grid[0][1] = 7\n    free = [[0] * 2 for _ in range(3)]\n    free[0][1] = 7\n    return [grid, free]\n",
        [[]],
    ),
    "constant_lists_are_new_every_call": (
        "SHARED = [1, [2]]\nTABLE = {'a': [1]}\n\ndef change():\n    SHARED.append(9)\n    SHARED[1].append(8)\n    TABLE['a'].append(7)\n    return len(SHARED)\n\ndef main():\n    a = change()\n    b = change()\n    return [a, b, SHARED, TABLE]\n",
        [[]],
    ),
    "loop_variable_after_loop": (
        "def main(xs):\n    last = None\n    for i in range(3):\n        pass\n    for last in xs:\n        pass\n    return [i, last]\n",
        [[[1, 2]], [[]]],
    ),
    "list_grows_while_iterated": (
        "def main():\n    xs = [1, 2, 3]\n    out = []\n    for x in xs:\n        out.append(x)\n        if x < 3 and len(xs) < 6:\n            xs.append(x + 10)\n    return [xs, out]\n",
        [[]],
    ),
    "list_shrinks_while_iterated": (
        "def main():\n    xs = [1, 2, 3, 4, 5]\n    out = []\n    for x in xs:\n        out.append(x)\n        xs.remove(x)\n    return [xs, out]\n",
        [[]],
    ),
    "range_is_fixed_before_the_loop": (
        "def main():\n    n = 3\n    out = []\n    for i in range(n):\n        n = 10\n        i += 5\n        out.append(i)\n    return [n, out, i]\n",
        [[]],
    ),
    "else_of_loops": (
        "def main(k):\n    out = []\n    for i in range(3):\n        if i == k:\n            break\n    else:\n        out.append('for')\n    n = 3\n    while n:\n        n -= 1\n        if n == k:\n            break\n    else:\n        out.append('while')\n    for i in []:\n        pass\n    else:\n        out.append('empty')\n    return out\n",
        [[1], [9], [0]],
    ),
    "continue_and_break_in_nested_loops": (
        "def main():\n    out = []\n    for i in range(4):\n        if i == 2:\n            continue\n        for j in range(4):\n            if j > i:\n                break\n            if (i + j) % 2:\n                continue\n            out.append((i, j))\n        else:\n            out.append('full')\n    return out\n",
        [[]],
    ),
    "floor_division_signs": (
        "def main(a, b):\n    return [a // b, a % b, divmod(a, b), -a // b, -(a // b), a // -b, -a % b, a % -b, (a // b) * b + a % b == a]\n",
        [[7, 2], [-7, 2], [7, -2], [-7, -2], [0, 3], [6, 3], [2**200 + 1, -7], [1, 2**254]],
    ),
    "power_binds_tighter_than_minus": (
        "def main():\n    return [-2 ** 2, (-2) ** 2, 2 ** 3 ** 2, -2 ** 3 ** 0, 2 * 3 ** 2, ~2 ** 2, 10 - 2 - 3, 100 // 7 // 2, 2 ** 0, not 1 == 2]\n",
        [[]],
    ),
    "precedence": (
        "def main():\n    return [1 + 2 * 3, 1 << 2 + 1, 6 & 3 | 8, 6 ^ 3 & 1, 1 < 2 == True, not True == False, 1 if 0 else 2 if 0 else 3, 5 & 3 == 1, 1 or 0 and 0, -1 % 3, 7 - -2]\n",
        [[]],
    ),
    "bool_is_an_int": (
        "def main():\n    d = {1: 'a', True: 'b', 0: 'c', False: 'd'}\n    return [True + True, sum([True, False, True]), True * 5, d, [10, 20][True], True == 1, True in [1], {True: 1} == {1: 1}, (1, True).count(1), [True, 1, 0].index(0), max(True,\n        2), -True, True < 2, f'{True}', str(False), int(True)]\n",
        [[]],
    ),
    "equality_of_kinds": (
        "def main():\n    return [1 == '1', [1] == (1,), 'a' == b'a', None == 0, [] == False, {} == [], (1, [2]) == (1, [2]), [1, True] == [True, 1], {'a': [1]} == {'a': [True]}, set() == set(), {1,\n        2} == {2, 1}, 0 != '', [None] == [None]]\n",
        [[]],
    ),
    "ordering_of_sequences": (
        "def main():\n    return [[1, 2] < [1, 3], [1] < [1, 0], [] < [0], (1, 'b') > (1, 'a'), [2] > [1, 9, 9], 'Z' < 'a', '' < 'a', 'ab' < 'b', b'a' < b'b', [1, [2, 3]] < [1, [2, 4]], (1,) <= (1,),\n        'é' > 'z', '\\U0001F600' > '\\uffff']\n",
        [[]],
    ),
    "sort_is_stable": (
        "def main(rows):\n    a = sorted(rows, key=lambda r: r[0])\n    b = sorted(rows, key=lambda r: r[0], reverse=True)\n    c = sorted(sorted(rows, key=lambda r: r[1]), key=lambda r: r[0])\n    rows.sort(key=lambda r: -r[1])\n    return [a, b, c, rows]\n",
        [[[[1, 5], [0, 7], [1, 2], [0, 7], [1, 5]]]],
    ),
    "min_and_max_take_the_first": (
        "def main():\n    rows = [(1, 'a'), (0, 'b'), (0, 'c'), (1, 'd')]\n    return [min(rows, key=lambda r: r[0]), max(rows, key=lambda r: r[0]), max(1, True), min(False, 0), max([1, True, 1]), max('ab', 'b', key=len), min([[2], [1, 5]]), max((3, 1), (3, 0))]\n",
        [[]],
    ),
    "slices_of_all_kinds": (
        "def main(n):\n    xs = list(range(n))\n    s = 'abcdefghij'[:n]\n    return [xs[::-1], xs[5:2:-1], xs[-3:], xs[:-3], xs[::3], xs[-100:100], xs[100:], xs[3:1], xs[1:8:2], xs[-1:-6:-2], s[::-2], s[-4:-1], s[2:2], tuple(xs)[::-3], xs[True:],\n        s.encode()[1::2]]\n",
        [[10], [4], [0], [1]],
    ),
    "negative_indices": (
        "def main():\n    xs = [1, 2, 3]\n    xs[-1] = 9\n    xs[-3] += 5\n    del xs[-2]\n    return [xs, xs[-1], 'abc'[-3], b'abc'[-1], (1, 2)[-2], xs.pop(-1), xs]\n",
        [[]],
    ),
    "list_methods_at_the_edges": (
        "def main():\n    xs = [3, 1, 2]\n    xs.insert(100, 'end')\n    xs.insert(-100, 'begin')\n    xs.insert(-1, 'last but one')\n    a = xs.pop(1)\n    xs.extend('ab')\n    xs.extend((7, 8))\n    xs.extend({'k': 1})\n    xs.reverse()\n    ys = [1, 2, 1, 3, 1]\n    ys.remove(1)\n    return [xs, a, ys, ys.index(1), ys.count(1), [].copy(), ys.copy() == ys, [1] * 0, [1] * -5, 2 * [1, 2]]\n",
        [[]],
    ),
    "dict_keeps_insertion_order": (
        "def main():\n    d = {'b': 1, 'a': 2}\n    d['c'] = 3\n    d['b'] = 9\n    del d['a']\n    d['a'] = 4\n    e = {'z': 0}\n    e.update(d)\n    e.update({'b': 5, 'q': 6})\n    return [list(d), list(d.items()), list(e.items()), d.pop('c'), d, d.setdefault('n', []), d.setdefault('b', 77), d]\n",
        [[]],
    ),
    "dict_order_after_many_removals": (
        "def main(n):\n    d = {}\n    for i in range(n):\n        d[i * 7 - 3] = i\n    for i in range(n):\n        if i % 10:\n            d.pop(i * 7 - 3)\n    d[5] = 'new'\n    del d[-3]\n    d[-3] = 'again'\n    s = set(range(n))\n    for i in range(n):\n        if i % 9:\n            s.discard(i)\n    return [list(d.items()), sorted(s), len(d), 67 in d, 68 in d]\n",
        [[400], [33]],
    ),
    "dict_keys_of_every_kind": (
        "def main():\n    d = {}\n    for k in [0, 1, 255, 256, 257, -1, -2, -257, 2**43, 2**44, 2**44 - 1, -(2**44), 2**60, 2**61 - 1, 2**61, 2**200, -(2**200), 'a', b'a', (1, 'x'), (2**50, -7, True), ()]:\n        d[k] = len(d)\n    e = {}\n    for k in d:\n        e[k] = d[k]\n    return [list(d.items()), list(e.keys()), d == e, d[2**43], d[-(2**44)], (2**50, -7, True) in d, (2**50, -7, 1) in d, 255 in d, 258 in d, d.get(-2), d.get(-3, 'no'),\n        sorted([k for k in d if isinstance(k, int)])]\n",
        [[]],
    ),
    "first_key_of_equal_ones_stays": (
        "def main():\n    d = {1: 'int'}\n    d[True] = 'bool'\n    e = {False: 1}\n    e[0] = 2\n    f = {(1, 0): 'a'}\n    f[(True, False)] = 'b'\n    return [list(d.items()), list(e.items()), list(f.items()), sorted({True, 1, 0, False}), len({1, True, 1})]\n",
        [[]],
    ),
    "sets": (
        "def main():\n    a = {3, 1, 2}\n    b = set([2, 3, 4, 300, -5, 2**70])\n    c = a | b\n    a.add(9)\n    a.discard(77)\n    a.remove(1)\n    a |= {5}\n    b &= {2, 3, 300}\n    d = a ^ b\n    e = a - b\n    f = set('hello')\n    return [sorted(a), sorted(b), sorted(c), sorted(d), sorted(e), sorted(f), len(f), 300 in b, 'h' in f, sum(c - {2**70}), max(c), min(c), a == {2, 3, 5, 9}, bool(set()),\n        sorted(set()), sorted(a.union(b)), sorted(a.copy()), any({0, ''} if False else {0}), all({1, 2})]\n",
        [[]],
    ),
    "set_of_texts_sorted": (
        "def main(words):\n    seen = set()\n    out = []\n    for w in words:\n        if w not in seen:\n            seen.add(w)\n            out.append(w)\n    return [out, sorted(seen), sorted({len(w) for w in words}, reverse=True), ','.join(sorted(seen))]\n",
        [[["b", "a", "b", "é", "zz", "", "a"]]],
    ),
    "set_result_of_main": ("def main():\n    return sorted({(2, 'b'), (1, 'z'), (1, 'a')})\n", [[]]),
    "comprehension_scopes": (
        "def main(x):\n    a = [x for x in range(3)]\n    b = [[x for x in range(y)] for y in range(3)]\n    c = [x + y for x in range(2) for y in range(x + 1)]\n    d = {x: [y for y in range(x)] for x in range(3)}\n    e = [y for x in [[1, 2], [3]] for y in x if y != 2]\n    f = sorted({x * x for x in [-2, 2, 3]})\n    return [x, a, b, c, d, e, f]\n",
        [[7]],
    ),
    "comprehension_reads_locals_late": (
        "def main():\n    k = 10\n    out = []\n    for i in range(3):\n        k += i\n        out.append([k * j for j in range(3) if j != i])\n    return out\n",
        [[]],
    ),
    "lambda_reads_its_surroundings": (
        "def main(xs, k):\n    a = sorted(xs, key=lambda x: (x * k) % 7)\n    b = list(map(lambda x: x + k, xs))\n    c = list(filter(lambda x: x > k, xs))\n    d = max(xs, key=lambda x: -abs(x - k))\n    e = list(map(lambda x, y: x * y, xs, xs[1:]))\n    return [a, b, c, d, e]\n",
        [[[5, 3, 8, 1], 3]],
    ),
    "nested_function_captures_values": (
        "def main():\n    out = []\n    for i in range(3):\n        def f(x):\n            return x * 10 + i\n        out.append(f(1))\n        out.append(sorted([2, 1], key=f))\n    return out\n",
        [[]],
    ),
    "defaults_are_values": (
        "def f(a, b=5, c=None, d='x', e=True, g=-3):\n    if c is None:\n        c = []\n    c.append(a)\n    return [a, b, c, d, e, g]\n\ndef main():\n    return [f(1), f(2), f(3, c=[0]), f(g=1, a=2)]\n",
        [[]],
    ),
    "parameters_are_locals": (
        "def f(xs, n):\n    xs.append(n)\n    xs = [99]\n    n += 1\n    return [xs, n]\n\ndef main():\n    xs = [1]\n    n = 5\n    r = f(xs, n)\n    return [xs, n, r]\n",
        [[]],
    ),
    "recursion_with_accumulators": (
        "def perms(xs):\n    if len(xs) <= 1:\n        return [xs]\n    out = []\n    for i in range(len(xs)):\n        for rest in perms(xs[:i] + xs[i + 1:]):\n            out.append([xs[i]] + rest)\n    return out\n\ndef hanoi(n, a, b, c):\n    if n == 0:\n        return 0\n    return hanoi(n - 1, a, c, b) + 1 + hanoi(n - 1, c, b, a)\n\ndef main():\n    return [perms([1, 2, 3]), hanoi(7, 'a', 'b', 'c')]\n",
        [[]],
    ),
    "ackermann_and_memo": (
        "def ack(m, n):\n    if m == 0:\n        return n + 1\n    if n == 0:\n        return ack(m - 1, 1)\n    return ack(m - 1, ack(m, n - 1))\n\ndef fib(n, memo):\n    if n in memo:\n        return memo[n]\n    memo[n] = n if n < 2 else fib(n - 1, memo) + fib(n - 2, memo)\n    return memo[n]\n\ndef main():\n    return [ack(2, 3), fib(50, {})]\n",
        [[]],
    ),
    "unpacking_of_every_shape": (
        "def main():\n    a, (b, [c, d]), e = 1, (2, [3, 4]), [5]\n    [f, g], h = (6, 7), 8\n    out = []\n    for k, (v, w) in {'x': (1, 2)}.items():\n        out.append([k, v, w])\n    for i, (p, q) in enumerate([(1, 2), [3, 4]]):\n        out.append(i + p * q)\n    x, = [9]\n    (y) = 10\n    return [a, b, c, d, e, f, g, h, out, x, y, [u + v for (u, v) in zip([1, 2], [3, 4])]]\n",
        [[]],
    ),
    "zip_enumerate_reversed": (
        "def main():\n    xs = [1, 2, 3]\n    return [list(zip(xs, 'ab')), list(zip()), list(zip(xs)), dict(zip('ab', xs)), list(enumerate('ab', -1)), list(reversed('abc')), list(reversed((1, 2))),\n        [list(r) for r in zip(*[[1, 2], [3, 4]])], list(reversed(range(4))), sorted(zip(xs, [3, 2, 1]), key=lambda p: p[1])]\n",
        [[]],
    ),
    "range_arithmetic": (
        "def main():\n    return [list(range(0)), list(range(-3)), list(range(5, 0)), list(range(5, 0, -1)), list(range(0, 10, 4)), list(range(10, 0, -3)), list(range(-1, -10, -4)), len(range(0, 100,\n        7)), sum(range(1, 101)), 5 in list(range(0, 10, 5)), [i for i in range(2**70, 2**70 + 3)], list(range(True, 3))]\n",
        [[]],
    ),
    "big_integers": (
        "def main(a, b):\n    return [a * b, a + b, a - b, a // b, a % b, a & b, a | b, a ^ b, ~a, a >> 3, b << 3, -a, abs(-a), a > b, a == a + 0, divmod(a, b), pow(a, 3, b), str(a), int(str(b)),\n        a.bit_length(), f'{a:x}', f'{a:,}']\n",
        [[2**120 + 12345, 2**100 - 77], [-(2**120), 3**50], [10**37, -(10**20)]],
    ),
    "int_limits": (
        "def main():\n    top = 2**254 - 1 + 2**254\n    low = -top - 1\n    return [top, low, top + low, low + top, -top, ~top == low, ~low == top, low // 2 * 2, top // -1, top >> 254, low >> 300, abs(-top), low % 10, top % -10, [low, top], sum([top,\n        low]), sum([low, top, 1]), min(low, top)]\n",
        [[]],
    ),
    "shifts_of_negatives": (
        "def main():\n    return [-1 >> 1, -1 << 3, -5 >> 1, -8 >> 3, 5 >> 100, -5 >> 100, 0 << 1000, 1 << 254, -1 << 255, 3 >> 0, (1 << 8) - 1, True << 3, -1 & 255, -256 | 1, 6 ^ -1]\n",
        [[]],
    ),
    "pow_with_modulus": (
        "def main():\n    return [pow(2, 10), pow(2, 10, 1000), pow(-3, 3, 7), pow(5, 0, 3), pow(7, 2**100, 13), pow(2, 255, 2**200 + 1), pow(0, 0), pow(10, 3, -7), pow(3, 5, 1)]\n",
        [[]],
    ),
    "int_from_text": (
        "def main():\n    return [int('42'), int(' -7 '), int('+5'), int('007'), int('ff', 16), int('0xff', 16), int('-0b11', 2), int('777', 8), int('0'), int('-0'), int(True), int(5), int(), str(-0),\n        int('9' * 70), int('\\n3\\t')]\n",
        [[]],
    ),
    "text_methods": (
        "def main(s):\n    return [s.upper(), s.lower(), s.strip(), s.strip('ab '), s.lstrip('a'), s.rstrip('c\\n'), s.split(), s.split('a'), s.split('b', 1), s.split(None, 1), s.replace('a', ''),\n        s.replace('ab', 'X', 1), s.replace('', '.'), s.find('b'), s.find('b', 2), s.find('b', -2), s.find(''), s.count('a'), s.count(''), s.startswith('a'), s.endswith(''),\n        s.isdigit(), 'b' in s, '' in s, '-'.join(s), s * 2, s[::-1], list(s), len(s)]\n",
        [["aabbcc"], [" a b\tc\n"], [""], ["abcabcabc"], ["123"]],
    ),
    "text_beyond_ascii": (
        "def main(s):\n    return [len(s), s[0], s[-1], s[::-1], s + '!', s * 2, s.encode(), s.encode().decode() == s, s.find('é'), s.count('é'), s.replace('é', 'e'), s.split('é'), 'é' in s, sorted(s),\n        s < 'z', s == 'éa', s.startswith('é'), [ord(c) for c in s], chr(233), f'{s:>6}|{s:*^7}|', s.isdigit(), s.strip('é')]\n",
        [["éa"], ["日本é"], ["😀é"], ["é"]],
    ),
    "ascii_case_of_ascii": (
        "def main():\n    return ['Hello World 123 _-'.upper(), 'Hello World 123'.lower(), '@[`{'.upper(), '0123456789'.isdigit(), '12a'.isdigit(), ''.isdigit(), ' 1'.isdigit(), 'abc'.upper().lower()]\n",
        [[]],
    ),
    "search_in_long_texts": (
        "def main(n):\n    s = 'a' * n + 'b' + 'a' * n\n    t = 'a' * (n // 2) + 'b'\n    u = 'ab' * n\n    return [s.find(t), t in s, s.count('aa'), s.count(t), u.count('aba'), len(s.split('b')), len(u.split('ba')), len(u.replace('ab', 'c')), u.replace('bab', 'x')[:20],\n        s.find('b' + 'a' * n), s.find('c' + 'a' * 5), u.find('ba', n), u.find('bb'), (s + t).find(t, n), b'ab' in u.encode(), u.encode().find(b'bab')]\n",
        [[3], [40], [1000], [3000]],
    ),
    "bytes_of_all_kinds": (
        "def main(b):\n    return [b + b'\\x00', b[0:2], b[-1], list(b), b.hex(), bytes.fromhex('00Ff10'), bytes([1, 255]), bytes(2), b == bytes(list(b)), b < b'zz', b * 2, b.find(b'b'),\n        b.startswith(b'a'), b.endswith(b'c'), 98 in list(b), b'bc' in b, int.from_bytes(b, 'big'), int.from_bytes(b, 'little'), (2**31).to_bytes(4, 'big'), (5).to_bytes(2,\n        'little'), int.from_bytes(b'\\xff\\xfe', 'big', signed=True), (-2).to_bytes(2, 'big', signed=True), b.decode(), len(b), [x + 1 for x in b], b'' == bytes(), max(b)]\n",
        [[b"abc"], [b"a"], [b"zbz"]],
    ),
    "fstring_formats": (
        "def main(n, s):\n    return [f'{n:5}|{n:<5}|{n:>5}|{n:^5}|{n:05}|{n:05d}|{n:x}|{n:,}|{n:*^9}|{n:_>8}', f'{s:5}|{s:<5}|{s:>5}|{s:^6}|{s:-^7}|{s:s}', f'{{{n}}}', f'{n}{s}{n + 1}{s * 2}',\n        f'{n + 1:>4}', f'{True:5}|{True:d}|{False}', f'{\"lit\"}', f'{s[0]}{len(s)}', f'{n:010,}' if False else '', f'{-n:06}', f'{None}']\n",
        [[42, "ab"], [-1234567, "abcdefgh"], [0, "é"]],
    ),
    "conditional_expressions": (
        "def sign(n):\n    return 1 if n > 0 else -1 if n < 0 else 0\n\ndef main():\n    return [sign(5), sign(-5), sign(0), [x if x % 2 else -x for x in range(5)], ('a' if 0 else 'b') + 'c', (lambda_ := 3) + lambda_]\n",
        [[]],
    ),
    "walrus_everywhere": (
        "def main(xs):\n    out = []\n    if (n := len(xs)) > 2:\n        out.append(n)\n    while (m := n - 1) >= 0 and n:\n        n = m\n        out.append(m)\n    ys = [y for x in xs if (y := x * 2) > 2]\n    out.append((a := 1, b := a + 1, a + b))\n    return [out, ys, n, a, b]\n",
        [[[1, 2, 3]], [[5, 0]]],
    ),
    "match_on_literals": (
        "def f(x):\n    match x:\n        case 1 | 2 | 3:\n            return 'few'\n        case -1:\n            return 'minus'\n        case 'a' | 'b':\n            return 'text'\n        case b'a':\n            return 'bytes'\n        case None:\n            return 'none'\n        case True:\n            return 'true'\n        case _ if x == 100:\n            return 'hundred'\n        case _:\n            return 'other'\n\ndef main():\n    return [f(1), f(3), f(True), f(-1), f('b'), f(b'a'), f(None), f(False), f(100), f([1]), f(0)]\n",
        [[]],
    ),
    "while_true_with_breaks": (
        "def main(n):\n    steps = 0\n    while True:\n        if n == 1:\n            break\n        n = n // 2 if n % 2 == 0 else 3 * n + 1\n        steps += 1\n    return steps\n",
        [[27], [1], [97]],
    ),
    "newton_and_primes": (
        "def isqrt(n):\n    if n < 2:\n        return n\n    x = 1 << ((n.bit_length() + 1) // 2)\n    while True:\n        y = (x + n // x) // 2\n        if y >= x:\n            return x\n        x = y\n\ndef main(n):\n    return [isqrt(n), isqrt(n) ** 2 <= n < (isqrt(n) + 1) ** 2, [p for p in range(2, 40) if all(p % q for q in range(2, isqrt(p) + 1))]]\n",
        [[0], [1], [10**30], [2**100 - 1]],
    ),
    "matrix_product": (
        "def mul(a, b):\n    return [[sum(x * y for x, y in zip(row, col)) for col in zip(*b)] for row in a]\n\ndef main(n):\n    m = [[1, 1], [1, 0]]\n    r = [[1, 0], [0, 1]]\n    while n:\n        if n & 1:\n            r = mul(r, m)\n        m = mul(m, m)\n        n >>= 1\n    return r\n",
        [[10], [90], [0]],
    ),
    "binary_search_and_merge": (
        "def find(xs, x):\n    lo, hi = 0, len(xs)\n    while lo < hi:\n        mid = (lo + hi) // 2\n        if xs[mid] < x:\n            lo = mid + 1\n        else:\n            hi = mid\n    return lo\n\ndef merge(a, b):\n    out = []\n    i = j = 0\n    while i < len(a) and j < len(b):\n        if a[i] <= b[j]:\n            out.append(a[i])\n            i += 1\n        else:\n            out.append(b[j])\n            j += 1\n    return out + a[i:] + b[j:]\n\ndef sort(xs):\n    if len(xs) < 2:\n        return xs\n    m = len(xs) // 2\n    return merge(sort(xs[:m]), sort(xs[m:]))\n\ndef main(xs):\n    ys = sort(xs)\n    return [ys, [find(ys, x) for x in xs], ys == sorted(xs)]\n",
        [[[5, 2, 9, 1, 5, 6, -3]], [[]], [[1]]],
    ),
    "quicksort_by_comprehension": (
        "def qs(xs):\n    if not xs:\n        return []\n    p, rest = xs[0], xs[1:]\n    return qs([x for x in rest if x < p]) + [p] + qs([x for x in rest if x >= p])\n\ndef main(xs):\n    return qs(xs)\n",
        [[[3, 1, 4, 1, 5, 9, 2, 6]]],
    ),
    "heap": (
        "def push(h, x):\n    h.append(x)\n    i = len(h) - 1\n    while i and h[(i - 1) // 2] > h[i]:\n        h[i], h[(i - 1) // 2] = h[(i - 1) // 2], h[i]\n        i = (i - 1) // 2\n\ndef pop(h):\n    top, last = h[0], h.pop()\n    if h:\n        h[0] = last\n        i = 0\n        while True:\n            j = 2 * i + 1\n            if j + 1 < len(h) and h[j + 1] < h[j]:\n                j += 1\n            if j >= len(h) or h[i] <= h[j]:\n                break\n            h[i], h[j] = h[j], h[i]\n            i = j\n    return top\n\ndef main(xs):\n    h = []\n    for x in xs:\n        push(h, x)\n    return [pop(h) for _ in range(len(xs))]\n",
        [[[5, 3, 8, 1, 9, 2]], [[1]]],
    ),
    "graph_search": (
        "GRAPH = {'a': ['b', 'c'], 'b': ['d'], 'c': ['d'], 'd': []}\n\ndef bfs(start):\n    seen = {start}\n    queue = [start]\n    order = []\n    while queue:\n        node = queue.pop(0)\n        order.append(node)\n        for near in GRAPH[node]:\n            if near not in seen:\n                seen.add(near)\n                queue.append(near)\n    return order\n\ndef main():\n    return [bfs('a'), bfs('d'), sorted(GRAPH), {k: len(v) for k, v in GRAPH.items()}]\n",
        [[]],
    ),
    "edit_distance_and_lis": (
        "def dist(a, b):\n    row = list(range(len(b) + 1))\n    for i, x in enumerate(a):\n        old, row[0] = row[0], i + 1\n        for j, y in enumerate(b):\n            old, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, old + (x != y))\n    return row[-1]\n\ndef lis(xs):\n    best = [1] * len(xs)\n    for i in range(len(xs)):\n        for j in range(i):\n            if xs[j] < xs[i]:\n                best[i] = max(best[i], best[j] + 1)\n    return max(best, default=0)\n\ndef main():\n    return [dist('kitten', 'sitting'), dist('', 'abc'), lis([3, 1, 4, 1, 5, 9, 2, 6]), lis([])]\n",
        [[]],
    ),
    "queens": (
        "def solve(n, row, cols, a, b):\n    if row == n:\n        return 1\n    total = 0\n    for c in range(n):\n        if c not in cols and row + c not in a and row - c not in b:\n            total += solve(n, row + 1, cols | {c}, a | {row + c}, b | {row - c})\n    return total\n\ndef main(n):\n    return solve(n, 0, set(), set(), set())\n",
        [[4], [5]],
    ),
    "life": (
        "def step(cells):\n    near = {}\n    for x, y in sorted(cells):\n        for dx in (-1, 0, 1):\n            for dy in (-1, 0, 1):\n                if dx or dy:\n                    near[(x + dx, y + dy)] = near.get((x + dx, y + dy), 0) + 1\n    return {c for c, n in near.items() if n == 3 or (n == 2 and c in cells)}\n\ndef main(n):\n    cells = {(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}\n    for _ in range(n):\n        cells = step(cells)\n    return sorted(cells)\n",
        [[0], [4], [5]],
    ),
    "roman_and_caesar": (
        "def roman(n):\n    out = ''\n    for v, s in [(1000, 'M'), (900, 'CM'), (500, 'D'), (400, 'CD'), (100, 'C'), (90, 'XC'), (50, 'L'), (40, 'XL'), (10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I')]:\n        while n >= v:\n            out += s\n            n -= v\n    return out\n\ndef caesar(s, k):\n    return ''.join(chr((ord(c) - 97 + k) % 26 + 97) if 'a' <= c <= 'z' else c for c in s)\n\ndef main():\n    return [roman(1994), roman(4), caesar('hello, world', 3), caesar(caesar('abc', 25), -25)]\n",
        [[]],
    ),
    "parser": (
        "def parse(s):\n    stack = [[]]\n    for c in s:\n        if c == '(':\n            stack.append([])\n        elif c == ')':\n            top = stack.pop()\n            stack[-1].append(top)\n        elif c.isdigit():\n            stack[-1].append(int(c))\n    return stack[0]\n\ndef depth(x):\n    return 0 if isinstance(x, int) else 1 + max([depth(y) for y in x], default=0)\n\ndef main():\n    t = parse('1(2(34)5)(6)')\n    return [t, depth(t), parse('')]\n",
        [[]],
    ),
    "word_count": (
        "def main(text):\n    counts = {}\n    for word in text.lower().split():\n        word = word.strip('.,!')\n        counts[word] = counts.get(word, 0) + 1\n    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))\n    return [ranked, max(counts, key=lambda k: (counts[k], k)), sorted(counts)]\n",
        [["The cat. the dog, THE end!"]],
    ),
    "nested_aliases_in_results": (
        "def main():\n    row = [1]\n    grid = [row, row]\n    row.append(2)\n    d = {'a': row, 'b': [row]}\n    d['b'][0].append(3)\n    return [grid, d, grid[0] == grid[1]]\n",
        [[]],
    ),
    "returns_in_odd_places": (
        "def f(n):\n    for i in range(n):\n        while True:\n            if i == 2:\n                return ['loop', i]\n            break\n    else:\n        return ['else']\n\ndef g():\n    pass\n\ndef h(x):\n    if x:\n        return\n    return 1\n\ndef main():\n    return [f(5), f(1), g(), h(0), h(1)]\n",
        [[]],
    ),
    "shadowed_builtins": (
        "def main(list, len, str):\n    sum = list + len\n    max = [sum for sum in range(3)]\n    def min(x):\n        return x + 1\n    for int in range(2):\n        pass\n    return [sum, max, min(3), int, str]\n",
        [[1, 2, "s"]],
    ),
    "names_that_look_special": (
        "def main(match, case, type, print_, exec_, self, cls, _):\n    gas = match + case\n    m = type\n    helper = [gas, m, print_, exec_, self, cls, _]\n    return helper\n",
        [[1, 2, 3, 4, 5, 6, 7, 8]],
    ),
    "underscore": ("def main():\n    _ = 5\n    a, _, b = 1, 2, 3\n    xs = [_ for _ in range(3)]\n    return [a, _, b, xs]\n", [[]]),
    "docstrings_and_texts_in_a_row": (
        '"""Module\ntext."""\n\nX = (\'a\' \'b\'\n     "c")\n\ndef main():\n    """Doc \'quoted\'."""\n    \'also\'\n    s = \'one\' "two" \'\'\'three\nfour\'\'\'\n    return [X, s, r\'\\n\', \'\\x41\\u00e9\\u03b1\\101\', b\'\\x00a\', \'a\\\nb\']\n',
        [[]],
    ),
    "line_continuations": (
        "def main(a=1,\n         b=2):\n    x = a + \\\n        b\n    y = [\n        1,\n        2,\n    ]\n    if (a and\n            b):\n        return (x,\n                y)\n    return 0\n",
        [[]],
    ),
    "semicolons_and_one_liners": (
        "def f(x): return x + 1\n\ndef main():\n    a = 1; b = 2\n    if a: b = 3\n    else: b = 4\n    while a: a -= 1\n    for i in range(2): b += i\n    return [a, b, f(b)]\n",
        [[]],
    ),
    "number_literals": (
        "def main():\n    return [0x_ff, 0b1010, 0o17, 1_000_000, 0xFF, 00, 1_0 * 2, 0xdeadBEEF, -0]\n",
        [[]],
    ),
    "constants_of_constants": (
        "A = 10\nB = A ** 2 - 1\nC = (A, B, 'x')\nD = {'k': C, 2: [A]}\nE = -B // 7\nF = 1 << 10 | 3\nG = True\nH = None\nI = b'ab'\nJ = ~A\nK = +B - ~-3\n\ndef main():\n    return [A, B, C, D, E, F, G, H, I, J, K, C[1] % A, D['k'][2]]\n",
        [[]],
    ),
    "deep_but_allowed": (
        "def main():\n    x = [[[[[[[[[[1]]]]]]]]]]\n    y = 0\n    while isinstance(x, list):\n        x = x[0]\n        y += 1\n    z = ((((((((((2))))))))))\n    if 1:\n        if 1:\n            if 1:\n                if 1:\n                    if 1:\n                        if 1:\n                            y += 100\n    return [x, y, z]\n",
        [[]],
    ),
    "long_elif": (
        "def main(x):\n    if x == 0:\n        return 0\n" + "".join(f"    elif x == {i}:\n        return {i * i}\n" for i in range(1, 40)) + "    else:\n        return -1\n",
        [[0], [39], [40]],
    ),
    "many_arguments": (
        "def f(" + ", ".join(f"a{i}" for i in range(20)) + "):\n    return a0 + a19 * 2\n\ndef main():\n    return [f(" + ", ".join(str(i) for i in range(20)) + "), f(*[1] * 20)]\n",
        [[]],
    ),
    "generators_as_arguments": (
        "def main(n):\n    return [sum(i * i for i in range(n)), any(i > 3 for i in range(n)), all(i < 3 for i in range(n)), max((i % 3 for i in range(n)), default=-1), sorted(-i for i in range(n)),\n        list(i for i in range(n) if i % 2), tuple(i for i in range(2)), ''.join(str(i) for i in range(n)), dict((i, i * i) for i in range(3)),\n        sorted(set(i % 3 for i in range(n))), min(len(w) for w in ['aa', 'b'])]\n",
        [[0], [6]],
    ),
    "none_and_identity": (
        "def f(x=None):\n    if x is None:\n        return 'none'\n    return 'not'\n\ndef main():\n    a = None\n    return [f(), f(0), f(None), a is None, a is not None, True is True, (1 == 1) is True, [] is None, not a, a == None, a != None]\n",
        [[]],
    ),
    "assertions_that_hold": (
        "def main(x):\n    assert x, 'no'\n    assert x == 1 or x == 2, f'{x}'\n    return x\n",
        [[1], [2]],
    ),
    "stars_in_calls_and_displays": (
        "def f(a, b, c=3):\n    return [a, b, c]\n\ndef main():\n    xs = [1, 2]\n    return [f(*xs), f(*xs, 9), f(0, *[5]), [*xs, *'ab', *{'k': 1}, *range(2)], (*xs,), sorted({*xs, *xs}), max(*xs, 7), list(zip(*[xs, xs])), [*[]]]\n",
        [[]],
    ),
    "mutation_through_containers": (
        "def bump(d):\n    d['n'] = d.get('n', 0) + 1\n    return d\n\ndef main():\n    d = {}\n    e = bump(bump(d))\n    xs = [d] * 2\n    xs[0]['m'] = [1]\n    xs[1]['m'] += [2]\n    t = ([],)\n    t[0].append(5)\n    return [d, e, xs, t]\n",
        [[]],
    ),
    "dict_values_are_copies_of_lists": (
        "def main():\n    d = {'a': 1, 'b': 2}\n    ks = d.keys()\n    d['c'] = 3\n    out = []\n    for k, v in list(d.items()):\n        if v % 2:\n            del d[k]\n        out.append(k)\n    return [len(list(d.keys())), d, out, 'c' in d, list(d.values())]\n",
        [[]],
    ),
    "sum_of_products": ("def main(a, b):\n    return [sum(x * y for x, y in zip(a, b)), sum([], 5), sum((1, 2), 10), sum([True, 2]), sum({1: 5, 2: 6})]\n", [[[1, 2], [3, 4]]]),
    "isinstance_of_everything": (
        "def kind(x):\n    if isinstance(x, bool):\n        return 'bool'\n    if isinstance(x, int):\n        return 'int'\n    if isinstance(x, (str, bytes)):\n        return 'text'\n    if isinstance(x, (list, tuple)):\n        return [kind(y) for y in x]\n    if isinstance(x, dict):\n        return {k: kind(v) for k, v in x.items()}\n    if isinstance(x, set):\n        return 'set'\n    return 'none' if x is None else '?'\n\ndef main():\n    return kind([1, True, 'a', b'b', (None, {1}), {'k': [0]}])\n",
        [[]],
    ),
    "annotations": (
        "def f(a: int, b: str = 'x', c: list[int] = None) -> str:\n    n: int = a + 1\n    s: str\n    s = b * n\n    return s\n\ndef main(k: int) -> dict[str, int]:\n    d: dict[str, int] = {}\n    d[f(k)] = k\n    return d\n".replace(", c: list[int] = None", ""),
        [[1], [3]],
    ),
    "unpacking_with_a_star": (
        "def halves(xs):\n    if len(xs) < 2:\n        return xs\n    first, *rest = xs\n    return halves(rest) + [first]\n\ndef main(xs):\n    a, *b = xs\n    *c, d = xs\n    e, *f, g = xs\n    *h, = xs\n    [i, *j] = (1, 2, 3)\n    k, *_ = [7], 8\n    b.append(9)\n    def inner(q):\n        r, *s = q\n        return s\n    out = []\n    for row in [xs, [5, 6]]:\n        t, *u = row\n        out.append([u, t])\n    return [a, b, c, d, e, f, g, h, i, j, k, _, inner(xs), halves(xs), out]\n",
        [[[1, 2]], [[1, 2, 3, 4]], [[[1], [2], [3]]]],
    ),
    "finally_without_jumps": (
        "def f(log, x):\n    try:\n        log.append('try')\n        if x:\n            return 'early'\n        log.append('late')\n    finally:\n        log.append('end')\n    return 'normal'\n\ndef main():\n    log = []\n    return [f(log, 1), f(log, 0), log]\n",
        [[]],
    ),
}  # fmt: skip
