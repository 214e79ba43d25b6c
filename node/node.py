"""The composition root: opens everything in one scope, in order, and closes it in reverse, whatever happens.

    async with Node.open(config, genesis) as node:
        await node.finished()

Order: keys and identity, store, log, threads, the road of a transaction, the engine, the network. A crash in any part
ends the scope with its exception. Ready means: store and log are open and identity is checked; no quorum is waited for.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.executor import BlockContext
from contracts.values import Value
from ledger.accounts import NonceWindow, nonce_state
from ledger.crypto import Hash, SigningKey
from ledger.errors import GridchainError
from ledger.genesis import Genesis
from ledger.state_proof import StateProof
from node.address_file import load_addresses, save_addresses
from node.blocks import Surfaces
from node.commit import Outcome
from node.config import NodeConfig
from node.feed import CommitFeed, CommittedSummary, Feeds
from node.ingress import Submitted
from node.machine import Machine, SystemMachine
from node.parts import Parts, load_identity, load_validator_key, network_settings, open_parts
from node.peers import Links
from node.self_test import self_test_once
from node.tasks import Tasks, task_scope
from p2p.peer import PeerInfo
from p2p.refusals import Refusal as PeerRefusal

SWITCH_INTERVAL_S: Final = 0.0005
"""How long one thread may keep the interpreter lock while another wants it (ADR 0040)."""
ADDRESS_FILE: Final = Path("addresses")
ADDRESSES_S: Final = 5.0
TREE_SLICE_S: Final = 0.002
REGOSSIP_S: Final = 1.0
REGOSSIP_AT_ONCE: Final = 512
"""Transactions offered again per second at most."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where the node stands. `stopped_reason`: why it does not vote or commit, "" if it does. `refusals`: the last
    peers that it refused or that refused it, newest last."""

    name: str
    chain_id: str
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


class Node:
    """A running node. What the HTTP API uses of it is everything public here."""

    def __init__(self, config: NodeConfig, genesis: Genesis, parts: Parts, machine: Machine) -> None:
        self.config = config
        self.genesis = genesis
        self.chain = parts.chain
        self.executor = parts.views
        self.metrics = parts.metrics
        self.ready = False
        self.network: Links | None = None
        self._machine = machine
        self._parts = parts
        self._chain_id = genesis.chain_id
        self._genesis_hash = genesis.hash
        self._names = {validator.public_key: validator.name for validator in genesis.validators}
        self._asking = threading.Lock()
        self._feeds = Feeds()
        self._address_file = config.path(ADDRESS_FILE)

    # --- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    @asynccontextmanager
    async def open(cls, config: NodeConfig, genesis: Genesis) -> AsyncIterator[Node]:
        """Open a node for as long as the scope lasts. Raise `GridchainError` with code and fix if it cannot start."""
        config.check_chain(genesis.name)
        self_test_once(config.path(config.node.data).parent)
        identity = load_identity(config)
        key = load_validator_key(config, genesis)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        dev = config.dev
        machine = SystemMachine(identity, clock_offset_ms=dev.clock_offset_ms, lose_unsynced=dev.lose_unsynced)
        async with cls.open_on(machine, config, genesis, key) as node:
            tame_collector()
            yield node

    @classmethod
    @asynccontextmanager
    async def open_on(
        cls, machine: Machine, config: NodeConfig, genesis: Genesis, key: SigningKey | None
    ) -> AsyncIterator[Node]:
        """Open a node on a machine, by the keys in hand."""
        with ExitStack() as stack:
            parts = open_parts(config, genesis, key, machine, stack)
            node = cls(config, genesis, parts, machine)
            async with task_scope() as tasks:
                node._wire(tasks)
                settings = network_settings(config, genesis, parts.members, load_addresses(node._address_file))
                async with machine.network(settings, parts.peers) as network:
                    parts.peers.connect(network)
                    node.network = network
                    node._start(tasks)
                    node.ready = True
                    yield node
                    node.ready = False

    def _wire(self, tasks: Tasks) -> None:
        parts = self._parts
        surfaces = Surfaces(
            parts.signer.begin_epoch, parts.driver.post, parts.publisher.trim, self._committed, self._halt
        )
        parts.blocks.attach(surfaces, tasks, parts.metrics, parts.log)
        parts.peers.attach(parts.driver, parts.ingress, parts.sync, parts.mempool)

    def _start(self, tasks: Tasks) -> None:
        parts = self._parts
        tasks.spawn(parts.publisher.run(), name="publisher")
        tasks.spawn(parts.blocks.run(), name="commits")
        tasks.spawn(parts.ingress.run(tasks), name="ingress")
        tasks.spawn(parts.driver.run(), name="driver")
        tasks.spawn(parts.catchup.run(), name="catch-up")
        tasks.spawn(self._regossip(), name="regossip")
        tasks.spawn(self._load_tree(), name="state tree")
        tasks.spawn(self._keep_addresses(), name="addresses")
        parts.driver.post(parts.started)
        parts.log.info("node open", height=self.chain.height, engine=self.genesis.engine)
        if parts.publisher.hold_reason:
            fix = "none needed: it observes until it cannot contradict itself, then votes again; check the disk"
            parts.log.warning("this node may not vote yet", reason=parts.publisher.hold_reason, fix=fix)

    async def finished(self) -> None:
        """Return never: wait until the scope is cancelled, or a part crashes and ends it."""
        await asyncio.get_running_loop().create_future()

    # --- for clients --------------------------------------------------------------------------------------------------

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        """Verify and admit transactions; one answer each, in order, when each is admitted or refused."""
        return await self._parts.ingress.submit(raws)

    def status(self) -> NodeStatus:
        """Where the node stands."""
        parts = self._parts
        engine = parts.driver.status
        header, head_hash = parts.commits.head
        return NodeStatus(
            name=self.config.node.name,
            chain_id=self._chain_id,
            genesis_hash=self._genesis_hash,
            engine=self.genesis.engine,
            height=header.height,
            head_hash=head_hash,
            state_root=header.state_root,
            epoch=engine.epoch,
            view=engine.view,
            leader=self._names.get(engine.leader, engine.leader.hex()),
            peers=parts.peers.connected(),
            mempool=len(parts.mempool),
            held=bool(parts.publisher.hold_reason),
            stopped_reason=self._stopped_reason(),
            ready=self.ready,
            refusals=[] if self.network is None else self.network.refusals(),
        )

    def query(
        self, contract: str, entry: str, arguments: list[Value], height: int | None = None, *, as_json: bool = False
    ) -> Value:
        """Ask a view of the state at a height (the head, if None). `as_json`: arguments are parsed JSON, read by the
        types of the view. Any thread. Raise `GridchainError`."""
        with self._asking, self.chain.view(height) as view:
            header = view.chain.header(view.height)
            if header is None:
                raise GridchainError(
                    "there is no such block",
                    code="NOT_FOUND",
                    expected="a committed height",
                    found=f"height {view.height}",
                    fix="ask for the head",
                )
            market_ms = self.executor.clock.market_time(header.time_ms)
            context = BlockContext(self._chain_id, header.height, header.time_ms, market_ms)
            return self.executor.query(view.state, contract, entry, arguments, context, as_json=as_json)

    def state(self, key: bytes, height: int | None = None) -> bytes | None:
        """A value of committed state. Raise `StoreError` if that height is not kept."""
        with self.chain.view(height) as view:
            return view.state.get(key)

    def prove(self, key: bytes, height: int | None = None) -> StateProof:
        """Proof of a key's value or absence. Raise `StoreError` if that height is not kept."""
        with self.chain.view(height) as view:
            return view.state.prove(key)

    def waits(self, transaction_id: Hash) -> bool:
        """Whether this transaction is verified and waits for a block."""
        return transaction_id in self._parts.mempool

    def nonces(self, address: bytes) -> NonceWindow:
        """Nonce window of an account at the head."""
        return nonce_state(self._parts.state, address)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[CommitFeed]:
        """Follow the blocks that are committed from now on."""
        with self._feeds.open() as feed:
            yield feed

    @property
    def metrics_text(self) -> bytes:
        """Prometheus exposition."""
        parts, metrics = self._parts, self.metrics
        metrics.peers.set(len(parts.peers.connected()))
        metrics.mempool_transactions.set(len(parts.mempool))
        metrics.mempool_bytes.set(parts.mempool.size_bytes)
        metrics.held.set(bool(self._stopped_reason()))
        metrics.height.set(self.chain.height)
        return metrics.text()

    # --- what happens -------------------------------------------------------------------------------------------------

    def _stopped_reason(self) -> str:
        parts = self._parts
        return (
            parts.following.halted
            or parts.signer.stopped
            or parts.publisher.trouble
            or parts.blocks.trouble
            or parts.publisher.hold_reason
        )

    @property
    def halted(self) -> str:
        """Why this node commits nothing more before it is started again; "" if it does."""
        return self._parts.following.halted

    def _halt(self, reason: str) -> None:
        self._parts.following.halt(reason)
        self._parts.signer.stop(reason)

    def _committed(self, outcome: Outcome) -> None:
        """Tell followers and count."""
        metrics = self.metrics
        for candidate in outcome.blocks:
            block = candidate.block
            metrics.blocks.inc()
            metrics.transactions.inc(len(candidate.transactions))
            metrics.scheduled.inc(len(candidate.receipts) - len(candidate.transactions))
            for receipt in candidate.receipts:
                if receipt.code == "Internal":
                    # every node that runs this release has the same receipt: the chain goes on, and somebody must know
                    metrics.internal.inc()
                    where = {"contract": receipt.contract, "entry": receipt.entry, "line": receipt.line}
                    self._parts.log.error("a fault of the contract runtime", height=block.header.height, **where)
            metrics.block_transactions.observe(len(candidate.transactions))
            metrics.block_bytes.observe(len(block.body_bytes))
            ids = tuple([transaction.id for transaction in candidate.transactions])
            self._feeds.publish(
                CommittedSummary(block.header.height, block.hash, block.header.time_ms, ids, candidate.receipts)
            )
        if outcome.blocks:
            metrics.fsyncs.labels("store").inc()

    async def _keep_addresses(self) -> None:
        """Write the address book down whenever it has changed."""
        saved: list[bytes] = []
        while True:
            await asyncio.sleep(ADDRESSES_S)
            known = [] if self.network is None else self.network.known_addresses()
            if known and known != saved:
                try:
                    await asyncio.to_thread(save_addresses, self._address_file, known)
                    saved = known
                except OSError as error:
                    self._parts.log.warning("the address book cannot be written", error=str(error))

    async def _load_tree(self) -> None:
        """Have the whole state tree in memory soon after the start, slice by slice between the blocks, so that no block
        pays for it. Every digest is checked on the way: a damaged database ends the node with `StoreError`."""
        steps = self._parts.chain.state().load_all()
        while await self._parts.ledger_thread.run(_advance, steps, self._machine.stopwatch):
            pass

    async def _regossip(self) -> None:
        """Offer again what is still not final: one node alone moves nothing (consensus A.9)."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(REGOSSIP_S)
            due = self._parts.mempool.regossip(int(loop.time() * 1_000), REGOSSIP_AT_ONCE)
            if due:
                self._parts.peers.spread_again(due)


def _advance(steps: Generator[None], stopwatch: Callable[[], float]) -> bool:
    """Take steps for `TREE_SLICE_S`; False when there is none left."""
    until = stopwatch() + TREE_SLICE_S
    return any(stopwatch() >= until for _ in steps)


def tame_collector() -> None:
    """What exists now lives for ever; collect young objects rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
