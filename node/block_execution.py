"""What a block does to the state of its parent: the engine's part, due calls, transactions, the engine's end.

One block on one overlay. It knows nothing of chains: whoever calls it says which state a block stands on, and compares
or seals what comes of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from consensus.simplex.policy import Policy
from contracts.executor import BlockContext, Executor
from ledger.accounts import admits_nonce
from ledger.crypto import Hash
from ledger.objects import Header, Receipt, Transaction, verify_transaction
from ledger.state import Overlay, StateBase
from node.engine_side import LATER, EngineBlock, EngineSide, PlainSide
from node.metrics import Metrics

MOST_DEFERRALS: Final = 256
"""Own blocks that a transaction may be left out of because its turn has not come; then it is taken, and refused."""
_DEFERRED_KEPT: Final = 4_096


@dataclass(frozen=True, slots=True)
class BlockRules:
    """What genesis fixes for blocks. `policy`: the engine's, which says where epochs end. `side`: what the engine adds
    to a block. `transaction_chain_id`: the chain's name as users sign it and contracts see it."""

    chain_id: str
    transaction_chain_id: str
    max_transactions: int
    max_bytes: int
    max_per_sender: int
    max_gas: int
    policy: Policy
    side: EngineSide = field(default_factory=PlainSide)


@dataclass(frozen=True, slots=True)
class Executed:
    """An executed block: what of its transactions was taken, all receipts, the state after it (sealed)."""

    transactions: list[Transaction]
    receipts: list[Receipt]
    overlay: Overlay


class BlockRefused(Exception):
    """The block is invalid: a return path of `BlockExecution.run`, not an error that anybody sees."""


class BlockExecution:
    """See the module; `executor` belongs to the thread that calls."""

    def __init__(self, executor: Executor, rules: BlockRules, metrics: Metrics) -> None:
        self._executor = executor
        self._rules = rules
        self._side = rules.side
        self._metrics = metrics
        self._deferred: dict[Hash, int] = {}

    def run(
        self,
        header: Header,
        parent: Overlay | StateBase,
        transactions: Sequence[Transaction],
        section: bytes,
        gas_budget: int | None = None,
    ) -> Executed:
        """Execute due calls and transactions on a fresh overlay. What may not be applied is skipped if there is a
        `gas_budget` (an own block), else it refuses the block."""
        begun = time.thread_time()
        view = Overlay(parent)
        context = self._context(header)
        done: list[Transaction] = []
        side, block = self._side, EngineBlock(header, section, context, parent.root, done)
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
                raise BlockRefused(fault)
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
        return Executed(done, receipts, view)

    def forged(self, transaction: Transaction) -> bool:
        """Whether a transaction is none of this chain, or not signed by its sender. What an engine votes on was looked
        at before; what only a region's quorum vouches for was not. About 75 us."""
        other = transaction.body.chain_id != self._rules.transaction_chain_id
        return other or verify_transaction(transaction) is None

    def begin(self, header: Header, parent: Overlay | StateBase, section: bytes) -> Overlay:
        """The state after what the engine does at the beginning of a block, and nothing else of it; sealed."""
        view = Overlay(parent)
        self._side.begin(view, EngineBlock(header, section, self._context(header), parent.root))
        view.seal()
        return view

    def _context(self, header: Header) -> BlockContext:
        market_ms = self._executor.clock.market_time(header.time_ms)
        return BlockContext(self._rules.transaction_chain_id, header.height, header.time_ms, market_ms)

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
            self._side.executed(view, transaction, block)
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
