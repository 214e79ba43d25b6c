"""What the commitment of a sealed order is made of, for those who order: gateways, commands, experiments.

The market contracts compute the same from what is revealed (`commit_*` and `reveal_*` in contracts/library). An
order's text is followed by the nonce, the sender and the number of the period, so nobody can copy another's commitment
or use one twice. Integers are unsigned, 8 bytes, big-endian.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NONCE_SIZE = 32


def auction_order(side: str, wh: int, price: int, requote: str) -> bytes:
    """Text of an order of market C; `side`: sell or buy, `requote`: keep or reference."""
    return bytes([side == "buy"]) + _numbers(wh, price) + bytes([requote == "reference"])


def auction_quote(seq: int, price: int) -> bytes:
    """Text of a price for stage 2 of market C, for the order `seq` that stage 1 left over."""
    return _numbers(seq, price)


def community_bid(quotation: int, wh: int, price: int) -> bytes:
    """Text of a bid of market B on a quotation by its seq."""
    return _numbers(quotation, wh, price)


def matching_order(side: str, wh: int, price: int) -> bytes:
    """Text of an order of market D; `side`: offer or request."""
    return bytes([side == "request"]) + _numbers(wh, price)


def day_ahead_order(side: str, wh: Sequence[int], prices: Sequence[int]) -> bytes:
    """Text of a day-ahead order of market A, Wh and price by period; `side`: sell or buy."""
    return bytes([side == "buy"]) + _numbers(*wh, *prices)


def commitment(order: bytes, nonce: bytes, sender: bytes, period: int) -> bytes:
    """SHA-256(order | nonce 32 | sender 32 | period 8): what is committed. `period` is the slot (A: day, D: cycle)."""
    return hashlib.sha256(order + nonce + sender + _numbers(period)).digest()


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "big") for value in values)
