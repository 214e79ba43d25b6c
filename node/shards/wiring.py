"""From a network's genesis to the sides of its chains: what genesis fixes for regions and centres."""

from __future__ import annotations

from dataclasses import replace

from consensus.sharded.discipline import Audit, ShardRules
from consensus.sharded.global_state import GlobalState, RegionView
from consensus.sharded.records import RegionPosition
from contracts.executor import Executor
from contracts.library_crossing import CROSSING
from ledger.crypto import ZERO_HASH, Hash
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.errors import InvariantBroken
from ledger.genesis import Genesis, GenesisHead, GenesisSummary
from ledger.shard_genesis import GLOBAL_ENGINE, hosted_genesis
from ledger.succession import succession_of
from node.engine_side import EngineSide
from node.shards.audit import Copies, Replays
from node.shards.global_side import GlobalRules, GlobalSide
from node.shards.region_side import RegionRules, RegionSide
from node.siblings import Siblings


def shard_side(
    network: Genesis, genesis: Genesis, siblings: Siblings, executor: Executor, replay: Replays
) -> EngineSide:
    """The side of one chain of a sharded network. `network`: its whole genesis, `genesis`: the chain's; `executor`: the
    ledger thread's; `replay`: how blocks of a region are executed again."""
    if genesis.engine == GLOBAL_ENGINE:
        return GlobalSide(global_rules(network), executor, Copies(siblings, replay))
    return RegionSide(region_rules(genesis, genesis.name.removeprefix(f"{network.name}-")), executor, siblings)


def region_rules(genesis: Genesis | GenesisSummary, region: str) -> RegionRules:
    """What genesis fixes for a region's chain. `genesis`: of that chain."""
    shards, succession = _settings(genesis), succession_of(genesis)
    first = RegionRules(
        region=region,
        chain_id=genesis.chain_id,
        transaction_chain_id=genesis.transaction_chain_id,
        genesis_ms=genesis.time_ms,
        round_ms=shards.round_ms,
        views=shards.region_views,
        work=shards.lottery == "work",
        audit=Audit(shards.audit),
    )
    if succession is None:
        return first
    return replace(
        first,
        region_epoch=succession.epoch,
        base_seq=succession.base_seq,
        base_record=Hash(succession.base_record),
    )


def global_rules(network: Genesis) -> GlobalRules:
    """What genesis fixes for the global chain, and its state before the first block."""
    shards = _settings(network)
    deposits = {member.public_key: shards.deposit for region in shards.regions for member in region.validators}
    regions = tuple(sorted((_region(network, region.name) for region in shards.regions), key=lambda one: one.name))
    return GlobalRules(
        centres=network.validator_set,
        first=GlobalState(
            regions=regions,
            deposits=deposits if shards.deposit else {},
            machines={one.node_key: one.validator_key for one in network.members if one.node_key and one.validator_key},
        ),
        rules=shard_rules(shards),
        genesis_ms=network.time_ms,
        round_ms=shards.round_ms,
        pool_blocks=shards.pool_blocks,
        chain_id=hosted_genesis(network, GLOBAL).chain_id,
        payees=frozenset(region.name for region in shards.regions if _takes_money(network, region.name)),
    )


def _takes_money(network: Genesis, region: str) -> bool:
    """Whether a region has the contract by which money comes in."""
    return any(contract.name == CROSSING for contract in hosted_genesis(network, region).contracts)


def shard_rules(shards: ShardSettings) -> ShardRules:
    """The settings as the rules take them."""
    return ShardRules(
        stale_rounds=shards.stale_rounds,
        takeover_rounds=shards.takeover_rounds,
        penalty_rounds=shards.penalty_rounds,
        lying_ppm=shards.lying,
        signer_ppm=shards.signer,
        fee_ppm=shards.fee,
        inbox_limit=shards.inbox_limit,
        assigned_rounds=shards.assigned_rounds,
        deposit=shards.deposit,
        audit=Audit(shards.audit),
    )


def _region(network: Genesis, name: str) -> RegionView:
    """A region of which nothing is confirmed: what it owns at first comes with its first record."""
    genesis = hosted_genesis(network, name)
    nothing = RegionPosition(0, ZERO_HASH, 0, 0, 0, 0)
    return RegionView(name=name, chain_id=genesis.chain_id, validators=genesis.validator_set, position=nothing)


def _settings(genesis: GenesisHead) -> ShardSettings:
    if genesis.shards is None:
        raise InvariantBroken("a network without regions has no shards")
    return genesis.shards
