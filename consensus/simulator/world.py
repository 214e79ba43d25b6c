"""The world: virtual time, nodes, the load that clients bring, and the faults of one seed."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import Any

from consensus.bft import BftEngine, BftPolicy, rotation
from consensus.dpos import DposEngine
from consensus.engine import Engine, EpochStart, StoredBlock
from consensus.messages import Message
from consensus.published_dpos import PublishedDposEngine
from consensus.scheme import DOMAIN_COMPLAINT
from consensus.simplex.policy import Policy
from consensus.simulator.adversaries import Twin, adversary_of
from consensus.simulator.application import ModelApplication, Overlay
from consensus.simulator.auditor import AgreementAuditor, Auditor
from consensus.simulator.council_adversaries import council_adversary_of
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.electing import ChainOf, ElectingApplication
from consensus.simulator.elections import Elections
from consensus.simulator.generator import Generator
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.network import Network
from consensus.simulator.node import SimNode
from consensus.simulator.options import PUBLISHED, SeedOptions
from consensus.simulator.scheme import mock_sign, scheme_of
from consensus.solo import SoloEngine
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, Hash, SigningKey, sha256
from ledger.merkle import EMPTY_ROOT
from ledger.objects import BODY_VERSION, HEADER_VERSION, Body, Header, header_hash, transaction_id
from ledger.validators import Validator, ValidatorSet

GENESIS_MS = 1_700_000_000_000
CHAIN_ID = "simulated"
MOST_AT_ONCE = 100_000
QUIET_LOAD_MS = 100
"""In the quiet phase there is always work: ten blocks need ten times some."""


class World:
    """One run. `at` schedules; `step` takes the next thing that happens."""

    node_kind: type[SimNode] = SimNode

    def __init__(self, options: SeedOptions, chain_id: str = CHAIN_ID) -> None:
        self.options = options
        self.chain_id = chain_id
        self.now = 0
        self.chance = Generator(options.seed)
        self.block_limit = 200
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._trace = hashlib.sha256(options.text().encode())
        self.events = 0
        self._at_once = 0
        self.parameters = options.parameters()
        self._keys = self.own_keys()
        self._committees: dict[int, ValidatorSet] = {}
        self.scheme = self.checker = scheme_of(chain_id, len(self._keys), options.real_crypto)
        self.policy: Policy = BftPolicy(self.parameters.epoch_blocks)
        self.elections = Elections(self, list(self._keys)) if options.elects else None
        self.genesis = self._genesis()
        self.auditor = AgreementAuditor(self) if options.engine in PUBLISHED else Auditor(self)
        self.network = Network(self)
        self.submitted: dict[Hash, bytes] = {}
        self.waiting: dict[Hash, bytes] = {}
        self.loading = True
        self.nodes: list[SimNode] = []
        self.stored = 0
        """Blocks that any node has added to its chain: heights are as before while this is."""
        self._people()

    # --- who there is -------------------------------------------------------------------------------------------------

    def own_keys(self) -> dict[bytes, SigningKey]:
        """Keys of the members, in their order."""
        return keys_of(self.options, self.chain_id)

    def _people(self) -> None:
        options = self.options
        keys = list(self._keys)
        liars = set(range(options.byzantine))
        for index, key in enumerate(keys):
            skewed = len(keys) - 1 - index < options.skewed
            skew = self.chance.between(-options.skew_ms, options.skew_ms) if options.skew_ms else 0
            if skewed:
                skew = 2_000 if self.chance.chance(500_000) else -2_000
            honest = index not in liars
            kind: type[SimNode] = self.node_kind if honest else self._liar(options.adversary)
            if index < options.twins:
                kind, honest = Twin, False
            self.nodes.append(kind(self, index, key, honest, skew))
        for twin in range(options.twins):
            self.nodes.append(Twin(self, len(self.nodes), keys[twin], False, 0))

    def _liar(self, name: str) -> type[SimNode]:
        kind = adversary_of(name) or council_adversary_of(name)
        if kind is None:
            raise KeyError(name)
        return kind

    def is_honest_key(self, key: bytes) -> bool:
        """Whether no liar holds this key."""
        return all(node.honest for node in self.nodes if node.key == key)

    def faultless(self) -> list[SimNode]:
        """Nodes that liveness is promised to."""
        last = len(self._keys) - self.options.skewed
        return [node for node in self.nodes if node.honest and node.index < last]

    def committee(self, epoch: int) -> ValidatorSet:
        """The voting set of an epoch; with more than one committee, each epoch leaves out another member."""
        if self.elections is not None:
            return self.elections.committee(epoch)
        known = self._committees.get(epoch)
        if known is None:
            keys = list(self._keys)
            if self.options.committees > 1:
                del keys[epoch % len(keys)]
            heavy = self.options.weighted
            validators = tuple(Validator(f"v{k.hex()[:8]}", k, 1 + n % 3 if heavy else 1) for n, k in enumerate(keys))
            known = self._committees[epoch] = ValidatorSet(validators)
        return known

    def told_committee(self, epoch: int) -> ValidatorSet:
        """The set as engines get it; the auditor has its own."""
        return ValidatorSet(self.committee(epoch).validators)

    def is_boundary(self, header: Header) -> bool:
        """Whether a block is the last of its epoch."""
        return self.policy.is_boundary(header)

    def epoch_after(self, block: CommittedBlock) -> EpochStart:
        """The epoch that the block after this one belongs to."""
        if block.header.height == 0 or self.is_boundary(block.header):
            boundary, epoch = block, block.header.epoch + 1
        else:
            epoch = block.header.epoch
            boundary = self._boundary_of(epoch)
        committee = self.told_committee(epoch)
        return EpochStart(epoch, boundary.header, boundary.hash, committee, rotation(committee))

    def _boundary_of(self, epoch: int) -> CommittedBlock:
        if self.elections is not None:
            return self.elections.boundary(epoch)
        height = (epoch - 1) * self.parameters.epoch_blocks
        if height == 0:
            return self.genesis
        header = self.auditor.headers[height]
        return CommittedBlock(self.auditor.chain[height], header, self.genesis.block, None)

    # --- what nodes are made of ---------------------------------------------------------------------------------------

    def new_engine(self, key: bytes) -> Engine:
        """An engine without a past."""
        if self.options.engine == "dpos-paper":
            node = next(node for node in self.nodes if node.key == key)
            return PublishedDposEngine(self.parameters, key, self.chain_id, self.scheme, ChainOf(node))
        if self.options.engine == "dpos":
            return DposEngine(self.parameters, key, self.chain_id, self.scheme, self.options.council_seats)
        make = SoloEngine if self.options.engine == "solo" else BftEngine
        return make(self.parameters, key, self.chain_id, self.scheme)

    def _next_validators(self, header: Header) -> Hash:
        return self.committee(header.epoch + 1).hash if self.is_boundary(header) else self.committee(header.epoch).hash

    def new_application(self) -> ModelApplication:
        """The state at genesis."""
        every = self.options.due_every_ms
        genesis = self.genesis
        due = genesis.header.time_ms + every if every else None
        root = Hash(genesis.header.state_root)
        if self.elections is not None:
            first = Overlay(genesis.hash, genesis.header, root, (), (), due, None, self.elections.first)
            return ElectingApplication(first, self._next_validators, every, shared=self.elections.shared)
        head = Overlay(genesis.hash, genesis.header, root, (), (), due, None)
        return ModelApplication(head, self._next_validators, every)

    def application_at(self, chain: list[CommittedBlock], application: ModelApplication) -> ModelApplication:
        """The state after re-executing a chain on the application's, genesis; I8 if a root differs."""
        for block in chain[1:]:
            outcome = application.check(block.header, block.block)
            if not isinstance(outcome, Overlay):
                self.auditor.violation(None, "I8", f"height {block.header.height} does not re-execute: {outcome}")
                break
            application.commit(block.hash)
        return application

    def _genesis(self) -> CommittedBlock:
        body = encode(Body(BODY_VERSION, ()))
        header = Header(
            version=HEADER_VERSION,
            chain_id=self.chain_id,
            epoch=0,
            view=0,
            height=0,
            time_ms=GENESIS_MS,
            parent=ZERO_HASH,
            parent_view=0,
            closing=False,
            transactions_root=EMPTY_ROOT,
            body_size=len(body),
            state_root=sha256(b"empty state"),
            receipts_root=EMPTY_ROOT,
            validators=self.committee(1).hash,
            next_validators=self.committee(1).hash,
            extra_root=ZERO_HASH,
            proposer=ZERO_HASH,
        )
        raw = encode(header)
        block = StoredBlock(header_hash(raw), raw, body)
        return CommittedBlock(block.hash, header, block, None)

    def sign_raw(self, key: bytes, data: bytes) -> bytes:
        """A signature that is no vote."""
        if self.options.real_crypto:
            return self._keys[key].sign(DOMAIN_COMPLAINT, data)
        return mock_sign(key, data)

    def sign_vote(self, key: bytes, kind: VoteKind, epoch: int, view: int, block_hash: bytes) -> Vote:
        """A vote by the holder of a key."""
        committee = self.committee(epoch)
        data = vote_bytes(self.chain_id, committee.hash, kind, epoch, view, block_hash)
        signature = self._keys[key].sign(DOMAIN_VOTE, data) if self.options.real_crypto else mock_sign(key, data)
        return Vote(kind, epoch, view, block_hash, committee.index_of(key) or 0, signature)

    # --- time ---------------------------------------------------------------------------------------------------------

    def wall(self) -> int:
        """True time in ms since 1970."""
        return GENESIS_MS + 1 + self.now

    def at(self, delay: int, action: Callable[..., None], *args: Any) -> None:
        """Schedule an action `delay` ms from now."""
        self._order += 1
        heapq.heappush(self._queue, (self.now + delay, self._order, action, args))

    def step(self, until: int) -> bool:
        """Do the next thing at or before `until`; False if there is none."""
        if not self._queue or self._queue[0][0] > until:
            self.now = until
            return False
        now, _, action, args = heapq.heappop(self._queue)
        self.events += 1
        self._at_once = self._at_once + 1 if now == self.now else 0
        self.now = now
        if self._at_once > MOST_AT_ONCE:
            self.auditor.violation(None, "livelock", f"more than {MOST_AT_ONCE} events in one millisecond")
            self._queue.clear()
            return False
        action(*args)
        return True

    def trace(self, kind: bytes, first: int, second: int, data: bytes) -> None:
        """Add to the trace whose hash names the run."""
        self._trace.update(b"%s %d %d %d " % (kind, self.now, first, second) + data)

    def trace_hash(self) -> str:
        """Hash of everything that happened, in order."""
        return self._trace.hexdigest()

    # --- clients ------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """One client transaction, and again after a while."""
        if not self.loading:
            return
        raw = self.new_transaction()
        self.submitted[transaction_id(raw)] = raw
        self.waiting[transaction_id(raw)] = raw
        self.offer(raw)
        mean = min(self.options.load_ms, QUIET_LOAD_MS) if self.network.calm else self.options.load_ms
        self.at(1 + self.chance.exponential(mean), self.load)

    def new_transaction(self) -> bytes:
        """What a client sends next; never the same twice."""
        return b"tx%d" % len(self.submitted)

    def offer(self, raw: bytes) -> None:
        """Bring a transaction to a live node, which tells the others; repeat until it is final."""
        transaction = transaction_id(raw)
        if transaction not in self.waiting:
            return
        living = [node for node in self.nodes if node.alive]
        if living:
            first = self.chance.choose(living)
            first.submit(raw, transaction)
            for other in self.nodes:
                if other is not first and (self.network.calm or self.chance.chance(800_000)):
                    self.at(1 + self.chance.below(20), other.submit, raw, transaction)
        self.at(2_000, self.offer, raw)

    def included(self, raw: bytes, node: LedgerSide) -> None:
        """A transaction is in a final block of a node."""
        if node.honest:
            self.waiting.pop(transaction_id(raw), None)

    def serve_sync(self, other: int, asker: int, height: int) -> list[CommittedBlock]:
        """What a peer answers to a question for certified blocks from `height` on."""
        cut = {(other, asker), (asker, other)} & self.network.blocked
        node = self.nodes[other]
        return [] if cut or not node.alive else node.serve(height)

    # --- faults -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start all nodes, the load and the faults."""
        options = self.options
        for node in self.nodes:
            node.start()
        if not options.idle:
            self.at(1, self.load)
        if options.crash_mtbf_ms:
            for node in self.nodes:
                self.at(self.chance.exponential(options.crash_mtbf_ms), self.crash, node)
        if options.partition_ms:
            self.at(self.chance.exponential(options.partition_ms), self.partition)
        for _ in range(options.power_cuts):
            self.at(self.chance.below(options.seconds_ms), self.power_cut)
        for node in self.nodes[::-1][: options.wiped]:
            self.at(self.chance.between(options.seconds_ms // 4, options.seconds_ms // 2), self.wipe, node)

    def crash(self, node: SimNode) -> None:
        """SIGKILL or a power cut of one node; it comes back."""
        if self.network.calm:
            return
        self.stop(node)
        self.at(1 + self.chance.exponential(self.options.restart_ms), self.revive, node)
        self.at(self.chance.exponential(self.options.crash_mtbf_ms), self.crash, node)

    def stop(self, node: SimNode) -> None:
        """End a node's life."""
        if node.alive:
            volatile = len(node.log.volatile)
            survivors = self.chance.between(0, volatile) if self.options.lose_unsynced else volatile
            self.trace(b"x", node.index, survivors, b"")
            node.crash(survivors)

    def revive(self, node: SimNode) -> None:
        """Begin a node's next life."""
        if not node.alive:
            self.trace(b"r", node.index, node.life, b"")
            node.start()

    def wipe(self, node: SimNode) -> None:
        """A node loses its disk."""
        if self.network.calm:
            return
        self.stop(node)
        node.wipe()
        self.at(self.options.restart_ms, self.revive, node)

    def power_cut(self) -> None:
        """All nodes at once."""
        if not self.network.calm:
            for node in self.nodes:
                self.stop(node)
                self.at(100 + self.chance.below(500), self.revive, node)

    def partition(self) -> None:
        """Cut the network for a while, then again."""
        if not self.network.calm:
            self.network.partition(self.options.one_way)
            length = self.chance.exponential(self.options.partition_ms)
            self.at(length, self.network.heal)
            self.at(length + 1 + self.chance.exponential(self.options.partition_ms), self.partition)

    def quiet(self) -> None:
        """Faults end: everybody is back, the network holds."""
        self.network.calm_down()
        for node in self.nodes:
            self.revive(node)
        self.load()

    def hear(self, message: Message, sender: int) -> None:
        """A message that an adversary addresses to everybody."""
        for node in self.nodes:
            if node.index != sender:
                self.network.send(sender, node.index, message)


def keys_of(options: SeedOptions, chain_id: str) -> dict[bytes, SigningKey]:
    """Keys of the members; those of another chain are other people's."""
    whose = b"" if chain_id == CHAIN_ID else b" of " + chain_id.encode()
    keys = [SigningKey(sha256(b"simulated validator %d" % index + whose)) for index in range(options.nodes)]
    return {bytes(key.public): key for key in keys}
