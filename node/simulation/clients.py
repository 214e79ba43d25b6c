"""Clients of a simulated world: a treasury that pays out, and people who pay each other, by signed calls of `token`.

A client gives a transaction to one node until that node has accepted it, sometimes to a second one too, and is content.
It asks again only when the life that had accepted it has ended, because that life's mempool is gone. So a transaction
that an honest node has accepted and not lost must get into a block without anybody's help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from consensus.simulator.generator import Generator
from contracts.values import Value, encode_value
from ledger.crypto import Hash, SigningKey
from ledger.objects import TransactionBody, sign_transaction, transaction_id
from node.ingress import Submitted
from node.node import Node
from node.simulation.auditor import NodeAuditor
from node.simulation.founding import TREASURY, key_of

PEOPLE: Final = 6
PAID_OUT: Final = 100_000
ANSWER_S: Final = 3.0
AGAIN_S: Final = 0.5
SECOND_PPM: Final = 200_000
QUIET_LOAD_MS: Final = 150
_GAS: Final = 1_000_000
_ELSEWHERE: Final = frozenset({"NONCE_USED", "NONCE_TOO_HIGH", "DUPLICATE", ""})
"""Answers that are no fault: it is final, or the node asked is behind; or it was taken."""


class Lives(Protocol):
    """Where clients find nodes."""

    def nodes(self) -> list[tuple[int, int, Node]]:
        """(index, number of the life, node) of those that serve."""

    def lives(self, index: int, life: int) -> bool:
        """Whether that life goes on."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """Whom a client has seen accept a transaction."""

    index: int
    life: int


class Clients:
    """All clients. `submitted`: every transaction, and how many are not in a block yet is `waiting()`."""

    def __init__(self, chain_id: str, lives: Lives, auditor: NodeAuditor, chance: Generator) -> None:
        self._chain_id = chain_id
        self._lives = lives
        self._auditor = auditor
        self._chance = chance
        self._people = [key_of("person", index) for index in range(PEOPLE)]
        self._treasury = key_of(TREASURY)
        self._nonces: dict[bytes, int] = {}
        self.submitted: list[Hash] = []
        self.latest = b""
        self.loading = True
        self.hurry = asyncio.Event()

    def waiting(self) -> int:
        """Transactions that are in no durable block."""
        return sum(1 for id in self.submitted if id not in self._auditor.included)

    async def run(self, mean_ms: Callable[[], int]) -> None:
        """Bring work as long as `loading`, every `mean_ms()` on average; return when all is in a block."""
        async with asyncio.TaskGroup() as group:
            for number, person in enumerate(self._people):
                paid: list[Value] = [person.address, PAID_OUT, f"bank {number}"]
                group.create_task(self._bring(self._signed(self._treasury, "deposit", paid)))
            while self.loading:
                await self._pause((1 + self._chance.exponential(mean_ms())) / 1_000)
                if self.loading:
                    group.create_task(self._bring(self._transfer()))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the moment in which the load changes."""
        if self.hurry.is_set():
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hurry.wait()

    def _transfer(self) -> bytes:
        sender, receiver = self._chance.choose(self._people), self._chance.choose(self._people)
        if receiver is sender:
            receiver = self._treasury
        amount = self._chance.log_uniform(1, 2 * PAID_OUT)  # now and then more than there is
        return self._signed(sender, "transfer", [receiver.address, amount])

    def _signed(self, key: SigningKey, entry: str, arguments: list[Value]) -> bytes:
        nonce = self._nonces.get(key.address, 0)
        self._nonces[key.address] = nonce + 1
        body = TransactionBody(1, self._chain_id, key.public, nonce, "token", entry, encode_value(arguments), _GAS)
        raw = sign_transaction(body, key)
        self.submitted.append(transaction_id(raw))
        self.latest = raw
        return raw

    async def _bring(self, raw: bytes) -> None:
        """Bring one transaction into a block."""
        id = transaction_id(raw)
        holders: list[_Sent] = []
        while id not in self._auditor.included:
            holders = [one for one in holders if self._lives.lives(one.index, one.life)]
            if not holders:
                holders = await self._offer(raw)
            await asyncio.sleep(AGAIN_S)

    async def _offer(self, raw: bytes) -> list[_Sent]:
        nodes = self._lives.nodes()
        if not nodes:
            return []
        first = self._chance.below(len(nodes))
        chosen = [nodes[first]]
        if self._chance.chance(SECOND_PPM):
            chosen.append(nodes[self._chance.below(len(nodes))])
        holders: list[_Sent] = []
        for index, life, node in chosen:
            if await self._submit(index, node, raw):
                holders.append(_Sent(index, life))
        return holders

    async def _submit(self, index: int, node: Node, raw: bytes) -> bool:
        """Whether a node has accepted; one that is gone gives no answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                answer: Submitted = (await node.submit([raw]))[0]
        except TimeoutError:
            return False
        self._auditor.trace(b"s", index, answer.accepted, answer.code.encode())
        if answer.code not in _ELSEWHERE:
            self._auditor.violation("client", index, f"a valid transaction was refused: {answer.code} {answer.found}")
        return answer.accepted
