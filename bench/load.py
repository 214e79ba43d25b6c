"""Prepared transactions, the clients that post them, and the feeds that read every receipt from every node.

A load is signed before the clock starts. A transaction is *done* when every node has shown its receipt. Accounting
holds at any moment: submitted = committed + failed + rejected + pending.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from contracts.values import encode_value
from ledger.crypto import SigningKey
from ledger.errors import GridchainError
from ledger.objects import TRANSACTION_VERSION, TransactionBody, sign_transaction, transaction_id
from node.api.wire import MAX_BATCH, MSGPACK, decode_answers, encode_batch

ORDER_GAS = 400_000
ORDER_WH = 1_000
ORDER_PRICE = 550_000
AGAIN = "run it again when the machine is idle"


class BenchFailed(GridchainError):
    """A run whose figures do not add up, or that did not end."""

    code = "BENCH"


@dataclass(frozen=True, slots=True)
class Load:
    """Signed transactions, their ids, and which of them carry a broken signature."""

    transactions: tuple[bytes, ...]
    ids: tuple[bytes, ...]
    bad: frozenset[int]


@dataclass(slots=True)
class OrderSource:
    """Makes signed `submit_order` transactions, round robin over the senders, each with its own nonces."""

    chain_id: str
    senders: Sequence[SigningKey]
    slot: int
    gas: int = ORDER_GAS
    _nonces: list[int] = field(init=False)
    _made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._nonces = [0] * len(self.senders)

    def use_nonces(self, counts: Sequence[int]) -> None:
        """Skip nonces that set-up has used, by sender."""
        self._nonces = list(counts)

    def make(self, count: int, *, bad_every: int = 0) -> Load:
        """Sign `count` orders; with `bad_every` = n one in n gets a flipped signature bit and no nonce of its own."""
        raws: list[bytes] = []
        bad: set[int] = set()
        for index in range(count):
            who = self._made % len(self.senders)
            self._made += 1
            key = self.senders[who]
            side = "sell" if who % 2 else "buy"
            arguments = encode_value([self.slot, side, ORDER_WH, ORDER_PRICE, "reference"])
            body = TransactionBody(
                TRANSACTION_VERSION,
                self.chain_id,
                key.public,
                self._nonces[who],
                "double_auction",
                "submit_order",
                arguments,
                self.gas,
            )
            raw = sign_transaction(body, key)
            if bad_every and index % bad_every == bad_every // 2:
                raw = raw[:-1] + bytes([raw[-1] ^ 1])
                bad.add(index)
            else:
                self._nonces[who] += 1
            raws.append(raw)
        return Load(tuple(raws), tuple(transaction_id(raw) for raw in raws), frozenset(bad))

    def give_back(self, load: Load, sent: int) -> None:
        """Use the nonces of the newest load's unsent end again: a nonce never used would close its sender's window."""
        if load.bad:
            raise ValueError("a load with bad signatures is sent whole")
        first = self._made - len(load.transactions)
        for index in range(sent, len(load.transactions)):
            self._nonces[(first + index) % len(self.senders)] -= 1
        self._made = first + sent


@dataclass(slots=True)
class Tally:
    """What became of each transaction of a load, by position. Times are seconds of `time.perf_counter`."""

    load: Load
    nodes: int
    position: dict[bytes, int] = field(init=False)
    intended: array[float] = field(init=False)
    done: array[float] = field(init=False)
    seen: array[int] = field(init=False)
    failed: int = 0
    rejected: int = 0
    finished: int = 0
    submitted: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        count = len(self.load.ids)
        self.position = {identity: index for index, identity in enumerate(self.load.ids)}
        self.intended = array("d", bytes(8 * count))
        self.done = array("d", bytes(8 * count))
        self.seen = array("i", bytes(4 * count))

    @property
    def committed(self) -> int:
        """Receipts with status ok that every node has shown."""
        return self.finished - self.failed

    @property
    def pending(self) -> int:
        """Sent, and neither refused nor shown by every node."""
        return self.submitted - self.finished - self.rejected

    def receipt(self, identity: bytes, ok: bool, code: str, now: float) -> bool:
        """One node has shown one receipt. Return whether it is of this load."""
        index = self.position.get(identity)
        if index is None:
            return False
        self.seen[index] += 1
        if self.seen[index] == self.nodes:
            self.done[index] = now
            self.finished += 1
            if not ok:
                self.failed += 1
                self.codes[code] = self.codes.get(code, 0) + 1
            self.changed.set()
        return True

    def refused(self, code: str) -> None:
        """A node has refused one transaction at its API."""
        self.rejected += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        self.changed.set()

    def latencies_ms(self) -> list[float]:
        """Time from intended sending to the last node's receipt of everything that was finished, ascending."""
        return sorted(
            (done - intended) * 1000 for done, intended in zip(self.done, self.intended, strict=True) if done > 0
        )


async def post(session: aiohttp.ClientSession, url: str, tally: Tally, first: int, last: int) -> None:
    """Post transactions [first, last) of the load to one node and book the refusals. Raise `BenchFailed`."""
    body = encode_batch(tally.load.transactions[first:last])
    headers = {"Content-Type": MSGPACK}
    tally.submitted += last - first
    try:
        async with session.post(f"{url}/v1/transactions", data=body, headers=headers) as response:
            status, answer = response.status, await response.read()
    except aiohttp.ClientError as error:
        raise BenchFailed(
            f"{url} does not answer", expected="a running node", found=str(error) or type(error).__name__, fix=AGAIN
        ) from error
    if status not in (200, 202):
        raise BenchFailed(f"{url} answered {status}", expected="200 or 202", found=repr(answer[:300]), fix=AGAIN)
    for result in decode_answers(answer):
        if not result.accepted:
            tally.refused(result.code)


async def post_closed_loop(
    session: aiohttp.ClientSession, urls: Sequence[str], tally: Tally, in_flight: int, until: Callable[[], bool]
) -> None:
    """Keep about `in_flight` transactions unfinished until the load is used up or `until()`; posts go round the nodes.

    One sender a node, so that a node's POSTs follow one another and the others' go on meanwhile.
    """
    total = len(tally.load.transactions)
    next_index = 0

    async def feed(url: str) -> None:
        nonlocal next_index
        while next_index < total and not until():
            room = in_flight - tally.pending
            if room < MAX_BATCH and tally.pending > 0:
                tally.changed.clear()
                await tally.changed.wait()
                continue
            first, last = next_index, min(total, next_index + MAX_BATCH)
            next_index = last
            now = time.perf_counter()
            for index in range(first, last):
                tally.intended[index] = now
            await post(session, url, tally, first, last)

    async with asyncio.TaskGroup() as group:
        for url in urls:
            group.create_task(feed(url))


async def post_open_loop(session: aiohttp.ClientSession, urls: Sequence[str], tally: Tally, rate: float) -> None:
    """Send at `rate` per second whatever the answers; a transaction's clock starts when it was due."""
    tick_s = 0.02
    begun = time.perf_counter()
    total = len(tally.load.transactions)
    for index in range(total):
        tally.intended[index] = begun + index / rate
    sent = 0
    turn = 0
    async with asyncio.TaskGroup() as group:
        while sent < total:
            due = min(total, int((time.perf_counter() - begun) * rate) + 1)
            while sent < due:
                last = min(due, sent + MAX_BATCH)
                group.create_task(post(session, urls[turn % len(urls)], tally, sent, last))
                turn += 1
                sent = last
            await asyncio.sleep(tick_s)
