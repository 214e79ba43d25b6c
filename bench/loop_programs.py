"""Integer loops that the contract runtime and plain CPython both run: same source, same value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from contracts.compile import compile_source
from contracts.solo_run import prepared

_GAS: Final = 10**12

LOOPS: Final[dict[str, tuple[str, int]]] = {
    "sum": (
        """
def main(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total
""",
        40_000,
    ),
    "while": (
        """
def main(n: int) -> int:
    i = 0
    total = 0
    while i < n:
        total += i * i % 7
        i += 1
    return total
""",
        40_000,
    ),
    "collatz": (
        """
def main(n: int) -> int:
    best = 0
    for start in range(1, n):
        x = start
        steps = 0
        while x != 1:
            if x % 2 == 0:
                x = x // 2
            else:
                x = 3 * x + 1
            steps += 1
        if steps > best:
            best = steps
    return best
""",
        600,
    ),
    "gcd": (
        """
def gcd(a: int, b: int) -> int:
    while b != 0:
        a, b = b, a % b
    return a


def main(n: int) -> int:
    total = 0
    for i in range(1, n):
        total += gcd(i, 360360)
    return total
""",
        6_000,
    ),
    "fib": (
        """
def main(n: int) -> int:
    a, b = 0, 1
    for i in range(n):
        a, b = b, (a + b) % 1000000007
    return a
""",
        40_000,
    ),
    "fib_calls": (
        """
def fib(n: int) -> int:
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def main(n: int) -> int:
    return fib(n)
""",
        18,
    ),
    "sieve": (
        """
def main(n: int) -> int:
    marks = [True] * (n + 1)
    count = 0
    for i in range(2, n + 1):
        if marks[i]:
            count += 1
            for j in range(i * i, n + 1, i):
                marks[j] = False
    return count
""",
        20_000,
    ),
    "dict": (
        """
def main(n: int) -> int:
    counts = {}
    for i in range(n):
        digit = i % 10
        counts[digit] = counts.get(digit, 0) + 1
    return counts[7]
""",
        20_000,
    ),
}
"""Name -> source and argument of `main`; each takes a few milliseconds under plain CPython."""


def plain_loop(name: str) -> Callable[[], object]:
    """The loop as CPython runs it."""
    source, size = LOOPS[name]
    scope: dict[str, Any] = {}
    exec(source, scope)  # one of the constant sources above
    main: Callable[[int], object] = scope["main"]
    return lambda: main(size)


def solo_loop(name: str) -> Callable[[], object]:
    """The loop as a contract: compiled and linked before, metered when called."""
    source, size = LOOPS[name]
    _, call = prepared(compile_source(source, pure=True), "main", [size], _GAS)

    def run() -> object:
        outcome = call()
        if outcome.status != "ok":
            raise AssertionError(f"{name}: {outcome.code} {outcome.fault}")
        return outcome.value

    return run
