"""Random contracts: records, storage with ordered pages, events, several entries, and the calls to send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oracle.phrases import CONSTANTS, EDGES
from oracle.programs import TAB, PureProgram

DECLARED = """
Item = record("Item", n=u64, name=str, tags=list[int], big=int, flag=bool)
Box = record("Box", item=Item, raw=bytes, note=int | None)

total = Var(int, default=0)
label = Var(str)
series = Var(list[int], default=[])
best = Var(Item)
counts = Map(u64, int, default=0)
names = Map(str, u64)
grid = Map((u64, str), int, default=5)
signed = Map(int, bool)
wide = Map(u256, bytes)
owners = Map((Address, u64), Item)
flags = Map((bool, bytes, int), list[int])
items = Map(u64, Item)
boxes = Map(bytes, Box)
extra = Map(u64, list[int] | None)
by_name = Index(items, by=("name", "flag"))
by_big = Index(owners, by=("big",))
by_n = Index(items, by=("n",))

Moved = event("Moved", indexed=("n",), n=u64, who=Address, note=str)
Listed = event("Listed", values=list[int], big=int)
Boxed = event("Boxed", indexed=("count",), item=Item, count=int)
"""
KEYS: dict[str, tuple[tuple[str, ...], str]] = {
    "counts": (("u64",), "int"), "names": (("str",), "u64"), "grid": (("u64", "str"), "int"),
    "signed": (("int",), "bool"), "wide": (("u256",), "bytes"), "owners": (("Address", "u64"), "rec"),
    "flags": (("bool", "bytes", "int"), "li"), "items": (("u64",), "rec"), "boxes": (("bytes",), "box"),
    "extra": (("u64",), "maybe"),
}  # fmt: skip
INDEXES = {"by_name": ("str", "bool", "u64"), "by_big": ("int", "Address", "u64"), "by_n": ("u64", "u64")}
PARAMETERS = (
    "int",
    "u64",
    "u256",
    "bool",
    "str",
    "bytes",
    "Address",
    "list[int]",
    "dict",
    "Item",
    "int | None",
    "list",
)
KINDS = {
    "u64": "int", "u256": "int", "Address": "bytes", "list[int]": "li", "dict": "ds", "Item": "rec", "list": "li",
    "int | None": "int",
}  # fmt: skip
RESULTS = {
    "int": "int", "u64": "u64", "bool": "bool", "str": "str", "list": "li", "dict": "ds", "tuple": "t2",
    "bytes": "bytes", "int | None": "int", "list[int]": "li", "None": "none", "Item": "rec",
}  # fmt: skip


BANK = """
KNOWN = [1, 2]
kept = Var(int, default=0)
log = Map(u64, list[int])

Noted = event("Noted", n=int, who=Address)


@export
def put(n: int) -> int:
    kept.set(kept.get() + n)
    emit(Noted, n=n, who=ctx.sender)
    require(n != 7, "SEVEN", [n])
    return kept.get()


