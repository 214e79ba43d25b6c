"""Ids of cases as the rules compare them, byte strings, and as people may see them."""

from __future__ import annotations


def to_bytes(name: str) -> bytes:
    """An id of a case as the rules compare it."""
    return name.encode("utf-8", "surrogatepass")


def to_text(name: bytes) -> str:
    """The id of a case again."""
    return name.decode("utf-8", "surrogatepass")


def printable(text: str) -> str:
    """Text of a file as any terminal takes it: half of a surrogate pair and control characters as escapes."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in whole)
