"""One connection per pair of nodes, several chains over it: whose frame goes to which chain's `Peers`.

In a sharded network every payload begins with the chain's place: one byte, its number in `chains_of(genesis)`; of a
chain on which a region began anew `SUCCESSOR`, the number, and the regional epoch in eight bytes. Where a network has
one chain there is no place. The channel stays what it is, so votes of any chain go before blocks of all chains, blocks
before transactions, in every queue of the p2p room: a flood on one chain holds up no vote of another.

A chain's `Peers` sees the nodes that host that chain only. Of voters genesis says what they host. Who hosts anything
else says it: a payload of `HOSTING` and the places of its chains, again every `REPEAT_S` because a frame may be lost on
a connection that is just being replaced. A frame on a chain says it too. A frame of a chain that this node does not
host, or not yet, is nobody's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ledger.errors import PeerFault
from ledger.genesis import GenesisHead
from ledger.shard_genesis import chains_of, chains_of_voter
from node.chains import Place
from node.peers import Links
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.refusals import Refusal
from p2p.settings import PeerHandler

HOSTING: Final = 255
SUCCESSOR: Final = 254
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

    def __init__(self, genesis: GenesisHead, handlers: Mapping[Place, ChainHandler], own_key: bytes | None) -> None:
        self._names = chains_of(genesis)
        self._handlers = handlers
        self._voters = {
            member.node_id: _places(chains_of_voter(genesis, member.validator_key))
            for member in genesis.members
            if member.node_key and member.validator_key
        }
        self._links = {place: ChainLinks(self._prefix(place)) for place in handlers}
        self._infos: dict[PeerId, PeerInfo] = {}
        self._network: Links | None = None
        known = () if own_key is None else _places(chains_of_voter(genesis, own_key))
        self._speaks = set(known) != set(handlers)

    def connect(self, network: Links) -> None:
        """The network is open: give every chain its part of it."""
        self._network = network
        for place, handler in self._handlers.items():
            self._links[place].network = network
            handler.connect(self._links[place])
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
        self._hosts(peer, _places(self._names) if self._alone else self._voters.get(peer, ()))

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """See `PeerHandler`."""
        self._infos.pop(peer, None)
        for place, links in self._links.items():
            if peer in links.hosts:
                links.hosts.discard(peer)
                self._handlers[place].on_peer_down(peer, reason)

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """See `PeerHandler`."""
        if self._alone:
            self._handlers[Place(self._names[0])].on_frame(peer, channel, payload)
        elif payload and payload[0] != HOSTING:
            place, begin = self._place(payload, 0)
            handler = self._handlers.get(place)
            if handler is not None:  # else it does not know yet what this node hosts, or which epoch it is in
                self._hosts(peer, (place,))
                handler.on_frame(peer, channel, payload[begin:])
        else:
            self._hosts_only(peer, self._announced(payload))

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _alone(self) -> bool:
        """Whether the network has one chain: every node hosts it and no frame says so."""
        return len(self._names) == 1

    def _prefix(self, place: Place) -> bytes:
        if self._alone:
            return b""
        number = bytes([self._names.index(place.chain)])
        return number if place.epoch == 1 else bytes([SUCCESSOR]) + number + place.epoch.to_bytes(8, "big")

    def _place(self, payload: bytes, offset: int) -> tuple[Place, int]:
        """The place at `offset` of a payload, and where it ends."""
        number, epoch, end = payload[offset], 1, offset + 1
        if number == SUCCESSOR and len(payload) >= offset + 10:
            number, epoch, end = (
                payload[offset + 1],
                int.from_bytes(payload[offset + 2 : offset + 10], "big"),
                offset + 10,
            )
        if number >= len(self._names):
            raise _fault(f"one of {len(self._names)} chains", f"chain {number}")
        return Place(self._names[number], epoch), end

    def _announced(self, payload: bytes) -> list[Place]:
        places: list[Place] = []
        offset = 1
        while offset < len(payload):
            place, offset = self._place(payload, offset)
            places.append(place)
        return places

    def _announce(self, peer: PeerId) -> None:
        if self._network is not None and self._speaks and not self._alone:
            places = b"".join(self._prefix(place) for place in self._handlers)
            self._network.send(peer, Channel.VOTES, bytes([HOSTING]) + places)

    def _hosts_only(self, peer: PeerId, places: Sequence[Place]) -> None:
        """A peer says which chains it hosts, whatever genesis says."""
        for place, links in self._links.items():
            if place not in places and peer in links.hosts:
                links.hosts.discard(peer)
                self._handlers[place].on_peer_down(peer, "it does not host this chain")
        self._hosts(peer, places)

    def _hosts(self, peer: PeerId, places: Sequence[Place]) -> None:
        """A peer hosts these chains, beside those known already."""
        for place in places:
            links = self._links.get(place)
            if links is not None and peer not in links.hosts and peer in self._infos:
                links.hosts.add(peer)
                self._handlers[place].on_peer_up(peer, self._infos[peer])


def _places(names: Sequence[str]) -> tuple[Place, ...]:
    """The chains that genesis founds."""
    return tuple(Place(name) for name in names)


def _fault(expected: str, found: str) -> PeerFault:
    return PeerFault(
        "a frame of a chain that this network has not",
        code="UNKNOWN_CHAIN",
        expected=expected,
        found=found,
        fix="compare genesis and versions of both nodes",
    )
