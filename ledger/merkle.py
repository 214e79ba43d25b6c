"""Merkle trees in the shape of RFC 6962, section 2.1, exactly, so that its published vectors hold.

Leaf hash = SHA-256(0x00 ‖ data), node hash = SHA-256(0x01 ‖ left ‖ right); a tree of n > 1 leaves splits at the largest
power of two below n; the empty tree has the hash of no bytes. The audit path of a leaf lists siblings from the leaf
upwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ledger.crypto import Hash
from ledger.errors import InvariantBroken

EMPTY_ROOT = Hash(hashlib.sha256(b"").digest())

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> Hash:
    """Hash of one leaf."""
    return Hash(_sha256(b"\x00" + data).digest())


def node_hash(left: bytes, right: bytes) -> Hash:
    """Hash of an inner node."""
    return Hash(_sha256(b"\x01" + left + right).digest())


def merkle_root(leaves: Sequence[bytes]) -> Hash:
    """Root over the data of `leaves`; about 1 us a leaf."""
    if not leaves:
        return EMPTY_ROOT
    level = [_sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        level = _above(level)
    return Hash(level[0])


def merkle_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Audit path of leaf `index`: its siblings, lowest first (RFC 6962, 2.1.1)."""
    if not 0 <= index < len(leaves):
        raise InvariantBroken(f"no leaf {index} in a tree of {len(leaves)}")
    level = [_sha256(b"\x00" + leaf).digest() for leaf in leaves]
    path: list[bytes] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _above(level)
        index >>= 1
    return tuple(path)


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> Hash | None:
    """The root that `path` gives for the data of leaf `index` of `size`; None if the path has the wrong length."""
    if not 0 <= index < size:
        return None
    digest = leaf_hash(leaf)
    last, at = size - 1, 0
    while last:
        if index & 1 or index != last:
            if at == len(path):
                return None
            digest = node_hash(path[at], digest) if index & 1 else node_hash(digest, path[at])
            at += 1
        index >>= 1
        last >>= 1
    return digest if at == len(path) else None


def verify_path(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the data `leaf` is leaf `index` of the `size` leaves under `root`."""
    return root_of_path(leaf, index, size, path) == root


def transactions_root(transactions: Sequence[bytes]) -> Hash:
    """`Header.transactions_root`: the leaves are the signed transactions as received, in order."""
    return merkle_root(transactions)


def receipts_root(receipts: Sequence[bytes]) -> Hash:
    """`Header.receipts_root`: the leaves are the encoded receipts, scheduled calls first, in order of execution."""
    return merkle_root(receipts)


def _above(level: list[bytes]) -> list[bytes]:
    """The next level: pairs hashed, a last one without a partner moves up as it is (the shape of RFC 6962)."""
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [_sha256(b"\x01" + left + right).digest() for left, right in pairs]
    if len(level) & 1:
        above.append(level[-1])
    return above
