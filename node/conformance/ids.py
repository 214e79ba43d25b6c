"""Ids of cases as the rules compare them: byte strings."""

from __future__ import annotations


def to_bytes(name: str) -> bytes:
    """An id of a case as the rules compare it."""
    return name.encode("utf-8", "surrogatepass")


def to_text(name: bytes) -> str:
    """The id of a case again."""
    return name.decode("utf-8", "surrogatepass")
