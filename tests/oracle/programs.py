"""Random programs: functions of random statements, and the arguments to call them with."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from oracle.phrases import CONSTANTS, EDGES, ITEM, TYPES, WORDS
from oracle.reshaping import CODES, TAB, Reshaping

SIMPLE = ("int", "int", "int", "str", "li", "li", "ds", "bool", "t2", "ls", "lt", "si", "di", "ll", "dt", "ss", "bytes")
ANNOTATION = {
    "int": "int", "bool": "bool", "str": "str", "bytes": "bytes", "t2": "tuple", "li": "list[int]", "ls": "list[str]",
    "lt": "list", "ll": "list[list[int]]", "di": "dict", "ds": "dict[str, int]", "dt": "dict", "si": "set", "ss": "set",
    "none": "None", "rec": "Item",
}  # fmt: skip


class Statements(Reshaping):
    """Writes bodies. `fixed`: variables that a nested function captured and nobody may bind again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.fixed: set[str] = set()
        self.loops = 0
        self.parameters: tuple[str, ...] = ()
        self.returns = "int"

    def body(self, depth: int, size: int) -> list[str]:
        saved = {kind: list(names) for kind, names in self.names.items()}
        lines: list[str] = []
        for _ in range(self.chance.randint(1, size)):
            lines += self.statement(depth)
        self.names = saved
        return lines

    def block(self, head: str, depth: int, size: int = 3) -> list[str]:
        return [head, *(TAB + line for line in self.body(depth - 1, size))]

    def statement(self, depth: int) -> list[str]:
        """Lines of one statement; what would be too long for a line of source is written anew."""
        for _ in range(9):
            saved = {kind: list(names) for kind, names in self.names.items()}, self.functions, set(self.fixed)
            lines = self.attempt(depth)
            if max(map(len, lines)) < 140:
                return lines
            self.names, self.functions, self.fixed = saved
        return ["pass"]

    def attempt(self, depth: int) -> list[str]:
        roll = self.chance.random()
        if depth > 0 and roll < 0.3:
            return self.chance.choice(
                (self.if_, self.for_, self.for_, self.while_, self.try_, self.try_, self.match_, self.nested)
            )(depth)
        if roll < 0.62:
            return self.assign()
        if roll < 0.9:
            return self.change()
        return self.rare(depth)

    def target(self, kind: str) -> str:
        """A variable to bind: a known one or a new one."""
        known = [name for name in self.names.get(kind, ()) if name not in self.fixed]
        if known and self.chance.random() < 0.6:
            return self.chance.choice(known)
        return self.fresh("v")

    def assign(self) -> list[str]:
        kind = self.pick(*SIMPLE, *(("rec",) if self.records else ()))
        value = self.of(kind, 3)
        roll = self.chance.random()
        if roll < 0.08:
            first, second = self.target("int"), self.fresh("v")
            pair = self.pick(self.of("t2", 2), f"{self.of('int', 1)}, {self.of('int', 1)}")
            other = self.pick(self.of("li", 1), self.of("bytes", 1), "b'ab'")
            text = f"{first}, {second} = {other if self.risky() else pair}"
            self.bring(first, "int")
            self.bring(second, "int")
            return [text]
        if roll < 0.11:
            first, rest = self.fresh("v"), self.fresh("v")
            text = self.pick(f"{first}, *{rest}", f"*{rest}, {first}", f"{first}, *{rest}, {self.fresh('v')}")
            self.bring(first, "int")
            self.bring(rest, "li")
            return [f"{text} = {self.of('li', 1)} + [1, 2]"]
        name = self.target(kind)
        text = f"{name} = {value}"
        if roll < 0.14 and kind != "rec":
            text = f"{name}: {ANNOTATION[kind]} = {value}"
        elif roll < 0.18:
            other = self.fresh("v")
            text = f"{name} = {other} = {value}"
            self.bring(other, kind)
        if name not in self.names.get(kind, ()):
            self.bring(name, kind)
        return [text]

    def change(self) -> list[str]:
        """Augmented assignments and methods that change a container."""
        if self.chance.random() < 0.15:
            return self.reshape().split("; ")
        of, owner = self.of, self.owner
        options: list[Callable[[], str]] = [
            lambda: f"{self.bound('int')} {self.pick('//', '%')}= {self.divisor(1)}",
            lambda: f"{self.bound('int')} {self.pick('<<', '>>', '**')}= {self.amount()}",
            lambda: f"{self.bound('int')} {self.pick('+', '-', '*')}= {of('int', 2)}",
            lambda: f"{self.bound('str')} += {of('str', 1)}",
            lambda: f"{self.bound('li')} += {of('li', 1)}",
            lambda: (
                f"{self.bound(self.pick('si', 'ss'))} {self.pick('|', '&', '-', '^')}= {of(self.pick('si', 'ss'), 1)}"
            ),
            lambda: f"{owner('li')}.append({of('int', 2)})",
            lambda: f"{owner(self.pick('li', 'ls', 'ds', 'si'))}.clear()" if self.risky() else "pass",
            lambda: f"{owner('ds')}.update({self.pick('', of('ds', 1) + ', ')}k={of('int', 1)})",
            lambda: f"{owner('si')}.update({of('li', 1)}, {of('si', 1)})",
            lambda: f"{owner('ls')}.append({of('str', 1)})",
            lambda: f"{owner('lt')}.append({of('t2', 1)})",
            lambda: f"{owner('ll')}.append({of('li', 1)})",
            lambda: f"{owner('li')}.extend({of(self.pick('li', 't2', 'bytes', 'di'), 1)})",
            lambda: f"{owner('li')}.insert({self.index(1)}, {of('int', 1)})",
            lambda: (
                f"{owner(self.pick('li', 'ls', 'lt'))}."
                + self.pick("reverse()", "sort()", "sort(reverse=True)", "pop()" if self.risky() else "sort()")
            ),
            lambda: f"{owner('lt')}.sort(key=lambda {(p := self.fresh('p'))}: {self.key_of(p, 't2')})",
            lambda: (
                f"{(x := owner('li'))}.remove({of('int', 1)})"
                if self.risky()
                else f"if {(x := owner('li'))}: {x}.pop({self.pick('', '0')})"
            ),
            lambda: self.guarded("li", self.index(1), f" = {of('int', 2)}"),
            lambda: self.guarded("li", self.index(1), f" {self.pick('+', '-', '*')}= {of('int', 1)}"),
            lambda: f"{owner('di')}[{of('int', 1)}] = {of('int', 2)}",
            lambda: f"{owner('ds')}[{of('str', 1)}] = {of('int', 2)}",
            lambda: f"{owner('dt')}[{self.key2(1)}] = {of('int', 1)}",
            lambda: (
                f"{owner('ds')}[{of('str', 1)}] {self.pick('+', '-', '*')}= {of('int', 1)}" if self.risky() else "pass"
            ),
            lambda: self.counted(),
            lambda: f"{owner('di')}.update({of('di', 1)})",
            lambda: f"{owner('si')}.{self.pick('add', 'discard', 'remove' if self.risky() else 'add')}({of('int', 1)})",
            lambda: f"{owner('ss')}.{self.pick('add', 'add', 'discard')}({of('str', 1)})",
            lambda: self.guarded(self.pick("di", "li"), self.index(1), "", "del "),
        ]
        return split(self.chance.choice(options)())

    def guarded(self, kind: str, place: str, rest: str, first: str = "") -> str:
        """A statement on an item, which is there if it is not a risk."""
        name = self.owner(kind)
        held = f"{name}" if kind == "li" and place in ("0", "-1") else f"-1 < {place} < len({name})"
        if self.risky():
            return f"{first}{name}[{place}]{rest}"
        return f"if {held if kind == 'li' else f'{place} in {name}'}: {first}{name}[{place}]{rest}"

    def counted(self) -> str:
        name, key = self.owner("ds"), self.of("str", 0)
        return f"{name}[{key}] = {name}.get({key}, 0) {self.pick('+', '-', '*')} {self.of('int', 1)}"

    def bound(self, kind: str) -> str:
        """A variable that may be bound again; it exists already if it can."""
        known = [name for name in self.names.get(kind, ()) if name not in self.fixed]
        return self.chance.choice(known) if known else self.fresh("v")

    def owner(self, kind: str) -> str:
        return self.some(kind) or f"({self.of(kind, 0)})"

    def rare(self, depth: int) -> list[str]:
        options: list[Callable[[], str]] = [
            lambda: f"assert {self.held()}",
            lambda: f"require({self.held()}, 'FULL', {self.of(self.pick(*TYPES), 1)})",
            lambda: f"if not {self.held()}: revert('FULL', {self.of(self.pick(*TYPES), 1)})",
            lambda: f"if not {self.held()}: raise Revert('EMPTY')",
            lambda: "pass",
            lambda: self.of(self.pick(*TYPES), 2),
            lambda: f"if {self.of('bool', 1)}: return {self.result()}",
        ]
        if self.loops:
            options += [lambda: f"if {self.of('bool', 1)}: {self.pick('break', 'continue')}"] * 3
        return split(self.chance.choice(options)())

    def held(self) -> str:
        """A condition that holds, if it is not a risk."""
        test = self.of("bool", 2)
        return test if self.risky() else f"({test} or not {self.of('bool', 0)} or {self.of('int', 0)} != K26)"

    def result(self) -> str:
        found = self.of(self.returns, 2)
        return found if len(found) < 140 else self.of(self.returns, 0)

    # compound

    def if_(self, depth: int) -> list[str]:
        lines = self.block(f"if {self.of('bool', 2)}:", depth)
        if self.chance.random() < 0.3:
            lines += self.block(f"elif {self.of('bool', 1)}:", depth)
        if self.chance.random() < 0.5:
            lines += self.block("else:", depth)
        return lines

    def for_(self, depth: int) -> list[str]:
        name = self.fresh("i")
        roll = self.chance.random()
        if roll < 0.4:
            head, found = (
                f"for {name} in range({self.pick('3', '4', '1, 5', '6, 0, -2', self.of('int', 1) + ' % 6')}):",
                {name: "int"},
            )
        elif roll < 0.6:
            other = self.fresh("i")
            head, found = f"for {name}, {other} in {self.of('lt', 1)}:", {name: "int", other: "int"}
        elif roll < 0.7:
            other = self.fresh("i")
            head, found = f"for {name}, {other} in {self.of('ds', 1)}.items():", {name: "str", other: "int"}
        elif roll < 0.76:
            head, found = self.star_loop()
        else:
            holder = self.pick("li", "ls", "ll", "str", "ds", "di", "bytes", "t2")
            kind = {**ITEM, "str": "str", "ds": "str", "di": "int", "bytes": "int"}[holder]
            head, found = f"for {name} in {self.of(holder, 1)}:", {name: kind}
        saved = {kind: list(names) for kind, names in self.names.items()}
        for new, kind in found.items():
            self.bring(new, kind)
        self.loops += 1
        lines = self.block(head, depth)
        self.loops -= 1
        self.names = saved
        return lines + self.else_(depth)

    def else_(self, depth: int) -> list[str]:
        return self.block("else:", depth, 2) if self.chance.random() < 0.12 else []

    def while_(self, depth: int) -> list[str]:
        name = self.fresh("c")
        self.loops += 1
        more = self.pick("", "", f" and {self.of('bool', 1)}")
        body = self.body(depth - 1, 3)
        self.loops -= 1
        lines = [f"{name} = 0", f"while {name} < {self.pick('3', '5', '2')}{more}:", f"{TAB}{name} += 1"]
        return lines + [TAB + line for line in body] + self.else_(depth)

    def try_(self, depth: int) -> list[str]:
        calm, self.risk = self.risk, self.chance.choice((0.1, 0.6, 0.9))
        lines = self.block("try:", depth)
        if self.chance.random() < 0.8:
            lines.append(TAB + self.trouble())
        self.risk = calm
        for _ in range(self.chance.choice((1, 1, 2))):
            names = self.chance.sample(CODES, self.chance.choice((1, 2, 4, 6)))
            lines += self.block(f"except {names[0] if len(names) == 1 else '(' + ', '.join(names) + ')'}:", depth, 2)
        if self.chance.random() < 0.2:
            lines += self.block("else:", depth, 2)
        if self.chance.random() < 0.3:
            lines += ["finally:", *(TAB + line for line in [*self.assign(), *self.change()])]
        return lines

    def trouble(self) -> str:
        """A statement that often fails."""
        of, name = self.of, self.fresh("v")
        return self.pick(
            f"assert {of('bool', 1)}",
            "revert('FULL', 7)",
            "raise Revert('EMPTY')",
            f"{name} = {of('li', 1)}[{self.index(1)}]",
            f"{name} = {of('int', 1)} // {of('int', 1)}",
            f"{name} = {of('ds', 1)}[{of('str', 1)}]",
            f"{name} = {of('int', 1)} * K27 * {of('int', 1)}",
            f"{name} = {of('str', 1)} + {of(self.pick('int', 'str'), 1)}",
            f"{name} = int({of('str', 1)})",
            f"{name} = {of('di', 1)}.pop({of('int', 1)})",
        )

    def match_(self, depth: int) -> list[str]:
        kind = self.pick("int", "str", "bool", "none")
        values = {"int": ("0", "1", "-3", "2 | 3"), "str": ("'a'", "'' | 'ab'"), "bool": ("True",), "none": ("None",)}
        lines = [f"match {self.of(kind, 2)}:"]
        for value in values[kind]:
            guard = f" if {self.of('bool', 1)}" if self.chance.random() < 0.2 else ""
            lines += [TAB + line for line in self.block(f"case {value}{guard}:", depth, 2)]
        if self.chance.random() < 0.6:
            lines += [TAB + line for line in self.block("case _:", depth, 2)]
        return lines

    def nested(self, depth: int) -> list[str]:
        """A nested function over what it captures; the captured variables are never bound again."""
        known = self.some("int") if depth == 3 else None
        if known and self.chance.random() < 0.5:
            self.fixed.add(known)
            return self.siblings(known)
        captured = {
            kind: [name for name in self.chance.sample(names, min(len(names), 1)) if name[0] != "c"]
            for kind, names in self.names.items()
        }
        self.fixed |= {name for names in captured.values() for name in names}
        outer, functions, loops = self.names, self.functions, self.loops
        kinds = tuple(self.pick("int", "li", "str") for _ in range(self.chance.choice((0, 1, 1, 2))))
        given = [self.fresh("a") for _ in kinds]
        self.names = {kind: list(names) for kind, names in captured.items()}
        for name, kind in zip(given, kinds, strict=True):
            self.bring(name, kind)
        name, self.loops = self.fresh("g"), 0
        result, self.returns = self.returns, self.pick("int", "str", "li")
        head = f"def {name}({self.signed(name, given, given)}):"
        lines = [head, *(TAB + line for line in self.rest_of(name) + self.body(min(depth - 1, 1), 2))]
        lines.append(f"{TAB}return {self.result()}")
        self.names, self.loops = outer, loops
        self.functions = [*functions, (name, kinds, self.returns)]
        self.returns = result
        return lines


