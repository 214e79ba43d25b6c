"""What a leader takes from its pool."""

from __future__ import annotations

from ledger.accounts import NonceWindow
from ledger.crypto import ZERO_HASH, sha256
from ledger.objects import Transaction, TransactionBody, Verified
from node.mempool import BlockLimits, Mempool, MempoolLimits, Refusal


class Fresh:
    """Rules of a chain on which nobody has sent anything."""

    def window(self, sender: bytes) -> NonceWindow:
        return NonceWindow()

    def sender_refusal(self, sender: bytes, contract: str) -> Refusal | None:
        return None

    def call_refusal(self, contract: str, entry: str) -> Refusal | None:
        return None


def waiting(pool: Mempool, sender: int, size: int) -> Transaction:
    raw = bytes([sender]) * size
    body = TransactionBody(1, "dev-pool-00", bytes([sender]) * 32, 0, "market", "order", b"", 1000)
    one = Transaction(raw, sha256(raw), body, raw, bytes(64), bytes([sender]) * 32)
    assert pool.admit(Verified(one), None, 0) is None
    return one


def test_a_transaction_that_no_block_of_this_leader_can_hold_stops_nobody() -> None:
    pool = Mempool(MempoolLimits(), Fresh(), lambda pending: None)
    waiting(pool, 1, 5_000)
    small, second, third = waiting(pool, 2, 400), waiting(pool, 3, 400), waiting(pool, 4, 400)
    limits = BlockLimits(10, 1_000)
    assert pool.pick(ZERO_HASH, limits) == [small, second], "in order of arrival, within the bytes"
    assert third.id in pool
