"""Lists and dicts given to functions of the same contract: some only read them, others change, keep or return them.

What a reader is told of the items must be true whatever the others do; a compiler that believes nothing must give the
same value, failure, line and gas.
"""

from __future__ import annotations

import random
from functools import lru_cache

import pytest
from contract_bench import Bench
from test_contract_blind import blinded

from contracts import compile as compiling
from ledger.objects import Receipt

ITEMS = ("1", "i", "'text'", "[i]", "(i, 2)", "2**254", "2**254", "-(2**254)")


class Lender:
    """Writes a contract of helpers over a list, a dict and a number, and an entry that gives its own to them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.helpers: list[str] = []

    def pick(self, *options: str) -> str:
        return self.chance.choice(options)

    def item(self) -> str:
        return self.pick("5", "7", *ITEMS)

    def given(self) -> str:
        return self.pick("xs", "xs", "ys", "xs[1:]", "list(xs)", "[i, 2]", "ys + [1]", "sorted([3, i])")

    def table(self) -> str:
        return self.pick("d", "d", "d.copy()", "{1: i, 2: 3}")

    def call(self) -> str:
        name = self.chance.choice(self.helpers)
        if self.chance.random() < 0.2:
            return f"{name}(i=i, d={self.table()}, xs={self.given()})"
        return f"{name}({self.given()}, {self.table()}, i)"

    def line(self, own: bool) -> list[str]:
        reads = (
            "t += xs[0] + i",
            "y = xs[0] * 4",
            "y = xs[-1] * 2**9",
            "y = xs[0] * 3 - d[1] * 5",
            "y = d.get(2, 1) * 4",
            "t = xs[0] * 4",
            "t += len(xs) + len(d)",
            "t += sum(xs)",
            "for x in xs:\n        t = t + x",
            "t += d[1] * 2",
            "t += d.get(2, 0)",
            "for k, v in d.items():\n        t += v",
            "t += max(xs)",
            "if i in xs:\n        t += 1",
            "t += sum([x for x in xs if x != i])",
            "t += xs[-1]",
        )
        changes = (
            f"xs.append({self.item()})",
            f"xs[0] = {self.item()}",
            "xs[0] += i",
            f"d[{self.pick('1', '2', 'i')}] = {self.item()}",
            "ys = xs",
            f"ys.append({self.item()})",
            "xs += [i]",
            "del d[1]",
            f"ys = [xs, {self.item()}]",
            f"xs = {self.given()}",
            f"d.update({{2: {self.item()}}})",
            "ys.insert(0, i)",
        )
        kind = self.chance.random()
        if self.helpers and kind < 0.3:
            return [self.pick(f"t += {self.call()}", f"ys = [{self.call()}]")]
        if kind < (0.6 if own else 0.4):
            return [self.chance.choice(changes)]
        return [self.chance.choice(reads)]

    def body(self, own: bool) -> list[str]:
        return [line for _ in range(self.chance.randrange(1, 5)) for line in self.line(own)]

    def helper(self, name: str) -> str:
        lists = self.pick("xs: list", "xs", "xs: list[int]")
        head = f"def {name}({lists}, {self.pick('d: dict', 'd')}, i: int){self.pick(' -> int', '')}:"
        end = self.pick("t", "t", "t", "len(xs)", "xs[0]", "xs")
        self_end = "t" if "-> int" in head and end == "xs" else end
        lines = ["t = 0", "y = 0", "ys = [2, 1]", *self.body(self.chance.random() < 0.4)]
        return "\n".join([head, *(f"    {line}" for line in lines), f"    return {self_end}", "", ""])

    def program(self) -> str:
        made = ""
        for index in range(self.chance.randrange(1, 4)):
            made += self.helper(f"f{index}") + "\n"
            self.helpers.append(f"f{index}")
        body = [f"    {line}" for _ in range(4) for line in self.body(True)]
        lists = ["    xs = [1, 2, 3]", "    ys = [4, 3]", "    d = {1: 4, 2: 5}"]
        first = ["    t = 0", "    y = 0", *lists]
        last = ["    t += " + self.call(), "    return t"]
        return made + "\n".join(["@export", "def main(i: int) -> int:", *first, *body, *last]) + "\n"


LEAKS = {
    "item set": ("def f(xs):\n    xs[0] = 2**254\n", "f(xs)"),
    "item set, annotated": ("def f(xs: list) -> None:\n    xs[0] = 2**254\n", "f(xs)"),
    "item added to": ("def f(xs):\n    xs[0] += 2**254\n", "f(xs)"),
    "list added to": ("def f(xs):\n    xs += [2**254]\n    xs.reverse()\n", "f(xs)"),
    "inserted": ("def f(xs):\n    xs.insert(0, 2**254)\n", "f(xs)"),
    "by name": ("def f(n, xs):\n    xs.insert(n, 2**254)\n", "f(xs=xs, n=0)"),
    "returned": ("def f(xs):\n    return xs\n", "ys = f(xs)\n    ys[0] = 2**254"),
    "returned in a list": ("def f(xs):\n    return [1, xs]\n", "ys = f(xs)\n    ys[1][0] = 2**254"),
    "returned by a choice": ("def f(xs):\n    return xs if len(xs) > 1 else []\n", "ys = f(xs)\n    ys[0] = 2**254"),
    "another name": ("def f(xs):\n    ys = xs\n    ys[0] = 2**254\n", "f(xs)"),
    "kept in a list": ("def f(xs):\n    ys = [xs]\n    ys[0][0] = 2**254\n", "f(xs)"),
    "kept in a dict": ("def f(xs):\n    d = {1: xs}\n    d[1][0] = 2**254\n", "f(xs)"),
    "passed on": ("def g(xs):\n    xs[0] = 2**254\n\ndef f(xs):\n    g(xs)\n", "f(xs)"),
    "passed on by a star": ("def g(xs):\n    xs[0] = 2**254\n\ndef f(xs):\n    g(*[xs])\n", "f(xs)"),
    "passed on and back": ("def g(xs):\n    return xs\n\ndef f(xs):\n    g(xs)[0] = 2**254\n", "f(xs)"),
    "around": ("def f(xs, n):\n    if n == 0:\n        xs[0] = 2**254\n    else:\n        f(xs, n - 1)\n", "f(xs, 2)"),
    "captured": (
        "def f(xs):\n    def g(n):\n        xs[n] = 2**254\n    g(0)\n",
        "f(xs)",
    ),
    "a name of the loop": ("def f(xs):\n    for ys in [xs]:\n        ys[0] = 2**254\n", "f(xs)"),
    "another caller": ("def f(xs: list) -> int:\n    return xs[0] * 4\n", "f(xs)\n    f([2**254])"),
    "another caller, later": ("def f(xs):\n    return xs[0] * 4\n", "f(xs)\n    xs[0] = 2**254\n    f(xs)"),
    "another caller, by a star": ("def f(xs: list) -> int:\n    return xs[0] * 4\n", "f(xs)\n    f(*[[2**254]])"),
    "through two": ("def g(xs):\n    return xs[0] * 4\n\ndef f(xs):\n    return g(xs)\n", "f(xs)\n    f([2**254])"),
    "a dict": ("def f(d):\n    d[1] = 2**254\n", "d = {1: 2}\n    f(d)\n    return d[1] * 4"),
    "a dict updated": ("def f(d):\n    d.update({1: 2**254})\n", "d = {1: 2}\n    f(d)\n    return d[1] * 4"),
    "a dict of readers": ("def f(d: dict) -> int:\n    return d[1] * 4\n", "f({1: 2})\n    f({1: 2**254})"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_what_a_function_does_to_a_list_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    helpers, use = LEAKS[name]
    end = "" if "return" in use else "    return xs[0] * 4\n"
    source = f"{helpers}\n@export\ndef main(i: int) -> int:\n    xs = [1, 2]\n    {use}\n{end}"
    sighted = receipts(source)
    assert {receipt.code for receipt in sighted} == {"Overflow"}, source
    blinded(monkeypatch)
    monkeypatch.setattr(compiling, "_compiled", lru_cache(compiling._compiled))
    assert sighted == receipts(source)


def receipts(source: str) -> list[Receipt]:
    bench = Bench()
    installed = bench.install("c", source)
    if not installed.ok:
        return [installed]
    return [bench.call("c", "main", number, gas=1_000_000) for number in (0, 2, 2**200)]


@pytest.mark.parametrize("seed", range(60))
def test_lending_means_the_same_to_a_blind_compiler(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Lender(seed).program()
    sighted = receipts(source)
    blinded(monkeypatch)
    monkeypatch.setattr(compiling, "_compiled", lru_cache(compiling._compiled))
    assert sighted == receipts(source), source


def test_the_generator_reaches_values_and_failures() -> None:
    found = [receipt for seed in range(60) for receipt in receipts(Lender(seed).program())]
    assert sum(receipt.ok for receipt in found) > 15
    assert {"Overflow", "TypeMismatch"} <= {receipt.code for receipt in found}
