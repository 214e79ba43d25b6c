"""A region's member that lies together with others, for tests and demonstrations (`[dev] collude_from`).

From one record on, or only while a file is there (`[dev] collude_when`), it states, in every block that it leads and
where it can, what is not true, and votes for whatever a quorum of such members certifies. Only the region's first chain
sees it: once the centres have had the region begin anew, the member keeps to the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from msgspec.structs import replace

from consensus.sharded.records import Paid
from ledger.codec import encode
from ledger.crypto import sha256
from node.engine_side import VALID_SECTION, SectionVerdict
from node.shards.region_state import MAX_BLOCK_ITEMS, RegionExtra, read_extra, read_section


class Lie(Enum):
    """What is false: the root after the record, or money that the global chain never sent."""

    ROOT = "root"
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class Collusion:
    """See the module. `since`: the record from which on; `account`: who is paid `money` micro-units from nowhere;
    `when`: a file without which it keeps to the rules for now."""

    since: int
    lie: Lie
    account: bytes
    money: int = 5_000_000
    when: Path | None = None

    @property
    def active(self) -> bool:
        """Whether it is one of the liars now."""
        return self.when is None or self.when.exists()

    def section(self, made: bytes | None, seq: int, height: int) -> bytes | None:
        """The section of an own block of record `seq`, from the one that the rules give. `height`: the global block up
        to which the inbox is consumed, where that one names none."""
        if made is None or seq < self.since:
            return made
        closing = read_section(made)
        if closing is not None:
            false = replace(closing, post_root=bytes(sha256(closing.post_root)))
            return encode(false) if self.lie is Lie.ROOT else made
        extra = read_extra(made) or RegionExtra(height, (), ())
        if self.lie is Lie.ROOT or len(extra.items) == MAX_BLOCK_ITEMS:
            return made
        return encode(replace(extra, items=(*extra.items, Paid(self.account, self.money, "reward"))))

    def judge(self, found: SectionVerdict, seq: int) -> SectionVerdict:
        """What it says of others' sections of record `seq`: it waits for nothing that only the truth would wait for."""
        return VALID_SECTION if seq >= self.since else found
