"""Rule 0: own signed bytes leave only when durable.

The records of one engine turn are guarded and signed at once, in order, and go to the log's thread; whatever waits
there when a sync ends becomes the next batch, with one sync. Only then is each signed message handed back to the engine
and to all peers (`release`). Nothing else waits for the disk. A disk that refuses a write is asked again every second
with the same records; until it takes them, nothing of them has left the node.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from consensus.compact import make_proposal
from consensus.engine import (
    LiftHold,
    LogBlock,
    LogCertificate,
    Record,
    SetHold,
    SignComplaint,
    SignProposal,
    SignVote,
)
from consensus.messages import Message
from consensus.sharded.records import RegionRecord
from ledger.certificates import VoteKind
from ledger.objects import decode_header
from node.log import Logger
from node.metrics import Metrics
from node.signer import GuardRefused, Signer
from node.wal import Wal, WalPosition
from node.wal_format import (
    Entry,
    block_entry,
    certificate_entry,
    complaint_entry,
    proposal_entry,
    region_record_entry,
    vote_entry,
)

RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Append:
    entries: tuple[Entry, ...]
    messages: tuple[Message, ...]
    waiting: asyncio.Future[None] | None = None


@dataclass(frozen=True, slots=True)
class _Trim:
    epoch: int
    view: int


@dataclass(frozen=True, slots=True)
class _Hold:
    reason: str


@dataclass(frozen=True, slots=True)
class _Lift:
    epoch: int
    floor_view: int


_Job: TypeAlias = _Append | _Trim | _Hold | _Lift


class Publisher:
    """See the module. `release(message)` is called on the loop, in order; `trouble` says why the disk refuses, if it
    does."""

    def __init__(
        self,
        signer: Signer,
        wal: Wal,
        thread: Executor,
        metrics: Metrics,
        log: Logger,
        release: Callable[[Message], None],
    ) -> None:
        self._signer = signer
        self._wal = wal
        self._thread = thread
        self._metrics = metrics
        self._log = log
        self._release = release
        self._jobs: deque[_Job] = deque()
        self._waiting = asyncio.Event()
        self.position: WalPosition = wal.position
        self.hold_reason = wal.hold_reason
        self.trouble = ""

    @property
    def floor(self) -> tuple[int, int]:
        """Epoch and view up to which this life signs nothing."""
        return self._wal.floor

    def take(self, records: Sequence[Record]) -> None:
        """Guard, sign and queue the records of one turn. After a refusal of the guard the signer has stopped."""
        entries: list[Entry] = []
        messages: list[Message] = []
        for record in records:
            match record:
                case SetHold(reason):
                    self._signer.held = reason
                    self._put(_Hold(reason))
                case LiftHold(epoch, floor_view):
                    self._signer.raise_floor(epoch, floor_view)
                    self._signer.held = ""
                    self._put(_Lift(epoch, floor_view))
                case LogCertificate(certificate):
                    entries.append(certificate_entry(certificate))
                case LogBlock(block):
                    header = decode_header(block.header_bytes)
                    entries.append(block_entry(block, header.epoch, header.view))
                case SignVote() | SignProposal() | SignComplaint():
                    self._sign(record, entries, messages)
                case _:
                    assert_never(record)
        if entries or messages:
            self._put(_Append(tuple(entries), tuple(messages)))

    async def sign_record(self, record: RegionRecord, signed: bytes) -> bytes:
        """A signature under a region's record, once it is durable that this node signed it. Raise `GuardRefused`."""
        signature, new = self._signer.record(record, signed)
        if new:
            entry = region_record_entry(record.region, record.epoch, record.seq, bytes(record.id))
            durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._put(_Append((entry,), (), durable))
            await durable
        return signature

    def trim(self, epoch: int, view: int) -> None:
        """Everything at or below (epoch, view) is final and committed: the log may forget it."""
        self._signer.raise_floor(epoch, view)
        self._put(_Trim(epoch, view))

    async def run(self) -> None:
        """Perform jobs in order, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._jobs:
                batch = self._next_batch()
                while True:
                    begun = loop.time()
                    try:
                        await loop.run_in_executor(self._thread, self._perform, batch)
                        break
                    except OSError as error:
                        self._refused(error)
                        await asyncio.sleep(RETRY_S)
                self._performed(batch, loop.time() - begun)

    # --- signing ------------------------------------------------------------------------------------------------------

    def _sign(
        self, record: SignVote | SignProposal | SignComplaint, entries: list[Entry], messages: list[Message]
    ) -> None:
        if self._signer.stopped:
            return
        try:
            match record:
                case SignVote():
                    self._sign_vote(record, entries, messages)
                case SignProposal():
                    self._sign_proposal(record, entries, messages)
                case SignComplaint():
                    self._sign_complaint(record, entries, messages)
        except GuardRefused as refused:
            self._signer.stop(f"double-sign-guard: {refused.message}")
            self._log.error("the guard refused to sign; this node votes no more", **refused.as_dict())

    def _sign_vote(self, record: SignVote, entries: list[Entry], messages: list[Message]) -> None:
        vote = self._signer.vote(record.kind, record.epoch, record.view, record.block_hash)
        if record.block is not None:
            entries.append(block_entry(record.block, record.epoch, record.view))
        entries.append(vote_entry(vote))
        messages.append(vote)
        self._metrics.votes.labels(record.kind.name.lower()).inc()

    def _sign_proposal(self, record: SignProposal, entries: list[Entry], messages: list[Message]) -> None:
        block = record.block
        vote = self._signer.vote(VoteKind.NOTARIZE, record.epoch, record.view, block.hash)
        proposal = make_proposal(record, vote.signature)
        entries.append(block_entry(block, record.epoch, record.view))
        entries.append(proposal_entry(proposal, record.epoch, record.view))
        messages.append(proposal)
        self._metrics.votes.labels("proposal").inc()

    def _sign_complaint(self, record: SignComplaint, entries: list[Entry], messages: list[Message]) -> None:
        complaint = self._signer.complaint(record.epoch, record.view, record.block_hash, record.reason)
        entries.append(complaint_entry(complaint))
        messages.append(complaint)

    # --- the log's thread ---------------------------------------------------------------------------------------------

    def _put(self, job: _Job) -> None:
        self._jobs.append(job)
        self._waiting.set()

    def _next_batch(self) -> list[_Job]:
        batch = [self._jobs.popleft()]
        while self._jobs and isinstance(batch[0], _Append) and isinstance(self._jobs[0], _Append):
            batch.append(self._jobs.popleft())
        return batch

    def _perform(self, batch: list[_Job]) -> None:
        match batch[0]:
            case _Append():
                appends = [job for job in batch if isinstance(job, _Append)]
                entries = [entry for job in appends for entry in job.entries]
                if any(job.messages or job.waiting for job in appends):
                    begun = time.thread_time()
                    self._wal.append(entries)
                    self._metrics.spent("wal", time.thread_time() - begun, len(entries))
                else:
                    self._wal.buffer(entries)
            case _Trim(epoch, view):
                self._wal.trim(epoch, view)
            case _Hold(reason):
                self._wal.hold(reason)
            case _Lift(epoch, floor_view):
                self._wal.lift(epoch, floor_view)

    def _performed(self, batch: list[_Job], seconds: float) -> None:
        self.trouble = ""
        self.position = self._wal.position
        self.hold_reason = self._wal.hold_reason
        messages = [message for job in batch if isinstance(job, _Append) for message in job.messages]
        if messages:
            self._metrics.fsyncs.labels("wal").inc()
            self._metrics.sync_seconds.labels("wal").observe(seconds)
        for message in messages:
            self._release(message)
        for job in batch:
            if isinstance(job, _Append) and job.waiting is not None and not job.waiting.done():
                job.waiting.set_result(None)

    def _refused(self, error: OSError) -> None:
        if not self.trouble:
            self._log.error("the log cannot be written; nothing is signed out until it can", error=str(error))
        self.trouble = f"disk: {error}"
