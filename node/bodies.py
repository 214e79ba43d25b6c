"""From a proposal's ids to a full body.

A transaction is *here* if it waits in the mempool or came with the proposal or a `BodyResponse`. One whose signature is
being checked counts as present: the assembly waits for it. An unknown one may still come by gossip: it is waited for
`PATIENCE_MS`, then reported missing, and the engine asks the leader and the notarizers for it.

Of a large block the names are short (`consensus.compact`): two waiting transactions of one short name are none, and
that position is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from consensus.compact import Names
from consensus.engine import BODY_MISMATCH, Check
from consensus.messages import Part, Proposal
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import BODY_VERSION, Body, Transaction
from node.ingress import Ingress
from node.mempool import Mempool

PATIENCE_MS: Final = 150
VERIFICATION_PATIENCE_MS: Final = 5_000
SHORTEN_AT_ONCE: Final = 2_000
"""Ids shortened in one go: about 2 ms of the loop."""


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
        return await self._compact(check.proposal, check.hash, check.parts)

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

    async def _compact(self, proposal: Proposal, block_hash: Hash, parts: Sequence[Part]) -> Assembly:
        names = Names(proposal, block_hash)
        if len(set(names.all)) != len(names):
            return Broken(BODY_MISMATCH)
        found: dict[int, Transaction] = {}
        supplied = [part for part in (*proposal.prefill, *parts) if names.fits(part.index, part.transaction)]
        if supplied:
            verified = await self._ingress.verify([part.transaction for part in supplied])
            if verified is None:
                return Broken(BODY_MISMATCH)  # the ids are not signed: judge the whole body instead
            found.update(zip((part.index for part in supplied), verified, strict=True))
        search: Search = _ByShortName(names, self._mempool, self._ingress)
        if not names.short:
            search = _ById(names, self._mempool, self._ingress)
        missing = await self._wait_for(search, len(names), found)
        if missing:
            return Lacking(tuple(missing))
        return Complete(tuple(found[index] for index in range(len(names))), proposal.extra)

    async def _wait_for(self, search: Search, count: int, found: dict[int, Transaction]) -> list[int]:
        """Fill `found` from the mempool, with patience; return the positions that are not here."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        missing = [index for index in range(count) if index not in found]
        while True:
            changed = self._ingress.changed()
            await search.refresh()
            missing = [index for index in missing if not _found(search, index, found)]
            if not missing:
                return []
            checking = search.checking(missing)
            patience = VERIFICATION_PATIENCE_MS if checking else PATIENCE_MS
            left = begun + patience / 1_000 - loop.time()
            if left <= 0:
                return missing
            try:
                async with asyncio.timeout(left):
                    await asyncio.shield(changed)
            except TimeoutError:
                continue


class Search(Protocol):
    """Looks for a proposal's transactions among those that wait."""

    async def refresh(self) -> None:
        """Take note of what has come since the last look."""

    def find(self, index: int) -> Transaction | None:
        """The transaction at a position, None if it is not here or not sure."""

    def checking(self, missing: Sequence[int]) -> bool:
        """Whether one of these is being checked."""


class _ById:
    def __init__(self, names: Names, mempool: Mempool, ingress: Ingress) -> None:
        self._names = names
        self._mempool = mempool
        self._ingress = ingress

    async def refresh(self) -> None:
        pass  # the mempool itself finds ids

    def find(self, index: int) -> Transaction | None:
        return self._mempool.get(self._names.id_at(index))

    def checking(self, missing: Sequence[int]) -> bool:
        return any(self._ingress.pending(self._names.id_at(index)) for index in missing)


class _ByShortName:
    """`_named`: ids that wait, by their short names in this block; None for a name that two of them have."""

    def __init__(self, names: Names, mempool: Mempool, ingress: Ingress) -> None:
        self._names = names
        self._mempool = mempool
        self._ingress = ingress
        self._seen: set[Hash] = set()
        self._named: dict[bytes, Hash | None] = {}

    async def refresh(self) -> None:
        fresh = [id for id in self._mempool.ids() if id not in self._seen]
        for begin in range(0, len(fresh), SHORTEN_AT_ONCE):
            for id in fresh[begin : begin + SHORTEN_AT_ONCE]:
                name = self._names.of(id)
                self._named[name] = None if name in self._named else id
            await asyncio.sleep(0)
        self._seen.update(fresh)

    def find(self, index: int) -> Transaction | None:
        id = self._named.get(self._names.all[index])
        return None if id is None else self._mempool.get(id)

    def checking(self, missing: Sequence[int]) -> bool:
        wanted = {self._names.all[index] for index in missing}
        return any(self._names.of(id) in wanted for id in self._ingress.checking())


def _found(search: Search, index: int, found: dict[int, Transaction]) -> bool:
    transaction = search.find(index)
    if transaction is None:
        return False
    found[index] = transaction
    return True
