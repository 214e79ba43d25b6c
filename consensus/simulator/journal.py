"""A run written down: who did and knew what, when; every message with its way. Recording changes nothing in the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from consensus.engine import (
    Accuse,
    Checked,
    Commit,
    Effect,
    Event,
    Halt,
    LiftHold,
    LogCertificate,
    Publish,
    Received,
    Record,
    SetHold,
    SignComplaint,
    SignProposal,
    SignVote,
    Verdict,
)
from consensus.messages import Message, Proposal
from consensus.simulator.auditor import AgreementAuditor, Auditor
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.ledger_side import LedgerSide
from consensus.simulator.node import SimNode, index_of
from consensus.simulator.options import PUBLISHED, SeedOptions
from consensus.simulator.simulation import SeedReport, run_seed
from consensus.simulator.world import World
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.objects import decode_header

BEFORE_MS: Final = 1_200
AFTER_MS: Final = 60
STALL_BEFORE_MS: Final = 300
"""The failing part: what came shortly before the first failure, and what came at once after it."""

EVERYBODY: Final = -1
_KINDS: Final = {VoteKind.NOTARIZE: "notarize", VoteKind.NULLIFY: "nullify", VoteKind.FINALIZE: "finalize"}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that a node did or learned. `kind`: vote, propose, certificate, decide, commit, crash, restart, refuse,
    accuse, hold, network, violation. `label`: a few characters for the picture."""

    at_ms: int
    node: int
    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """A message on its way. `kind`: proposal, notarize, nullify, finalize, certificate, other."""

    sent_ms: int
    arrives_ms: int
    sender: int
    receiver: int
    kind: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The failing part of a run (the beginning of a good one), in order of time. `knowledge`: what each node knew when
    the first invariant broke, or at the end; `down`: (node, from, to) of lives that had ended."""

    report: SeedReport
    begin_ms: int
    end_ms: int
    nodes: int
    moments: tuple[Moment, ...]
    arrows: tuple[Arrow, ...]
    knowledge: tuple[str, ...]
    down: tuple[tuple[int, int, int], ...]

    def lines(self) -> list[str]:
        """The timeline for people."""
        return [
            f"{moment.at_ms / 1_000:9.3f} s  {'network' if moment.node < 0 else f'node {moment.node}':8} {moment.text}"
            for moment in self.moments
        ]


class _Watching(Auditor):
    """The auditor, taking notes."""

    def __init__(self, world: RecordedWorld) -> None:
        super().__init__(world)
        self.notes = world

    def violation(self, node: LedgerSide | None, invariant: str, text: str) -> None:
        """See `Auditor`."""
        before = len(self.violations)
        super().violation(node, invariant, text)
        if len(self.violations) == before:
            return
        index = EVERYBODY if node is None else node.index
        self.notes.note(index, "violation", f"BROKEN {invariant}: {text}", invariant)
        if not self.notes.knowledge:
            self.notes.knowledge = self.notes.what_is_known()

    def after_turn(self, node: SimNode, event: Event, effects: list[Effect]) -> None:
        """See `Auditor`."""
        source = "by counting votes"
        if isinstance(event, Received) and event.peer is not None:
            source = f"from node {index_of(event.peer)}" if not isinstance(event.message, Vote) else source
        if isinstance(event, Checked) and event.verdict is Verdict.INVALID:
            self.notes.note(node.index, "refuse", f"finds block {event.hash.hex()[:6]} invalid: {event.reason}")
        for effect in effects:
            self._effect(node.index, effect, source)
        super().after_turn(node, event, effects)

    def _effect(self, node: int, effect: Effect, source: str) -> None:
        if isinstance(effect, Publish):
            self._record(node, effect.record, source)
        elif isinstance(effect, Commit):
            self.notes.note(node, "decide", f"finds {_short(effect.hashes[-1])} final ({len(effect.hashes)} to commit)")
        elif isinstance(effect, Accuse):
            who = f"node {index_of(effect.peer)}" if effect.peer is not None else "a signer"
            self.notes.note(node, "accuse", f"accuses {who}: {effect.reason}")
        elif isinstance(effect, Halt):
            self.notes.note(node, "accuse", f"halts: {effect.reason}")

    def _record(self, node: int, record: Record, source: str) -> None:
        if isinstance(record, SignVote):
            place = f"{record.epoch}/{record.view}"
            what = "" if record.kind is VoteKind.NULLIFY else f" {_short(record.block_hash)}"
            kind = _KINDS[record.kind]
            self.notes.note(node, "vote", f"votes {kind} {place}{what}", _label(record.kind, record.view), kind)
        elif isinstance(record, SignProposal):
            header = decode_header(record.block.header_bytes)
            text = f"proposes {_short(record.block.hash)} in {record.epoch}/{record.view}, height {header.height} on "
            self.notes.note(
                node, "propose", f"{text}{_short(header.parent)} of view {header.parent_view}", f"P{header.view}"
            )
        elif isinstance(record, SignComplaint):
            self.notes.note(node, "refuse", f"complains of {record.epoch}/{record.view}: {record.reason.name}")
        elif isinstance(record, LogCertificate):
            certificate = record.certificate
            what = "" if certificate.kind is VoteKind.NULLIFY else f" {_short(certificate.block_hash)}"
            signers = ",".join(str(signer) for signer in certificate.signers)
            text = (
                f"knows {certificate.epoch}/{certificate.view} {_KINDS[certificate.kind]}{what} ({signers}), {source}"
            )
            self.notes.note(node, "certificate", text, _label(certificate.kind, certificate.view))
        elif isinstance(record, LiftHold | SetHold):
            self.notes.note(
                node, "hold", "may vote again" if isinstance(record, LiftHold) else f"is held: {record.reason}"
            )

    def committed(self, node: LedgerSide, block: CommittedBlock) -> None:
        """See `Auditor`."""
        height = block.header.height
        self.notes.note(node.index, "commit", f"commits height {height}, block {_short(block.hash)}", str(height))
        super().committed(node, block)


class _WatchingAgreement(_Watching, AgreementAuditor):
    """The same for engines to the letter of a publication."""


class RecordedWorld(World):
    """A world that remembers. Its random choices and its trace are those of `World`."""

    def __init__(self, options: SeedOptions) -> None:
        self.moments: list[Moment] = []
        self.arrows: list[Arrow] = []
        self.knowledge: tuple[str, ...] = ()
        super().__init__(options)
        self.auditor = _WatchingAgreement(self) if options.engine in PUBLISHED else _Watching(self)

    def note(self, node: int, kind: str, text: str, label: str = "", detail: str = "") -> None:
        """Write something down."""
        self.moments.append(Moment(self.now, node, detail or kind, text, label))

    def at(self, delay: int, action: Callable[..., None], *args: Any) -> None:
        """See `World`."""
        if hasattr(self, "network"):
            if action == self.network._deliver:
                sender, receiver, message = args
                self.arrows.append(Arrow(self.now, self.now + delay, sender, receiver, _kind(message)))
            elif action == self.network.heal:
                self.moments.append(Moment(self.now + delay, EVERYBODY, "network", "heals"))
        super().at(delay, action, *args)

    def trace(self, kind: bytes, first: int, second: int, data: bytes) -> None:
        """See `World`."""
        if kind == b"x":
            self.note(first, "crash", f"stops; {second} unsynced records survive", "x")
        elif kind == b"r":
            self.note(first, "restart", "starts again", "r")
        super().trace(kind, first, second, data)

    def partition(self) -> None:
        """See `World`."""
        super().partition()
        if self.network.blocked:
            sides = sorted({sender for sender, _ in self.network.blocked})
            others = sorted({receiver for _, receiver in self.network.blocked})
            self.note(EVERYBODY, "network", f"is cut: nothing gets from {sides} to {others}")

    def what_is_known(self) -> tuple[str, ...]:
        """What each node knows now."""
        return tuple(_knowledge(node) for node in self.nodes)


def record(options: SeedOptions) -> Journal:
    """Run a seed and write down its failing part."""
    made: list[RecordedWorld] = []

    def make(given: SeedOptions) -> World:
        made.append(RecordedWorld(given))
        return made[0]

    report = run_seed(options, make=make)
    world = made[0]
    begin, end = _failing(world, report)
    moments = sorted((m for m in world.moments if begin <= m.at_ms <= end), key=lambda moment: moment.at_ms)
    arrows = tuple(a for a in world.arrows if begin <= a.sent_ms and a.arrives_ms <= end)
    known = world.knowledge or world.what_is_known()
    return Journal(report, begin, end, len(world.nodes), tuple(moments), arrows, known, _down(world, begin, end))


def _failing(world: RecordedWorld, report: SeedReport) -> tuple[int, int]:
    """From when to when: about the first broken invariant; for a stall, from the last commit of the node that came
    least far; the beginning, if all is well."""
    if report.violations:
        at = report.violations[0].at_ms
        return max(0, at - BEFORE_MS), at + AFTER_MS
    if not report.stalled:
        return 0, BEFORE_MS
    last = {node.index: 0 for node in world.faultless()}
    last.update({m.node: m.at_ms for m in world.moments if m.kind == "commit" and m.node in last})
    begin = max(0, min(last.values()) - STALL_BEFORE_MS)
    return begin, min(world.now, begin + 2 * BEFORE_MS)


def _down(world: RecordedWorld, begin: int, end: int) -> tuple[tuple[int, int, int], ...]:
    """Between which times of the part a node did not live."""
    found: list[tuple[int, int, int]] = []
    since: dict[int, int] = {}
    for moment in world.moments:
        if moment.kind == "crash":
            since[moment.node] = moment.at_ms
        elif moment.kind == "restart" and moment.node in since:
            found.append((moment.node, since.pop(moment.node), moment.at_ms))
    found += [(node, at, end) for node, at in since.items()]
    return tuple(
        (node, max(begin, first), min(end, last)) for node, first, last in found if last > begin and first < end
    )


def _knowledge(node: SimNode) -> str:
    core = node.core
    height = node.chain[-1].header.height
    liar = "" if node.honest else ", a liar"
    if core is None:
        return f"node {node.index}{liar}: does not live; height {height}"
    state = core.state
    parts = [
        f"node {node.index}{liar}: view {state.epoch.epoch}/{state.view}",
        f"height {height} final, view {state.final_view} known final",
        f"notarized {_views(state.notarizations)}",
        f"nullified {_views(state.nullifications)}",
    ]
    if state.hold is not None:
        parts.append("held")
    for view in sorted(state.views)[-3:]:
        mine = state.views[view]
        signed = [f"notarize {_short(mine.my_notarize)}"] if mine.my_notarize is not None else []
        signed += ["nullify"] if mine.my_nullify else []
        signed += [f"finalize {_short(mine.my_finalize)}"] if mine.my_finalize is not None else []
        if signed:
            parts.append(f"signed in {view}: {', '.join(signed)}")
    return "; ".join(parts)


def _views(certificates: dict[int, Certificate]) -> str:
    return ",".join(str(view) for view in sorted(certificates)[-6:]) or "none"


def _kind(message: Message) -> str:
    if isinstance(message, Vote):
        return _KINDS[message.kind]
    if isinstance(message, Proposal):
        return "proposal"
    return "certificate" if isinstance(message, Certificate) else "other"


def _label(kind: VoteKind, view: int) -> str:
    return f"{_KINDS[kind][:3].capitalize()}{view}"


def _short(block_hash: bytes) -> str:
    return block_hash.hex()[:6]
