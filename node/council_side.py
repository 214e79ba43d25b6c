"""What engine `dpos` does inside a block: lost turns, reports, readiness, elections (consensus B.4, ADR 0180).

The council is one value in state; `contracts/library/council.py` takes what validators send and shows what was decided.
A block bars the leaders that its header skips, then runs its transactions; those of the contract `council` that prove
something are checked here first, with a code for each refusal. The last block of an epoch counts settled trades,
elects, and names the next committee in the order of its turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from consensus.composite_score import composite_scores
from consensus.council import (
    Bar,
    Council,
    CouncilRules,
    bar_lost_turns,
    decode_council,
    encode_council,
    hold_election,
    note_ready,
)
from consensus.council_reports import InvalidReport, convict, report_invalid
from consensus.dpos import DposPolicy
from consensus.engine import Verdict
from consensus.evidence import ReportRefused
from consensus.messages import Evidence
from consensus.scheme import Ed25519Scheme
from contracts.executor import BlockContext, EngineCall, Executor, QueryFailed
from contracts.library_sources import COUNCIL
from contracts.values import Value, decode_value
from ledger.codec import Bytes32, Uint, Wire, decode, encode
from ledger.crypto import address_of
from ledger.engine_settings import CouncilSettings
from ledger.errors import DecodeError, GenesisError, InvariantBroken
from ledger.genesis import Genesis
from ledger.objects import Header, Receipt, Transaction
from ledger.schema import state_engine
from ledger.state import Overlay, StateReader
from ledger.validators import Validator
from node.application import STATE_VALIDATORS
from node.engine_side import VALID_SECTION, EngineBlock, SectionVerdict
from node.evidence_side import carried
from node.route_section import RouteSection

STATE_COUNCIL: Final = state_engine("council")
"""`consensus.council.encode_council`: queue, bars, readiness after a block."""
STATE_SCORES: Final = state_engine("council-scores")
"""Composite scores at the last election: (voting key, ppm) of every validator, by key."""
STATE_ANCHORS: Final = state_engine("council-anchors")
"""The blocks that this epoch and the one before stand on."""
MAX_COUNTED_SLOTS: Final = 8
"""Slots whose trades one election counts at most; what is left is the next one's."""

_Period: TypeAlias = tuple[Mapping[bytes, Sequence[tuple[int, int]]], Mapping[bytes, Sequence[bytes]]]


class Anchor(Wire, frozen=True):
    """The block that an epoch stands on: who names it has followed the chain up to there."""

    epoch: Uint
    height: Uint
    block: Bytes32


def read_council(state: StateReader) -> Council:
    """The council of a state. Raise `InvariantBroken` if there is none."""
    raw = state.get(STATE_COUNCIL)
    if raw is None:
        raise InvariantBroken("the state has no council")
    return decode_council(raw)


def read_anchors(state: StateReader) -> tuple[Anchor, ...]:
    """The blocks that the newest epochs stand on, oldest first; empty before the first block."""
    raw = state.get(STATE_ANCHORS)
    return () if raw is None else decode(tuple[Anchor, ...], raw)


def read_scores(state: StateReader) -> dict[bytes, int]:
    """Scores at the last election, by voting key, ppm."""
    raw = state.get(STATE_SCORES)
    return {} if raw is None else dict(decode(tuple[tuple[Bytes32, Uint], ...], raw))


def council_settings(genesis: Genesis) -> CouncilSettings:
    """What genesis fixes for its council. Raise `GenesisError` (GENESIS_COUNCIL) where it names none."""
    if genesis.council is None or all(contract.name != COUNCIL for contract in genesis.contracts):
        raise GenesisError(
            "engine dpos takes ballots by a contract",
            code="GENESIS_COUNCIL",
            expected=f"a council and a contract {COUNCIL}",
            found=[contract.name for contract in genesis.contracts],
            fix="found the network with gridchain init --engine dpos",
        )
    return genesis.council


