"""Texts of values: `str(...)`, `!r` and the formats of f-strings, the same on every Python release.

What `str` gives for containers is CPython's text: lists, tuples and dicts of numbers, texts, bytes, None and each
other. A set has no text, because it has no order, and neither has a record. Whether CPython writes a character beyond
ASCII as it is or as an escape depends on the Unicode tables of the release, so inside containers and for `!r` texts may
have characters up to U+024F, which have not changed since Unicode 5.
"""

from __future__ import annotations

import re
from typing import Any

from contracts import keys
from contracts.faults import BadValue, TypeMismatch
from contracts.limits import TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper

_SPEC = re.compile(
    r"([\x00-\x7f]?[<>^])?(?P<sign>[-+ ]?)(?P<mark>#?)[0-9]{0,4}(?P<group>[,_]?)"
    r"(?P<cut>(?:\.[0-9]{1,4})?)(?P<kind>[dboxXs]?)",
    re.ASCII | re.DOTALL,
)
_NEWER = re.compile("[^\x00-\u024f]")
"""Characters whose classes could differ between releases."""


def text_of(value: Any) -> str:
    """`str(value)` of a scalar: the same text in every release."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int or kind is bool or value is None:
        return str(value)
    raise TypeMismatch


def formatted(value: Any, spec: str) -> str:
    """`f"{value:spec}"` for the fixed grammar
    `[[fill]align][sign][#][0][width][, or _][.longest][d b o x X s]`."""
    found = _parse_spec(spec)
    kind, group, cut = found["kind"], found["group"], found["cut"]
    if type(value) is str:
        if kind not in ("", "s") or group or found["sign"] or found["mark"]:
            raise TypeMismatch
    elif type(value) is int or type(value) is bool:
        if kind == "s":
            raise TypeMismatch
        if cut or (group == "," and kind not in ("", "d")):
            raise BadValue
    else:
        raise TypeMismatch
    return format(value, spec)


def valid_spec(spec: str) -> bool:
    """Whether a format is in the fixed grammar."""
    return _SPEC.fullmatch(spec) is not None


def _parse_spec(spec: str) -> re.Match[str]:
    """The parts of a format. Raise `BadValue` for one outside the fixed grammar."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise BadValue
    return found


class Texts:
    """Texts of values, paid for before they are made."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def plain(self, value: Any) -> str:
        """What `str` and an f-string show: texts and numbers as they are, containers as `quoted` does."""
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            return str(value)
        return self.quoted(value, 0)

    def quoted(self, value: Any, depth: int) -> str:
        """`repr` of a value. Raise `TypeMismatch` for sets and records, `BadValue` for what is too deep or too long."""
        kind = type(value)
        if kind is int or kind is bool or value is None:
            return str(value)
        if kind is str or kind is bytes:
            self.meter.spend(GAS.text + len(value) // GAS.scan_bytes_per_gas)
            if kind is str and not value.isascii():
                self.meter.spend(len(value) // GAS.scan_bytes_per_gas)
                if _NEWER.search(value):
                    raise BadValue
            return repr(value)
        if kind not in (list, tuple, dict):
            raise TypeMismatch
        if depth >= LIMITS.nesting:
            raise BadValue
        parts = self.entries(value, depth) if kind is dict else self.items(value, depth)
        if kind is tuple:
            return f"({parts},)" if len(value) == 1 else f"({parts})"
        return f"[{parts}]" if kind is list else "{" + parts + "}"

    def items(self, value: Any, depth: int) -> str:
        """What stands between the brackets of a list or tuple."""
        self.meter.spend(GAS.walk * (6 + 3 * len(value)))
        return self.joined([value], depth)

    def entries(self, value: dict[Any, Any], depth: int) -> str:
        """What stands between the braces of a dict."""
        self.meter.spend(GAS.walk * (8 + 6 * len(value)))
        return self.joined([keys.unwrap_all(value, self.meter), value.values()], depth)

    def joined(self, columns: list[Any], depth: int) -> str:
        """Rows as texts behind each other; no longer than a text may be, so that what holds a part many times ends."""
        rows: list[str] = []
        size = 0
        for row in zip(*columns, strict=True):
            made = ": ".join([self.quoted(part, depth + 1) for part in row])
            size += len(made)
            if size > LIMITS.text:
                raise BadValue
            rows.append(made)
        return ", ".join(rows)

    def kept(self, text: str) -> str:
        """A text that is going to be a value."""
        if len(text) > LIMITS.text:
            raise BadValue
        self.meter.spend(GAS.text + len(text) // GAS.bytes_per_gas)
        self.meter.allocate(TEXT_BYTES + len(text))
        return text


def build_texts(meter: Meter) -> dict[str, Helper]:
    """Helpers of one meter: `fstring` puts the pieces together, `repr` is `!r`, `shown` is `!s`, `spec` a format that
    holds values, `str` the builtin."""
    texts = Texts(meter)

    def str_(value: Any = "") -> str:
        if type(value) in (list, tuple, dict, bytes):
            return texts.kept(texts.quoted(value, 0))
        text = text_of(value)
        meter.spend(GAS.text)
        meter.allocate(TEXT_BYTES + len(text))
        return text

    def repr_(value: Any) -> str:
        return texts.kept(texts.quoted(value, 0))

    def spec(*parts: Any) -> str:
        """A format with values in it: texts and numbers."""
        text = "".join([text_of(part) for part in parts])
        if not valid_spec(text):
            raise BadValue
        return text

    def fstring(*parts: Any) -> str:
        """Pieces of an f-string: texts, or (value, format) pairs."""
        found = [part if type(part) is str else piece(part) for part in parts]
        size = sum(map(len, found))
        if size > LIMITS.text:
            raise BadValue
        meter.spend(size // GAS.bytes_per_gas)
        meter.allocate(TEXT_BYTES + size)
        return "".join(found)

    def piece(part: tuple[Any, str]) -> str:
        value, spec = part
        return formatted(value, spec) if spec else texts.plain(value)

    return {"str": str_, "repr": repr_, "spec": spec, "fstring": fstring}
