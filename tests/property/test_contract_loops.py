"""Loops that are charged at once or count in a local: wherever gas runs out or a turn fails, nobody can tell."""

from __future__ import annotations

from functools import lru_cache

import pytest
from contract_bench import Run, run
from test_contract_blind import blinded

from contracts import compile as compiling

LOOPS = {
    "sum": "    t = 0\n    for i in range(n):\n        t = (t * 31 + i) % 1000003\n    return [t, i]\n",
    "nothing to do": "    t = 5\n    for i in range(n, n):\n        t += i\n    return t\n",
    "backwards": "    t = 0\n    for i in range(n, 0, -2):\n        t += i * i\n    return [t, i]\n",
    "index": "    xs = [1, 2, 3]\n    t = 0\n    for i in range(n):\n        t += xs[i]\n    return t\n",
    "index set": "    xs = [0] * 3\n    for i in range(1, 9, 2):\n        xs[i] = n\n    return xs\n",
    "division": "    t = 0\n    for i in range(5, -5, -1):\n        t += n // i\n    return t\n",
    "remainder": "    t = 0\n    for i in range(-4, 4):\n        t = n % i\n    return t\n",
    "overflow": "    t = n\n    for i in range(9):\n        t = t * t\n    return t\n",
    "overflow at a sum": "    t = 2**255 - 9\n    for i in range(9):\n        t += i\n    return t\n",
    "negative overflow": "    t = -(2**255) + 9\n    for i in range(9):\n        t -= i\n    return t\n",
    "counter": "    t = 0\n    i = 0\n    while i < n:\n        i += 1\n        t -= 1\n    return [i, t]\n",
    "unbound": "    for i in range(n):\n        x = y + i\n        y = i\n    return x\n",
    "unbound later": "    for i in range(n):\n        x = i\n    return x\n",
    "shift": "    t = 1\n    for i in range(300):\n        t = t << i\n    return t\n",
    "caught": (
        "    t = 0\n    try:\n        for i in range(n):\n            t += 10 // (3 - i)\n"
        "    except DivByZero:\n        t = -t\n    return [t, i]\n"
    ),
    "loops in a loop": (
        "    t = 0\n    for i in range(n):\n        for j in range(i):\n            t += 7 // (j - 3)\n"
        "        for k in range(i, 0, -1):\n            t += k * j\n    return t\n"
    ),
    "branches": (
        "    t = 0\n    for i in range(n):\n        if i % 3 == 1:\n            t += 2\n        else:\n"
        "            t = 3 * t + 1\n        t += 1\n    return t\n"
    ),
    "jumps": (
        "    t = 0\n    for i in range(n):\n        if i == 2:\n            continue\n        if i == 5:\n"
        "            break\n        t += i\n    else:\n        t = -1\n    return t\n"
    ),
    "collatz": (
        "    best = 0\n    for s in range(1, n):\n        x = s\n        c = 0\n        while x != 1:\n"
        "            if x % 2 == 0:\n                x = x // 2\n            else:\n                x = 3 * x + 1\n"
        "            c += 1\n        if c > best:\n            best = c\n    return best\n"
    ),
    "its own variable": "    t = 0\n    for i in range(n):\n        i = i * 2\n        t += i\n    return [t, i]\n",
    "a list": "    xs = [3, 0, 2]\n    t = 0\n    for x in xs:\n        t += 6 // x\n    return t\n",
    "far": "    t = 0\n    for i in range(n * 2**70):\n        t += i\n    return t\n",
    "far away": "    t = 0\n    for i in range(2**200, 2**200 + n):\n        t = i - t\n    return t\n",
    "wide product": "    t = 0\n    for i in range(n):\n        t = i * 2**254 + 1\n    return t\n",
    "product of wide": "    t = 2**200\n    for i in range(n):\n        t = 3 * t + 1\n    return t\n",
    "in and out": "    t = 2**254\n    for i in range(n):\n        t = 2 * t - 2**254\n    return t\n",
}


@pytest.mark.parametrize("head", ["n: int", "n"])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_mean_the_same_to_a_blind_compiler(name: str, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"def main({head}):\n{LOOPS[name]}"
    full = [run(source, "main", [n], gas=20_000) for n in (0, 1, 4, 7)]
    limits = sorted({gas for outcome in full for gas in range(0, outcome.gas + 2, max(1, outcome.gas // 40))})

    def outcomes() -> list[Run]:
        return [run(source, "main", [n], gas=gas) for n in (4, 7) for gas in limits]

    sighted = outcomes()
    blinded(monkeypatch)
    monkeypatch.setattr(compiling, "_compiled", lru_cache(compiling._compiled))
    assert full == [run(source, "main", [n], gas=20_000) for n in (0, 1, 4, 7)]
    assert sighted == outcomes()
