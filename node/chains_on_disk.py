"""The chains of a node that is down, by the names under which it would serve them.

`north` is the newest chain of region `north` that the node has, `north.1` the first, `north.2` the one after it. Which
there are, and what each begins from, says the node's own copy of the centres' chain.
"""

from __future__ import annotations

from pathlib import Path

from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.errors import ConfigError
from ledger.genesis import Genesis
from ledger.shard_genesis import home_chain, hosted_genesis
from ledger.state import StateBase
from ledger.store import open_store
from ledger.succession import Opening
from node.chains import HostedChain, Place, chain_directory, hosted_chain
from node.config import NodeConfig
from node.shards.openings_log import openings
from node.shards.succession import successor_genesis


def chain_on_disk(config: NodeConfig, network: Genesis, name: str, key: SigningKey | None = None) -> HostedChain:
    """A chain of a node that is down. `key`: the node's, if it votes. Raise `ConfigError` (CHAIN_EMPTY), `GenesisError`
    (UNKNOWN_CHAIN), `StoreError` if the node runs."""
    region, _, number = name.partition(".")
    line = _line(config, network, region, key)
    chosen = int(number) if number.isascii() and number.isdigit() else len(line) if not number else 0
    if 1 <= chosen <= len(line) and _has_files(line[chosen - 1].data):
        return line[chosen - 1]
    raise ConfigError(
        "there is no chain here",
        code="CHAIN_EMPTY",
        expected=", ".join(str(one.data) for one in line),
        found=name if len(line) > 1 else "nothing",
        fix="name the home of a node that has run, and a chain that it has kept",
    )


def _line(config: NodeConfig, network: Genesis, region: str, key: SigningKey | None) -> list[HostedChain]:
    """A region's chains as far as they are here, the first in any case."""
    alone = network.shards is None  # its committee may take in a key that genesis does not know
    home = key is not None and (alone or home_chain(network, key.public) == region)
    line = [hosted_chain(config, network, Place(region), hosted_genesis(network, region), key if home else None)]
    opened = _opened(config, network, region)
    for number, opening in enumerate(opened, 1):
        genesis = successor_genesis(network, region, opened[:number])
        seated = key is not None and any(member.public_key == key.public for member in opening.opened.members)
        chain = hosted_chain(config, network, Place(region, number + 1), genesis, key if seated else None)
        if not _has_files(chain.data):
            break
        line.append(chain)
    return line


def _opened(config: NodeConfig, network: Genesis, region: str) -> tuple[Opening, ...]:
    path = chain_directory(config.path(config.node.data), network, GLOBAL)
    if network.shards is None or region == GLOBAL or not _has_files(path):
        return ()
    store = open_store(path, config.node.store)
    try:
        return openings(StateBase(store), region)
    finally:
        store.close()


def _has_files(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())
