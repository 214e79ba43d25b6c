"""Who sits in the council of `dpos`, and who may not: bars, readiness, the election at an epoch's end (consensus B.4).

Pure rules over plain values, all of them part of the state: a node that synced the headers and transactions of a chain
has the same council as one that was always there. Members are named by their voting keys; every order is total.

Who loses a turn is barred from one election. A leader against whom more than F members signed that its block is invalid
is barred from `bar_elections`. Who signed two votes that exclude each other is barred for good. Too few eligible lift
bars, the oldest first, those for equivocation last and for this election only; then the members named at genesis come
in, ready or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from consensus.election import Election, elect
from ledger.codec import Bytes32, Uint, Wire, decode, encode
from ledger.engine_settings import floor_size
from ledger.errors import NotCanonical
from ledger.objects import Header
from ledger.validators import Validator, ValidatorSet


class Cause(IntEnum):
    """Why somebody is barred. Where too few are eligible, bars for equivocation are lifted last, the others by their
    date, whatever their cause (`Bar.age`)."""

    TURN = 1
    INVALID = 2
    EQUIVOCATION = 3


class Bar(Wire, frozen=True):
    """A member that may not be elected: since when, and for how many elections more (0: for good)."""

    member: Bytes32
    cause: Cause
    epoch: Uint
    view: Uint
    left: Uint

    @property
    def age(self) -> tuple[bool, int, int, bytes]:
        """Sorts bars: what is lifted first comes first."""
        return self.cause is Cause.EQUIVOCATION, self.epoch, self.view, self.member


@dataclass(frozen=True, slots=True)
class CouncilRules:
    """What genesis fixes. `seats`: N. `floor_set`: keys that are never all missing. `bar_elections`: K."""

    seats: int
    floor_set: tuple[bytes, ...]
    bar_elections: int = 3

    @property
    def least(self) -> int:
        """Fewer eligible than this lift bars."""
        return floor_size(self.seats)


@dataclass(frozen=True, slots=True)
class Council:
    """The engine's part of the state after a block.

    `epoch` is the epoch that the next block belongs to; its leaders are `queue`, one turn a view, round and round.
    `previous`: the queue of the epoch before, for reports about it. `ready`: the newest epoch in which a member showed
    the chain's state. `reported`: views whose invalid block was reported.
    """

    epoch: int
    queue: tuple[Validator, ...]
    previous: tuple[Validator, ...] = ()
    bars: tuple[Bar, ...] = ()
    ready: Mapping[bytes, int] = field(default_factory=dict)
    reported: frozenset[tuple[int, int]] = frozenset()

    def committee(self, epoch: int) -> ValidatorSet | None:
        """The voting set of this epoch or the one before, in the order of turns; None for any other."""
        queue = self.queue if epoch == self.epoch else self.previous if epoch == self.epoch - 1 else ()
        return ValidatorSet(queue) if queue else None

    def barred(self) -> frozenset[bytes]:
        """Who is barred from the next election."""
        return frozenset(bar.member for bar in self.bars)


class _Record(Wire, frozen=True):
    epoch: Uint
    queue: tuple[Validator, ...]
    previous: tuple[Validator, ...]
    bars: tuple[Bar, ...]
    ready: tuple[tuple[Bytes32, Uint], ...]
    reported: tuple[tuple[Uint, Uint], ...]


def encode_council(council: Council) -> bytes:
    """The one encoding of a council, for the state."""
    ready, reported = tuple(sorted(council.ready.items())), tuple(sorted(council.reported))
    return encode(_Record(council.epoch, council.queue, council.previous, council.bars, ready, reported))


def decode_council(raw: bytes) -> Council:
    """Inverse of `encode_council`. Raise `DecodeError`, also for what `encode_council` would write differently."""
    found = decode(_Record, raw)
    council = Council(
        found.epoch, found.queue, found.previous, found.bars, dict(found.ready), frozenset(found.reported)
    )
    if encode_council(council) != raw or sorted(found.bars, key=lambda one: one.age) != list(found.bars):
        raise NotCanonical("a council is not in its canonical encoding")
    return council


def leader_of(queue: Sequence[Validator], view: int) -> bytes:
    """Key of the leader of a view: each view uses one turn, accepted or not."""
    return queue[(view - 1) % len(queue)].public_key


def lost_turns(queue: Sequence[Validator], header: Header) -> tuple[tuple[int, bytes], ...]:
    """(view, leader) of the views that a final block skipped: those strictly between its parent's view and its own.

    The first block of an epoch stands on view 0. Closing blocks bar nobody.
    """
    if header.closing:
        return ()
    return tuple((view, leader_of(queue, view)) for view in range(header.parent_view + 1, header.view))


def bar_lost_turns(council: Council, header: Header) -> Council:
    """Bar who lost a turn before this block for one election."""
    for view, member in lost_turns(council.queue, header)[: len(council.queue)]:  # the first date of each stays
        council = bar(council, Bar(member, Cause.TURN, council.epoch, view, 1))
    return council


def bar(council: Council, new: Bar) -> Council:
    """Bar a member. One bar per member and cause: its first date stays, its length is the longer of the two."""
    kept = [old for old in council.bars if (old.member, old.cause) != (new.member, new.cause)]
    for old in council.bars:
        if (old.member, old.cause) == (new.member, new.cause):
            longest = 0 if 0 in (old.left, new.left) else max(old.left, new.left)
            new = Bar(new.member, new.cause, *min((old.epoch, old.view), (new.epoch, new.view)), longest)
    return replace(council, bars=tuple(sorted((*kept, new), key=lambda one: one.age)))


def note_ready(council: Council, member: bytes, epoch: int | None = None) -> Council:
    """A member has shown that it has the chain's state of an epoch, the running one unless said."""
    shown = max(council.epoch if epoch is None else epoch, council.ready.get(member, 0))
    return replace(council, ready={**council.ready, member: shown})


