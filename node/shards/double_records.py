"""Two different records of one place: centres notice them where both come by, and bring them before the global chain.

One alone may look right: of two certified records of a region only one enters, and the other is refused unread as late.
Each process that executes the global chain keeps the publications that its blocks or their leaders have shown, and
holds each new one against them (W4 of consensus B.3).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from consensus.sharded.evidence import guilty_of_records, identity_in
from consensus.sharded.global_state import Conflict, GlobalContext, GlobalState
from consensus.sharded.records import Publication
from consensus.sharded.verdicts import Refused, judge

PLACES: Final = 64
"""So many records, the newest, are remembered: a publication is a few KB."""
EACH: Final = 4
"""Publications of one record's place: by an agent or two, and what contradicts them."""


class DoubleRecords:
    """See the module. `look` runs on the ledger thread, `take` on the loop."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, int, int], list[Publication]] = OrderedDict()
        self._found: list[tuple[Conflict, tuple[bytes, ...]]] = []

    def look(self, context: GlobalContext, state: GlobalState, publication: Publication) -> None:
        """Remember what its agent has really signed; what it contradicts is found. Forged ones are not remembered."""
        record = publication.record
        known = self._seen.get((record.region, record.epoch, record.seq), [])
        if any((one.record.id, one.agent) == (record.id, publication.agent) for one in known) or len(known) >= EACH:
            return
        view = state.region(record.region)
        identity = None if view is None else identity_in(context, state, view, record.epoch)
        if identity is None or isinstance(judge(identity, publication), Refused):
            return
        for other in known:
            guilty = guilty_of_records(context, state, Conflict(other, publication))
            if isinstance(guilty, tuple):
                self._found.append((Conflict(other, publication), guilty))
        self._seen[(record.region, record.epoch, record.seq)] = [*known, publication]
        while len(self._seen) > PLACES:
            self._seen.popitem(last=False)

    def take(self) -> list[tuple[Conflict, tuple[bytes, ...]]]:
        """What was found since, each with the keys of who signed both."""
        found, self._found = self._found, []
        return found
