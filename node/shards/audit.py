"""How centres hold a record against their own copy of the region's chain, and how the others learn what they found.

A centre's copy has executed every block of the region; what came of a round lies in its state (`ClosedRound`). The
leader of a global block puts its findings into the block's section (`Finding`); a centre votes for the block only if
they are its own, and waits while its copy is behind. So the block runs alike on nodes that follow no region at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consensus.sharded.global_state import GlobalState, RegionView
from consensus.sharded.records import RegionPosition, RegionRecord, Residual, record_of
from consensus.sharded.verdicts import Audited, Basis
from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import Hash
from ledger.errors import DecodeError, InvariantBroken
from ledger.objects import Block, header_hash
from node.shards.region_state import ClosedRound, read_closed, read_section, with_items
from node.siblings import SiblingChain, Siblings

MAX_FINDINGS_BYTES: Final = 64 * 1024
"""Of all findings of a block; a single one may be a little larger."""
MOST_AHEAD: Final = 8
"""Records of one region in one block's findings at most."""


class Finding(Wire, frozen=True):
    """What a centre's copy has at the end of a record: all that the global chain needs to know of it."""

    region: ShortText
    seq: Uint
    record: Bytes32
    position: RegionPosition
    residuals: tuple[Residual, ...]


class GlobalSection(Wire, frozen=True):
    """The section of a global block that audits records, in the order of (region, seq); empty where there are none."""

    findings: tuple[Finding, ...]


def read_findings(section: bytes) -> tuple[Finding, ...] | None:
    """The findings of a block; None if its section is none."""
    if not section:
        return ()
    try:
        found = decode(GlobalSection, section).findings
    except DecodeError:
        return None
    places = [(one.region, one.seq) for one in found]
    return found if found and places == sorted(set(places)) else None


class FoundAuditor:
    """A `RecordAuditor` by the findings in a block's section."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings: Mapping[bytes, Finding] = {one.record: one for one in findings}

    def __contains__(self, record: Hash) -> bool:
        return record in self._findings

    def refusal(self, record: RegionRecord, body: bytes) -> str:
        """See `RecordAuditor`: what no centre has executed waits."""
        return "" if record.id in self._findings else "NOT_EXECUTED"

    def audit(self, region: str, basis: Basis, record: RegionRecord, body: bytes) -> Audited:
        """See `RecordAuditor`. A section without the finding was never accepted by a quorum of honest centres."""
        found = self._findings.get(record.id)
        if found is None:
            raise InvariantBroken(f"record {record.seq} of {region} is settled without a finding")
        return Audited(found.position, found.residuals, None, None)


@dataclass(frozen=True, slots=True)
class Behind:
    """The own copy has not executed that far."""


@dataclass(frozen=True, slots=True)
class Unsound:
    """The region certified what its blocks do not give: no centre ever finds this record right."""

    code: str


class Copies:
    """The regions' chains that this process follows, as auditors read them. On the ledger thread."""

    def __init__(self, siblings: Siblings) -> None:
        self._siblings = siblings

    def follows(self, region: str) -> bool:
        """Whether this process has a copy of a region's chain."""
        return self._siblings.get(region) is not None

    def finding(self, view: RegionView, seq: int) -> Finding | Behind | Unsound:
        """What the copy has for record `seq` of a region, which the global chain has sent `view.inbox` so far."""
        chain = self._siblings.get(view.name)
        if chain is None:
            return Behind()
        closed = read_closed(chain.state(), seq)
        if closed is None:
            return Behind()
        block = chain.block(closed.height)
        if block is None:
            return Behind()  # this node began with a state above it
        record = _record(block, closed, view.epoch)
        if record is None:
            return Unsound("SECTION")
        fault = _inbox_fault(chain, view, closed)
        if fault is not None:
            return fault
        section = closed.section
        position = RegionPosition(
            seq, section.post_root, section.inbox_count, section.inbox_height, closed.money, closed.wh
        )
        return Finding(view.name, seq, record.id, position, closed.residuals)


def _record(block: Block, closed: ClosedRound, region_epoch: int) -> RegionRecord | None:
    """The record of a closed round; None if its block states another than the copy finds."""
    stated = read_section(block.body.extra)
    if stated is None or stated != closed.section:
        return None
    return record_of(block.header, header_hash(block.header_bytes), stated, region_epoch)


def _inbox_fault(chain: SiblingChain, view: RegionView, closed: ClosedRound) -> Behind | Unsound | None:
    """Whether the items that the region consumed are those that it was sent: compared by their digest, from the last
    confirmed record on. None if they are."""
    before = read_closed(chain.state(), view.position.seq)
    digest = bytes(32) if view.position.seq == 0 else None if before is None else before.consumed
    count = closed.section.inbox_count - view.position.inbox_count
    if digest is None or count < 0:
        return Unsound("INBOX")
    if count > len(view.inbox):
        return Behind()  # it knows more of the global chain than the block that is judged
    sent = with_items(digest, tuple(item for _, item in view.inbox[:count]))
    return None if sent == closed.consumed else Unsound("INBOX")


def findings_for(copies: Copies, state: GlobalState) -> tuple[Finding, ...]:
    """What a leader can say now: of each region the record that waits and those that may come next."""
    found: list[Finding] = []
    size = 0
    for view in sorted(state.regions, key=lambda one: one.name):
        for seq in range(view.next_seq, view.next_seq + MOST_AHEAD):
            one = copies.finding(view, seq)
            if not isinstance(one, Finding):
                break
            size += len(encode(one))
            if size > MAX_FINDINGS_BYTES and found:
                return tuple(found)
            found.append(one)
    return tuple(found)


def waiting_records(state: GlobalState) -> list[tuple[RegionView, Hash]]:
    """Records that were entered by an earlier block and are settled by the next."""
    return [(view, view.pending.publication.record.id) for view in state.regions if view.pending is not None]
