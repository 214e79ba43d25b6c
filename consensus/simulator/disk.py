"""A model of what survives a crash: the write-ahead log and the block store.

A batch of records is durable once its sync has ended; at a crash a prefix of what was not yet synced may survive, the
rest is lost. The store's batch of a commit is one synced write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from consensus.engine import StoredBlock, WalRecovery
from consensus.messages import Complaint, Proposal
from ledger.certificates import Certificate, Vote
from ledger.crypto import Hash
from ledger.objects import Header, decode_header


@dataclass(frozen=True, slots=True)
class Floor:
    """Nothing may be signed at or below it."""

    epoch: int
    view: int


Entry: TypeAlias = Vote | Proposal | Complaint | Certificate | StoredBlock | Floor


@dataclass(slots=True)
class Log:
    """The log: `durable` survives everything, `volatile` only as far as luck goes."""

    durable: list[Entry] = field(default_factory=list)
    volatile: list[Entry] = field(default_factory=list)
    held: bool = False

    def append(self, entries: list[Entry]) -> None:
        """Write without syncing."""
        self.volatile.extend(entries)

    def sync(self, count: int) -> None:
        """The first `count` volatile entries are durable now."""
        self.durable.extend(self.volatile[:count])
        del self.volatile[:count]

    def crash(self, survivors: int) -> None:
        """Power is gone; `survivors` unsynced entries made it."""
        self.sync(min(survivors, len(self.volatile)))
        self.volatile.clear()

    def trim(self, epoch: int, view: int) -> None:
        """Write the floor, then forget what it covers."""
        floor = Floor(epoch, view)
        self.durable = [floor, *(e for e in self.durable if not isinstance(e, Floor) and place(e) > (epoch, view))]

    @property
    def floor(self) -> tuple[int, int]:
        """The highest durable floor."""
        return max(((e.epoch, e.view) for e in self.durable if isinstance(e, Floor)), default=(0, 0))

    def recovery(self) -> WalRecovery:
        """What a new life is told."""
        return WalRecovery(
            votes=tuple(e for e in self.durable if isinstance(e, Vote)),
            proposals=tuple(e for e in self.durable if isinstance(e, Proposal)),
            certificates=tuple(e for e in self.durable if isinstance(e, Certificate)),
            blocks=tuple(e for e in self.durable if isinstance(e, StoredBlock)),
            floor=self.floor,
            held=self.held,
            complaints=tuple(e for e in self.durable if isinstance(e, Complaint)),
        )


def place(entry: Entry) -> tuple[int, int]:
    """(epoch, view) of an entry."""
    if isinstance(entry, StoredBlock):
        header = decode_header(entry.header_bytes)
        return header.epoch, header.view
    if isinstance(entry, Proposal):
        header = decode_header(entry.header)
        return header.epoch, header.view
    return entry.epoch, entry.view


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """One block of the chain. `finalization` is None if a later block's proves it; `closing` are the headers under
    it."""

    hash: Hash
    header: Header
    block: StoredBlock
    finalization: Certificate | None
    closing: tuple[bytes, ...] = ()
