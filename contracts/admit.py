"""First gate: the bytes of a source. Nothing parses what did not pass here."""

from __future__ import annotations

import re

from contracts.limits import Limits
from contracts.rules import reject

_INVISIBLE = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2065\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufeff\uffa0"
    "\ufff9\ufffa\ufffb"
)
_COOKIE = re.compile(r"^[ \f]*#.*?coding[:=][ \t]*([-\w.]+)")


def admit(raw: bytes, limits: Limits) -> str:
    """Return the text of a source: strict UTF-8, bounded, nothing invisible. Raise `SourceRejected`."""
    if len(raw) > limits.source_bytes:
        raise reject("C004", 1, 0, f"{len(raw)} bytes, at most {limits.source_bytes}")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise reject("C001", 1, 0, "byte order mark")
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise reject("C001", raw.count(b"\n", 0, error.start) + 1, 0) from None
    for number, line in enumerate(text.split("\n"), 1):
        if number <= 2 and _COOKIE.match(line):
            raise reject("C005", number, 0)
        if line.isascii() and line.isprintable():
            continue
        for column, char in enumerate(line):
            point = ord(char)
            if point < 32 or 127 <= point < 160 or char in _INVISIBLE or point >= 0xE0000:
                raise reject("C002", number, column, f"U+{point:04X}")
    return text
