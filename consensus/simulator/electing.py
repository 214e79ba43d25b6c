"""The model application of engines that elect: ballots, readiness, reports and trades as transactions; route hashes.

A transaction that says nothing about the council is a trade of two members, which its id names, so scores and path
queues come from what clients send. What is refused changes nothing: it has its place in the block, as a receipt would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from consensus.composite_score import composite_scores
from consensus.council import Council, CouncilRules, bar_lost_turns, encode_council, next_council, note_ready
from consensus.council_reports import InvalidReport, ReportRefused, convict, report_invalid
from consensus.path_queue import direct, path_queue, route_hash
from consensus.scheme import Scheme
from consensus.simplex.policy import Policy
from consensus.simulator.application import ModelApplication, Overlay
from ledger.certificates import Vote
from ledger.codec import Bytes32, Wire, decode, encode
from ledger.crypto import Hash
from ledger.errors import DecodeError, InvariantBroken
from ledger.objects import Header
from ledger.validators import Validator, ValidatorSet

if TYPE_CHECKING:
    from consensus.simulator.ledger_side import LedgerSide


class Ready(Wire, frozen=True):
    """A member has the state of a final block of the running epoch."""

    member: Bytes32
    block: Bytes32


class Ballot(Wire, frozen=True):
    """A member names candidates."""

    voter: Bytes32
    names: tuple[Bytes32, ...]


class EvidenceReport(Wire, frozen=True):
    """Two votes of one member that exclude each other."""

    first: Vote
    second: Vote


Word: TypeAlias = Ready | Ballot | InvalidReport | EvidenceReport
_KINDS: Final[dict[bytes, type[Word]]] = {
    b"!r": Ready,
    b"!b": Ballot,
    b"!i": InvalidReport,
    b"!e": EvidenceReport,
}
_TAG_OF: Final = {kind: tag for tag, kind in _KINDS.items()}


def word_bytes(word: Word) -> bytes:
    """A transaction about the council."""
    return _TAG_OF[type(word)] + encode(word)


def read_word(raw: bytes) -> Word | None:
    """Inverse of `word_bytes`, None for any other transaction."""
    kind = _KINDS.get(raw[:2])
    try:
        return None if kind is None else decode(kind, raw[2:])
    except DecodeError:
        return None


@dataclass(frozen=True, slots=True)
class Electing:
    """What all nodes of a world share: rules, population, who checks signatures, where epochs end.

    `every_block`: scores follow each block, as published, and the engine elects by itself.
    """

    rules: CouncilRules
    members: tuple[Validator, ...]
    scheme: Scheme
    policy: Policy
    every_block: bool = False


@dataclass(frozen=True, slots=True)
class CouncilHead:
    """The council after a block, what its next election counts, and the trades of the block for the next path queue."""

    council: Council
    scores: Mapping[bytes, int] = field(default_factory=dict)
    ballots: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    traded: tuple[tuple[bytes, int, int], ...] = ()
    routes: tuple[tuple[bytes, bytes, int, int], ...] = ()

    def encoded(self) -> bytes:
        """See `CouncilState`."""
        counted = (sorted(self.scores.items()), sorted(self.ballots.items()), self.traded, self.routes)
        return encode_council(self.council) + encode(counted)


@dataclass(slots=True)
class ElectingApplication(ModelApplication):
    """See the module. `shared` is the same for all nodes."""

    shared: Electing = field(kw_only=True)

    def section(self, parent: Overlay) -> bytes:
        """The hash of path queue L of the parent's state."""
        return bytes(route_of(parent))

    def committee_after(self, header: Header, overlay: Overlay) -> Hash:
        """The next council where an epoch ends, else the one that votes."""
        if not self.shared.policy.is_boundary(header):
            return Hash(header.validators)
        return ValidatorSet(head_of(overlay).council.queue).hash

    def council_after(
        self, header: Header, parent: Overlay, ids: tuple[Hash, ...], transactions: tuple[bytes, ...]
    ) -> CouncilHead:
        """Lost turns, then what the transactions say, then the election where the epoch ends."""
        head = head_of(parent)
        head = replace(head, council=bar_lost_turns(head.council, header), routes=())
        routes = []
        for position, (name, raw) in enumerate(zip(ids, transactions, strict=True)):
            word = read_word(raw)
            if word is not None:
                head = self._hear(head, word)
                continue
            members = self.shared.members
            seller, buyer = (members[name[at] % len(members)].public_key for at in (0, 1))
            routes.append((seller, buyer, position, 100 + name[2]))
        real = ((seller, wh, wh - ids[position][3] % 64) for seller, _, position, wh in routes)
        head = replace(head, routes=tuple(routes), traded=(*head.traded, *real))
        if self.shared.every_block:
            return replace(head, scores=_scores(head), traded=())
        return self._elect(head) if self.shared.policy.is_boundary(header) else head

    def _hear(self, head: CouncilHead, word: Word) -> CouncilHead:
        known = {member.public_key for member in self.shared.members}
        try:
            match word:
                case Ready(member, _):
                    return replace(head, council=note_ready(head.council, member)) if member in known else head
                case Ballot(voter, names):
                    return replace(head, ballots={**head.ballots, voter: names}) if voter in known else head
                case InvalidReport(complaints):
                    council = report_invalid(head.council, self.shared.rules, self.shared.scheme, complaints)
                    return replace(head, council=council)
                case EvidenceReport(first, second):
                    return replace(head, council=convict(head.council, self.shared.scheme, first, second))
        except ReportRefused:
            return head

    def _elect(self, head: CouncilHead) -> CouncilHead:
        scores = _scores(head)
        ballots: Mapping[bytes, Sequence[bytes]] = head.ballots
        council = next_council(head.council, self.shared.rules, self.shared.members, scores, ballots)
        return CouncilHead(council, scores, head.ballots, (), head.routes)


def _scores(head: CouncilHead) -> dict[bytes, int]:
    trades: dict[bytes, list[tuple[int, int]]] = {}
    for member, promised, real in head.traded:
        trades.setdefault(member, []).append((promised, real))
    return composite_scores(trades, head.scores)


def route_of(overlay: Overlay) -> Hash:
    """Hash of path queue L of the state after a block."""
    return route_hash(path_queue(direct(*trade) for trade in head_of(overlay).routes))


def head_of(overlay: Overlay) -> CouncilHead:
    """The council after a block. Raise `TypeError` in a world that elects nobody."""
    if not isinstance(overlay.council, CouncilHead):
        raise TypeError("this world elects nobody")
    return overlay.council


class ChainOf:
    """A node's own chain, as the published engine asks about it."""

    def __init__(self, node: LedgerSide) -> None:
        self._node = node

    def route_hash(self, block_hash: Hash) -> Hash:
        """See `AgentChain`."""
        head = self._node.application.head
        if head.hash != block_hash:
            raise InvariantBroken("an agent asks about another block than its head")
        return route_of(head)

    def scores(self, height: int) -> Mapping[bytes, int]:
        """See `AgentChain`."""
        return self._node.scored[height]

    def headers(self, above: int) -> Sequence[Header]:
        """See `AgentChain`."""
        return [block.header for block in self._node.chain[above + 1 :]]
