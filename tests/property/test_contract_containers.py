"""Random programs with lists, dicts, aliases and functions against CPython with checked integers.

What this hunts is false knowledge: a list believed to hold integers while another name, a callee or a nested function
puts something else into it.
"""

from __future__ import annotations

import ast
import random
from typing import Any

import pytest
from contract_bench import run
from test_contract_integers import Checked, Failed, Wrap, checked_scope

ENDLESS = "a list that grows while it is walked"


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
        )

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


def reference(source: str, arguments: list[Any]) -> tuple[str, Any]:
    tree = Wrap().visit(ast.parse(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.For):
            node.body.insert(0, ast.Expr(ast.Call(ast.Name("turn", ast.Load()), [], [])))
    ast.fix_missing_locations(tree)
    turns = iter(range(20_000))

    def turn() -> None:
        if next(turns, None) is None:
            raise Failed(ENDLESS)

    scope = checked_scope()
    scope["turn"] = turn
    exec(compile(tree, "<reference>", "exec"), scope)

    def inside(value: Any) -> Any:
        return [inside(item) for item in value] if isinstance(value, list) else Checked(value)

    try:
        return "", scope["main"](*map(inside, arguments))
    except Failed as error:
        return str(error), None
    except ZeroDivisionError:
        return "DivByZero", None
    except IndexError:
        return "IndexRange", None
    except KeyError:
        return "KeyMissing", None
    except (TypeError, AttributeError):
        return "TypeMismatch", None
    except (ValueError, UnboundLocalError):
        return "BadValue", None


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {int(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool) else int(value)


@pytest.mark.parametrize("seed", range(250))
def test_container_programs_agree_with_checked_python(seed: int) -> None:
    source = Program(seed).text()
    for arguments in arguments_for(seed):
        expected, value = reference(source, arguments)
        if expected == ENDLESS:
            continue
        found = run(source, "main", arguments, gas=10_000_000)
        assert found.status != "rejected", (source, found)
        assert found.code == expected, (source, arguments, found)
        if not expected:
            assert plain(found.value) == plain(value), (source, arguments)
