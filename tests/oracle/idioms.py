"""Random expressions with the less common methods and arguments of builtins."""

from __future__ import annotations

from oracle.forms import Signatures


class Idioms(Signatures):
    """`idiom(kind)` writes one of them, if there is one of that type."""

    def idiom(self, kind: str, depth: int) -> str | None:
        made = getattr(self, f"idiom_{kind}", None)
        if made is None or depth <= 0:
            return None
        text: str = self.chance.choice(made(depth - 1))
        return text

    def idiom_int(self, d: int) -> list[str]:
        text, part = self.of("str", d), self.of("str", 0)
        found = self.pick("rfind", "rfind", "rindex", "index") if self.risky() else "rfind"
        return [
            f"{text}.{found}({part})",
            f"{text}.{self.pick('find', 'count')}({part}, {self.index(d)}, {self.index(d)})",
            f"{self.of('bytes', d)}.{self.pick('count', 'rfind')}({self.of('bytes', 0)})",
            f"int({self.pick(*map(repr, ('1_0', '0x1f', 'z', '_1', ' 7 ')))}{self.pick('', ', base=36', ', 0')})",
            f"pow(base={self.of('int', 0)}, exp={self.amount()}, mod={self.divisor(0)})",
            f"len({self.of(self.pick('si', 'ss'), d)}.{self.merge()}({self.of(self.pick('si', 'ss', 'li', 'ls'), d)}))",
            f"sum({self.of('li', d)}, start={self.of('int', 0)})",
            f"{self.of('li', d)}.index({self.of('int', 0)}, {self.index(d)})",
        ]

    def merge(self) -> str:
        return self.pick("union", "intersection", "difference", "symmetric_difference")

    def idiom_bool(self, d: int) -> list[str]:
        sets = self.pick("si", "si", "ss")
        inside = self.pick("issubset", "issuperset", "isdisjoint")
        looks = self.pick("isalpha", "isalnum", "isupper", "islower", "isspace", "isascii")
        return [
            f"({self.of(sets, d)} {self.pick('<=', '<', '>=', '>')} {self.of(sets, d)})",
            f"{self.of(sets, d)}.{inside}({self.of(self.pick(sets, 'li'), d)})",
            f"{self.of('str', d)}.{looks}()",
            f"{self.of('str', d)}.{self.pick('startswith', 'endswith')}(({self.of('str', 0)}, {self.of('str', 0)}))",
            f"{self.of('str', d)}.startswith({self.of('str', 0)}, {self.index(d)}{self.pick('', ', 3')})",
        ]

    def idiom_str(self, d: int) -> list[str]:
        text, wide = self.of("str", d), self.pick("0", "3", "7", self.of("int", 0) if self.risky() else "12")
        sep = self.pick(repr(","), repr("a"), self.of("str", 0))
        return [
            f"{text}.{self.pick('title', 'capitalize', 'swapcase')}()",
            f"{text}.{self.pick('ljust', 'rjust', 'center')}({wide}{self.pick('', ', ' + repr('*'))})",
            f"{text}.zfill({wide})",
            f"{text}.{self.pick('removeprefix', 'removesuffix')}({self.of('str', 0)})",
            f"{text}.{self.pick('partition', 'rpartition')}({sep})[{self.pick('0', '1', '2')}]",
            f"{text}.encode('utf-8').decode({self.pick(repr('utf-8'), 'encoding=' + repr('ascii'))})",
        ]

    def idiom_ls(self, d: int) -> list[str]:
        text, sep = self.of("str", d), self.pick(repr(","), repr("a"), self.of("str", 0))
        return [
            f"{text}.{self.pick('split', 'rsplit')}({self.pick('sep=', '')}{sep}{self.pick('', ', maxsplit=1')})",
            f"{text}.rsplit({self.pick('', 'maxsplit=1', 'None, 2')})",
            f"{text}.splitlines({self.pick('', 'True', 'keepends=False')})",
            f"sorted({self.of(self.pick('ls', 'ss'), d)}, reverse={self.pick('0', '1', 'True')})",
        ]

    def idiom_si(self, d: int) -> list[str]:
        return [f"{self.of('si', d)}.{self.merge()}({self.of(self.pick('si', 'li', 't2', 'di'), d)})"]

    def idiom_ss(self, d: int) -> list[str]:
        return [f"{self.of('ss', d)}.{self.merge()}({self.of(self.pick('ss', 'ls', 'str', 'ds'), d)})"]

    def idiom_ds(self, d: int) -> list[str]:
        rows = f"[({self.of('str', 0)}, {self.of('int', 0)})]"
        return [
            f"dict({self.pick(self.of('ds', d), rows, '')}, k={self.of('int', 0)})".replace("(, ", "("),
            f"dict.fromkeys({self.of(self.pick('ls', 'str'), d)}, {self.of('int', 0)})",
        ]

    def idiom_di(self, d: int) -> list[str]:
        return [f"dict.fromkeys({self.of(self.pick('li', 't2'), d)}, {self.of('int', 0)})"]
