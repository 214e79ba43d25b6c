"""The network of a simulated world: genesis, keys, configuration, the first log of every member."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from consensus.simulator.world import GENESIS_MS
from contracts.library_sources import (
    HOUR_MS,
    AuctionMode,
    Calendar,
    Institutions,
    LibraryParameters,
    library_contracts,
)
from ledger.crypto import SigningKey, sha256
from ledger.engine_settings import EngineSettings, GenesisValidator
from ledger.genesis import (
    GENESIS_VERSION,
    Genesis,
    GenesisContract,
    GenesisHead,
    GenesisLimits,
    MarketClockSettings,
    Member,
    make_genesis,
)
from ledger.possession import prove_possession
from node.config import DevSection, MempoolSection, NodeConfig, NodeSection, VerifySection
from node.simulation.options import NodeSeed

NETWORK: Final = "dev-simulated"
TREASURY: Final = "trading_center"
"""Whose key mints."""


def key_of(role: str, index: int = 0) -> SigningKey:
    """The key of somebody in a simulated world; the same in all of them."""
    return SigningKey(sha256(b"simulated %s %d" % (role.encode(), index)))


def genesis_of(options: NodeSeed) -> Genesis:
    """The genesis of a run: its members and their weights, its paces, and the contract `token`."""
    weights = tuple(1 + index % 3 if options.weighted else 1 for index in range(options.nodes))
    paces = EngineSettings(options.delta_ms, options.interval_ms, options.epoch_blocks)
    return _genesis(weights, paces)


@lru_cache(maxsize=64)
def _genesis(weights: tuple[int, ...], paces: EngineSettings) -> Genesis:
    nodes = range(len(weights))
    validators = tuple(
        GenesisValidator(
            f"node{index}",
            key_of("validator", index).public,
            weights[index],
            prove_possession(key_of("validator", index), NETWORK, "validator"),
        )
        for index in nodes
    )
    head = GenesisHead(
        version=GENESIS_VERSION,
        name=NETWORK,
        time_ms=GENESIS_MS,
        engine="bft",
        profile="safe",
        engine_parameters=paces,
        validators=validators,
        members=tuple(_member(index) for index in nodes),
        ca_certificates=(),
        market_clock=MarketClockSettings(GENESIS_MS),
        limits=GenesisLimits(),
        council=None,
        shards=None,
    )
    token = next(one for one in library_contracts(_library()) if one.name == "token")
    return make_genesis(head, [GenesisContract(token.name, token.source, token.arguments)])


def _library() -> LibraryParameters:
    """Who is who; the markets are not installed, so their figures say nothing."""
    roles = ("energy_bureau", "grid_company", "notary", "trading_center", "community")
    institutions = Institutions(**{role: bytes(key_of(role).address) for role in roles})
    return LibraryParameters(
        institutions, Calendar(slot_ms=HOUR_MS, slot0_ms=0, first_slot=4), AuctionMode(sealed=False)
    )


def _member(index: int) -> Member:
    node, validator, account = (key_of(role, index) for role in ("node", "validator", "account"))
    return Member(
        name=f"node{index}",
        organisation=f"node{index}",
        roles=("validator", "peer", "submit"),
        node_key=node.public,
        node_possession=prove_possession(node, NETWORK, "node"),
        validator_key=validator.public,
        validator_possession=prove_possession(validator, NETWORK, "validator"),
        account_key=account.public,
        account_possession=prove_possession(account, NETWORK, "account"),
    )


@lru_cache(maxsize=32)
def config_of(index: int) -> NodeConfig:
    """The configuration of a member: short segments, one thread for signatures, strangers may submit."""
    return NodeConfig(
        home=Path(f"/simulated/node{index}"),
        node=NodeSection(name=f"node{index}"),
        mempool=MempoolSection(strangers=True),
        verify=VerifySection(threads=1, processes="off"),
        dev=DevSection(small_files=True),
    )
