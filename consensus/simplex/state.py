"""Everything the core remembers (consensus A.3). Plain data; the rules are functions over it in the sibling modules.

Views restart at 1 in each epoch, and all per-view data here belongs to the current epoch only. Memory is bounded:
views are kept from the highest final view to the next one, blocks only if a leader signed them, a quorum notarised
them or they became final lately.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from consensus.engine import (
    Effect,
    EpochStart,
    Millis,
    PeerId,
    StoredBlock,
    Timer,
    TimerKind,
    Verdict,
    WalRecovery,
)
from consensus.messages import Message, Part, Proposal
from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex.policy import Policy
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import Hash
from ledger.objects import Header


@dataclass(slots=True)
class Slot:
    """The first vote of one signer for one (view, kind), and who brought it."""

    vote: Vote
    peer: PeerId | None
    verified: bool


@dataclass(slots=True)
class Candidate:
    """A leader's proposal on its way through R1. `settled`: nothing more is to be decided about it.

    `timely`: None until first considered. `examined`: its justification was read. `justified`: every certificate that
    its parent needs is held.
    """

    proposal: Proposal
    header: Header
    hash: Hash
    peer: PeerId | None
    timely: bool | None = None
    examined: bool = False
    justified: bool = False
    sound: bool = False
    settled: bool = False


@dataclass(slots=True)
class ViewState:
    """One view: its leader, the votes seen, what this node did in it.

    `my_*` are set when `Publish` is emitted; `own` holds the signed bytes once they are durable. `weights` counts per
    (kind, hash).
    """

    view: int
    leader: int
    notarize: dict[int, Slot] = field(default_factory=dict)
    nullify: dict[int, Slot] = field(default_factory=dict)
    finalize: dict[int, Slot] = field(default_factory=dict)
    weights: dict[tuple[VoteKind, Hash], int] = field(default_factory=dict)
    candidate: Candidate | None = None
    my_notarize: Hash | None = None
    my_nullify: bool = False
    my_finalize: Hash | None = None
    own: list[Vote] = field(default_factory=list)
    own_proposal: Proposal | None = None
    building: bool = False
    complained: bool = False
    leader_left: bool = False

    def slots(self, kind: VoteKind) -> dict[int, Slot]:
        """Slots of one kind by signer."""
        if kind is VoteKind.NOTARIZE:
            return self.notarize
        return self.nullify if kind is VoteKind.NULLIFY else self.finalize

    @property
    def voted(self) -> bool:
        """Whether this node has signed anything in the view."""
        return self.my_nullify or self.my_notarize is not None or self.my_finalize is not None


@dataclass(slots=True)
class BlockEntry:
    """What is known of one block. `verdict` VALID means the application holds its overlay.

    `durable`: its bytes went into the log in this turn or before (order of effects is order on disk). `checking`: a
    `Check` is under way. `proposal` and `parts` are what a compact block is put together from.
    """

    hash: Hash
    header: Header | None = None
    block: StoredBlock | None = None
    verdict: Verdict | None = None
    proposal: Proposal | None = None
    source: PeerId | None = None
    parts: dict[int, Part] = field(default_factory=dict)
    missing: tuple[int, ...] | None = None
    durable: bool = False
    final: bool = False
    checking: bool = False
    next_due_ms: int | None = None
    reason: str = ""


@dataclass(slots=True)
class Fetch:
    """An outstanding question for a block; it goes to another peer each time (T_r)."""

    missing: tuple[int, ...]
    attempts: int = 0
    at: int = 0
    interval: int = 0


@dataclass(slots=True)
class Peer:
    """A connection. `key`: validator key by the driver's word. `signer`: guessed from votes; only for hints."""

    key: bytes | None = None
    signer: int | None = None


@dataclass(slots=True)
class PastEpoch:
    """Finality proof of the epoch before: its last finalization and the closing blocks under it."""

    epoch: int
    finalization: Certificate
    blocks: dict[Hash, BlockEntry]


