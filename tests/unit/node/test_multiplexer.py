"""One connection, several chains: what goes where, and who hosts what."""

from __future__ import annotations

import msgspec
import pytest
from shard_genesis_world import sharded_genesis

from ledger.crypto import sha256
from ledger.errors import PeerFault
from node.chains import Place
from node.multiplexer import HOSTING, SUCCESSOR, Multiplexer
from node.peers import Links
from p2p.frames import Channel, PeerId
from p2p.peer import PeerInfo
from p2p.refusals import Refusal

CENTRE, NORTH, SOUTH = bytes([1]) * 32, bytes([10]) * 32, bytes([20]) * 32
STRANGER = PeerId(sha256(bytes([77]) * 32))


def node(key: bytes) -> PeerId:
    """The node of a voter: its keys are one here."""
    return PeerId(sha256(key))


def info(peer: PeerId) -> PeerInfo:
    return PeerInfo(peer, "org", "node", "validator", "host:1", False, 0, None, 0, 0, 0, 0)


def _later(epoch: int, chain: int = 1) -> bytes:
    return bytes([SUCCESSOR, chain]) + epoch.to_bytes(8, "big")


class Wire:
    """A network (`node.peers.Links`) that writes down what it is asked to send."""

    def __init__(self) -> None:
        self.full_mesh = True
        self.sent: list[tuple[PeerId | None, Channel, bytes]] = []
        self.known: list[PeerInfo] = []

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        self.sent.append((peer, channel, payload))
        return True

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        self.sent.append((None, channel, payload))

    def peers(self) -> list[PeerInfo]:
        return self.known

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        raise AssertionError("nobody is at fault")

    def refusals(self) -> list[Refusal]:
        return []

    def known_addresses(self) -> list[bytes]:
        return []


