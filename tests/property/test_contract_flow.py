"""Random programs full of branches, jumps and tests: what a test or an assignment tells is true where it is believed.

The same program is compiled by a compiler that believes nothing; value, failure, line and gas must be equal, and also
where gas runs out on the way.
"""

from __future__ import annotations

import random
from functools import lru_cache

import pytest
from contract_bench import Run, run
from test_contract_blind import blinded

from contracts import compile as compiling

NAMES = ("a", "b", "c", "n")
EDGES = ("0", "1", "2", "-1", "7", "2**63", "2**64 - 1", "2**64", "2**254", "-(2**255)")


class Flow:
    """Writes a function over integers that may be None, with every statement that joins or leaves a way."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loops = 0
        self.made = 0

    def pick(self, *options: str) -> str:
        return self.chance.choice(options)

    def name(self) -> str:
        return self.chance.choice(NAMES)

    def value(self, depth: int = 2) -> str:
        kind = self.chance.random()
        if depth == 0 or kind < 0.35:
            return self.pick(self.name(), self.name(), self.chance.choice(EDGES))
        if kind < 0.75:
            return f"({self.value(depth - 1)} {self.pick('+', '-', '*', '//', '%', '&')} {self.value(depth - 1)})"
        if kind < 0.85:
            return f"({self.value(0)} if {self.test(1)} else {self.value(0)})"
        if kind < 0.9:
            return f"sum([{self.name()} {self.pick('+', '*')} k for k in range(3) if {self.test(0)}])"
        if kind < 0.95:
            return f"({self.name()} := {self.value(0)})"
        return f"helper({self.value(0)}, {self.value(0)})"

    def test(self, depth: int = 2) -> str:
        kind = self.chance.random()
        if depth and kind < 0.2:
            return f"({self.test(depth - 1)} {self.pick('and', 'or')} {self.test(depth - 1)})"
        if depth and kind < 0.28:
            return f"not {self.test(depth - 1)}"
        if kind < 0.4:
            return f"{self.name()} {self.pick('is', 'is not')} None"
        if kind < 0.48:
            return self.name()
        if kind < 0.56:
            return f"{self.value(0)} <= {self.name()} < {self.value(0)}"
        if kind < 0.6:
            return f"(({self.name()} := {self.value(0)}) {self.pick('<', '!=')} {self.value(0)})"
        return f"{self.value(1)} {self.pick('<', '<=', '>', '>=', '==', '!=')} {self.value(1)}"

    def block(self, depth: int, indent: str) -> list[str]:
        return [line for _ in range(self.chance.randrange(1, 4)) for line in self.statement(depth, indent)]

    def statement(self, depth: int, indent: str) -> list[str]:
        kind = self.chance.random()
        inner = indent + "    "
        if depth and kind < 0.2:
            rest = [f"{indent}else:", *self.block(depth - 1, inner)] if self.chance.random() < 0.5 else []
            return [f"{indent}if {self.test()}:", *self.block(depth - 1, inner), *rest]
        if depth and kind < 0.34:
            return self.loop(depth, indent)
        if depth and kind < 0.4:
            code = self.pick("Overflow", "TypeMismatch", "DivByZero", "(Overflow, TypeMismatch)")
            end = [f"{indent}finally:", f"{inner}{self.name()} = {self.value(1)}"] if self.chance.random() < 0.3 else []
            body = [f"{indent}try:", *self.block(depth - 1, inner), f"{indent}except {code}:"]
            return [*body, *self.block(depth - 1, inner), *end]
        if depth and kind < 0.44:
            body = [f"{indent}match {self.name()}:", f"{inner}case 1 | 2:", *self.block(depth - 1, inner + "    ")]
            return [*body, f"{inner}case _:", *self.block(depth - 1, inner + "    ")]
        if kind < 0.5:
            return [indent + self.pick(f"require({self.test()}, 'NO')", f"assert {self.test()}")]
        if kind < 0.54 and self.loops:
            return [f"{indent}if {self.test()}:", inner + self.pick("break", "continue")]
        if kind < 0.57:
            return [f"{indent}if {self.test(1)}:", inner + self.pick("revert('OUT')", f"return {self.value(1)}")]
        if kind < 0.66:
            return [f"{indent}{self.name()} {self.pick('+', '-', '*', '//')}= {self.value(1)}"]
        if kind < 0.7:
            return [f"{indent}a, {self.pick('b', 'c')} = {self.value(1)}, {self.value(1)}"]
        return [f"{indent}{self.name()} = {self.pick(self.value(2), self.value(1), 'None')}"]

    def loop(self, depth: int, indent: str) -> list[str]:
        inner = indent + "    "
        self.loops += 1
        self.made += 1
        count = f"t{self.made}"
        if self.chance.random() < 0.5:
            head = [
                f"{indent}for {self.pick(self.name(), 'i')} in range({self.pick('3', '1, 4', 'n % 4', '4, 0, -1')}):"
            ]
            body = self.block(depth - 1, inner)
        else:
            test = self.pick(f"{count} < 3", f"{count} < 4 and {self.test(1)}", f"{count} != 3")
            head = [f"{indent}{count} = 0", f"{indent}while {test}:", f"{inner}{count} += 1"]
            body = self.block(depth - 1, inner)
        self.loops -= 1
        rest = [f"{indent}else:", *self.block(depth - 1, inner)] if self.chance.random() < 0.25 else []
        return [*head, *body, *rest]

    def program(self) -> str:
        parameters = self.pick(
            "a: int, b: int | None, n: u64", "a, b, n", "a: u64, b, n: int", "a: int, b: u64, n: u64"
        )
        body = ["    c = 3", *self.block(3, "    "), *self.block(3, "    ")]
        helper = ["def helper(a, b):", *Flow(self.chance.randrange(10**6)).helper_body(), "    return a", "", ""]
        end = ["    return [a, b, c, n]"]
        return "\n".join([*helper, f"def main({parameters}):", *body, *end]) + "\n"

    def helper_body(self) -> list[str]:
        return [line.replace("helper(", "max(") for line in ["    c = None", "    n = 2", *self.block(1, "    ")]]


ARGUMENTS = ([5, 3, 2], [0, None, 7], [2**64 - 1, 2**64 - 1, 3], [1, 0, 2**63])


def runs(source: str, seed: int) -> list[Run]:
    """Outcomes with enough gas, and where the gas runs out somewhere."""
    chance = random.Random(seed)
    found = []
    for arguments in ARGUMENTS:
        found.append(run(source, "main", arguments, gas=300_000))
        found.append(run(source, "main", arguments, gas=chance.randrange(max(1, found[-1].gas))))
    return found


@pytest.mark.parametrize("seed", range(50))
def test_flow_means_the_same_to_a_blind_compiler(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Flow(seed).program()
    sighted = runs(source, seed)
    blinded(monkeypatch)
    monkeypatch.setattr(compiling, "_compiled", lru_cache(compiling._compiled))
    assert sighted == runs(source, seed), source


def test_the_generator_reaches_values_and_failures() -> None:
    found = [run(Flow(seed).program(), "main", [5, 3, 2], gas=300_000) for seed in range(0, 400, 4)]
    outcomes = {run.code or run.status for run in found}
    assert {"ok", "Overflow", "TypeMismatch", "DivByZero", "NO", "OUT", "Assertion"} <= outcomes
    assert sum(run.status == "rejected" for run in found) < len(found) // 5
