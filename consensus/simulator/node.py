"""A model of the driver: performs an engine's effects on a modelled log, disk, ledger thread and clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from consensus.compact import make_proposal
from consensus.council_reports import InvalidReport
from consensus.engine import (
    Accuse,
    Arm,
    Behind,
    Broadcast,
    Build,
    Check,
    Commit,
    Disarm,
    Effect,
    Engine,
    Event,
    Expired,
    Halt,
    LiftHold,
    LogBlock,
    LogCertificate,
    Millis,
    PeerId,
    Prune,
    Publish,
    Received,
    Record,
    Reply,
    ReportInvalid,
    Request,
    RequestKind,
    Send,
    SetHold,
    SignComplaint,
    SignProposal,
    SignVote,
    Started,
    Timer,
)
from consensus.messages import Complaint, Message, Proposal
from consensus.scheme import complaint_bytes
from consensus.simplex.engine import SimplexEngine
from consensus.simulator.disk import Entry, Floor, Log
from consensus.simulator.electing import EvidenceReport
from consensus.simulator.ledger_side import LedgerSide
from ledger.certificates import Vote, VoteKind
from ledger.crypto import Hash

if TYPE_CHECKING:
    from consensus.simulator.world import World


class SimNode(LedgerSide):
    """One node over all its lives. `index`: position among the world's nodes; `key`: its validator key."""

    def __init__(self, world: World, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest)
        self.skew_ms = skew_ms
        self.peer = peer_id(index)
        self.log = Log()
        self.engine: Engine | None = None
        self.timers: dict[Timer, int] = {}
        self.disk_free = 0
        self.guard: dict[tuple[int, int, VoteKind], bytes] = {}
        self.restart: tuple[int, Hash] | None = None
        """What operators have put beside the log: a view, and the head that it is for."""

    # --- lives --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a life with what the disk holds."""
        self.life += 1
        self.alive = True
        self.timers = {}
        self.syncing = False
        self.ready = False
        self.disk_free = self.work_free = self.world.now
        head = self.chain[-1]
        self.application = self.world.application_at(self.chain, self.new_application())
        self.engine = self.world.new_engine(self.key)
        recovery = self.log.recovery()
        self.guard = {(v.epoch, v.view, v.kind): v.block_hash for v in recovery.votes}
        final = next((b.finalization for b in reversed(self.chain) if b.finalization is not None), None)
        started = Started(
            head.header,
            head.hash,
            final,
            self.world.epoch_after(head),
            recovery,
            self.application.head.next_due_ms,
            self.restart[0] if self.restart is not None and self.restart[1] == head.hash else None,
        )
        self.turn(started)
        for other in self.world.nodes:
            if other.alive and other is not self and self.alive:
                self.turn(Request(RequestKind.PEER_CONNECTED, other.peer, other.key))
                other.turn(Request(RequestKind.PEER_CONNECTED, self.peer, self.key))
        self.note_pool()

    def crash(self, survivors: int) -> None:
        """Stop at once; unsynced log entries after the first `survivors` are lost."""
        self.alive = False
        self.life += 1
        self.engine = None
        self.pool = {}
        self.log.crash(survivors)
        for other in self.world.nodes:
            if other.alive:
                other.turn(Request(RequestKind.PEER_GONE, self.peer))

    def wipe(self) -> None:
        """A new disk under an old key: nothing left, so the log says that the node is held."""
        self.log = Log(held=True)
        self.chain = [self.world.genesis]
        self.scored = [{}]

    def now(self) -> Millis:
        """This node's clock."""
        return Millis(self.world.wall() + self.skew_ms)

    # --- turns --------------------------------------------------------------------------------------------------------

    def turn(self, event: Event) -> None:
        """Give the engine one event and perform what it answers."""
        if self.engine is None:
            return
        effects = self.engine.handle(event, self.now())
        self.world.auditor.after_turn(self, event, effects)
        if not effects:
            return
        records = [effect.record for effect in effects if isinstance(effect, Publish)]
        if records:
            self.publish(records)
        for effect in effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> None:
        """Perform one effect; slow ones come back as events of the same life."""
        match effect:
            case Publish() | Reply() | Halt():
                pass  # records went together; the auditor has seen the others
            case Accuse():
                if effect.first is not None and effect.second is not None:
                    self.tell_council(EvidenceReport(effect.first, effect.second))
            case ReportInvalid(complaints):
                self.tell_council(InvalidReport(complaints))
            case Send(peer, message):
                self.send(index_of(peer), message)
            case Broadcast(message):
                self.broadcast(message)
            case Arm(timer, at):
                self.timers[timer] = at
                self.world.at(max(0, at - self.now()), self.expire, timer, at, self.life)
            case Disarm(timer):
                self.timers.pop(timer, None)
            case Build():
                self.work(self.build, effect)
            case Check():
                self.work(self.check, effect)
            case Commit():
                self.work(self.commit, effect)
            case Prune(hashes, epoch, view):
                for block_hash in hashes:
                    self.application.overlays.pop(block_hash, None)
                self.log.trim(epoch, view)
            case Behind(peer, _):
                self.sync(index_of(peer))
            case _:
                assert_never(effect)

    def expire(self, timer: Timer, at: int, life: int) -> None:
        """A timer that was neither moved nor stopped."""
        if self.life == life and self.timers.get(timer) == at:
            del self.timers[timer]
            self.turn(Expired(timer))

    def broadcast(self, message: Message) -> None:
        """To all other nodes."""
        for other in range(len(self.world.nodes)):
            if other != self.index:
                self.send(other, message)

    def send(self, other: int, message: Message) -> None:
        """To one node."""
        self.world.network.send(self.index, other, message)

    def receive(self, sender: int, message: Message) -> None:
        """What a link has brought."""
        self.turn(Received(peer_id(sender), message))

    # --- publishing ---------------------------------------------------------------------------------------------------

    def publish(self, records: list[Record]) -> None:
        """Guard, sign, append; one sync if anything was signed; then release in order."""
        entries: list[Entry] = []
        signed: list[Message] = []
        for record in records:
            match record:
                case SignVote(kind, epoch, view, block_hash, block):
                    if block is not None:
                        entries.append(block)
                    vote = self.sign(kind, epoch, view, block_hash)
                    entries.append(vote)
                    signed.append(vote)
                case SignProposal():
                    proposal = self.sign_proposal(record)
                    entries += (record.block, proposal)
                    signed.append(proposal)
                case SignComplaint():
                    complaint = self.sign_complaint(record)
                    entries.append(complaint)
                    signed.append(complaint)
                case LogCertificate(certificate):
                    entries.append(certificate)
                case LogBlock(block):
                    entries.append(block)
                case LiftHold(epoch, floor_view):
                    entries.append(Floor(epoch, floor_view))
                    self.log.held = False
                case SetHold():
                    self.log.held = True
                case _:
                    assert_never(record)
        self.log.append(entries)
        if signed:
            self.disk_free = max(self.disk_free, self.world.now) + self.world.options.fsync_ms
            covered = len(self.log.volatile)
            self.world.at(self.disk_free - self.world.now, self.synced, covered, signed, self.life)

    def synced(self, covered: int, signed: list[Message], life: int) -> None:
        """A sync has ended: earlier ones have taken their part already, so what is left of the first `covered`."""
        if self.life != life:
            return
        self.log.sync(min(covered, len(self.log.volatile)))
        for message in signed:
            self.world.auditor.released(self, message)
            self.release(message)

    def release(self, message: Message) -> None:
        """Hear an own message, then send it."""
        self.turn(Received(None, message))
        if self.alive:
            self.broadcast(message)

    def sign(self, kind: VoteKind, epoch: int, view: int, block_hash: bytes) -> Vote:
        """Sign a vote behind the guard of this life."""
        before = self.guard.setdefault((epoch, view, kind), block_hash)
        if before != block_hash:
            self.world.auditor.violation(self, "guard", f"a second {kind.name} in {epoch}/{view}")
        return self.world.sign_vote(self.key, kind, epoch, view, block_hash)

    def sign_proposal(self, record: SignProposal) -> Proposal:
        """Sign a proposal as a notarize vote."""
        vote = self.sign(VoteKind.NOTARIZE, record.epoch, record.view, record.block.hash)
        return make_proposal(record, vote.signature)

    def sign_complaint(self, record: SignComplaint) -> Complaint:
        """Sign a complaint."""
        committee = self.world.committee(record.epoch)
        signer = committee.index_of(self.key) or 0
        args = (record.epoch, record.view, record.block_hash, record.reason)
        data = complaint_bytes(self.world.chain_id, committee.hash, *args)
        return Complaint(*args, signer, self.world.sign_raw(self.key, data))

    @property
    def core(self) -> SimplexEngine | None:
        """The engine's inside, for the auditor."""
        return self.engine if isinstance(self.engine, SimplexEngine) else None


def peer_id(index: int) -> PeerId:
    """The peer id of a node of the world."""
    return PeerId(index.to_bytes(32, "big"))


def index_of(peer: PeerId) -> int:
    """Inverse of `peer_id`."""
    return int.from_bytes(peer, "big")
