"""A block from a member whose turn it is not: refused with code, both values and fix; no vote; the chain goes on.

Three real node processes; the fourth member is played here, with its own certificate and keys, over TLS.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import msgspec
import pytest
from kill_campaign import recorded

from consensus.messages import Proposal, decode_message, encode_message
from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.crypto import DOMAIN_VOTE, SigningKey
from ledger.genesis import load_genesis
from ledger.objects import Header, decode_header, header_hash
from node.api.models import StatusView
from node.client import Client
from node.keys import load_key
from p2p.certificates import NodeIdentity
from p2p.frames import Channel, PeerId
from p2p.network import Network
from p2p.peer import PeerInfo
from p2p.settings import NetworkSettings

HONEST = ("ada", "ben", "cleo")
LIAR = "dan"
CODE = "PROPOSAL_NOT_OF_THE_LEADER"
PATIENCE_S = 20.0


@dataclass
class Linked:
    """The peers that have accepted the liar."""

    peers: dict[str, PeerId] = field(default_factory=dict)

    def on_frame(self, peer: PeerId, channel: Channel, payload: bytes) -> None:
        pass

    def on_peer_up(self, peer: PeerId, info: PeerInfo) -> None:
        self.peers[info.name] = peer

    def on_peer_down(self, peer: PeerId, reason: str) -> None:
        self.peers = {name: known for name, known in self.peers.items() if known != peer}


class Liar:
    """A member with good papers that proposes out of turn."""

    def __init__(self, layout: NetworkLayout, network: Network, linked: Linked) -> None:
        home = layout.nodes[layout.node(LIAR)].home
        self.genesis = load_genesis(home / "genesis.json")
        self.key: SigningKey = load_key(home / "keys" / "validator.key")
        self.network = network
        self.linked = linked
        self.sent: list[bytes] = []

    def block(self, head: Header, head_hash: bytes, status: StatusView, *, own_name: bool) -> bytes:
        """A proposal on the head for the present view, signed by the liar, under its own or the leader's name."""
        members = {validator.name: validator.public_key for validator in self.genesis.validators}
        following = head.epoch == status.epoch
        header = msgspec.structs.replace(
            head,
            epoch=status.epoch,
            view=status.view,
            height=head.height + 1,
            time_ms=max(time.time_ns() // 1_000_000, head.time_ms + 1),
            parent=head_hash,
            parent_view=head.view if following else 0,
            state_root=bytes(range(32)),
            proposer=self.key.public if own_name else members[status.leader],
        )
        raw = msgspec.msgpack.encode(header)
        block_hash = header_hash(raw)
        committee = self.genesis.validator_set
        statement = vote_bytes(
            self.genesis.chain_id, committee.hash, VoteKind.NOTARIZE, header.epoch, header.view, block_hash
        )
        self.sent.append(block_hash)
        return encode_message(Proposal(raw, self.key.sign(DOMAIN_VOTE, statement), (), (), b"", ()))

    def told(self, code: str) -> bool:
        """Whether a peer has said that it refuses us with this code."""
        return any(one.code == code and one.by_peer for one in self.network.refusals())


async def lie(liar: Liar, name: str, client: Client, code: str, *, own_name: bool | None) -> dict[str, object]:
    """Send until the node has refused; return what its status says of it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = await client.status()
        found = [one for one in status.refusals if one.code == code]
        if found:
            return found[-1].model_dump()
        if name in liar.linked.peers and status.leader != LIAR:
            if own_name is None:
                message = b"\x01 this is no proposal"
            else:
                stored = await client.stored_block(status.height)
                head = decode_header(stored.header)
                message = liar.block(head, header_hash(stored.header), status, own_name=own_name)
            liar.network.send(liar.linked.peers[name], Channel.BLOCKS, message)
        await asyncio.sleep(0.2)
    raise AssertionError(f"{name} has not refused: {await client.status()}")


@pytest.mark.asyncio
async def test_blocks_out_of_turn_are_refused_and_get_no_vote(tmp_path):
    layout = make_network(
        NetworkPlan(
            directory=tmp_path / "network",
            chain_name="dev-leader",
            names=(*HONEST, LIAR),
            first_api_port=0,
            first_p2p_port=0,
        )
    )
    async with Cluster.open(layout, environment={"GRIDCHAIN_DEV__RECORD": "true"}, start=False) as cluster:
        for index in range(len(HONEST)):
            await cluster.start(index, wait=False)
        home = layout.nodes[3].home
        identity = NodeIdentity.load(home / "keys/node.key", home / "keys/node.crt", [home / "ca.crt"])
        linked = Linked()
        genesis = load_genesis(home / "genesis.json")
        seeds = tuple(node.layout.peer_address for node in cluster.nodes[:3])
        settings = NetworkSettings(chain_id=genesis.chain_id, genesis_hash=genesis.hash, name=LIAR, seeds=seeds)
        async with Network.open(settings, identity, linked, lambda: time.time_ns() // 1_000_000) as network:
            async with asyncio.timeout(PATIENCE_S):
                while set(linked.peers) != set(HONEST):
                    await asyncio.sleep(0.1)
            liar = Liar(layout, network, linked)
            cases = ((0, CODE, True), (1, CODE, False), (2, "MALFORMED_MESSAGE", None))
            for index, code, own_name in cases:
                node = cluster.nodes[index]
                async with Client.open(node.url) as client:
                    refused = await lie(liar, node.name, client, code, own_name=own_name)
                assert refused["name"] == LIAR
                assert refused["expected"]
                assert refused["found"]
                assert refused["fix"]
                if own_name is not None:
                    assert "signed by" in str(refused["expected"])
                    assert ("by " + LIAR in str(refused["found"])) == own_name
                assert code in node.layout.log_file.read_text()
                async with asyncio.timeout(5):
                    while not liar.told(code):
                        await asyncio.sleep(0.05)
                told = next(one for one in network.refusals() if one.code == code and one.by_peer)
                assert told.expected
                assert told.found
                assert told.fix
        async with Client.open(cluster.nodes[0].url) as client:
            treasury = client.account(load_key(layout.key_file("trading_center")))
            receiver = bytes.fromhex(layout.account("notary").address[2:])
            outcome = await treasury.call("token", "deposit", [receiver, 1_000, "after the lies"])
            assert outcome.ok
        assert not cluster.dead()
    messages = [decode_message(raw) for node in layout.nodes[:3] for raw in recorded(node.home)]
    votes = [message for message in messages if isinstance(message, Vote)]
    assert votes
    assert liar.sent
    assert not [vote for vote in votes if vote.block_hash in liar.sent]
