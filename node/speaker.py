"""How a validator's node speaks to its chain: transactions of its own account, said until the chain knows them.

Whoever wants something said hands over a `Word`. Every member that saw it could say it, so each waits a little longer
than the one before it in the order of the committee, and says nothing that the chain knows by then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.values import Value
from ledger.accounts import nonce_state
from ledger.crypto import SigningKey
from ledger.state import StateReader
from node.client_account import NONCE_REFUSALS, NonceSource, build_transaction
from node.ingress import Submitted
from node.log import Logger

TURN_S: Final = 0.25
LONGEST_TURNS: Final = 16
"""Whoever stands further back in the queue waits no longer than this one."""
TRIES: Final = 8
AGAIN_S: Final = 10.0
"""After this long a word that is in no block is sent again, and nonces begin with the lowest that the chain lacks."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks, by which account, through which door. `member`: the voting key that the account speaks for."""

    member: bytes
    account: SigningKey
    chain_id: str
    submit: Callable[[Sequence[bytes]], Awaitable[list[Submitted]]]


@dataclass(frozen=True, slots=True)
class Word:
    """A call, and whether the chain knows already what it says."""

    contract: str
    entry: str
    arguments: tuple[Value, ...]
    known: Callable[[], bool]


class Speaker:
    """See the module. `state`: the head's. `queue`: voting keys of the committee, first speakers first."""

    def __init__(self, voice: Voice, state: StateReader, queue: Callable[[], Sequence[bytes]], log: Logger) -> None:
        self._voice = voice
        self._state = state
        self._queue = queue
        self._log = log
        self._words: deque[Word] = deque()
        self._wake = asyncio.Event()
        self._nonces = NonceSource()
        self._spoken_at = float("-inf")

    def say(self, word: Word) -> None:
        """Have something said, in turn."""
        self._words.append(word)
        self._wake.set()

    def wake(self) -> None:
        """Look now whether there is something to say."""
        self._wake.set()

    async def run(self, first: Callable[[], Word | None]) -> None:
        """Speak, for ever. `first`: what is to be said at once whenever the speaker wakes, and every `AGAIN_S`."""
        while True:
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # look whether what was said has come into a block
            self._wake.clear()
            urgent = first()
            if urgent is not None:
                await self._post(urgent)
            while self._words:
                word = self._words.popleft()
                await asyncio.sleep(TURN_S * min(self._rank(), LONGEST_TURNS))
                await self._post(word)

    def _rank(self) -> int:
        """Place in the queue; behind all others for who has no seat."""
        keys = self._queue()
        return keys.index(self._voice.member) if self._voice.member in keys else len(keys)

    async def _post(self, word: Word) -> None:
        now = asyncio.get_running_loop().time()
        address = self._voice.account.address
        if now - self._spoken_at > AGAIN_S:
            self._nonces = NonceSource(nonce_state(self._state, address).lowest)
        self._spoken_at = now
        call = (word.contract, word.entry, word.arguments)
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
