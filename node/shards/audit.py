"""How centres hold a record against their own copy of the region's chain, and how the others learn what they found.

A centre's copy has executed every block of the region; what came of a round lies in its state (`ClosedRound`). The
leader of a global block puts its findings into the block's section (`Finding`); a centre votes for the block only if
they are its own, and waits while its copy is behind. So the block runs alike on nodes that follow no region at all.

Where a quorum of the region certified what its blocks do not give, the centre executes the record again
(`node.shards.recomputed`), and its finding says what is wrong and how it is corrected (ADR 0290).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from consensus.sharded.discipline import Audit
from consensus.sharded.global_state import GlobalState, RegionView
from consensus.sharded.records import (
    Correction,
    RegionPosition,
    RegionRecord,
    RegionSection,
    Residual,
    Wrong,
    record_of,
)
from consensus.sharded.verdicts import Audited, Basis
from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import ZERO_HASH, Hash, domain, hash_of
from ledger.errors import DecodeError, InvariantBroken
from ledger.genesis import Genesis
from ledger.objects import header_hash
from ledger.succession import succession_of
from node.shards.past_state import Replay
from node.shards.recomputed import Mail, recompute
from node.shards.region_state import ClosedRound, read_closed, read_section, with_items
from node.siblings import SiblingChain, Siblings

MAX_FINDINGS_BYTES: Final = 64 * 1024
"""Of all findings of a block; a single one may be a little larger."""
MOST_AHEAD: Final = 8
"""Records of one region in one block's findings at most."""
_CASE: Final = domain("region-corrected-finding")
_CASES_KEPT: Final = 16

Replays: TypeAlias = Callable[[str, Genesis], Replay]
"""By region and genesis of its chain: how its blocks are executed again, on the ledger thread."""


class Finding(Wire, frozen=True):
    """What a centre's copy has at the end of a record: all that the global chain needs to know of it. `correction`:
    None for a record that says the same; else position and residuals are those of the centres' own execution."""

    region: ShortText
    seq: Uint
    record: Bytes32
    position: RegionPosition
    residuals: tuple[Residual, ...]
    correction: Correction | None = None

    @property
    def wrong(self) -> Wrong | None:
        """How the record is wrong, if it is."""
        kind = None if self.correction is None else self.correction.kind
        return next((one for one in Wrong if one.label == kind), None)


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
    whole = all(one.correction is None or (one.correction.record == one.record and one.wrong) for one in found)
    return found if found and whole and places == sorted(set(places)) else None


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
        return Audited(found.position, found.residuals, found.wrong, found.correction)


@dataclass(frozen=True, slots=True)
class Behind:
    """The own copy has not executed that far."""


@dataclass(frozen=True, slots=True)
class NoRecord:
    """The block that closes the round states none of this place: nobody can publish one."""


