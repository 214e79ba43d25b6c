"""The contract between an engine and the world: one event in, a list of effects out. Read this file first.

An engine is pure: same state, event and `now` give the same effects. It never blocks, reads a clock, draws randomness,
holds a key, or raises on what a peer sent. The driver (`node/driver.py`) performs effects in order; the simulator does
the same in virtual time. Slow effects (`Build`, `Check`, `Commit`) answer by a later event that carries what it
answers, and an answer that no longer fits is ignored.

Rule 0: own signed bytes leave only when durable. An engine marks its vote slot when it emits `Publish`; the driver
takes all `Publish` effects of one turn, guards each against double signing, signs, appends them to the WAL in the
order of the effects (bodies to their segment), syncs once, and only then hands each signed message back to the engine
as `Received(None, message)` and to all peers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, NewType, Protocol, TypeAlias

from consensus.messages import Complaint, Message, Part, Proposal
from consensus.records import LiftHold as LiftHold
from consensus.records import LogBlock as LogBlock
from consensus.records import LogCertificate as LogCertificate
from consensus.records import Record as Record
from consensus.records import SetHold as SetHold
from consensus.records import SignComplaint as SignComplaint
from consensus.records import SignProposal as SignProposal
from consensus.records import SignVote as SignVote
from consensus.records import StoredBlock as StoredBlock
from consensus.records import WalRecovery as WalRecovery
from ledger.certificates import Certificate, Vote
from ledger.crypto import Hash
from ledger.objects import Header
from ledger.validators import ValidatorSet

Millis = NewType("Millis", int)
PeerId = NewType("PeerId", bytes)
"""Hash of a peer's node key. Votes name their signer themselves; `Request.validator` says whose node a peer is."""


class TimerKind(IntEnum):
    """What a timer is for; a key is (kind, epoch, view), and arming a key again moves it."""

    LEAD = 1
    VIEW = 2
    BUILD = 3
    RESEND = 4
    STATUS = 5
    FETCH = 6
    WAKE = 7


@dataclass(frozen=True, slots=True)
class Timer:
    """The name of a timer."""

    kind: TimerKind
    epoch: int
    view: int


@dataclass(frozen=True, slots=True)
class EpochStart:
    """Who votes and who leads in an epoch; from the state of its boundary block, fixed for the epoch.

    `leaders`: positions in `validators`, the leader of view v is `leaders[(v - 1) % len(leaders)]`.
    """

    epoch: int
    boundary: Header
    boundary_hash: Hash
    validators: ValidatorSet
    leaders: tuple[int, ...]


# --- events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """First event of a life. `head` is the last committed block; `finalization` proves it (None at genesis);
    `epoch` is the epoch that the next block belongs to; `next_due_ms` as in `Committed`. `restart_view`: the operators
    have signed, for exactly this head and epoch, that nobody voted above it (`ledger.restart`)."""

    head: Header
    head_hash: Hash
    finalization: Certificate | None
    epoch: EpochStart
    wal: WalRecovery
    next_due_ms: int | None
    restart_view: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded message; `peer` is None for own signed messages, once durable."""

    peer: PeerId | None
    message: Message


@dataclass(frozen=True, slots=True)
class Expired:
    """A timer that was armed and not disarmed."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Built:
    """Answer to `Build`. `transaction_ids` and `prefill` as they go into the proposal. `block` None: nothing to build
    (the application declines), the engine lets the view pass."""

    epoch: int
    view: int
    parent: Hash
    block: StoredBlock | None
    header: Header | None
    transaction_ids: tuple[Hash, ...]
    prefill: tuple[Part, ...]
    extra: bytes
    next_due_ms: int | None


BODY_MISMATCH: Final = "body-mismatch"
"""Reason of an INVALID answer to a compact `Check`: the transactions that the ids name are not those that the header
commits to. The ids are not signed, so this says nothing about the block; the engine fetches the whole body instead."""


class Verdict(Enum):
    """A stable judgement of a block. MISSING is no judgement: data is not there yet."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Checked:
    """Answer to `Check`. VALID carries the full block; INVALID a reason code; MISSING the positions nobody here has, or
    none if the parent's state is not at hand (sync has moved on): no judgement, the engine asks again if it still
    cares."""

    epoch: int
    view: int
    parent: Hash
    hash: Hash
    verdict: Verdict
    block: StoredBlock | None = None
    missing: tuple[int, ...] = ()
    reason: str = ""
    next_due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """Blocks are durable. Also sent, unasked, when sync has committed ahead of the engine: then `finalization` is news,
    verified by sync; it certifies `head` itself or a closing block on it. Sync sends one for each boundary it passes.

    `next_epoch` is set when the head is a boundary block: the epoch that begins. `next_due_ms`: block time of the
    earliest scheduled call after this block, None if there is none.
    """

    head: Header
    head_hash: Hash
    finalization: Certificate
    next_epoch: EpochStart | None
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class TransactionsReady:
    """Whether the mempool holds anything to propose; sent on every change from none to some and back."""

    pending: bool


