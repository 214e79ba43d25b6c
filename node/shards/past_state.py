"""State of a region's chain after any of its blocks, to execute on: near the head by undo rows, else from the start.

Stores keep old values back to the last confirmed record (`node.shards.kept_states`). Whoever needs more, because it has
no copy of the global chain or lies beyond `UNDO_MOST`, executes the chain again into a store in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from contracts.executor import Executor
from ledger.chain_reader import ChainReader, ChainView, Finality, PastState, StateView
from ledger.errors import InvariantBroken, StoreError
from ledger.objects import Block, decode_transaction
from ledger.state import Overlay, StateBase
from ledger.store import Batch, MemoryStore
from node.block_execution import BlockExecution, BlockRules
from node.commit import StateDivergence, SyncedBlock, SyncedBlocks
from node.metrics import Metrics


class Copy(Protocol):
    """A region's chain as far as it is committed here: a `ChainStore`, or a `node.siblings.SiblingChain`."""

    @property
    def height(self) -> int:
        """Of the last committed block."""

    def block(self, height: int) -> Block | None:
        """Header and body of a committed block."""

    def final_by(self, height: int) -> int | None:
        """Height of the certified block whose finalization proves this one."""

    def finality(self, height: int) -> Finality | None:
        """The finalization kept at a height that is some block's `final_by`."""

    def view(self, height: int | None = None) -> AbstractContextManager[ChainView]:
        """Chain and state at the head, or at a height of which old values are kept."""


def _untold(height: int, last: int) -> None:
    """Nobody waits."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How blocks of one regional chain are executed again. `rules`: with a side and an executor of its own, on one
    thread; `base_seq`: the last record before this chain; `found`: the same chain as a copy with
    its first state alone, in a store of its own."""

    executor: Executor
    rules: BlockRules
    metrics: Metrics
    base_seq: int
    found: Callable[[Copy], MemoryStore]
    tell: Callable[[int, int], None] = _untold

    @property
    def execution(self) -> BlockExecution:
        """Of single blocks."""
        return BlockExecution(self.executor, self.rules, self.metrics)


@contextmanager
def state_after(copy: Copy, height: int, replay: Replay) -> Iterator[Overlay | StateBase]:
    """State after block `height` of a copy, which has it, for as long as the scope lasts."""
    with ExitStack() as scope:
        try:
            view = scope.enter_context(copy.view(height))
        except StoreError as error:
            if error.code != "STATE_PRUNED":
                raise
            yield _executed(copy, height, replay)
            return
        yield _to_build_on(view.state)


def stored_segment(copy: Copy, first: int) -> SyncedBlocks:
    """The blocks from a height on that one finalization of a chain proves, as catching up brings them."""
    last = copy.final_by(first)
    finality = None if last is None else copy.finality(last)
    if last is None or finality is None:
        raise InvariantBroken(f"nothing proves height {first}")
    blocks: list[SyncedBlock] = []
    for height in range(first, last + 1):
        block = copy.block(height)
        if block is None:
            raise InvariantBroken(f"block {height} is missing")
        transactions = tuple(decode_transaction(raw) for raw in block.body.transactions)
        blocks.append(SyncedBlock(block.header, block.hash, transactions, block.body.extra))
    return SyncedBlocks(tuple(blocks), finality.certificate, finality.closing)


def _executed(copy: Copy, height: int, replay: Replay) -> StateBase:
    """The chain again from its first block to `height`: its state alone, block by block."""
    store = replay.found(copy)
    base, execution = StateBase(store), replay.execution
    for number in range(ChainReader(store).first + 1, height + 1):
        block = copy.block(number)
        if block is None:
            raise InvariantBroken(f"block {number} is missing")
        transactions = [decode_transaction(raw) for raw in block.body.transactions]
        delta = execution.run(block.header, base, transactions, block.body.extra).overlay.delta()
        with copy.view() as head:
            root = head.chain.root_of(number)
        if delta.root != root:
            raise StateDivergence(
                f"block {number} gives another state when it is executed again",
                expected="a root" if root is None else root.hex(),
                found=delta.root.hex(),
                fix="compare the node's version with the others'; restore a backup or sync from genesis",
            )
        batch = Batch()
        batch.extend(delta.rows())
        store.write(batch, sync=False)
        base.absorb(delta)
        replay.tell(number, height)
    return base


def _to_build_on(state: StateView) -> Overlay | StateBase:
    return state.sealed() if isinstance(state, PastState) else state