def split(text: str) -> list[str]:
    """`if test: statement` on two lines."""
    if not text.startswith("if "):
        return [text]
    place = ast.parse(text).body[0]
    assert isinstance(place, ast.If)
    inner = len(text.encode()[: place.body[0].col_offset].decode())
    return [text[:inner].rstrip(), TAB + text[inner:]]


class PureProgram(Statements):
    """A source of pure functions with `main`, and the arguments of a few calls."""

    def function(self, name: str, kinds: tuple[str, ...], annotated: bool, size: int) -> list[str]:
        self.names, self.fixed = {}, set()
        given = []
        for index, kind in enumerate(kinds):
            self.bring(f"p{index}", kind)
            given.append(f"p{index}: {ANNOTATION[kind]}" if annotated else f"p{index}")
        arrow = f" -> {ANNOTATION[self.returns]}" if annotated and self.chance.random() < 0.7 else ""
        outside = self.functions
        names = [f"p{index}" for index in range(len(kinds))]
        head = ", ".join(given) if name == "main" else self.signed(name, names, given)
        body = self.rest_of(name) + self.opening()
        for _ in range(size):
            body += self.statement(3)
        text = [f"def {name}({head}){arrow}:", *(TAB + line for line in body)]
        text.append(f"{TAB}return {self.result()}")
        self.functions = outside
        return [*text, "", ""]

    def opening(self) -> list[str]:
        """Variables of the types that statements change, where there are none."""
        first = {"int": "n0 = 4", "str": "s0 = 'ab'", "li": "l0 = [3, 1, 2]", "si": "q0 = {1, 5}", "ss": "q1 = {'a'}"}
        wanted = [kind for kind in first if not self.names.get(kind)]
        for kind in wanted:
            self.bring(first[kind].split()[0], kind)
        return [first[kind] for kind in wanted]

    def recursive(self) -> list[str]:
        """A function that calls itself, now and then too deep."""
        top = self.pick("p0 <= 0", "p0 <= 0", "p0 == 77")
        step = self.pick("p0 - 1", "p0 // 2", "p0 - 3")
        self.names, self.returns = {"int": ["p0"]}, "int"
        line = f"return deep({step}) {self.pick('+', '-', '*')} {self.of('int', 2)}"
        return ["def deep(p0):", f"{TAB}if {top}:", f"{TAB * 2}return {self.of('int', 1)}", TAB + line, "", ""]

    def text(self) -> str:
        lines: list[str] = []
        for index in range(self.chance.choice((0, 1, 1, 2))):
            kinds = tuple(self.pick(*SIMPLE) for _ in range(self.chance.randint(0, 3)))
            self.returns = self.pick("int", "str", "li", "ds", "bool", "t2")
            returns = self.returns
            lines += self.function(f"f{index}", kinds, self.chance.random() < 0.5, self.chance.randint(1, 4))
            self.functions = [*self.functions, (f"f{index}", kinds, returns)]
        if self.chance.random() < 0.15:
            lines += self.recursive()
            self.functions = [*self.functions, ("deep", ("int",), "int")]
        self.parameters = tuple(self.pick(*SIMPLE[:14]) for _ in range(self.chance.randint(1, 3)))
        self.returns = self.pick(*SIMPLE)
        lines += self.function("main", self.parameters, self.chance.random() < 0.5, self.chance.randint(2, 6))
        return CONSTANTS + "\n\n" + "\n".join(lines).rstrip() + "\n"

    def arguments(self) -> list[Any]:
        """Arguments of one call, as JSON."""
        return [self.argument(kind) for kind in self.parameters]

    def argument(self, kind: str) -> Any:
        if self.chance.random() < 0.02:
            kind = self.chance.choice(("int", "str", "li", "none"))
        number = lambda: self.chance.choice((1, 1, -1)) * self.chance.choice(EDGES)  # noqa: E731  # one line of its own name
        small = lambda: self.chance.randrange(-3, 12)  # noqa: E731
        size = range(self.chance.choice((0, 1, 2, 3, 3, 5)))
        made: dict[str, Callable[[], Any]] = {
            "int": lambda: self.chance.choice((number, small))(),
            "bool": lambda: self.chance.random() < 0.5,
            "str": lambda: self.chance.choice(WORDS[:14]).replace("0x", "x"),
            "bytes": lambda: "0x" + "".join(self.chance.choice(("00", "ff", "61")) for _ in size),
            "t2": lambda: [small(), number()],
            "li": lambda: [self.chance.choice((small, small, number))() for _ in size],
            "ls": lambda: [self.chance.choice(WORDS[:8]) for _ in size],
            "lt": lambda: [[small(), number()] for _ in size],
            "ll": lambda: [[small() for _ in range(index)] for index in size],
            "di": dict,
            "dt": dict,
            "ds": lambda: {self.chance.choice(WORDS[:6]): small() for _ in size},
            "si": lambda: [small() for _ in size],
            "ss": lambda: [self.chance.choice(WORDS[:6]) for _ in size],
            "none": lambda: None,
        }
        return made[kind]()
