"""What peers have sent and the node has not looked at yet: three lanes, handed to the handler by one task.

Frames are taken off the sockets at once but handled here, votes of all peers before blocks of any, blocks before
transactions; every `_SLICE_S` the loop gets its turn. A peer whose frames wait above `HOLD_BYTES` is not read from
until they are handled: the bound of this queue is the kernel's buffer, and nothing is dropped. Because a task hands
frames on, a broken invariant in the handler ends the node instead of a connection.

News of a peer comes before its frames: up first, and down only after what the peer had sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from p2p.frames import Channel
from p2p.outbox import LANE_OF, LANES
from p2p.peer import Peer

HOLD_BYTES: Final = 16 * 1024 * 1024
_SLICE_S: Final = 0.005

Item: TypeAlias = tuple[Peer, Channel, bytes]


class Inbox:
    """The frames of all peers on their way to the handler."""

    def __init__(
        self, deliver: Callable[[Peer, Channel, bytes], None], news: Callable[[Peer, str | None], None]
    ) -> None:
        self._deliver = deliver
        self._tell = news
        self._lanes: tuple[deque[Item], ...] = tuple(deque() for _ in range(LANES))
        self._news: deque[tuple[Peer, str | None]] = deque()
        self._ready = asyncio.Event()

    def put(self, peer: Peer, channel: Channel, payload: bytes) -> None:
        """Queue one frame."""
        self._lanes[LANE_OF[channel]].append((peer, channel, payload))
        peer.inbox_bytes += len(payload)
        self._ready.set()

    def up(self, peer: Peer) -> None:
        """Queue the news that a peer is there."""
        self._news.append((peer, None))
        self._ready.set()

    def down(self, peer: Peer, reason: str) -> None:
        """Queue the news that a peer is gone. Its frames are still handled before, unless it was dropped for a
        fault.
        """
        self._news.append((peer, reason))
        self._ready.set()

    async def run(self) -> None:
        """Hand over for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._ready.wait()
            self._ready.clear()
            until = loop.time() + _SLICE_S
            while self._step():
                if loop.time() > until:
                    self._ready.set()
                    await asyncio.sleep(0)
                    until = loop.time() + _SLICE_S

    def _step(self) -> bool:
        if self._news:
            peer, reason = self._news.popleft()
            if reason is not None and not peer.gone:
                self._finish(peer)
            self._tell(peer, reason)
            return True
        for lane in self._lanes:
            if lane:
                self._hand_over(*lane.popleft())
                return True
        return False

    def _hand_over(self, peer: Peer, channel: Channel, payload: bytes) -> None:
        peer.inbox_bytes -= len(payload)
        if not peer.gone:
            self._deliver(peer, channel, payload)
            if peer.inbox_bytes < HOLD_BYTES // 2:
                peer.link.resume_reading()

    def _finish(self, peer: Peer) -> None:
        """Handle what a peer that left had sent."""
        for lane in self._lanes:
            own = [item for item in lane if item[0] is peer]
            if own:
                others = [item for item in lane if item[0] is not peer]
                lane.clear()
                lane.extend(others)
                for item in own:
                    self._hand_over(*item)
