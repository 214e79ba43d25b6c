"""Between the network and the node: whose frame goes where, and who a peer is.

VOTES and BLOCKS go to the driver, TRANSACTIONS through gossip to ingress, SYNC to catching up. Genesis says which node
belongs to which validator, and who may connect at all; in a sharded network the centres may name further machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from consensus.engine import PeerId as EnginePeer
from consensus.engine import Request, RequestKind
from consensus.messages import BodyRequest, BodyResponse, Message, Proposal, encode_message
from ledger.certificates import Certificate
from ledger.chain import ChainStore
from ledger.crypto import sha256
from ledger.errors import PeerFault
from ledger.genesis import Genesis
from ledger.objects import Transaction
from node.driver import Driver
from node.ingress import Ingress
from node.log import Logger
from node.mempool import Mempool
from node.recorder import Recorder
from p2p.frames import Channel, PeerId
from p2p.gossip import TransactionGossip
from p2p.peer import PeerInfo
from p2p.refusals import Refusal
from p2p.sync import Sync

INTRODUCED: Final = 2_048
"""Waiting transactions that a new peer is given."""
_LARGE: Final = (Proposal, BodyRequest, BodyResponse)
_EXPECTED: Final = {
    "malformed-vote": "a vote of a committee member for a block, or a nullification of none",
    "bad-signature": "a vote signed by the member it names",
    "false-evidence": "two contradicting votes of one signer",
    "bad-certificate": "a quorum of good signatures",
    "wrong-header": "the header that was asked for",
    "wrong-body": "the body that was asked for",
    "wrong-parts": "the parts that were asked for",
    "BAD_SIGNATURE": "transactions signed by the keys they name",
    "MALFORMED": "transactions that decode",
    "NOT_CANONICAL": "transactions in canonical encoding",
    "TOO_LARGE": "transactions within the size limit",
    "WRONG_CHAIN": "transactions of this chain",
}
"""What was due instead, by the engine's reasons and by the codes of refused gossip."""


class Links(Protocol):
    """What a node uses of its network: `p2p.network.Network`, or the simulator's."""

    @property
    def full_mesh(self) -> bool:
        """Whether every reachable node is linked directly."""

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        """Queue a frame; False if the peer is gone or there is no room."""

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        """Queue a frame to every peer."""

    def peers(self) -> list[PeerInfo]:
        """The connected peers, by node name."""

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        """End a peer's connection for a fault of its, and refuse it for a while."""

    def refusals(self) -> list[Refusal]:
        """The last refusals in both directions, newest last."""

    def known_addresses(self) -> list[bytes]:
        """The address book as signed records."""


class Members:
    """What genesis says about nodes, and what the centres have said since."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self._by_genesis = {
            member.node_id: member.validator_key
            for member in genesis.members
            if member.node_key and member.validator_key
        }
        self._validator_of = dict(self._by_genesis)
        self._nodes = {member.node_id: member for member in genesis.members if member.node_key}

    def refusal(self, node: PeerId) -> str | None:
        """Why a node may not connect; None if it may."""
        if node in self._validator_of:
            return None
        member = self._nodes.get(node)
        if member is None:
            return "its node key is in no member's entry, and no centres have named it"
        if not {"validator", "peer"} & set(member.roles):
            return f"{member.name} has neither role validator nor peer"
        return None

    def named(self, machines: Mapping[bytes, bytes]) -> None:
        """The centres' word (`node.shards.global_store.read_machines`): the voting key of each node key."""
        self._validator_of = self._by_genesis | {sha256(node_key): voter for node_key, voter in machines.items()}

    @property
    def count(self) -> int:
        """How many nodes may connect."""
        return len(self._nodes.keys() | self._validator_of.keys())

    def is_validator(self, node: PeerId) -> bool:
        """Tell whether a node belongs to a validator."""
        return node in self._validator_of

    def validator(self, node: PeerId) -> bytes | None:
        """The voting key that a node's key is bound to."""
        return self._validator_of.get(node)


class ChainSource:
    """The chain as the sync server reads it (`p2p.sync_server.ChainSource`)."""

    def __init__(self, chain: ChainStore) -> None:
        self._chain = chain
        self.header_bytes = chain.header_bytes
        self.body_bytes = chain.body_bytes
        self.final_by = chain.final_by

    def height(self) -> int:
        """The last final block, 0 at genesis."""
        return self._chain.height

    def finalization(self, height: int) -> tuple[Certificate, tuple[bytes, ...]] | None:
        """The finalization kept at a height, and the headers of the closing blocks that it covers."""
        found = self._chain.finality(height)
        return None if found is None else (found.certificate, found.closing)