@export
def keep(key: u64, xs: list[int]) -> list:
    KNOWN.append(key)
    log[key] = xs
    return [log[key], KNOWN, ctx.sender, len(xs) // (key - 5)]


@export
def echo(x: dict, y: str) -> dict:
    x[y] = len(x)
    return x


@export
def burn(n: int) -> int:
    kept.set(n)
    while n > 0:
        n -= 1
    return kept.get()


@export
def back(n: int) -> list:
    again = call("shop", "e0", on_fail="return")
    return [view_call("bank", "seen", n), again, call("bank", "put", n, on_fail="return")]


@export
def deep(n: int) -> int:
    return deep(n + 1)


@view
def seen(n: int) -> int:
    return kept.get() * n


def hidden() -> None:
    pass
"""
OUTSIDE = (
    ('"put"', "int"), ('"keep"', "u64", "li"), ('"echo"', "ds", "str"), ('"burn"', "small"), ('"back"', "small"),
    ('"deep"', "small"), ('"seen"', "int"), ('"hidden"',), ('"nothing"',), ('"put"', "str"), ('"put"',),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Send:
    """One transaction: entry, arguments, sender, and the share of the gas it needs that it may get (1: enough)."""

    entry: str
    arguments: list[Any]
    sender: bytes
    share: float


class MarketProgram(PureProgram):
    """A contract over the declarations above."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.records = True
        self.reading = False
        self.entries: dict[str, tuple[str, ...]] = {}

    # storage

    def make_u64(self, depth: int) -> str:
        if self.risky():
            return self.of("int", depth)
        return self.pick("1", "2", "3", "7", f"abs({self.of('int', min(depth, 1))}) % 9")

    make_u256 = make_u64

    def make_Address(self, depth: int) -> str:
        return self.of("bytes", depth) if self.risky() else self.pick("ctx.sender", "ctx.self_address", "sha256(b'a')")

    def make_box(self, depth: int) -> str:
        return (
            f"Box(item={self.of('rec', depth)}, raw={self.of('bytes', 1)}, note={self.pick('None', self.of('int', 1))})"
        )

    def make_maybe(self, depth: int) -> str:
        return self.pick("None", self.of("li", depth))

    def key(self, name: str) -> str:
        parts = [self.of(kind, 1) for kind in KEYS[name][0]]
        return parts[0] if len(parts) == 1 else self.pick(", ".join(parts), f"({', '.join(parts)})")

    def read(self, kind: str) -> str | None:
        """An expression that reads storage."""
        fitting = [name for name, (_, value) in KEYS.items() if value == kind]
        if kind == "int":
            fixed = ["total.get()", "ctx.height", "ctx.block_time_ms", "sum(series.get())", f"grid[{self.key('grid')}]"]
            if self.chance.random() < 0.5:
                return self.pick(*fixed)
        if not fitting:
            return {"str": "label.get()" if self.risky() else "ctx.chain_id", "li": "series.get()"}.get(kind)
        name = self.chance.choice(fitting)
        plain = f"{name}[{self.key(name)}]"
        if self.risky() or kind not in ("int", "u64", "bool", "bytes"):
            return plain if self.risky() else None
        key = self.key(name)
        key = f"({key})" if len(KEYS[name][0]) > 1 and not key.startswith("(") else key
        return f"{name}.get({key}, {self.of(kind, 0)})"

    def page(self) -> str:
        """A page of a map."""
        name = self.chance.choice((*KEYS, *INDEXES))
        parts = INDEXES[name] if name in INDEXES else KEYS[name][0]
        prefix = ""
        if len(parts) > 1 and self.chance.random() < 0.6:
            taken = parts[: self.chance.randrange(1, len(parts))]
            values = [self.of(kind, 0) for kind in taken]
            prefix = self.pick("", "prefix=") + (
                f"({', '.join(values)},)" if len(values) > 1 or self.risky() else values[0]
            )
        after = ""
        if self.chance.random() < 0.3:
            key = ", ".join(self.of(kind, 1) for kind in parts) if name in INDEXES else self.key(name)
            after = f"after={key if len(parts) == 1 or key.startswith('(') else f'({key})'}"
        limit = self.pick("", "limit=2", "limit=1", f"limit={self.of('int', 0) if self.risky() else '9'}")
        return f"{name}.{self.pick('items', 'keys')}({', '.join(part for part in (prefix, after, limit) if part)})"

    def of(self, kind: str, depth: int = 2) -> str:
        if depth > 0 and self.chance.random() < 0.1:
            found = self.read(kind)
            if found:
                return found
        return super().of(kind, depth)

    def change(self) -> list[str]:
        roll = self.chance.random()
        if roll < 0.1:
            return [f"{self.pick(self.fresh('v') + ' = ', '')}{self.outside()}"]
        return super().change() if self.reading or roll < 0.55 else [self.written()]

    def written(self) -> str:
        """A statement on storage or events."""
        name = self.chance.choice(tuple(KEYS))
        key, value = self.key(name), self.of(KEYS[name][1], 2)
        bare = key[1:-1] if key.startswith("(") and len(KEYS[name][0]) > 1 else key
        options: list[Callable[[], str]] = [
            lambda: f"{name}[{key}] = {value}",
            lambda: f"{name}[{key}] = {value}",
            lambda: (
                f"{self.pick('counts', 'counts')}[{self.key('counts')}] {self.pick('+', '-', '*')}= {self.of('int', 1)}"
            ),
            lambda: f"grid[{self.key('grid')}] {self.pick('+', '-')}= {self.of('int', 1)}",
            lambda: f"total.set({self.of('int', 2)})",
            lambda: f"series.set({self.of('li', 2)})",
            lambda: f"{self.fresh('v')} = extra.get({self.of('u64', 1)})",
            lambda: f"label.set({self.of('str', 1)})",
            lambda: f"best.set({self.of('rec', 1)})",
            lambda: f"{self.fresh('v')} = {self.page()}",
            lambda: self.emitted(
                "Moved", "n=" + self.of("u64", 1), "who=" + self.of("Address", 1), "note=" + self.of("str", 1)
            ),
            lambda: self.emitted("Listed", "values=" + self.of("li", 1), "big=" + self.of("int", 2)),
            lambda: self.emitted("Boxed", "item=" + self.of("rec", 1), "count=" + self.of("int", 1)),
            lambda: f"{self.fresh('v')} = ({bare}) in {name}",
            lambda: f"del {name}[{key}]" if self.risky() else f"total.set({self.of('int', 1)})",
        ]
        return self.chance.choice(options)()

    def emitted(self, name: str, *fields: str) -> str:
        return f"emit({name}, {', '.join(self.chance.sample(fields, len(fields)))})"

    def for_(self, depth: int) -> list[str]:
        if self.chance.random() < 0.75:
            return super().for_(depth)
        name = self.fresh("i")
        saved = {kind: list(names) for kind, names in self.names.items()}
        self.bring(name, self.pick("int", "t2"))
        self.loops += 1
        lines = self.block(f"for {name} in {self.page()}:", depth)
        self.loops -= 1
        self.names = saved
        return lines

    # other contracts

    def outside(self) -> str:
        """A call of the other contract, mostly one whose failure comes back."""
        if self.reading or self.chance.random() < 0.3:
            name = self.pick("'bank'", "'shop'") if self.risky() else "'bank'"
            entry = self.pick("'seen'", "'put'") if self.risky() else "'seen'"
            return f"view_call({name}, {entry}, {self.of('int', 1)})"
        entry, *kinds = self.chance.choice(OUTSIDE if self.chance.random() < 0.3 else OUTSIDE[:5])
        given = [self.pick("0", "3", "7", "60", "900") if kind == "small" else self.of(kind, 1) for kind in kinds]
        more = ["on_fail='return'"] if self.chance.random() < 0.7 else []
        if self.chance.random() < 0.3:
            more.append(f"gas={self.pick('100', '2000', '9000', self.of('int', 0))}")
        parts = ["'bank'", entry, *given, *more]
        return f"call({', '.join(parts)})"

    # entries

    def entry(self, name: str, role: str, size: int) -> list[str]:
        self.reading = role == "view"
        if self.reading:
            self.functions = []
        shapes = tuple(self.pick(*PARAMETERS) for _ in range(self.chance.randint(0, 3)))
        self.entries[name] = shapes
        arrow = "None" if role == "init" else self.pick(*RESULTS)
        self.returns = RESULTS[arrow]
        self.names, self.fixed = {}, set()
        for index, shape in enumerate(shapes):
            self.bring(f"p{index}", KINDS.get(shape, shape))
            if shape in ("u64", "u256", "Address"):
                self.bring(f"p{index}", shape)
        given = ", ".join(f"p{index}: {shape}" for index, shape in enumerate(shapes))
        body = self.opening()
        for _ in range(size):
            body += self.statement(3)
        lines = [f"@{role}", f"def {name}({given}) -> {arrow}:", *(TAB + line for line in body)]
        return [*lines, f"{TAB}return {self.result()}", "", ""]

    def text(self) -> str:
        lines: list[str] = []
        if self.chance.random() < 0.5:
            kinds = tuple(self.pick("int", "li", "rec", "str") for _ in range(self.chance.randint(0, 2)))
            self.returns = self.pick("int", "str", "li", "rec")
            known = self.returns
            lines += self.function("f0", kinds, self.chance.random() < 0.5, self.chance.randint(1, 3))
            self.functions = [("f0", kinds, known)]
        functions = self.functions
        if self.chance.random() < 0.4:
            lines += self.entry("setup", "init", 2)
            self.functions = functions
        for index in range(self.chance.choice((1, 1, 2))):
            lines += self.entry(f"e{index}", self.pick("export", "export", "view"), self.chance.randint(2, 6))
            self.functions = functions
        return CONSTANTS + DECLARED + "\n\n" + "\n".join(lines).rstrip() + "\n"

    def sends(self, senders: tuple[bytes, ...]) -> list[Send]:
        """Transactions in order; now and then one gets less gas than it needs."""
        names = [name for name in self.entries if name != "setup"]
        found = []
        for _ in range(self.chance.randint(3, 6)):
            name = self.chance.choice(names)
            share = 1.0 if self.chance.random() < 0.7 else self.chance.random()
            found.append(Send(name, self.given(name), self.chance.choice(senders), share))
        return found

    def given(self, name: str) -> list[Any]:
        return [self.value(shape) for shape in self.entries.get(name, ())]

    def value(self, shape: str) -> Any:
        if self.chance.random() < 0.01:
            shape = self.chance.choice(PARAMETERS)
        edge = self.chance.choice(EDGES)
        match shape:
            case "u64":
                return min(edge, 2**64 - 1) if self.chance.random() < 0.4 else self.chance.randrange(9)
            case "u256":
                return edge
            case "Address":
                return bytes([self.chance.randrange(3)]) * 32
            case "list[int]" | "list":
                return self.argument("li")
            case "dict":
                return self.argument("ds")
            case "Item":
                return {
                    "n": self.chance.randrange(99), "name": self.argument("str"), "tags": self.argument("li"),
                    "big": edge, "flag": self.chance.random() < 0.5,
                }  # fmt: skip
            case "int | None":
                return self.chance.choice((None, edge))
            case "bytes":
                return bytes(self.chance.randrange(4) for _ in range(self.chance.randrange(5)))
        return self.argument(shape)
