"""A node's processor in virtual time: one core, its work in four lanes, and what each kind of work has cost.

Costs are constants that the caller has measured (`CpuModel`, nanoseconds); nothing here reads a clock. The core does
one thing at a time: messages and votes first, then blocks, then what clients send, then what can wait. Long work is cut
into slices, as nodes do it, so that a vote waits for one slice at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from enum import Enum, IntEnum
from typing import Final

SLICE_NS: Final = 5_000_000
NS: Final = 1_000_000
"""Nanoseconds of a millisecond."""


@dataclass(frozen=True, slots=True)
class CpuModel:
    """Processor time of single operations in ns; `transaction_bytes`: size of a client's transaction.

    `verify_ns`, `sign_ns`: one Ed25519 signature. `decode_ns`: strict decoding and id of one. `execute_ns`: one
    order through a contract; `state_ns`: its part of the state tree and the roots; `clear_ns`: its part of a round's
    clearing; `commit_ns`: its part of the synced batch. `turn_ns`: one event through the core; `message_ns`: writing or
    reading a vote. `kib_ns`: reading and hashing a KiB of a body. `ticket_ns`: one nonce of a ticket.
    """

    verify_ns: int
    sign_ns: int
    decode_ns: int
    execute_ns: int
    state_ns: int
    clear_ns: int
    commit_ns: int
    turn_ns: int
    message_ns: int
    kib_ns: int
    ticket_ns: int
    transaction_bytes: int

    @property
    def ingress_ns(self) -> int:
        """A client's transaction on its way into a pool."""
        return self.decode_ns + self.verify_ns

    @property
    def run_ns(self) -> int:
        """A transaction in a block that is built or checked."""
        return self.execute_ns + self.state_ns

    @property
    def audit_ns(self) -> int:
        """A transaction that a centre checks and executes again."""
        return self.ingress_ns + self.run_ns + self.clear_ns

    def body_ns(self, size: int) -> int:
        """Reading and hashing so many bytes."""
        return self.kib_ns * size // 1024

    def without_execution(self) -> CpuModel:
        """The same node if contracts, state and clearing cost nothing."""
        return replace(self, execute_ns=0, state_ns=0, clear_ns=0)

    def without_verification(self) -> CpuModel:
        """The same node if signatures, of clients and of votes, cost nothing to check."""
        return replace(self, verify_ns=0)

    def as_dict(self) -> dict[str, int]:
        """Plain values for JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Lane(IntEnum):
    """What the core does first."""

    EVENTS = 0
    LEDGER = 1
    INGRESS = 2
    BACKGROUND = 3


class Purpose(Enum):
    """What a piece of work is for."""

    CONSENSUS = "consensus"
    VERIFICATION = "verification"
    EXECUTION = "execution"
    STORE = "store"
    RECORDS = "records"
    AUDIT = "audit"
    TICKETS = "tickets"


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work: `begin` is called when the core takes it and says what it costs in ns, `end` when it is done.
    `left`: ns to go, -1 before it has begun."""

    purpose: Purpose
    begin: Callable[[], int]
    end: Callable[[], None]
    left: int = -1
    done: bool = False


@dataclass(slots=True)
class Processor:
    """One core. `now`: virtual ms; `at(delay, action)`: schedules. `spans`: (from, to, purpose) in ns of the work whose
    purpose is in `watched`."""

    now: Callable[[], int]
    at: Callable[[int, Callable[[], None]], None]
    watched: frozenset[Purpose] = frozenset()
    busy: dict[Purpose, int] = field(default_factory=dict)
    spans: list[tuple[int, int, Purpose]] = field(default_factory=list)
    _lanes: tuple[deque[Job], ...] = field(default_factory=lambda: tuple(deque[Job]() for _ in Lane))
    _free_ns: int = 0
    _running: bool = False

    def put(self, lane: Lane, job: Job) -> None:
        """Queue a job at the end of its lane."""
        self._lanes[lane].append(job)
        if not self._running:
            self._running = True
            self._next()

    def _next(self) -> None:
        """Take the first job of the first lane that has one, for a slice."""
        lane = next((one for one in self._lanes if one), None)
        if lane is None:
            self._running = False
            return
        job = lane[0]
        if job.left < 0:
            job.left = job.begin()
        part = min(job.left, SLICE_NS)
        begun = max(self._free_ns, self.now() * NS)
        self._free_ns = begun + part
        job.left -= part
        self._account(job.purpose, begun, part)
        self.at(max(0, -(-self._free_ns // NS) - self.now()), lambda: self._after(lane, job))

    def _after(self, lane: deque[Job], job: Job) -> None:
        if job.left <= 0:
            lane.popleft()
            job.done = True
            job.end()
        self._next()

    def _account(self, purpose: Purpose, begun: int, part: int) -> None:
        self.busy[purpose] = self.busy.get(purpose, 0) + part
        if purpose not in self.watched or not part:
            return
        if self.spans and self.spans[-1][1:] == (begun, purpose):
            self.spans[-1] = (self.spans[-1][0], begun + part, purpose)
        else:
            self.spans.append((begun, begun + part, purpose))


def union_ns(spans: list[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    """The parts of [begin, end) that any of these spans covers, ascending and apart."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        first, last = max(first, begin), min(last, end)
        if first >= last:
            continue
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def length_ns(spans: list[tuple[int, int]]) -> int:
    """How long spans are that do not overlap."""
    return sum(last - first for first, last in spans)
