"""Market C's consensus to the letter (markets 5.3), as an engine that only the simulator runs.

It is kept to show what the published rules do, forks included; nodes run `consensus.dpos`. Agents announce the
hash of the path queue that they computed; an agent takes its own for verified if more than half sent the same, and
votes yes if the block carries it; yes votes of half of the agents make the block stand, at once and without more proof.
A producer whose block is refused is barred from K elections, and the next in the queue produces. Everything is counted
as it is received, so what counts for one agent need not count for another.

Left open by the publication and chosen here: digests are announced once a turn; a turn that has seen no acceptance ends
after `TURN_DELTAS` Delta; the agents are those of genesis, elections order the queue among them. The votes of the core
carry it: NOTARIZE an announced digest, FINALIZE a yes, NULLIFY a no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from consensus.election import elect
from consensus.engine import (
    Arm,
    Behind,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Committed,
    Effect,
    Event,
    Expired,
    HeaderTemplate,
    Millis,
    PeerId,
    Publish,
    Received,
    SignProposal,
    SignVote,
    Started,
    StoredBlock,
    Timer,
    TimerKind,
    Verdict,
)
from consensus.messages import Message, Proposal
from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex.proposals import read_header
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import ZERO_HASH, Hash
from ledger.errors import InvariantBroken
from ledger.objects import Header, header_hash
from ledger.validators import ValidatorSet

BAR_ELECTIONS: Final = 3
TURN_DELTAS: Final = 6
_TURNS: Final = 1 << 20
"""More turns than a height can have."""
_EPOCH: Final = 1


class AgentChain(Protocol):
    """An agent's own chain. Every answer is a function of blocks that it has committed."""

    def route_hash(self, block_hash: Hash) -> Hash:
        """Hash of path queue L of the state after its head."""
        ...

    def scores(self, height: int) -> Mapping[bytes, int]:
        """Composite scores after a block of it."""
        ...

    def headers(self, above: int) -> Sequence[Header]:
        """Of the committed blocks above a height, ascending."""
        ...


def place(height: int, turn: int) -> int:
    """View of a block and of the votes for it; announcements of the turn have the next one."""
    return 2 * (height * _TURNS + turn)


@dataclass(frozen=True, slots=True)
class Lot:
    """Whose turn it is. `bars`: elections that an agent still misses."""

    agents: tuple[bytes, ...]
    queue: tuple[bytes, ...]
    bars: tuple[tuple[bytes, int], ...] = ()

    def accepted(self, scores: Mapping[bytes, int]) -> Lot:
        """The producer leaves the queue."""
        return self._next(self.bars, scores)

    def refused(self, scores: Mapping[bytes, int]) -> Lot:
        """The producer leaves the queue and is barred."""
        barred = {**dict(self.bars), self.queue[0]: BAR_ELECTIONS} if self.queue else dict(self.bars)
        return self._next(tuple(sorted(barred.items())), scores)

    def _next(self, bars: tuple[tuple[bytes, int], ...], scores: Mapping[bytes, int]) -> Lot:
        if self.queue[1:]:
            return Lot(self.agents, self.queue[1:], bars)
        counted = {agent: scores.get(agent, 0) for agent in self.agents}
        queue = elect(counted, {}, len(self.agents), dict(bars)).queue
        return Lot(self.agents, queue, tuple((agent, left - 1) for agent, left in bars if left > 1))


@dataclass(slots=True)
class _Turn:
    """What was received of one turn at the current height."""

    digests: dict[int, Hash] = field(default_factory=dict)
    yes: dict[Hash, dict[int, Vote]] = field(default_factory=dict)
    no: set[int] = field(default_factory=set)
    block: StoredBlock | None = None
    header: Header | None = None
    valid: bool = False
    voted: bool = False


