"""Random integer programs against CPython with a checked integer class: equal value, or equal failure.

What this hunts is the compiler's intervals: a range check left out where a result can leave the 256 bits.
"""

from __future__ import annotations

import ast
import random
from typing import Any

import pytest
from contract_bench import run

LOW, HIGH = -(2**255), 2**255


class Failed(Exception):
    """A failure by its contract code."""


class Checked(int):
    """An int whose every operation stays in the width of the language."""


def checked(value: int) -> Checked:
    if not LOW <= value < HIGH:
        raise Failed("Overflow")
    return Checked(value)


def _power(a: int, b: int) -> int:
    if b < 0:
        raise Failed("BadValue")
    if abs(a) > 1 and b > 300:
        raise Failed("Overflow")
    return int(a) ** (b % 2 + 2 if b > 300 else b)


def _shift(a: int, b: int) -> int:
    if b < 0:
        raise Failed("BadValue")
    if a and b > 300:
        raise Failed("Overflow")
    return int(a) << min(b, 300)


def _right(a: int, b: int) -> int:
    if b < 0:
        raise Failed("BadValue")
    return int(a) >> min(b, 600)


def _divided(which: str) -> Any:
    def divide(a: int, b: int) -> int:
        if b == 0:
            raise Failed("DivByZero")
        return int(a) // int(b) if which == "//" else int(a) % int(b)

    return divide


OPERATIONS: dict[str, Any] = {
    "add": lambda a, b: int(a) + int(b), "sub": lambda a, b: int(a) - int(b), "mul": lambda a, b: int(a) * int(b),
    "floordiv": _divided("//"), "mod": _divided("%"), "pow": _power, "lshift": _shift, "rshift": _right,
    "and": lambda a, b: int(a) & int(b), "or": lambda a, b: int(a) | int(b), "xor": lambda a, b: int(a) ^ int(b),
}  # fmt: skip


def _method(operation: Any, swapped: bool) -> Any:
    def method(a: Any, b: Any) -> Any:
        if not isinstance(b, int):
            return NotImplemented
        return checked(operation(int(b), int(a)) if swapped else operation(int(a), int(b)))

    return method


for _name, _operation in OPERATIONS.items():
    setattr(Checked, f"__{_name}__", _method(_operation, False))
    setattr(Checked, f"__r{_name}__", _method(_operation, True))
Checked.__pos__ = lambda a: checked(int(a))  # type: ignore[method-assign]
Checked.__neg__ = lambda a: checked(-int(a))  # type: ignore[method-assign]
Checked.__invert__ = lambda a: checked(~int(a))  # type: ignore[method-assign]
Checked.__abs__ = lambda a: checked(abs(int(a)))  # type: ignore[method-assign]


