"""From bytes to waiting transactions, in groups, each step once per node.

What arrives within `group_ms`, by API or gossip, is one group. Per transaction: size, id, duplicates by id, strict
decode, chain, everything the mempool can judge; only then its signature, in chunks on worker threads
(`node.signatures`). So a node checks the signatures of what it admits, and of nothing else but bad ones. Groups are
worked off in slices of a chunk, so that the loop is never held for long. An id in verification counts as present
(`pending`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import MAX_TRANSACTION_BYTES, Transaction, Verified, decode_transaction, transaction_id
from node.mempool import Mempool, Refusal
from node.metrics import Metrics
from node.signatures import SignatureChecks
from node.tasks import Tasks

MAX_IN_FLIGHT: Final = 32_768
"""Transactions between arrival and answer; what comes above is refused at once."""
REFUSED_KEPT: Final = 16_384
BY_BLOCK: Final = b"block"
"""Source of transactions that came with a block before they came by gossip."""


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """The answer to one submitted transaction. `id` is None if the bytes are no transaction. `code`: "" when admitted,
    DUPLICATE when it was waiting already (accepted as well), else why it was refused."""

    id: Hash | None
    accepted: bool
    code: str = ""
    expected: str = ""
    found: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class IngressSettings:
    """`chunk`: signatures per job of a worker thread; `cache`: verified ids kept beside the mempool."""

    chain_id: str
    group_ms: int = 3
    chunk: int = 64
    cache: int = 131_072


@dataclass(slots=True)
class _Submission:
    """One call of `submit`: answers by position, done when none is missing."""

    answers: list[Submitted | None]
    missing: int
    done: asyncio.Future[None]

    def answer(self, position: int, submitted: Submitted) -> None:
        if self.answers[position] is None:
            self.answers[position] = submitted
            self.missing -= 1
            if not self.missing and not self.done.done():
                self.done.set_result(None)


class _Arrival(msgspec.Struct):
    raw: bytes
    source: bytes | None
    submission: _Submission | None
    position: int
    id: Hash | None = None


class _InCheck(msgspec.Struct):
    """A transaction whose signature is being checked, and who waits for the answer."""

    transaction: Transaction
    arrivals: list[_Arrival] = []  # msgspec copies an empty default
    outcome: asyncio.Future[bool] | None = None

    def expect(self) -> asyncio.Future[bool]:
        """A future that says whether the signature holds."""
        if self.outcome is None:
            self.outcome = asyncio.get_running_loop().create_future()
        return self.outcome


class Ingress:
    """See the module. `admitted(transactions, source)` is called on the loop for what was let in, to be gossiped;
    `bad_peer(source, code)` for a peer that sent what no honest peer sends."""

    def __init__(
        self,
        settings: IngressSettings,
        mempool: Mempool,
        signatures: SignatureChecks,
        metrics: Metrics,
        admitted: Callable[[list[Transaction], bytes | None], None],
        bad_peer: Callable[[bytes, str], None],
    ) -> None:
        self._settings = settings
        self._mempool = mempool
        self._signatures = signatures
        self._metrics = metrics
        self._admitted = admitted
        self._bad_peer = bad_peer
        self._group: list[_Arrival] = []
        self._arrived = asyncio.Event()
        self._in_flight = 0
        self._checking: dict[Hash, _InCheck] = {}
        self._verified: dict[Hash, None] = {}
        self._refused: dict[Hash, Refusal] = {}
        self._changed: asyncio.Future[None] | None = None

    # --- doors --------------------------------------------------------------------------------------------------------

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        """Take transactions of an own client; return when each is admitted or refused."""
        if not raws:
            return []
        self._metrics.submitted.labels("api").inc(len(raws))
        submission = _Submission([None] * len(raws), len(raws), asyncio.get_running_loop().create_future())
        for position, raw in enumerate(raws):
            self._take(_Arrival(raw, None, submission, position))
        await submission.done
        return [answer for answer in submission.answers if answer is not None]

    def offer(self, offered: Sequence[tuple[Hash, bytes]], source: bytes) -> None:
        """Take transactions, with their ids, that a peer has gossiped; nobody waits for an answer."""
        self._metrics.submitted.labels("gossip").inc(len(offered))
        for id, raw in offered:
            self._take(_Arrival(raw, source, None, 0, id))

    def pending(self, id: Hash) -> bool:
        """Tell whether a transaction is being checked: it counts as present."""
        return id in self._checking

    def checking(self) -> list[Hash]:
        """The ids of the transactions that are being checked."""
        return list(self._checking)

    def changed(self) -> asyncio.Future[None]:
        """A future that is done when the next chunk was admitted."""
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    async def verify(self, raws: Sequence[bytes]) -> list[Transaction] | None:
        """Decode the transactions of a proposed or fetched block; check the signatures not checked before.

        None if one is malformed, of another chain or wrongly signed. What was not known enters the mempool, and what
        is being checked already is waited for, so that no signature is checked twice.
        """
        answer: list[Transaction] = []
        fresh: list[_InCheck] = []
        awaited: list[asyncio.Future[bool]] = []
        for raw in raws:
            id = transaction_id(raw)
            known = self._mempool.get(id)
            check = self._checking.get(id)
            if known is None and check is None:
                known = self._decoded(raw)
                if known is None:
                    await self._check_all(fresh)  # others may wait for what was begun
                    return None
                if id not in self._verified:
                    check = self._checking[id] = _InCheck(known)
                    fresh.append(check)
            if check is not None:
                known = check.transaction
                awaited.append(check.expect())
            answer.extend([known] if known is not None else [])
        await self._check_all(fresh)
        return answer if all([await outcome for outcome in awaited]) else None

    def _decoded(self, raw: bytes) -> Transaction | None:
        try:
            transaction = decode_transaction(raw)
        except DecodeError:
            return None
        return transaction if self._wrong_chain(transaction) is None else None

    async def _check_all(self, checks: list[_InCheck]) -> None:
        for begin in range(0, len(checks), self._settings.chunk):
            await self._check_chunk(checks[begin : begin + self._settings.chunk])

    # --- the road -----------------------------------------------------------------------------------------------------

    async def run(self, tasks: Tasks) -> None:
        """Form groups and work them off, for ever."""
        chunk = self._settings.chunk
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._settings.group_ms / 1_000)
            self._arrived.clear()
            group, self._group = self._group, []
            begin = 0
            while begin < len(group):
                started = time.thread_time()
                begin, checks = self._prepare_chunk(group, begin, chunk)
                self._metrics.spent("decode", time.thread_time() - started, len(checks))
                if checks:
                    tasks.spawn(self._check_chunk(checks), name="verify chunk")
                await asyncio.sleep(0)

    def _take(self, arrival: _Arrival) -> None:
        if self._in_flight >= MAX_IN_FLIGHT:
            overloaded = Refusal("OVERLOADED", f"at most {MAX_IN_FLIGHT} in verification", "more", "send again later")
            self._answer(arrival, None, overloaded)
            return
        self._in_flight += 1
        self._group.append(arrival)
        self._arrived.set()

    def _prepare_chunk(self, group: list[_Arrival], begin: int, size: int) -> tuple[int, list[_InCheck]]:
        """Judge arrivals until `size` of them need a signature check or a slice is over; return where to go on."""
        checks: list[_InCheck] = []
        end = min(len(group), begin + 4 * size)
        while begin < end and len(checks) < size:
            check = self._prepare(group[begin])
            if check is not None:
                checks.append(check)
            begin += 1
        return begin, checks

    def _prepare(self, arrival: _Arrival) -> _InCheck | None:
        raw = arrival.raw
        if len(raw) > MAX_TRANSACTION_BYTES:
            found = f"{len(raw)} bytes"
            fix = "pass less in one call; one transaction carries one call"
            self._done(arrival, None, Refusal("TOO_LARGE", f"at most {MAX_TRANSACTION_BYTES} bytes", found, fix))
            return None
        id = arrival.id or transaction_id(raw)
        running = self._checking.get(id)
        if running is not None:
            running.arrivals.append(arrival)
            return None
        if id in self._mempool:
            self._done(arrival, id, None, code="DUPLICATE")
            return None
        if arrival.source is not None and self._mempool.was_final(id):
            self._in_flight -= 1  # gossip that was overtaken by the block: not worth a look
            return None
        refused = self._refused.get(id)
        if refused is None:
            try:
                transaction = decode_transaction(raw, id)
            except DecodeError as error:
                self._done(arrival, None, _of(error))
                return None
            refused = self._wrong_chain(transaction) or self._mempool.refusal(transaction, arrival.source)
            if refused is None:
                check = self._checking[id] = _InCheck(transaction, [arrival])
                return check
        self._done(arrival, id, refused)
        return None

    def _wrong_chain(self, transaction: Transaction) -> Refusal | None:
        if transaction.body.chain_id == self._settings.chain_id:
            return None
        return Refusal(
            "WRONG_CHAIN",
            expected=self._settings.chain_id,
            found=transaction.body.chain_id,
            fix="sign the transaction for this chain (GET /v1/status names it)",
        )

    async def _check_chunk(self, checks: list[_InCheck]) -> None:
        wanted = [check.transaction for check in checks if check.transaction.id not in self._verified]
        good = await self._signatures.check(wanted)
        started = time.thread_time()
        now_ms = int(asyncio.get_running_loop().time() * 1_000)
        by_source: dict[bytes | None, list[Transaction]] = {}
        held = 0
        for check in checks:
            transaction = check.transaction
            verified = good.get(transaction.id) or (Verified(transaction) if transaction.id in self._verified else None)
            held += verified is not None
            self._finish(check, verified, now_ms, by_source)
        self._metrics.admitted.inc(held)
        for source, transactions in by_source.items():
            self._admitted(transactions, source)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._metrics.spent("admit", time.thread_time() - started, len(checks))

    def _finish(
        self,
        check: _InCheck,
        verified: Verified[Transaction] | None,
        now_ms: int,
        by_source: dict[bytes | None, list[Transaction]],
    ) -> None:
        transaction = check.transaction
        del self._checking[transaction.id]
        source = check.arrivals[0].source if check.arrivals else BY_BLOCK
        refused: Refusal | None
        if verified is None:
            refused = self._refused[transaction.id] = Refusal(
                "BAD_SIGNATURE",
                expected=f"an Ed25519 signature by {transaction.body.public_key.hex()}",
                found=transaction.signature.hex(),
                fix="sign the exact bytes of the body with the key it names",
            )
            if len(self._refused) > REFUSED_KEPT:
                del self._refused[next(iter(self._refused))]
        else:
            refused = self._mempool.admit(verified, source, now_ms)
            if refused is None:
                by_source.setdefault(source, []).append(transaction)
            else:
                self._remember_verified(transaction.id)
        for arrival in check.arrivals:
            self._done(arrival, transaction.id, refused)
        if check.outcome is not None and not check.outcome.done():
            check.outcome.set_result(verified is not None)

    # --- answers ------------------------------------------------------------------------------------------------------

    def _done(self, arrival: _Arrival, id: Hash | None, refused: Refusal | None, code: str = "") -> None:
        self._in_flight -= 1
        self._answer(arrival, id, refused, code)

    def _answer(self, arrival: _Arrival, id: Hash | None, refused: Refusal | None, code: str = "") -> None:
        if refused is None:
            submitted = Submitted(id, True, code)
        else:
            submitted = Submitted(id, False, refused.code, refused.expected, refused.found, refused.fix)
            self._metrics.refused.labels(refused.code).inc()
            if arrival.source is not None and refused.code in _NO_HONEST_PEER:
                self._bad_peer(arrival.source, refused.code)
        if arrival.submission is not None:
            arrival.submission.answer(arrival.position, submitted)

    def _remember_verified(self, id: Hash) -> None:
        self._verified[id] = None
        if len(self._verified) > self._settings.cache:
            del self._verified[next(iter(self._verified))]


_NO_HONEST_PEER: Final = frozenset({"BAD_SIGNATURE", "MALFORMED", "NOT_CANONICAL", "TOO_LARGE", "WRONG_CHAIN"})


def _of(error: DecodeError) -> Refusal:
    return Refusal(
        error.code,
        expected=str(error.expected or "a signed transaction in canonical MessagePack"),
        found=str(error.found or error.message),
        fix=error.fix or "build transactions with the client library or `gridchain tx send --dry-run`",
    )
