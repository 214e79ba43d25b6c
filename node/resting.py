"""A region's chain that is over, for peers: who is behind fetches from it; nothing else on it has any effect."""

from __future__ import annotations

from node.peers import Peers
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.sync import Sync


class Resting:
    """In the place of the chain's `Peers` (`node.multiplexer.ChainHandler`), by which `sync` sends."""

    def __init__(self, peers: Peers, sync: Sync) -> None:
        self._sync = sync
        self.connect = peers.connect

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """See `PeerHandler`."""
        if channel is Channel.SYNC:
            self._sync.on_frame(peer, payload)

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        """See `PeerHandler`."""
        self._sync.server.announce(peer)

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """See `PeerHandler`."""
