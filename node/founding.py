"""How a chain begins on a node: the state that genesis installs, the parameters it fixes, the first log."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from consensus.bft import BftPolicy
from consensus.dpos import DposPolicy
from consensus.engine import EpochStart
from consensus.parameters import EngineParameters
from consensus.region_chain import RegionPolicy
from consensus.simplex.policy import Policy
from contracts.executor import BlockContext, ExecutionLimits, Executor, MarketClock
from contracts.library_sources import COMMITTEE
from contracts.lifecycle import unknown_language
from contracts.limits import LANGUAGE
from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.errors import GenesisError, InvariantBroken, StoreError
from ledger.genesis import Genesis, GenesisHead, genesis_block
from ledger.objects import header_hash
from ledger.shard_genesis import REGION_ENGINE
from ledger.state import Overlay, StateBase
from ledger.store import MemoryStore, Store
from ledger.succession import succession_of
from node.application import STATE_VALIDATORS
from node.block_execution import BlockRules
from node.commit import epoch_after
from node.committee_side import CommitteeSide
from node.config import ConsensusSection
from node.council_side import CouncilSide, install_council
from node.engine_side import EngineSide, PlainSide
from node.mempool import BlockLimits
from node.metrics import Metrics
from node.shards.past_state import Copy, Replay
from node.shards.region_side import RegionSide
from node.shards.wiring import region_rules, shard_side
from node.siblings import Siblings
from node.wal import Wal
from node.wal_format import WalIdentity

_PLAIN: Final = PlainSide()
_PAGE: Final = 4_096
BODY_ROOM: Final = 64
"""Bytes of a block's body besides its transactions."""


def make_executor(genesis: GenesisHead) -> Executor:
    """An executor with the clock and the caps of a genesis. Each thread that executes has one of its own."""
    limits = genesis.limits
    clock = MarketClock(genesis.time_ms, genesis.market_clock.origin_ms, genesis.market_clock.speed)
    return Executor(
        clock,
        ExecutionLimits(
            transaction_gas=limits.transaction_gas,
            deploy_gas=limits.deploy_gas,
            install_gas=limits.install_gas,
            scheduled_gas=limits.scheduled_gas,
            scheduled_default_gas=limits.scheduled_default_gas,
            scheduled_block_gas=limits.scheduled_block_gas,
        ),
    )


def block_rules(genesis: Genesis, side: EngineSide = _PLAIN) -> BlockRules:
    """The bounds of blocks that a genesis fixes, and what its engine adds to them."""
    limits = genesis.limits
    return BlockRules(
        chain_id=genesis.chain_id,
        transaction_chain_id=genesis.transaction_chain_id,
        max_transactions=limits.max_block_txs,
        max_bytes=limits.max_block_bytes,
        max_per_sender=limits.sender_block_txs,
        max_gas=limits.block_gas,
        policy=engine_policy(genesis),
        side=side,
    )


def engine_policy(genesis: Genesis) -> Policy:
    """Where the engine of a genesis ends its epochs; genesis itself ends epoch 0."""
    if genesis.council is not None:
        return DposPolicy(genesis.council.seats)
    if genesis.engine == REGION_ENGINE:
        return RegionPolicy(_epoch_views(genesis))
    return BftPolicy(genesis.engine_parameters.epoch_blocks)


def engine_side(genesis: Genesis, siblings: Siblings, executor: Executor, network: Genesis | None = None) -> EngineSide:
    """What the engine of a chain adds to its blocks. `siblings`: the other chains of this process; `executor`: the
    ledger thread's; `network`: the whole genesis of a sharded network."""
    if genesis.shards is not None and network is not None:
        return shard_side(network, genesis, siblings, executor, region_replay)
    if genesis.council is None:
        changes = any(contract.name == COMMITTEE for contract in genesis.contracts)
        return CommitteeSide(genesis, executor) if changes else PlainSide()
    questions = Executor(executor.clock, replace(executor.limits, query_gas=genesis.limits.transaction_gas))
    return CouncilSide(genesis, executor, questions)


def region_replay(region: str, genesis: Genesis) -> Replay:
    """How blocks of a region's chain are executed again, by an executor of the caller's own. `genesis`: the chain's."""
    executor = make_executor(genesis)
    side = RegionSide(region_rules(genesis, region), executor, Siblings())
    again = partial(first_state_alone, genesis=genesis, executor=executor)
    return Replay(executor, block_rules(genesis, side), Metrics(f"{region} again"), side.rules.base_seq, again)


def _epoch_views(genesis: Genesis) -> int:
    return EngineParameters().epoch_views if genesis.shards is None else genesis.shards.region_views