def eligible(council: Council, rules: CouncilRules, members: Sequence[Validator]) -> tuple[frozenset[bytes], Council]:
    """Who may be elected, and the council less the bars that had to be lifted; a member counts by its newest bar.

    Ready is who showed the state in this epoch or the one before. Never empty if a member of the floor set is known.
    """
    known = {member.public_key for member in members}
    ready = {key for key in known if council.ready.get(key, -1) >= council.epoch - 1}
    newest: dict[bytes, Bar] = {}
    for one in sorted((one for one in council.bars if one.member in known), key=lambda one: one.age):
        newest[one.member] = one
    wanted = min(rules.least, len(known))
    found, lifted = ready - set(newest), set()
    waiting = [one.member for one in sorted(newest.values(), key=lambda one: one.age) if one.member in ready]
    for key in (*waiting, *(key for key in rules.floor_set if key in known)):
        if len(found) < wanted and key not in found:
            found.add(key)
            lifted.add(key)
    kept = tuple(one for one in council.bars if one.member not in lifted or one.cause is Cause.EQUIVOCATION)
    return frozenset(found), replace(council, bars=kept)


def next_council(
    council: Council,
    rules: CouncilRules,
    members: Sequence[Validator],
    scores: Mapping[bytes, int],
    ballots: Mapping[bytes, Sequence[bytes]],
) -> Council:
    """The council that `hold_election` gives."""
    return hold_election(council, rules, members, scores, ballots)[0]


def hold_election(
    council: Council,
    rules: CouncilRules,
    members: Sequence[Validator],
    scores: Mapping[bytes, int],
    ballots: Mapping[bytes, Sequence[bytes]],
) -> tuple[Council, Election]:
    """The election in an epoch's last block: the council of the next epoch, bars served and lifted, and the votes.

    `members`: all that may ever vote, each key once. `scores`: of members, in ppm; who has none has 0. Composite scores
    vote (markets 5.2) with nobody above 2/N of all votes. Every elected member weighs 1.
    """
    able, council = eligible(council, rules, members)
    names = {member.public_key: member.name for member in members}
    counted = {key: scores.get(key, 0) for key in sorted(names)}
    result = elect(counted, ballots, rules.seats, frozenset(names) - able, capped=True)
    served = tuple(
        Bar(one.member, one.cause, one.epoch, one.view, max(0, one.left - 1)) for one in council.bars if one.left != 1
    )
    elected = Council(
        epoch=council.epoch + 1,
        queue=tuple(Validator(names[key], key) for key in result.queue),
        previous=council.queue,
        bars=served,
        ready={key: epoch for key, epoch in sorted(council.ready.items()) if epoch >= council.epoch},
        reported=frozenset(place for place in council.reported if place[0] >= council.epoch),
    )
    return elected, result
