"""Who signed twice on a chain of the network is brought before the global chain, by whoever holds the proof: a member
of the region, or a centre, which follows every region and votes on the global chain itself.

The driver of a chain hands over two votes as on any chain (`node.reporter.Reports`), the global chain's blocks show two
records of one place (`node.shards.double_records`); they are said on the global chain
by the node's own account, in turn: the region's members first, then the centres, until it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from consensus.messages import Complaint
from consensus.sharded.evidence import accused_in
from consensus.sharded.global_state import Conflict, DoubleVote
from contracts.library_sources import SHARDS
from ledger.certificates import Vote
from ledger.codec import encode
from ledger.engine_settings import GLOBAL
from ledger.state import StateReader
from ledger.validators import ValidatorSet
from node.log import Logger
from node.shards.double_records import DoubleRecords
from node.shards.global_store import read_member, read_region
from node.speaker import Speaker, Voice, Word
from node.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Court:
    """Where accusations come from and go. `region`, `epoch`: whose chain, by the global chain's count (`GLOBAL`, 1: the
    centres' own); `seats`: the centres; `centres`: the global chain's state as committed here; `voice`: this node's
    account there, None if it has none; `speakers`: voting keys in turn; `doubles`: two records of one place, as blocks
    of the global chain show them, None at the accuser of a region's chain."""

    region: str
    epoch: int
    seats: ValidatorSet
    centres: StateReader
    voice: Voice | None
    speakers: tuple[bytes, ...]
    log: Logger
    doubles: DoubleRecords | None = None


class Accuser:
    """See the module; a `Reports` of one chain."""

    def __init__(self, court: Court) -> None:
        self._court = court
        voice = court.voice
        self._speaker = None if voice is None else Speaker(voice, court.centres, self._queue, court.log)

    def wake(self) -> None:
        """A chain of this process has committed: its blocks may have shown two records of one place."""
        for conflict, guilty in () if self._court.doubles is None else self._court.doubles.take():
            self._accuse("conflict", conflict, partial(self._records_settled, conflict, guilty))

    def start(self, tasks: Tasks) -> None:
        """Go to work."""
        if self._speaker is not None:
            tasks.spawn(self._speaker.run(lambda: None), name="accuser")

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        """See `Reports`. No leader of a region is barred for a block: the log has it."""

    def equivocation(self, first: Vote, second: Vote) -> None:
        """See `Reports`."""
        entry = DoubleVote(self._court.region, self._court.epoch, first, second)
        self._accuse("double_vote", entry, lambda: self._settled(entry))

    def _accuse(self, name: str, entry: Conflict | DoubleVote, known: Callable[[], bool]) -> None:
        raw = encode(entry)
        fix = "none needed" if self._speaker else "gridchain region evidence FILE, with the hex in a file"
        self._court.log.warning("evidence for the global chain", evidence=raw.hex(), fix=fix)
        if self._speaker is not None:
            self._speaker.say(Word(SHARDS, name, (raw,), known))

    def _queue(self) -> Sequence[bytes]:
        return self._court.speakers

    def _settled(self, entry: DoubleVote) -> bool:
        """Whether the global chain has removed the guilty, or hears no more of that epoch."""
        if entry.region == GLOBAL:
            return read_member(self._court.centres, self._court.seats.validators[entry.first.signer].public_key).removed
        view = read_region(self._court.centres, entry.region)
        if view is None:
            return False
        accused = accused_in(view, entry)
        return accused is None or read_member(self._court.centres, accused).removed

    def _records_settled(self, entry: Conflict, guilty: tuple[bytes, ...]) -> bool:
        """As above, for two records."""
        view = read_region(self._court.centres, entry.first.record.region)
        over = view is None or view.epoch > entry.first.record.epoch + 1
        return over or all(read_member(self._court.centres, one).removed for one in guilty)
