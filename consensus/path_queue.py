"""Path queue L of a period: the trades in one order with their paths, and its hash (markets 5.3, item 1).

A proposal of `dpos` carries the hash of L as its parent's state gives it; a member notarizes only its own result.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.codec import Uint, Wire, encode
from ledger.crypto import Hash, domain, hash_of

DOMAIN_ROUTE = domain("route")


class PathTrade(Wire, frozen=True):
    """A trade and its path: the nodes from seller to buyer, both included."""

    seller: bytes
    buyer: bytes
    seq: Uint
    wh: Uint
    path: tuple[bytes, ...]


def direct(seller: bytes, buyer: bytes, seq: int, wh: int) -> PathTrade:
    """A trade where there is no grid to route over."""
    return PathTrade(seller, buyer, seq, wh, (seller, buyer))


def path_queue(trades: Iterable[PathTrade]) -> tuple[PathTrade, ...]:
    """L without a router's own order: by (seller, buyer, seq)."""
    return tuple(sorted(trades, key=lambda trade: (trade.seller, trade.buyer, trade.seq)))


def route_hash(queue: tuple[PathTrade, ...]) -> Hash:
    """Hash of the canonical L; an empty one has one too."""
    return hash_of(DOMAIN_ROUTE, encode(queue))
