"""A main centre in the simulator: guides members along the global chain, attests to records, governs regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consensus.sharded.admission import NO_REGION, fault, region_of
from consensus.sharded.discipline import Audit, Standing
from consensus.sharded.evidence import accused_in
from consensus.sharded.following import Segment
from consensus.sharded.global_chain import assigned_centres, attestation_bytes
from consensus.sharded.global_state import (
    Attestation,
    Conflict,
    DoubleVote,
    GlobalEntry,
    GlobalState,
    NewMembers,
    Submitted,
    Withdrawal,
)
from consensus.sharded.records import Publication
from consensus.sharded.verdicts import Basis
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.global_application import entry_bytes, global_head, read_entry
from consensus.simulator.node import SimNode
from consensus.simulator.scheme import mock_sign
from ledger.certificates import Certificate
from ledger.codec import encode
from ledger.crypto import Hash, sha256
from ledger.objects import decode_header, header_hash

if TYPE_CHECKING:
    from consensus.simulator.shard_worlds import GlobalWorld

POOL_OF_A_REGION: Final = 96
"""Entries about one region that wait at a centre, at most: a burst crowds out its own region only."""
MOST_BLOCKS: Final = 64


class CentreNode(SimNode):
    """`seen`: publications by (region, epoch, seq, agent), to find two of one agent that differ (W4). `early`:
    attestations to records that do not wait here (yet)."""

    world: GlobalWorld

    def __init__(self, world: GlobalWorld, index: int, key: bytes, honest: bool, skew_ms: int = 0) -> None:
        super().__init__(world, index, key, honest, skew_ms)
        self.seen: dict[tuple[str, int, int, bytes], Publication] = {}
        self.early: frozenset[Hash] = frozenset()
        self.turned_away = 0

    # --- what comes in ------------------------------------------------------------------------------------------------

    def submit(self, raw: bytes, transaction: Hash) -> None:
        """See `LedgerSide`: what is no entry, would do nothing, or is one too many about its region stays out."""
        entry = read_entry(raw)
        if entry is None or transaction in self.pool or not self.alive:
            return
        state = global_head(self.application.head).state
        name = region_of(state, entry)
        waiting = sum(self._about(state, other) == name for other in self.pool.values())
        if waiting >= POOL_OF_A_REGION or fault(self.world.context, state, entry) not in ("", NO_REGION):
            self.turned_away += 1
            return
        super().submit(raw, transaction)
        if isinstance(entry, Submitted):
            self._watch(entry.publication)

    def _about(self, state: GlobalState, raw: bytes) -> str:
        entry = read_entry(raw)
        return "" if entry is None else region_of(state, entry)

    def _watch(self, publication: Publication) -> None:
        record = publication.record
        place = (record.region, record.epoch, record.seq, bytes(publication.agent))
        first = self.seen.setdefault(place, publication)
        if first.record.id != record.id:
            self.world.hub.tell_centres(entry_bytes(Conflict(first, publication)))

    # --- after a block ------------------------------------------------------------------------------------------------

    def after(self, state: GlobalState) -> None:
        """A block is final: forget what it has overtaken, say what this centre owes."""
        self._forget(state)
        for view in state.regions:
            self.seen = {p: one for p, one in self.seen.items() if p[0] != view.name or p[2] >= view.next_seq}
        if self.world.context.rules.audit is Audit.ASSIGNED:
            self._attest(state)
        if self.world.takes_over:
            self._take_over(state)

    def _forget(self, state: GlobalState) -> None:
        """An attestation to a record that does not wait may be early by a block, not by two."""
        read = {name: read_entry(raw) for name, raw in self.pool.items()}
        nowhere = (name for name, one in read.items() if isinstance(one, Attestation) and not region_of(state, one))
        unknown = frozenset(nowhere)
        gone = unknown & self.early | {name for name, entry in read.items() if _over(state, entry)}
        self.early = unknown - gone
        self.pool = {name: raw for name, raw in self.pool.items() if name not in gone}

    def _attest(self, state: GlobalState) -> None:
        """An assigned centre executes the record, and says what it found."""
        for view in state.regions:
            pending = view.pending
            if pending is None or self.key not in assigned_centres(self.world.context, pending.publication.record.id):
                continue
            record = pending.publication.record
            basis = Basis(view.position, view.inbox, view.record_id, pending.height - 1)
            found = self.world.context.auditor.audit(view.name, basis, record, pending.body)
            root = found.position.root if found.wrong is not None else record.post_root
            if found.wrong is not None and root == record.post_root:
                root = sha256(root)  # an objection that is not about the root
            signature = mock_sign(self.key, attestation_bytes(record.id, root))
            self.world.hub.tell_centres(entry_bytes(Attestation(record.id, root, self.key, signature)))

    def _take_over(self, state: GlobalState) -> None:
        """Where a region is silent for D2 rounds, its operators agree that the centres run it."""
        for view in state.regions:
            suspended = view.standing(self.world.context.rules, state.round) is Standing.SUSPENDED
            if suspended and view.validators.hash != self.world.context.centres.hash:
                self.world.hub.tell_centres(entry_bytes(NewMembers(view.name, view.epoch, (), (), ())))

    # --- guiding ------------------------------------------------------------------------------------------------------

    def guide(self, height: int) -> tuple[Segment, ...]:
        """Certified steps from the block after `height` on."""
        return segments_of(self.chain, height)


class LyingGuide(CentreNode):
    """Tells members of blocks that there are not: under a certificate of something else, or a forged one."""

    def guide(self, height: int) -> tuple[Segment, ...]:
        """See `CentreNode`."""
        true = super().guide(height)
        return tuple(self._false(segment) for segment in true[:1])

    def _false(self, segment: Segment) -> Segment:
        header = decode_header(segment.headers[-1])
        fields = {name: getattr(header, name) for name in header.__struct_fields__}
        raw = encode(type(header)(**{**fields, "state_root": sha256(segment.headers[-1])}))
        final = segment.finalization
        bare = (final.kind, final.epoch, final.view)
        forged = Certificate(*bare, header_hash(raw), final.signers, tuple(bytes(64) for _ in final.signers))
        lies = (
            Segment((*segment.headers[:-1], raw), final),
            Segment((*segment.headers[:-1], raw), forged),
            Segment(segment.headers[1:] or (raw, raw), final),
            Segment((b"x",), final),
        )
        return lies[self.world.now % len(lies)]


def segments_of(chain: list[CommittedBlock], height: int) -> tuple[Segment, ...]:
    """Steps of a chain from the block after `height` on, each to its next finalization."""
    found: list[Segment] = []
    headers: list[bytes] = []
    for block in chain[height + 1 : height + 1 + MOST_BLOCKS]:
        headers.append(block.block.header_bytes)
        if block.finalization is not None:
            found.append(Segment((*headers, *block.closing), block.finalization))
            headers = []
    return tuple(found)


def _over(state: GlobalState, entry: GlobalEntry | None) -> bool:
    """Whether an entry can do nothing any more, by its place alone."""
    if isinstance(entry, Submitted):
        view = state.region(entry.publication.record.region)
        record = entry.publication.record
        old = view is None or record.epoch < view.epoch or record.seq < view.next_seq
        return old or (view is not None and not state.may_publish(view, entry.publication.agent))
    if isinstance(entry, Conflict):
        return entry.first.agent in state.removed or entry.first.agent != entry.second.agent
    if isinstance(entry, NewMembers):
        view = state.region(entry.region)
        return view is None or entry.epoch < view.epoch
    if isinstance(entry, DoubleVote):
        view = state.region(entry.region)
        accused = None if view is None else accused_in(view, entry)
        return accused is None or accused in state.removed
    if isinstance(entry, Withdrawal):
        return entry.number < state.withdrawals.get(entry.member, 0)
    return entry is None
