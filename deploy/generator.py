"""The reference generator of the market experiments: reproducible numbers from a seed and a text (spec, section 1).

`U(seed, k1, k2, ..)` is the first 8 bytes, big endian, of SHA-256 of the text `seed|k1|k2|..` in UTF-8. Equal on every
machine and in every language; never to be used for secrets.
"""

from __future__ import annotations

import hashlib

_ASK_FLOOR = 450_000
_BID_FLOOR = 500_000
_SPREAD = 170_001


def draw(seed: int, *keys: str | int) -> int:
    """U(seed, keys..): an integer of 64 bits. `draw(7, "delay", 0, 1, 0)` is 4409887953014408653."""
    text = "|".join(str(part) for part in (seed, *keys))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def uniform(n: int, seed: int, *keys: str | int) -> int:
    """U mod n: 0 to n - 1."""
    return draw(seed, *keys) % n


def ask_price(seed: int, name: str, slot: int) -> int:
    """What the seller `name` (the data's column) asks in `slot` (index in the day): 450,000 to 620,000 a kWh."""
    return _ASK_FLOOR + uniform(_SPREAD, seed, "ask", name, slot)


def bid_price(seed: int, name: str, slot: int) -> int:
    """What the buyer `name` bids in `slot`: 500,000 to 670,000 a kWh."""
    return _BID_FLOOR + uniform(_SPREAD, seed, "bid", name, slot)
