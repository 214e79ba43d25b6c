"""What is checked of a sharded network beside each chain's own invariants, at every global block, and at the end.

I14 money and energy are conserved, I15 locks end once and inboxes are consumed once and in order, I8 what is confirmed
is the region's own state, I9 nobody honest is punished. A corrected record must lead, by its entries, from what the
region claimed to what the centres found; at the end every balance is what running all confirmed records from genesis
gives, whoever claimed what on the way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from consensus.sharded.accounts import with_lines
from consensus.sharded.global_state import GlobalOutcome, RegionView
from consensus.sharded.records import Asset, Entry, Filled, Forced, InboxItem, Paid, RegionBody, RegionRecord, Released
from consensus.sharded.region import execute_record
from consensus.sharded.verdicts import apply_entries
from consensus.simulator.shard_worlds import verify
from ledger.crypto import Hash
from ledger.objects import transaction_id

if TYPE_CHECKING:
    from consensus.simulator.sharded import ShardedWorld


class ShardAuditor:
    """`inboxes`: all items ever sent to each region, with their heights; `records`: confirmed ones with bodies, in
    order; `published`: all that regions have certified, by id; `marks`: for each confirmed one, the height that did
    it and the items consumed until then; `answered`: transactions that confirmed records have dealt with."""

    def __init__(self, hub: ShardedWorld) -> None:
        self.hub = hub
        names = [region.name for region in hub.regions]
        first = hub.centres.first_state
        self.inboxes: dict[str, list[tuple[int, InboxItem]]] = {name: [] for name in names}
        self.records: dict[str, list[tuple[RegionRecord, RegionBody]]] = {name: [] for name in names}
        self.marks: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
        self.answered: dict[str, set[Hash]] = {name: set() for name in names}
        self.published: dict[Hash, tuple[RegionRecord, RegionBody]] = {}
        self.totals = {asset: first.conserved(asset) for asset in Asset}
        self.open: set[bytes] = set()
        self.ended: set[bytes] = set()
        self.withdrawn: set[tuple[bytes, int]] = set()

    def closed(self, record: RegionRecord, body: RegionBody) -> None:
        """A region has certified the block that makes a record."""
        self.published.setdefault(record.id, (record, body))

    def global_block(self, before: GlobalOutcome, outcome: GlobalOutcome) -> None:
        """A global block is final."""
        for region, item in outcome.items:
            self.inboxes[region].append((outcome.state.height, item))
        self._conserved(outcome)
        self._locks(outcome)
        for old, view in zip(before.state.regions, outcome.state.regions, strict=True):
            if view.position.seq > old.position.seq:
                self._confirmed(old, view, outcome)
        self._punished(outcome)
        self._withdrawn(outcome)

    def _conserved(self, outcome: GlobalOutcome) -> None:
        for asset in Asset:
            found = outcome.state.conserved(asset)
            if found != self.totals[asset]:
                self.hub.violation("I14", f"{asset.name}: {found}, not {self.totals[asset]}")

    def _locks(self, outcome: GlobalOutcome) -> None:
        for lock in outcome.opened:
            if lock.residual.lock_id in self.open | self.ended:
                self.hub.violation("I15", "a lock was opened twice")
            self.open.add(lock.residual.lock_id)
        for _, item in outcome.items:
            if isinstance(item, Released) or (isinstance(item, Filled) and item.ended):
                if item.lock_id not in self.open:
                    self.hub.violation("I15", "a lock ended that was not open")
                self.open.discard(item.lock_id)
                self.ended.add(item.lock_id)
        if self.open != set(outcome.state.locks):
            self.hub.violation("I15", "open locks differ from those of the state")
        for view in outcome.state.regions:
            if view.position.inbox_count + len(view.inbox) != len(self.inboxes[view.name]):
                self.hub.violation("I15", f"inbox of {view.name} lost or repeated an item")

    def _confirmed(self, old: RegionView, view: RegionView, outcome: GlobalOutcome) -> None:
        """Records of one region that a block has confirmed: one, or more with eager audits."""
        name = view.name
        chosen = [self.published[one] for one in outcome.confirmed if self.published[one][0].region == name]
        for record, body in chosen:
            self.records[name].append((record, body))
            self.answered[name] |= {transaction_id(raw) for block in body.blocks for raw in block.transactions}
        consumed = self.inboxes[name][old.position.inbox_count : view.position.inbox_count]
        self.answered[name] |= {transaction_id(item.transaction) for _, item in consumed if isinstance(item, Forced)}
        self.marks[name] += [(outcome.state.height, view.position.inbox_count)] * len(chosen)
        wrong = {Hash(correction.record): correction for correction in outcome.corrections}
        last, body = chosen[-1]
        if last.id in wrong:
            if len(chosen) == 1:  # the state between two records of one block is nowhere kept
                self._entries(old, view, body, wrong[last.id].entries)
        elif self.hub.honest_root(name, view) not in (None, Hash(view.position.root)):
            self.hub.violation("I8", f"record {view.position.seq} of {name} is not what the region has")

    def _entries(self, old: RegionView, view: RegionView, body: RegionBody, entries: tuple[Entry, ...]) -> None:
        """What users saw, and the entries that are booked on it, give the centres' own lines."""
        ledgers = self.hub.centres.audits.ledgers
        claimed = with_lines(ledgers[Hash(old.position.root)].lines, body.changed)
        if apply_entries(claimed, entries) != dict(ledgers[Hash(view.position.root)].lines):
            self.hub.violation("I14", f"the entries of a correction of {view.name} do not lead to its lines")

    def _punished(self, outcome: GlobalOutcome) -> None:
        for correction in outcome.corrections:
            name = self.published[Hash(correction.record)][0].region
            if not self.hub.colludes(name):
                self.hub.violation("I9", f"a record of {name} corrected, whose members are honest")
        for fined in outcome.fined:
            if self.hub.is_honest(fined.member):
                self.hub.violation("I9", f"an honest member of {fined.region} fined for {fined.offence}")

    def _withdrawn(self, outcome: GlobalOutcome) -> None:
        """Each withdrawal counts once, and what it took is what an inbox got."""
        for one in outcome.withdrawn:
            if (one.member, one.number) in self.withdrawn:
                self.hub.violation("I15", f"withdrawal {one.number} of a member counted twice")
            self.withdrawn.add((one.member, one.number))
        taken = sorted((one.region, one.account, one.money) for one in outcome.withdrawn)
        paid = sorted((name, item.account, item.money) for name, item in outcome.items if isinstance(item, Paid))
        if taken != paid or any(one.money == 0 for one in outcome.withdrawn):
            self.hub.violation("I15", "what was withdrawn is not what was paid")

    def balances(self) -> None:
        """At the end: run every confirmed record from genesis on, by what its blocks and the global chain say alone."""
        for view in self.hub.finals[-1].state.regions:
            ledger = self.hub.first_ledgers[view.name]
            for record, body in self.records[view.name]:
                items = [item for height, item in self.inboxes[view.name] if height <= record.inbox_height]
                done = execute_record(view.name, ledger, items[ledger.inbox_count :], body.blocks, verify)
                ledger = replace(ledger, seq=ledger.seq + 1) if done is None else done.ledger
            if ledger.root != view.position.root:
                self.hub.violation("I14", f"balances of {view.name} are not those of its confirmed records")
