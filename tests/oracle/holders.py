"""Random expressions that make containers."""

from __future__ import annotations

from collections.abc import Callable

from oracle.idioms import Idioms
from oracle.phrases import ITEM


class Holders(Idioms):
    """Writes lists, dicts, sets, pairs and records."""

    def items(self, kind: str, depth: int) -> str:
        return ", ".join(self.of(kind, depth) for _ in range(self.chance.choice((0, 1, 2, 2, 3, 4))))

    def list_of(self, holder: str, depth: int) -> str:
        item = ITEM[holder]
        if depth <= 0:
            return f"[{self.items(item, 0)}]"
        d, of = depth - 1, self.of
        options: list[Callable[[], str]] = [
            lambda: f"[{self.items(item, d)}]",
            lambda: f"[{self.items(item, d)}]",
            lambda: f"[{of(item, d)}, *{of(holder, d)}]",
            lambda: "[" + self.comprehension(item, d) + "]",
            lambda: "[" + self.comprehension(item, d) + "]",
            lambda: f"list({self.comprehension(item, d)})",
            lambda: f"({of(holder, d)} + {of(holder, d)})",
            lambda: f"({of(holder, d)} * {self.amount()})",
            lambda: f"{of(holder, d)}[{self.bounds(d)}]",
            lambda: f"{of(holder, d)}.copy()",
            lambda: f"{self.pick('sorted', 'list', 'reversed', 'sorted')}({of(holder, d)})",
            lambda: f"sorted({of(holder, d)}, reverse={self.pick('True', 'False')})",
            lambda: f"sorted({of(holder, d)}, key=lambda {(p := self.fresh('p'))}: {self.key_of(p, item)})",
            lambda: f"list(filter(lambda {(p := self.fresh('p'))}: {self.test_of(p, item)}, {of(holder, d)}))",
            lambda: f"list(map(lambda {(p := self.fresh('p'))}: {p}, {of(holder, d)}))",
        ]
        return self.chance.choice(options)()

    def key_of(self, name: str, kind: str) -> str:
        """A sort key of an item."""
        if kind == "int":
            return self.pick(f"-{name}", f"{name} % 3", f"({name} & 1, {name})", f"({self.of('int', 0)}, {name})")
        if kind == "str":
            return self.pick(f"len({name})", f"{name}[::-1]", f"({name}.upper(), {name})")
        if kind == "t2":
            return self.pick(f"{name}[1]", f"({name}[1], -{name}[0])", f"{name}[0] - {name}[1]")
        return self.pick(f"len({name})", f"sum({name})", name)

    def test_of(self, name: str, kind: str) -> str:
        if kind == "int":
            return self.pick(f"{name} > {self.of('int', 0)}", f"{name} % 2 == 0", name)
        return self.pick(name, f"len({name}) > 1", f"{name} != {self.of(kind, 0)}")

    def make_li(self, depth: int) -> str:
        if depth > 0 and self.chance.random() < 0.3:
            d, of = depth - 1, self.of
            options: list[Callable[[], str]] = [
                lambda: f"list(range({self.pick('3', '1, 6', '9, 0, -3', of('int', 0) + ' % 7')}))",
                lambda: f"list({of(self.pick('t2', 'bytes', 'di'), d)})",
                lambda: f"list({of('ds', d)}.values())",
                lambda: f"sorted({of('si', d)})",
                lambda: f"list(map({self.pick('abs', 'int', 'bool')}, {of('li', d)}))",
                lambda: f"list(map(len, {of(self.pick('ls', 'll'), d)}))",
                lambda: self.products(of("li", d), of("li", d)),
                lambda: f"DEEP[{self.pick('0', '1', '2', '-1')}]",
                lambda: self.item("ll", d, "[]"),
            ]
            return self.chance.choice(options)()
        return self.list_of("li", depth)

    def products(self, first: str, second: str) -> str:
        a, b = self.fresh("e"), self.fresh("e")
        return f"[{a} * {b} for {a}, {b} in zip({first}, {second})]"

    def make_ls(self, depth: int) -> str:
        if depth > 0 and self.chance.random() < 0.3:
            d, of = depth - 1, self.of
            return self.pick(
                f"{of('str', d)}.split({of('str', 0) if self.risky() else self.pick('', repr(','))})",
                f"{of('str', d)}.split(',', {self.pick('1', '0', '-1')})",
                f"list({of('str', d)})",
                f"list({of('ds', d)})",
                f"{of('ds', d)}.keys()",
                f"sorted({of('ss', d)})",
                f"list(map(str, {of('li', d)}))",
                "WORDS",
            )
        return self.list_of("ls", depth)

    def make_lt(self, depth: int) -> str:
        if depth > 0 and self.chance.random() < 0.35:
            d, of = depth - 1, self.of
            return self.pick(
                f"enumerate({of('li', d)}{self.pick('', ', 1', ', start=' + of('int', 0))})",
                f"zip({of('li', d)}, {of('li', d)})",
                f"{of('di', d)}.items()",
                f"list(zip({of('t2', d)}, {of('li', d)}))",
            )
        return self.list_of("lt", depth)

    def make_ll(self, depth: int) -> str:
        return self.list_of("ll", depth)

    def make_t2(self, depth: int) -> str:
        d = depth - 1
        if depth > 0 and self.chance.random() < 0.3:
            return self.pick(
                f"divmod({self.of('int', d)}, {self.divisor(d)})",
                f"tuple(({self.of('li', d)} + [1, 2])[:2])",
                "PAIR",
                self.item("lt", d, "PAIR"),
            )
        return f"({self.of('int', d)}, {self.of('int', d)})"

    def make_di(self, depth: int) -> str:
        return self.dict_of("di", lambda d: self.of("int", d), depth)

    def make_ds(self, depth: int) -> str:
        if self.chance.random() < 0.1:
            return "TABLE"
        return self.dict_of("ds", lambda d: self.of("str", d), depth)

    def make_dt(self, depth: int) -> str:
        return self.dict_of("dt", self.key2, depth)

    def dict_of(self, holder: str, key: Callable[[int], str], depth: int) -> str:
        d = max(0, depth - 1)
        options: list[Callable[[], str]] = [
            lambda: "{" + ", ".join(f"{key(d)}: {self.of('int', d)}" for _ in range(self.chance.randrange(4))) + "}",
        ]
        if depth > 0:
            options += [
                lambda: f"{self.of(holder, d)}.copy()",
                lambda: f"dict({self.of(holder, d)})",
                lambda: f"dict({self.of('lt', d)})" if holder == "di" else "{}",
                lambda: "{" + self.comprehension("pair", d) + "}" if holder == "di" else "{}",
            ]
        return self.chance.choice(options)()

    def make_si(self, depth: int) -> str:
        return self.set_of("si", "int", "li", depth)

    def make_ss(self, depth: int) -> str:
        return self.set_of("ss", "str", "ls", depth)

    def set_of(self, holder: str, item: str, source: str, depth: int) -> str:
        d = max(0, depth - 1)
        if depth <= 0:
            return f"{{{self.of(item, 0)}, {self.of(item, 0)}}}"
        options: list[Callable[[], str]] = [
            lambda: f"{{{self.of(item, d)}, {self.of(item, d)}}}",
            lambda: f"set({self.of(source, d)})",
            lambda: f"({self.of(holder, d)} {self.pick('|', '&', '^', '-')} {self.of(holder, d)})",
            lambda: f"{self.of(holder, d)}.union({self.of(holder, d)})",
            lambda: "{" + self.comprehension(item, d) + "}",
            lambda: f"{self.of(holder, d)}.copy()",
        ]
        return self.chance.choice(options)()

    def make_rec(self, depth: int) -> str:
        d = max(0, depth - 1)
        if depth > 0 and self.chance.random() < 0.3:
            changes = ("n=" + self.of("int", d), "tags=" + self.of("li", d), "name=" + self.of("str", d))
            chosen = self.chance.sample(changes, self.chance.choice((1, 1, 2)))
            return f"{self.of('rec', d)}.replace({', '.join(chosen)})"
        number = self.pick("1", "7", f"abs({self.of('int', d)}) % 1000", self.of("int", d))
        fields = [
            f"n={number}", f"name={self.of('str', d)}", f"tags={self.of('li', d)}", f"big={self.of('int', d)}",
            f"flag={self.of('bool', d)}",
        ]  # fmt: skip
        if self.chance.random() < 0.3:
            self.chance.shuffle(fields)
        return f"Item({', '.join(fields)})"
