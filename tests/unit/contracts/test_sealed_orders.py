"""The text of sealed orders, byte by byte: other clients than ours have to build the same."""

from __future__ import annotations

import hashlib

from contracts import sealed_orders as sealed

SENDER, NONCE = bytes(range(32)), bytes(range(100, 132))


def test_texts_of_orders() -> None:
    assert sealed.auction_order("buy", 500, 620_000, "reference").hex() == "0100000000000001f400000000000975e001"
    assert sealed.auction_order("sell", 1, 2, "keep").hex() == "000000000000000001000000000000000200"
    assert sealed.auction_quote(3, 540_000).hex() == "00000000000000030000000000083d60"
    assert sealed.community_bid(3, 500, 120_000).hex() == "000000000000000300000000000001f4000000000001d4c0"
    assert sealed.matching_order("request", 2_000, 7).hex() == "0100000000000007d00000000000000007"
    assert sealed.matching_order("offer", 2_000, 7)[:1] == b"\0"
    assert sealed.day_ahead_order("sell", [1, 2], [3, 4]) == b"\0" + b"".join(
        bytes([*bytes(7), n]) for n in (1, 2, 3, 4)
    )


def test_a_commitment_binds_nonce_sender_and_period() -> None:
    order = sealed.matching_order("offer", 2_000, 400_000)
    found = sealed.commitment(order, NONCE, SENDER, 258)
    assert found == hashlib.sha256(order + NONCE + SENDER + bytes([0, 0, 0, 0, 0, 0, 1, 2])).digest()
    others = [(NONCE[::-1], SENDER, 258), (NONCE, SENDER[::-1], 258), (NONCE, SENDER, 259)]
    assert len({found, *(sealed.commitment(order, *other) for other in others)}) == 4
