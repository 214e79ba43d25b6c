"""Random expressions of wanted types, with a share of wrong ones. A type is a short text: int bool str bytes none, t2 a
pair of integers, li ls lt ll lists of int, str, pair, list, di ds dt dicts by int, str, pair, si ss sets, rec."""

from __future__ import annotations

import random
from collections.abc import Callable

EDGES = (
    0, 1, 2, 3, 5, 7, 10, 31, 63, 64, 65, 100, 255, 256, 257, 2**31, 2**53, 2**60 - 1, 2**60, 2**61 - 1, 2**63,
    2**64 - 1, 2**64, 2**127, 2**128, 2**253, 2**254, 2**255 - 1,
)  # fmt: skip
CONSTANTS = "".join(f"K{index} = {value}\n" for index, value in enumerate(EDGES)) + (
    'WORDS = ["ab", "", "b,c"]\nTABLE = {"x": 1, "y": 22, "a": -3}\nPAIR = (4, -9)\nDEEP = [[1, 2], [3], []]\n'
    'MARKS = {1, 2, 17, 2**60}\nSPOTS = {(1, "a"): 2, (0, ""): 3}\n'
)
TYPES = ("int", "bool", "str", "bytes", "t2", "li", "ls", "lt", "ll", "di", "ds", "dt", "si", "ss", "none")
ITEM = {"li": "int", "ls": "str", "lt": "t2", "ll": "li", "t2": "int"}
KEYS = {"di": "int", "ds": "str", "dt": "key2"}
WORDS = ("", "a", "b", "ab", "abc", "b,c", " x ", "A1", "0x", "12", "-7", "é", "aaaa", "zz top", "x" * 70)
SPECS = (
    "",
    "",
    ">6",
    "<5",
    "^7",
    "05",
    "x",
    ",",
    "d",
    "*^9",
    "08x",
    "6,",
    "s",
    "3",
    "+d",
    "_b",
    "-^12",
    "X",
    " 5",
    "#<3o",
    "012,",
)