class RequestKind(Enum):
    """What the node asks of its engine."""

    STATUS = "status"
    PEER_CONNECTED = "peer-connected"
    PEER_GONE = "peer-gone"


@dataclass(frozen=True, slots=True)
class Request:
    """A question of the node: its status (answered by `Reply`), or news of a connection (answered by `Send(Status)`).

    `validator`: public key of the validator that the peer's node certificate is bound to, None for a stranger. The
    amnesia guard believes nobody else about who a peer is; without it a held node stays held.
    """

    kind: RequestKind
    peer: PeerId | None = None
    validator: bytes | None = None


Event: TypeAlias = Started | Received | Expired | Built | Checked | Committed | TransactionsReady | Request


# --- effects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeaderTemplate:
    """What the engine decides of a header; the application adds roots, sizes and `next_validators`."""

    chain_id: str
    epoch: int
    view: int
    height: int
    time_ms: int
    parent: Hash
    parent_view: int
    closing: bool
    validators: Hash
    proposer: bytes


@dataclass(frozen=True, slots=True)
class Build:
    """Make a block on `template.parent`. `empty`: no transactions (too many notarised blocks are unfinalised); due
    calls run as in every block, since who checks the block cannot know why it is empty. Closing blocks are made and
    checked by the engine itself and never reach the application."""

    template: HeaderTemplate
    empty: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Judge a block whose leader, justification, ancestry and time the engine has accepted.

    Exactly one of `proposal` (compact, assemble from the mempool) and `block` (full bytes) is set; `parts` are what
    `BodyResponse`s have brought so far. The application re-executes on the parent's overlay and compares every root.
    """

    epoch: int
    view: int
    header: Header
    hash: Hash
    proposal: Proposal | None
    block: StoredBlock | None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Publish:
    """The one dangerous effect; see Rule 0."""

    record: Record


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one peer. A peer that is gone is no error."""

    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every validator's node, not to oneself."""

    message: Message


@dataclass(frozen=True, slots=True)
class Arm:
    """Start or move a timer; `at` in the clock of `now`."""

    timer: Timer
    at: Millis


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop a timer; one that is not armed is no error."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Commit:
    """Make blocks final, ascending, none closing; `closing` are the closing headers between the last block and the
    certified one, kept as part of the finality proof."""

    hashes: tuple[Hash, ...]
    finalization: Certificate
    closing: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Prune:
    """Overlays of these abandoned blocks are of no use any more; `floor` goes into the log before it is trimmed."""

    hashes: tuple[Hash, ...]
    epoch: int
    floor_view: int


class Fault(Enum):
    """Why somebody is accused."""

    EQUIVOCATION = "equivocation"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Accuse:
    """Evidence against a signer, or a peer that sent what no honest one sends (the driver drops it).

    `expected` and `found` are for people, "" where the reason says it all.
    """

    fault: Fault
    reason: str
    peer: PeerId | None = None
    first: Vote | None = None
    second: Vote | None = None
    expected: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Where the engine stands, for people and for `Reply`."""

    epoch: int
    view: int
    final_height: int
    final_hash: Hash
    leader: bytes
    held: bool
    backoff: int
    unfinalised: int


@dataclass(frozen=True, slots=True)
class Behind:
    """The engine has seen proof (a certificate) or a hint (a `Status`) that peers are ahead: sync from `peer` to about
    `height`. The node fetches certified headers and bodies, commits them, and sends `Committed`."""

    peer: PeerId
    height: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a `Request`."""

    status: EngineStatus


@dataclass(frozen=True, slots=True)
class Halt:
    """A block that a quorum made final was judged INVALID here (`state-divergence`): the engine has stopped voting and
    commits nothing more; the node says so and does not go on."""

    reason: str
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class ReportInvalid:
    """More than F members of this epoch signed that one leader's block is invalid: a transaction for the node to make,
    where the engine bars for it (`dpos`)."""

    complaints: tuple[Complaint, ...]


Effect: TypeAlias = (
    Build
    | Check
    | Publish
    | Send
    | Broadcast
    | Arm
    | Disarm
    | Commit
    | Prune
    | Accuse
    | Behind
    | Reply
    | Halt
    | ReportInvalid
)


class Engine(Protocol):
    """Pure: same state, event and now give the same effects. Never blocks, reads a clock, draws randomness, or raises
    on what a peer sent."""

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """Take one event at time `now` (milliseconds of the driver's clock) and return effects in order."""
        ...
