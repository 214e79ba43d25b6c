"""The global state while one block runs, and what it has done so far."""

from __future__ import annotations

from dataclasses import replace

from consensus.sharded.discipline import accuracy_after
from consensus.sharded.global_state import (
    Fined,
    GlobalContext,
    GlobalOutcome,
    GlobalState,
    Lock,
    RegionView,
    Withdrawn,
)
from consensus.sharded.records import Correction, InboxItem
from ledger.crypto import Hash
from ledger.errors import InvariantBroken
from ledger.succession import RegionEpoch


class Work:
    """See the module. `state` is replaced, never changed."""

    def __init__(self, context: GlobalContext, state: GlobalState) -> None:
        self.context = context
        self.state = state
        self.entered: list[Hash] = []
        self.confirmed: list[Hash] = []
        self.corrections: list[Correction] = []
        self.epochs: list[RegionEpoch] = []
        self.fined: list[Fined] = []
        self.refused: list[str] = []
        self.items: list[tuple[str, InboxItem]] = []
        self.opened: list[Lock] = []
        self.withdrawn: list[Withdrawn] = []
        self.guilty: dict[bytes, str] = {}
        """Who was removed by evidence in this block, in its order, and for what."""

    def view(self, region: str) -> RegionView:
        """A region that exists."""
        found = self.state.region(region)
        if found is None:
            raise InvariantBroken(f"no region {region}")
        return found

    def put(self, view: RegionView) -> None:
        """Replace a region."""
        regions = tuple(view if one.name == view.name else one for one in self.state.regions)
        self.state = replace(self.state, regions=regions)

    def send(self, region: str, item: InboxItem) -> None:
        """Put an item at the end of a region's inbox."""
        view = self.view(region)
        self.put(replace(view, inbox=(*view.inbox, (self.state.height, item))))
        self.items.append((region, item))

    def judged(self, member: bytes, right: bool) -> None:
        """A member's accuracy after one judgement."""
        score = accuracy_after(self.state.accuracy_of(member), right)
        self.state = replace(self.state, accuracy={**self.state.accuracy, member: score})

    def refuse(self, code: str) -> None:
        """Note why an entry did nothing."""
        if code:
            self.refused.append(code)

    def outcome(self) -> GlobalOutcome:
        """The block is done."""
        return GlobalOutcome(
            self.state,
            tuple(self.entered),
            tuple(self.confirmed),
            tuple(self.corrections),
            tuple(self.epochs),
            tuple(self.fined),
            tuple(self.refused),
            tuple(self.items),
            tuple(self.opened),
            tuple(self.withdrawn),
        )
