"""The commit half of the application: what is final becomes durable, without executing anything again.

Runs on the ledger thread. All newly final blocks, the finalization, state, receipts, indexes and head go into one
synced batch (`ledger.chain`). What catching up brings is executed and compared first; roots that differ are
`StateDivergence`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consensus.bft import rotation
from consensus.engine import Commit, Committed, EpochStart, Verdict
from ledger.certificates import Certificate
from ledger.chain import ChainStore, CommittedBlock
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import GridchainError, InvariantBroken
from ledger.objects import Header, Transaction
from ledger.schema import state_engine
from ledger.state import StateReader
from ledger.validators import ValidatorSet
from node.application import Application, Candidate, next_committee
from node.metrics import Metrics
from p2p.sync_check import SyncPosition

STATE_TURNS: Final = state_engine("turns")
"""Who leads in the epoch that the last boundary block began, where that is not the committee's own order: positions in
it, each once."""


class StateDivergence(GridchainError):
    """A final block whose execution here gives another result: this node or the quorum is wrong."""

    code = "STATE_DIVERGENCE"


@dataclass(frozen=True, slots=True)
class SyncedBlock:
    """A final block as catching up brings it."""

    header: Header
    hash: Hash
    transactions: tuple[Transaction, ...]
    extra: bytes


@dataclass(frozen=True, slots=True)
class SyncedBlocks:
    """Consecutive final blocks of one epoch and what proves them."""

    blocks: tuple[SyncedBlock, ...]
    finalization: Certificate
    closing: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one batch has made durable, ascending; `event` for the engine, None if there was nothing new."""

    blocks: tuple[Candidate, ...]
    event: Committed | None


class Commits:
    """Writes final blocks. `epoch` is the epoch that the next block belongs to; `head` and `position` are replaced
    whole, so that other threads may read them. `follows`: the chain's quorum may certify false roots (a region's)."""

    def __init__(
        self, chain: ChainStore, application: Application, metrics: Metrics, epoch: EpochStart, *, follows: bool = False
    ) -> None:
        self._chain = chain
        self._application = application
        self._metrics = metrics
        self._follows = follows
        self.epoch = epoch
        self.head = (chain.head, chain.head_hash)
        self.position = SyncPosition(chain.height, chain.head_hash, epoch.epoch, epoch.validators)

    def commit(self, effect: Commit) -> Outcome:
        """Commit blocks that this node has found valid. Raise `StateDivergence` if it has not, `StoreError`."""
        candidates: list[Candidate] = []
        for block_hash in effect.hashes:
            candidate = self._application.candidate(block_hash)
            if candidate is None:
                if self._chain.height_of(block_hash) is not None:
                    continue  # catching up was faster
                raise StateDivergence("a final block that this node has not found valid", found=block_hash.hex())
            candidates.append(candidate)
        return self._store(candidates, effect.finalization, effect.closing)

    def commit_synced(self, synced: SyncedBlocks) -> Outcome:
        """Execute and commit certified blocks. Raise `StateDivergence` if their roots differ, `StoreError`."""
        candidates: list[Candidate] = []
        for block in synced.blocks:
            if block.header.height <= self._chain.height:
                self._same(block)
                continue
            judged = self._application.check(
                block.header, block.hash, block.transactions, block.extra, certified=True, follow=self._follows
            )
            if judged.candidate is None:
                raise StateDivergence(
                    f"block {block.header.height} gives another result here",
                    expected=f"{Verdict.VALID.value}, as a quorum found",
                    found=f"{judged.verdict.value}: {judged.reason}",
                    fix="compare the node's version with the others'; restore a backup or sync from genesis",
                )
            candidates.append(judged.candidate)
        return self._store(candidates, synced.finalization, synced.closing)

    def _same(self, block: SyncedBlock) -> None:
        if self._chain.height_of(block.hash) != block.header.height:
            raise StateDivergence(f"another block is final at height {block.header.height}", found=block.hash.hex())

    def _store(self, candidates: Sequence[Candidate], finalization: Certificate, closing: Sequence[bytes]) -> Outcome:
        if not candidates:
            return Outcome((), None)
        begun = time.thread_time()
        last = candidates[-1]
        following = self._following_epoch(last)
        blocks = [
            CommittedBlock(c.block, c.transactions, c.receipt_bytes, c.overlay.delta(), c.differs) for c in candidates
        ]
        committees = () if following is None else (following.validators,)
        self._chain.append(blocks, finalization, closing, committees)
        self._application.committed(last)
        if following is not None:
            self.epoch = following
            self._chain.keep_boundary()
        header = last.block.header
        self.head = (header, last.block.hash)
        self.position = SyncPosition(header.height, last.block.hash, self.epoch.epoch, self.epoch.validators)
        self._metrics.spent("store", time.thread_time() - begun, sum(len(c.transactions) for c in candidates))
        event = Committed(header, last.block.hash, finalization, following, last.next_due_ms)
        return Outcome(tuple(candidates), event)

    def _following_epoch(self, last: Candidate) -> EpochStart | None:
        if not self._application.is_boundary(last.block.header):
            return None
        return epoch_after(last.block.header, last.block.hash, self._chain, last)


def epoch_after(header: Header, block_hash: Hash, chain: ChainStore, boundary: Candidate | None = None) -> EpochStart:
    """The epoch that begins after a boundary block, its committee as the header names it."""
    validators = chain.validators(header.next_validators)
    if boundary is not None:
        validators = next_committee(boundary.overlay)
    if validators is None or validators.hash != header.next_validators:
        raise InvariantBroken(f"the committee that block {header.height} names is not known")
    leaders = leaders_of(chain.state() if boundary is None else boundary.overlay, validators)
    return EpochStart(header.epoch + 1, header, block_hash, validators, leaders)


def leaders_of(state: StateReader, validators: ValidatorSet) -> tuple[int, ...]:
    """The order of turns in an epoch, from a state of it or of its boundary block: the committee's own (`rotation`),
    unless the engine wrote another."""
    raw = state.get(STATE_TURNS)
    if raw is None:
        return rotation(validators)
    turns = decode(tuple[int, ...], raw)
    if sorted(turns) != list(range(len(validators))):
        raise InvariantBroken("the state names turns that are not those of its committee")
    return turns
