"""Random expressions and statements that cut, merge, unpack and show: slices as targets, stars inside targets, `|` of
dicts, methods as keys, texts of containers, formats with values, functions that call later ones."""

from __future__ import annotations

from collections.abc import Callable

from oracle.holders import Holders

CODES = (
    "Overflow", "DivByZero", "KeyMissing", "IndexRange", "TypeMismatch", "BadValue", "Assertion", "Revert", "FULL",
    "ValueError", "LookupError", "TypeError", "ZeroDivisionError", "IndexError",
)  # fmt: skip
TAB = "    "


class Reshaping(Holders):
    """Writes them; `idiom_*` adds to the expressions of `Idioms`."""

    def bound(self, kind: str) -> str:
        raise NotImplementedError

    def owner(self, kind: str) -> str:
        raise NotImplementedError

    # expressions

    def idiom_str(self, d: int) -> list[str]:
        shown = self.pick(
            "li", "ls", "lt", "ll", "t2", "ds", "di", "dt", "bytes", "bool", "si" if self.risky() else "li"
        )
        kinds = ("int", "str", "li", "ls", "ds", "bool")
        value = next((name for kind in kinds if (name := self.some(kind)) and self.chance.random() < 0.5), "PAIR")
        text, width = self.some("str") or "WORDS[0]", self.some("int") if self.risky() else "K6"
        more = self.pick("!r", "!s", "=", "!r:>9", "!s:*<6", "!r:.4")
        wide = f"{{{width}}}"
        return [
            *super().idiom_str(d),
            f"str({self.of(shown, d)})",
            f"str({self.of(shown, d)})",
            f"f'{{{value}{more}}}'",
            f"f'{{{value}!r}} {{{text}:.{self.pick('0', '2', '7')}}}'",
            f"f'{{{text}:{self.pick('>', '<', '-^', '')}{wide}}}'",
            f"f'{{{self.some('int') or 'K11'}:{self.pick('', '0', '+', '#')}{wide}{self.pick('', 'x', 'b', ',')}}}'",
        ]

    def idiom_bool(self, d: int) -> list[str]:
        wanted = self.pick("int | str", "(int, (str, list))", "bool | None", "dict | list | tuple", "bytes | set")
        return [
            *super().idiom_bool(d),
            f"{self.pick('any', 'all')}({self.comprehension(self.pick('bool', 'int', 'str'), d)})",
            f"{self.pick('any', 'all')}({self.comprehension('bool', d)})",
            f"isinstance({self.of(self.pick('int', 'str', 'none', 'li', 'ds'), d)}, {wanted})",
            f"({self.of('int', d)} in MARKS)",
            f"({self.key2(0)} in SPOTS)",
        ]

    def idiom_int(self, d: int) -> list[str]:
        other = self.of("li", 0) if self.risky() else "[1, 2]"
        return [
            *super().idiom_int(d),
            f"len({self.of('ds', d)} | {self.of(self.pick('ds', 'di'), d)})",
            f"len(zip({other}, [3, 4], strict={self.pick('True', '1', 'False')}))",
            f"max({self.of('li', d)}, key=abs, default=0)",
            f"len(sum({self.of('ll', d)}, {self.of('li', 0)}))",
        ]

    def idiom_li(self, d: int) -> list[str]:
        rows = self.of("ll", d) if self.risky() else f"[[1, 2], [3, *{self.of('li', 0)}]]"
        first, more = self.fresh("e"), self.fresh("e")
        return [
            f"sorted({self.of('li', d)}, key=abs)",
            f"list(map(len, {self.of('ls', d)}))",
            f"list(map(lambda {first}, {more}={self.pick('3', 'K4', '-1')}: {first} * {more}, {self.of('li', d)}))",
            f"sum({self.of('ll', d)}, [])",
            f"[{first} for {first}, *{more} in {rows}]",
            f"[len({more}) for {first}, *{more} in {rows}]",
            f"[{more} for ({first}, *_), {more} in [([1], 2), ('ab', {self.of('int', 0)})]]",
        ]

    def idiom_ls(self, d: int) -> list[str]:
        table = self.some("ds") or "TABLE"
        return [
            *super().idiom_ls(d),
            f"sorted({self.of('ls', d)}, key=str.{self.pick('lower', 'upper', 'swapcase', 'strip')})",
            f"list(map(str.{self.pick('upper', 'title', 'lower')}, {self.of('ls', d)}))",
            f"list(filter(str.{self.pick('isalpha', 'islower', 'isdigit')}, {self.of(self.pick('ls', 'str'), d)}))",
            f"list(map(str, {self.of(self.pick('li', 'lt', 'll'), d)}))",
            f"list(filter({table}.get, {self.of('ls', d)}))",
        ]

    def idiom_ll(self, d: int) -> list[str]:
        first, more = self.fresh("e"), self.fresh("e")
        return [f"[{more} for {first}, *{more} in {self.of('lt', d)}]", f"list(map(sorted, {self.of('ll', d)}))"]

    def idiom_si(self, d: int) -> list[str]:
        return [*super().idiom_si(d), "(MARKS | " + self.of("si", 0) + ")"]

    def idiom_ds(self, d: int) -> list[str]:
        return [*super().idiom_ds(d), f"({self.of('ds', d)} | {self.of('ds', d)})"]

    def idiom_di(self, d: int) -> list[str]:
        return [*super().idiom_di(d), f"({self.of('di', d)} | {self.of('di', d)})"]

    # statements

    def reshape(self) -> str:
        """A statement on one line."""
        of, owner = self.of, self.owner
        options: list[Callable[[], str]] = [
            lambda: f"{owner('li')}[{self.bounds(1)}] = {of(self.pick('li', 'li', 't2', 'bytes', 'di'), 1)}",
            lambda: f"{owner('li')}[{self.pick('1:2', ':1', '2:', ':', '0:0')}] = {of('li', 1)}",
            lambda: f"{owner('ls')}[{self.pick('1:2', ':', '-1:')}] = {of(self.pick('ls', 'str'), 1)}",
            lambda: f"{owner('li')}[{self.pick('1:', ':1')}] += {of('li', 1)}",
            lambda: f"del {owner(self.pick('li', 'ls', 'lt'))}[{self.bounds(0)}]",
            lambda: f"del {owner('li')}[{self.pick('1:', ':1', '::2', '0:2')}]",
            lambda: f"{self.bound('ds')} |= {of('ds', 1)}",
            lambda: f"{owner('ds')}.update(({of('str', 0)}, e) for e in {of('li', 1)})",
            lambda: f"{self.bound('di')} |= {self.pick(of('di', 1), '[(' + of('int', 0) + ', 5)]')}",
            lambda: f"{owner('li')}.extend({self.comprehension('int', 1)})",
            lambda: f"{owner('si')}.update({self.comprehension('int', 1)})",
            self.unpacked,
            self.unpacked,
        ]
        return self.chance.choice(options)()

    def unpacked(self) -> str:
        """An unpacking with a target or a star inside."""
        one, two, rest = self.fresh("v"), self.fresh("v"), self.fresh("v")
        row = self.of("li", 1) if self.risky() else f"[7, *{self.of('li', 0)}]"
        text = self.pick(
            f"{one}, ({two}, *{rest}) = {self.of('int', 1)}, {row}",
            f"({one}, *{rest}), {two} = {row}, {self.of('int', 0)}",
            f"{one}, [{two}, *{rest}] = [3, {row}]",
            f"{one}, ({two}, *{rest}) = {rest} = 5, {row}",
        )
        self.bring(one, "int")
        self.bring(two, "int")
        self.bring(rest, "li")
        return text + (f"; {rest} = list({rest})" if text.count(rest) > 1 else "")

    def star_loop(self) -> tuple[str, dict[str, str]]:
        """The head of a loop with a star, and what it binds."""
        first, rest, inner = self.fresh("i"), self.fresh("i"), self.fresh("i")
        if self.chance.random() < 0.5:
            rows = self.of("ll", 1) if self.risky() else f"[[1], [2, *{self.of('li', 0)}]]"
            return f"for {first}, *{rest} in {rows}:", {first: "int", rest: "li"}
        return f"for {first}, ({inner}, *{rest}) in enumerate({self.of('lt', 1)}):", {
            first: "int",
            inner: "int",
            rest: "li",
        }

    def siblings(self, captured: str) -> list[str]:
        """Two nested functions that call each other, the first one the later one, and a call."""
        one, two, given = self.fresh("g"), self.fresh("g"), self.fresh("a")
        step = self.pick("+ 1", f"+ {captured}", "* 2")
        own = self.pick(f"{captured} - {given}", given, "1")
        self.functions = [*self.functions, (one, ("int",), "int")]
        return [
            f"def {one}({given}):",
            f"{TAB}if {given} > {self.pick('0', '2')}:",
            f"{TAB * 2}return {two}({given} - {self.pick('1', '2')}) {step}",
            f"{TAB}return {own}",
            f"def {two}({given}):",
            f"{TAB}return {self.pick('', '-')}{one}({given} - 1) + {captured}",
            f"{self.fresh('v')} = {one}({self.of('int', 0)} % 9)",
        ]