def install_council(view: Overlay, genesis: Genesis) -> None:
    """The council of the first epoch: the committee of genesis, which counts as ready; others show it first."""
    council_settings(genesis)
    queue = genesis.validator_set.validators
    ready = {validator.public_key: 0 for validator in queue}
    view.put(STATE_COUNCIL, encode_council(Council(1, queue, ready=ready)))


class CouncilSide:
    """See the module. `executor` is the ledger thread's; `questions` one whose limit of a query is the chain's."""

    watched: frozenset[str] = frozenset({COUNCIL})

    def __init__(self, genesis: Genesis, executor: Executor, questions: Executor) -> None:
        settings = council_settings(genesis)
        self._members = tuple(Validator(one.name, one.public_key) for one in genesis.validators)
        self._keys = tuple(member.public_key for member in self._members)
        floor = tuple(one.public_key for one in genesis.validators if one.name in settings.floor)
        self._rules = CouncilRules(settings.seats, floor, settings.bar_elections)
        self._alpha = settings.alpha
        self._policy = DposPolicy(settings.seats)
        self._scheme = Ed25519Scheme(genesis.chain_id)
        self._speaks = {
            bytes(address_of(member.account_key)): member.validator_key
            for member in genesis.members
            if member.account_key and member.validator_key
        }
        self._executor = executor
        self._routes = RouteSection(questions, tuple(contract.name for contract in genesis.contracts))
        self._gas = genesis.limits.scheduled_gas

    # --- the section --------------------------------------------------------------------------------------------------

    def section(self, parent: StateReader, header: Header, offered: Sequence[Transaction] = ()) -> bytes | None:
        """See `EngineSide`: the hash of path queue L of the parent's state."""
        return self._routes.section(parent, self._context(header))

    def judge(self, parent: StateReader, header: Header, section: bytes) -> SectionVerdict:
        """See `EngineSide`: only this node's own hash is valid."""
        if section != self._routes.section(parent, self._context(header)):
            return SectionVerdict(Verdict.INVALID, "ROUTE_HASH")
        return VALID_SECTION

    def _context(self, header: Header) -> BlockContext:
        market_ms = self._executor.clock.market_time(header.time_ms)
        return BlockContext(header.chain_id, header.height, header.time_ms, market_ms)

    # --- a block ------------------------------------------------------------------------------------------------------

    def begin(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`: who lost a turn is barred; the first block of an epoch says what the epoch stands on."""
        header = block.header
        if header.closing:
            return []
        before = read_council(view)
        council = bar_lost_turns(before, header)
        if council != before:
            view.put(STATE_COUNCIL, encode_council(council))
        anchors = read_anchors(view)
        if not anchors or anchors[-1].epoch != header.epoch:
            newest = Anchor(header.epoch, header.height - 1, header.parent)
            view.put(STATE_ANCHORS, encode((*anchors[-1:], newest)))
        return []

    def refusal(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> str:
        """See `EngineSide`: a stable code for what proves nothing."""
        if transaction.sender not in self._speaks:
            return ""  # the contract says it
        try:
            self._heard(view, transaction)
        except ReportRefused as refused:
            return refused.code
        return ""

    def executed(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> None:
        """See `EngineSide`."""
        before = read_council(view)
        council = self._heard(view, transaction)
        if council != before:
            view.put(STATE_COUNCIL, encode_council(council))

    def _heard(self, view: Overlay, transaction: Transaction) -> Council:
        """The council after a validator's transaction. Raise `ReportRefused`."""
        council = read_council(view)
        match transaction.body.entry:
            case "ready":
                return self._shown(view, council, transaction)
            case "report_invalid":
                complaints = carried(transaction, InvalidReport).complaints
                return report_invalid(council, self._rules, self._scheme, complaints)
            case "evidence":
                evidence = carried(transaction, Evidence)
                return convict(council, self._scheme, evidence.first, evidence.second)
            case _:
                return council

    def _shown(self, view: Overlay, council: Council, transaction: Transaction) -> Council:
        """A member names the block that this epoch, or the one before, stands on."""
        member = self._speaks[transaction.sender]
        try:
            named = decode_value(transaction.body.arguments)
        except DecodeError:
            return council  # the contract refuses the arguments
        if not isinstance(named, list):
            return council
        for anchor in read_anchors(view):
            if named == [anchor.height, anchor.block]:
                if council.ready.get(member, 0) >= anchor.epoch:
                    raise ReportRefused("shown before", code="READY_AGAIN", found=f"epoch {anchor.epoch}")
                return note_ready(council, member, anchor.epoch)
        raise ReportRefused(
            "not the block that an epoch stands on", code="READY_STATE", expected=f"epoch {council.epoch}", found=named
        )

    # --- the end of an epoch ------------------------------------------------------------------------------------------

    def finish(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`: the election in an epoch's last block."""
        if not self._policy.is_boundary(block.header):
            return []
        receipts = self._counted(view, block)
        closed = self._call(view, block, "close_period", [])
        traded, ballots = self._period(closed)
        council = read_council(view)
        scores = composite_scores(traded, {**dict.fromkeys(self._keys, 0), **read_scores(view)}, self._alpha)
        following, result = hold_election(council, self._rules, self._members, scores, ballots)
        view.put(STATE_COUNCIL, encode_council(following))
        view.put(STATE_SCORES, encode(tuple(sorted(scores.items()))))
        view.put(STATE_VALIDATORS, encode(following.queue))
        place = {key: position for position, key in enumerate(self._keys)}
        arguments: list[Value] = [
            following.epoch,
            [place[seat.public_key] for seat in following.queue],
            [figure for one in council.bars for figure in _figures(place[one.member], one)],
            [scores[key] for key in self._keys],
            [result.votes.get(key, 0) for key in self._keys],
        ]
        return [*receipts, closed, self._call(view, block, "publish", arguments)]

    def _counted(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """Count the trades of slots whose time has come."""
        receipts: list[Receipt] = []
        for seq in range(MAX_COUNTED_SLOTS):
            if not self._due(view, block):
                break
            receipts.append(self._call(view, block, "collect", [], seq))
            if not receipts[-1].ok:
                receipts.append(self._call(view, block, "pass_over", [], seq))
            elif decode_value(receipts[-1].value) is not True:
                break
        return receipts

    def _due(self, view: Overlay, block: EngineBlock) -> bool:
        try:
            return self._executor.query(view, COUNCIL, "due", [], block.context) is True
        except QueryFailed:
            return False  # the contract is being upgraded: elections go on without it

    def _call(self, view: Overlay, block: EngineBlock, entry: str, arguments: list[Value], seq: int = 0) -> Receipt:
        return self._executor.engine_call(view, block.context, EngineCall(COUNCIL, entry, seq), arguments, self._gas)

    def _period(self, closed: Receipt) -> _Period:
        """(trades, ballots) by voting key, of what the contract returned; nothing if it failed. An upgrade may have
        made another contract of it: what is no such value says nothing."""
        match decode_value(closed.value) if closed.ok else None:
            case [list() as rows, list() as named]:
                pass
            case _:
                return {}, {}
        traded: dict[bytes, tuple[tuple[int, int], ...]] = {}
        ballots: dict[bytes, tuple[bytes, ...]] = {}
        for row in rows:
            match row:
                case [int(at), int(promised), int(delivered)] if self._seated(at) and promised >= 0 and delivered >= 0:
                    traded[self._keys[at]] = ((promised, delivered),)
        for row in named:
            match row:
                case [int(voter), list(chosen)] if self._seated(voter) and all(map(self._seated, chosen)):
                    ballots[self._keys[voter]] = tuple(self._keys[at] for at in chosen)
        return traded, ballots

    def _seated(self, position: object) -> bool:
        """Whether this is a position of a validator in genesis."""
        return isinstance(position, int) and 0 <= position < len(self._keys)

    def next_due_ms(self, view: StateReader) -> int | None:
        """See `EngineSide`: an election waits for blocks that others want."""
        return None


def _figures(position: int, one: Bar) -> tuple[int, ...]:
    return position, int(one.cause), one.epoch, one.view, one.left
