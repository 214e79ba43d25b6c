"""What a validator's node tells the chain by itself: readiness, reports, evidence.

The engine hands over what members signed; here it becomes words for the `Speaker`. In `dpos` readiness is shown once
an epoch, as soon as the node stands on the epoch's first parent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from consensus.council import Cause
from consensus.council_reports import InvalidReport
from consensus.engine import EpochStart
from consensus.messages import Complaint
from contracts.library_sources import COMMITTEE, COUNCIL
from contracts.values import Value
from ledger.certificates import Vote
from ledger.codec import encode
from ledger.state import StateReader
from node.clock import Clock
from node.commit import Commits
from node.committee_side import conviction_key, signer_in
from node.council_side import read_council
from node.evidence_side import evidence_argument
from node.log import Logger
from node.speaker import AGAIN_S, Speaker, Voice, Word

RECENT_MS: Final = 120_000
"""Whose head is older is catching up: what it would say is out of date. An idle chain makes a block in a quarter of
this."""


class Reports(Protocol):
    """What a driver hands over."""

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """Members signed that a leader's block is invalid."""

    def equivocation(self, first: Vote, second: Vote) -> None:
        """A member signed two votes that exclude each other."""


class Unheard:
    """Of nodes that have no account to speak by, and of engines that take no reports."""

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`."""

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""


class Passed:
    """Of a chain whose offenders another chain judges: reports go `to` who speaks there, once that is open."""

    def __init__(self) -> None:
        self.to: Reports = Unheard()

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`."""
        self.to.invalid(complaints)

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""
        self.to.equivocation(first, second)


class CouncilReporter:
    """See the module; for engine `dpos`. `state` is the head's; `may_vote`: whether this node could take a seat."""

    def __init__(
        self,
        voice: Voice,
        state: StateReader,
        commits: Commits,
        clock: Clock,
        may_vote: Callable[[], bool],
        log: Logger,
    ) -> None:
        self._member = voice.member
        self._state = state
        self._commits = commits
        self._clock = clock
        self._may_vote = may_vote
        self._speaker = Speaker(voice, state, self._queue, log)
        self._shown = (0, float("-inf"))

    # --- what is to be said -------------------------------------------------------------------------------------------

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`."""
        place = (complaints[0].epoch, complaints[0].view)
        argument = encode(InvalidReport(complaints))
        self._speaker.say(
            Word(COUNCIL, "report_invalid", (argument,), lambda: place in read_council(self._state).reported)
        )

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""
        self._speaker.say(
            Word(COUNCIL, "evidence", (evidence_argument(first, second),), lambda: self._convicted(first))
        )

    def committed(self) -> None:
        """The head has moved: perhaps a new epoch."""
        self._speaker.wake()

    def _queue(self) -> list[bytes]:
        return [seat.public_key for seat in read_council(self._state).queue]

    def _convicted(self, vote: Vote) -> bool:
        council = read_council(self._state)
        members = council.committee(vote.epoch)
        if members is None:
            return True  # the epoch is over, nobody takes it any more
        culprit = members.validators[vote.signer].public_key
        return any(one.member == culprit and one.cause is Cause.EQUIVOCATION for one in council.bars)

    # --- saying it ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Speak, for ever."""
        await self._speaker.run(self._readiness)

    def _readiness(self) -> Word | None:
        """That this node stands on what the epoch stands on, once, and again if that was lost; None if it is known."""
        start, now = self._commits.epoch, asyncio.get_running_loop().time()
        said, at = self._shown
        head = self._commits.head[0]
        if not self._may_vote() or (head.height > 0 and self._clock.now() - head.time_ms > RECENT_MS):
            return None
        if (said == start.epoch and now - at < AGAIN_S) or self._ready(start.epoch):
            return None
        self._shown = (start.epoch, now)
        arguments: tuple[Value, ...] = (start.boundary.height, bytes(start.boundary_hash))
        return Word(COUNCIL, "ready", arguments, lambda: self._ready(start.epoch))

    def _ready(self, epoch: int) -> bool:
        return read_council(self._state).ready.get(self._member, -1) >= epoch


class CommitteeReporter:
    """See the module; for engine `bft`, whose contract `committee` takes evidence."""

    def __init__(self, voice: Voice, state: StateReader, epoch: Callable[[], EpochStart], log: Logger) -> None:
        self._state = state
        self._epoch = epoch
        self._speaker = Speaker(voice, state, self._queue, log)

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`. No leader of `bft` is barred: the log has it."""

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""
        argument = evidence_argument(first, second)
        self._speaker.say(Word(COMMITTEE, "evidence", (argument,), lambda: self._convicted(first)))

    def committed(self) -> None:
        """The head has moved; nothing is to be said of that."""

    async def run(self) -> None:
        """Speak, for ever."""
        await self._speaker.run(lambda: None)

    def _queue(self) -> list[bytes]:
        return [one.public_key for one in self._epoch().validators.validators]

    def _convicted(self, vote: Vote) -> bool:
        """Whether the chain knows, or would not hear of it any more."""
        culprit = signer_in(self._state, self._epoch().epoch, vote)
        return culprit is None or self._state.get(conviction_key(culprit)) is not None


Reporter: TypeAlias = CouncilReporter | CommitteeReporter
