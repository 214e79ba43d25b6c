"""Nodes whose work takes processor time: every event, block, signature and audit is charged to the node's one core.

The core, the engines and the rules are those of every run; only when an answer is given, and when a message leaves,
comes from `Processor`. What a block costs is charged where it is built or checked, at every node apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from consensus.engine import (
    Arm,
    Broadcast,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Disarm,
    Effect,
    Event,
    Expired,
    Publish,
    Received,
    Send,
    SignComplaint,
    SignProposal,
    SignVote,
    Timer,
    Verdict,
)
from consensus.sharded.discipline import Audit
from consensus.sharded.global_chain import assigned_centres
from consensus.sharded.global_state import GlobalState, Submitted
from consensus.sharded.records import RegionRecord
from consensus.simulator.application import Overlay
from consensus.simulator.centre_node import CentreNode
from consensus.simulator.global_application import global_head, read_entry
from consensus.simulator.ledger_side import COMMIT_MS
from consensus.simulator.node import SimNode
from consensus.simulator.processor import NS, CpuModel, Job, Lane, Processor, Purpose
from consensus.simulator.region_application import region_head
from consensus.simulator.region_node import RegionNode
from consensus.simulator.scheme import MockScheme
from ledger.certificates import Certificate, Vote
from ledger.crypto import Hash
from ledger.objects import transaction_id
from ledger.validators import ValidatorSet

if TYPE_CHECKING:
    from consensus.simulator.shard_worlds import GlobalWorld
    from consensus.simulator.world import World

CHUNK: Final = 64
"""Signatures of clients that are checked in one piece of work."""


class Timing:
    """What the nodes of a chain share: the constants, and a count of checked signatures."""

    def __init__(self, model: CpuModel) -> None:
        self.model = model
        self.checks = 0


class Timed:
    """A world whose nodes have processors."""

    timing: Timing


class CountingScheme(MockScheme):
    """Counts what `Ed25519Scheme` would verify: a signature for each vote, whole lists for certificates."""

    __slots__ = ("_timing",)

    def __init__(self, chain_id: str, timing: Timing) -> None:
        super().__init__(chain_id)
        self._timing = timing

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        """See `Scheme`."""
        self._timing.checks += 1
        return super().verify_vote(vote, validators)

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        """See `Scheme`."""
        self._timing.checks += len(votes)
        return super().forged(votes, validators)

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        """See `Scheme`; the mock looks at its own product, a node does not."""
        before = self._timing.checks
        certificate = super().assemble(votes, validators)
        self._timing.checks = before
        return certificate


class TimedNode(SimNode):
    """See the module. `unverified`: transactions that have come and wait for their signature check."""

    def __init__(self, world: World, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest, skew_ms)
        if not isinstance(world, Timed):
            raise TypeError("a node with a processor lives in a timed world")
        self.timing = world.timing
        self.model = self.timing.model
        watched = frozenset((Purpose.VERIFICATION, Purpose.EXECUTION))
        self.processor = Processor(lambda: world.now, lambda delay, action: world.at(delay, action), watched)
        self.unverified: dict[Hash, bytes] = {}
        self._checking = False
        self._held: list[Event] | None = None

    # --- events -------------------------------------------------------------------------------------------------------

    def turn(self, event: Event) -> None:
        """See `SimNode`: the event waits for the core, its effects for the end of the work on it."""
        if self._held is not None:
            self._held.append(event)
            return
        self._queue_turn(event, lambda: True)

    def expire(self, timer: Timer, at: int, life: int) -> None:
        """See `SimNode`; a timer that was disarmed while it waited for the core is not heard."""

        def due() -> bool:
            if self.life != life or self.timers.get(timer) != at:
                return False
            del self.timers[timer]
            return True

        if self.life == life and self.timers.get(timer) == at:
            self._queue_turn(Expired(timer), due)

    def _queue_turn(self, event: Event, heard: Callable[[], bool]) -> None:
        life = self.life
        effects: list[Effect] = []

        def begin() -> int:
            if self.life != life or self.engine is None or not heard():
                return 0
            before = self.timing.checks
            found = self.engine.handle(event, self.now())
            self.world.auditor.after_turn(self, event, found)
            for effect in found:
                if isinstance(effect, Arm | Disarm):
                    self.perform(effect)
                else:
                    effects.append(effect)
            return self._turn_ns(event, found, self.timing.checks - before)

        def end() -> None:
            records = [effect.record for effect in effects if isinstance(effect, Publish)]
            if records:
                self.publish(records)
            for effect in effects:
                self.perform(effect)

        self.processor.put(Lane.EVENTS, Job(Purpose.CONSENSUS, begin, end))

    def _turn_ns(self, event: Event, effects: Iterable[Effect], checks: int) -> int:
        """One event: reading it, the core, signatures checked and made, one writing for each message."""
        model = self.model
        cost = model.turn_ns + checks * model.verify_ns
        if isinstance(event, Received) and event.peer is not None:
            cost += model.message_ns
        for effect in effects:
            if isinstance(effect, Publish) and isinstance(effect.record, SignVote | SignProposal | SignComplaint):
                cost += model.sign_ns + model.message_ns
            elif isinstance(effect, Send | Broadcast):
                cost += model.message_ns
        return cost

    # --- blocks -------------------------------------------------------------------------------------------------------

    def work(self, action: object, effect: Effect) -> None:
        """See `LedgerSide`: one thing at a time, in order, beside the core's other work. A block is executed when its
        turn comes, and the answer is told when the time that this takes has passed."""
        life = self.life
        answers: list[Event] = []
        if isinstance(effect, Check) and effect.proposal is not None:
            self._hurry(effect.proposal.transaction_ids)

        def begin() -> int:
            if isinstance(effect, Commit):
                return self.commit_ns(effect)
            if self.life != life:
                return 0
            before, self._held = self.timing.checks, []
            self.run_work(action, effect, life)
            answers.extend(self._held)
            self._held = None
            checks = (self.timing.checks - before) * self.model.verify_ns
            return checks + sum(self._answer_ns(effect, answer) for answer in answers)

        def end() -> None:
            if isinstance(effect, Commit):
                self.run_work(action, effect, life)
            for answer in answers:
                self.turn(answer)

        purpose = Purpose.STORE if isinstance(effect, Commit) else Purpose.EXECUTION
        self.processor.put(Lane.LEDGER, Job(purpose, begin, end))

    def commit_ns(self, effect: Commit) -> int:
        """One synced batch."""
        overlays = (self.application.overlays.get(block_hash) for block_hash in effect.hashes)
        return COMMIT_MS * NS + self.model.commit_ns * sum(len(one.ids) for one in overlays if one is not None)

    def _answer_ns(self, effect: Effect, answer: Event) -> int:
        """What it took to find an answer."""
        if isinstance(effect, Build) and isinstance(answer, Built) and answer.block is not None:
            overlay = self.application.overlay(answer.block.hash)
        elif isinstance(answer, Checked) and answer.verdict is Verdict.VALID:
            overlay = self.application.overlay(answer.hash)
        else:
            return 0
        return 0 if overlay is None else self.block_ns(overlay)

    def block_ns(self, overlay: Overlay) -> int:
        """Building or checking a block."""
        count = len(overlay.ids)
        return count * self.model.run_ns + self.model.body_ns(count * self.model.transaction_bytes)

    # --- what clients send --------------------------------------------------------------------------------------------

    def submit(self, raw: bytes, transaction: Hash) -> None:
        """See `LedgerSide`; the signature is checked first."""
        self.deliver({transaction: raw})

    def deliver(self, transactions: dict[Hash, bytes]) -> None:
        """A batch has come."""
        if self.alive:
            known = (self.pool, self.unverified, self.application.applied)
            self.unverified.update((i, raw) for i, raw in transactions.items() if not any(i in one for one in known))
            self._check_next()

    def ingress_ns(self, raw: bytes) -> int:
        """Decoding one and checking its signature."""
        return self.model.ingress_ns

    def _check_next(self) -> None:
        if self._checking or not self.unverified:
            return
        self._checking = True
        taken: dict[Hash, bytes] = {}

        def end() -> None:
            self._checking = False
            self.admit(taken)
            self._check_next()

        self.processor.put(Lane.INGRESS, self._verification(lambda: islice(self.unverified, CHUNK), taken, end))

    def _hurry(self, wanted: Sequence[bytes]) -> None:
        """A proposal names them: those that wait for their check are checked before its block."""
        if any(Hash(i) in self.unverified for i in wanted):
            taken: dict[Hash, bytes] = {}
            job = self._verification(lambda: (Hash(i) for i in wanted), taken, lambda: self.admit(taken))
            self.processor.put(Lane.LEDGER, job)

    def _verification(
        self, which: Callable[[], Iterable[Hash]], taken: dict[Hash, bytes], end: Callable[[], None]
    ) -> Job:
        def begin() -> int:
            for i in list(which()):
                raw = self.unverified.pop(i, None)
                if raw is not None:
                    taken[i] = raw
            return sum(map(self.ingress_ns, taken.values()))

        return Job(Purpose.VERIFICATION, begin, end)

    def admit(self, taken: dict[Hash, bytes]) -> None:
        """Into the pool with what was checked."""
        if self.alive and taken:
            applied = self.application.applied
            self.pool.update((i, raw) for i, raw in taken.items() if i not in applied)
            self.note_pool()


class TimedMember(TimedNode, RegionNode):
    """A region's member. It searches for tickets when there is nothing else to do."""

    def block_ns(self, overlay: Overlay) -> int:
        """See `TimedNode`; the block that closes a round clears its orders."""
        head = region_head(overlay)
        orders = 0 if head.body is None else sum(len(block.transactions) for block in head.body.blocks)
        return super().block_ns(overlay) + orders * self.model.clear_ns

    def mine(self) -> None:
        """See `RegionNode`."""
        epoch, before = self.searched
        super().mine()
        tries = self.searched[1] - (before if self.searched[0] == epoch else 0)
        if tries:
            job = Job(Purpose.TICKETS, lambda: tries * self.model.ticket_ns, lambda: None)
            self.processor.put(Lane.BACKGROUND, job)

    def hear_centres(self, height: int) -> None:
        """A centre's certified block has come: check it, take it, publish what is due."""
        cost = self.model.message_ns + self.world.hub.trust.validators.quorum * self.model.verify_ns

        def end() -> None:
            self.world.learn(self, height)
            self.publish_due()

        self.processor.put(Lane.EVENTS, Job(Purpose.RECORDS, lambda: cost, end))


