"""A region's member as agent: which of the region's records it publishes to the global chain, and when.

Every member can: a record is a function of the region's final chain. The first in the order of the lottery does so at
once, each later one a while after, if the global chain has not entered it meanwhile. Decides only: it reads what is
committed here of both chains, signs nothing, waits for nothing and sends nothing (`node.shards.courier` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from consensus.sharded.discipline import Audit
from consensus.sharded.records import MAX_PROOF_HEADERS, Publication, RegionRecord, publication_bytes, record_of
from consensus.sharded.turns import publish_delay_ms, publish_order
from ledger.certificates import Certificate
from ledger.chain_reader import ChainReader, ChainView
from ledger.objects import header_hash
from ledger.state import StateReader
from node.application import next_committee
from node.commit import leaders_of
from node.shards.global_store import read_member, read_region, read_round
from node.shards.region_side import RegionRules
from node.shards.region_state import ClosedRound, read_closed, read_section

AGENT_MS: Final = 1_000
"""T_agent: what each member leaves to those before it."""
AGAIN_MS: Final = 5_000
"""After this long without effect a member publishes the same again."""
DAY_MS: Final = 86_400_000
AT_ONCE: Final = 4
"""Records that a member has on their way at a time."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A publication without its signature."""

    record: RegionRecord
    headers: tuple[bytes, ...]
    section: bytes
    certificate: Certificate
    agent: bytes

    @property
    def statement(self) -> bytes:
        """What the agent signs."""
        return publication_bytes(self.record, self.headers, self.section, self.certificate)

    def signed(self, signature: bytes) -> Publication:
        """What is published."""
        return Publication(self.record, self.headers, self.section, self.certificate, self.agent, signature)


class Agent:
    """See the module. `key`: the member's voting key. `hasty`: seq from which on it publishes without waiting for those
    before it, 0 for never; `colludes`: it publishes what it does not find itself."""

    def __init__(self, rules: RegionRules, key: bytes, hasty: int = 0, *, colludes: bool = False) -> None:
        self._rules = rules
        self._region = rules.region
        self._key = key
        self.hasty = hasty
        self.colludes = colludes
        self._noticed: dict[int, int] = {}
        self._said: dict[int, int] = {}

    def due(self, own: ChainView, centres: StateReader, now_ms: int) -> list[Draft]:
        """What to publish now. `own`: the region's chain, `centres`: the state of the global chain, both as committed
        here; `now_ms`: any clock that goes on."""
        view = read_region(centres, self._region)
        if view is not None and view.epoch != self._rules.region_epoch:
            return []  # the region has begun anew, on another chain
        first = 1 if view is None else view.next_seq + (view.pending is not None)
        self._forget(first)
        delay = self._delay_ms(own.state, centres)
        found: list[Draft] = []
        waiting = view is not None and view.pending is not None
        if waiting and self._rules.audit is Audit.ASSIGNED:
            return []  # it would only wait in the centres' mempools
        for seq in range(first, first + AT_ONCE):
            closed = read_closed(own.state, seq)
            if closed is None:
                break
            waited = now_ms - self._noticed.setdefault(seq, now_ms) + (DAY_MS if 0 < self.hasty <= seq else 0)
            again = now_ms - self._said.get(seq, now_ms - AGAIN_MS) >= AGAIN_MS
            draft = self._draft(own.chain, closed) if delay is not None and waited >= delay and again else None
            if draft is not None:
                self._said[seq] = now_ms
                found.append(draft)
        return found

    @property
    def waits(self) -> bool:
        """Whether there is a record that the global chain has not entered yet, as far as this member knows."""
        return bool(self._noticed)

    def entered(self, centres: StateReader, record: RegionRecord) -> bool:
        """Whether the global chain has a record of this place already, or none will help any more."""
        view = read_region(centres, self._region)
        first = 1 if view is None else view.next_seq + (view.pending is not None)
        return record.seq < first or (view is not None and view.epoch != record.epoch)

    def _delay_ms(self, own: StateReader, centres: StateReader) -> int | None:
        """How long this member leaves a record to others; None if it is no member."""
        members = next_committee(own)
        order = [members.validators[turn].public_key for turn in leaders_of(own, members)]
        round_ = read_round(centres)
        parts = {key: read_member(centres, key) for key in order}
        barred = [key for key, one in parts.items() if one.removed or (one.bar is not None and one.bar >= round_)]
        return publish_delay_ms(publish_order(order, barred), self._key, AGENT_MS)

    def _draft(self, chain: ChainReader, closed: ClosedRound) -> Draft | None:
        """The record with its proof; None where the proof would be too long: another member has a shorter."""
        block = chain.block(closed.height)
        final_by = chain.final_by(closed.height)
        finality = None if final_by is None else chain.finality(final_by)
        if block is None or final_by is None or finality is None:
            return None
        if final_by - closed.height + 1 + len(finality.closing) > MAX_PROOF_HEADERS:
            return None
        between = [chain.header_bytes(height) for height in range(closed.height, final_by + 1)]
        headers = (*(raw for raw in between if raw is not None), *finality.closing)
        section = block.body.extra
        stated = read_section(section)
        if stated is None or (stated != closed.section and not self.colludes):
            return None  # more than F liars certified what this member's own execution does not give
        record = record_of(block.header, header_hash(block.header_bytes), stated, self._rules.region_epoch)
        return Draft(record, headers, section, finality.certificate, self._key)

    def _forget(self, first: int) -> None:
        """What is entered needs no memory."""
        for seen in (self._noticed, self._said):
            for seq in [seq for seq in seen if seq < first]:
                del seen[seq]
