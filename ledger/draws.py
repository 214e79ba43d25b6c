"""The reference generator of the market rules (spec, section 1): reproducible numbers from a seed and a text.

`U(seed, k1, k2, ..)` is the first 8 bytes, big endian, of SHA-256 of the text `seed|k1|k2|..` in UTF-8. Equal on every
machine and in every language; never to be used for secrets.
"""

from __future__ import annotations

import hashlib

ONE = 1_000_000


def draw(seed: int, *keys: str | int) -> int:
    """U(seed, keys..): an integer of 64 bits. `draw(7, "delay", 0, 1, 0)` is 4409887953014408653."""
    text = "|".join(str(part) for part in (seed, *keys))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def uniform(n: int, seed: int, *keys: str | int) -> int:
    """U mod n: 0 to n - 1."""
    return draw(seed, *keys) % n


def hit(ppm: int, seed: int, *keys: str | int) -> bool:
    """True with a probability of `ppm` parts per million."""
    return draw(seed, *keys) * ONE >> 64 < ppm