class Phrases:
    """Writes expressions over the variables in scope."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names: dict[str, list[str]] = {}
        self.functions: list[tuple[str, tuple[str, ...], str]] = []
        self.count = 0
        self.poison = self.chance.choice((0.0, 0.002, 0.01))
        self.risk = self.chance.choice((0.01, 0.05, 0.3))
        self.records = False
        self.walrus = True

    # chance

    def pick(self, *options: str) -> str:
        return self.chance.choice(options)

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def risky(self) -> bool:
        """Whether to write what may well fail, instead of what hardly does."""
        return self.chance.random() < self.risk

    def some(self, kind: str) -> str | None:
        """A variable of a type, if there is one."""
        known = self.names.get(kind)
        return self.chance.choice(known) if known else None

    def of(self, kind: str, depth: int = 2) -> str:
        """An expression of a type, or now and then of another."""
        if self.chance.random() < self.poison:
            kind = self.chance.choice(TYPES)
        known = self.some(kind)
        if known and self.chance.random() < (0.75 if depth <= 0 else 0.3):
            return known
        if depth > 0 and self.chance.random() < 0.05:
            return f"({self.of(kind, depth - 1)} if {self.of('bool', depth - 1)} else {self.of(kind, depth - 1)})"
        if depth > 0 and self.chance.random() < 0.04:
            called = self.call(kind, depth)
            if called:
                return called
        if depth > 0 and self.chance.random() < 0.12:
            found = self.idiom(kind, depth)
            if found:
                return found
        made: Callable[[int], str] = getattr(self, f"make_{kind}")
        return made(depth)

    def call(self, kind: str, depth: int) -> str | None:
        raise NotImplementedError

    def idiom(self, kind: str, depth: int) -> str | None:
        raise NotImplementedError

    # scalars

    def make_none(self, depth: int) -> str:
        return "None"

    def literal(self) -> str:
        if self.chance.random() < 0.7:
            return str(self.chance.choice((0, 1, 2, 3, 5, 9, 17, 200)))
        return f"{self.pick('', '', '-')}K{self.chance.randrange(len(EDGES))}"

    def make_int(self, depth: int) -> str:
        if depth <= 0:
            return self.literal()
        d = depth - 1
        i, of = self.of, self.of
        simple: list[Callable[[], str]] = [
            lambda: f"({i('int', d)} {self.pick('+', '-', '*', '+', '-', '&', '|', '^')} {i('int', d)})",
            lambda: f"({i('int', d)} {self.pick('//', '%')} {self.divisor(d)})",
            lambda: f"({i('int', d)} {self.pick('+', '-', '*')} {self.literal()})",
            lambda: f"({i('int', d)} {self.pick('<<', '>>', '**')} {self.amount()})",
            lambda: f"({self.pick('-', '~', '+')}{i('int', d)})",
            lambda: f"len({of(self.pick('str', 'bytes', 'li', 'ls', 'ds', 'si', 't2', 'lt'), d)})",
            lambda: f"{self.pick('min', 'max')}({i('int', d)}, {i('int', d)})",
            lambda: f"abs({i('int', d)})",
        ]
        rich: list[Callable[[], str]] = [
            lambda: f"sum({of(self.pick('li', 'li', 't2', 'si'), d)})",
            lambda: f"sum({self.comprehension('int', d)})",
            lambda: f"{self.pick('min', 'max')}({of(self.pick('li', 'si'), d)}, default={self.literal()})",
            lambda: f"{self.pick('max', 'min')}({of('lt', d)}, key=lambda {(p := self.fresh('p'))}: {p}[1])[0]",
            lambda: self.item("li", d, "0"),
            lambda: f"{of('t2', d)}[{self.pick('0', '1', '-1')}]",
            lambda: self.item("bytes", d, "7"),
            lambda: f"{of('di', d)}.get({i('int', d)}, {i('int', 0)})",
            lambda: (
                f"{of('ds', d)}[{of('str', d)}]"
                if self.risky()
                else f"{of('ds', d)}.get({of('str', d)}, {self.literal()})"
            ),
            lambda: f"{of('dt', d)}.pop({self.key2(d)}, {i('int', 0)})",
            lambda: f"{of('ds', d)}.setdefault({of('str', d)}, {i('int', 0)})",
            lambda: f"int({of(self.pick('bool', 'int'), d)})",
            lambda: (
                f"int({of('str', 0)})"
                if self.risky()
                else f"int({self.pick(*map(repr, ('12', '-7', ' 5 ', '101')))}{self.pick('', '', ', 16')})"
            ),
            lambda: f"ord({of('str', d)}[0])" if self.risky() else f"ord(({of('str', d)} + 'k')[0])",
            lambda: f"divmod({i('int', d)}, {self.divisor(d)})[{self.pick('0', '1')}]",
            lambda: f"pow({i('int', d)}, {self.amount()}{self.pick('', ', 97', ', ' + self.divisor(0))})",
            lambda: f"mul_div({i('int', d)}, {i('int', d)}, {self.divisor(d)})",
            lambda: f"{of('str', d)}.{self.pick('find', 'count')}({of('str', 0)})",
            lambda: f"{of('li', d)}.{'index' if self.risky() else 'count'}({i('int', 0)})",
            lambda: f"({i('int', d)}).bit_length()",
            lambda: (
                f"int.from_bytes({of('bytes', d)}[:32], '{self.pick('big', 'little')}'{self.pick('', ', signed=True')})"
            ),
        ]
        if self.walrus and self.chance.random() < 0.05:
            name = self.fresh("w")
            return f"({name} := {i('int', d)})"
        if self.records and self.chance.random() < 0.12:
            return self.pick(f"{of('rec', d)}.n", f"{of('rec', d)}.big", f"sum({of('rec', d)}.tags)")
        return self.chance.choice(simple if self.chance.random() < 0.55 else rich)()

    def index(self, depth: int) -> str:
        return self.pick("0", "0", "-1", "1", "2", self.of("int", min(depth, 1)))

    def item(self, holder: str, depth: int, other: str) -> str:
        """An item of a sequence, or `other` where there is none."""
        known = self.some(holder)
        if self.risky() or known is None:
            return f"{self.of(holder, depth)}[{self.index(depth)}]" if self.risky() else other
        place = self.pick("0", "-1", f"{self.of('int', min(depth, 1))} % len({known})")
        return f"({known}[{place}] if {known} else {other})"

    def divisor(self, depth: int) -> str:
        if self.risky():
            return self.of("int", depth)
        return self.pick("3", "7", "-4", "K20", f"({self.of('int', min(depth, 1))} | 1)")

    def amount(self) -> str:
        """Of a shift or an exponent."""
        return self.of("int", 0) if self.risky() else self.pick("0", "1", "2", "3", "8", f"({self.of('int', 0)} & 7)")

    def make_bool(self, depth: int) -> str:
        if depth <= 0:
            return self.pick("True", "False")
        d, of = depth - 1, self.of
        kind = self.pick("int", "int", "int", "str", "li", "t2", "bytes", "lt")
        order, other = self.pick("<", "<=", ">", ">=", "==", "!="), self.pick("<", ">=")
        options: list[Callable[[], str]] = [
            lambda: f"({of(kind, d)} {order} {of(kind, d)})",
            lambda: f"({of('int', d)} {order} {of('int', d)} {other} {of('int', d)})",
            lambda: f"({of('bool', d)} {self.pick('and', 'or')} {of('bool', d)})",
            lambda: f"(not {of(self.pick('bool', 'li', 'str', 'ds', 'int'), d)})",
            lambda: f"({of('int', d)} {self.pick('in', 'not in')} {of(self.pick('li', 'si', 'di', 't2'), d)})",
            lambda: f"({of('str', d)} {self.pick('in', 'not in')} {of(self.pick('ls', 'ss', 'ds', 'str'), d)})",
            lambda: f"({of('t2', d)} in {of('lt', d)})",
            lambda: f"({of(self.pick('ds', 'di', 'si', 'll'), d)} == {of(self.pick('ds', 'di', 'si', 'll'), d)})",
            lambda: (
                f"isinstance({of(self.pick(*TYPES), d)}, {self.pick('int', 'str', '(list, tuple)', 'bool', 'dict')})"
            ),
            lambda: f"{self.pick('any', 'all')}({of(self.pick('li', 'ls', 'si', 'ds'), d)})",
            lambda: f"{self.pick('any', 'all')}({self.comprehension('bool', d)})",
            lambda: f"{of('str', d)}.{self.pick('startswith', 'endswith')}({of('str', 0)})",
            lambda: f"{of('str', d)}.isdigit()",
            lambda: f"({of(self.pick(*TYPES), d)} is {self.pick('None', 'not None', 'True')})",
            lambda: f"bool({of(self.pick(*TYPES), d)})",
        ]
        return self.chance.choice(options)()

    # texts

    def make_str(self, depth: int) -> str:
        if depth <= 0:
            return repr(self.chance.choice(WORDS))
        d, of = depth - 1, self.of
        options: list[Callable[[], str]] = [
            lambda: repr(self.chance.choice(WORDS)),
            lambda: f"({of('str', d)} + {of('str', d)})",
            lambda: f"({of('str', d)} * {self.amount()})",
            lambda: self.fstring(d),
            lambda: f"str({of(self.pick('int', 'bool', 'str', 'none'), d)})",
            lambda: f"{of('str', d)}.{self.pick('upper', 'lower', 'strip', 'lstrip', 'rstrip')}()",
            lambda: f"{of('str', d)}.{self.pick('strip', 'rstrip')}({of('str', 0)})",
            lambda: f"{of('str', d)}.replace({of('str', 0)}, {of('str', 0)}{self.pick('', '', ', 1')})",
            lambda: f"{of('str', 0)}.join({of(self.pick('ls', 'ds'), d)})",
            lambda: f"{of('str', 0)}.join({self.comprehension('str', d)})",
            lambda: f"{of('str', d)}[{self.bounds(d)}]",
            lambda: self.item("ls", d, "'none'"),
            lambda: f"chr({of('int', d)})" if self.risky() else f"chr(97 + {of('int', d)} % 26)",
            lambda: f"{of('bytes', d)}.hex()",
            lambda: f"{of('str', 0)}.encode().decode()",
        ]
        return self.chance.choice(options)()

    def fstring(self, depth: int) -> str:
        kind = self.pick("int", "int", "str", "bool")
        spec = self.chance.choice(SPECS)
        value = self.some(kind) or {"int": "17", "str": "WORDS[0]", "bool": "True"}[kind]
        more = self.some("int") or "K11"
        return f"f'{self.pick('', 'a', '{{')}{{{value}{':' + spec if spec else ''}}}-{{{more}}}'"

    def bounds(self, depth: int) -> str:
        low = self.pick("", "0", "1", "-2", self.of("int", min(depth, 1)))
        high = self.pick("", "2", "-1", "9", self.of("int", 0))
        return f"{low}:{high}{self.pick('', '', '', ':2', ':-1', ':' + self.of('int', 0))}"

    def make_bytes(self, depth: int) -> str:
        if depth <= 0:
            return self.pick("b''", "b'a'", "b'abc'", "b'\\x00\\xff'", "b'" + "q" * 64 + "'")
        d, of = depth - 1, self.of
        options: list[Callable[[], str]] = [
            lambda: f"({of('bytes', d)} + {of('bytes', d)})",
            lambda: f"({of('bytes', d)} * {self.amount()})",
            lambda: f"{of('str', d)}.encode()",
            lambda: f"sha256({of('bytes', d)})",
            lambda: (
                f"bytes({of(self.pick('li', 'int'), d)})" if self.risky() else f"bytes({self.pick('3', '[1, 2, 255]')})"
            ),
            lambda: f"({of('int', d)}).to_bytes({'8' if self.risky() else '32'}, 'big', signed=True)",
            lambda: f"bytes.fromhex({repr('zz') if self.risky() else of('bytes', d) + '.hex()'})",
            lambda: f"{of('bytes', d)}[{self.bounds(d)}]",
        ]
        return self.chance.choice(options)()

    # comprehensions

    def comprehension(self, kind: str, depth: int, wrap: str = "{element} {clauses}") -> str:
        """`element for ... in ...` over fresh names. The walrus stays out of it."""
        saved = {key: list(names) for key, names in self.names.items()}
        free, self.walrus = self.walrus, False
        clauses = ""
        for _ in range(self.chance.choice((1, 1, 1, 1, 2, 2, 3))):
            clauses += self.clause(min(depth, 1)) + " "
        depth = min(depth, 1)
        element = self.of(kind, depth) if kind != "pair" else f"{self.of('int', depth)}: {self.of('int', depth)}"
        self.names, self.walrus = saved, free
        return wrap.format(element=element, clauses=clauses.strip())

    def clause(self, depth: int) -> str:
        name = self.fresh("e")
        roll = self.chance.random()
        if roll < 0.3:
            source, kind = f"range({self.pick('3', '4', '2, 5', '5, 0, -2', self.of('int', 0) + ' % 5')})", "int"
        elif roll < 0.4:
            other = self.fresh("e")
            text = f"for {name}, {other} in {self.of('ll' if self.risky() else 'lt', depth)}"
            self.bring(name, "int")
            self.bring(other, "int")
            return text + self.condition(depth)
        elif roll < 0.5:
            other = self.fresh("e")
            text = f"for {name}, {other} in {self.of('ds', depth)}.items()"
            self.bring(name, "str")
            self.bring(other, "int")
            return text + self.condition(depth)
        else:
            holder = self.pick("li", "li", "ls", "lt", "ll", "ds", "di", "str", "t2")
            kind = {**ITEM, "ds": "str", "di": "int", "str": "str"}[holder]
            source = self.of(holder, depth)
        self.bring(name, kind)
        return f"for {name} in {source}" + self.condition(depth)

    def condition(self, depth: int) -> str:
        return f" if {self.of('bool', depth)}" if self.chance.random() < 0.25 else ""

    def bring(self, name: str, kind: str) -> None:
        self.names.setdefault(kind, []).append(name)

    def key2(self, depth: int) -> str:
        return f"({self.of('int', depth)}, {self.of('str', 0)})"
