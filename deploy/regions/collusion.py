"""The last incident of the demo of regions: three of a region's four members lie together, and what becomes of that.

It begins when the day is settled and each region's chain is judged: the check of a chain follows one regional epoch,
and here a second one begins. The liars are wrong by a development switch of their nodes (`[dev] collude_when`). While
they lie, members of the region pay each other in a ring, so that there are transactions that the correction makes void,
and everybody has in the end what they had before. All that is told comes from the chains.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from contracts.library_sources import SHARDS
from deploy.audit import accounts, common_height, state_roots
from deploy.cluster import ClusterNode
from deploy.follow import Follower
from deploy.market.words import tokens
from deploy.regions.board import Board, false_in_words, offence_in_words
from deploy.regions.colluded import Colluded
from ledger.codec import decode
from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.errors import GridchainError
from ledger.objects import transaction_id
from ledger.succession import Opening, opening_key
from node.client import Account, Client, EventSeen
from node.client_account import NONCE_REFUSALS

COLLUDE: Final = "collude"
"""The file in a node's home that says when it lies."""
COLLUDERS: Final = 3
STEP_S: Final = 90.0
POLL_S: Final = 0.5
RING_S: Final = 1.0
PAYERS: Final = 3
TIMEOUT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Scene:
    """`nodes`: of the region, the honest one last; `payers`: keys of accounts of the region; `names`: of members, by
    their voting keys; `accomplices`: who is paid from nowhere."""

    region: str
    nodes: tuple[ClusterNode, ...]
    centres: tuple[ClusterNode, ...]
    payers: tuple[SigningKey, ...]
    accomplices: tuple[bytes, ...]
    names: Mapping[bytes, str]


@dataclass(frozen=True, slots=True)
class _Clients:
    """Of the global chain at each centre; of the region's chain at its members and at the centres; of the chain that
    ends, at the honest member."""

    centres: Sequence[Client]
    members: Sequence[Client]
    copies: Sequence[Client]
    ended: Client

    @property
    def hosts(self) -> list[Client]:
        """Of the region's chain, wherever it is."""
        return [*self.members, *self.copies]


@asynccontextmanager
async def _connected(scene: Scene) -> AsyncIterator[_Clients]:
    async with AsyncExitStack() as stack:

        async def opened(node: ClusterNode, chain: str) -> Client:
            return await stack.enter_async_context(Client.open(node.url, timeout_s=TIMEOUT_S, chain=chain))

        yield _Clients(
            [await opened(node, GLOBAL) for node in scene.centres],
            [await opened(node, scene.region) for node in scene.nodes],
            [await opened(node, scene.region) for node in scene.centres],
            await opened(scene.nodes[-1], f"{scene.region}.1"),
        )


async def collude(scene: Scene, board: Board, say: Callable[[str], None]) -> Colluded:
    """Play it; what is not as it should be is in `problems`, nothing is raised for it."""
    epilogue = _Epilogue(scene, board, say)
    try:
        async with _connected(scene) as clients:
            await epilogue.play(clients)
    except* GridchainError as group:
        for error in _single(group):
            epilogue.wrong(str(error))
    epilogue.judge()
    return epilogue.found


