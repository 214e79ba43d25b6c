"""Which chains a node hosts, on which files, with which key.

Genesis says it for a voter: a region's member hosts its region's chain and follows the centres', a centre votes on the
centres' and follows every region's. Who does not vote hosts what `[node] chains` names, by default all. The first is
the node's home chain, the one that its API serves where no chain is named. In a sharded network each chain has
directories of its own below those of `[node] data` and `wal`. What a region that began anew adds to this is known from
the global chain alone: `node.regional_epochs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from ledger.genesis import Genesis, GenesisHead
from ledger.shard_genesis import ONLY, chains_of, chains_of_voter, home_chain, hosted_genesis
from node.config import NodeConfig


class Place(NamedTuple):
    """A chain of the network: a name in `chains_of(genesis)`, and which of a region's chains it is, from 1 on."""

    chain: str
    epoch: int = 1

    @property
    def directory(self) -> str:
        """Its name below the node's directories."""
        return self.chain if self.epoch == 1 else f"{self.chain}.{self.epoch}"


class Phase(Enum):
    """Where one of a region's chains stands among them, on this node."""

    RUNS = "runs"
    """The newest; every chain that is no region's."""
    LEFT = "left"
    """The region has begun anew, after a record that this copy has yet to reach."""
    OVER = "over"
    """The chain of a later epoch is here: this one is kept for those who are behind, and to be looked at."""
    ASLEEP = "asleep"
    """Over, and several later ones are here: its files are opened when a peer asks."""


@dataclass(frozen=True, slots=True)
class HostedChain:
    """One chain of a node. `genesis`: of this chain; `network_id`: the full name of the network. `key`: votes on it;
    None on a chain that is only followed. `seat`: the voting key that its log is of, b"" for a node that never had a
    seat there. `reason`: why its regional epoch was opened, "" of the first."""

    name: str
    place: Place
    genesis: Genesis
    network_id: str
    key: SigningKey | None
    seat: bytes
    data: Path
    wal: Path
    record: Path
    phase: Phase = Phase.RUNS
    reason: str = ""


def hosted_chains(config: NodeConfig, genesis: Genesis, key: SigningKey | None) -> tuple[HostedChain, ...]:
    """The chains that genesis gives a node, its home chain first. Raise `ConfigError` (CHAINS)."""
    names = names_of_chains(config, genesis, None if key is None else key.public)
    alone = genesis.shards is None  # its committee may take in a key that genesis does not know
    home = None if key is None else ONLY if alone else home_chain(genesis, key.public)
    return tuple(
        hosted_chain(config, genesis, Place(name), hosted_genesis(genesis, name), key if name == home else None)
        for name in names
    )


def hosted_chain(
    config: NodeConfig, network: Genesis, place: Place, genesis: Genesis, key: SigningKey | None
) -> HostedChain:
    """A chain of a node, with its directories. `genesis`: of the chain."""
    data, wal, record = (
        chain_directory(config.path(path), network, place.directory)
        for path in (config.node.data, config.node.wal, Path("record"))
    )
    seat = b"" if key is None else key.public
    return HostedChain(place.chain, place, genesis, network.chain_id, key, seat, data, wal, record)


def names_of_chains(config: NodeConfig, genesis: GenesisHead, voting_key: bytes | None) -> tuple[str, ...]:
    """The names alone, the home chain first. Raise `ConfigError` (CHAINS)."""
    chosen, there = config.node.chains, chains_of(genesis)
    by_genesis = () if voting_key is None else chains_of_voter(genesis, voting_key)
    names = by_genesis or chosen or there
    allowed = by_genesis or there
    if chosen and (set(chosen) - set(allowed) or (by_genesis and set(chosen) != set(by_genesis))):
        raise ConfigError(
            "this node cannot host these chains",
            code="CHAINS",
            expected=", ".join(allowed) if not by_genesis else f"what genesis gives a voter: {', '.join(by_genesis)}",
            found=", ".join(chosen),
            fix="correct [node] chains, or remove it",
        )
    return tuple(dict.fromkeys(names))


def home_of(config: NodeConfig, genesis: GenesisHead) -> str:
    """The home chain of a node, without opening its keys: by its name as a member, else by `[node] chains`."""
    chosen = (*config.node.chains, *chains_of(genesis))
    if genesis.shards is None or config.node.validator_key is None:
        return chosen[0]
    by_name = {member.name: home_chain(genesis, member.validator_key) for member in genesis.members}
    return by_name.get(config.node.name) or chosen[0]


def chain_directory(directory: Path, genesis: GenesisHead, chain: str) -> Path:
    """Where a chain's files are below one of the node's directories."""
    return directory if genesis.shards is None else directory / chain
