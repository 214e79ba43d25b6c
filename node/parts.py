"""The parts of a node and how they are joined. `node.host` opens and closes them; nothing here runs by itself.

`Commons` exist once in a process; every chain that it hosts has `Parts` of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from consensus import make_engine
from consensus.engine import EpochStart, Started, TransactionsReady
from consensus.parameters import EngineParameters
from contracts.executor import Executor
from ledger.chain import ChainStore
from ledger.crypto import SigningKey, address_of
from ledger.genesis import Genesis
from ledger.shard_genesis import REGION_ENGINE
from node.application import Application
from node.blocks import Blocks, Leading
from node.bodies import Bodies
from node.boundary_source import BoundarySource
from node.catchup import LEAD, Catchup
from node.chains import HostedChain, Phase
from node.clock import Clock
from node.commit import Commits
from node.config import NodeConfig
from node.driver import Driver, Surroundings
from node.engine_side import EngineSide
from node.evidence_side import takes_reports
from node.following import Following
from node.founding import (
    block_rules,
    current_epoch,
    engine_parameters,
    engine_policy,
    engine_side,
    leader_limits,
    make_executor,
    open_chain,
)
from node.head_state import AdmissionRules, HeadState
from node.inbox import Inbox
from node.ingress import Ingress, IngressSettings
from node.ledger_thread import LedgerThread
from node.log import Logger, node_logger
from node.machine import Machine
from node.mempool import Mempool, MempoolLimits
from node.metrics import Metrics
from node.peers import ChainSource, Members, Peers
from node.publisher import Publisher
from node.recorder import Recorder
from node.reporter import CommitteeReporter, CouncilReporter, Passed, Reporter
from node.restart_file import restart_view
from node.shards.collusion import Collusion, Lie
from node.shards.kept_states import keep_for_next_epoch
from node.shards.region_side import RegionRules, RegionSide
from node.siblings import Siblings
from node.signatures import SignatureChecks
from node.signer import Signer
from node.speaker import Voice
from node.store_guard import GuardedStore
from node.wal import SEGMENT_BYTES, Wal
from node.wal_format import WalIdentity
from node.withheld import withholding
from p2p.settings import NetworkSettings
from p2p.snapshot_server import SnapshotServer
from p2p.sync import Sync, SyncClient
from p2p.sync_server import SyncServer

SMALL_SEGMENT_BYTES: Final = 128 * 1024
"""Segments of the log with `[dev] small_files`."""


class Wishes:
    """Whether the engine has anything to propose: transactions that wait, or what the side of the engine wants."""

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell = tell
        self._waiting = self._wanted = self._told = False

    def transactions(self, waiting: bool) -> None:
        """The mempool has some, or none any more."""
        self._waiting = waiting
        self._say()

    def block(self, wanted: bool) -> None:
        """The side wants a block, or none any more (`node.siblings.Siblings.want_block`). On the loop."""
        self._wanted = wanted
        self._say()

    def _say(self) -> None:
        pending = self._waiting or self._wanted
        if pending != self._told:
            self._told = pending
            self._tell(pending)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that serves one chain."""

    metrics: Metrics
    log: Logger
    clock: Clock
    chain: ChainStore
    views: Executor
    state: HeadState
    signer: Signer
    publisher: Publisher
    mempool: Mempool
    ingress: Ingress
    blocks: Blocks
    ledger_thread: LedgerThread
    commits: Commits
    catchup: Catchup
    following: Following
    driver: Driver
    peers: Peers
    members: Members
    sync: Sync
    started: Started
    siblings: Siblings
    wishes: Wishes
    reporter: Reporter | None
    passed: Passed
    side: EngineSide


def network_settings(
    config: NodeConfig, genesis: Genesis, members: Members, known_addresses: tuple[bytes, ...]
) -> NetworkSettings:
    """What the network is told."""
    p2p = config.p2p
    return NetworkSettings(
        chain_id=genesis.chain_id,
        genesis_hash=genesis.hash,
        name=config.node.name,
        listen_host=p2p.host,
        listen_port=p2p.port,
        advertise=p2p.advertise or "",
        seeds=p2p.seeds,
        known_addresses=known_addresses,
        admit=members.refusal,
        is_validator=members.is_validator,
        max_clock_skew_ms=p2p.max_clock_skew_ms,
    )


def submitters(genesis: Genesis) -> frozenset[bytes]:
    """The accounts that genesis lets submit: those of its members that submit, deploy or vote."""
    may = {"submit", "deploy", "validator"}
    return frozenset(address_of(m.account_key) for m in genesis.members if m.account_key and may & set(m.roles))


def has_own_cores(config: NodeConfig, genesis: Genesis) -> bool:
    """Whether this node has two cores for itself. On a loopback address the whole network is on this host."""
    cores = len(os.sched_getaffinity(0))
    try:
        shared = ip_address(config.p2p.host).is_loopback
    except ValueError:
        shared = False
    nodes_here = len(genesis.all_validators) if shared else 1
    return cores >= 2 * nodes_here


