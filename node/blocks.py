"""What an engine asks for a block, performed: `Build`, `Check`, `Commit`, `Prune`. Answers return as events.

Building and checking run on the ledger thread, in the order they were asked. Commits, those of catching up included,
pass one queue: while the disk is full the same commit is tried again every second, and meanwhile this node judges no
block, so that no overlays pile up. What is final leaves the mempool; the log is trimmed only after the store holds it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias

from consensus.engine import (
    BODY_MISMATCH,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    EpochStart,
    Event,
    HeaderTemplate,
    Prune,
    Verdict,
)
from consensus.messages import Part
from ledger.crypto import Hash
from ledger.errors import StoreError
from ledger.objects import Transaction
from node.application import Application, Candidate, Judged
from node.bodies import Bodies, Broken, Complete, Lacking
from node.commit import Commits, Outcome, StateDivergence, SyncedBlocks
from node.engine_side import BEHIND
from node.ledger_thread import LedgerThread
from node.log import Logger
from node.mempool import BlockLimits, Mempool, Waiting
from node.metrics import Metrics
from node.store_guard import DiskFull
from node.tasks import Tasks

RETRY_S: Final = 1.0
SIBLING_PATIENCE_S: Final = 5.0
"""How long one check waits for another chain of this process."""
FIRST_PACE_S: Final = 0.000_1
PACE_SAMPLE: Final = 250
FIRST_GAS_PER_MS: Final = 50_000
"""Until this host has shown its own speed: half of what the reference machine does."""
GAS_SAMPLE: Final = 1_000_000
PRUNE_SLICE: Final = 1_000
"""Transactions forgotten in one go: about 2 ms of the loop."""
LATENCY_SAMPLES: Final = 16
"""Own clients' transactions per block whose latency goes into the histogram."""
PREFILL_BYTES: Final = 64 * 1024
PREFILL_AGE_MS: Final = 25
_BODY_REASONS: Final = frozenset({"TRANSACTIONS_ROOT", "BODY_SIZE", "EXTRA_ROOT"})


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Whom the block work tells: the signer of a new epoch, the engine, the log's trimmer, those who follow commits,
    whoever must stop voting."""

    begin_epoch: Callable[[EpochStart], None]
    post: Callable[[Event], None]
    trim: Callable[[int, int], None]
    committed: Callable[[Outcome], None]
    halt: Callable[[str], None]


_Job: TypeAlias = tuple[Commit | SyncedBlocks | Prune, "asyncio.Future[bool] | None"]


@dataclass(frozen=True, slots=True)
class Leading:
    """What a leader keeps to: the bounds of a block, and how long building one should take at most, by `stopwatch`."""

    limits: BlockLimits
    build_ms: int
    stopwatch: Callable[[], float] = time.perf_counter


class Pace:
    """How long this host takes per transaction, and per gas, of a block now, in wall time: a leader whose block takes
    longer to build and check than a view lasts loses its turn, and everybody's work with it.

    A count alone does not bound the time: one transaction may burn a thousand times what another does. Gas slows down
    at once and speeds up by quarters, so that a mixture of cheap and dear instructions is judged by the dear ones.
    """

    def __init__(self) -> None:
        self._seconds = FIRST_PACE_S
        self._gas_per_ms: float = FIRST_GAS_PER_MS

    def took(self, seconds: float, transactions: int, gas: int) -> None:
        """Learn from the handling of a block; small ones say nothing."""
        if transactions >= PACE_SAMPLE:
            self._seconds += (seconds / transactions - self._seconds) / 4
        if gas >= GAS_SAMPLE:
            rate = gas / (seconds * 1_000)
            self._gas_per_ms = min(rate, self._gas_per_ms + (rate - self._gas_per_ms) / 4)

    def within(self, budget_ms: int, at_most: int) -> int:
        """How many transactions fit into `budget_ms`, between `PACE_SAMPLE` and `at_most`."""
        return max(min(PACE_SAMPLE, at_most), min(at_most, int(budget_ms / 1_000 / self._seconds)))

    def gas_within(self, budget_ms: int) -> int:
        """How much gas fits into `budget_ms`, at least `GAS_SAMPLE`: one slow block must not end the learning."""
        return max(GAS_SAMPLE, int(budget_ms * self._gas_per_ms))


class Blocks:
    """See the module. `trouble` says why the store refuses, if it does; `ended`: this life commits nothing more."""

    def __init__(
        self,
        application: Application,
        commits: Commits,
        bodies: Bodies,
        mempool: Mempool,
        thread: LedgerThread,
        leading: Leading,
    ) -> None:
        self._application = application
        self._commits = commits
        self._bodies = bodies
        self._mempool = mempool
        self._thread = thread
        self._leading = leading
        self._jobs: deque[_Job] = deque()
        self._queued = asyncio.Event()
        self.trouble = ""
        self.ended = False
        self._pace = Pace()
        self._writable = asyncio.Event()
        self._writable.set()
        self._sibling_moved = asyncio.Event()

    def attach(self, surfaces: Surfaces, tasks: Tasks, metrics: Metrics, log: Logger) -> None:
        """Say where answers go; called once, before anything else."""
        self._surfaces = surfaces
        self._tasks = tasks
        self._metrics = metrics
        self._log = log

    # --- build and check ----------------------------------------------------------------------------------------------

    def build(self, effect: Build) -> None:
        """Pick transactions and queue the building; answers by `Built`."""
        at_most = self._leading.limits
        limits = replace(at_most, transactions=self._pace.within(self._leading.build_ms, at_most.transactions))
        picked = [] if effect.empty else self._mempool.pick(effect.template.parent, limits)
        gas = self._pace.gas_within(self._leading.build_ms)
        future = self._thread.run(self._paced_build, effect.template, picked, gas)
        self._tasks.spawn(self._built(effect, future), name="build")

    def _paced_build(self, template: HeaderTemplate, picked: list[Transaction], gas: int) -> Candidate | None:
        begun = self._leading.stopwatch()
        candidate = self._application.build(template, picked, gas)
        self._learn(begun, candidate)
        return candidate

    def _learn(self, begun: float, candidate: Candidate | None) -> None:
        if candidate is not None:
            gas = sum([receipt.gas for receipt in candidate.receipts])
            self._pace.took(self._leading.stopwatch() - begun, len(candidate.transactions), gas)

    async def _built(self, effect: Build, future: asyncio.Future[Candidate | None]) -> None:
        candidate = await future
        template = effect.template
        if candidate is None:
            self._surfaces.post(Built(template.epoch, template.view, template.parent, None, None, (), (), b"", None))
            return
        self._claim(candidate)
        ids = tuple([transaction.id for transaction in candidate.transactions])
        self._surfaces.post(
            Built(
                template.epoch,
                template.view,
                template.parent,
                candidate.stored,
                candidate.block.header,
                ids,
                self._prefill(candidate.transactions),
                candidate.block.body.extra,
                candidate.next_due_ms,
            )
        )

    def _prefill(self, transactions: tuple[Transaction, ...]) -> tuple[Part, ...]:
        """Bodies that gossip has hardly brought to the others yet: the youngest of the own clients', within bounds."""
        since_ms = int(asyncio.get_running_loop().time() * 1_000) - PREFILL_AGE_MS
        parts: list[Part] = []
        room = PREFILL_BYTES
        for index in range(len(transactions) - 1, -1, -1):
            raw = transactions[index].raw
            if len(raw) > room or not self._mempool.is_young(transactions[index].id, since_ms):
                break
            room -= len(raw)
            parts.append(Part(index, raw))
        return tuple(reversed(parts))

    def check(self, effect: Check) -> None:
        """Assemble the body and queue the check; answers by `Checked`, once the store can be written again."""
        if not self.ended:
            self._tasks.spawn(self._check(effect), name="check")

    async def _check(self, effect: Check) -> None:
        await self._writable.wait()
        known = self._application.candidate(effect.hash)
        if known is not None:
            self._answer(effect, Judged(Verdict.VALID, candidate=known))
            return
        match await self._bodies.assemble(effect):
            case Lacking(missing):
                self._answer(effect, Judged(Verdict.MISSING), missing)
            case Broken(reason):
                self._answer(effect, Judged(Verdict.INVALID, reason))
            case Complete(transactions, extra):
                judged = await self._judged(effect, transactions, extra)
                if effect.block is None and judged.verdict is Verdict.INVALID and judged.reason in _BODY_REASONS:
                    judged = Judged(Verdict.INVALID, BODY_MISMATCH)
                if judged.candidate is not None:
                    self._claim(judged.candidate)
                self._answer(effect, judged)

    async def _judged(self, effect: Check, transactions: tuple[Transaction, ...], extra: bytes) -> Judged:
        """Judge; again after each commit of a sibling while that is what the judgement lacks."""
        until = asyncio.get_running_loop().time() + SIBLING_PATIENCE_S
        while True:
            moved = self._sibling_moved
            judged = await self._thread.run(self._paced_check, effect, transactions, extra)
            if judged.verdict is not Verdict.MISSING or judged.reason != BEHIND:
                return judged
            try:
                async with asyncio.timeout_at(until):
                    await moved.wait()
            except TimeoutError:
                return judged  # the engine asks again, if the block still matters

    def sibling_committed(self) -> None:
        """Another chain of this process has moved: judge again what waited for it."""
        self._sibling_moved.set()
        self._sibling_moved = asyncio.Event()

    def _paced_check(self, effect: Check, transactions: tuple[Transaction, ...], extra: bytes) -> Judged:
        begun = self._leading.stopwatch()
        known = self._application.candidate(effect.hash) is not None
        judged = self._application.check(effect.header, effect.hash, transactions, extra)
        if not known:  # looking an executed block up says nothing about the pace
            self._learn(begun, judged.candidate)
        return judged

    def _answer(self, effect: Check, judged: Judged, missing: tuple[int, ...] = ()) -> None:
        candidate = judged.candidate
        if judged.verdict is Verdict.INVALID:
            self._log.warning(
                "a block is invalid", reason=judged.reason, height=effect.header.height, block=effect.hash
            )
        self._surfaces.post(
            Checked(
                effect.epoch,
                effect.view,
                Hash(effect.header.parent),
                effect.hash,
                judged.verdict,
                None if candidate is None else candidate.stored,
                missing,
                judged.reason,
                None if candidate is None else candidate.next_due_ms,
            )
        )

    def _claim(self, candidate: Candidate) -> None:
        header = candidate.block.header
        self._mempool.claim(candidate.block.hash, Hash(header.parent), [t.id for t in candidate.transactions])

    # --- commit and prune ---------------------------------------------------------------------------------------------

    def commit(self, effect: Commit) -> None:
        """Queue a commit; answers by `Committed` once the blocks are durable."""
        self._put(effect, None)

    def prune(self, effect: Prune) -> None:
        """Queue the forgetting of abandoned blocks and the new floor of the log."""
        self._put(effect, None)

    async def commit_synced(self, blocks: SyncedBlocks) -> bool:
        """Execute and commit certified blocks that peers have sent; False if they were not taken."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._put(blocks, done)
        return await done

    def _put(self, work: Commit | SyncedBlocks | Prune, done: asyncio.Future[bool] | None) -> None:
        self._jobs.append((work, done))
        self._queued.set()

    async def run(self) -> None:
        """Perform commits in order, for ever."""
        while True:
            await self._queued.wait()
            self._queued.clear()
            while self._jobs:
                work, done = self._jobs.popleft()
                taken = await self._perform(work)
                if done is not None and not done.done():
                    done.set_result(taken)

    async def _perform(self, work: Commit | SyncedBlocks | Prune) -> bool:
        if isinstance(work, Prune):
            await self._thread.run(self._application.prune, work.hashes)
            self._mempool.abandon(work.hashes)
            self._surfaces.trim(work.epoch, work.floor_view)
            return True
        while not self.ended:
            try:
                if isinstance(work, Commit):
                    outcome = await self._thread.run(self._commits.commit, work)
                else:
                    outcome = await self._thread.run(self._commits.commit_synced, work)
            except StateDivergence as divergence:
                self.ended = True
                self._log.error("this node's state is not the quorum's", **divergence.as_dict())
                self._surfaces.halt(f"state-divergence: {divergence.message}")
            except DiskFull as error:
                if not self.trouble:
                    self._log.error("the store cannot be written", **error.as_dict())
                self.trouble = f"disk-full: {error}"
                self._writable.clear()
                await asyncio.sleep(RETRY_S)
            except StoreError as error:
                # what a failed write left behind is unknown: this life commits nothing more
                self.ended = True
                self._log.error("the store failed; restart the node", **error.as_dict())
                self._surfaces.halt(f"store: {error}")
            else:
                self.trouble = ""
                self._writable.set()
                await self._publish(outcome)
                return True
        return False

    async def _publish(self, outcome: Outcome) -> None:
        """Blocks are durable: signer and engine first, then the mempool, then everybody else."""
        if outcome.event is not None:
            if outcome.event.next_epoch is not None:
                self._surfaces.begin_epoch(outcome.event.next_epoch)
            self._surfaces.post(outcome.event)
        for candidate in outcome.blocks:
            for begin in range(0, len(candidate.transactions), PRUNE_SLICE):
                self._observe(self._mempool.prune(candidate.transactions[begin : begin + PRUNE_SLICE]))
                await asyncio.sleep(0)
            self._mempool.abandon([candidate.block.hash])
        self._surfaces.committed(outcome)

    def _observe(self, gone: list[Waiting]) -> None:
        """Latency of a few of the own clients' transactions: observing each would cost as much as executing it."""
        now_s = asyncio.get_running_loop().time()
        for waiting in islice((one for one in gone if one.source is None), LATENCY_SAMPLES):
            self._metrics.commit_latency.observe(now_s - waiting.arrived_ms / 1_000)
