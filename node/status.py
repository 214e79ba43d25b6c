"""What a node says of itself on one of its chains (`node.node.Node`)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.crypto import Hash
from node.chains import Phase
from p2p.peer import PeerInfo
from p2p.refusals import Refusal as PeerRefusal


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where the node stands on one chain. `chain_id`: what its transactions are signed for; `network_id`: the full name
    of the network. `votes`: it has a key for this chain. `stopped_reason`: why it does not vote or commit, "" if it
    does. `refusals`: the last peers that it refused or that refused it, newest last."""

    name: str
    chain: str
    chain_id: str
    network_id: str
    votes: bool
    genesis_hash: Hash
    engine: str
    height: int
    head_hash: Hash
    state_root: bytes
    epoch: int
    view: int
    leader: str
    peers: list[PeerInfo]
    mempool: int
    held: bool
    stopped_reason: str
    ready: bool
    refusals: list[PeerRefusal]


@dataclass(frozen=True, slots=True)
class RegionEpochStatus:
    """Which of a region's chains this is, from 1 on. `reason`: why the global chain opened it, "" of the first;
    `began`: height of its first block."""

    number: int
    reason: str
    began: int
    phase: Phase
