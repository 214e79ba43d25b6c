"""From a proposal's ids to a full body.

A transaction is *here* if it waits in the mempool or came with the proposal or a `BodyResponse`. One whose signature is
being checked counts as present: the assembly waits for it. An unknown one may still come by gossip: it is waited for
`PATIENCE_MS`, then reported missing, and the engine asks the leader and the notarizers for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from consensus.engine import BODY_MISMATCH, Check
from consensus.messages import Part, Proposal
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import BODY_VERSION, Body, Transaction, transaction_id
from node.ingress import Ingress
from node.mempool import Mempool

PATIENCE_MS: Final = 150
VERIFICATION_PATIENCE_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Complete:
    """Every transaction of the body, in order, each with a checked signature."""

    transactions: tuple[Transaction, ...]
    extra: bytes


@dataclass(frozen=True, slots=True)
class Lacking:
    """Positions that nobody here has."""

    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The body is invalid whatever the state is: a pure function of its bytes."""

    reason: str


Assembly: TypeAlias = Complete | Lacking | Broken


class Bodies:
    """Assembles bodies from what the node has."""

    def __init__(self, mempool: Mempool, ingress: Ingress) -> None:
        self._mempool = mempool
        self._ingress = ingress

    async def assemble(self, check: Check) -> Assembly:
        """The body that `check` is about."""
        if check.block is not None:
            return await self._whole(check.block.body_bytes)
        if check.proposal is None:
            return Broken("NO_BODY")
        return await self._compact(check.proposal, check.parts)

    async def _whole(self, raw: bytes) -> Assembly:
        try:
            body = decode(Body, raw)
        except DecodeError as error:
            return Broken(f"BODY_{error.code}")
        if body.version != BODY_VERSION:
            return Broken("BODY_VERSION")
        transactions = await self._ingress.verify(body.transactions)
        if transactions is None:
            return Broken("BAD_TRANSACTION")
        return Complete(tuple(transactions), body.extra)

    async def _compact(self, proposal: Proposal, parts: Sequence[Part]) -> Assembly:
        ids = [Hash(id) for id in proposal.transaction_ids]
        if len(set(ids)) != len(ids):
            return Broken(BODY_MISMATCH)
        found: dict[int, Transaction] = {}
        supplied = [
            part
            for part in (*proposal.prefill, *parts)
            if part.index < len(ids) and transaction_id(part.transaction) == ids[part.index]
        ]
        if supplied:
            verified = await self._ingress.verify([part.transaction for part in supplied])
            if verified is None:
                return Broken(BODY_MISMATCH)  # the ids are not signed: judge the whole body instead
            found.update(zip((part.index for part in supplied), verified, strict=True))
        missing = await self._wait_for(ids, found)
        if missing:
            return Lacking(tuple(missing))
        return Complete(tuple(found[index] for index in range(len(ids))), proposal.extra)

    async def _wait_for(self, ids: list[Hash], found: dict[int, Transaction]) -> list[int]:
        """Fill `found` from the mempool, with patience; return the positions that are not here."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        missing = [index for index in range(len(ids)) if index not in found]
        while True:
            changed = self._ingress.changed()
            missing = [index for index in missing if not self._find(ids, index, found)]
            if not missing:
                return []
            checking = any(self._ingress.pending(ids[index]) for index in missing)
            patience = VERIFICATION_PATIENCE_MS if checking else PATIENCE_MS
            left = begun + patience / 1_000 - loop.time()
            if left <= 0:
                return missing
            try:
                async with asyncio.timeout(left):
                    await asyncio.shield(changed)
            except TimeoutError:
                continue

    def _find(self, ids: list[Hash], index: int, found: dict[int, Transaction]) -> bool:
        transaction = self._mempool.get(ids[index])
        if transaction is None:
            return False
        found[index] = transaction
        return True
