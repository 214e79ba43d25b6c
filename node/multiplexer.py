"""One connection per pair of nodes, several chains over it: whose frame goes to which chain's `Peers`.

In a sharded network every payload begins with one byte: the chain's place in `chains_of(genesis)`. Where a network has
one chain there is no such byte. The channel stays what it is, so votes of any chain go before blocks of all chains,
blocks before transactions, in every queue of the p2p room: a flood on one chain holds up no vote of another.

A chain's `Peers` sees the nodes that host that chain only. Of voters genesis says what they host. Who hosts anything
else says it: a payload of `HOSTING` and the places of its chains, again every `REPEAT_S` because a frame may be lost on
a connection that is just being replaced. A frame on a chain says it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ledger.errors import PeerFault
from ledger.genesis import GenesisHead
from ledger.shard_genesis import chains_of, chains_of_voter
from node.peers import Links
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.refusals import Refusal
from p2p.settings import PeerHandler

HOSTING: Final = 255
REPEAT_S: Final = 2.0


class ChainHandler(PeerHandler, Protocol):
    """Whom a chain's frames go to: `node.peers.Peers`."""

    def connect(self, network: Links) -> None:
        """The network is open; this is the chain's part of it."""


class ChainLinks:
    """A chain's part of the network (`node.peers.Links`): the nodes that host it. `prefix`: what says so in a frame;
    `network`: None until it is open."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self.network: Links | None = None
        self.hosts: set[PeerId] = set()

    @property
    def full_mesh(self) -> bool:
        """See `Links`."""
        return self.network is not None and self.network.full_mesh

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        """See `Links`."""
        if self.network is None or peer not in self.hosts:
            return False
        return self.network.send(peer, channel, self._prefix + payload)

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        """See `Links`."""
        if self.network is None:
            return
        if not self._prefix:
            self.network.broadcast(channel, payload)
            return
        for peer in list(self.hosts):  # a peer too slow for votes is gone before this returns
            self.network.send(peer, channel, self._prefix + payload)

    def peers(self) -> list[PeerInfo]:
        """See `Links`."""
        return [] if self.network is None else [info for info in self.network.peers() if info.id in self.hosts]

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        """See `Links`."""
        if self.network is not None:
            self.network.disconnect(peer, fault)

    def refusals(self) -> list[Refusal]:
        """See `Links`."""
        return [] if self.network is None else self.network.refusals()

    def known_addresses(self) -> list[bytes]:
        """See `Links`."""
        return [] if self.network is None else self.network.known_addresses()


class Multiplexer:
    """The network's handler (`p2p.settings.PeerHandler`) in front of the chains of this node. `own_key`: that votes."""

    def __init__(self, genesis: GenesisHead, handlers: Mapping[str, ChainHandler], own_key: bytes | None) -> None:
        self._names = chains_of(genesis)
        self._handlers = handlers
        self._voters = {
            member.node_id: chains_of_voter(genesis, member.validator_key)
            for member in genesis.members
            if member.node_key and member.validator_key
        }
        self._links = {name: ChainLinks(self._prefix(name)) for name in handlers}
        self._infos: dict[PeerId, PeerInfo] = {}
        self._network: Links | None = None
        known = () if own_key is None else chains_of_voter(genesis, own_key)
        self._speaks = set(known) != set(handlers)

    def connect(self, network: Links) -> None:
        """The network is open: give every chain its part of it."""
        self._network = network
        for name, handler in self._handlers.items():
            self._links[name].network = network
            handler.connect(self._links[name])
        for peer in self._infos:
            self._announce(peer)

    async def run(self) -> None:
        """Say again and again what this node hosts, if genesis does not say it."""
        while self._speaks and not self._alone:
            await asyncio.sleep(REPEAT_S)
            for peer in list(self._infos):
                self._announce(peer)

    # --- PeerHandler --------------------------------------------------------------------------------------------------

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        """See `PeerHandler`."""
        self._infos[peer] = info
        self._announce(peer)
        self._hosts(peer, self._names if self._alone else self._voters.get(peer, ()))

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """See `PeerHandler`."""
        self._infos.pop(peer, None)
        for name, links in self._links.items():
            if peer in links.hosts:
                links.hosts.discard(peer)
                self._handlers[name].on_peer_down(peer, reason)

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """See `PeerHandler`."""
        if self._alone:
            self._handlers[self._names[0]].on_frame(peer, channel, payload)
        elif payload and payload[0] != HOSTING:
            name = self._name(payload[0])
            handler = self._handlers.get(name)
            if handler is not None:  # else this node has not said yet that it hosts less than genesis says
                self._hosts(peer, (name,))
                handler.on_frame(peer, channel, payload[1:])
        else:
            self._hosts_only(peer, [self._name(place) for place in payload[1:]])

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _alone(self) -> bool:
        """Whether the network has one chain: every node hosts it and no frame says so."""
        return len(self._names) == 1

    def _prefix(self, name: str) -> bytes:
        return b"" if self._alone else bytes([self._names.index(name)])

    def _name(self, place: int) -> str:
        if place >= len(self._names):
            raise _fault(f"one of {len(self._names)} chains", f"chain {place}")
        return self._names[place]

    def _announce(self, peer: PeerId) -> None:
        if self._network is not None and self._speaks and not self._alone:
            places = b"".join(self._prefix(name) for name in self._handlers)
            self._network.send(peer, Channel.VOTES, bytes([HOSTING]) + places)

    def _hosts_only(self, peer: PeerId, names: Sequence[str]) -> None:
        """A peer says which chains it hosts, whatever genesis says."""
        for name, links in self._links.items():
            if name not in names and peer in links.hosts:
                links.hosts.discard(peer)
                self._handlers[name].on_peer_down(peer, "it does not host this chain")
        self._hosts(peer, names)

    def _hosts(self, peer: PeerId, names: Sequence[str]) -> None:
        """A peer hosts these chains, beside those known already."""
        for name in names:
            links = self._links.get(name)
            if links is not None and peer not in links.hosts and peer in self._infos:
                links.hosts.add(peer)
                self._handlers[name].on_peer_up(peer, self._infos[peer])


def _fault(expected: str, found: str) -> PeerFault:
    return PeerFault(
        "a frame of a chain that this network has not",
        code="UNKNOWN_CHAIN",
        expected=expected,
        found=found,
        fix="compare genesis and versions of both nodes",
    )