@dataclass(slots=True)
class Hold:
    """The amnesia guard at work: views claimed by other members of the current epoch's set, by their index."""

    claims: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """The whole state of a core. `now` and `out` belong to the turn that is running."""

    parameters: EngineParameters
    policy: Policy
    scheme: Scheme
    chain_id: str
    own_key: bytes | None
    epoch: EpochStart
    head: Header
    head_hash: Hash
    now: Millis
    out: list[Effect] = field(default_factory=list)
    # who we are
    me: int | None = None
    hold: Hold | None = None
    halted: bool = False
    floor: tuple[int, int] = (0, 0)
    restart: tuple[int, Hash] | None = None
    wal: WalRecovery = field(default_factory=WalRecovery)
    # views
    view: int = 1
    entered_at: int = 0
    entering: Certificate | None = None
    views: dict[int, ViewState] = field(default_factory=dict)
    ready: list[tuple[int, VoteKind, Hash]] = field(default_factory=list)
    parent_cache: tuple[int, int, tuple[int, Hash] | None] = (0, -1, None)
    nullified: int = 0
    inactive: set[int] = field(default_factory=set)
    # certificates of this epoch
    notarizations: dict[int, Certificate] = field(default_factory=dict)
    nullifications: dict[int, Certificate] = field(default_factory=dict)
    finalization: Certificate | None = None
    certificate_version: int = 0
    next_view: int = 1
    next_entering: Certificate | None = None
    shared: set[tuple[VoteKind, int]] = field(default_factory=set)
    certificates_asked_at: int = 0
    # blocks
    blocks: dict[Hash, BlockEntry] = field(default_factory=dict)
    recent: deque[Hash] = field(default_factory=deque)
    fetches: dict[Hash, Fetch] = field(default_factory=dict)
    committed_height: int = 0
    pruned: tuple[int, int] = (0, 0)
    over: bool = False
    past: PastEpoch | None = None
    next_due_ms: int | None = None
    # peers
    peers: dict[PeerId, Peer] = field(default_factory=dict)
    relaying: bool = False
    turn_of: int = 0
    last_votes: dict[bytes, Vote] = field(default_factory=dict)
    shown_votes: dict[PeerId, Vote] = field(default_factory=dict)
    early: list[tuple[PeerId, Message]] = field(default_factory=list)
    accused: dict[tuple[int, int, int, str], None] = field(default_factory=dict)
    behind_at: int = 0
    # work and deadlines
    transactions: bool = False
    owed_since: int | None = None
    work_since: int | None = None
    wait: int = 0
    lead_at: int = 0
    view_at: int = 0
    resend_at: int = 0
    resend_interval: int = 0
    resends: int = 0
    status_at: int = 0
    armed: dict[TimerKind, tuple[Timer, int]] = field(default_factory=dict)
    rest_until: int = 0

    @property
    def final_view(self) -> int:
        """Highest view of this epoch that is known to be final; 0 stands for the boundary block before it."""
        return self.finalization.view if self.finalization is not None else 0

    @property
    def final_hash(self) -> Hash:
        """The block that is final at `final_view`."""
        return Hash(self.finalization.block_hash) if self.finalization is not None else self.epoch.boundary_hash

    @property
    def current(self) -> ViewState:
        """The view this node is in."""
        return self.view_state(self.view)

    def held(self, kind: VoteKind, view: int) -> Certificate | None:
        """The certificate held for (kind, view)."""
        if kind is VoteKind.NOTARIZE:
            return self.notarizations.get(view)
        if kind is VoteKind.NULLIFY:
            return self.nullifications.get(view)
        final = self.finalization
        return final if final is not None and final.view == view else None

    def view_state(self, view: int) -> ViewState:
        """The state of an admitted view, made when first needed."""
        state = self.views.get(view)
        if state is None:
            leaders = self.epoch.leaders
            state = self.views[view] = ViewState(view, leaders[(view - 1) % len(leaders)])
        return state

    def entry(self, block_hash: Hash) -> BlockEntry:
        """What is known of a block, made when first needed."""
        entry = self.blocks.get(block_hash)
        if entry is None:
            entry = self.blocks[block_hash] = BlockEntry(block_hash)
        return entry

    @property
    def waiting(self) -> bool:
        """Whether transactions wait. `owed_since` is a view that was nullified with a block that had some: the mempool
        counts them as on their way until a later block is final."""
        return self.transactions or self.owed_since is not None

    def may_vote(self, view: int) -> bool:
        """Whether this node may sign anything for a view of this epoch."""
        return (
            self.me is not None
            and self.hold is None
            and not self.halted
            and not self.over
            and (self.epoch.epoch, view) > self.floor
        )

    def delta(self) -> int:
        """Delta_k of now."""
        return self.parameters.backoff_delta(self.nullified)
