"""Methods of texts and bytes. White space, case and classes of characters are ASCII: Unicode tables differ between
Python releases."""

# ruff: noqa: D102  # a method is named after the Python method that it stands for; it checks, charges and does it

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts import keys
from contracts import vocabulary as words
from contracts.faults import BadValue, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES, search_gas, strip_gas
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper, is_number

_SPACE = " \n\t\r\x0b\x0c"
_WIDE_SPACE = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""White space beyond ASCII; Unicode has added none since version 6.3."""
_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Where lines end."""


def _texts(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise TypeMismatch


def whole(*values: Any) -> None:
    """Refuse what is no integer."""
    for value in values:
        if not is_number(type(value)):
            raise TypeMismatch


def known(encoding: Any) -> None:
    """Refuse encodings other than UTF-8 and ASCII."""
    _texts(encoding)
    if encoding not in ("utf-8", "utf8", "UTF-8", "ascii"):
        raise BadValue


class TextMethods:
    """str and bytes."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def made(self, size: int) -> None:
        if size > LIMITS.text:
            raise BadValue
        self.meter.spend(GAS.made + size // GAS.bytes_per_gas)
        self.meter.allocate(TEXT_BYTES + size)

    def strip(self, s: str, chars: Any = None) -> str:
        return s.strip(self.chars(s, chars))

    def lstrip(self, s: str, chars: Any = None) -> str:
        return s.lstrip(self.chars(s, chars))

    def rstrip(self, s: str, chars: Any = None) -> str:
        return s.rstrip(self.chars(s, chars))

    def scanned(self, s: Any) -> None:
        """Charge for looking at every character, and for a result of that size."""
        self.meter.spend(GAS.scanned + len(s) // GAS.scan_bytes_per_gas)
        self.made(len(s))

    def chars(self, s: str, chars: Any) -> str:
        """The characters to strip from `s`, paid for."""
        if chars is None:
            chars = _SPACE
        _texts(chars)
        if len(chars) > LIMITS.strip_chars:
            raise BadValue
        self.meter.spend(strip_gas(s, chars))
        self.made(len(s))
        return str(chars)

    def lower(self, s: str) -> str:
        self.scanned(s)
        return s.lower() if s.isascii() else s.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")

    def upper(self, s: str) -> str:
        self.scanned(s)
        return s.upper() if s.isascii() else s.encode("utf-8", "surrogatepass").upper().decode("utf-8", "surrogatepass")

    def split(self, s: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        whole(maxsplit)
        if sep is None:
            self.scanned(s)
            # only ASCII white space separates, whatever the Unicode tables of the host say
            if not s.isascii():
                self.scanned(s)
                if any(white in s for white in _WIDE_SPACE):
                    raise BadValue
            bound = len(s) // 2 + 1
            self.room(bound if maxsplit < 0 else min(bound, maxsplit + 1))
            return s.split(None, maxsplit)
        _texts(sep)
        if not sep:
            raise BadValue
        self.made(len(s))
        self.meter.spend(search_gas(s, sep, repeated=True))
        count = s.count(sep) + 1
        self.room(count if maxsplit < 0 else min(count, maxsplit + 1))
        return s.split(sep, maxsplit)

    def room(self, items: int) -> None:
        if items > LIMITS.items:
            raise BadValue
        self.meter.spend(GAS.made + GAS.item * items)
        self.meter.allocate(LIST_BYTES + ITEM_BYTES * items)

    def join(self, s: str, parts: Any) -> str:
        if type(parts) is dict:
            parts = keys.unwrap_all(parts, self.meter)
        elif type(parts) not in (list, tuple, str):
            raise TypeMismatch
        self.meter.spend(GAS.helper + GAS.item * len(parts))
        _texts(*parts)
        self.made(sum(map(len, parts)) + len(s) * max(0, len(parts) - 1))
        return s.join(parts)

    def replace(self, s: str, old: Any, new: Any, count: Any = -1) -> str:
        _texts(old, new)
        whole(count)
        self.made(len(s))
        self.meter.spend(search_gas(s, old, repeated=True))
        found = s.count(old) if old else len(s) + 1
        self.meter.spend(GAS.match * found)
        if count >= 0:
            found = min(found, count)
        self.made(len(s) + found * (len(new) - len(old)))
        return s.replace(old, new, count)

    def startswith(self, s: Any, prefix: Any, *bounds: Any) -> bool:
        self.same(s, prefix, bounds)
        return bool(s.startswith(prefix, *bounds))

    def endswith(self, s: Any, suffix: Any, *bounds: Any) -> bool:
        self.same(s, suffix, bounds)
        return bool(s.endswith(suffix, *bounds))

    def same(self, s: Any, other: Any, bounds: tuple[Any, ...] = ()) -> None:
        """Charge for a look at the begin or end, one for each text of a tuple."""
        whole(*bounds)
        for part in other if type(other) is tuple else (other,):
            if type(part) is not type(s) or len(bounds) > 2:
                raise TypeMismatch
            self.meter.spend(GAS.prefix + min(len(s), len(part)) // 64)

    def sought(self, s: Any, part: Any, *bounds: Any) -> None:
        """Charge for a search from `bounds[0]` on; an end makes it no cheaper."""
        whole(*bounds)
        if type(part) is not type(s):
            raise TypeMismatch
        self.meter.spend(search_gas(s, part, *bounds[:1]))

    def find(self, s: Any, part: Any, start: Any = 0, *end: Any) -> int:
        self.sought(s, part, start, *end)
        return int(s.find(part, start, *end))

    def index(self, s: Any, part: Any, start: Any = 0, *end: Any) -> int:
        self.sought(s, part, start, *end)
        return int(s.index(part, start, *end))

    def count(self, s: Any, part: Any, start: Any = 0, *end: Any) -> int:
        self.sought(s, part, start, *end)
        return int(s.count(part, start, *end))

    def isdigit(self, s: str) -> bool:
        self.meter.spend(GAS.text + len(s) // GAS.scan_bytes_per_gas)
        return s.isascii() and s.isdigit()

    def encode(self, s: str, encoding: Any = "utf-8") -> bytes:
        known(encoding)
        self.scanned(s)
        raw = s.encode(encoding)
        self.made(len(raw))
        return raw

    def hex(self, b: bytes) -> str:
        self.made(2 * len(b))
        return b.hex()

    def decode(self, b: bytes, encoding: Any = "utf-8") -> str:
        known(encoding)
        self.meter.spend(GAS.listing)
        self.scanned(b)
        return b.decode(encoding)

    # from the right: the search of the reversed text, which has a price

    def last(self, s: Any, part: Any) -> int:
        """Where a part stands for the last time, or -1."""
        if type(part) is not type(s):
            raise TypeMismatch
        self.scanned(s)
        back, wanted = s[::-1], part[::-1]
        self.meter.spend(search_gas(back, wanted))
        found = int(back.find(wanted))
        return found if found < 0 else len(s) - len(part) - found

    def rfind(self, s: Any, part: Any) -> int:
        return self.last(s, part)

    def rindex(self, s: Any, part: Any) -> int:
        found = self.last(s, part)
        if found < 0:
            raise BadValue
        return found

    def rsplit(self, s: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        if sep is None:
            whole(maxsplit)
            return self.split(s) if maxsplit < 0 else self.backwards(s, None, maxsplit)
        return self.backwards(s, sep, maxsplit)

    def backwards(self, s: str, sep: Any, maxsplit: Any) -> list[str]:
        """`split` of the reversed text, turned again."""
        if sep is not None:
            _texts(sep)
        self.meter.spend(GAS.listing)
        self.scanned(s)
        parts = self.split(s[::-1], None if sep is None else sep[::-1], maxsplit)
        return [part[::-1] for part in reversed(parts)]

    def partition(self, s: str, sep: Any) -> tuple[str, str, str]:
        _texts(sep)
        if not sep:
            raise BadValue
        self.meter.spend(search_gas(s, sep))
        return self.three(s, sep, s.find(sep), False)

    def rpartition(self, s: str, sep: Any) -> tuple[str, str, str]:
        _texts(sep)
        if not sep:
            raise BadValue
        return self.three(s, sep, self.last(s, sep), True)

    def three(self, s: str, sep: str, at: int, right: bool) -> tuple[str, str, str]:
        """Before, separator and behind."""
        self.made(len(s))
        self.room(3)
        if at < 0:
            return ("", "", s) if right else (s, "", "")
        return s[:at], sep, s[at + len(sep) :]

    def splitlines(self, s: str, keepends: Any = False) -> list[str]:
        whole(keepends)
        self.scanned(s)
        self.scanned(s)
        self.room(1 + sum(map(s.count, _ENDS)))
        return s.splitlines(bool(keepends))

    # new texts

    def turned(self, s: str, change: Callable[[bytes], bytes]) -> str:
        """Upper and lower case of ASCII letters changed."""
        self.scanned(s)
        self.scanned(s)
        return change(s.encode("utf-8")).decode("utf-8")

    def title(self, s: str) -> str:
        return self.turned(s, bytes.title)

    def capitalize(self, s: str) -> str:
        return self.turned(s, bytes.capitalize)

    def swapcase(self, s: str) -> str:
        return self.turned(s, bytes.swapcase)

    def padded(self, s: str, width: Any, fill: Any) -> None:
        whole(width)
        _texts(fill)
        if len(fill) != 1:
            raise TypeMismatch
        self.meter.spend(GAS.helper)
        self.made(max(len(s), width))

    def ljust(self, s: str, width: Any, fill: Any = " ", /) -> str:
        self.padded(s, width, fill)
        return s.ljust(width, fill)

    def rjust(self, s: str, width: Any, fill: Any = " ", /) -> str:
        self.padded(s, width, fill)
        return s.rjust(width, fill)

    def center(self, s: str, width: Any, fill: Any = " ", /) -> str:
        self.padded(s, width, fill)
        return s.center(width, fill)

    def zfill(self, s: str, width: Any, /) -> str:
        self.padded(s, width, "0")
        return s.zfill(width)

    def removeprefix(self, s: str, prefix: Any, /) -> str:
        _texts(prefix)
        self.same(s, prefix)
        self.made(len(s))
        return s.removeprefix(prefix)

    def removesuffix(self, s: str, suffix: Any, /) -> str:
        _texts(suffix)
        self.same(s, suffix)
        self.made(len(s))
        return s.removesuffix(suffix)

    # classes of characters

    def looked(self, s: str) -> bytes:
        """The text as bytes, where no letter stands outside ASCII."""
        self.meter.spend(GAS.text + 2 * (len(s) // GAS.scan_bytes_per_gas))
        return s.encode("utf-8")

    def isalpha(self, s: str) -> bool:
        return self.looked(s).isalpha()

    def isalnum(self, s: str) -> bool:
        return self.looked(s).isalnum()

    def isupper(self, s: str) -> bool:
        return self.looked(s).isupper()

    def islower(self, s: str) -> bool:
        return self.looked(s).islower()

    def isspace(self, s: str) -> bool:
        return self.looked(s).isspace()

    def isascii(self, s: str) -> bool:
        return self.looked(s).isascii()

    def table(self) -> dict[type, dict[str, Helper]]:
        """The methods by type and name."""
        return {kind: {name: getattr(self, name) for name in words.METHODS[kind.__name__]} for kind in (str, bytes)}
