"""The `dpos` engine: composite scores elect each epoch's council, whose queue leads, one turn a view (consensus B.4).

The core does the rest. An epoch ends with its first block of a view not below the number of seats, so every elected
member has had its turn. R7 is off: who is silent loses a turn, which the headers show, and is barred for it. The
engine gathers what members complain of; more than F complaints about one block become a report for the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from consensus.council_reports import complaints_needed
from consensus.engine import Broadcast, Effect, Event, Millis, Received, ReportInvalid
from consensus.messages import Complaint, ComplaintReason
from consensus.parameters import EngineParameters
from consensus.scheme import Scheme
from consensus.simplex.engine import SimplexEngine
from ledger.objects import Header

MAX_COMPLAINED_VIEWS: Final = 64
"""Views of which complaints are kept."""


@dataclass(frozen=True, slots=True)
class DposPolicy:
    """An epoch has at least `seats` views."""

    seats: int
    fast_skip: bool = False

    def is_boundary(self, header: Header) -> bool:
        """See `Policy`: the first block with view >= N. On it only closing blocks may follow."""
        return not header.closing and header.view >= self.seats


class DposEngine(SimplexEngine):
    """Simplex with an elected council; the leader order is the order of the committee."""

    __slots__ = ("_complaints", "_reported")

    def __init__(
        self, parameters: EngineParameters, own_key: bytes | None, chain_id: str, scheme: Scheme, seats: int
    ) -> None:
        super().__init__(parameters, own_key, chain_id, scheme, DposPolicy(seats))
        self._complaints: dict[tuple[int, int], dict[int, Complaint]] = {}
        self._reported: dict[tuple[int, int], None] = {}

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """See `Engine`."""
        effects = super().handle(event, now)
        if isinstance(event, Received) and isinstance(event.message, Complaint):
            known = self._keeps(event.message)
            report = self._gather(event.message)
            if event.peer is not None and self.state.relaying and not known and self._keeps(event.message):
                effects.append(Broadcast(event.message))  # for members that are not linked with its signer
            if report is not None:
                effects.append(report)
        return effects

    def _keeps(self, complaint: Complaint) -> bool:
        return complaint.signer in self._complaints.get((complaint.epoch, complaint.view), {})

    def _gather(self, complaint: Complaint) -> ReportInvalid | None:
        """Keep a complaint of the current epoch, one per (signer, view); a report once enough agree."""
        state = self.state
        place = (complaint.epoch, complaint.view)
        near = state.final_view < complaint.view <= state.view + 1 or complaint.view in state.views
        if complaint.reason is not ComplaintReason.INVALID or complaint.epoch != state.epoch.epoch or not near:
            return None
        found = self._complaints.setdefault(place, {})
        committee = state.epoch.validators
        if place in self._reported or complaint.signer in found:
            return None
        if not state.scheme.verify_complaint(complaint, committee):
            return None
        found[complaint.signer] = complaint
        _keep_newest(self._complaints)
        agreeing = [one for _, one in sorted(found.items()) if one.block_hash == complaint.block_hash]
        if committee.weight_of([one.signer for one in agreeing]) < complaints_needed(committee):
            return None
        self._reported[place] = None
        _keep_newest(self._reported)
        return ReportInvalid(tuple(agreeing))


def _keep_newest(places: dict[tuple[int, int], dict[int, Complaint]] | dict[tuple[int, int], None]) -> None:
    while len(places) > MAX_COMPLAINED_VIEWS:
        del places[next(iter(places))]
