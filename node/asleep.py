"""A region's chain that was over long ago: its files are closed until a peer that is behind asks, and again afterwards.

A region may begin anew any number of times, and every node keeps all chains of its line for those who missed some. An
open database costs memory and files whether anybody asks or not; so only the newest that are over stay open, for the
API too (`node.regional_epochs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ledger.chain import ChainStore
from ledger.errors import StoreError
from ledger.store import Store
from node.chains import HostedChain, Place
from node.log import Logger
from node.peers import ChainSource, Links
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.sync_messages import SyncRequest, decode_sync
from p2p.sync_server import SyncServer

AWAKE_S: Final = 30.0
"""How long the files stay open after the last question."""


class Asleep:
    """In the place of the chain's `Peers` (`node.multiplexer.ChainHandler`). `open_store`: opens its database."""

    def __init__(self, hosted: HostedChain, open_store: Callable[[], Store], log: Logger) -> None:
        self._hosted = hosted
        self._open_store = open_store
        self._log = log
        self._links: Links | None = None
        self._open: tuple[Store, ChainStore] | None = None
        self._closing: asyncio.TimerHandle | None = None

    @property
    def place(self) -> Place:
        """Which chain of the network this is."""
        return self._hosted.place

    @property
    def awake(self) -> bool:
        """Whether its files are open."""
        return self._open is not None

    def connect(self, network: Links) -> None:
        """See `ChainHandler`."""
        self._links = network

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """See `PeerHandler`: questions alone are answered. A database that cannot be opened is no fault of the peer."""
        message = decode_sync(payload) if channel is Channel.SYNC else None
        if not isinstance(message, SyncRequest):
            return
        try:
            SyncServer(ChainSource(self._chain()), self._send).on_request(peer, message)
        except (StoreError, OSError) as error:
            self._log.warning("a chain that is over cannot be read", chain=self.place.directory, error=str(error))

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        """See `PeerHandler`: who is behind asks by itself."""

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """See `PeerHandler`."""

    def close(self) -> None:
        """Close the files, if they are open."""
        opened, self._open = self._open, None
        if self._closing is not None:
            self._closing.cancel()
        if opened is not None:
            store, chain = opened
            chain.boundaries.close()
            store.close()

    def _chain(self) -> ChainStore:
        """The chain, open for a while from now on."""
        if self._open is None:
            store = self._open_store()
            try:
                self._open = store, ChainStore.open(store, self._hosted.genesis)
            except BaseException:
                store.close()
                raise
            self._log.info("a chain that is over is read", chain=self.place.directory)
        if self._closing is not None:
            self._closing.cancel()
        self._closing = asyncio.get_running_loop().call_later(AWAKE_S, self.close)
        return self._open[1]

    def _send(self, peer: PeerId, payload: bytes) -> bool:
        return self._links is not None and self._links.send(peer, Channel.SYNC, payload)
