"""What a region's member does for its region at the global chain: publishes records, and looks for lottery tickets.

Runs on the loop beside both chains of the process. A record is signed behind the guard, durable before it leaves, and
sent as a transaction of the member's own account. Tickets are searched in a thread, a few milliseconds at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from consensus.sharded.lottery import LotteryRules, next_lottery
from consensus.sharded.records import RegionRecord
from consensus.sharded.turns import Lottery, Ticket, search_ticket
from contracts.library_sources import SHARDS
from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.objects import header_hash
from ledger.state import StateReader
from node.application import next_committee
from node.log import Logger
from node.metrics import Metrics
from node.shards.agent import Agent, Draft
from node.shards.global_store import read_member
from node.shards.region_side import RegionSide
from node.shards.region_state import read_progress
from node.signer import GuardRefused
from node.speaker import Speaker, Voice, Word
from node.tasks import Tasks

TICK_S: Final = 0.25
"""How often waiting records are looked at; without one, eight times as long."""
SETTLE_S: Final = 2.0
PIECE: Final = 1_500
"""Nonces of one piece of the search, about 5 ms."""
REST_S: Final = 0.02
AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Posts:
    """Where the courier reads, signs and sends. `own`: the region's chain; `centres`: the global chain's state as
    committed here; `on_ledger`: run on the ledger thread; `voice`: the member's account on the global chain;
    `lie_about`: this member lies from this seq on until it is punished, for demonstrations; 0 for never."""

    own: ChainStore
    centres: StateReader
    side: RegionSide
    on_ledger: Callable[[Callable[[], None]], Awaitable[None]]
    sign: Callable[[RegionRecord, bytes], Awaitable[bytes]]
    voice: Voice
    log: Logger
    metrics: Metrics
    lie_about: int = 0


class Courier:
    """See the module."""

    def __init__(self, posts: Posts) -> None:
        rules = posts.side.rules
        self._posts = posts
        colludes = posts.side.collusion is not None
        self._agent = Agent(rules, posts.voice.member, posts.lie_about, colludes=colludes)
        self._speaker = Speaker(posts.voice, posts.centres, lambda: (posts.voice.member,), posts.log)
        self._moved = asyncio.Event()

    def wake(self) -> None:
        """One of the two chains has committed."""
        self._moved.set()

    def start(self, tasks: Tasks) -> None:
        """Go to work."""
        tasks.spawn(self.publish(), name="agent")
        tasks.spawn(self.speak(), name="courier")
        tasks.spawn(self.search(), name="lottery")

    async def speak(self) -> None:
        """Send what is to be sent, for ever."""
        await self._speaker.run(lambda: None)

    # --- records ------------------------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Publish this member's turns, for ever."""
        loop = asyncio.get_running_loop()
        settled = loop.time()
        while True:
            try:
                async with asyncio.timeout(TICK_S if self._agent.waits else 8 * TICK_S):
                    await self._moved.wait()
            except TimeoutError:
                pass  # a delay may have passed
            self._moved.clear()
            await self._publish_due(int(loop.time() * 1_000))
            if loop.time() - settled > SETTLE_S:
                settled = loop.time()
                await self._posts.on_ledger(self._settle)

    def _settle(self) -> None:
        self._posts.side.settle(self._posts.own.state())

    async def _publish_due(self, now_ms: int) -> None:
        posts = self._posts
        with posts.own.view() as own:
            drafts = self._agent.due(own, posts.centres, now_ms)
        if self._agent.hasty and self._caught():
            self._agent.hasty = 0
        for draft in drafts:
            lies = 0 < self._agent.hasty <= draft.record.seq
            if lies:
                draft = _lie(draft)
            try:
                signature = await posts.sign(draft.record, draft.statement)
            except GuardRefused as refused:
                posts.log.error("a regional record is not published", **refused.as_dict())
                return
            record, raw = draft.record, encode(draft.signed(signature))
            posts.log.info("regional record published", region=record.region, seq=record.seq, id=record.id.hex())
            self._speaker.say(Word(SHARDS, "submit", (raw,), self._known(record)))

    def _caught(self) -> bool:
        """Whether the global chain has punished this member."""
        return read_member(self._posts.centres, self._posts.voice.member).bar is not None

    def _known(self, record: RegionRecord) -> Callable[[], bool]:
        return lambda: self._agent.entered(self._posts.centres, record)

    # --- tickets ------------------------------------------------------------------------------------------------------

    async def search(self) -> None:
        """Look for a ticket of each epoch's lottery, for ever. It goes into the blocks that this member leads."""
        side = self._posts.side
        while side.rules.work:
            lottery = self._lottery()
            if lottery is None or any(ticket.epoch == lottery.epoch for ticket in side.tickets):
                await asyncio.sleep(AGAIN_S)
                continue
            ticket = await self._search(lottery)
            if ticket is not None:
                side.tickets = (ticket,)

    async def _search(self, lottery: Lottery) -> Ticket | None:
        """Search piece by piece until a ticket is found, or another lottery runs."""
        begun = asyncio.get_running_loop().time()
        first = 0
        while True:
            ticket = await asyncio.to_thread(self._piece, lottery, first)
            first += PIECE
            if ticket is not None:
                self._posts.log.info(
                    "lottery ticket found", epoch=lottery.epoch, nonces=first,
                    seconds=round(asyncio.get_running_loop().time() - begun, 3),
                )  # fmt: skip
                return ticket
            await asyncio.sleep(REST_S)
            if first % (64 * PIECE) == 0 and self._lottery() != lottery:
                return None

    def _piece(self, lottery: Lottery, first: int) -> Ticket | None:
        begun = time.thread_time()
        ticket = search_ticket(lottery, self._posts.voice.member, first, PIECE)
        self._posts.metrics.spent("tickets", time.thread_time() - begun, PIECE)
        return ticket

    def _lottery(self) -> Lottery | None:
        """What members mine for now; None before the first block of an epoch says it."""
        rules = self._posts.side.rules
        with self._posts.own.view() as own:
            progress = read_progress(own.state)
            members = tuple(member.public_key for member in next_committee(own.state).validators)
        if progress.lottery.epoch == 0 or self._posts.voice.member not in members:
            return None
        return next_lottery(LotteryRules(rules.chain_id, rules.region, members, rules.work), progress.lottery)


def _lie(draft: Draft) -> Draft:
    """The record with another result than the region certified (`[dev] lie_about_record`)."""
    record = msgspec.structs.replace(draft.record, post_root=bytes(header_hash(draft.section)))
    return replace(draft, record=record)
