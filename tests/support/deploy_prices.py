"""Sources that make the compiler work hardest for the gas that deploying them costs, and how long each takes.

    python tests/support/deploy_prices.py

prints nanoseconds per gas of every source. One gas is meant to be 10 ns on the reference host; how fast this host is
comes from a plain Python loop beside each compile (`gas_prices.reference_loop`), in processor time, best of several.
"""

# ruff: noqa: E501  # sources as text

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterable
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from gas_prices import REFERENCE_LOOP_NS, Price, reference_loop

from contracts import compile as compiling
from contracts.admit import admit
from contracts.lifecycle import syntax_size
from contracts.limits import GAS1, GAS_VERSION, LANGUAGE, PYC1
from contracts.rules import SourceRejected
from contracts.tokens import prescan
from contracts.validate import parse

MAIN = "@export\ndef main(x: int) -> int:\n"
WAYS = 30
PARAMETERS = ", ".join(f"a{i}" for i in range(WAYS))
ROUND = ", ".join((f"a{WAYS - 1} + 1", *(f"a{i}" for i in range(WAYS - 1))))
ZEROES = ", ".join("0" for _ in range(WAYS))


def body(lines: Iterable[str]) -> str:
    return MAIN + "".join(f"    {line}\n" for line in lines) + "    return x\n"


def many(lines: Iterable[str]) -> str:
    """Lines behind four hundred locals."""
    return body((*(f"v{i} = {i}" for i in range(400)), *lines))


def functions(count: int, text: str, first: str) -> str:
    """`text` of count functions, with `{i}` and the number of the `{next}` one; then `main` calls `first`."""
    made = "".join(text.replace("{i}", str(i)).replace("{next}", str((i + 1) % count)) for i in range(count))
    return f"{made}{MAIN}    return {first}\n"


def ring(lines: Iterable[str]) -> str:
    """A function that calls itself with its parameters turned by one, so that what is known of them never settles."""
    inside = "".join(f"    {line}\n" for line in lines)
    return f"def f({PARAMETERS}):\n{inside}    if a0 > 5:\n        return 1\n    return f({ROUND})\n\n{MAIN}    return f({ZEROES})\n"


def nested(count: int, text: str) -> list[str]:
    return [f"def g{i}(y):\n        return {text.replace('{i}', str(i))}" for i in range(count)]


def tower(word: str, count: int) -> list[str]:
    """Ten compound statements inside each other, many times."""
    inner = "".join("    " * (k + 2) + word.replace("{k}", str(k)) + "\n" for k in range(9))
    return [f"{word.replace('{k}', '9')}\n{inner}{'    ' * 11}x = 1" for _ in range(count)]


