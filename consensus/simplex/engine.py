"""The turn: one event in; settle until nothing moves; timers; effects out."""

from __future__ import annotations

from typing import Final, assert_never

from consensus.engine import (
    BODY_MISMATCH,
    Built,
    Checked,
    Committed,
    Effect,
    EngineStatus,
    Event,
    Expired,
    Millis,
    PeerId,
    Prune,
    Received,
    Reply,
    Request,
    RequestKind,
    Started,
    TimerKind,
    TransactionsReady,
    Verdict,
)
from consensus.messages import (
    BodyRequest,
    BodyResponse,
    CertificateRequest,
    CertificateResponse,
    Complaint,
    Evidence,
    Message,
    Proposal,
    Status,
)
from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex import gossip
from consensus.simplex.ancestry import ask_again_later, fetch, on_body, require_blocks, retry_fetches
from consensus.simplex.certificates import certify, receive_certificate
from consensus.simplex.effects import ask_certificates, leader_key, report_behind
from consensus.simplex.finality import commit, on_committed
from consensus.simplex.hold import try_lift
from consensus.simplex.policy import Policy
from consensus.simplex.proposals import consider, on_proposal, read_header
from consensus.simplex.recovery import start
from consensus.simplex.relay import look_at_links
from consensus.simplex.rest import is_still, rest
from consensus.simplex.state import State
from consensus.simplex.tally import add_vote, on_evidence
from consensus.simplex.timing import build_at, clock_set_back, refresh
from consensus.simplex.views import enter
from consensus.simplex.voting import build, finalize_notarized, follow_leader, nullify, on_built
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import Hash
from ledger.errors import InvariantBroken

MAX_EARLY: Final = 512
MAX_EARLY_PROPOSALS: Final = 4
"""Messages of the next epoch that are kept until it begins here."""


class SimplexEngine:
    """An engine on the core. See `consensus.engine.Engine`; the first event of a life is `Started`."""

    __slots__ = ("_chain_id", "_own_key", "_parameters", "_policy", "_scheme", "_state")

    def __init__(
        self, parameters: EngineParameters, own_key: bytes | None, chain_id: str, scheme: Scheme, policy: Policy
    ) -> None:
        self._parameters = parameters
        self._own_key = own_key
        self._chain_id = chain_id
        self._scheme = scheme
        self._policy = policy
        self._state: State | None = None

    @property
    def state(self) -> State:
        """The state, for tests and the simulator's auditor; nobody else looks."""
        if self._state is None:
            raise InvariantBroken("an engine's first event is Started")
        return self._state

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """Take one event at time `now` and return effects in order."""
        if isinstance(event, Started):
            return self._start(event, now)
        state = self.state
        if _is_old_vote(state, event):
            return []
        if now < state.now:
            clock_set_back(state, state.now - now)
            state.rest_until = 0
        state.now = now
        state.out = []
        version = state.certificate_version
        _dispatch(state, event)
        if not is_still(state, event, version):
            built = _settle(state)
            refresh(state)
            rest(state, built)
        return state.out

    def _start(self, event: Started, now: Millis) -> list[Effect]:
        state = self._state = State(
            self._parameters,
            self._policy,
            self._scheme,
            self._chain_id,
            self._own_key,
            event.epoch,
            event.head,
            event.head_hash,
            now,
        )
        state.status_at = now + self._parameters.status_interval_ms
        start(state, event)
        _settle(state)
        refresh(state)
        gossip.resend(state)
        refresh(state)
        return state.out


def _is_old_vote(state: State, event: Event) -> bool:
    """Whether an event is a vote that was heard and verified before: where votes are passed on, most are."""
    vote = event.message if isinstance(event, Received) and event.peer is not None else None
    if not isinstance(vote, Vote) or vote.epoch != state.epoch.epoch:
        return False
    view = state.views.get(vote.view)
    slot = view.slots(vote.kind).get(vote.signer) if view is not None else None
    return slot is not None and slot.verified and slot.vote == vote


def _settle(state: State) -> bool:
    """Apply the rules until none has anything left to do in this turn; True if a block was begun after that."""
    moved = True
    while moved:
        before = state.certificate_version
        moved = certify(state)
        moved |= commit(state)
        moved |= enter(state)
        require_blocks(state)
        moved |= follow_leader(state)
        moved |= consider(state)
        moved |= finalize_notarized(state)
        moved |= try_lift(state)
        moved |= state.certificate_version != before  # a justification brought some: its blocks may be needed
    at = build_at(state)
    if at is None or at > state.now:
        return False
    build(state)
    return True


def _dispatch(state: State, event: Event) -> None:
    match event:
        case Received(peer, message):
            _receive(state, peer, message)
        case Expired(timer):
            armed = state.armed.get(timer.kind)
            if armed is not None and armed[0] == timer:
                del state.armed[timer.kind]  # if it came too early, it is armed again at the end of the turn
                if armed[1] <= state.now:
                    _expire(state, timer.kind)
        case Built():
            on_built(state, event)
        case Checked():
            _checked(state, event)
        case Committed():
            before = state.epoch.epoch
            on_committed(state, event)
            if state.epoch.epoch != before:
                _replay_early(state)
        case TransactionsReady(pending):
            state.transactions = pending
        case Request():
            _request(state, event)
        case Started():
            raise InvariantBroken("Started is handled before dispatch")
        case _:
            assert_never(event)


