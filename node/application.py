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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from consensus.engine import HeaderTemplate, StoredBlock, Verdict
from consensus.simplex.policy import Policy
from contracts.executor import BlockContext, Executor
from ledger.accounts import admits_nonce
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
)
from ledger.schema import state_engine
from ledger.state import Overlay, StateBase, StateReader
from ledger.validators import Validator, ValidatorSet
from node.engine_side import LATER, VALID_SECTION, EngineBlock, EngineSide, PlainSide
from node.metrics import Metrics

STATE_VALIDATORS: Final = state_engine("validators")
"""The committee of the next epoch: encoded tuple of `Validator`."""
ROOM_OF_SECTION: Final = 32
"""Bytes of a section that fit into every block whatever the mempool gives (`node.founding.BODY_ROOM`)."""
BODY_FRAME: Final = 32
TRANSACTION_FRAME: Final = 5
MOST_DEFERRALS: Final = 256
"""Own blocks that a transaction may be left out of because its turn has not come; then it is taken, and refused."""
_DEFERRED_KEPT: Final = 4_096


@dataclass(frozen=True, slots=True)
class BlockRules:
    """What genesis fixes for blocks. `policy`: the engine's, which says where epochs end. `side`: what the engine adds
    to a block."""

    chain_id: str
    max_transactions: int
    max_bytes: int
    max_per_sender: int
    max_gas: int
    policy: Policy
    side: EngineSide = field(default_factory=PlainSide)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An executed block that is not final yet."""

    block: Block
    transactions: tuple[Transaction, ...]
    receipts: tuple[Receipt, ...]
    receipt_bytes: tuple[bytes, ...]
    overlay: Overlay
    next_due_ms: int | None

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


@dataclass(frozen=True, slots=True)
class _Executed:
    transactions: list[Transaction]
    receipts: list[Receipt]
    overlay: Overlay


class _Refused(Exception):
    """The block is invalid: a return path of `_run`, not an error that anybody sees."""


class Application:
    """Executes blocks over the committed state `base`. See the module."""

    def __init__(
        self, base: StateBase, executor: Executor, rules: BlockRules, head_hash: Hash, metrics: Metrics
    ) -> None:
        self._base = base
        self._executor = executor
        self._rules = rules
        self._head_hash = head_hash
        self._metrics = metrics
        self._candidates: dict[Hash, Candidate] = {}
        self._deferred: dict[Hash, int] = {}

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
        done = self._run(header, view, self._fitting(transactions, section), section, budget)
        return self._keep(header, Body(BODY_VERSION, tuple(t.raw for t in done.transactions), section), done)

    def check(
        self,
        header: Header,
        block_hash: Hash,
        transactions: Sequence[Transaction],
        extra: bytes = b"",
        *,
        certified: bool = False,
    ) -> Judged:
        """Judge a block: execute its body on its parent and compare every field that the application fills.
        `certified`: a quorum has accepted its section, which this node need not be able to judge."""
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
            done = self._run(header, view, transactions, extra)
        except _Refused as refused:
            return Judged(Verdict.INVALID, str(refused))
        candidate = self._sealed(header, body, done)
        if candidate.block.hash != block_hash:
            return Judged(Verdict.INVALID, _difference(header, candidate.block.header))
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

    def _run(
        self,
        header: Header,
        parent: Overlay | StateBase,
        transactions: Sequence[Transaction],
        section: bytes,
        gas_budget: int | None = None,
    ) -> _Executed:
        """Execute due calls and transactions on a fresh overlay. What may not be applied is skipped if there is a
        `gas_budget` (an own block), else it refuses the block."""
        begun = time.thread_time()
        view = Overlay(parent)
        context = BlockContext(
            header.chain_id, header.height, header.time_ms, self._executor.clock.market_time(header.time_ms)
        )
        done: list[Transaction] = []
        side, block = self._rules.side, EngineBlock(header, section, context, parent.root, done)
        receipts = side.begin(view, block)
        receipts += self._executor.run_due(view, context)
        called: list[Receipt] = []
        gas = 0
        left = None if gas_budget is None else gas_budget - sum([receipt.gas for receipt in receipts])
        of_sender: Counter[bytes] = Counter()
        for transaction in transactions:
            if left is not None and gas >= left and done:
                break
            fault = self._fault(view, transaction, gas, of_sender)
            if fault and left is None:
                raise _Refused(fault)
            if fault:
                continue
            if transaction.body.contract in side.watched:
                code = side.refusal(view, transaction, block)
                if code == LATER and left is not None and self._defers(transaction):
                    continue
                receipt = self._watched(view, transaction, block, code)
            else:
                receipt = self._executor.execute(view, transaction, context)
            gas += receipt.gas
            called.append(receipt)
            done.append(transaction)
        receipts += side.finish(view, block)
        receipts += called
        self._metrics.spent("execute", time.thread_time() - begun, len(done))
        begun = time.thread_time()
        view.seal()
        self._metrics.spent("tree", time.thread_time() - begun, len(done))
        return _Executed(done, receipts, view)

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

    def _defers(self, transaction: Transaction) -> bool:
        """Whether a transaction whose turn has not come is left in the mempool once more. Not for ever: one whose turn
        never comes would have an idle chain make one empty block after the other."""
        times = self._deferred.get(transaction.id, 0) + 1
        self._deferred[transaction.id] = times
        while len(self._deferred) > _DEFERRED_KEPT:
            del self._deferred[next(iter(self._deferred))]
        return times <= MOST_DEFERRALS

    def _watched(self, view: Overlay, transaction: Transaction, block: EngineBlock, code: str) -> Receipt:
        """A transaction that the engine has a word in: it refuses it with a code, or follows what it did."""
        if code:
            return self._executor.refuse(view, transaction, code)
        receipt = self._executor.execute(view, transaction, block.context)
        if receipt.ok:
            self._rules.side.executed(view, transaction, block)
        return receipt

    def _fault(self, view: Overlay, transaction: Transaction, gas: int, of_sender: Counter[bytes]) -> str:
        """Why a transaction may not be applied next; "" if it may."""
        if gas >= self._rules.max_gas:
            return "BLOCK_GAS"
        if self._rules.max_per_sender < self._rules.max_transactions:
            of_sender[transaction.sender] += 1
            if of_sender[transaction.sender] > self._rules.max_per_sender:
                return "TOO_MANY_OF_ONE_SENDER"
        return "" if admits_nonce(view, transaction.sender, transaction.body.nonce) else "NONCE"

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

    def _keep(self, header: Header, body: Body, done: _Executed) -> Candidate:
        candidate = self._sealed(header, body, done)
        self._candidates[candidate.block.hash] = candidate
        return candidate

    def _sealed(self, header: Header, body: Body, done: _Executed) -> Candidate:
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