class Wrap(ast.NodeTransformer):
    """Makes every literal a checked integer, so that every operation is checked."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is int:
            return ast.Call(ast.Name("Checked", ast.Load()), [node], [])
        return node


EDGES = [
    0,
    1,
    2,
    3,
    7,
    31,
    64,
    254,
    255,
    256,
    2**31,
    2**63,
    2**64 - 1,
    2**64,
    2**127,
    2**128,
    2**253,
    2**254,
    2**255 - 1,
]


CONSTANTS = "".join(f"K{index} = {value}\n" for index, value in enumerate(EDGES)) + "\n"


class Writer:
    """Writes a random program over integer variables."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names = ["a", "b", "c"]

    def literal(self) -> str:
        if self.chance.random() < 0.5:
            return str(self.chance.randrange(10))
        return f"K{self.chance.randrange(len(EDGES))}"

    def expression(self, depth: int) -> str:
        kind = self.chance.random()
        if depth <= 0 or kind < 0.2:
            return self.chance.choice(self.names) if self.chance.random() < 0.7 else self.literal()
        if kind < 0.72:
            operator = self.chance.choice(["+", "-", "*", "+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "**"])
            return f"({self.expression(depth - 1)} {operator} {self.expression(depth - 1)})"
        if kind < 0.8:
            return f"({self.chance.choice('-~+')}{self.expression(depth - 1)})"
        if kind < 0.88:
            return f"{self.chance.choice(['min', 'max'])}({self.expression(depth - 1)}, {self.expression(depth - 1)})"
        if kind < 0.92:
            return f"abs({self.expression(depth - 1)})"
        if kind < 0.96:
            return f"({self.expression(depth - 1)} if {self.test()} else {self.expression(depth - 1)})"
        return f"int({self.expression(depth - 1)})"

    def test(self) -> str:
        operator = self.chance.choice(["<", "<=", "==", "!=", ">", ">="])
        return f"{self.expression(1)} {operator} {self.expression(1)}"

    def block(self, depth: int, indent: str) -> list[str]:
        lines: list[str] = []
        for _ in range(self.chance.randrange(1, 4)):
            kind = self.chance.random()
            name = self.chance.choice(["a", "b", "c", "x", "y"])
            if kind < 0.5 or depth == 0:
                lines.append(f"{indent}{name} = {self.expression(3)}")
                self.names = sorted({*self.names, name})
            elif kind < 0.65:
                lines.append(
                    f"{indent}{self.chance.choice(self.names)} {self.chance.choice('+-*%&|^')}= {self.expression(2)}"
                )
            elif kind < 0.8:
                known = list(self.names)
                lines.append(f"{indent}if {self.test()}:")
                lines += self.block(depth - 1, indent + "    ")
                self.names = list(known)
                lines.append(f"{indent}else:")
                lines += self.block(depth - 1, indent + "    ")
                self.names = known
            else:
                known = list(self.names)
                bounds = self.chance.choice(["3", "2, 6", "6, 0, -2", "(a % 5)", "(b & 3)"])
                lines.append(f"{indent}for i in range({bounds}):")
                self.names = [*known, "i"]
                lines += self.block(depth - 1, indent + "    ")
                self.names = known
        return lines

    def program(self) -> str:
        annotated = self.chance.choice(
            ["a: int, b: int, c: int", "a: u64, b: u64, c: u256", "a, b, c", "a: int, b, c: u64"]
        )
        body = self.block(3, "    ")
        return CONSTANTS + f"def main({annotated}):\n" + "\n".join(body) + f"\n    return [{', '.join(self.names)}]\n"


def checked_scope() -> dict[str, Any]:
    """Names under which Python runs a program with checked integers."""
    return {
        "Checked": Checked,
        "int": lambda value: value,
        "range": lambda *bounds: map(Checked, range(*map(int, bounds))),
    }


def reference(source: str, arguments: list[int]) -> tuple[str, Any]:
    tree = ast.fix_missing_locations(Wrap().visit(ast.parse(source)))
    for argument in tree.body[-1].args.args:
        argument.annotation = None
    scope = checked_scope()
    exec(compile(tree, "<reference>", "exec"), scope)
    try:
        return "", [int(value) for value in scope["main"](*map(Checked, arguments))]
    except Failed as error:
        return str(error), None
    except ZeroDivisionError:
        return "DivByZero", None
    except ValueError:
        return "BadValue", None


@pytest.mark.parametrize("seed", range(200))
def test_integer_programs_agree_with_checked_python(seed: int) -> None:
    writer = Writer(seed)
    source = writer.program()
    chance = writer.chance
    for _ in range(4):
        arguments = [chance.choice(EDGES[:13]) for _ in range(3)]
        if "u64" not in source:
            arguments = [chance.choice([1, -1]) * value for value in arguments]
        if "a: u64" in source:
            arguments = [min(value, 2**64 - 1) for value in arguments]
        arguments[2] = min(arguments[2], 2**64 - 1)
        expected, value = reference(source, arguments)
        found = run(source, "main", arguments)
        assert found.status != "rejected", (source[len(CONSTANTS) :], found)
        assert (found.code, found.value) == (expected, value), (source[len(CONSTANTS) :], arguments)