def _expire(state: State, kind: TimerKind) -> None:
    match kind:
        case TimerKind.LEAD | TimerKind.VIEW:
            nullify(state)
        case TimerKind.RESEND:
            gossip.resend(state)
        case TimerKind.STATUS:
            gossip.send_all_status(state)
        case TimerKind.FETCH:
            retry_fetches(state)
        case TimerKind.BUILD | TimerKind.WAKE:
            pass  # what they wake is looked at in every turn
        case _:
            assert_never(kind)


def _checked(state: State, event: Checked) -> None:
    entry = state.blocks.get(event.hash)
    if entry is None:
        state.out.append(Prune((event.hash,), *state.pruned))  # abandoned meanwhile: its overlay is of no use
        return
    if not entry.checking:
        return
    entry.checking = False
    if entry.verdict is not None:
        return  # sync was faster
    match event.verdict:
        case Verdict.VALID:
            entry.verdict = Verdict.VALID
            entry.block = event.block if event.block is not None else entry.block
            entry.next_due_ms = event.next_due_ms
            entry.parts = {}
            state.fetches.pop(event.hash, None)
        case Verdict.MISSING:
            entry.missing = event.missing
            if entry.block is None:
                fetch(state, entry, event.missing)
            else:
                ask_again_later(state, entry)
        case Verdict.INVALID if event.reason == BODY_MISMATCH and entry.block is None:
            entry.missing, entry.parts = (), {}
            fetch(state, entry, ())
        case Verdict.INVALID:
            entry.verdict, entry.reason = Verdict.INVALID, event.reason
            state.fetches.pop(event.hash, None)
        case _:
            assert_never(event.verdict)


def _request(state: State, event: Request) -> None:
    match event.kind:
        case RequestKind.STATUS:
            status = EngineStatus(
                state.epoch.epoch,
                state.view,
                state.head.height,
                state.head_hash,
                leader_key(state.epoch, state.view),
                state.hold is not None,
                state.nullified,
                len(state.notarizations),
            )
            state.out.append(Reply(status))
        case RequestKind.PEER_CONNECTED:
            if event.peer is not None:
                gossip.note_peer(state, event.peer, event.validator)
                gossip.send_status(state, event.peer)
        case RequestKind.PEER_GONE:
            if event.peer is not None:
                state.peers.pop(event.peer, None)
                look_at_links(state)
        case _:
            assert_never(event.kind)


# --- messages ---------------------------------------------------------------------------------------------------------


def _receive(state: State, peer: PeerId | None, message: Message) -> None:
    if peer is None:
        _own(state, message)
        return
    match message:
        case Vote():
            if _of_this_epoch(state, message.epoch, peer, message):
                add_vote(state, message, peer, verified=False)
        case Certificate():
            if _of_this_epoch(state, message.epoch, peer, message):
                receive_certificate(state, message, peer)
        case Proposal():
            header = read_header(message)
            if header is not None and _of_this_epoch(state, header.epoch, peer, message):
                on_proposal(state, message, header, peer)
        case CertificateResponse():
            for certificate in message.certificates:
                if certificate.epoch == state.epoch.epoch:
                    receive_certificate(state, certificate, peer)
        case CertificateRequest():
            gossip.on_certificate_request(state, message, peer)
        case BodyRequest():
            gossip.on_body_request(state, message, peer)
        case BodyResponse():
            on_body(state, message, peer)
        case Status():
            gossip.on_status(state, message, peer)
        case Evidence():
            on_evidence(state, message, peer)
        case Complaint():
            pass  # counted by engines that bar leaders; the core itself acts on votes only
        case _:
            assert_never(message)


def _of_this_epoch(state: State, epoch: int, peer: PeerId, message: Message) -> bool:
    """Whether a message is of our epoch. One of the next is kept for it, and tells that we are late."""
    mine = state.epoch.epoch
    if epoch == mine + 1 and len(state.early) < MAX_EARLY:
        proposals = sum(isinstance(early, Proposal) for _, early in state.early)
        if not isinstance(message, Proposal) or proposals < MAX_EARLY_PROPOSALS:
            state.early.append((peer, message))
    if epoch > mine and not state.over:
        ask_certificates(state, peer)
        report_behind(state, peer, state.committed_height + 1)
    return epoch == mine


def _replay_early(state: State) -> None:
    """The epoch has begun: take what came before it."""
    early, state.early = state.early, []
    for peer, message in early:
        _receive(state, peer, message)


def _own(state: State, message: Message) -> None:
    """Own signed bytes, durable now: counted, kept for resending."""
    match message:
        case Vote():
            if message.epoch == state.epoch.epoch and message.view > state.final_view:
                state.view_state(message.view).own.append(message)
                add_vote(state, message, None, verified=True)
        case Proposal():
            header = read_header(message)
            if header is None or header.epoch != state.epoch.epoch or header.view <= state.final_view:
                return
            vs = state.view_state(header.view)
            vs.own_proposal = message
            if vs.my_notarize is not None:
                vote = Vote(
                    VoteKind.NOTARIZE, header.epoch, header.view, Hash(vs.my_notarize), vs.leader, message.signature
                )
                add_vote(state, vote, None, verified=True)
        case _:
            pass  # nothing else of our own comes back