SOURCES: dict[str, str] = {
    "assignments": body(f"x = x + {i}" for i in range(1_500)),
    "steps": body(["x += x"] * 2_000),
    "names": body(["x"] * 4_000),
    "locals in a chain": MAIN + "    v1200 = 1\n    for k in range(5):\n" + "".join(f"        v{i} = v{i + 1} + 1\n" for i in range(1_200)) + "    return v0\n",
    "locals and tests": many(f"if x > {i}:\n        v{i % 400} = x" for i in range(800)),
    "locals and for": many(f"for j in range({i}):\n        v{i % 400} = j" for i in range(600)),
    "locals and while": many(f"while x > {i}:\n        v{i % 400} = x" for i in range(800)),
    "locals and try": many(f"try:\n        v{i % 400} = x\n    except Overflow:\n        pass" for i in range(600)),
    "locals and match": many(f"match x:\n        case {i}:\n            v{i % 400} = x\n        case _:\n            pass" for i in range(500)),
    "tests of many": many("if " + " and ".join(f"v{(i * 11 + j) % 400} > {j}" for j in range(12)) + ":\n        x = 1" for i in range(120)),
    "tests in tests": body("if " + "(" * 20 + "x > 1" + " and x > 2)" * 20 + ":\n        x = 1" for _ in range(90)),
    "for in for": body(tower("for a{k} in range(x):", 120)),
    "if in if": body(tower("if x > {k}:", 150)),
    "while in while": many(tower("while x > {k}:", 100)),
    "functions in a chain": functions(900, "def f{i}(x):\n    return f{next}(x + 1)\n\n", "f0(x)"),
    "tuples in a chain": functions(700, "def f{i}(x):\n    y = f{next}((x,))\n    return y\n\n", "f0(x)"),
    "functions in a ring": functions(500, "def f{i}(x, y):\n    return f{next}(y, (x, y))\n\n", "f0(x, x)"),
    "readers in a chain": functions(499, "def g{i}(a: list) -> int:\n    return g{next}(a)\n\n", "g0([x])").replace("return g0(a)", "return a.pop()"),
    "writers in a chain": "m = Map(u64, u64)\n" + functions(499, "def g{i}():\n    g{next}()\n\n", "x").replace("    g0()\n", "    m[1] = 1\n"),
    "parameters turn": ring(f"v{i} = a{i % WAYS} + 1" for i in range(1_000)),
    "parameters turn, loops": ring(f"for j in range(a{i % WAYS}):\n        v{i % 400} = j" for i in range(500)),
    "parameters turn, steps": ring(f"a{i % WAYS} += a{(i + 1) % WAYS}" for i in range(1_500)),
    "tuples that double": body(["t = ()", *["t = (t, t)"] * 1_200]),
    "nested functions": body([*(f"v{i} = x" for i in range(600)), *nested(63, "y + v{i}")]),
    "nested functions, calls": body(["v = x", *nested(63, "y + v"), *(f"w = g{i % 63}(x)" for i in range(700))]),
    "nested functions, captures": body([*(f"v{i} = x" for i in range(60)), *nested(60, "y" + "".join(f" + v{j}" for j in range(28)))]),
    "nested functions, one variable": MAIN + "    v = x\n" * 700 + "".join(f"    {line}\n" for line in nested(63, "y + v")) + "    return g0(1)\n",
    "comprehensions": body(f"a = [y + {i} for y in range(x)]" for i in range(700)),
    "comprehensions in comprehensions": body(["a = [[[y for y in z if y] for z in range(x) for w in range(z)] for q in range(x)]"] * 250),
    "f-strings": body(['a = f"{x}{x:>5}{x}{x}{x}{x}"'] * 700),
    "lambdas": body(f"a = sorted([1, 2], key=lambda y: y + {i})" for i in range(500)),
    "calls in calls": body(["x = " + "max(x, " * 25 + "x" + ")" * 25] * 100),
    "chains": body(["y = x < 1 < x < 3 < x < 5 < x < 7 < x"] * 400),
    "displays": body(["a = [" + ", ".join("1" for _ in range(90)) + "]"] * 90),
    "storage": "m = Map((u64, u64), u64, default=0)\n" + body(["m[(x, 1)] += 1"] * 600),
    "events": "E = event('E', a=u64, b=u64)\n" + body(["emit(E, a=x, b=x)"] * 600),
    "records": "R = record('R', a=u64, b=u64)\n" + body(["r = R(a=x, b=1)", *["r = r.replace(a=x, b=x)"] * 500]),
    "entries": "".join(f"@export\ndef f{i}(a: int, b: str, c: u64) -> int:\n    return a\n\n" for i in range(500)),
    "constants": "".join(f"A{i} = {i} + {i}\n" for i in range(1_500)) + body([]),
    "texts": body([f'a = "{"b" * 300}"' for _ in range(150)]),
}  # fmt: skip


def deploy_gas(source: str) -> int:
    """What `lifecycle.deploy` charges for bytes and syntax nodes."""
    text = admit(source.encode(), PYC1)
    prescan(text, PYC1)
    return GAS1.deploy_per_byte * len(source.encode()) + GAS1.deploy_per_node * syntax_size(parse(text, PYC1))


def deploy_price(name: str, repeat: int) -> Price:
    """The best of several compiles without the cache, each against a plain loop before and behind it; objects are
    collected as a node collects them (`node.node.tame_collector`), seldom."""
    raw = SOURCES[name].encode()
    gas, best = deploy_gas(SOURCES[name]), float("inf")
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(50_000, 50, 50)
    try:
        host = min(reference_loop() for _ in range(3))
        for _ in range(repeat):
            start = time.process_time_ns()
            try:
                compiling._compiled.__wrapped__(raw, LANGUAGE, GAS_VERSION, False)
            except SourceRejected as error:
                raise AssertionError(f"{name}: {error.code}, line {error.line}") from error
            spent = time.process_time_ns() - start
            before, host = host, min(reference_loop() for _ in range(3))
            best = min(best, spent / gas * REFERENCE_LOOP_NS / min(host, before))
    finally:
        gc.set_threshold(*thresholds)
    return Price(best, name, "source", len(raw), gas)


if __name__ == "__main__":
    for found in sorted((deploy_price(name, 3) for name in SOURCES), key=lambda price: -price.nanoseconds):
        print(f"{found.nanoseconds:8.1f} ns/gas  {found.operation:<34} {found.size:>6} bytes {found.gas:>10,} gas")
