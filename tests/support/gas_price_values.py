"""Operations of the language and the values that make them slow, for `gas_prices`."""

# ruff: noqa: E501  # one operation a line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts import keys
from contracts.meter import LIMITS

Maker = Callable[[int], tuple[Any, Any, Any]]
SIZES = (1, 7, 63, 400, 2_400, 29_999, 65_000)
SHORT = (1, 7, 63, 400)


@dataclass(frozen=True, slots=True)
class Operation:
    """Code over a, b, c and the loop index i, with makers of values by label."""

    code: str
    values: dict[str, Maker]
    sizes: tuple[int, ...] = SIZES


def pure(a: Any, b: Any = None, c: Any = None) -> dict[str, Maker]:
    return {"fixed": lambda n: (a, b, c)}


WIDE, WIDER = "\u0101", "\U00010001"
TEXT: dict[str, Callable[[int], str]] = {
    "ascii": lambda n: "a" * n,
    "latin": lambda n: "\u00e9" * n,
    "ucs2": lambda n: WIDE * n,
    "ucs4": lambda n: WIDER * n,
    "mixed": lambda n: "a" * (n - 1) + WIDER,
    "digits": lambda n: "7" * n,
    "spaces": lambda n: " " * (n - 1) + "a",
    "pairs": lambda n: "ab" * (n // 2),
    "words": lambda n: "ab " * (n // 3),
    "wide words": lambda n: (WIDE + " ") * (n // 2),
}
LIST: dict[str, Callable[[int], list[Any]]] = {
    "ones": lambda n: [1] * n,
    "numbers": lambda n: [(j * 7919) % 100_003 for j in range(n)],
    "wide": lambda n: [2**200 + (j * 7919) % 100_003 for j in range(n)],
    "bools": lambda n: [j % 2 == 0 for j in range(n)],
    "texts": lambda n: [str((j * 7919) % 100_003) for j in range(n)],
    "long texts": lambda n: ["a" * 60 + str((j * 7919) % 100_003) for j in range(n)],
    "huge texts": lambda n: ["a" * n + chr(97 + j) for j in range(20)],
    "ucs2 texts": lambda n: [WIDE * n + chr(97 + j) for j in range(20)],
    "mixed texts": lambda n: [("a" * n) + (WIDER if j % 2 else "a") + chr(97 + j) for j in range(20)],
    "blobs": lambda n: [b"a" * n + bytes([j]) for j in range(20)],
    "pairs": lambda n: [((j * 7919) % 10, j) for j in range(n)],
    "nested": lambda n: [[[1, 2], [3]] for _ in range(n // 4)],
    "deep": lambda n: [_deep(30) for _ in range(n // 32)],
    "shared": lambda n: _shared(min(14, n.bit_length())),
    "dicts": lambda n: [{"a": 1, "b": 2} for _ in range(n // 4)],
    "sets": lambda n: [{1, 2} for _ in range(n // 4)],
}


def _deep(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def _shared(depth: int) -> list[Any]:
    made: list[Any] = [1]
    for _ in range(depth):
        made = [made, made]
    return made


def orbit(count: int) -> list[int]:
    """Integers that fill a hash table in the order of CPython's probes, so that what misses looks at each of them."""
    bits = max(3, (count * 3 // 2).bit_length())
    found, at = [], 0
    for _ in range(count):
        found.append(at)
        at = (5 * at + 1) & ((1 << bits) - 1)
    return found


def missing(kept: list[int]) -> int:
    """A number that probes longest among such a table's."""
    bits = max(3, (len(kept) * 3 // 2).bit_length())
    filled, mask = set(kept), (1 << bits) - 1

    def probes(number: int) -> int:
        left, at, seen = number, number & mask, 0
        while at in filled and seen < 100_000:
            left >>= 5
            at = (at * 5 + left + 1) & mask
            seen += 1
        return seen

    return max(range(1 << bits, (1 << bits) + 300), key=probes)


KEYS: dict[str, Callable[[int], list[Any]]] = {
    "numbers": lambda n: list(range(n)),
    "orbit": orbit,
    "multiples": lambda n: [j * 2**40 for j in range(n)],
    "mersenne": lambda n: [j * (2**61 - 1) for j in range(n)],
    "wide": lambda n: [2**200 + j for j in range(n)],
    "texts": lambda n: [str(j) for j in range(n)],
    "tuples": lambda n: [(j, "a", 2**200, b"x") for j in range(n)],
    "long texts": lambda n: [f"{j:05d}".rjust(LIMITS.key_bytes, "a") for j in range(min(n, 14_000))],
    "long blobs": lambda n: [(b"%05d" % j).rjust(LIMITS.key_bytes, b"a") for j in range(min(n, 100))],
    "wide texts": lambda n: [f"{WIDER}{j:05d}".rjust(LIMITS.key_bytes // 4, "a") for j in range(min(n, 2_400))],
    "long tuples": lambda n: [("a" * 900, "b" * 900 + str(j)) for j in range(min(n, 100))],
}


def _dict(found: list[Any]) -> dict[Any, Any]:
    return {keys.wrap(key): index for index, key in enumerate(found)}


def _set(found: list[Any]) -> set[Any]:
    return {keys.wrap(key) for key in found}


def texts(b: Callable[[int], Any] = lambda n: None) -> dict[str, Maker]:
    return {label: lambda n, make=make: (make(n), b(n), None) for label, make in TEXT.items()}


def blobs() -> dict[str, Maker]:
    return {
        "a": lambda n: (b"a" * n, None, None),
        "ff": lambda n: (b"\xff" * n, None, None),
        "utf": lambda n: ("\u0101".encode() * (n // 2), None, None),
    }


def twins() -> dict[str, Maker]:
    """Two equal texts that are different objects, and two that differ at their end."""
    made: dict[str, Maker] = {}
    for label, make in TEXT.items():
        made[label] = lambda n, make=make: ("".join(list(make(n))), "".join(list(make(n))), None)
        made[label + " end"] = lambda n, make=make: (make(n) + "x", make(n) + "y", None)
    made["kinds"] = lambda n: ("a" * n, "a" * (n - 1) + WIDER, None)
    made["blob"] = lambda n: (b"a" * n + b"b", b"a" * n + b"c", None)
    return made


def lists(b: Callable[[int], Any] = lambda n: None) -> dict[str, Maker]:
    return {label: lambda n, make=make: (make(n), b(n), None) for label, make in LIST.items()}


def list_twins() -> dict[str, Maker]:
    return {label: lambda n, make=make: (make(n), make(n), None) for label, make in LIST.items()}


def dicts(table: Callable[[list[Any]], Any] = _dict) -> dict[str, Maker]:
    return {label: lambda n, make=make: (table(make(n)), make(n)[-1], make(n)) for label, make in KEYS.items()}


def key_twins(table: Callable[[list[Any]], Any] = _dict) -> dict[str, Maker]:
    """Two tables with equal keys that are not the same objects, and a list of such keys."""
    return {label: lambda n, make=make: (table(make(n)), table(make(n)), make(n)) for label, make in KEYS.items()}


def missed(table: Callable[[list[Any]], Any] = _dict) -> dict[str, Maker]:
    return {
        "orbit": lambda n: (table(orbit(n)), missing(orbit(n)), None),
        "numbers": lambda n: (table(list(range(n))), n + 2**20, None),
        "texts": lambda n: (table([str(j) for j in range(n)]), "a" * n, None),
    }


def needles() -> dict[str, Maker]:
    """Haystacks and needles on which naive search is quadratic: long common parts, the difference where it is seen last."""
    made: dict[str, Maker] = {
        "miss": lambda n: ("a" * n, "b", None),
        "every": lambda n: ("a" * n, "a", None),
        "six": lambda n: ("abcdef" * (n // 6), "abcdef", None),
        "seven": lambda n: ("abcdefg" * (n // 7), "abcdefg", None),
        "short": lambda n: ("ab" * (n // 2), "ab", None),
        "wide": lambda n: (WIDE * n, WIDE * 3 + "a", None),
        "wide one": lambda n: (WIDE * n, WIDER, None),
        "low byte": lambda n: ("\u0161" * n, "\u0261", None),
        "other kind": lambda n: (WIDER * n, "a" * (n // 2) + "b", None),
    }
    for part in (5, 20, 99, 101, 1_000):
        made[f"first {part}"] = lambda n, m=part: ("a" * n, "b" + "a" * min(m, n // 2), None)
        made[f"middle {part}"] = lambda n, m=part: (
            "a" * n,
            "a" * min(m // 2, n // 4) + "b" + "a" * min(m // 2, n // 4),
            None,
        )
        made[f"last {part}"] = lambda n, m=part: ("a" * n, "a" * min(m, n // 2) + "b", None)
        made[f"wide first {part}"] = lambda n, m=part: (WIDE * n, "b" + WIDE * min(m, n // 2), None)
        made[f"blocks {part}"] = lambda n, m=part: (
            ("a" * m + "b") * (n // (m + 1)),
            "a" * (m // 2) + "c" + "a" * (m // 2),
            None,
        )
    for share in (2, 3, 4, 8):
        made[f"first 1/{share}"] = lambda n, share=share: ("a" * n, "b" + "a" * (n // share), None)
        made[f"middle 1/{share}"] = lambda n, share=share: (
            "a" * n,
            "a" * (n // share // 2) + "b" + "a" * (n // share // 2),
            None,
        )
    made["nearly all"] = lambda n: ("a" * n, "b" + "a" * max(1, n - 2_000), None)
    made["rare"] = lambda n: (("a" * 99 + "b") * (n // 100), "a" * 60 + "b" + "a" * 38 + "b" + "c" + "b", None)
    return made


def blob_needles() -> dict[str, Maker]:
    def encoded(make: Maker) -> Maker:
        return lambda n: (make(n)[0].encode("latin-1", "replace"), make(n)[1].encode("latin-1", "replace"), None)

    return {label: encoded(make) for label, make in needles().items()}


def stripped() -> dict[str, Maker]:
    chars = "".join(chr(0x100 * j + 1) for j in range(1, 65))
    low = "".join(chr(j) for j in range(64, 128))
    return {
        "low": lambda n: (low[-1] * n, low, None),
        "wide": lambda n: (chars[-1] * n, chars, None),
        "one": lambda n: ("a" * n, "a", None),
        "bloom": lambda n: (chr(0x4141) * n, "".join(chr(0x41 + 0x100 * j) for j in range(1, 64)) + chr(0x4141), None),
    }


BIG, ODD = 2**250 + 7, 2**120 + 13
ANY3 = pure(5, 3, [1, 2, 3])

OPERATIONS: dict[str, Operation] = {
    "pass": Operation("pass", ANY3, (1,)),
    "int inline": Operation("t = (i * 31 + i) % 1000003", ANY3, (1,)),
    "add": Operation("v = a + b", {**pure(5, 3), "big": lambda n: (BIG, ODD, 0)}, (1,)),
    "mul": Operation("v = a * b", {**pure(5, 3), "big": lambda n: (ODD, ODD, 0)}, (1,)),
    "floordiv": Operation("v = a // b", {**pure(5, 3), "big": lambda n: (BIG, ODD, 0)}, (1,)),
    "mod": Operation("v = a % b", {**pure(5, 3), "big": lambda n: (BIG, -ODD, 0)}, (1,)),
    "pow": Operation("v = a ** b", {**pure(3, 150), "sign": lambda n: (-1, BIG, 0), "two": lambda n: (2**31, 8, 0)}, (1,)),
    "shift": Operation("v = a << b", {**pure(3, 250)}, (1,)),
    "right shift": Operation("v = a >> b", {**pure(BIG, 5), "far": lambda n: (BIG, BIG, 0)}, (1,)),
    "bits": Operation("v = (a & b) | (a ^ b)", {**pure(BIG, -ODD)}, (1,)),
    "minus": Operation("v = -a", pure(BIG), (1,)),
    "invert": Operation("v = ~a", pure(BIG), (1,)),
    "powmod": Operation("v = pow(a, b, c)", {**pure(BIG, BIG, BIG + 1), "small": lambda n: (BIG, 3, BIG + 1), "ones": lambda n: (BIG, 2**254 - 1, -BIG)}, (1,)),
    "mul_div": Operation("v = mul_div(a, b, c)", pure(BIG, BIG, BIG), (1,)),
    "divmod": Operation("v = divmod(a, b)", pure(BIG, ODD), (1,)),
    "abs": Operation("v = abs(a)", pure(-BIG), (1,)),
    "chain": Operation("v = a < b < a", pure(3, 5), (1,)),
    "typed call": Operation("v = f1(c[0])", ANY3, (1,)),
    "call": Operation("v = f0(i)", ANY3, (1,)),
    "recursion": Operation("v = fr(3)", ANY3, (1,)),
    "revert caught": Operation('try:\n    revert("A")\nexcept A:\n    pass', ANY3, (1,)),
    "fault caught": Operation("try:\n    v = 1 // (a - a)\nexcept DivByZero:\n    pass", ANY3, (1,)),
    "fault not caught": Operation("try:\n    try:\n        v = 1 // (a - a)\n    except KeyMissing:\n        pass\nexcept DivByZero:\n    pass", ANY3, (1,)),
    "finally": Operation("try:\n    pass\nfinally:\n    v = 1", ANY3, (1,)),
    "require": Operation('require(i >= 0, "A")', ANY3, (1,)),
    "isinstance": Operation("v = isinstance(a, (int, str, list))", ANY3, (1,)),
    "if": Operation("if i > 5:\n    v = 1", ANY3, (1,)),
    "ternary": Operation("v = 1 if i > 5 else 2", ANY3, (1,)),
    "boolop": Operation("v = i > 5 and i < 9 or i == 3", ANY3, (1,)),
    "match": Operation("match i:\n    case 0 | 1:\n        v = 1\n    case _:\n        v = 2", ANY3, (1,)),
    "match text": Operation("match a:\n    case 'a' | 'b':\n        v = 1\n    case _:\n        v = 2", texts()),
    "while": Operation("k = 0\nwhile k < 10:\n    k += 1", ANY3, (1,)),
    "unpack": Operation("x, y, z = c", ANY3, (1,)),
    "index": Operation("v = c[1]", ANY3, (1,)),
    "set index": Operation("c[1] = i", ANY3, (1,)),
    "text index": Operation("v = a[0]", texts()),
    "nested unpack": Operation("(x, y), z = c", pure(1, 1, [(1, 2), 3]), (1,)),
    "displays": Operation("v = [[1, 2], (i, 2), {1: 2}, {3}]", ANY3, (1,)),
    "empties": Operation("v = [[], {}, set(), ()]", ANY3, (1,)),
    "star": Operation("v = [*a, 3]", lists()),
    "star call": Operation("v = f0(*a)", pure([1]), (1,)),
    "star max": Operation("v = max(*a, 1)", {"ones": lambda n: ([1] * n, 0, 0)}),
    "equal": Operation("v = a == b", {**twins(), **list_twins(), **{f"d {k}": (lambda n, m=m: (_dict(m(n)), _dict(m(n)), 0)) for k, m in KEYS.items()}, **{f"s {k}": (lambda n, m=m: (_set(m(n)), _set(m(n)), 0)) for k, m in KEYS.items()}}),
    "less": Operation("v = a < b", {**twins(), **{k: v for k, v in list_twins().items() if k not in ("dicts", "sets")}}),
    "concat": Operation("v = a + b", {**twins(), **list_twins()}, (1, 7, 63, 400, 2_400, 29_999)),
    "repeat": Operation("v = a * 2", {**texts(), **lists()}, (1, 7, 63, 400, 2_400, 29_999)),
    "repeat one": Operation("v = a * b", {"ascii": lambda n: ("a", n, 0), "ucs4": lambda n: (WIDER, n, 0), "list": lambda n: ([1], n, 0), "pair": lambda n: ("ab", n // 2, 0)}),
    "slice": Operation("v = a[1:]", {**texts(), **lists()}),
    "slice step": Operation("v = a[::-1]", {**texts(), **lists(), "blob": lambda n: (b"a" * n, 0, 0)}),
    "slice third": Operation("v = a[::3]", {**texts(), **lists()}),
    "in text": Operation("v = b in a", {**needles()}),
    "in blob": Operation("v = b in a", blob_needles()),
    "find": Operation("v = a.find(b)", {**needles(), **{"b " + k: v for k, v in blob_needles().items()}}),
    "find from": Operation("v = a.find(b, 1)", needles()),
    "count": Operation("v = a.count(b)", needles()),
    "replace": Operation('v = a.replace(b, "x")', needles()),
    "replace same": Operation("v = a.replace(b, b)", needles()),
    "replace once": Operation('v = a.replace(b, "x", 1)', needles()),
    "replace wide": Operation('v = a.replace(b, "\\u0101")', needles()),
    "replace empty": Operation('v = a.replace("", "-")', texts(), (1, 7, 63, 400, 2_400, 29_999)),
    "split": Operation("v = a.split(b)", needles()),
    "split once": Operation("v = a.split(b, 1)", needles()),
    "split white": Operation("v = a.split()", texts()),
    "split white once": Operation("v = a.split(None, 1)", texts()),
    "startswith": Operation("v = a.startswith(b)", twins()),
    "startswith self": Operation("v = a.startswith(a)", texts()),
    "endswith": Operation("v = a.endswith(b)", {**twins(), "kinds": lambda n: (WIDER + "a" * n, "a" * n, 0)}),
    "startswith kinds": Operation("v = a.startswith(b)", {"kinds": lambda n: ("a" * n + WIDER, "a" * n, 0)}),
    "strip": Operation("v = a.strip()", texts()),
    "strip chars": Operation("v = a.strip(b)", stripped()),
    "lstrip chars": Operation("v = a.lstrip(b)", stripped()),
    "rstrip chars": Operation("v = a.rstrip(b)", stripped()),
    "bool": Operation("v = bool(a)", {**texts(), **lists()}, (1, 400)),
    "set remove": Operation("a.remove(b)\na.add(b)", dicts(_set)),
    "set .union": Operation("v = a.union(a)", dicts(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "lower": Operation("v = a.lower()", texts()),
    "upper": Operation("v = a.upper()", texts()),
    "isdigit": Operation("v = a.isdigit()", texts()),
    "encode": Operation("v = a.encode()", texts(), (1, 7, 63, 400, 2_400, 15_000)),
    "decode": Operation("v = a.decode()", blobs()),
    "hex": Operation("v = a.hex()", blobs(), (1, 7, 63, 400, 2_400, 29_999)),
    "fromhex": Operation("v = bytes.fromhex(a)", {"ab": lambda n: ("ab" * (n // 2), 0, 0)}),
    "join": Operation("v = ','.join(a)", {k: (lambda n, m=m: ([str(x) for x in m(n)][:9_000], 0, 0)) for k, m in LIST.items() if k in ("ones", "numbers")} | {"empty": lambda n: ([""] * n, 0, 0), "huge": lambda n: (["a" * n], 0, 0), "wide": lambda n: ([WIDE, WIDER] * (n // 4), 0, 0)}),
    "list(text)": Operation("v = list(a)", texts()),
    "for text": Operation("for x in a:\n    pass", texts()),
    "fstring": Operation('v = f"{a}"', {**pure(BIG), **texts()}),
    "fstring wide": Operation('v = f"{a:>80}{a:x}{a:,}"', pure(BIG), (1,)),
    "fstring pad": Operation('v = f"{a:>9999}"', pure(BIG), (1,)),
    "fstring centre": Operation('v = f"{a:*^9999}"', {"text": lambda n: ("a", 0, 0), "ucs4": lambda n: (WIDER, 0, 0)}, (1,)),
    "str(int)": Operation("v = str(a)", pure(BIG), (1,)),
    "int(text)": Operation("v = int(a)", {**pure(str(BIG)), "spaces": lambda n: (" " * 200 + "1", 0, 0)}, (1,)),
    "int(hex)": Operation("v = int(a, 16)", pure(hex(BIG)[2:]), (1,)),
    "to_bytes": Operation('v = a.to_bytes(32, "big")', pure(BIG), (1,)),
    "from_bytes": Operation('v = int.from_bytes(a, "big")', pure(b"\x7f" * 32), (1,)),
    "bit_length": Operation("v = a.bit_length()", pure(BIG), (1,)),
    "bit_count": Operation("v = a.bit_count()", pure(BIG), (1,)),
    "sha256": Operation("v = sha256(a)", {"a": lambda n: (b"a" * n, 0, 0)}),
    "contract_address": Operation("v = contract_address(a)", pure("token"), (1,)),
    "chr ord": Operation("v = chr(ord(a))", pure(WIDER), (1,)),
    "len": Operation("v = len(a)", {**texts(), **lists()}, (1,)),
    "list": Operation("v = list(a)", lists()),
    "tuple": Operation("v = tuple(a)", lists()),
    "bytes(list)": Operation("v = bytes(a)", {"ones": lambda n: ([1] * n, 0, 0), "bad": lambda n: ([1] * (n - 1) + [300], 0, 0)}),
    "bytes(int)": Operation("v = bytes(a)", {"n": lambda n: (n, 0, 0)}),
    "set(list)": Operation("v = set(a)", {k: (lambda n, m=m: (m(n), 0, 0)) for k, m in KEYS.items()}),
    "dict(pairs)": Operation("v = dict(a)", {k: (lambda n, m=m: ([(x, 1) for x in m(n)], 0, 0)) for k, m in KEYS.items()}),
    "list comp": Operation("v = [x for x in a]", lists()),
    "list comp if": Operation("v = [x for x in a if x == b]", lists(lambda n: None)),
    "dict comp": Operation("v = {x: 1 for x in a}", {k: (lambda n, m=m: (m(n), 0, 0)) for k, m in KEYS.items()}),
    "set comp": Operation("v = {x for x in a}", {k: (lambda n, m=m: (m(n), 0, 0)) for k, m in KEYS.items()}),
    "range list": Operation("v = list(range(a))", {"n": lambda n: (n, 0, 0), "big": lambda n: (n, 0, 0)}),
    "sum": Operation("v = sum(a)", {k: v for k, v in lists().items() if k in ("ones", "numbers", "wide", "bools")}),
    "sum swing": Operation("v = sum(a)", {"wide": lambda n: ([2**250, -(2**250)] * (n // 2), 0, 0)}),
    "any": Operation("v = any(a)", {"none": lambda n: ([0] * n, 0, 0)}),
    "all": Operation("v = all(a)", lists()),
    "min": Operation("v = min(a)", {k: v for k, v in lists().items() if k not in ("dicts", "sets")}),
    "min two": Operation("v = min(a, b)", pure(5, 3), (1,)),
    "max texts": Operation("v = max(a, b)", twins()),
    "sorted": Operation("v = sorted(a)", {k: v for k, v in lists().items() if k not in ("dicts", "sets")}, (1, 7, 63, 400, 2_400, 29_999)),
    "sorted key": Operation("v = sorted(a, key=lambda y: y)", {k: v for k, v in lists().items() if k not in ("dicts", "sets")}, (1, 7, 63, 400, 2_400)),
    "sort": Operation("a.sort()", {k: v for k, v in lists().items() if k not in ("dicts", "sets")}, (1, 7, 63, 400, 2_400)),
    "sorted set": Operation("v = sorted(a)", dicts(_set), (1, 7, 63, 400, 2_400)),
    "sum set": Operation("v = sum(a)", {"numbers": lambda n: (_set(list(range(n))), 0, 0)}),
    "any set": Operation("v = any(a)", {"zeroes": lambda n: (_set([""]), 0, 0)}),
    "reversed": Operation("v = reversed(a)", lists()),
    "enumerate": Operation("v = enumerate(a)", lists()),
    "zip": Operation("v = zip(a, a, a)", lists()),
    "zip rows": Operation("v = zip(*a)", {"rows": lambda n: ([[1] * 3 for _ in range(n // 4)], 0, 0)}),
    "map": Operation("v = map(lambda y: y, a)", lists()),
    "filter": Operation("v = filter(None, a)", lists()),
    "list append": Operation("a.append(1)\na.pop()", lists()),
    "list extend": Operation("b = []\nb.extend(a)", {**lists(), "text": lambda n: ("a" * n, 0, 0)}),
    "list insert": Operation("a.insert(0, 1)\na.pop(0)", {"ones": lambda n: ([1] * n, 0, 0)}),
    "list del": Operation("a.append(1)\ndel a[0]", {"ones": lambda n: ([1] * n, 0, 0)}),
    "list remove": Operation("a.append(b)\na.remove(b)", lists(lambda n: "zz")),
    "list index": Operation("try:\n    v = a.index(b)\nexcept BadValue:\n    pass", lists(lambda n: "zz")),
    "list count": Operation("v = a.count(b)", {**lists(lambda n: "zz"), "same": lambda n: (["a" * n] * 20, "".join(["a"] * n), 0), "wide": lambda n: ([WIDE * n] * 20, "".join([WIDE] * n), 0), "shared": lambda n: ([_shared(8)] * 20, _shared(8), 0), "tuples": lambda n: ([(1, 2, 3)] * n, (1, 2, 4), 0)}),
    "in list": Operation("v = b in a", {**lists(lambda n: "zz"), "same": lambda n: (["a" * n + "b"] * 20, "a" * n + "c", 0), "tuples": lambda n: ([(1, 2, 3)] * n, (1, 2, 4), 0), "wide ints": lambda n: ([BIG] * n, BIG + 1, 0)}),
    "list reverse": Operation("a.reverse()", lists()),
    "list copy": Operation("v = a.copy()", lists()),
    "list iadd": Operation("b = []\nb += a", lists()),
    "dict get": Operation("v = a[b]", dicts()),
    "dict .get": Operation("v = a.get(b)", {**dicts(), **{"missed " + k: v for k, v in missed().items()}}),
    "dict in": Operation("v = b in a", {**dicts(), **{"missed " + k: v for k, v in missed().items()}}),
    "dict set": Operation("a[b] = i", dicts()),
    "dict set pop": Operation("a.pop(b)\na[b] = i", dicts()),
    "dict items": Operation("v = a.items()", dicts()),
    "dict keys": Operation("v = a.keys()", dicts()),
    "dict values": Operation("v = a.values()", dicts()),
    "dict copy": Operation("v = a.copy()", dicts()),
    "dict(dict)": Operation("v = dict(a)", dicts()),
    "dict update": Operation("b = {}\nb.update(a)", dicts()),
    "dict for": Operation("for x in a:\n    pass", dicts()),
    "dict setdefault": Operation("v = a.setdefault(b, 1)", dicts()),
    "set in": Operation("v = b in a", {**dicts(_set), **{"missed " + k: v for k, v in missed(_set).items()}}),
    "set add": Operation("a.add(b)", dicts(_set)),
    "set discard": Operation("a.discard(b)\na.add(b)", dicts(_set)),
    "set union": Operation("v = a | a", dicts(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set and": Operation("v = a & a", dicts(_set), (1, 7, 63, 400, 2_400, 29_999)),
    "set minus": Operation("v = a - a", dicts(_set)),
    "set copy": Operation("v = a.copy()", dicts(_set)),
    "set ior": Operation("b = set()\nb |= a", dicts(_set)),
}  # fmt: skip
