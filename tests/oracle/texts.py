"""Texts of values: `str`, `!r`, and what f-strings make of values and formats."""

from __future__ import annotations

from typing import Any

from oracle.failures import bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.values import keys_of, number


def text_of(value: Any) -> str:
    if type(value) is not str and value is not None and not number(value):
        raise mismatch()
    return str(value)


def shown(meter: Meter, value: Any) -> str:
    """A value as `str` shows it, before there is room for it."""
    return text_of(value) if type(value) is str else quoted(meter, value)


def quoted(meter: Meter, value: Any, depth: int = 0) -> str:
    """What `repr` of plain Python gives."""
    if value is None or number(value):
        return str(value)
    if type(value) in (str, bytes):
        looks = 2 if type(value) is str and not value.isascii() else 1
        meter.spend(G.text + looks * (len(value) // G.scan_bytes_per_gas))
        if type(value) is str and max(value, default="") >= "\u0250":
            raise bad_value()
        return repr(value)
    if type(value) not in (list, tuple, dict):
        raise mismatch()
    if depth >= L.nesting:
        raise bad_value()
    if type(value) is dict:
        meter.spend(G.walk * (8 + 6 * len(value)))
        rows = [list(row) for row in zip(keys_of(meter, value), value.values(), strict=True)]
    else:
        meter.spend(G.walk * (6 + 3 * len(value)))
        rows = [[item] for item in value]
    pieces: list[str] = []
    for row in rows:
        pieces.append(": ".join([quoted(meter, part, depth + 1) for part in row]))
        if sum(map(len, pieces)) > L.text:
            raise bad_value()
    inner = ", ".join(pieces)
    if type(value) is tuple:
        return "(" + inner + (",)" if len(value) == 1 else ")")
    return "[" + inner + "]" if type(value) is list else "{" + inner + "}"


def kept(meter: Meter, text: str) -> str:
    if len(text) > L.text:
        raise bad_value()
    meter.spend(G.text + len(text) // G.bytes_per_gas)
    meter.text(len(text))
    return text


def string(meter: Meter, value: Any) -> str:
    """The builtin `str`, and `!s`."""
    if type(value) in (list, tuple, dict, bytes):
        return kept(meter, quoted(meter, value))
    text = text_of(value)
    meter.spend(G.text)
    meter.text(len(text))
    return text


def formatted(value: Any, spec: str) -> str:
    """A piece of an f-string, as Python formats it."""
    rest = spec[2:] if spec[1:2] in ("<", ">", "^") else spec.lstrip("<>^")
    if type(value) is str:
        if spec[-1] in "dboxX" or rest[:1] in ("+", "-", " ", "#") or "," in rest or "_" in rest:
            raise mismatch()
    elif not number(value) or spec[-1] == "s":
        raise mismatch()
    return format(value, spec)


def fits_grammar(spec: str) -> bool:
    """`[[fill]align][sign][#][0][width][, or _][.longest][letter]`."""
    rest = spec
    if rest[1:2] and rest[1] in "<>^":
        rest = rest[2:]
    elif rest[:1] and rest[0] in "<>^":
        rest = rest[1:]
    for some in ("+- ", "#"):
        rest = rest[1:] if rest[:1] and rest[0] in some else rest
    bare = rest.lstrip("0123456789")
    if len(rest) - len(bare) > 4 or not spec.isascii():
        return False
    bare = bare[1:] if bare[:1] and bare[0] in ",_" else bare
    if bare[:1] == ".":
        after = bare[1:].lstrip("0123456789")
        if not 1 <= len(bare) - 1 - len(after) <= 4:
            return False
        bare = after
    return bare in ("", *"dboxXs")