def engine_parameters(genesis: Genesis, chosen: ConsensusSection) -> EngineParameters:
    """What genesis fixes for the engine, and the paces that a node may choose for itself (`[consensus]`).

    The bounds of a block are genesis's alone: an engine judges by them, and what is invalid must not differ from node
    to node. What a leader keeps to in its own blocks is `leader_limits`.
    """
    fixed, limits = genesis.engine_parameters, genesis.limits
    return EngineParameters(
        delta_ms=chosen.delta_ms or fixed.delta_ms,
        min_block_interval_ms=(
            fixed.min_block_interval_ms if chosen.min_block_interval_ms is None else chosen.min_block_interval_ms
        ),
        epoch_blocks=fixed.epoch_blocks,
        heartbeat_ms=fixed.heartbeat_ms,
        max_block_txs=limits.max_block_txs,
        max_block_bytes=limits.max_block_bytes,
        epoch_views=_epoch_views(genesis),
    )


def leader_limits(genesis: Genesis, chosen: ConsensusSection) -> BlockLimits:
    """What this node puts into a block that it leads: at most what genesis allows, with room for the body's frame."""
    limits = genesis.limits
    return BlockLimits(
        min(chosen.max_block_txs or limits.max_block_txs, limits.max_block_txs),
        min(chosen.max_block_bytes or limits.max_block_bytes, limits.max_block_bytes) - BODY_ROOM,
    )


def open_chain(store: Store, genesis: Genesis, executor: Executor) -> ChainStore:
    """Open the chain of `genesis` in `store`; in an empty store, install genesis first. Raise `StoreError`
    (LANGUAGE_UNSUPPORTED too: a contract that this software cannot run), `GenesisError` (GENESIS_INSTALL) if a
    contract's source or arguments are refused."""
    if not ChainStore.is_empty(store):
        chain = ChainStore.open(store, genesis)
        _check_languages(StateBase(store))
        return chain
    if succession_of(genesis) is not None:
        raise StoreError(
            "a chain that continues another has no state of its own",
            code="CHAIN_EMPTY",
            expected="the state that the chain before was left with",
            found="an empty database",
            fix="remove the chain's directory and start the node; it founds the chain from its copy of the one before",
        )
    view = Overlay(StateBase(store))
    view.put(STATE_VALIDATORS, encode(genesis.validator_set.validators))
    market_ms = executor.clock.market_time(genesis.time_ms)
    context = BlockContext(genesis.chain_id, 0, genesis.time_ms, market_ms)
    receipts: list[bytes] = []
    for contract in genesis.contracts:
        receipt = executor.install(view, contract.name, contract.source, contract.arguments, contract.calls, context)
        if not receipt.ok:
            raise GenesisError(
                f"contract {contract.name} cannot be installed",
                code="GENESIS_INSTALL",
                expected="an accepted source and arguments",
                found=f"{receipt.code} at line {receipt.line}",
                fix="correct the contract or its arguments in the genesis document",
            )
        receipts.append(encode(receipt))
    if genesis.council is not None:
        install_council(view, genesis)
    block = genesis_block(genesis, view.seal(), tuple(receipts))
    return ChainStore.create(store, genesis, block, receipts, view.delta())


def first_state_alone(copy: Copy, genesis: Genesis, executor: Executor) -> MemoryStore:
    """A chain without what came after its first block, in memory. `copy`: of that chain, which keeps its first state if
    it continues another."""
    store = MemoryStore()
    if succession_of(genesis) is None:
        open_chain(store, genesis, executor)
        return store
    view = Overlay(StateBase(store))
    after: bytes | None = None
    with copy.view() as head:
        while page := head.chain.first_state(after, _PAGE):
            for key, value in page:
                view.put(key, value)
            after = page[-1][0]
        block = head.chain.block(head.chain.first)
    view.seal()
    if block is None:
        raise InvariantBroken("a chain without its first block")
    ChainStore.create(store, genesis, block, (), view.delta())
    return store


def _check_languages(state: StateBase) -> None:
    unknown = unknown_language(state)
    if unknown is not None:
        raise StoreError(
            "this chain runs a contract in a language that this software does not speak",
            code="LANGUAGE_UNSUPPORTED",
            expected=LANGUAGE,
            found=f"{unknown[1]} in {unknown[0]}",
            fix="install a release of gridchain that speaks it; the data directory stays as it is",
        )


def current_epoch(chain: ChainStore, policy: Policy) -> EpochStart:
    """The epoch that the block after the head belongs to, from its boundary block: the newest that ends one."""
    height = chain.height
    header = chain.header(height)
    while header is not None and height > chain.first and not policy.is_boundary(header):
        height -= 1
        header = chain.header(height)
    raw = chain.header_bytes(height)
    if header is None or raw is None:
        raise GenesisError(
            "the boundary block of the epoch is missing",
            expected=f"block {height}",
            found="nothing",
            fix="gridchain db verify tells what is damaged; take the chain anew from the others",
        )
    return epoch_after(header, header_hash(raw), chain)


def found_log(directory: Path, genesis: Genesis, public_key: bytes) -> None:
    """Write the first log of a validator; only `init` of a new network does this. Raise `StoreError` (WAL_EXISTS)."""
    Wal.found(directory, WalIdentity(genesis.chain_id, public_key))