class Peers:
    """The network's handler and the engine's mouth."""

    def __init__(self, members: Members, log: Logger, recorder: Recorder | None = None) -> None:
        self._members = members
        self._recorder = recorder
        self._log = log
        self._network: Links | None = None

    def attach(self, driver: Driver, ingress: Ingress, sync: Sync, mempool: Mempool) -> None:
        """Say whom frames go to; called once, before the network opens."""
        self._mempool = mempool
        self._driver = driver
        self._ingress = ingress
        self._sync = sync
        self.gossip = TransactionGossip(self._send_transactions, self._full_mesh)

    def connect(self, network: Links) -> None:
        """The network is open."""
        self._network = network

    # --- what comes in (`p2p.settings.PeerHandler`) -------------------------------------------------------------------

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        """Hand one payload on. Raise `GridchainError` for what no honest peer sends."""
        match channel:
            case Channel.VOTES | Channel.BLOCKS:
                self._driver.receive(EnginePeer(peer), payload)
            case Channel.TRANSACTIONS:
                self._ingress.offer(self.gossip.receive(peer, payload), peer)
            case Channel.SYNC:
                self._sync.on_frame(peer, payload)
            case Channel.PEERS | Channel.CONTROL:
                raise PeerFault("a frame that the p2p room keeps to itself", found=channel.name)

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        """Tell everybody of a new connection."""
        self.gossip.peer_up(peer)
        self._sync.client.peer_up(peer)
        self._sync.server.announce(peer)
        self.gossip.again([(one.id, one.raw) for one in self._mempool.oldest(INTRODUCED)], [peer])
        self._driver.post(Request(RequestKind.PEER_CONNECTED, EnginePeer(peer), self._members.validator(peer)))

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        """Tell everybody of a lost connection."""
        self.gossip.peer_down(peer)
        self._sync.client.peer_down(peer)
        self._driver.post(Request(RequestKind.PEER_GONE, EnginePeer(peer)))

    # --- what goes out (`node.driver.Outbound`) -----------------------------------------------------------------------

    def send(self, peer: EnginePeer, message: Message) -> None:
        """Queue a consensus message for one peer."""
        if self._network is not None:
            self._network.send(PeerId(peer), _channel(message), self._written(message))

    def broadcast(self, message: Message) -> None:
        """Queue a consensus message for all peers."""
        if self._network is not None:
            self._network.broadcast(_channel(message), self._written(message))

    def _written(self, message: Message) -> bytes:
        raw = encode_message(message)
        if self._recorder is not None:
            self._recorder.record(raw)
        return raw

    def drop(self, peer: bytes, reason: str, expected: str = "", found: str = "") -> None:
        """End the connection to a peer that sent what no honest one sends. `reason`, in capitals, becomes the code that
        both sides keep."""
        fault = PeerFault(
            f"what no honest peer sends: {reason}",
            code=reason.upper().replace("-", "_"),
            expected=expected or _EXPECTED.get(reason, "what an honest peer sends"),
            found=found or reason,
            fix="compare the versions of both nodes, then read both logs; the peer is let in again after its ban",
        )
        self._log.warning("peer dropped", peer=peer, **fault.as_dict())
        if self._network is not None:
            self._network.disconnect(PeerId(peer), fault)

    def send_sync(self, peer: PeerId, payload: bytes) -> bool:
        """Queue a payload of catching up; False if there is no room."""
        return self._network is not None and self._network.send(peer, Channel.SYNC, payload)

    def fault(self, peer: PeerId, fault: PeerFault) -> None:
        """A peer lied while this node was catching up."""
        if self._network is not None:
            self._network.disconnect(peer, fault)

    def spread(self, transactions: list[Transaction], source: bytes | None) -> None:
        """Gossip what was admitted to the peers that lack it."""
        offered = [(transaction.id, transaction.raw) for transaction in transactions]
        self.gossip.offer(offered, None if source is None else PeerId(source))

    def spread_again(self, transactions: list[Transaction]) -> None:
        """Gossip once more what is still not final."""
        self.gossip.again([(transaction.id, transaction.raw) for transaction in transactions])

    def connected(self) -> list[PeerInfo]:
        """The peers there are."""
        return [] if self._network is None else self._network.peers()

    def refusals(self) -> list[Refusal]:
        """The last refusals in both directions, newest last."""
        return [] if self._network is None else self._network.refusals()

    def _send_transactions(self, peer: PeerId, payload: bytes) -> bool:
        return self._network is not None and self._network.send(peer, Channel.TRANSACTIONS, payload)

    def _full_mesh(self) -> bool:
        return self._network is not None and self._network.full_mesh


def _channel(message: Message) -> Channel:
    return Channel.BLOCKS if isinstance(message, _LARGE) else Channel.VOTES
