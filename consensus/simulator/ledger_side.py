"""The ledger side of a modelled node: its chain, application and pool; slow work in virtual time; sync.

Answers come back to the engine as events through `turn`, which the node adds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from consensus.compact import Names
from consensus.engine import (
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Committed,
    Effect,
    Event,
    StoredBlock,
    TransactionsReady,
    Verdict,
)
from consensus.messages import Part, Proposal
from consensus.simulator.application import NO_PARENT, ModelApplication, Overlay
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.electing import Ballot, Ready, Word, head_of, word_bytes
from consensus.simulator.options import PUBLISHED
from ledger.codec import decode, encode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.merkle import merkle_root
from ledger.objects import BODY_VERSION, Body, extra_root, header_hash, transaction_id

if TYPE_CHECKING:
    from consensus.simulator.world import World

EXECUTION_MS = 1
COMMIT_MS = 3


class LedgerSide(ABC):
    """What a node knows beside its engine. `life`: count of starts and ends, `alive`: between the two."""

    def __init__(self, world: World, index: int, key: bytes, honest: bool) -> None:
        self.world = world
        self.index = index
        self.key = key
        self.honest = honest
        self.chain: list[CommittedBlock] = [world.genesis]
        self.scored: list[Mapping[bytes, int]] = [{}]
        self.application = self.new_application()
        self.pool: dict[Hash, bytes] = {}
        self.life = 0
        self.alive = False
        self.work_free = 0
        self.ready = False
        self.syncing = False
        self.stood = 0

    @abstractmethod
    def turn(self, event: Event) -> None:
        """Give the engine one event and perform what it answers."""

    def new_application(self) -> ModelApplication:
        """The state at genesis, as this node executes it."""
        return self.world.new_application()

    # --- the ledger thread --------------------------------------------------------------------------------------------

    def work(self, action: object, effect: Effect) -> None:
        """Queue slow work; one thing at a time, in order."""
        cost = COMMIT_MS if isinstance(effect, Commit) else EXECUTION_MS
        self.work_free = max(self.work_free, self.world.now) + cost
        self.world.at(self.work_free - self.world.now, self.run_work, action, effect, self.life)

    def run_work(self, action: object, effect: Effect, life: int) -> None:
        """Do queued work, if the life that asked for it goes on."""
        if self.life == life and callable(action):
            action(effect)

    def build(self, effect: Build) -> None:
        """Answer `Build`."""
        template = effect.template
        pool = [] if effect.empty else list(self.pool.items())
        built = self.application.build(template, pool, self.world.block_limit)
        if built is None:
            self.turn(Built(template.epoch, template.view, template.parent, None, None, (), (), b"", None))
            return
        block, header, overlay = built
        parts = tuple(Part(index, raw) for index, raw in enumerate(overlay.transactions))
        prefill = parts[::3] if self.world.options.compact else parts
        extra = decode(Body, block.body_bytes).extra
        args = (template.epoch, template.view, template.parent, block, header, overlay.ids, prefill, extra)
        self.turn(Built(*args, overlay.next_due_ms))
        self.note_pool()

    def check(self, effect: Check) -> None:
        """Answer `Check`: put the body together, execute it."""
        header = effect.header
        args = (effect.epoch, effect.view, Hash(header.parent), effect.hash)
        block: StoredBlock | None = effect.block
        missing: tuple[int, ...] = ()
        if effect.proposal is not None:
            block, missing = self.assemble(effect.hash, effect.proposal, effect.parts)
        if block is None:
            self.turn(Checked(*args, Verdict.MISSING, None, missing))
            return
        outcome = self.application.check(header, block)
        if isinstance(outcome, Overlay):
            self.turn(Checked(*args, Verdict.VALID, block, (), "", outcome.next_due_ms))
            self.note_pool()
        elif outcome == NO_PARENT:
            self.turn(Checked(*args, Verdict.MISSING))
        else:
            self.turn(Checked(*args, Verdict.INVALID, None, (), outcome))

    def assemble(
        self, block_hash: Hash, proposal: Proposal, parts: tuple[Part, ...]
    ) -> tuple[StoredBlock | None, tuple[int, ...]]:
        """The body of a compact proposal from the pool, its prefill and fetched parts; or what is missing."""
        given = {part.index: part.transaction for part in (*proposal.prefill, *parts)}
        names = Names(proposal, block_hash)
        here = {names.of(id): raw for id, raw in self.pool.items()}
        found = [here.get(name, given.get(n)) for n, name in enumerate(names.all)]
        missing = tuple(index for index, raw in enumerate(found) if raw is None)
        if missing:
            return None, missing
        body = encode(Body(BODY_VERSION, tuple(raw for raw in found if raw is not None), proposal.extra))
        return StoredBlock(block_hash, proposal.header, body), ()

    def commit(self, effect: Commit) -> None:
        """Make blocks durable: one synced batch."""
        hashes = [h for h in effect.hashes if h in self.application.overlays]
        for position, block_hash in enumerate(hashes):
            overlay = self.application.commit(block_hash)
            last = position == len(hashes) - 1
            body = Body(BODY_VERSION, overlay.transactions, overlay.extra)
            block = StoredBlock(block_hash, encode(overlay.header), encode(body))
            certificate = effect.finalization if last else None
            self.store(CommittedBlock(block_hash, overlay.header, block, certificate, effect.closing if last else ()))
        if hashes:
            self.tell_committed()

    def store(self, committed: CommittedBlock) -> None:
        """Append to the chain."""
        self.chain.append(committed)
        self.world.stored += 1
        self.world.auditor.committed(self, committed)
        if self.world.elections is not None:
            self.world.elections.committed(committed, self.application.head)
            self.scored.append(head_of(self.application.head).scores)
        body = decode(Body, committed.block.body_bytes)
        for raw in body.transactions:
            self.world.included(raw, self)
        for transaction in [i for i in self.pool if i in self.application.applied]:
            del self.pool[transaction]

    def tell_committed(self) -> None:
        """Answer `Commit`, or tell the engine what sync has brought."""
        head = self.chain[-1]
        final = head.finalization
        self.stand()
        if final is not None:
            start = self.world.epoch_after(head) if self.world.is_boundary(head.header) else None
            due = self.application.head.next_due_ms
            self.turn(Committed(head.header, head.hash, final, start, due))
            self.note_pool()

    # --- the council --------------------------------------------------------------------------------------------------

    def tell_council(self, word: Word) -> None:
        """Propose what this node knows about others when its turn comes: each member does, so nobody need be told."""
        if self.world.elections is not None:
            raw = word_bytes(word)
            self.submit(raw, transaction_id(raw))

    def stand(self) -> None:
        """Show the state once in an epoch, near its end; every third member also names candidates."""
        world, header = self.world, self.chain[-1].header
        seats = world.options.council_seats
        if world.elections is None or header.view < seats - seats // 4 or self.stood == header.epoch:
            return
        self.stood = header.epoch
        words: list[Word] = [Ready(self.key, self.chain[-1].hash)]
        if self.index % 3 == 0:
            keys = [member.public_key for member in world.elections.shared.members]
            words.append(Ballot(self.key, tuple(keys[(self.index + at) % len(keys)] for at in range(seats // 2))))
        for word in words:
            raw = word_bytes(word)
            for node in world.nodes:
                world.at(1 + world.chance.below(20), node.submit, raw, transaction_id(raw))

    # --- transactions and sync ----------------------------------------------------------------------------------------

    def submit(self, raw: bytes, transaction: Hash) -> None:
        """Take a transaction into the pool."""
        if self.alive and transaction not in self.pool and transaction not in self.application.applied:
            self.pool[transaction] = raw
            self.note_pool()

    def note_pool(self) -> None:
        """Tell the engine when there begins or ceases to be something to propose."""
        flying = {i for overlay in self.application.overlays.values() for i in overlay.ids}
        ready = any(i not in flying for i in self.pool)
        if ready != self.ready and self.alive:
            self.ready = ready
            self.turn(TransactionsReady(ready))

    def sync(self, other: int) -> None:
        """Ask a peer for certified blocks; they come one round trip later."""
        if not self.syncing:
            self.syncing = True
            self.world.at(2 * self.world.options.delay_ms + 5, self.synced_from, other, self.life)

    def synced_from(self, other: int, life: int) -> None:
        """Take the peer's chain, segment by segment, each ending at its own finalization."""
        if self.life != life:
            return
        self.syncing = False
        segment: list[CommittedBlock] = []
        for block in self.world.serve_sync(other, self.index, self.chain[-1].header.height + 1):
            segment.append(block)
            if block.finalization is None:
                continue
            if not self.proved(segment):
                return
            for part in segment:
                if not self.take_synced(part):
                    return
            segment = []
            self.tell_committed()
            if not self.alive:
                return

    def serve(self, height: int) -> list[CommittedBlock]:
        """What this node hands to one that is behind: blocks from `height` on."""
        return self.chain[height : height + 64]

    def proved(self, segment: list[CommittedBlock]) -> bool:
        """Whether a segment stands on the own head and its last block is final; who sent another is asked no more now.
        An engine as published knows no proof of a quorum, and believes."""
        if self.world.options.engine in PUBLISHED:
            return True
        parent = self.chain[-1].hash
        for block in segment:
            if block.header.parent != parent or header_hash(block.block.header_bytes) != block.hash:
                return False
            if encode(block.header) != block.block.header_bytes or not whole(block):
                return False
            parent = block.hash
        final = segment[-1].finalization
        last = segment[-1].closing[-1] if segment[-1].closing else segment[-1].block.header_bytes
        if final is None or final.block_hash != header_hash(last):
            return False
        committee = self.world.committee(segment[-1].header.epoch)
        return self.world.checker.verify_certificate(final, committee)

    def take_synced(self, part: CommittedBlock) -> bool:
        """Execute and store one block of a verified segment."""
        if part.header.height != self.chain[-1].header.height + 1 or part.header.parent != self.chain[-1].hash:
            return False
        if part.hash not in self.application.overlays:
            outcome = self.application.check(part.header, part.block)
            if not isinstance(outcome, Overlay):
                self.world.auditor.violation(self, "I8", f"synced block {part.header.height}: {outcome}")
                return False
        self.application.commit(part.hash)
        self.store(part)
        return True


def whole(block: CommittedBlock) -> bool:
    """Whether a body is the one that its header names."""
    try:
        body = decode(Body, block.block.body_bytes)
    except DecodeError:
        return False
    named = (block.header.transactions_root, block.header.extra_root, block.header.body_size)
    return named == (merkle_root(body.transactions), extra_root(body.extra), len(block.block.body_bytes))
