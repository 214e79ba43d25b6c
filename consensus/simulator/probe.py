"""One core alone, with the rest of its committee in the caller's hand: for tests of single rules.

The probe signs for everybody, performs the engine's `Publish` as a driver would (unless told to wait), and answers
`Check` and `Build` from a model application (unless told not to). `seen` keeps every effect since the last `clear`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from consensus.bft import BftEngine, rotation
from consensus.compact import make_proposal
from consensus.engine import (
    Arm,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Committed,
    Disarm,
    Effect,
    EpochStart,
    Event,
    Expired,
    HeaderTemplate,
    LogBlock,
    LogCertificate,
    Millis,
    PeerId,
    Publish,
    Received,
    Record,
    SignProposal,
    SignVote,
    Started,
    StoredBlock,
    Timer,
    TimerKind,
    Verdict,
    WalRecovery,
)
from consensus.messages import Message, Part, Proposal
from consensus.parameters import EngineParameters
from consensus.simplex.engine import SimplexEngine
from consensus.simplex.state import State
from consensus.simulator.application import ModelApplication, Overlay
from consensus.simulator.options import SeedOptions
from consensus.simulator.scheme import mock_sign
from consensus.simulator.world import CHAIN_ID, GENESIS_MS, World
from ledger.certificates import Certificate, Vote, VoteKind, vote_bytes
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash, sha256
from ledger.objects import BODY_VERSION, Body, Header, decode_header, header_hash, transaction_id
from ledger.validators import Validator, ValidatorSet

E = TypeVar("E", bound=Effect)
R = TypeVar("R", bound=Record)


class Probe:
    """See the module. Members are numbered from 0; view v of epoch 1 is led by member (v - 1) mod n."""

    def __init__(self, members: int = 4, me: int = 0, weights: tuple[int, ...] = (), **parameters: int) -> None:
        self.parameters = EngineParameters(**{"delta_ms": 100, "min_block_interval_ms": 200, **parameters})
        world = World(SeedOptions(0, nodes=1, epoch_blocks=self.parameters.epoch_blocks))
        self.genesis = world.genesis
        keys = [sha256(b"member %d" % index) for index in range(members)]
        weigh = weights or (1,) * members
        pairs = zip(keys, weigh, strict=True)
        self.committee = ValidatorSet(tuple(Validator(f"m{n}", key, w) for n, (key, w) in enumerate(pairs)))
        self.me = me
        self.scheme = world.scheme
        self.now = GENESIS_MS + 1_000
        self.seen: list[Effect] = []
        self.log: list[Message | StoredBlock] = []
        self.hold_publish = False
        self.answer = True
        self.waiting: list[Message] = []
        self.pool: dict[Hash, bytes] = {}
        self.application = self._application()
        self.engine: SimplexEngine = self._engine()

    def _application(self) -> ModelApplication:
        head = Overlay(self.genesis.hash, self.genesis.header, Hash(self.genesis.header.state_root), (), (), None, None)
        return ModelApplication(head, lambda header: self.committee.hash, 0)

    def _engine(self) -> SimplexEngine:
        key = self.committee.validators[self.me].public_key if self.me >= 0 else None
        return BftEngine(self.parameters, key, CHAIN_ID, self.scheme)

    # --- what the engine is told --------------------------------------------------------------------------------------

    def epoch(self, number: int = 1, boundary: Header | None = None, boundary_hash: Hash | None = None) -> EpochStart:
        """An epoch of the one committee."""
        return EpochStart(
            number,
            boundary or self.genesis.header,
            boundary_hash or self.genesis.hash,
            self.committee,
            rotation(self.committee),
        )

    def leader(self, view: int) -> int:
        """Who leads a view."""
        return (view - 1) % len(self.committee)

    def start(self, wal: WalRecovery | None = None, due: int | None = None) -> list[Effect]:
        """Begin a life at genesis."""
        self.engine = self._engine()
        recovery = wal or WalRecovery()
        return self.give(Started(self.genesis.header, self.genesis.hash, None, self.epoch(), recovery, due))

    def restart(self, held: bool = False) -> list[Effect]:
        """Begin a new life with what the log holds, at genesis."""
        self.application = self._application()
        self.waiting = []
        log = self.log
        wal = WalRecovery(
            votes=tuple(e for e in log if isinstance(e, Vote)),
            proposals=tuple(e for e in log if isinstance(e, Proposal)),
            certificates=tuple(e for e in log if isinstance(e, Certificate)),
            blocks=tuple(e for e in log if isinstance(e, StoredBlock)),
            held=held,
        )
        return self.start(wal)

    def give(self, event: Event) -> list[Effect]:
        """One event; effects are performed, and what they bring back is given too. Returns all effects in order."""
        mark = len(self.seen)
        effects = self.engine.handle(event, Millis(self.now))
        self.seen.extend(effects)
        for effect in effects:
            if isinstance(effect, Publish):
                self._publish(effect.record)
        if not self.hold_publish:
            self.release()
        if self.answer:
            for effect in effects:
                self._answer(effect)
        return self.seen[mark:]

    def hear(self, message: Message, peer: int = 99) -> list[Effect]:
        """A message from a peer."""
        return self.give(Received(PeerId(peer.to_bytes(32, "big")), message))

    def later(self, ms: int) -> list[Effect]:
        """Time passes; timers expire in order."""
        mark, end = len(self.seen), self.now + ms
        while True:
            armed = sorted((at, timer.kind, timer) for timer, at in self.armed().items())
            if not armed or armed[0][0] > end:
                break
            self.now = max(self.now, armed[0][0])
            self.give(Expired(armed[0][2]))
        self.now = end
        return self.seen[mark:]

    def release(self) -> None:
        """The disk has synced: own messages are heard."""
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.give(Received(None, message))

    def _publish(self, record: Record) -> None:
        if isinstance(record, SignVote):
            vote = self.vote(record.kind, record.view, record.block_hash, self.me, record.epoch)
            if record.block is not None:
                self.log.append(record.block)
            self.log.append(vote)
            self.waiting.append(vote)
        elif isinstance(record, SignProposal):
            vote = self.vote(VoteKind.NOTARIZE, record.view, record.block.hash, self.me, record.epoch)
            proposal = make_proposal(record, vote.signature)
            self.log += [record.block, proposal]
            self.waiting.append(proposal)
        elif isinstance(record, LogCertificate):
            self.log.append(record.certificate)
        elif isinstance(record, LogBlock):
            self.log.append(record.block)

    def _answer(self, effect: Effect) -> None:
        if isinstance(effect, Build):
            self._build(effect)
        elif isinstance(effect, Check):
            self._check(effect)
        elif isinstance(effect, Commit):
            for block_hash in effect.hashes:
                self.application.commit(block_hash)
            head = self.application.head
            ends = head.header.height % self.parameters.epoch_blocks == 0
            following = self.epoch(head.header.epoch + 1, head.header, head.hash) if ends else None
            self.give(Committed(head.header, head.hash, effect.finalization, following, None))

    def _build(self, effect: Build) -> None:
        built = self.application.build(effect.template, list(self.pool.items()), 100)
        if built is not None:
            block, header, overlay = built
            t = effect.template
            self.give(Built(t.epoch, t.view, t.parent, block, header, overlay.ids, (), b"", None))

    def _check(self, effect: Check) -> None:
        block = effect.block
        if block is None and effect.proposal is not None:
            given = {part.index: part.transaction for part in (*effect.proposal.prefill, *effect.parts)}
            body = encode(Body(BODY_VERSION, tuple(given[index] for index in sorted(given)), b""))
            block = StoredBlock(effect.hash, effect.proposal.header, body)
        if block is None:
            return
        outcome = self.application.check(effect.header, block)
        args = (effect.epoch, effect.view, Hash(effect.header.parent), effect.hash)
        if isinstance(outcome, Overlay):
            self.give(Checked(*args, Verdict.VALID, block))
        else:
            self.give(Checked(*args, Verdict.INVALID, None, (), outcome))

    # --- what others say ----------------------------------------------------------------------------------------------

    def vote(self, kind: VoteKind, view: int, block_hash: bytes, signer: int, epoch: int = 1) -> Vote:
        """A signed vote of any member."""
        key = self.committee.validators[signer].public_key
        data = vote_bytes(CHAIN_ID, self.committee.hash, kind, epoch, view, block_hash)
        return Vote(kind, epoch, view, block_hash, signer, mock_sign(key, data))

    def certificate(self, kind: VoteKind, view: int, block_hash: bytes = ZERO_HASH, epoch: int = 1) -> Certificate:
        """A certificate by the first members that reach the quorum."""
        votes = [self.vote(kind, view, block_hash, signer, epoch) for signer in range(len(self.committee))]
        return self.scheme.assemble(votes, self.committee)

    def proposal(
        self,
        view: int,
        parent: Proposal | None = None,
        just: tuple[Certificate, ...] = (),
        transactions: tuple[bytes, ...] = (),
        **fields: Any,
    ) -> Proposal:
        """A leader's proposal on another, or on genesis; `fields` overwrite the header."""
        above = decode_header(parent.header) if parent is not None else self.genesis.header
        parent_hash = block_of(parent) if parent is not None else self.genesis.hash
        leader = self.committee.validators[self.leader(view)].public_key
        template = HeaderTemplate(
            chain_id=CHAIN_ID,
            epoch=1,
            view=view,
            height=above.height + 1,
            time_ms=self.now,
            parent=parent_hash,
            parent_view=above.view if parent is not None else 0,
            closing=False,
            validators=self.committee.hash,
            proposer=leader,
        )
        application = self._application()
        if parent is not None:
            application.head = Overlay(parent_hash, above, Hash(above.state_root), (), (), None, None)
        pool = [(transaction_id(raw), raw) for raw in transactions]
        built = application.build(template, pool, 100)
        header = built[1] if built is not None else above
        raw = encode(Header(**{**{n: getattr(header, n) for n in header.__struct_fields__}, **fields}))
        signature = self.vote(VoteKind.NOTARIZE, view, block_hash_of(raw), self.leader(view)).signature
        parts = tuple(Part(index, tx) for index, tx in enumerate(transactions))
        return Proposal(raw, signature, tuple(i for i, _ in pool), parts, b"", just)

    # --- what was seen ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The core's state."""
        return self.engine.state

    def clear(self) -> None:
        """Forget the effects so far."""
        self.seen = []

    def effects(self, kind: type[E]) -> list[E]:
        """Effects of one kind."""
        return [effect for effect in self.seen if isinstance(effect, kind)]

    def published(self, kind: type[R]) -> list[R]:
        """Published records of one kind."""
        return [e.record for e in self.seen if isinstance(e, Publish) and isinstance(e.record, kind)]

    def votes(self, kind: VoteKind | None = None) -> list[tuple[VoteKind, int]]:
        """(kind, view) of the votes published, proposals counted as NOTARIZE."""
        found: list[tuple[VoteKind, int]] = []
        for effect in self.effects(Publish):
            if isinstance(effect.record, SignVote):
                found.append((effect.record.kind, effect.record.view))
            elif isinstance(effect.record, SignProposal):
                found.append((VoteKind.NOTARIZE, effect.record.view))
        return [vote for vote in found if kind is None or vote[0] is kind]

    def armed(self) -> dict[Timer, int]:
        """Timers as the driver would hold them."""
        return dict(self.state.armed.values())

    def timer(self, kind: TimerKind) -> int | None:
        """Milliseconds from now until a timer, None if it is not armed."""
        return next((at - self.now for timer, at in self.armed().items() if timer.kind is kind), None)

    def arms(self) -> list[Arm | Disarm]:
        """Timer effects in order."""
        return [effect for effect in self.seen if isinstance(effect, Arm | Disarm)]


def block_of(proposal: Proposal) -> Hash:
    """The hash of a proposal's block."""
    return block_hash_of(proposal.header)


def block_hash_of(raw: bytes) -> Hash:
    """The hash of a header's bytes."""
    return header_hash(raw)
