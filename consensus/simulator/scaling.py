"""Time to finality of a burst of orders: regions of a few members against one region of all (consensus B.3).

Both sides are sharded networks with the same four centres, the same rules, the same links and nodes with processors;
one has three regions of four, say, the other one region of twelve. The burst comes at once; it is final when the global
block that enters its last record is final at every centre. Members stand at as many sites as there are shards: links
inside a site are short, all others, those of the centres too, are long. Links have a delay and no bound on bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from consensus.sharded.discipline import ShardRules
from consensus.sharded.global_state import Submitted
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.global_application import global_head, read_entry
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.options import SeedOptions
from consensus.simulator.processor import NS, Purpose, length_ns, union_ns
from consensus.simulator.region_node import RegionNode
from consensus.simulator.shard_worlds import RegionWorld
from consensus.simulator.timed_nodes import TimedCentre
from consensus.simulator.timed_worlds import BurstOptions, TimedCentres, TimedHub, TimedRegion
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.errors import GridchainError
from ledger.objects import Body

SETTLING_MS: Final = 2_000
LIMIT_MS: Final = 60_000
EPOCH_BLOCKS: Final = 64


class NotFinal(GridchainError):
    """A burst that did not become final in the time that a run has, or a run that broke an invariant."""

    code = "NOT_FINAL"


@dataclass(frozen=True, slots=True)
class BurstReport:
    """What a burst took, ms. `finality_ms` is `verification_ms` + `execution_ms` + `votes_ms` + `global_ms`: of the
    region that was last, each moment until its record's block was final counts for execution if a member executed, else
    for verification if a member checked clients' signatures, else for votes (links, votes, syncs, the round's end);
    what follows is the global round. `own_ms`: until the last order was final on its own chain. `tickets_ms`: processor
    time of a member's search; it orders the next epoch and delays nothing. `audit_ms`: processor time of a centre for
    audits, `audit_queue_ms` the longest queue of them, `audit_late_ms` by how much the last audit ended after the burst
    was final."""

    finality_ms: int
    verification_ms: float
    execution_ms: float
    votes_ms: float
    global_ms: int
    own_ms: int
    tickets_ms: float
    audit_ms: float
    audit_queue_ms: float
    audit_late_ms: int
    blocks: int
    records: int
    nullified: int


class ScalingWorld(TimedHub):
    """All chains of one run, and what became of its burst."""

    region_kind = TimedRegion
    centre_kind = TimedCentres
    lottery_blocks = EPOCH_BLOCKS

    def __init__(self, burst: BurstOptions) -> None:
        self.burst = burst
        self.record_bodies = {}
        nodes = burst.shards * burst.members
        sizes = (nodes,) if burst.merged else (burst.members,) * burst.shards
        options = SeedOptions(
            burst.seed,
            engine="sharded",
            nodes=nodes + 4,
            seconds_ms=LIMIT_MS,
            delta_ms=burst.delta_ms,
            interval_ms=burst.interval_ms,
            delay_ms=burst.far_ms,
            jitter_ms=burst.far_ms // 10,
        )
        super().__init__(options, ShardRules(audit=burst.audit), sizes)
        drawn = self.chance.below(burst.round_ms)
        self.begun = SETTLING_MS + (drawn if burst.phase_ms < 0 else burst.phase_ms)
        self.owed: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.closed: dict[tuple[str, int], int] = {}
        self.heard: dict[int, list[int]] = {}
        self.entered: list[tuple[str, int, int]] = []

    @property
    def timed_regions(self) -> list[TimedRegion]:
        """The regions' worlds."""
        return [region for region in self.regions if isinstance(region, TimedRegion)]

    @property
    def timed_centres(self) -> list[TimedCentre]:
        """The centres."""
        return self.centres.centres if isinstance(self.centres, TimedCentres) else []

    # --- the burst ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """See `ShardedWorld`; nobody sends anything before the burst."""
        for region in self.regions:
            region.loading = False
        super().begin()
        self.centres.at(self.begun, self._bring)

    def _bring(self) -> None:
        for at, region in enumerate(self.timed_regions):
            share = self.burst.transactions // len(self.regions) + (at < self.burst.transactions % len(self.regions))
            self.owed[region.name] = share
            region.bring(share)

    def run(self) -> BurstReport:
        """Until the burst is final at every centre. Raise `NotFinal` if that takes too long."""
        self.begin()
        while not self._final() or self._auditing():
            if not self.step(LIMIT_MS) or self.violations():
                raise NotFinal(
                    "a burst did not become final",
                    expected=f"{self.burst.transactions} orders within {LIMIT_MS} ms, no violation",
                    found=self.violations() or self.owed,
                )
        return self._report()

    def _final(self) -> bool:
        if not self.owed or any(self.owed.values()):
            return False
        return len(self.heard[max(height for _, _, height in self.entered)]) == len(self.centres.nodes)

    def _auditing(self) -> bool:
        return any(centre.waiting_ns > 0 for centre in self.timed_centres)

    # --- between the chains -------------------------------------------------------------------------------------------

    def delay(self) -> int:
        """See `ShardedWorld`."""
        return self.burst.far_ms + self.chance.exponential(self.burst.far_ms // 10)

    def publish(self, region: str, entry: Submitted) -> None:
        """See `ShardedWorld`; the body goes beside the record."""
        self.record_bodies[Hash(entry.publication.record.body_root)] = entry.body
        super().publish(region, Submitted(entry.publication))

    def region_committed(self, region: RegionWorld, node: LedgerSide, block: CommittedBlock) -> None:
        """See `ShardedWorld`; whose turn it is publishes at once."""
        super().region_committed(region, node, block)
        own = decode(Body, block.block.body_bytes).transactions
        if own and self.owed:
            self.own[region.name] = self.now
        if isinstance(node, RegionNode):
            for seq, height in node.closings.items():
                if height == block.header.height:
                    self.closed.setdefault((region.name, seq), self.now)
            region.at(0, node.publish_due)

    def global_committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `ShardedWorld`; members are told at once."""
        height = block.header.height
        news = height == len(self.finals)
        super().global_committed(node, block)
        self.heard.setdefault(height, []).append(self.now)
        if not news:
            return
        self._note_entered(global_head(node.application.head).outcome.entered, block)
        for region in self.timed_regions:
            for member in region.members:
                region.at(self.delay(), member.hear_centres, height)

    def _note_entered(self, names: Collection[Hash], block: CommittedBlock) -> None:
        """Count the burst's orders in records that a block entered."""
        left = set(names)
        for raw in decode(Body, block.block.body_bytes).transactions:
            entry = read_entry(raw) if left else None
            record = entry.publication.record if isinstance(entry, Submitted) else None
            if record is not None and record.id in left:
                left.discard(record.id)
                self._count(record.region, record.seq, record.n_tx, block.header.height)

    def _count(self, region: str, seq: int, count: int, height: int) -> None:
        if count and self.owed:
            self.owed[region] -= count
            self.entered.append((region, seq, height))

    # --- what is reported ---------------------------------------------------------------------------------------------

    def _report(self) -> BurstReport:
        name, seq, height = max(self.entered, key=lambda one: (one[2], self.closed[one[0], one[1]]))
        last = max(self.heard[height])
        region = next(one for one in self.timed_regions if one.name == name)
        closed = self.closed[name, seq]
        verification, execution = self._parts(region, closed)
        members = [member for one in self.timed_regions for member in one.members]
        audits = [centre.processor.busy.get(Purpose.AUDIT, 0) / NS for centre in self.timed_centres]
        audited = [at for centre in self.timed_centres for at in centre.audited.values()]
        return BurstReport(
            finality_ms=last - self.begun,
            verification_ms=verification / NS,
            execution_ms=execution / NS,
            votes_ms=closed - self.begun - (verification + execution) / NS,
            global_ms=last - closed,
            own_ms=max(self.own.values()) - self.begun,
            tickets_ms=sum(one.processor.busy.get(Purpose.TICKETS, 0) for one in members) / len(members) / NS,
            audit_ms=sum(audits) / len(audits),
            audit_queue_ms=max(centre.most_waiting_ns for centre in self.timed_centres) / NS,
            audit_late_ms=max(0, max(audited, default=0) - last),
            blocks=sum(max(node.chain[-1].header.height for node in one.nodes) for one in self.regions),
            records=len(self.entered),
            nullified=sum(len(world.auditor.nullified) for world in self.worlds),
        )

    def _parts(self, region: TimedRegion, closed: int) -> tuple[int, int]:
        """Of the time until a region's last record was closed, ns: (verification, execution). See `BurstReport`."""
        begin, end = self.begun * NS, closed * NS
        of: dict[Purpose, list[tuple[int, int]]] = {Purpose.VERIFICATION: [], Purpose.EXECUTION: []}
        for member in region.members:
            for first, last, purpose in member.processor.spans:
                of[purpose].append((first, last))
        execution = length_ns(union_ns(of[Purpose.EXECUTION], begin, end))
        both = length_ns(union_ns(of[Purpose.EXECUTION] + of[Purpose.VERIFICATION], begin, end))
        return both - execution, execution


def run_burst(options: BurstOptions) -> BurstReport:
    """One run. Pure: the same options give the same report."""
    return ScalingWorld(options).run()