class Chain:
    """A chain's `Peers` that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.links: Links | None = None

    def connect(self, network: Links) -> None:
        self.links = network

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        self.heard.append((peer, channel, payload))

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        self.heard.append(("up", peer))

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        self.heard.append(("down", peer))


class World:
    """A node that hosts some chains of a network of two regions."""

    def __init__(self, hosted: tuple[str, ...], own: bytes | None) -> None:
        self.wire = Wire()
        self.chains = {name: Chain() for name in hosted}
        epochs = {name: name.partition(".") for name in hosted}
        places = {name: Place(region, int(epoch or 1)) for name, (region, _, epoch) in epochs.items()}
        self.plexer = Multiplexer(sharded_genesis(), {places[name]: one for name, one in self.chains.items()}, own)
        self.plexer.connect(self.wire)

    def up(self, peer: PeerId) -> None:
        self.wire.known.append(info(peer))
        self.plexer.on_peer_up(peer, info(peer))

    def heard(self, name: str) -> list[object]:
        return self.chains[name].heard


def test_voters_are_up_on_the_chains_that_genesis_gives_them() -> None:
    member = World(("north", "global"), NORTH)
    for key in (CENTRE, SOUTH, bytes([11]) * 32):
        member.up(node(key))
    assert member.heard("north") == [("up", node(CENTRE)), ("up", node(bytes([11]) * 32))]
    assert member.heard("global") == [("up", node(CENTRE)), ("up", node(SOUTH)), ("up", node(bytes([11]) * 32))]
    assert member.wire.sent == [], "genesis says what a voter hosts"
    links = member.chains["north"].links
    assert links is not None
    assert [one.id for one in links.peers()] == [node(CENTRE), node(bytes([11]) * 32)]
    member.plexer.on_peer_down(node(SOUTH), "gone")
    assert ("down", node(SOUTH)) in member.heard("global")
    assert ("down", node(SOUTH)) not in member.heard("north")


def test_a_frame_carries_its_chain_and_reaches_only_those_who_host_it() -> None:
    centre = World(("global", "north", "south"), CENTRE)
    for key in (NORTH, SOUTH, bytes([2]) * 32):
        centre.up(node(key))
    links = centre.chains["south"].links
    assert links is not None
    links.broadcast(Channel.VOTES, b"vote")
    assert sorted(centre.wire.sent, key=repr) == sorted(
        [(node(SOUTH), Channel.VOTES, b"\x02vote"), (node(bytes([2]) * 32), Channel.VOTES, b"\x02vote")], key=repr
    )
    assert not links.send(node(NORTH), Channel.SYNC, b"?"), "it does not host that chain"
    centre.plexer.on_frame(node(SOUTH), Channel.BLOCKS, b"\x02block")
    assert centre.heard("south")[-1] == (node(SOUTH), Channel.BLOCKS, b"block")


def test_a_follower_says_what_it_hosts_and_is_believed_by_its_first_frame_too() -> None:
    follower = World(("south", "global"), None)
    follower.up(node(SOUTH))
    assert follower.wire.sent == [(node(SOUTH), Channel.VOTES, bytes([HOSTING, 2, 0]))]
    member = World(("south", "global"), SOUTH)
    member.up(STRANGER)
    assert member.heard("south") == []
    member.plexer.on_frame(STRANGER, Channel.VOTES, bytes([HOSTING, 2, 1]))
    member.plexer.on_frame(STRANGER, Channel.VOTES, bytes([HOSTING, 2, 1]))
    assert member.heard("south") == [("up", STRANGER)]
    assert member.heard("global") == []
    member.plexer.on_frame(STRANGER, Channel.SYNC, b"\x00hello")
    assert member.heard("global") == [("up", STRANGER), (STRANGER, Channel.SYNC, b"hello")]


def test_a_voter_that_says_it_hosts_less_is_believed_and_frames_of_other_chains_are_dropped() -> None:
    member = World(("north", "global"), NORTH)
    member.up(node(bytes([11]) * 32))
    member.plexer.on_frame(node(bytes([11]) * 32), Channel.VOTES, bytes([HOSTING, 0]))
    assert member.heard("north") == [("up", node(bytes([11]) * 32)), ("down", node(bytes([11]) * 32))]
    assert member.heard("global") == [("up", node(bytes([11]) * 32))]
    member.plexer.on_frame(node(bytes([11]) * 32), Channel.VOTES, b"\x02of the south")
    assert len(member.heard("north")) == 2
    assert len(member.heard("global")) == 1


def test_chains_of_later_epochs_have_places_of_their_own_and_reach_nobody_who_is_in_another() -> None:
    ahead = World(("north.3", "north.2", "north", "global"), NORTH)
    ahead.up(node(CENTRE))
    announced = bytes([HOSTING]) + _later(3) + _later(2) + b"\x01\x00"
    assert ahead.wire.sent == [(node(CENTRE), Channel.VOTES, announced)], "genesis does not say so"
    links = ahead.chains["north.3"].links
    assert links is not None
    links.broadcast(Channel.VOTES, b"vote")
    assert len(ahead.wire.sent) == 1, "nobody has said that it hosts that chain"
    ahead.plexer.on_frame(node(CENTRE), Channel.VOTES, _later(3) + b"mine")
    assert ahead.heard("north.3") == [("up", node(CENTRE)), (node(CENTRE), Channel.VOTES, b"mine")]
    links.broadcast(Channel.VOTES, b"vote")
    assert ahead.wire.sent[-1] == (node(CENTRE), Channel.VOTES, _later(3) + b"vote")

    behind = World(("north", "global"), bytes([11]) * 32)
    behind.up(node(NORTH))
    behind.plexer.on_frame(node(NORTH), Channel.VOTES, announced)
    behind.plexer.on_frame(node(NORTH), Channel.VOTES, _later(3) + b"of an epoch to come")
    assert behind.heard("north") == [("up", node(NORTH))]


@pytest.mark.parametrize("payload", [b"\x03x", bytes([HOSTING, 9]), _later(2, 3), bytes([HOSTING, 0, SUCCESSOR, 1, 0])])
def test_a_frame_of_a_chain_that_the_network_has_not_is_a_fault(payload: bytes) -> None:
    member = World(("north", "global"), NORTH)
    member.up(node(CENTRE))
    with pytest.raises(PeerFault) as fault:
        member.plexer.on_frame(node(CENTRE), Channel.VOTES, payload)
    assert fault.value.code == "UNKNOWN_CHAIN"


def test_in_a_network_of_one_chain_frames_are_as_they_always_were() -> None:
    wire, chain = Wire(), Chain()
    genesis = msgspec.structs.replace(sharded_genesis(), engine="bft", shards=None)
    plexer = Multiplexer(genesis, {Place("main"): chain}, None)
    plexer.connect(wire)
    plexer.on_peer_up(STRANGER, info(STRANGER))
    plexer.on_frame(STRANGER, Channel.VOTES, bytes([HOSTING, 1]))
    assert chain.links is not None
    chain.links.broadcast(Channel.VOTES, b"vote")
    chain.links.send(STRANGER, Channel.SYNC, b"ask")
    assert chain.heard == [("up", STRANGER), (STRANGER, Channel.VOTES, bytes([HOSTING, 1]))]
    assert wire.sent == [(None, Channel.VOTES, b"vote"), (STRANGER, Channel.SYNC, b"ask")]


def test_no_number_of_epochs_ends_a_process() -> None:
    world = World(("north.65536", "north", "global"), NORTH)
    world.up(node(CENTRE))
    world.plexer.on_frame(node(CENTRE), Channel.VOTES, _later(65_536) + b"mine")
    assert world.wire.sent[-1][2].startswith(bytes([HOSTING]) + _later(65_536))