class TimedCentre(TimedNode, CentreNode):
    """A main centre: hears records, audits them beside its other work. `audited`: when its audit of a record was done,
    ms. `waits`: a block waits for the audits that it settles; an eager one always does."""

    def __init__(self, world: GlobalWorld, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest, skew_ms)
        self.audits: dict[Hash, Job] = {}
        self.audited: dict[Hash, int] = {}
        self.waiting_ns = 0
        self.most_waiting_ns = 0
        self.waits = False

    @property
    def mode(self) -> Audit:
        """When records are audited."""
        return self.world.context.rules.audit

    def ingress_ns(self, raw: bytes) -> int:
        """See `TimedNode`: the transactions beside a record are read and hashed; its certificate and its agent's
        signature are checked, once."""
        entry = read_entry(raw)
        model = self.model
        if not isinstance(entry, Submitted):
            return model.message_ns + model.verify_ns + model.body_ns(len(raw))
        checks = 1 + len(entry.publication.certificate.signers)
        size = len(raw) + entry.publication.record.n_tx * model.transaction_bytes
        return model.message_ns + checks * model.verify_ns + model.body_ns(size)

    def admit(self, taken: dict[Hash, bytes]) -> None:
        """See `TimedNode`. An eager centre proposes only what it has audited."""
        for i, raw in taken.items():
            entry = read_entry(raw)
            if isinstance(entry, Submitted) and self.mode is Audit.EAGER:
                self._audit(entry.publication.record, partial(CentreNode.submit, self, raw, i))
                continue
            CentreNode.submit(self, raw, i)
            if isinstance(entry, Submitted) and self._assigned(entry.publication.record.id):
                self._audit(entry.publication.record, lambda: None)

    def _assigned(self, record: Hash) -> bool:
        return self.mode is not Audit.ASSIGNED or self.key in assigned_centres(self.world.context, record)

    def _audit(self, record: RegionRecord, then: Callable[[], None]) -> None:
        """Begin an audit, once for each record."""
        name, cost = record.id, record.n_tx * self.model.audit_ns
        before = self.audits.get(name)
        if before is not None:
            if before.done:
                then()
            return

        def end() -> None:
            self.audited[name] = self.world.now
            self.waiting_ns -= cost
            then()
            if self.mode is Audit.ASSIGNED:
                self._attest(global_head(self.application.head).state)

        self.audits[name] = Job(Purpose.AUDIT, lambda: cost, end)
        self.waiting_ns += cost
        self.most_waiting_ns = max(self.most_waiting_ns, self.waiting_ns)
        self.processor.put(Lane.BACKGROUND, self.audits[name])

    def _attest(self, state: GlobalState) -> None:
        """See `CentreNode`; to what this centre has audited."""
        done = (v for v in state.regions if v.pending and v.pending.publication.record.id in self.audited)
        super()._attest(replace(state, regions=tuple(done)))

    def block_ns(self, overlay: Overlay) -> int:
        """See `TimedNode`: records are read and hashed, locks opened and filled; where a block waits for the audits
        that it settles, what is left of them comes first."""
        outcome = global_head(overlay).outcome
        model = self.model
        cost = sum(model.message_ns + model.body_ns(len(raw)) for raw in overlay.transactions)
        cost += (len(outcome.opened) + len(outcome.items)) * model.run_ns
        if self.mode is Audit.EAGER or self.waits:
            cost += sum(self._rest_ns(record) for record in outcome.confirmed)
        return cost

    def _rest_ns(self, record: Hash) -> int:
        """What is left of an audit, which is done at once now. A slice that runs already is charged where it runs."""
        job = self.audits.get(record)
        if job is None or job.done:
            return 0
        rest = job.begin() if job.left < 0 else job.left
        job.left = 0
        busy = self.processor.busy
        busy[Purpose.AUDIT] = busy.get(Purpose.AUDIT, 0) + rest
        busy[Purpose.EXECUTION] = busy.get(Purpose.EXECUTION, 0) - rest
        return rest


def named(raws: Iterable[bytes]) -> dict[Hash, bytes]:
    """Transactions by id, in order."""
    return {transaction_id(raw): raw for raw in raws}
