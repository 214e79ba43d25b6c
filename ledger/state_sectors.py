"""A 256th of a state at a time, held against the state root before anybody uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import ProofError
from ledger.state_tree import TOP_SIZE, Nodes, build, place, top_root, value_digest

Entry = tuple[bytes, bytes]
"""Key and value of state."""


@dataclass(frozen=True, slots=True)
class Sector:
    """A sector of state that is what the root says: its entries and its nodes of the tree."""

    number: int
    entries: tuple[Entry, ...]
    nodes: Nodes

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        return sum([len(key) + len(value) for key, value in self.entries])


def check_top(top: bytes, state_root: bytes) -> None:
    """Raise `ProofError` unless these are the digests below a state root."""
    if len(top) != TOP_SIZE or top_root(top) != state_root:
        raise ProofError("digests that do not give the state root", expected=state_root.hex())


def check_sector(number: int, entries: Sequence[Entry], top: bytes) -> Sector:
    """The sector with exactly these entries. Raise `ProofError` unless its digest is in `top`."""
    records = sorted(place(key) + value_digest(value) for key, value in entries)
    if any(record[0] != number for record in records) or len({record[:32] for record in records}) != len(records):
        raise ProofError("entries that are not of their sector, or twice", found=f"sector {number:02x}")
    nodes: Nodes = {}
    digest, _ = build(f"{number:02x}", b"".join(records), nodes)
    expected = top[number * 32 : number * 32 + 32]
    if digest != expected:
        raise ProofError(
            f"the entries of sector {number:02x} are not those of the state",
            expected=expected.hex(),
            found=digest.hex(),
        )
    return Sector(number, tuple(entries), nodes)