class PublishedDposEngine:
    """See the module. Implements `consensus.engine.Engine`."""

    def __init__(
        self, parameters: EngineParameters, own_key: bytes, chain_id: str, scheme: Scheme, chain: AgentChain
    ) -> None:
        self._parameters = parameters
        self._key = own_key
        self._chain_id = chain_id
        self._scheme = scheme
        self._chain = chain
        self._members: ValidatorSet | None = None
        self._head: Header | None = None
        self._head_hash = ZERO_HASH
        self._lot = Lot((), ())
        self._turn = 1
        self._turns: dict[int, _Turn] = {}
        self._early: list[tuple[PeerId, Message]] = []
        self._committing = False
        self._behind_at = 0
        self._now = Millis(0)
        self._out: list[Effect] = []

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """See `Engine`. A restart forgets what was received; the chain says the rest."""
        self._now, self._out = now, []
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Received):
            self._receive(event.peer, event.message)
        elif isinstance(event, Built):
            self._built(event)
        elif isinstance(event, Checked):
            self._checked(event)
        elif isinstance(event, Committed) and event.head.height > self._height - 1:
            self._follow(event.head, event.head_hash)
        elif isinstance(event, Expired):
            self._expired(event.timer)
        return self._out

    # --- turns --------------------------------------------------------------------------------------------------------

    @property
    def _agents(self) -> ValidatorSet:
        if self._members is None:
            raise InvariantBroken("an engine's first event is Started")
        return self._members

    @property
    def _height(self) -> int:
        if self._head is None:
            raise InvariantBroken("an engine's first event is Started")
        return self._head.height + 1

    def _start(self, event: Started) -> None:
        self._members = event.epoch.validators
        agents = tuple(self._agents.validators[index].public_key for index in event.epoch.leaders)
        self._lot = Lot(agents, agents)
        self._head, self._head_hash = event.epoch.boundary, event.epoch.boundary_hash
        self._follow(event.head, event.head_hash)

    def _follow(self, head: Header, head_hash: Hash) -> None:
        """The chain has grown: what its headers say of turns decides the queue."""
        for header in self._chain.headers(self._height - 1):
            for _ in range(_turn_of(header) - 1):
                self._lot = self._lot.refused(self._chain.scores(header.height - 1))
            self._lot = self._lot.accepted(self._chain.scores(header.height))
        self._head, self._head_hash = head, head_hash
        self._turns, self._committing = {}, False
        self._enter(1)
        early, self._early = self._early, []
        for peer, message in early:
            self._receive(peer, message)

    def _enter(self, turn: int) -> None:
        self._turn = turn
        view = place(self._height, turn)
        head = self._head
        wait = max(0, head.time_ms + self._parameters.min_block_interval_ms - self._now) if head is not None else 0
        if self._agents.index_of(self._key) is None:
            return
        digest = self._chain.route_hash(self._head_hash)
        self._out.append(Publish(SignVote(VoteKind.NOTARIZE, _EPOCH, view + 1, digest)))
        if self._producer(turn) == self._key:
            self._out.append(Arm(Timer(TimerKind.BUILD, _EPOCH, view), Millis(self._now + wait)))
        ends = self._now + wait + TURN_DELTAS * self._parameters.delta_ms
        self._out.append(Arm(Timer(TimerKind.VIEW, _EPOCH, view), Millis(ends)))

    def _producer(self, turn: int) -> bytes | None:
        """Who produces in a turn of this height, if all turns before it were refused; None if all are barred."""
        lot, scores = self._lot, self._chain.scores(self._height - 1)
        for _ in range(turn - 1):
            lot = lot.refused(scores)
        return lot.queue[0] if lot.queue else None

    def _expired(self, timer: Timer) -> None:
        if timer.view != place(self._height, self._turn) or self._committing:
            return
        if timer.kind is TimerKind.VIEW:
            self._enter(self._turn + 1)
        elif timer.kind is TimerKind.BUILD and self._head is not None:
            template = HeaderTemplate(
                chain_id=self._chain_id,
                epoch=_EPOCH,
                view=timer.view,
                height=self._height,
                time_ms=max(self._now, self._head.time_ms + 1),
                parent=self._head_hash,
                parent_view=timer.view - 1,
                closing=False,
                validators=self._agents.hash,
                proposer=self._key,
            )
            self._out.append(Build(template, False))

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _built(self, event: Built) -> None:
        if event.block is None or event.header is None or event.view != place(self._height, self._turn):
            return
        found = self._turns.setdefault(self._turn, _Turn())
        found.block, found.header, found.valid, found.voted = event.block, event.header, True, True
        record = (_EPOCH, event.view, event.block, event.transaction_ids, event.prefill, event.extra, ())
        self._out.append(Publish(SignProposal(*record)))
        self._count(self._turn)

    def _proposed(self, proposal: Proposal, header: Header) -> None:
        turn = _turn_of(header)
        found = self._turns.setdefault(turn, _Turn())
        producer = self._producer(turn)
        if found.header is not None or header.parent != self._head_hash or header.proposer != producer:
            return
        block_hash = header_hash(proposal.header)
        signer = self._agents.index_of(header.proposer) or 0
        vote = Vote(VoteKind.NOTARIZE, _EPOCH, header.view, block_hash, signer, proposal.signature)
        if not self._scheme.verify_vote(vote, self._agents):
            return
        found.header = header
        if turn > self._turn and not self._committing:
            self._enter(turn)
        self._out.append(Check(_EPOCH, header.view, header, block_hash, proposal, None))

    def _checked(self, event: Checked) -> None:
        turn = event.view // 2 % _TURNS
        found = self._turns.get(turn)
        if found is None or event.parent != self._head_hash:
            return
        if event.verdict is Verdict.VALID and event.block is not None:
            found.block, found.valid = event.block, True
        elif event.verdict is Verdict.INVALID and not found.voted and turn == self._turn:
            found.voted = True
            self._out.append(Publish(SignVote(VoteKind.NULLIFY, _EPOCH, event.view, ZERO_HASH)))
        self._count(turn)

    # --- counting -----------------------------------------------------------------------------------------------------

    def _receive(self, peer: PeerId | None, message: Message) -> None:
        header = read_header(message) if isinstance(message, Proposal) else None
        view = header.view if header is not None else message.view if isinstance(message, Vote) else 0
        height, turn = view // 2 // _TURNS, view // 2 % _TURNS
        if height > self._height:
            self._late(peer, message, height)
        if height != self._height or turn < 1:
            return
        if isinstance(message, Proposal) and header is not None and peer is not None:
            self._proposed(message, header)
        elif isinstance(message, Vote) and self._scheme.verify_vote(message, self._agents):
            found = self._turns.setdefault(turn, _Turn())
            match message.kind:
                case VoteKind.NOTARIZE:
                    found.digests.setdefault(message.signer, Hash(message.block_hash))
                case VoteKind.FINALIZE:
                    found.yes.setdefault(Hash(message.block_hash), {}).setdefault(message.signer, message)
                case VoteKind.NULLIFY:
                    found.no.add(message.signer)
            self._count(turn)

    def _late(self, peer: PeerId | None, message: Message, height: int) -> None:
        """Others are ahead: keep a little of the next height, fetch what is missing."""
        if peer is None:
            return
        if height == self._height + 1 and len(self._early) < 4 * len(self._agents):
            self._early.append((peer, message))
        if self._now >= self._behind_at and (height > self._height + 1 or isinstance(message, Proposal)):
            self._behind_at = self._now + 2 * self._parameters.delta_ms
            self._out.append(Behind(peer, height - 1))

    def _count(self, turn: int) -> None:
        """Items 2 to 5: vote if the own digest is verified; accept with half of the agents; refuse when none can."""
        found = self._turns[turn]
        if found.block is None or found.header is None or self._committing:
            return
        count = len(self._agents)
        own = self._chain.route_hash(self._head_hash)
        verified = 2 * list(found.digests.values()).count(own) > count
        if turn == self._turn and found.valid and verified and not found.voted:
            found.voted = True
            self._out.append(Publish(SignVote(VoteKind.FINALIZE, _EPOCH, found.header.view, found.block.hash)))
        producer = self._agents.index_of(found.header.proposer)
        yes = {signer: vote for signer, vote in found.yes.get(found.block.hash, {}).items() if signer != producer}
        if found.valid and 2 * len(yes) >= count:
            self._committing = True
            signers = tuple(sorted(yes))
            signatures = tuple(yes[signer].signature for signer in signers)
            args = (VoteKind.FINALIZE, _EPOCH, found.header.view, found.block.hash)
            self._out.append(Commit((found.block.hash,), Certificate(*args, signers, signatures)))
        elif turn == self._turn and 2 * (count - 1 - len(found.no)) < count:
            self._enter(turn + 1)


def _turn_of(header: Header) -> int:
    return header.view // 2 % _TURNS
