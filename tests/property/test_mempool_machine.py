"""The mempool against a naive model, in random order of admissions, blocks, commits and abandoned branches."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ledger.accounts import NonceWindow
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash, sha256
from ledger.objects import Transaction, TransactionBody, Verified
from node.mempool import BlockLimits, Mempool, MempoolLimits, Refusal

SENDERS = [bytes([number]) * 32 for number in range(3)]
LIMITS = MempoolLimits(transactions=12, bytes=12 * 60, per_sender=6, per_peer=5)


def transaction(sender: int, nonce: int, variant: int) -> Transaction:
    raw = encode((sender, nonce, variant)).ljust(50, b"\x00")
    body = TransactionBody(1, "dev-pool-00", SENDERS[sender], nonce, "market", "order", b"", 1000)
    return Transaction(raw, sha256(raw), body, raw, bytes(64), SENDERS[sender])


class State:
    """Committed windows, kept naively."""

    def __init__(self) -> None:
        self.windows = {sender: NonceWindow() for sender in SENDERS}

    def window(self, sender: bytes) -> NonceWindow:
        return self.windows[sender]

    def sender_refusal(self, sender: bytes, contract: str) -> Refusal | None:
        return None

    def call_refusal(self, contract: str, entry: str) -> Refusal | None:
        return None


class Pool(RuleBasedStateMachine):
    blocks = Bundle("blocks")

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.told: list[bool] = []
        self.pool = Mempool(LIMITS, self.state, self.told.append)
        self.model: dict[Hash, tuple[Transaction, bytes | None]] = {}
        self.claims: dict[Hash, tuple[Hash, list[Transaction]]] = {}
        self.count = 0

    @rule(
        sender=st.integers(0, 2), nonce=st.integers(0, 9), variant=st.integers(0, 1), peer=st.sampled_from([None, b"p"])
    )
    def admit(self, sender: int, nonce: int, variant: int, peer: bytes | None) -> None:
        wanted = transaction(sender, nonce, variant)
        refused = self.pool.admit(Verified(wanted), peer, 0)
        waiting = [t for t, _ in self.model.values()]
        mine = [t for t in waiting if t.sender == wanted.sender]
        if wanted.id in self.model:
            assert refused is None
            return
        expected = ""
        if not self.state.windows[wanted.sender].admits(nonce):
            expected = "NONCE_USED"
        elif any(t.body.nonce == nonce for t in mine):
            expected = "NONCE_PENDING"
        elif len(mine) >= LIMITS.per_sender:
            expected = "QUOTA_SENDER"
        elif peer is not None and sum(1 for _, source in self.model.values() if source == peer) >= LIMITS.per_peer:
            expected = "QUOTA_PEER"
        elif len(waiting) >= LIMITS.transactions or sum(len(t.raw) for t in waiting) + 50 > LIMITS.bytes:
            expected = "MEMPOOL_FULL"
        assert (refused.code if refused else "") == expected
        if refused is None:
            self.model[wanted.id] = (wanted, peer)

    def branch(self, tip: Hash) -> set[Hash]:
        taken: set[Hash] = set()
        while tip in self.claims:
            parent, transactions = self.claims[tip]
            taken |= {t.id for t in transactions}
            tip = parent
        return taken

    @rule(target=blocks, parent=st.one_of(st.just(ZERO_HASH), blocks), count=st.integers(1, 5))
    def build(self, parent: Hash, count: int) -> Hash:
        picked = self.pool.pick(parent, BlockLimits(count, 1 << 20))
        free = [id for id in self.model if id not in self.branch(parent)]
        assert [t.id for t in picked] == free[:count], "oldest first, none twice on a branch"
        self.count += 1
        block = sha256(b"block" + self.count.to_bytes(8, "big"))
        self.pool.claim(block, parent, [t.id for t in picked])
        self.claims[block] = (parent, picked)
        return block

    @rule(block=consumes(blocks))
    def abandon(self, block: Hash) -> None:
        self.pool.abandon([block])
        self.claims.pop(block, None)

    @rule(block=consumes(blocks))
    def commit(self, block: Hash) -> None:
        if block not in self.claims:
            return
        _, transactions = self.claims.pop(block)
        for t in transactions:
            window = self.state.windows[t.sender]
            if window.admits(t.body.nonce):
                self.state.windows[t.sender] = window.with_used(t.body.nonce)
        self.pool.prune(transactions[:2])
        self.pool.prune(transactions[2:])
        self.pool.abandon([block])
        for t in transactions:
            same = [id for id, (w, _) in self.model.items() if (w.sender, w.body.nonce) == (t.sender, t.body.nonce)]
            for id in same:
                del self.model[id]

    @rule(sender=st.integers(0, 2), nonce=st.integers(0, 9))
    def foreign_commit(self, sender: int, nonce: int) -> None:
        other = transaction(sender, nonce, 7)
        if not self.state.windows[other.sender].admits(nonce):
            return
        self.state.windows[other.sender] = self.state.windows[other.sender].with_used(nonce)
        self.pool.prune([other])
        for id in [
            id for id, (w, _) in self.model.items() if (w.sender, w.body.nonce) == (other.sender, other.body.nonce)
        ]:
            del self.model[id]

    @invariant()
    def agrees(self) -> None:
        assert len(self.pool) == len(self.model)
        assert all(id in self.pool for id in self.model)
        assert self.pool.size_bytes == sum(len(t.raw) for t, _ in self.model.values())
        claimed = {t.id for _, transactions in self.claims.values() for t in transactions}
        available = len([id for id in self.model if id not in claimed])
        assert self.pool.available == available
        assert (self.told[-1] if self.told else False) == (available > 0)


TestMempool = Pool.TestCase
TestMempool.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
