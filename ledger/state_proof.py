"""Proofs that a key has a value, or is not there, under a state root.

A proof is the bucket on the key's path (all its records) and the sibling digests of every level above it. It is strict:
one proof for one key and root, so any changed byte is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from ledger.codec import Wire
from ledger.errors import InvariantBroken, ProofError
from ledger.state_tree import (
    BUCKET_KEYS,
    CHILDREN_SIZE,
    EMPTY,
    HEX,
    INNER_SIZE,
    RECORD_SIZE,
    bucket_digest,
    node_digest,
    place,
    top_root,
    value_digest,
)

MAX_LEVELS = 64


class ProofLevel(Wire, frozen=True):
    """Siblings at one level: bit i of `present` is set if child i is not empty; their digests follow in order.

    The child on the path is neither in `present` nor in `siblings`.
    """

    present: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
    siblings: Annotated[bytes, msgspec.Meta(max_length=15 * 32)]


class StateProof(Wire, frozen=True):
    """Inclusion or absence of a key: `records` of the bucket on its path, `levels` from the root downwards."""

    records: Annotated[bytes, msgspec.Meta(max_length=BUCKET_KEYS * RECORD_SIZE)]
    levels: Annotated[tuple[ProofLevel, ...], msgspec.Meta(min_length=2, max_length=MAX_LEVELS)]


def build_state_proof(top: bytes, node: Callable[[str], bytes | None], key: bytes) -> StateProof:
    """Collect the proof of `key`: `top` has the digests of two digits, `node` gives bucket or inner node of a path."""
    digits = place(key).hex()
    group, sector = int(digits[0], 16), int(digits[:2], 16)
    rows = [top[start : start + CHILDREN_SIZE] for start in range(0, len(top), CHILDREN_SIZE)]
    levels = [
        _level(b"".join([node_digest(row) for row in rows]), group),
        _level(rows[group], sector & 15),
    ]
    digest = top[sector * 32 : sector * 32 + 32]
    depth = 2
    while digest != EMPTY:
        blob = node(digits[:depth])
        if blob is None:
            raise InvariantBroken(f"the state tree names a node at {digits[:depth]} that is not there")
        if len(blob) != INNER_SIZE:
            return StateProof(blob, tuple(levels))
        index = HEX.index(digits[depth])
        levels.append(_level(blob[:CHILDREN_SIZE], index))
        digest = blob[index * 32 : index * 32 + 32]
        depth += 1
    return StateProof(b"", tuple(levels))


def verify_state_proof(proof: StateProof, root: bytes, key: bytes, value: bytes | None) -> None:
    """Raise `ProofError` unless `proof` shows that `key` has `value` under `root`; None means that it is absent."""
    where = place(key)
    digits = where.hex()
    found = _record(proof.records, where, digits[: len(proof.levels)])
    if value is None and found is not None:
        raise ProofError("the key is there", expected="absent", found="present")
    if value is not None and found != value_digest(value):
        raise ProofError(
            "the key has another value" if found is not None else "the key is absent",
            found="absent" if not found else None,
        )
    if len(proof.levels) > 2 and not proof.levels[-1].present:
        raise ProofError("an inner node has more keys than one bucket holds, so a bucket below it has siblings")
    digest: bytes = bucket_digest(proof.records)
    for digit, level in zip(reversed(digits[: len(proof.levels)]), reversed(proof.levels), strict=True):
        digest = node_digest(_children(level, HEX.index(digit), digest))
    if digest != root:
        raise ProofError("the state proof leads to another root", expected=root.hex(), found=digest.hex())


def empty_state_root() -> bytes:
    """The root of a state without keys: 32 zero bytes."""
    return top_root(bytes(256 * 32))


def _record(records: bytes, where: bytes, prefix: str) -> bytes | None:
    """The value digest of `where` among strictly ascending records that all lie below `prefix`."""
    if len(records) % RECORD_SIZE:
        raise ProofError("a bucket holds whole records", found=f"{len(records)} bytes")
    before = b""
    found = None
    for at in range(0, len(records), RECORD_SIZE):
        record = records[at : at + 32]
        if record <= before or not record.hex().startswith(prefix):
            raise ProofError("bucket records ascend and share the path's prefix", found=record.hex())
        if record == where:
            found = records[at + 32 : at + RECORD_SIZE]
        before = record
    return found


def _level(children: bytes, own: int) -> ProofLevel:
    present = 0
    siblings: list[bytes] = []
    for index in range(16):
        digest = children[index * 32 : index * 32 + 32]
        if index != own and digest != EMPTY:
            present |= 1 << index
            siblings.append(digest)
    return ProofLevel(present, b"".join(siblings))


def _children(level: ProofLevel, own: int, digest: bytes) -> bytes:
    if level.present >> own & 1 or len(level.siblings) != 32 * level.present.bit_count():
        raise ProofError("siblings and their bits do not agree")
    parts: list[bytes] = []
    at = 0
    for index in range(16):
        if index == own:
            parts.append(digest)
        elif level.present >> index & 1:
            sibling = level.siblings[at : at + 32]
            if sibling == EMPTY:
                raise ProofError("an empty sibling has no digest")
            parts.append(sibling)
            at += 32
        else:
            parts.append(EMPTY)
    return b"".join(parts)
