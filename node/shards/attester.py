"""What an assigned centre says of a record that waits (`audit = assigned`): the root that its own copy has after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from consensus.sharded.global_chain import attestation_bytes
from consensus.sharded.global_state import Attestation
from contracts.library_sources import SHARDS
from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.crypto import Hash
from ledger.state import StateReader
from node.log import Logger
from node.shards.global_side import GlobalSide
from node.shards.global_store import read_region
from node.speaker import Speaker, Voice, Word
from node.tasks import Tasks

AGAIN_S: Final = 2.0
"""A copy that was behind is looked at again."""
REPEAT_S: Final = 15.0
"""What state does not show of this centre by then was lost or refused, and is said again."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a centre reads, signs and sends. `own`: the global chain; `state`: its committed state; `on_ledger`: run on
    the ledger thread; `sign`: under the centre's voting key; `voice`: its account on the global chain."""

    own: ChainStore
    state: StateReader
    side: GlobalSide
    on_ledger: Callable[[Callable[[], list[tuple[Hash, Hash]]]], Awaitable[list[tuple[Hash, Hash]]]]
    sign: Callable[[bytes], bytes]
    voice: Voice
    log: Logger


class Attester:
    """See the module."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._speaker = Speaker(bench.voice, bench.state, lambda: (bench.voice.member,), bench.log)
        self._said: dict[bytes, float] = {}
        self._moved = asyncio.Event()

    def wake(self) -> None:
        """A chain of this process has committed."""
        self._moved.set()

    def start(self, tasks: Tasks) -> None:
        """Go to work."""
        tasks.spawn(self._attest(), name="attester")
        tasks.spawn(self._speaker.run(lambda: None), name="attestations")

    async def _attest(self) -> None:
        bench, member = self._bench, self._bench.voice.member
        while True:
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._moved.wait()
            except TimeoutError:
                pass  # a copy may have caught up
            self._moved.clear()
            found = await bench.on_ledger(lambda: bench.side.to_attest(bench.own.state(), member))
            now = asyncio.get_running_loop().time()
            for record, root in found:
                if now - self._said.get(record, float("-inf")) < REPEAT_S:
                    continue
                self._said.pop(record, None)
                self._said[record] = now
                signature = bench.sign(attestation_bytes(record, root))
                word = encode(Attestation(record, root, member, signature))
                self._speaker.say(Word(SHARDS, "attest", (word,), self._settled(record)))
            while len(self._said) > 1_024:
                del self._said[next(iter(self._said))]

    def _settled(self, record: Hash) -> Callable[[], bool]:
        """Whether nobody waits for this record any more."""
        bench = self._bench

        def known() -> bool:
            views = [read_region(bench.state, view.name) for view in bench.side.rules.first.regions]
            pending = [view.pending for view in views if view is not None and view.pending is not None]
            return all(one.publication.record.id != record for one in pending)

        return known
