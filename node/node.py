"""One chain as this process serves it: its parts at work, and everything that its API asks.

`node.host` makes one `Node` for each chain of a process and opens what they share.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from contracts.executor import BlockContext
from contracts.values import Value
from ledger.accounts import NonceWindow, nonce_state
from ledger.crypto import Hash, address_of
from ledger.engine_settings import GLOBAL
from ledger.errors import GridchainError
from ledger.shard_genesis import REGION_ENGINE
from ledger.state import StateReader
from ledger.state_proof import StateProof
from node.blocks import Surfaces
from node.chains import HostedChain, Phase, Place
from node.commit import Outcome
from node.config import NodeConfig
from node.feed import CommitFeed, CommittedSummary, Feeds
from node.ingress import Submitted
from node.log import Logger
from node.machine import Machine
from node.metrics import Metrics
from node.multiplexer import ChainHandler
from node.parts import Parts
from node.resting import Resting
from node.shards.speakers import Stand
from node.siblings import SiblingChain, Siblings, StoredSibling
from node.status import NodeStatus, RegionEpochStatus
from node.tasks import Tasks

TREE_SLICE_S: Final = 0.002
REGOSSIP_S: Final = 1.0
REGOSSIP_AT_ONCE: Final = 512
"""Transactions offered again per second at most."""
_SEND_TO: Final = "send it to the region's newest chain: leave the number out of the chain's name"


class Node:
    """A running node. What the HTTP API uses of it is everything public here."""

    def __init__(
        self, config: NodeConfig, hosted: HostedChain, parts: Parts, machine: Machine, exposition: Callable[[], bytes]
    ) -> None:
        self.config = config
        self.name = hosted.name
        self.genesis = hosted.genesis
        self.chain = parts.chain
        self.executor = parts.views
        self.metrics = parts.metrics
        self.ready = False
        self._hosted = hosted
        self._machine = machine
        self._exposition = exposition
        self._parts = parts
        self._chain_id = hosted.genesis.transaction_chain_id
        self._genesis_hash = hosted.genesis.hash
        self._names = {validator.public_key: validator.name for validator in hosted.genesis.all_validators}
        self._speakers = frozenset(
            address_of(member.account_key)
            for member in hosted.genesis.members
            if member.validator_key and member.account_key
        )
        self._asking = threading.Lock()
        self._feeds = Feeds()
        self._tell_siblings: Callable[[], None] = _nothing

    @property
    def log(self) -> Logger:
        """Names node and chain."""
        return self._parts.log

    @property
    def peers(self) -> ChainHandler:
        """What the network hands this chain's frames to."""
        parts = self._parts
        return Resting(parts.peers, parts.sync) if self.phase is Phase.OVER else parts.peers

    @property
    def place(self) -> Place:
        """Which chain of the network this is."""
        return self._hosted.place

    @property
    def phase(self) -> Phase:
        """Where this chain stands among those of its region."""
        return self._hosted.phase

    @property
    def region_epoch(self) -> RegionEpochStatus | None:
        """Which of a region's chains this is; None of any other chain."""
        if self.genesis.engine != REGION_ENGINE:
            return None
        return RegionEpochStatus(self.place.epoch, self._hosted.reason, self.chain.first, self.phase)

    @property
    def moved(self) -> bool:
        """Whether a block has been committed since the chain began."""
        return self.chain.height > self.chain.first

    @property
    def head_state(self) -> StateReader:
        """Committed state, safe on the loop."""
        return self._parts.state

    def waiting(self) -> list[bytes]:
        """All transactions that wait for a block, oldest first."""
        return [one.raw for one in self._parts.mempool.oldest(len(self._parts.mempool))]

    @property
    def centres(self) -> SiblingChain | None:
        """See `node.api.access.ApiNode`."""
        return self._parts.siblings.get(GLOBAL)

    @property
    def siblings(self) -> Siblings:
        """What this chain's side knows of the other chains of the process."""
        return self._parts.siblings

    @property
    def votes(self) -> bool:
        """Whether this node has a key for this chain."""
        return self._hosted.key is not None

    def as_sibling(self) -> SiblingChain:
        """This chain as the others of the process see it."""
        return StoredSibling(self.name, self.genesis, self.chain)

    @property
    def stand(self) -> Stand:
        """This chain for whatever of this process speaks of it, or on it, unasked."""
        return Stand(self._hosted.key, self.genesis, self._parts, self.config.dev.lie_about_record)

    def attach(self, tasks: Tasks, committed: Callable[[], None]) -> None:
        """Join the parts; before the network opens. `committed` is called after each commit, on the loop."""
        parts = self._parts
        self._tell_siblings = committed
        loop = asyncio.get_running_loop()
        parts.siblings.propose = lambda wanted: _call(loop, parts.wishes.block, wanted)
        surfaces = Surfaces(
            parts.signer.begin_epoch, parts.driver.post, parts.publisher.trim, self._committed, self._halt
        )
        parts.blocks.attach(surfaces, tasks, parts.metrics, parts.log)
        self._follow_from(self.chain.differing(self.chain.first, self.chain.height))
        parts.peers.attach(parts.driver, parts.ingress, parts.sync, parts.mempool)

    def sibling_committed(self, sibling: SiblingChain, tasks: Tasks) -> None:
        """Another chain of this process has moved."""
        parts = self._parts
        parts.blocks.sibling_committed()
        if parts.siblings.listeners:
            tasks.spawn(_finish(parts.ledger_thread.run(parts.siblings.heard, sibling)), name="sibling")

    def start(self, tasks: Tasks) -> None:
        """Set the chain going; the network is open. A chain that is over is only served."""
        parts = self._parts
        if self.phase is Phase.OVER:
            parts.log.info("a chain that is over is kept", height=self.chain.height, chain=self.name)
            return
        tasks.spawn(parts.publisher.run(), name="publisher")
        tasks.spawn(parts.blocks.run(), name="commits")
        tasks.spawn(parts.ingress.run(tasks), name="ingress")
        tasks.spawn(parts.driver.run(), name="driver")
        tasks.spawn(parts.catchup.run(), name="catch-up")
        tasks.spawn(self._regossip(), name="regossip")
        tasks.spawn(self._load_tree(), name="state tree")
        if parts.reporter is not None:
            tasks.spawn(parts.reporter.run(), name="reporter")
            parts.reporter.committed()
        parts.driver.post(parts.started)
        parts.log.info("node open", height=self.chain.height, engine=self.genesis.engine)
        if self.held:
            fix = "none needed: it observes until it cannot contradict itself, then votes again; check the disk"
            parts.log.warning("this node may not vote yet", reason=parts.publisher.hold_reason, fix=fix)

    # --- for clients --------------------------------------------------------------------------------------------------

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        """Verify and admit transactions; one answer each, in order, when each is admitted or refused."""
        if self.phase is Phase.OVER:
            return [Submitted(None, False, "CHAIN_OVER", f"the chain {self.place.chain}", self.name, _SEND_TO)] * len(
                raws
            )
        return await self._parts.ingress.submit(raws)

    def status(self) -> NodeStatus:
        """Where the node stands."""
        parts = self._parts
        engine = parts.driver.status
        header, head_hash = parts.commits.head
        return NodeStatus(
            name=self.config.node.name,
            chain=self.name,
            chain_id=self._chain_id,
            network_id=self._hosted.network_id,
            votes=self.votes,
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
            held=self.held,
            stopped_reason=self._stopped_reason(),
            ready=self.ready,
            refusals=parts.peers.refusals(),
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
        """Prometheus exposition of the whole process."""
        return self._exposition()

    def measure(self) -> Metrics:
        """The metrics of this chain, with what is read only on demand."""
        parts, metrics = self._parts, self.metrics
        metrics.peers.set(len(parts.peers.connected()))
        metrics.mempool_transactions.set(len(parts.mempool))
        metrics.mempool_bytes.set(parts.mempool.size_bytes)
        metrics.held.set(bool(self._stopped_reason()))
        metrics.height.set(self.chain.height)
        return metrics

    # --- what happens -------------------------------------------------------------------------------------------------

    def _stopped_reason(self) -> str:
        parts = self._parts
        return (
            parts.following.halted
            or parts.following.differs
            or parts.signer.stopped
            or parts.publisher.trouble
            or parts.blocks.trouble
            or (parts.publisher.hold_reason if self.votes else "")
        )

    @property
    def held(self) -> bool:
        """Whether this node observes until it cannot contradict what it may have signed."""
        return self.votes and bool(self._parts.publisher.hold_reason)

    @property
    def halted(self) -> str:
        """Why this node commits nothing more before it is started again; "" if it does."""
        return self._parts.following.halted

    @property
    def caught_up(self) -> bool:
        """Whether this node votes, and has committed all that it may have seen final before it lost its log. The hold
        ends by certificates, while the blocks below them may still be on their way."""
        header, _ = self._parts.commits.head
        return self.votes and not self.held and (header.epoch, header.view) >= self._parts.publisher.floor

    def _halt(self, reason: str) -> None:
        self._parts.following.fail(reason)
        self._parts.signer.stop(reason)

    def _follow_from(self, height: int | None) -> None:
        """The region has certified other roots at a height than this node's own: it signs nothing here any more."""
        if height is not None:
            reason = f"state-divergence: block {height} gives other roots here than are certified"
            self._parts.following.halt(reason)
            self._parts.signer.stop(reason)

    def _committed(self, outcome: Outcome) -> None:
        """Tell followers and count."""
        metrics = self.metrics
        self._follow_from(next((one.block.header.height for one in outcome.blocks if one.differs), None))
        for candidate in outcome.blocks:
            block = candidate.block
            metrics.blocks.inc()
            metrics.transactions.inc(len(candidate.transactions))
            metrics.spoken.inc(sum([one.sender in self._speakers for one in candidate.transactions]))
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
        if self._parts.reporter is not None:
            self._parts.reporter.committed()
        if outcome.blocks:
            metrics.fsyncs.labels("store").inc()
            self._tell_siblings()

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


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[bool], None], value: bool) -> None:
    """Call on the loop, from any thread; nothing once the loop has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, value)


async def _finish(work: asyncio.Future[None]) -> None:
    """Hear of a failure: it ends the scope."""
    await work


def _nothing() -> None:
    """Nobody is told yet."""
