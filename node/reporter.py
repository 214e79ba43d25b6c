"""What a validator's node tells the chain by itself, as transactions of its own account: readiness, reports, evidence.

The engine hands over what members signed; here it becomes a transaction in the own mempool. Every member that saw it
could send it, so each waits a little longer than the one before it in the queue, and sends nothing that the chain knows
by then. Readiness is shown once an epoch, as soon as the node stands on the epoch's first parent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consensus.council import Cause
from consensus.engine import EpochStart
from consensus.messages import Complaint
from contracts.library_sources import COUNCIL
from contracts.values import Value
from ledger.accounts import nonce_state
from ledger.certificates import Vote
from ledger.codec import encode
from ledger.crypto import SigningKey
from ledger.state import StateReader
from node.client_account import NONCE_REFUSALS, NonceSource, build_transaction
from node.clock import Clock
from node.council_side import InvalidReport, read_council
from node.evidence_side import evidence_argument
from node.ingress import Submitted
from node.log import Logger

TURN_S: Final = 0.25
LONGEST_TURNS: Final = 16
"""Whoever stands further back in the queue waits no longer than this one."""
TRIES: Final = 8
AGAIN_S: Final = 10.0
"""After this long a word that is in no block is sent again, and nonces begin with the lowest that the chain lacks."""
RECENT_MS: Final = 120_000
"""Who stands on an older block is catching up: what it would say is out of date."""


class Reports(Protocol):
    """What a driver hands over."""

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """Members signed that a leader's block is invalid."""

    def equivocation(self, first: Vote, second: Vote) -> None:
        """A member signed two votes that exclude each other."""


class Unheard:
    """Of nodes that have no account to speak by, and of engines that take no reports."""

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`."""

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks, by which account, through which door. `member`: the voting key that the account speaks for."""

    member: bytes
    account: SigningKey
    chain_id: str
    submit: Callable[[Sequence[bytes]], Awaitable[list[Submitted]]]


@dataclass(frozen=True, slots=True)
class _Word:
    """A call of `contract`, and whether the chain knows already what it says."""

    entry: str
    arguments: tuple[Value, ...]
    known: Callable[[], bool]


class CouncilReporter:
    """See the module; for engine `dpos`. `state` is the head's, `epoch` the one that the next block belongs to."""

    def __init__(
        self, voice: Voice, state: StateReader, epoch: Callable[[], EpochStart], clock: Clock, log: Logger
    ) -> None:
        self._voice = voice
        self._state = state
        self._epoch = epoch
        self._clock = clock
        self._log = log
        self._words: deque[_Word] = deque()
        self._wake = asyncio.Event()
        self._nonces = NonceSource()
        self._spoken_at = float("-inf")
        self._shown = (0, float("-inf"))

    # --- what is to be said -------------------------------------------------------------------------------------------

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`."""
        place = (complaints[0].epoch, complaints[0].view)
        argument = encode(InvalidReport(complaints))
        self._say(_Word("report_invalid", (argument,), lambda: place in read_council(self._state).reported))

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""
        self._say(_Word("evidence", (evidence_argument(first, second),), lambda: self._convicted(first)))

    def committed(self) -> None:
        """The head has moved: perhaps a new epoch."""
        self._wake.set()

    def _say(self, word: _Word) -> None:
        self._words.append(word)
        self._wake.set()

    def _convicted(self, vote: Vote) -> bool:
        council = read_council(self._state)
        members = council.committee(vote.epoch)
        if members is None:
            return True  # the epoch is over, nobody takes it any more
        culprit = members.validators[vote.signer].public_key
        return any(one.member == culprit and one.cause is Cause.EQUIVOCATION for one in council.bars)

    # --- saying it ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Speak, for ever."""
        while True:
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # look whether what was said has come into a block
            self._wake.clear()
            await self._show()
            while self._words:
                word = self._words.popleft()
                await asyncio.sleep(TURN_S * min(self._rank(), LONGEST_TURNS))
                await self._post(word)

    async def _show(self) -> None:
        """Say that this node stands on what the epoch stands on, once, and again if that was lost."""
        start, now = self._epoch(), asyncio.get_running_loop().time()
        said, at = self._shown
        if self._clock.now() - start.boundary.time_ms > RECENT_MS and start.boundary.height > 0:
            return
        if (said == start.epoch and now - at < AGAIN_S) or self._ready(start.epoch):
            return
        self._shown = (start.epoch, now)
        arguments: tuple[Value, ...] = (start.boundary.height, bytes(start.boundary_hash))
        await self._post(_Word("ready", arguments, lambda: self._ready(start.epoch)))

    def _ready(self, epoch: int) -> bool:
        return read_council(self._state).ready.get(self._voice.member, -1) >= epoch

    def _rank(self) -> int:
        """Place in the queue of this epoch; behind all others for who has no seat."""
        queue = read_council(self._state).queue
        keys = [seat.public_key for seat in queue]
        return keys.index(self._voice.member) if self._voice.member in keys else len(keys)

    async def _post(self, word: _Word) -> None:
        now = asyncio.get_running_loop().time()
        address = self._voice.account.address
        if now - self._spoken_at > AGAIN_S:
            self._nonces = NonceSource(nonce_state(self._state, address).lowest)
        self._spoken_at = now
        call = (COUNCIL, word.entry, word.arguments)
        for _ in range(TRIES):
            if word.known():
                return
            nonce = self._nonces.take()
            raw = build_transaction(self._voice.account, self._voice.chain_id, nonce, call)
            (answer,) = await self._voice.submit([raw])
            if answer.accepted:
                return
            if answer.code not in NONCE_REFUSALS:
                self._nonces.give_back(nonce)
                refused = {"entry": word.entry, "code": answer.code, "expected": answer.expected, "found": answer.found}
                self._log.warning("this node's own transaction was refused", **refused)
                return
            if answer.code == "NONCE_TOO_HIGH":
                self._nonces = NonceSource(nonce_state(self._state, address).lowest)
