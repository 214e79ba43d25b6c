"""A sharded network in the simulator: each region and the centres run a chain, every chain is a `World` of its own.

All worlds share one virtual time: the next thing that happens in any of them happens next. A member's process runs its
region's chain and follows the global one by certified blocks that it asks centres for; a centre runs the global chain.
Where the global chain opens a regional epoch, the region begins anew on a chain of its own, in a new world.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from consensus.sharded.discipline import ShardRules
from consensus.sharded.following import Centres, Followed
from consensus.sharded.global_state import GlobalOutcome, GlobalState, NewMembers, Posted, RegionView, Submitted
from consensus.sharded.members import members_bytes
from consensus.sharded.records import InboxItem, RegionBody, record_of
from consensus.simulator.auditor import Violation
from consensus.simulator.centre_node import CentreNode, segments_of
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.generator import Generator
from consensus.simulator.global_application import entry_bytes, global_head
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.options import CENTRES, SeedOptions, region_sizes
from consensus.simulator.region_application import region_head
from consensus.simulator.region_liars import QUORUM_OF_ONE
from consensus.simulator.region_node import NOWHERE, RegionNode
from consensus.simulator.scheme import MockScheme, mock_sign
from consensus.simulator.shard_audit import ShardAuditor
from consensus.simulator.shard_liveness import quiet_phase
from consensus.simulator.shard_options import LOTTERY_BLOCKS, MANY_BLOCKS, chain_options, later_options, rules_of
from consensus.simulator.shard_worlds import ChainWorld, GlobalWorld, RegionStart, RegionWorld
from consensus.simulator.withdrawers import Withdrawers
from consensus.simulator.world import keys_of
from ledger.crypto import ZERO_HASH, Hash, SigningKey
from ledger.objects import transaction_id
from ledger.validators import Validator

FOLLOW_MS: Final = 250
MINE_MS: Final = 100


class ShardedWorld:
    """One run of all chains. `centres`: the global chain's world; `regions`: theirs, in their newest epochs; `past`:
    regions' chains that are over. `region_kind`, `centre_kind`: what they are made of; `lottery_blocks`: views of a
    region's epoch, one lottery each."""

    region_kind: type[RegionWorld] = RegionWorld
    centre_kind: type[GlobalWorld] = GlobalWorld
    lottery_blocks = LOTTERY_BLOCKS

    def __init__(self, options: SeedOptions, rules: ShardRules | None = None, sizes: Sequence[int] = ()) -> None:
        self.options = options
        self.chance = Generator(options.seed * 7_919 + 5)
        self.calm = False
        self.cut: set[str] = set()
        self.past: list[RegionWorld] = []
        members = enumerate(sizes or region_sizes(options.nodes))
        self.regions = [self.region_kind(self, self._chain(at + 1, n), at) for at, n in members]
        self.centres = self.centre_kind(self, self._chain(0, CENTRES), self.regions, rules or rules_of(options))
        self.first_ledgers = {region.name: region.first_ledger for region in self.regions}
        self.finals: list[GlobalOutcome] = [GlobalOutcome(self.centres.first_state)]
        self.state_roots = [Hash(self.centres.genesis.header.state_root)]
        self.trust = Centres("global", self.centres.committee(1), MockScheme("global"))
        self.checks = ShardAuditor(self)
        self.withdrawers = Withdrawers(self)
        self.resubmitted = 0

    def _chain(self, place: int, members: int) -> SeedOptions:
        return chain_options(self.options, place, members, self.lottery_blocks if place else MANY_BLOCKS)

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def worlds(self) -> list[ChainWorld]:
        """All chains, the global one first."""
        return [self.centres, *self.regions, *self.past]

    @property
    def now(self) -> int:
        """Virtual ms since the beginning."""
        return max(world.now for world in self.worlds)

    def step(self, until: int) -> bool:
        """Do the next thing of any chain at or before `until`; ties go to the global chain, then regions in order."""
        worlds = self.worlds
        at, place = min(((one.next_at(until), place) for place, one in enumerate(worlds)))
        for other in worlds:
            if other is not worlds[place]:
                other.now = max(other.now, min(at, until))
        return worlds[place].step(until)

    def begin(self) -> None:
        """Start all chains, what links them, and the faults."""
        for world in self.worlds:
            world.begin()
        for region in self.regions:
            self._link(region)
        length = self.options.seconds_ms
        if self.options.adversary == "region-partition":
            self.centres.at(length // 4, self.separate, self.regions[0].name)
            self.centres.at(length * 3 // 4, self.cut.clear)
        elif self.options.partition_ms:
            self.centres.at(self.chance.exponential(self.options.partition_ms), self.some_cut)
        if self.options.adversary == "region-loss":
            self.centres.at(length // 8, self.lose_half)
            self.centres.at(length * 5 // 8, self.replace_members)

    def _link(self, region: RegionWorld) -> None:
        """Members of a chain follow the centres, from genesis on if they are new, and search for tickets."""
        genesis = self.centres.genesis
        for node in region.nodes:
            if isinstance(node, RegionNode):
                if node.followed == NOWHERE:
                    node.followed = Followed(0, genesis.hash, self.state_roots[0])
                region.at(1 + self.chance.below(FOLLOW_MS), self.follow, region, node)
                region.at(1 + self.chance.below(MINE_MS), self.mine, region, node)

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

    def lose_half(self) -> None:
        """Machines of the first region are gone for good: too many for its quorum."""
        region = self.regions[0]
        for node in region.nodes[: len(region.nodes) - region.committee(1).quorum + 1]:
            if isinstance(node, RegionNode):
                region.stop(node)
                node.lost = True

    def replace_members(self) -> None:
        """A quorum of the centres gives the first region new members, with machines of their own."""
        view = self.finals[-1].state.regions[0]
        keys = keys_of(self.regions[0].options, f"{view.name} anew")
        members = tuple(Validator(f"v{key.hex()[:8]}", key) for key in keys)
        said = members_bytes(view.chain_id, view.name, view.epoch, members)
        signers = tuple(range(self.centres.committee(1).quorum))
        signatures = tuple(mock_sign(self.centres.committee(1).validators[at].public_key, said) for at in signers)
        self.tell_centres(entry_bytes(NewMembers(view.name, view.epoch, members, signers, signatures)))
        if not self.calm and len(self._signers(members)) != len(members):
            self.centres.at(500, self.replace_members)

    def quiet(self) -> None:
        """Faults end in all chains and between them."""
        self.calm = True
        self.cut.clear()
        for world in (self.centres, *self.regions):
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

    def follow(self, region: RegionWorld, node: RegionNode) -> None:
        """A member asks a centre for certified blocks, and publishes what is its turn."""
        if node.retired or node.lost:
            return
        region.at(FOLLOW_MS, self.follow, region, node)
        living = [centre for centre in self.centres.nodes if centre.alive]
        if not node.up or not living:
            return
        centre = self.chance.choose(living)
        if not self.lost(region.name):
            region.at(2 * self.delay(), self._answer, node, centre)
        node.publish_due()
        node.bring_evidence()

    def _answer(self, node: RegionNode, centre: LedgerSide) -> None:
        if centre.alive:
            known = node.known
            guided = centre.guide(known) if isinstance(centre, CentreNode) else segments_of(centre.chain, known)
            node.learn(guided)

    def mine(self, region: RegionWorld, node: RegionNode) -> None:
        """A member tries for a ticket."""
        if not node.retired and not node.lost:
            region.at(MINE_MS, self.mine, region, node)
            node.mine()

    def verify_followed(self, found: Followed) -> None:
        """What a member was led to is what the centres have."""
        if found.height >= len(self.state_roots) or self.state_roots[found.height] != found.state_root:
            self.violation("I8", f"a member follows another global block {found.height}")

    def known(self, height: int) -> GlobalState:
        """The global state at a final height, whose root a member has verified."""
        return self.finals[height].state

    def inbox(self, region: str, consumed: int, height: int) -> Sequence[InboxItem]:
        """What a region has to consume next, up to a global height."""
        return [item for posted, item in self.checks.inboxes[region][consumed:] if posted <= height]

    def publish(self, region: str, entry: Submitted) -> None:
        """A member pushes record and body to every centre."""
        self.tell_centres(entry_bytes(entry), region)

    def post(self, entry: Posted) -> None:
        """A user, or whoever says to be one, turns to the centres."""
        self.tell_centres(entry_bytes(entry))

    def tell_centres(self, raw: bytes, region: str = "") -> None:
        """Bring an entry to the centres; `region`: where it comes from."""
        for centre in self.centres.nodes:
            if not region or not self.lost(region):
                self.centres.at(self.delay(), centre.submit, raw, transaction_id(raw))

    def body(self, region: RegionWorld, block_hash: Hash) -> RegionBody:
        """The body of the record that a block closes."""
        return region.bodies[block_hash]

    # --- regional epochs ----------------------------------------------------------------------------------------------

    def _open_epochs(self, state: GlobalState) -> None:
        for place, view in enumerate(state.regions):
            if view.epoch != self.regions[place].start.epoch:
                self._begin_anew(place, view)

    def _begin_anew(self, place: int, view: RegionView) -> None:
        """A region's next chain. Its members begin when they have heard of it. What no confirmed record has dealt with
        is still owed to users: those that were told that it is final count on the members."""
        old = self.regions[place]
        keys = self._signers(view.validators.validators)
        ledger = self.centres.audits.ledgers[Hash(view.position.root)]
        at = (view.record_id, view.position.inbox_height, self.centres.now)
        start = RegionStart(view.chain_id, view.epoch, keys, ledger, *at)
        options = later_options(self._chain(place + 1 + 8 * view.epoch, len(keys)))
        new = self.region_kind(self, options, place, start)
        for node in new.nodes:
            before = next((one for one in old.nodes if one.key == node.key), None)
            if isinstance(node, RegionNode) and isinstance(before, RegionNode):
                node.followed, node.lost, node.evidence = before.followed, before.lost, before.evidence
        self.regions[place] = new
        self.past.append(old)
        done = self.checks.answered[view.name]
        unmet = set(old.waiting)
        new.submitted = dict(old.submitted)
        new.waiting = {name: raw for name, raw in old.submitted.items() if name not in done}
        new.loading, old.loading = old.loading, False
        old.waiting.clear()
        if self.calm:
            new.network.calm_down()
        new.begin()
        self._link(new)
        for name, raw in new.waiting.items():
            if name in unmet:
                new.at(1, new.offer, raw)

    def _signers(self, members: Sequence[Validator]) -> dict[bytes, SigningKey]:
        known = {key: one for world in self.worlds for key, one in world.own_keys().items()}
        known |= keys_of(self.regions[0].options, f"{self.regions[0].name} anew")
        return {member.public_key: known[member.public_key] for member in members if member.public_key in known}

    def resubmit(self, region: str, raws: Sequence[bytes]) -> None:
        """A member whose chain is over brings what became void to the next one."""
        new = next(one for one in self.regions if one.name == region)
        for raw in raws:
            if transaction_id(raw) in new.waiting and transaction_id(raw) not in new.offers:
                self.resubmitted += 1
                new.at(1, new.offer, raw)

    def colludes(self, region: str) -> bool:
        """Whether a quorum of a region lies in this run."""
        return region == self.regions[0].name and self.options.adversary in QUORUM_OF_ONE

    # --- what is checked ----------------------------------------------------------------------------------------------

    def violation(self, invariant: str, text: str) -> None:
        """Note a broken invariant of the network."""
        self.centres.auditor.violation(None, invariant, text)

    def is_honest(self, key: bytes) -> bool:
        """Whether a key is nowhere a liar's."""
        return all(world.is_honest_key(key) for world in self.worlds if world.has(key))

    def honest_root(self, region: str, view: RegionView) -> Hash | None:
        """What the region itself has after its last confirmed record; None if it promises nothing, or a new epoch has
        begun from there."""
        own = next(one for one in self.regions if one.name == region)
        begun = own.first_ledger.seq == view.position.seq
        return None if own.beyond or begun else own.roots.get(view.position.seq, ZERO_HASH)

    def region_committed(self, region: RegionWorld, node: LedgerSide, block: CommittedBlock) -> None:
        """A member has a final block."""
        head = region_head(node.application.head)
        if head.body is not None and head.section is not None:
            record = record_of(block.header, block.hash, head.section, region.start.epoch)
            self.checks.closed(record, head.body)
            region.bodies[block.hash] = head.body
            if isinstance(node, RegionNode):
                node.closings[head.ledger.seq] = block.header.height
        if not node.honest and not region.beyond:
            return
        if block.header.height > region.height:
            region.height, region.ledger = block.header.height, head.ledger
        if head.section is not None and head.body is not None:
            region.roots[head.ledger.seq] = head.ledger.root
            for receipt in head.body.receipts:
                region.waiting.pop(Hash(receipt.transaction), None)

    def global_committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """A centre has a final block; the first time, look at it closely. A liar's is certified as well, and members
        may hear of it first."""
        outcome = global_head(node.application.head).outcome
        if node.honest:
            self._attest(node, outcome.state)
        if block.header.height != len(self.finals):
            return
        self.finals.append(outcome)
        self.state_roots.append(Hash(block.header.state_root))
        self.checks.global_block(self.finals[-2], outcome)
        self._open_epochs(outcome.state)
        self.withdrawers.after(outcome.state)

    def quiet_phase(self) -> tuple[str, int]:
        """See `shard_liveness`; then balances are looked at once more."""
        found = quiet_phase(self)
        self.checks.balances()
        return found

    def _attest(self, node: LedgerSide, state: GlobalState) -> None:
        """A centre says what it owes after a block."""
        if isinstance(node, CentreNode):
            node.after(state)

    # --- the end ------------------------------------------------------------------------------------------------------

    def violations(self) -> tuple[Violation, ...]:
        """Of all chains."""
        return tuple(violation for world in self.worlds for violation in world.auditor.violations)

    def trace_hash(self) -> str:
        """Names everything that happened in all chains."""
        return hashlib.sha256("".join(world.trace_hash() for world in self.worlds).encode()).hexdigest()

    def least_height(self) -> int:
        """The final height of the chain that has come least far; a region's is that of all its chains together."""
        heights = {world.chain_id: max(map(_height, world.nodes)) for world in self.worlds}
        together = [
            sum(heights[one.chain_id] for one in (*self.past, *self.regions) if one.name == region.name)
            for region in self.regions
        ]
        return min([heights[self.centres.chain_id], *together])


def _height(node: LedgerSide) -> int:
    return node.chain[-1].header.height
