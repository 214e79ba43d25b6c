"""A sharded network in the simulator: each region and the centres run a chain, every chain is a `World` of its own.

All worlds share one virtual time: the next thing that happens in any of them happens next. A member's process runs its
region's chain and follows the global one by certified blocks that it asks centres for; a centre runs the global chain.
Checked beside each chain's own invariants: I14 and I15 at every global block, that a confirmed record is the region's
own state, and that nobody honest is punished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from consensus.sharded.discipline import Audit, ShardRules, Standing
from consensus.sharded.global_chain import assigned_centres, attestation_bytes
from consensus.sharded.global_state import Attestation, GlobalOutcome, GlobalState, Submitted
from consensus.sharded.records import Asset, Filled, InboxItem, RegionBody, Released
from consensus.simulator.auditor import Violation
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.generator import Generator
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.options import SHARD_ADVERSARIES, SeedOptions, region_sizes
from consensus.simulator.region_node import RegionNode
from consensus.simulator.scheme import mock_sign
from consensus.simulator.shard_applications import entry_bytes, global_head, region_head
from consensus.simulator.shard_worlds import ChainWorld, GlobalWorld, RegionWorld
from ledger.crypto import Hash
from ledger.objects import transaction_id

FOLLOW_MS: Final = 250
NEW_BLOCKS: Final = 10
NEW_RECORDS: Final = 3


class ShardedWorld:
    """One run of all chains. `centres`: the global chain's world; `regions`: theirs. `region_kind`, `centre_kind`: what
    they are made of."""

    region_kind: type[RegionWorld] = RegionWorld
    centre_kind: type[GlobalWorld] = GlobalWorld

    def __init__(self, options: SeedOptions, rules: ShardRules | None = None, sizes: Sequence[int] = ()) -> None:
        self.options = options
        self.chance = Generator(options.seed * 7_919 + 5)
        audit = Audit.ASSIGNED if options.adversary == "silent-centre" else Audit.EAGER
        rules = rules or ShardRules(audit=audit, assigned_rounds=1)
        members = enumerate(sizes or region_sizes(options.nodes))
        self.regions = [self.region_kind(self, chain_options(options, at + 1, n), at) for at, n in members]
        self.centres = self.centre_kind(self, chain_options(options, 0, 4), self.regions, rules)
        self.worlds: list[ChainWorld] = [self.centres, *self.regions]
        self.finals: list[GlobalOutcome] = [GlobalOutcome(self.centres.first_state)]
        self.inboxes: dict[str, list[tuple[int, InboxItem]]] = {region.name: [] for region in self.regions}
        self.totals = {asset: self.centres.first_state.conserved(asset) for asset in Asset}
        self.open: set[bytes] = set()
        self.ended: set[bytes] = set()
        self.cut: set[str] = set()
        self.calm = False
        self.published = 0

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Virtual ms since the beginning."""
        return max(world.now for world in self.worlds)

    def step(self, until: int) -> bool:
        """Do the next thing of any chain at or before `until`; ties go to the global chain, then regions in order."""
        at, world = min(((one.next_at(until), place) for place, one in enumerate(self.worlds)))
        for other in self.worlds:
            if other is not self.worlds[world]:
                other.now = max(other.now, min(at, until))
        return self.worlds[world].step(until)

    def begin(self) -> None:
        """Start all chains, what links them, and the faults."""
        for world in self.worlds:
            world.begin()
        for region in self.regions:
            for node in region.nodes:
                region.at(1 + self.chance.below(FOLLOW_MS), self.follow, region, node)
        if self.options.adversary == "region-partition":
            self.centres.at(self.options.seconds_ms // 4, self.separate, self.regions[0].name)
            self.centres.at(self.options.seconds_ms * 3 // 4, self.cut.clear)
        elif self.options.partition_ms:
            self.centres.at(self.chance.exponential(self.options.partition_ms), self.some_cut)

    def separate(self, region: str) -> None:
        """Cut a region from the centres."""
        if not self.calm:
            self.cut.add(region)

    def some_cut(self) -> None:
        """Cut some region for a while, then again."""
        if not self.calm:
            self.separate(self.chance.choose(self.regions).name)
            length = self.chance.exponential(4 * self.options.partition_ms)
            self.centres.at(length, self.cut.clear)
            self.centres.at(length + 1 + self.chance.exponential(self.options.partition_ms), self.some_cut)

    def quiet(self) -> None:
        """Faults end in all chains and between them."""
        self.calm = True
        self.cut.clear()
        for world in self.worlds:
            world.quiet()

    # --- between the chains -------------------------------------------------------------------------------------------

    def lost(self, region: str) -> bool:
        """Whether a message between a region and the centres does not arrive."""
        if region in self.cut:
            return True
        return not self.calm and self.options.drop_ppm > 0 and self.chance.chance(self.options.drop_ppm)

    def delay(self) -> int:
        """Of such a message, ms."""
        return 1 + self.options.delay_ms + (0 if self.calm else self.chance.exponential(self.options.jitter_ms))

    def follow(self, region: RegionWorld, node: LedgerSide) -> None:
        """A member asks a centre for certified blocks, and publishes what is its turn."""
        region.at(FOLLOW_MS, self.follow, region, node)
        living = [centre for centre in self.centres.nodes if centre.alive]
        if not node.alive or not living:
            return
        centre = self.chance.choose(living)
        if not self.lost(region.name):
            region.at(2 * self.delay(), region.learn, node, centre.chain[-1].header.height)
        if isinstance(node, RegionNode):
            node.publish_due()

    def known(self, height: int) -> GlobalState:
        """The global state at a final height; certified, so whoever tells it tells the same (I1, I8)."""
        return self.finals[min(height, len(self.finals) - 1)].state

    def inbox(self, region: str, consumed: int, height: int) -> Sequence[InboxItem]:
        """What a region has to consume next, up to a global height."""
        return [item for posted, item in self.inboxes[region][consumed:] if posted <= height]

    def publish(self, region: str, entry: Submitted) -> None:
        """A member pushes record and body to every centre."""
        self.published += 1
        self.tell_centres(entry_bytes(entry), region)

    def tell_centres(self, raw: bytes, region: str = "") -> None:
        """Bring an entry to the centres; `region`: where it comes from."""
        for centre in self.centres.nodes:
            if not region or not self.lost(region):
                self.centres.at(self.delay(), centre.submit, raw, transaction_id(raw))

    # --- what is checked ----------------------------------------------------------------------------------------------

    def violation(self, invariant: str, text: str) -> None:
        """Note a broken invariant of the network."""
        self.centres.auditor.violation(None, invariant, text)

    def region_committed(self, region: RegionWorld, node: LedgerSide, block: CommittedBlock) -> None:
        """A member has a final block."""
        head = region_head(node.application.head)
        if head.body is not None and isinstance(node, RegionNode):
            node.closings[head.ledger.seq] = block.header.height
            region.bodies[block.hash] = head.body
        if not node.honest:
            return
        if block.header.height > region.height:
            region.height, region.ledger = block.header.height, head.ledger
        if head.section is not None:
            region.roots[head.ledger.seq] = head.ledger.root

    def body(self, region: RegionWorld, block_hash: Hash) -> RegionBody:
        """The body of the record that a block closes."""
        return region.bodies[block_hash]

    def global_committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """A centre has a final block; the first time, look at it closely."""
        outcome = global_head(node.application.head).outcome
        if not node.honest:
            return
        self._attest(node, outcome.state)
        if block.header.height != len(self.finals):
            return
        self.finals.append(outcome)
        for region, item in outcome.items:
            self.inboxes[region].append((block.header.height, item))
        self._conserved(outcome)
        self._locks(outcome)
        for view in outcome.state.regions:
            own = next(region for region in self.regions if region.name == view.name)
            if view.position.seq and own.roots.get(view.position.seq) != view.position.root:
                self.violation("I8", f"record {view.position.seq} of {view.name} is not what the region has")
        if outcome.corrections:
            self.violation("I9", f"{len(outcome.corrections)} records of honest regions corrected")
        for fined in outcome.fined:
            if any(world.is_honest_key(fined.member) for world in self.regions if world.has(fined.member)):
                self.violation("I9", f"an honest member of {fined.region} fined for {fined.offence}")

    def _conserved(self, outcome: GlobalOutcome) -> None:
        for asset in Asset:
            found = outcome.state.conserved(asset)
            if found != self.totals[asset]:
                self.violation("I14", f"{asset.name}: {found}, not {self.totals[asset]}")

    def _locks(self, outcome: GlobalOutcome) -> None:
        for lock in outcome.opened:
            if lock.residual.lock_id in self.open | self.ended:
                self.violation("I15", "a lock was opened twice")
            self.open.add(lock.residual.lock_id)
        for _, item in outcome.items:
            if isinstance(item, Released) or (isinstance(item, Filled) and item.ended):
                if item.lock_id not in self.open:
                    self.violation("I15", "a lock ended that was not open")
                self.open.discard(item.lock_id)
                self.ended.add(item.lock_id)
        if self.open != set(outcome.state.locks):
            self.violation("I15", "open locks differ from those of the state")
        for view in outcome.state.regions:
            if view.position.inbox_count + len(view.inbox) != len(self.inboxes[view.name]):
                self.violation("I15", f"inbox of {view.name} lost or repeated an item")

    def _attest(self, node: LedgerSide, state: GlobalState) -> None:
        """An assigned centre says what it found, unless it is the silent one."""
        if self.centres.context.rules.audit is not Audit.ASSIGNED:
            return
        for view in state.regions:
            record = view.pending.publication.record if view.pending is not None else None
            if record is None or node.key not in assigned_centres(self.centres.context, record.id):
                continue
            own = next(region for region in self.regions if region.name == view.name)
            root = own.roots.get(record.seq, record.post_root)
            signature = mock_sign(node.key, attestation_bytes(record.id, root))
            self.tell_centres(entry_bytes(Attestation(record.id, root, node.key, signature)))

    # --- the end ------------------------------------------------------------------------------------------------------

    def violations(self) -> tuple[Violation, ...]:
        """Of all chains."""
        return tuple(violation for world in self.worlds for violation in world.auditor.violations)

    def trace_hash(self) -> str:
        """Names everything that happened in all chains."""
        return hashlib.sha256("".join(world.trace_hash() for world in self.worlds).encode()).hexdigest()

    def least_height(self) -> int:
        """The final height of the chain that has come least far."""
        return min(max(node.chain[-1].header.height for node in world.nodes) for world in self.worlds)

    def quiet_phase(self) -> tuple[str, int]:
        """After the faults every chain has ten new blocks at every faultless node, every region three new records
        confirmed and is in good standing, and every transaction is final; within ten rounds and ten slow views."""
        self.quiet()
        people = [(world, node, _height(node)) for world in self.worlds for node in world.faultless()]
        before = {view.name: view.position.seq for view in self.finals[-1].state.regions}
        deltas = [node.core.state.delta() for world in self.worlds for node in world.faultless() if node.core]
        slow = max([*deltas, self.options.delta_ms])
        end = self.now + 10 * (self.centres.parameters.min_block_interval_ms + 3 * slow) + 10 * self.centres.round_ms
        missing = "everything"
        while missing:
            if not self.step(end):
                return f"stall: {missing}", min(_height(node) - height for _, node, height in people)
            slowest = min(_height(node) - height for _, node, height in people)
            missing = f"{slowest} new blocks in the quiet phase" if slowest < NEW_BLOCKS else self._behind(before)
        return "", min(_height(node) - height for _, node, height in people)

    def _behind(self, before: dict[str, int]) -> str:
        """What regions still owe."""
        state = self.finals[-1].state
        for view in state.regions:
            gained = view.position.seq - before[view.name]
            if gained < NEW_RECORDS:
                return f"{gained} new records of {view.name}"
            if view.standing(self.centres.context.rules, state.round) is not Standing.CURRENT:
                return f"{view.name} is not in good standing"
        for region in self.regions:
            region.loading = False
        waiting = sum(len(region.waiting) for region in self.regions)
        return f"{waiting} transactions are not in" if waiting else ""


def _height(node: LedgerSide) -> int:
    return node.chain[-1].header.height


def chain_options(options: SeedOptions, place: int, members: int) -> SeedOptions:
    """The run of one chain of the network: the same faults, another seed."""
    shard = options.adversary in SHARD_ADVERSARIES
    return replace(
        options,
        seed=options.seed * 64 + place,
        engine="bft",
        nodes=members,
        epoch_blocks=1_000_000,
        committees=1,
        weighted=False,
        real_crypto=False,
        due_every_ms=0,
        adversary="" if shard else options.adversary,
        byzantine=0 if shard else options.byzantine,
        idle=place == 0,
    )