@dataclass(frozen=True, slots=True)
class Commons:
    """What the chains of one process share. `log_pool` syncs their logs, one after the other."""

    config: NodeConfig
    genesis: Genesis
    machine: Machine
    files: ExitStack
    members: Members
    ledger_thread: LedgerThread
    log_pool: ThreadPoolExecutor
    signatures: SignatureChecks
    account: SigningKey | None


def open_commons(
    machine: Machine,
    config: NodeConfig,
    members: Members,
    account: SigningKey | None,
    stacks: tuple[ExitStack, ExitStack],
    metrics: Metrics,
) -> Commons:
    """Start the threads. `members`: of the network. `account`: what this node speaks by. What must be closed is on
    `stacks`: what the chains open, and the threads, which end first because they use it."""
    files, threads = stacks
    genesis = members.genesis
    own_cores, verify = has_own_cores(config, genesis), config.verify
    log_pool = threads.enter_context(ThreadPoolExecutor(1, thread_name_prefix="log"))
    signatures = SignatureChecks.open(
        verify.threads or (2 if own_cores else 1),
        metrics,
        processes=own_cores if verify.processes == "auto" else verify.processes == "on",
        log=node_logger(config.node.name),
    )
    checks = threads.enter_context(signatures)
    thread = threads.enter_context(LedgerThread.open())
    return Commons(config, genesis, machine, files, members, thread, log_pool, checks, account)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a chain stands on: files, keys, executors."""

    commons: Commons
    hosted: HostedChain
    metrics: Metrics
    log: Logger
    store: GuardedStore
    chain: ChainStore
    executor: Executor
    wal: Wal
    signer: Signer
    epoch: EpochStart
    parameters: EngineParameters


@dataclass(frozen=True, slots=True)
class _Road:
    """The road of a transaction."""

    state: HeadState
    mempool: Mempool
    ingress: Ingress
    commits: Commits
    blocks: Blocks
    application: Application
    side: EngineSide


def open_parts(commons: Commons, hosted: HostedChain, metrics: Metrics) -> Parts:
    """Open a chain's store and log and join everything. What must be closed is on the commons' `files`."""
    ground = _open_ground(commons, hosted, metrics)
    genesis, log, chain, signer = hosted.genesis, ground.log, ground.chain, ground.signer
    peers = Peers(commons.members, log, _recorder(commons, hosted))
    inbox = Inbox(metrics)
    wishes = Wishes(lambda pending: inbox.put(TransactionsReady(pending)))
    siblings = Siblings()
    road = _build_road(ground, peers, wishes, siblings)
    client = SyncClient(genesis.chain_id, peers.send_sync, peers.fault)
    lead = 0 if hosted.phase is Phase.LEFT else LEAD
    catchup = Catchup(client, road.blocks, lambda: road.commits.position, log, lead)
    following = Following(catchup, log, genesis.engine == REGION_ENGINE)
    withheld = commons.config.dev.withhold
    release = withholding(withheld and commons.config.path(withheld), lambda message: driver.released(message))
    publisher = Publisher(signer, ground.wal, commons.log_pool, metrics, log, release)
    ground.store.log_position = lambda: publisher.position
    reporter, passed = _reporter(ground, road, following), Passed()
    driver = Driver(
        make_engine(
            genesis.engine,
            ground.parameters,
            signer.public_key,
            genesis.chain_id,
            0 if genesis.council is None else genesis.council.seats,
        ),
        inbox,
        Surroundings(commons.machine.clock, peers, publisher, road.blocks, following, reporter or passed, metrics, log),
    )
    return Parts(
        metrics=metrics,
        log=log,
        clock=commons.machine.clock,
        chain=chain,
        views=make_executor(genesis),
        state=road.state,
        signer=signer,
        publisher=publisher,
        mempool=road.mempool,
        ingress=road.ingress,
        blocks=road.blocks,
        ledger_thread=commons.ledger_thread,
        commits=road.commits,
        catchup=catchup,
        following=following,
        driver=driver,
        peers=peers,
        members=commons.members,
        sync=Sync(SyncServer(ChainSource(chain), peers.send_sync), client, SnapshotServer(BoundarySource(chain))),
        started=_started(ground, road),
        side=road.side,
        siblings=siblings,
        wishes=wishes,
        reporter=reporter,
        passed=passed,
    )


def _reporter(ground: _Ground, road: _Road, following: Following) -> Reporter | None:
    """What this node says to its chain by itself; None if it has no vote, no account or nothing to say."""
    commons, key, genesis = ground.commons, ground.hosted.key, ground.hosted.genesis
    if key is None or commons.account is None or not takes_reports(genesis):
        return None
    voice = Voice(key.public, commons.account, genesis.chain_id, road.ingress.submit)
    if genesis.council is None:
        return CommitteeReporter(voice, road.state, lambda: road.commits.epoch, ground.log)
    signer = ground.signer

    def may_vote() -> bool:
        return not (following.halted or signer.stopped or signer.held)

    return CouncilReporter(voice, road.state, road.commits, commons.machine.clock, may_vote, ground.log)


def _open_ground(commons: Commons, hosted: HostedChain, metrics: Metrics) -> _Ground:
    config, machine, genesis, key = commons.config, commons.machine, hosted.genesis, hosted.key
    store = _open_store(commons, hosted)
    executor = make_executor(genesis)
    chain = open_chain(store, genesis, executor)
    commons.files.callback(chain.boundaries.close)
    if chain.height and engine_policy(genesis).is_boundary(chain.head):
        chain.keep_boundary()
    identity = WalIdentity(genesis.chain_id, hosted.seat)
    if not hosted.seat and not hosted.wal.exists():
        Wal.found(hosted.wal, identity, machine.disk)  # who never signs has nothing to forget
    wal = commons.files.enter_context(
        Wal.open(
            hosted.wal,
            identity,
            synced=store.synced_log(),
            disk=machine.disk,
            segment_bytes=SMALL_SEGMENT_BYTES if config.dev.small_files else SEGMENT_BYTES,
        )
    )
    signer = Signer(key, genesis.chain_id, wal.recovery, wal.hold_reason)
    epoch = current_epoch(chain, engine_policy(genesis))
    signer.begin_epoch(epoch)
    fields = {} if commons.genesis.shards is None else {"chain": hosted.name}
    return _Ground(
        commons=commons,
        hosted=hosted,
        metrics=metrics,
        log=node_logger(config.node.name, **fields),
        store=store,
        chain=chain,
        executor=executor,
        wal=wal,
        signer=signer,
        epoch=epoch,
        parameters=engine_parameters(genesis, config.consensus),
    )


def _build_road(ground: _Ground, peers: Peers, wishes: Wishes, siblings: Siblings) -> _Road:
    commons, genesis, chain = ground.commons, ground.hosted.genesis, ground.chain
    config, bounds, verify = commons.config, commons.config.mempool, commons.config.verify
    state = HeadState(chain.rows)
    mempool = Mempool(
        MempoolLimits(bounds.max_transactions, bounds.max_bytes, bounds.max_per_sender, bounds.max_per_peer),
        AdmissionRules(state, make_executor(genesis), None if bounds.strangers else submitters(genesis)),
        wishes.transactions,
    )
    ingress = Ingress(
        IngressSettings(genesis.transaction_chain_id, verify.group_ms, verify.chunk, verify.cache),
        mempool,
        commons.signatures,
        ground.metrics,
        peers.spread,
        peers.drop,
    )
    side = engine_side(genesis, siblings, ground.executor, commons.genesis)
    if isinstance(side, RegionSide):
        keep_for_next_epoch(chain, side.rules, siblings)
    if isinstance(side, RegionSide) and ground.hosted.key is not None:
        account = address_of((commons.account or ground.hosted.key).public)
        side.collusion = _collusion(config, side.rules, account)
    rules = block_rules(genesis, side)
    application = Application(chain.state(), ground.executor, rules, chain.head_hash, ground.metrics)
    commits = Commits(chain, application, ground.metrics, ground.epoch, follows=genesis.engine == REGION_ENGINE)
    leading = Leading(
        leader_limits(genesis, config.consensus),
        ground.parameters.delta_ms * (2 if genesis.engine == "solo" else 1),  # in solo nobody else has to check it
        commons.machine.stopwatch,
    )
    blocks = Blocks(application, commits, Bodies(mempool, ingress), mempool, commons.ledger_thread, leading)
    return _Road(state, mempool, ingress, commits, blocks, application, side)


def _collusion(config: NodeConfig, rules: RegionRules, account: bytes) -> Collusion | None:
    """How a member lies by its configuration; not any more once its region has begun anew."""
    dev = config.dev
    if not dev.collude_from or rules.region_epoch > 1:
        return None
    when = config.path(Path(dev.collude_when)) if dev.collude_when else None
    return Collusion(dev.collude_from, Lie(dev.collude_by), account, when=when)


def _started(ground: _Ground, road: _Road) -> Started:
    chain = ground.chain
    finality = chain.finality(chain.height)
    return Started(
        chain.head,
        chain.head_hash,
        None if finality is None else finality.certificate,
        ground.epoch,
        ground.wal.recovery,
        road.application.next_due_ms(chain.state()),
        restart_view(ground.hosted.wal, chain, ground.epoch, ground.commons.machine.disk, ground.log),
    )


def _recorder(commons: Commons, hosted: HostedChain) -> Recorder | None:
    if not commons.config.dev.record:
        return None
    recorder = Recorder(hosted.record)
    commons.files.callback(recorder.close)
    return recorder


def _open_store(commons: Commons, hosted: HostedChain) -> GuardedStore:
    store = commons.machine.store(hosted.data, commons.config.node.store)
    commons.files.callback(store.close)
    return GuardedStore(store, hosted.data, commons.machine.disk)
