"""A member of a region in the simulator: follows the global chain by its certificates, searches tickets, publishes its
region's records, and moves to the region's next chain when the global chain says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consensus.engine import Accuse, Build, Check, Effect
from consensus.sharded.following import Followed, Segment, follow
from consensus.sharded.global_state import DoubleVote, GlobalState, RegionView, Submitted
from consensus.sharded.lottery import next_lottery
from consensus.sharded.records import Publication, RegionRecord, RegionSection, publication_bytes, record_of
from consensus.sharded.turns import Ticket, publish_delay_ms, publish_order, search_ticket
from consensus.simulator.application import ModelApplication
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.global_application import entry_bytes
from consensus.simulator.node import SimNode
from consensus.simulator.region_application import RegionApplication, region_head
from consensus.simulator.scheme import mock_sign
from ledger.certificates import Certificate
from ledger.codec import decode, encode
from ledger.crypto import ZERO_HASH, Hash
from ledger.objects import Body, header_hash

if TYPE_CHECKING:
    from consensus.simulator.shard_worlds import RegionWorld

AGENT_MS: Final = 600
AGAIN_MS: Final = 1_500
MOST_HEADERS: Final = 64
AT_ONCE: Final = 4
"""Records that a member has on their way at a time."""
NOWHERE: Final = Followed(0, ZERO_HASH, ZERO_HASH)
TRIES: Final = 4
"""Nonces that a member hashes at a time, on average."""


class RegionNode(SimNode):
    """`closings`: final heights that closed rounds, by record. `opened`: this member knows that the region's epoch has
    begun; `retired`: that it has ended; `lost`: its machine is gone for good. `refused`: codes of what guides told it
    wrongly. `evidence`: of double votes on this chain, by member, with the time when it was brought to the centres."""

    world: RegionWorld

    def __init__(self, world: RegionWorld, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        self.followed = NOWHERE
        super().__init__(world, index, key, honest, skew_ms)
        self.closings: dict[int, int] = {}
        self.noticed: dict[int, int] = {}
        self.said: dict[int, int] = {}
        self.heard: dict[tuple[int, bytes], Ticket] = {}
        self.searched: tuple[int, int] = (0, 0)
        self.refused: list[str] = []
        self.evidence: dict[bytes, tuple[DoubleVote, int]] = {}
        self.opened = world.start.epoch == 1
        self.retired = False
        self.lost = False

    @property
    def known(self) -> int:
        """The global height that this member has verified."""
        return self.followed.height

    @property
    def up(self) -> bool:
        """Whether the member's process runs, with this chain or before it."""
        return not self.lost and not self.retired and (self.alive or not self.opened)

    def start(self) -> None:
        """See `SimNode`; a chain that has not begun, or is over, is not run."""
        if self.opened and not self.retired and not self.lost:
            super().start()

    def new_application(self) -> ModelApplication:
        """See `LedgerSide`."""
        return self.world.new_application()

    def build(self, effect: Build) -> None:
        """See `LedgerSide`."""
        self._inform()
        super().build(effect)

    def check(self, effect: Check) -> None:
        """See `LedgerSide`."""
        self._inform()
        super().check(effect)

    def _inform(self) -> None:
        if isinstance(self.application, RegionApplication):
            self.application.height = self.known
            self.application.heard = tuple(self.heard.values())

    def take_synced(self, part: CommittedBlock) -> bool:
        """See `LedgerSide`. A quorum has certified the block, so it has seen the global height that the block names."""
        if isinstance(self.application, RegionApplication):
            self.application.height = None
        return super().take_synced(part)

    # --- the global chain ---------------------------------------------------------------------------------------------

    def learn(self, segments: tuple[Segment, ...]) -> None:
        """A guide's answer: each step is taken only if a quorum of the centres certified it."""
        if not self.up:
            return
        for segment in segments:
            found = follow(self.world.hub.trust, self.followed, segment)
            if not isinstance(found, Followed):
                self.refused.append(found)
                return
            self.followed = found
            self.world.hub.verify_followed(found)
        self._mind_epoch()

    def region_view(self) -> tuple[GlobalState, RegionView]:
        """What this member knows of its region's standing."""
        state = self.world.hub.known(self.known)
        return state, next(view for view in state.regions if view.name == self.world.name)

    def _mind_epoch(self) -> None:
        """Begin this chain, or leave it: what it held above the last confirmed record is sent to the next one."""
        _, view = self.region_view()
        if view.epoch > self.world.start.epoch:
            void = self.void_transactions(view)
            if self.alive:
                self.world.stop(self)
            self.retired = True
            self.world.hub.resubmit(self.world.name, void)
        elif view.epoch == self.world.start.epoch and not self.opened:
            self.opened = True
            self.start()

    def void_transactions(self, view: RegionView) -> list[bytes]:
        """Transactions of blocks that no confirmed record covers, and of the pool."""
        base = self.closings.get(view.position.seq, 0)
        found = [raw for block in self.chain[base + 1 :] for raw in decode(Body, block.block.body_bytes).transactions]
        return found + list(self.pool.values())

    # --- the lottery --------------------------------------------------------------------------------------------------

    def mine(self) -> None:
        """Try some nonces for the next epoch; how many in how long is modelled, what they give is the real rule."""
        rules, state = self.world.lottery, region_head(self.application.head).lottery
        if not self.alive or not rules.work or state.epoch == 0:
            return
        lottery = next_lottery(rules, state)
        if (lottery.epoch, self.key) in self.heard:
            return
        first = self.searched[1] if self.searched[0] == lottery.epoch else 0
        tries = self.world.chance.between(1, 2 * TRIES - 1)
        self.searched = (lottery.epoch, first + tries)
        ticket = search_ticket(lottery, self.key, first, tries)
        if ticket is not None:
            self.world.tell_ticket(self, ticket)

    def hear_ticket(self, ticket: Ticket) -> None:
        """Keep one of each member and epoch, of the newest two epochs heard of by the own chain."""
        current = region_head(self.application.head).lottery.epoch
        self.heard = {place: one for place, one in self.heard.items() if place[0] >= current}
        if current <= ticket.epoch <= current + 2:
            self.heard.setdefault((ticket.epoch, bytes(ticket.member)), ticket)

    # --- evidence -----------------------------------------------------------------------------------------------------

    def perform(self, effect: Effect) -> None:
        """See `SimNode`; who signed twice is for the centres."""
        if isinstance(effect, Accuse) and effect.first is not None and effect.second is not None:
            first, second = effect.first, effect.second
            member = self.world.committee(first.epoch).validators[first.signer].public_key
            entry = DoubleVote(self.world.name, self.world.start.epoch, first, second)
            self.evidence.setdefault(member, (entry, -AGAIN_MS))
        super().perform(effect)

    def bring_evidence(self) -> None:
        """Tell the centres, again and again, until the global chain is known to have it."""
        removed = self.region_view()[0].removed
        for member, (entry, said) in self.evidence.items():
            if self.alive and member not in removed and self.world.now - said >= AGAIN_MS:
                self.evidence[member] = (entry, self.world.now)
                self.world.hub.tell_centres(entry_bytes(entry), self.world.name)

    # --- publishing ---------------------------------------------------------------------------------------------------

    def publish_due(self) -> None:
        """Publish the next records that the global chain lacks, as far as this member knows, when it is its turn."""
        state, view = self.region_view()
        if view.epoch != self.world.start.epoch or not self.alive:
            return
        order = self.world.order_of(self)
        barred = {member for member in order if state.barred(member)}
        delay = self.patience(publish_delay_ms(publish_order(order, barred), self.key, AGENT_MS))
        first = view.next_seq + (view.pending is not None)
        for seq in range(first, first + AT_ONCE):
            if delay is not None and seq in self.closings:
                self._publish(seq, delay)

    def _publish(self, seq: int, delay: int) -> None:
        now = self.world.now
        waited = now - self.noticed.setdefault(seq, now)
        if waited < delay or now - self.said.get(seq, -AGAIN_MS) < AGAIN_MS:
            return
        entries = self.publications(seq)
        if entries:
            self.said[seq] = now
        for entry in entries:
            self.world.hub.publish(self.world.name, entry)

    def patience(self, delay: int | None) -> int | None:
        """How long this member waits for others; None for ever."""
        return delay

    def publications(self, seq: int) -> list[Submitted]:
        """What this member says about a record: the record with its proof; nothing while the proof is not there."""
        height = self.closings[seq]
        if height >= len(self.chain):
            return []
        proof = self.chain[height : height + MOST_HEADERS]
        last = next((at for at, block in enumerate(proof) if block.finalization is not None), None)
        if last is None:
            return []
        final = proof[last].finalization
        first = proof[0]
        section = decode(Body, first.block.body_bytes).extra
        headers = tuple(block.block.header_bytes for block in proof[: last + 1]) + proof[last].closing
        if final is None or header_hash(headers[-1]) != final.block_hash:
            return []
        record = record_of(first.header, first.hash, decode(RegionSection, section), self.world.start.epoch)
        body = encode(self.world.hub.body(self.world, Hash(first.hash)))
        return [Submitted(one, body) for one in self.signed(record, headers, section, final)]

    def signed(
        self, record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate
    ) -> list[Publication]:
        """Under this member's name."""
        said = publication_bytes(record, headers, section, proof)
        return [Publication(record, headers, section, proof, self.key, mock_sign(self.key, said))]
