"""A development switch: frames to and from some nodes are dropped in both directions, as a broken link would.

`[dev] severed` names a file in the node's home. While it is there, every organisation that it names (one a line) is out
of reach: connections stay, nothing arrives. So a test or the demo cuts a region off and joins it again without touching
the host's network.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ledger.errors import PeerFault
from ledger.genesis import Genesis
from node.peers import Links
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.refusals import Refusal
from p2p.settings import PeerHandler

LOOK_S: Final = 0.2


class Severed:
    """Which nodes are out of reach now; `watch` looks at the file."""

    def __init__(self, genesis: Genesis, file: Path) -> None:
        self._file = file
        self._nodes = {PeerId(member.node_id): member.organisation for member in genesis.members if member.node_key}
        self._away: frozenset[str] = frozenset()

    def out_of_reach(self, peer: PeerId) -> bool:
        """Whether nothing passes between this node and a peer."""
        return bool(self._away) and self._nodes.get(peer, "") in self._away

    async def watch(self) -> None:
        """Read the file whenever it may have changed, for ever."""
        while True:
            self._away = await asyncio.to_thread(_names, self._file)
            await asyncio.sleep(LOOK_S)


def _names(file: Path) -> frozenset[str]:
    try:
        return frozenset(file.read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()


class SeveredLinks:
    """`Links` that lose what goes to nodes out of reach."""

    def __init__(self, links: Links, severed: Severed) -> None:
        self._links = links
        self._severed = severed

    @property
    def full_mesh(self) -> bool:
        """See `Links`."""
        return self._links.full_mesh

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        """See `Links`; what is lost counts as sent."""
        return self._severed.out_of_reach(peer) or self._links.send(peer, channel, payload)

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        """See `Links`."""
        for info in self._links.peers():
            self.send(info.id, channel, payload)

    def peers(self) -> list[PeerInfo]:
        """See `Links`: those within reach."""
        return [info for info in self._links.peers() if not self._severed.out_of_reach(info.id)]

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        """See `Links`."""
        self._links.disconnect(peer, fault)

    def refusals(self) -> list[Refusal]:
        """See `Links`."""
        return self._links.refusals()

    def known_addresses(self) -> list[bytes]:
        """See `Links`."""
        return self._links.known_addresses()


class SeveredHandler:
    """A `PeerHandler` that does not hear nodes out of reach."""

    def __init__(self, handler: PeerHandler, severed: Severed) -> None:
        self._handler = handler
        self._severed = severed
        self.on_peer_up = handler.on_peer_up
        self.on_peer_down = handler.on_peer_down

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """See `PeerHandler`."""
        if not self._severed.out_of_reach(peer):
            self._handler.on_frame(peer, channel, payload)