def _single(group: BaseExceptionGroup[GridchainError]) -> list[GridchainError]:
    """The errors of a group and of those in it."""
    found: list[GridchainError] = []
    for error in group.exceptions:
        found += _single(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


class _Epilogue:
    """See `collude`."""

    def __init__(self, scene: Scene, board: Board, say: Callable[[str], None]) -> None:
        self._scene = scene
        self._board = board
        self._say = say
        self._line = board.regions[scene.region]
        self.found = Colluded(scene.region, tuple(node.name for node in scene.nodes[:COLLUDERS]))
        self._started = time.monotonic()
        self._over = asyncio.Event()
        self._sent: list[bytes] = []
        self._nonces: list[int] = []
        self._began = 0

    # --- telling ------------------------------------------------------------------------------------------------------

    def wrong(self, text: str) -> None:
        """Something is not as it should be."""
        self.found.problems.append(f"the colluding region {self._scene.region}: {text}")
        self._tell(f"not as it should be: {text}")

    def _tell(self, text: str) -> None:
        line = f"+{time.monotonic() - self._started:4.1f} s  {text}"
        self.found.told.append(line)
        self._say(line)

    def _seen(self, event: EventSeen) -> None:
        """An event of the global chain since it began."""
        self._board.seen(event)
        found, data = self.found, event.data
        if event.contract != SHARDS or data.get("region") != self._scene.region:
            return
        if event.name == "Corrected":
            found.corrections += 1
            found.record, found.kind = int(data["seq"]), str(data["kind"])
            found.corrected_s = time.monotonic() - self._started
            self._tell(
                f"record {found.record} came to the global chain and is false ({false_in_words(found.kind)}): the "
                f"centres execute its blocks again and correct it, global block {event.height}."
            )
        elif event.name == "Fined":
            name, fine = self._scene.names[bytes.fromhex(data["member"][2:])], int(data["fine"])
            found.fined.append((name, str(data["offence"]), fine))
            self._tell(f"{name} loses {tokens(fine)} of its deposit for {offence_in_words(data['offence'])}.")
        elif event.name == "EpochOpened":
            found.epoch, found.reason = int(data["epoch"]), str(data["reason"])
            self._tell(f"{self._scene.region} begins anew, epoch {found.epoch}: {found.reason}.")
            self._over.set()

    async def _until(self, what: str, reached: Callable[[], Awaitable[bool]]) -> bool:
        """Ask until it is so; a process that opens its chains again does not answer. Whether it was in time."""
        try:
            async with asyncio.timeout(STEP_S):
                while True:
                    try:
                        if await reached():
                            return True
                    except GridchainError:
                        pass  # it is away for a second or two
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            self.wrong(f"{what}: not within {STEP_S:.0f} s")
            return False

    # --- the play -----------------------------------------------------------------------------------------------------

    async def play(self, clients: _Clients) -> None:
        """All of it."""
        scene, honest = self._scene, clients.members[-1]
        before = await accounts(honest, (await honest.status()).height)
        first = (await clients.centres[0].status()).height + 1
        follower = Follower(
            clients.centres, on_event=self._seen, on_outcome=lambda _: None, on_states=lambda _: None, first=first
        )
        payers = [honest.account(key) for key in await self._solvent(honest)]
        self._nonces = [(await honest.account_state(payer.address)).next_nonce for payer in payers]
        files = [node.layout.home / COLLUDE for node in scene.nodes[:COLLUDERS]]
        self._started = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(follower.run())
                paying = group.create_task(self._pay(honest, payers))
                for file in files:
                    file.touch()
                self._tell(
                    f"{', '.join(self.found.liars)} of {scene.region} pay themselves from nowhere: three of four are a "
                    f"quorum, so {scene.region} calls it final. {scene.nodes[-1].name} signs nothing of it."
                )
                if await self._corrected():
                    await paying
                    await self._anew(clients)
                    await self._as_before(clients, before, payers)
                    await self._goes_on(clients, payers)
                paying.cancel()
                following.cancel()
        finally:
            for file in files:
                file.unlink(missing_ok=True)

    async def _corrected(self) -> bool:
        """The global chain has corrected the region and opened its next epoch."""
        try:
            async with asyncio.timeout(STEP_S):
                await self._over.wait()
        except TimeoutError:
            self.wrong(f"no record of it was corrected within {STEP_S:.0f} s")
            return False
        return True

    async def _solvent(self, honest: Client) -> list[SigningKey]:
        """Some accounts that can pay."""
        found: list[SigningKey] = []
        for key in self._scene.payers:
            entry = await honest.view("token", "account", key.address)
            if isinstance(entry, dict) and entry["balance"] > 0 and not entry["debt"] and len(found) < PAYERS:
                found.append(key)
        if len(found) < 2:
            raise GridchainError(
                "nobody can pay anybody", code="NO_PAYERS", expected="two accounts with money and no debt",
                found=len(found), fix="choose other hours (--first-slot)",
            )  # fmt: skip
        return found

    async def _pay(self, honest: Client, payers: Sequence[Account]) -> None:
        """Each pays the next a micro-unit, the last one the first, again and again until the region begins anew."""
        while not self._over.is_set():
            ring = [
                await payer.sign("token", "transfer", [to.address, 1]) for payer, to in pairwise([*payers, payers[0]])
            ]
            raws = [raw for _, raw in ring]
            await self._until("transfers are taken", partial(self._taken, honest, raws))
            self._sent += map(transaction_id, raws)
            await asyncio.sleep(RING_S)
        self.found.transfers = len(self._sent)

    async def _taken(self, honest: Client, raws: Sequence[bytes]) -> bool:
        """Whether a process has taken them, now or before it opened its chains again."""
        answers = await honest.submit(raws)
        return all(one.accepted or one.code in NONCE_REFUSALS for one in answers)

    async def _anew(self, clients: _Clients) -> None:
        """Every process that hosts the region runs its next chain, voted on by whom the opening names."""
        found, since = self.found, time.monotonic()

        async def served() -> bool:
            stands = [(await client.status()).region_epoch for client in clients.hosts]
            self._began = max((0 if one is None else one.began for one in stands), default=0)
            return all(one is not None and (one.number, one.standing) == (found.epoch, "runs") for one in stands)

        if not await self._until("every member and centre serves the new chain", served):
            return
        found.served_s = time.monotonic() - since
        raw = (await clients.centres[0].state(opening_key(self._scene.region, found.epoch))).value
        if raw is None:
            self.wrong("the global chain's state has no opening of the new epoch")
            return
        opening = decode(Opening, bytes.fromhex(raw.removeprefix("0x")))
        found.chain_id = opening.chain_id
        found.voters = tuple(one.name for one in opening.opened.members)
        self._tell(
            f"{len(clients.hosts)} processes serve the new chain {found.served_s:.1f} s later: {found.chain_id}, "
            f"height {self._began}; its set: {', '.join(found.voters)}."
        )

    async def _as_before(self, clients: _Clients, before: Mapping[bytes, int], payers: Sequence[Account]) -> None:
        """Void transactions are in blocks again, each once, and everybody has what they had."""
        found, honest = self.found, clients.members[-1]
        after: dict[bytes, int] = {}

        async def entered() -> bool:
            nonces = [(await honest.account_state(payer.address)).next_nonce for payer in payers]
            after.clear()  # read behind the nonces: no transfer is missing there that they count
            after.update(await accounts(honest, (await honest.status()).height))
            sent = len(self._sent) // len(payers)
            return all(nonce >= first + sent for nonce, first in zip(nonces, self._nonces, strict=True))

        await self._until("all transfers are in blocks again", entered)
        for identity in self._sent:
            receipt = await clients.ended.receipt(identity)
            if receipt is not None and receipt.height >= self._began:
                found.void += 1
                found.again += await honest.receipt(identity) is not None
        found.claimed = await self._held(clients.ended)
        found.left = await self._held(honest)
        everybody = sorted(before.keys() | after.keys())
        found.accounts = len(everybody)
        found.changed = sum(before.get(one, 0) != after.get(one, 0) for one in everybody)
        self._tell(
            f"{found.void} of {found.transfers} transfers were in blocks that are void; {found.again} of these are in "
            f"blocks of the new chain."
        )
        self._tell(
            f"{found.accounts - found.changed} of {found.accounts} accounts have to the micro-unit what they had "
            f"before; the accomplices, who had {tokens(found.claimed)} on the chain that ended, have "
            f"{tokens(found.left)}."
        )

    async def _held(self, client: Client) -> int:
        """What the accomplices hold on a chain."""
        rows = [await client.view("token", "account", one) for one in self._scene.accomplices]
        return sum(row["balance"] for row in rows if isinstance(row, dict))

    async def _goes_on(self, clients: _Clients, payers: Sequence[Account]) -> None:
        """A transfer by an honest member is final at every host, the global chain confirms it, all states are one."""
        found, started = self.found, time.monotonic()
        identity = await payers[0].send("token", "transfer", [payers[1].address, 1])

        async def final() -> bool:
            receipts = [await client.receipt(identity) for client in clients.hosts]
            return all(receipt is not None and receipt.ok for receipt in receipts)

        async def confirmed() -> bool:
            return self._line.records > found.record

        if not await self._until("a new transfer is final on the new chain", final):
            return
        found.final_s = time.monotonic() - started
        if not await self._until("the global chain confirms a record of the new chain", confirmed):
            return
        names = [node.name for node in (*self._scene.nodes, *self._scene.centres)]
        height = await common_height(clients.hosts, self._began, STEP_S)
        rows = await state_roots(clients.hosts, names, height)
        if len({row.state_root for row in rows}) != 1:
            self.wrong(f"state roots at height {height} of the new chain differ")
        self._tell(
            f"a new transfer is final at all {len(rows)} processes after {found.final_s:.1f} s, and the global chain "
            f"has confirmed record {self._line.records} of the new chain (height {height})."
        )
        for client in clients.hosts:
            stopped = (await client.status()).stopped_reason
            if stopped:
                self.wrong(f"{client.url} has stopped: {stopped}")

    def judge(self) -> None:
        """What is not as it should be, of what was found."""
        found = self.found
        fined = sorted(name for name, _, fine in found.fined if fine > 0)
        for so, text in (
            (found.corrections >= 1, "nothing was corrected"),
            (fined == sorted(found.liars), f"fined are {fined}, and {list(found.liars)} have signed"),
            (found.reason.startswith("corrected"), f"it began anew for another reason: {found.reason}"),
            (found.served_s is not None, "not every process serves the new chain"),
            (found.claimed > 0, "no money from nowhere was on the chain that ended"),
            (found.left == 0, f"the accomplices have {tokens(found.left)}"),
            (found.transfers > 0 and found.again == found.void, f"{found.void - found.again} transfers are lost"),
            (found.accounts > 0 and found.changed == 0, f"{found.changed} accounts have not what they had"),
            (found.final_s is not None, "no new transfer is final"),
        ):
            if not so:
                self.wrong(text)
