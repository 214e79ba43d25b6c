"""Random programs with lists, dicts, aliases and functions over a small set of names; None and True are the poison.

What they hunt is false knowledge of the compiler: a list believed to hold integers while another name, a callee or a
nested function puts something else into it; a name believed to be an integer behind a test that did not say so.
"""

from __future__ import annotations

import random
from typing import Any


class Program:
    """Writes a program of a few functions over integers, lists and dicts; None and True are the poison."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.functions: list[tuple[str, int]] = []

    def pick(self, *options: str) -> str:
        return self.chance.choice(options)

    def value(self, depth: int = 2) -> str:
        kind = self.chance.random()
        if depth == 0 or kind < 0.25:
            return self.pick("a", "b", "i", "n", str(self.chance.randrange(5)), "2**200", "True", "None", "x")
        if kind < 0.5:
            return f"({self.value(depth - 1)} {self.pick('+', '-', '*', '//', '%', '&')} {self.value(depth - 1)})"
        if kind < 0.62:
            return f"{self.container()}[{self.pick('0', '-1', 'i', '1')}]"
        if kind < 0.7:
            return f"d.get({self.pick('1', '2', 'i')}, {self.value(0)})"
        if kind < 0.75:
            return f"d[{self.pick('1', '2', 'i')}]"
        if kind < 0.8:
            return f"len({self.container()})"
        if kind < 0.85:
            return f"sum({self.container()})"
        if kind < 0.9 and self.functions:
            name, count = self.chance.choice(self.functions)
            given = [self.pick(self.container(), self.value(0)) for _ in range(count)]
            return f"{name}({', '.join(given)})"
        if kind < 0.95:
            return f"({self.value(0)} if {self.condition()} else {self.value(0)})"
        return f"max({self.value(0)}, {self.value(0)})"

    def container(self) -> str:
        return self.pick("xs", "ys", "zs")

    def fresh(self) -> str:
        return self.pick(
            f"[{self.value(1)}, {self.value(1)}]",
            "[]",
            f"[v + {self.value(0)} for v in {self.container()}]",
            f"{self.container()}[1:]",
            f"[{self.value(0)}] * 3",
            f"{self.container()} + [{self.value(0)}]",
            f"sorted({self.container()})",
            f"list({self.container()})",
            f"{self.container()}.copy()",
            "list(d.values())",
            self.container(),
        )

    def condition(self) -> str:
        return self.pick(
            f"{self.value(0)} < {self.value(0)}",
            f"{self.value(0)} == {self.value(0)}",
            f"{self.container()}",
            f"{self.value(0)} in {self.container()}",
            f"{self.value(0)} is None",
            f"not {self.container()}",
            *self.told(),
        )

    def told(self) -> list[str]:
        """More conditions; none in plain programs."""
        return []

    def line(self) -> list[str]:
        owner = self.container()
        return self.chance.choice(
            [
                lambda: [f"{owner}.append({self.value()})"],
                lambda: [f"if len({owner}) < 9:", f"    {owner} += {owner}"],
                lambda: [f"{owner}[{self.pick('0', '-1', 'i')}] = {self.value()}"],
                lambda: [f"{owner}[0] += {self.value(1)}"],
                lambda: [f"{owner} = {self.fresh()}"],
                lambda: [f"{owner} += ({self.fresh()})[:2]"],
                lambda: [f"{owner}.extend({self.container()}[:2])"],
                lambda: [f"{self.pick('a', 'b', 'x')} = {self.value()}"],
                lambda: [f"{self.pick('a', 'b')} += {self.value(1)}"],
                lambda: [f"x = {owner}.pop()"],
                lambda: [f"d[{self.pick('1', '2', 'i')}] = {self.value()}"],
                lambda: [f"d[{self.pick('1', '2')}] += {self.value(1)}"],
                lambda: [f"a, b = {self.value(1)}, {self.value(1)}"],
                lambda: [f"x, a = {owner}"],
                lambda: [f"{owner}, zs = {self.fresh()}, {self.fresh()}"],
                lambda: [f"{owner}.insert(0, {self.value(1)})"],
                lambda: [f"{owner}.sort(key=lambda v: v {self.pick('+', '*')} {self.value(0)})"],
                lambda: [f"for v in {owner}:", f"    a = v {self.pick('+', '-')} {self.value(0)}"],
                lambda: ["for k in d:", f"    b = k + {self.value(0)}"],
                lambda: ["for k, v in d.items():", "    x = v", "    b = k"],
                lambda: [f"d = {{1: {self.value(1)}, 2: {self.value(0)}}}"],
            ]
        )()  # fmt: skip

    def body(self, indent: str, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.chance.randrange(2, 6)):
            kind = self.chance.random()
            if depth and kind < 0.12:
                lines += [f"{indent}if {self.condition()}:", *self.body(indent + "    ", depth - 1)]
            elif depth and kind < 0.24:
                lines += [f"{indent}for i in range({self.pick('2', '3', 'len(xs)')}):"]
                lines += self.body(indent + "    ", depth - 1)
            else:
                lines += [indent + line for line in self.line()]
        return lines

    def function(self, name: str, parameters: str, first: list[str]) -> str:
        end = self.pick("return xs", "return a", "return [a, b]", "return zs", "return x", "return d")
        lines = [*(f"    {line}" for line in first), *self.body("    ", 2)]
        return f"def {name}({parameters}):\n" + "\n".join(lines) + f"\n    {end}\n\n"

    def text(self) -> str:
        common = ["a = 1", "b = 2", "i = 0", "n = 3", "x = None"]
        made = ""
        for index in range(self.chance.randrange(0, 3)):
            first = [*common, f"ys = {self.pick('xs', '[1, 2]')}", "zs = [5]", "d = {1: 1, 2: 2}"]
            made += self.function(f"f{index}", "xs", first)
            self.functions.append((f"f{index}", 1))
        first = [
            *common[:4],
            "x = p",
            f"xs = {self.pick('[1, 2]', 'q', '[p, 1]')}",
            "ys = [3, 4]",
            "zs = xs",
            "d = {1: 1, 2: 2}",
        ]
        if self.chance.random() < 0.5:
            first[-2] = "zs = [7]"
        annotated = self.pick("p, q", "p: int, q: list[int]", "p, q: list")
        main = self.function("main", annotated, first)
        return (
            made + main.rstrip() + "\n"
            if "return d" not in main
            else made + main.replace("return d", "return [a, b, xs]").rstrip() + "\n"
        )


def arguments_for(seed: int) -> list[list[Any]]:
    chance = random.Random(seed)
    return [[chance.choice([0, 1, 5, 2**254]), [chance.randrange(4) for _ in range(size)]] for size in (2, 0, 3)]


class AliasProgram(Program):
    """With tests that tell a type, early exits, comprehensions over aliases, handlers. `typed`: main is annotated."""

    typed = False

    def told(self) -> list[str]:
        name = self.pick("a", "b", "x", "x")
        return [
            f"{name} is not None",
            f"isinstance({name}, int)",
            f"isinstance({name}, (int, list))",
            f"not isinstance({name}, bool)",
            f"{name} is None or {name} == {self.value(0)}",
            f"{name} is not None and {self.value(1)} != {name}",
            f"isinstance({name}, int) and {name} {self.pick('<', '>=')} {self.value(0)}",
        ]

    def line(self) -> list[str]:
        """A statement, every other time one whose failure goes by."""
        lines = super().line() if self.chance.random() < 0.6 else self.telling()
        if self.chance.random() < 0.5:
            return lines
        codes = "(TypeMismatch, IndexRange, KeyMissing, BadValue, DivByZero, Overflow)"
        return ["try:", *(f"    {line}" for line in lines), f"except {codes}:", "    pass"]

    def telling(self) -> list[str]:
        name, owner = self.pick("a", "b", "x"), self.container()
        return self.chance.choice(
            [
                lambda: [f"if {name} is None:", f"    {name} = {self.value(0)}"],
                lambda: [f"if {name} is None:", f"    return {self.container()}"],
                lambda: [f"if not isinstance({name}, int):", f"    {name} = {self.value(1)}"],
                lambda: [f"{name} = {self.value(0)} if {self.condition()} else {self.value(0)}"],
                lambda: ["try:", f"    {name} = {self.value()}", "except TypeMismatch:", "    b = 3"],
                lambda: ["try:", f"    {owner}.append({self.value()})", "finally:", f"    {name} = {self.value(0)}"],
                lambda: [f"while {self.condition()}:", f"    {owner} = {self.fresh()}", "    break"],
                lambda: [f"{owner} = [{name} for {name} in {self.container()}]"],
                lambda: [f"zs = [zs, {owner}]" if self.chance.random() < 0.3 else f"zs = [{owner}, [1]][0]"],
                lambda: [f"{owner} = d.setdefault(7, {self.container()})"],
                lambda: [f"d.update({{1: {self.value(0)}}})"],
                lambda: [f"{owner} += [{self.value(1)} for i in range(2)]"],
                lambda: [f"xs, ys = ys, {self.pick('xs', 'zs', '[]')}"],
                lambda: [f"match {name}:", "    case 1 | 2:", f"        {owner}.append({name})"],
                lambda: [f"x = {self.pick('max', 'min')}({self.container()}, default=None)"],
                lambda: [f"x = str({name})"],
                lambda: [f"{owner}.extend(map(lambda v: {self.pick('v', 'v + 1', 'None', name)}, {self.container()}))"],
            ]
        )()  # fmt: skip

    def text(self) -> str:
        found = super().text()
        self.typed = "main(p: int" in found
        return found

    def arguments(self) -> list[Any]:
        """Arguments of one call, mostly of the annotated types."""
        wild = not self.typed or self.chance.random() < 0.05
        numbers = (0, 1, 2, 3, 2**200, *((None, True) if wild else ()))
        first = self.chance.choice([0, 1, 5, 2**254, *((None, True, "ab") if wild else ())])
        return [first, [self.chance.choice(numbers) for _ in range(self.chance.randrange(1, 4))]]