class Copies:
    """The regions' chains that this process follows, as auditors read them. On the ledger thread. `corrected`: the last
    findings that correct a record, by what they were made from."""

    def __init__(self, siblings: Siblings, replays: Replays) -> None:
        self._siblings = siblings
        self._replays = replays
        self.corrected: dict[bytes, Finding] = {}
        self._replayed: dict[str, Replay] = {}

    def follows(self, region: str) -> bool:
        """Whether this process has a copy of a region's chain."""
        return self._siblings.get(region) is not None

    def record(self, view: RegionView, seq: int) -> RegionRecord | Behind | NoRecord:
        """The record that the region's certified chain makes of round `seq`, be it true or not."""
        chain = self._siblings.get(view.name)
        if chain is None or chain.genesis.chain_id != view.chain_id:
            return Behind()  # of another regional epoch
        closed = read_closed(chain.state(), seq)
        block = None if closed is None else chain.block(closed.height)
        if block is None:
            return Behind()  # or this node began with a state above it
        stated = read_section(block.body.extra)
        if stated is None or (stated.region, stated.seq) != (view.name, seq):
            return NoRecord()
        return record_of(block.header, header_hash(block.header_bytes), stated, view.epoch)

    def finding(self, view: RegionView, seq: int, known: int) -> Finding | Behind | NoRecord:
        """What the copy has for record `seq` of a region, which the global chain has sent `view.inbox` so far. `known`:
        height of the global block over whose state this is said; a record that waits is judged by what was known when
        it was entered."""
        record, chain = self.record(view, seq), self._siblings.get(view.name)
        if not isinstance(record, RegionRecord):
            return record
        closed = None if chain is None else read_closed(chain.state(), seq)
        if chain is None or closed is None:
            return Behind()
        before, succession = read_closed(chain.state(), seq - 1), succession_of(chain.genesis)
        if before is None and seq > 1 + (0 if succession is None else succession.base_seq):
            return Behind()  # the region was alone for so long that it is not kept any more
        begin = 0 if before is None else before.section.inbox_count
        if view.pending is not None and seq == view.next_seq:
            known = view.pending.height - 1
        sent = view.inbox[max(0, begin - view.position.inbox_count) :]
        mail = Mail([one for one in sent if one[0] <= known], known)
        differs = chain.differing(0 if before is None else before.height, closed.height - 1) is not None
        if differs or not _sound(record, before, closed, mail):
            return self._corrected_finding(chain, record, mail)
        own = closed.section
        position = RegionPosition(seq, own.post_root, own.inbox_count, own.inbox_height, closed.money, closed.wh)
        return Finding(view.name, seq, record.id, position, closed.residuals)

    def _corrected_finding(self, chain: SiblingChain, record: RegionRecord, mail: Mail) -> Finding:
        """Executed again, once for all blocks that speak of it."""
        key = hash_of(_CASE, encode((record.id, mail.known, [item for _, item in mail.items])))
        found = self.corrected.get(key)
        if found is None:
            with recompute(chain, self._replay(chain), record.seq, mail) as again:
                correction = again.correction(record.id)
                if correction is None:
                    raise InvariantBroken(f"record {record.seq} of {record.region} is wrong and nothing is wrong in it")
                found = Finding(record.region, record.seq, record.id, again.position, again.residuals, correction)
            self.corrected[key] = found
            while len(self.corrected) > _CASES_KEPT:
                del self.corrected[next(iter(self.corrected))]
        return found

    def _replay(self, chain: SiblingChain) -> Replay:
        known = self._replayed.get(chain.name)
        if known is None or known.rules.chain_id != chain.genesis.chain_id:
            known = self._replayed[chain.name] = self._replays(chain.name, chain.genesis)
        return known


def _sound(record: RegionRecord, before: ClosedRound | None, closed: ClosedRound, mail: Mail) -> bool:
    """Whether a record says what the copy has found, and the region consumed what it was sent, in its order, up to the
    height that it names. The items are compared by their digest, from the record before on."""
    own = closed.section
    count = own.inbox_count - (0 if before is None else before.section.inbox_count)
    if any(getattr(record, name) != getattr(own, name) for name in RegionSection.__struct_fields__):
        return False
    if count > len(mail.items) or own.inbox_height > mail.known:
        return False
    if mail.items[count:] and mail.items[count][0] <= own.inbox_height:
        return False
    digest = bytes(ZERO_HASH) if before is None else before.consumed
    return with_items(digest, tuple(item for _, item in mail.items[:count])) == closed.consumed


def findings_for(copies: Copies, state: GlobalState, audit: Audit, asked: Set[bytes]) -> tuple[Finding, ...]:
    """What a leader can say now of the records that are `asked` for: of each region the one that waits and those that
    the next block can enter, up to the first that is wrong, since all behind it are void. What has to wait longer is
    not looked at: it would be judged again then, by what is known then."""
    found: list[Finding] = []
    size = 0
    for view in sorted(state.regions, key=lambda one: one.name):
        for seq in range(view.next_seq, view.next_seq + _ahead(view, audit)):
            record = copies.record(view, seq)
            one = copies.finding(view, seq, state.height) if _named(record) in asked else Behind()
            if not isinstance(one, Finding):
                break
            size += len(encode(one))
            if size > MAX_FINDINGS_BYTES and found:
                return tuple(found)
            found.append(one)
            if one.correction is not None:
                break
    return tuple(found)


def _ahead(view: RegionView, audit: Audit) -> int:
    """Of how many records of a region the next block can speak."""
    match audit:
        case Audit.EAGER:
            return MOST_AHEAD
        case Audit.NEXT_ROUND:
            return 1 if view.pending is None else 2
        case Audit.ASSIGNED:
            return 1
        case _:
            assert_never(audit)


def _named(record: RegionRecord | Behind | NoRecord) -> bytes:
    return bytes(record.id) if isinstance(record, RegionRecord) else b""


def waiting_records(state: GlobalState) -> list[tuple[RegionView, Hash]]:
    """Records that were entered by an earlier block and are settled by the next."""
    return [(view, view.pending.publication.record.id) for view in state.regions if view.pending is not None]
