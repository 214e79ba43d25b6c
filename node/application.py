"""What a block does: build, check, commit. The only caller of `Executor.execute` and `ChainStore.append`.

Everything here runs on one thread, the ledger thread, in the order it was asked. A block is executed once, on an
overlay of its parent's; the result is kept by hash until the block is final or abandoned. Dropping it leaves base and
store byte-identical. Order in a block: what the engine begins with (`node.engine_side`), due scheduled calls,
transactions, what the engine ends with. Receipts: the engine's and the due calls', then one a transaction.

INVALID is only a pure function of parent and body: roots, sizes, limits, nonces, epoch boundary. A block that a quorum
made final and whose execution here gives another result is never committed (`node.commit.StateDivergence`): the node
stops voting.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from consensus.engine import HeaderTemplate, StoredBlock, Verdict
from contracts.executor import Executor
from ledger.codec import decode, encode
from ledger.crypto import ZERO_HASH, Hash
from ledger.errors import InvariantBroken
from ledger.merkle import receipts_root, transactions_root
from ledger.objects import (
    BODY_VERSION,
    HEADER_VERSION,
    Block,
    Body,
    Header,
    Receipt,
    Transaction,
    extra_root,
    header_hash,
    make_block,
)
from ledger.schema import state_engine
from ledger.state import Overlay, StateBase, StateReader
from ledger.validators import Validator, ValidatorSet
from node.block_execution import BlockExecution, BlockRefused, BlockRules, Executed
from node.engine_side import VALID_SECTION
from node.metrics import Metrics

STATE_VALIDATORS: Final = state_engine("validators")
"""The committee of the next epoch: encoded tuple of `Validator`."""
ROOM_OF_SECTION: Final = 32
"""Bytes of a section that fit into every block whatever the mempool gives (`node.founding.BODY_ROOM`)."""
BODY_FRAME: Final = 32
TRANSACTION_FRAME: Final = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """An executed block that is not final yet. `differs`: a quorum has certified what is wrong: the header names
    other roots than the overlay and the receipts here have, or a transaction is not its sender's."""

    block: Block
    transactions: tuple[Transaction, ...]
    receipts: tuple[Receipt, ...]
    receipt_bytes: tuple[bytes, ...]
    overlay: Overlay
    next_due_ms: int | None
    differs: bool = False

    @property
    def stored(self) -> StoredBlock:
        """The bytes that go into the log with a vote."""
        return StoredBlock(self.block.hash, self.block.header_bytes, self.block.body_bytes)


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement of a block; `candidate` is set when it is valid."""

    verdict: Verdict
    reason: str = ""
    candidate: Candidate | None = None


class Application:
    """Executes blocks over the committed state `base`. See the module."""

    def __init__(
        self, base: StateBase, executor: Executor, rules: BlockRules, head_hash: Hash, metrics: Metrics
    ) -> None:
        self._base = base
        self._executor = executor
        self._rules = rules
        self._execution = BlockExecution(executor, rules, metrics)
        self._head_hash = head_hash
        self._metrics = metrics
        self._candidates: dict[Hash, Candidate] = {}

    # --- build and check ----------------------------------------------------------------------------------------------

    def build(
        self, template: HeaderTemplate, transactions: Sequence[Transaction], gas_budget: int | None = None
    ) -> Candidate | None:
        """Make a block of due calls and of what can be applied of `transactions`; None if the parent is not known.

        No transaction is added once due calls and those before it used `gas_budget`, but the first always may: a leader
        proposes no more than fits a view. That is its policy; what makes a block invalid is `BlockRules.max_gas` alone.
        """
        view = self._view(template.parent)
        if view is None:
            return None
        header = _header(template)
        section = self._rules.side.section(view, header, transactions)
        if section is None:
            return None
        budget = self._rules.max_gas if gas_budget is None else gas_budget
        done = self._execution.run(header, view, self._fitting(transactions, section), section, budget)
        return self._keep(header, Body(BODY_VERSION, tuple(t.raw for t in done.transactions), section), done)

    def check(
        self,
        header: Header,
        block_hash: Hash,
        transactions: Sequence[Transaction],
        extra: bytes = b"",
        *,
        certified: bool = False,
        follow: bool = False,
    ) -> Judged:
        """Judge a block: execute its body on its parent and compare every field that the application fills.
        `certified`: a quorum has accepted its section, which this node need not be able to judge. `follow`: that quorum
        may be wrong; where only the roots differ, or transactions are forged, the block is taken all the same, and
        noted (`Candidate.differs`)."""
        known = self._candidates.get(block_hash)
        if known is not None:
            return Judged(Verdict.VALID, candidate=known)
        view = self._view(Hash(header.parent))
        if view is None:
            return Judged(Verdict.MISSING, "PARENT")
        body = Body(BODY_VERSION, tuple(transaction.raw for transaction in transactions), extra)
        reason = self._body_fault(header, body)
        if reason:
            return Judged(Verdict.INVALID, reason)
        section = VALID_SECTION if certified else self._rules.side.judge(view, header, extra)
        if section.verdict is not Verdict.VALID:
            return Judged(section.verdict, section.reason)
        try:
            done = self._execution.run(header, view, transactions, extra)
        except BlockRefused as refused:
            return Judged(Verdict.INVALID, str(refused))
        candidate = self._sealed(header, body, done)
        if candidate.block.hash != block_hash:
            own = candidate.block.header
            roots = {"state_root": header.state_root, "receipts_root": header.receipts_root}
            if not follow or msgspec.structs.replace(own, **roots) != header:
                return Judged(Verdict.INVALID, _difference(header, own))
            candidate = replace(candidate, block=make_block(header, body), differs=True)
        elif follow and any(map(self._execution.forged, transactions)):
            candidate = replace(candidate, differs=True)
        self._candidates[block_hash] = candidate
        return Judged(Verdict.VALID, candidate=candidate)

    def candidate(self, block_hash: Hash) -> Candidate | None:
        """An executed block that is not final yet."""
        return self._candidates.get(block_hash)

    def committed(self, head: Candidate) -> None:
        """`head` and its ancestors are durable and absorbed by the base: keep only what stands on `head`.

        Any other block stands on an abandoned one: its overlay reads a base that has moved on, so it must go now.
        """
        self._head_hash = head.block.hash
        kept: dict[Hash, Candidate] = {}
        for candidate in sorted(self._candidates.values(), key=lambda c: c.block.header.height):
            parent = Hash(candidate.block.header.parent)
            if parent == self._head_hash:
                candidate.overlay.rebase(self._base)
            elif parent not in kept:
                continue
            kept[candidate.block.hash] = candidate
        self._candidates = kept

    def prune(self, hashes: Sequence[Hash]) -> None:
        """Drop abandoned blocks."""
        for block_hash in hashes:
            self._candidates.pop(block_hash, None)

    def is_boundary(self, header: Header) -> bool:
        """Whether a block is the last of its epoch, by the engine's rule."""
        return self._rules.policy.is_boundary(header)

    def next_due_ms(self, state: StateReader) -> int | None:
        """Block time at which this state wants a block though nobody sends anything; None if it wants none."""
        wanted = (self._executor.next_due_ms(state), self._rules.side.next_due_ms(state))
        return min((due for due in wanted if due is not None), default=None)

    # --- execution ----------------------------------------------------------------------------------------------------

    def _view(self, parent: Hash) -> Overlay | StateBase | None:
        if parent == self._head_hash:
            return self._base
        candidate = self._candidates.get(parent)
        return None if candidate is None else candidate.overlay

    def _fitting(self, transactions: Sequence[Transaction], section: bytes) -> Sequence[Transaction]:
        """Those that fit beside a section. The mempool leaves room for a short one."""
        if len(section) <= ROOM_OF_SECTION:
            return transactions
        room = self._rules.max_bytes - len(section) - BODY_FRAME
        fitting: list[Transaction] = []
        for transaction in transactions:
            room -= len(transaction.raw) + TRANSACTION_FRAME
            if room < 0:
                break
            fitting.append(transaction)
        return fitting

    # --- headers ------------------------------------------------------------------------------------------------------

    def _body_fault(self, header: Header, body: Body) -> str:
        """What is wrong with a body before it is executed; "" if nothing is."""
        rules = self._rules
        if header.chain_id != rules.chain_id:
            return "CHAIN"
        if len(body.transactions) > rules.max_transactions:
            return "TOO_MANY_TRANSACTIONS"
        if header.body_size > rules.max_bytes:
            return "BODY_TOO_LARGE"
        if transactions_root(body.transactions) != header.transactions_root:
            return "TRANSACTIONS_ROOT"
        return "" if header.extra_root == extra_root(body.extra) else "EXTRA_ROOT"

    def _keep(self, header: Header, body: Body, done: Executed) -> Candidate:
        candidate = self._sealed(header, body, done)
        self._candidates[candidate.block.hash] = candidate
        return candidate

    def _sealed(self, header: Header, body: Body, done: Executed) -> Candidate:
        """Fill in what the application decides: roots, size, the next committee."""
        begun = time.thread_time()
        receipt_bytes = tuple([encode(receipt) for receipt in done.receipts])
        body_bytes = encode(body)
        committee = header.validators
        if self.is_boundary(header):
            committee = next_committee(done.overlay).hash
        sealed = msgspec.structs.replace(
            header,
            transactions_root=transactions_root(body.transactions),
            body_size=len(body_bytes),
            state_root=done.overlay.root,
            receipts_root=receipts_root(receipt_bytes),
            next_validators=committee,
            extra_root=extra_root(body.extra),
        )
        header_bytes = encode(sealed)
        block = Block(sealed, header_bytes, header_hash(header_bytes), body, body_bytes)
        due = self.next_due_ms(done.overlay)
        self._metrics.spent("roots", time.thread_time() - begun, len(done.transactions))
        return Candidate(block, tuple(done.transactions), tuple(done.receipts), receipt_bytes, done.overlay, due)


def next_committee(state: StateReader) -> ValidatorSet:
    """The committee that the state names for the next epoch; genesis wrote the first."""
    raw = state.get(STATE_VALIDATORS)
    if raw is None:
        raise InvariantBroken("the state names no committee")
    return ValidatorSet(decode(tuple[Validator, ...], raw))


def _header(template: HeaderTemplate) -> Header:
    zero = bytes(ZERO_HASH)
    return Header(
        version=HEADER_VERSION,
        chain_id=template.chain_id,
        epoch=template.epoch,
        view=template.view,
        height=template.height,
        time_ms=template.time_ms,
        parent=template.parent,
        parent_view=template.parent_view,
        closing=template.closing,
        transactions_root=zero,
        body_size=0,
        state_root=zero,
        receipts_root=zero,
        validators=template.validators,
        next_validators=zero,
        extra_root=zero,
        proposer=template.proposer,
    )


def _difference(claimed: Header, own: Header) -> str:
    """Which field of a header differs from what execution here gives, as a reason code."""
    for name in ("state_root", "receipts_root", "body_size", "next_validators", "extra_root", "transactions_root"):
        if getattr(claimed, name) != getattr(own, name):
            return name.upper()
    return "HEADER"
