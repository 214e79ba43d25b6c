"""The pieces around an engine: scopes, timers, inbox, and the turn itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import uvloop

from consensus.engine import (
    Accuse,
    Arm,
    Behind,
    Broadcast,
    Build,
    Check,
    Commit,
    Disarm,
    Effect,
    EngineStatus,
    Event,
    Expired,
    Fault,
    Halt,
    Millis,
    PeerId,
    Prune,
    Publish,
    Received,
    Record,
    Reply,
    ReportInvalid,
    Request,
    RequestKind,
    Send,
    SignVote,
    Timer,
    TimerKind,
    TransactionsReady,
)
from consensus.messages import CertificateRequest, Complaint, ComplaintReason, Message, encode_message
from ledger.certificates import Vote, VoteKind
from ledger.crypto import ZERO_HASH
from ledger.errors import InvariantBroken
from node import inbox as inbox_module
from node.clock import ManualClock
from node.driver import Driver, Surroundings
from node.inbox import Inbox
from node.log import node_logger
from node.metrics import Metrics
from node.tasks import task_scope

PEER = PeerId(b"p" * 32)
ASK = CertificateRequest(1, 2, 3)
TIMER = Timer(TimerKind.VIEW, 1, 1)


class ScriptedEngine:
    """Answers each event with what the test has put there."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.answers: dict[type, list[Effect]] = {}

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        if isinstance(event, Request) and event.kind is RequestKind.STATUS:
            return [Reply(EngineStatus(1, 7, 0, ZERO_HASH, b"", False, 0, 0))]
        self.heard.append(event)
        return self.answers.pop(type(event), [])


class Around:
    """Everything a driver works with, written down in order."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    def send(self, peer: PeerId, message: Message) -> None:
        self.done.append(("send", peer, message))

    def broadcast(self, message: Message) -> None:
        self.done.append(("broadcast", message))

    def drop(self, peer: PeerId, reason: str, expected: str = "", found: str = "") -> None:
        self.done.append(("drop", peer))

    def take(self, records: Sequence[Record]) -> None:
        self.done.append(("take", *records))

    def trim(self, epoch: int, view: int) -> None:
        self.done.append(("trim", epoch, view))

    def build(self, effect: Build) -> None:
        self.done.append(("build",))

    def check(self, effect: Check) -> None:
        self.done.append(("check",))

    def commit(self, effect: Commit) -> None:
        self.done.append(("commit", effect.hashes))

    def prune(self, effect: Prune) -> None:
        self.done.append(("prune", effect.floor_view))

    def behind(self, peer: PeerId, height: int) -> None:
        self.done.append(("behind", height))

    def halt(self, reason: str) -> None:
        self.done.append(("halt", reason))

    def invalid(self, complaints: tuple[Complaint, ...]) -> None:
        self.done.append(("invalid", len(complaints)))

    def equivocation(self, first: Vote, second: Vote) -> None:
        self.done.append(("equivocation", first.block_hash, second.block_hash))


class World:
    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        self.around = Around()
        self.clock = ManualClock(1_000)
        self.metrics = Metrics("test")
        self.inbox = Inbox(self.metrics)
        around = self.around
        parts = Surroundings(self.clock, around, around, around, around, around, self.metrics, node_logger("test"))
        self.driver = Driver(self.engine, self.inbox, parts)


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request):
    factory = uvloop.new_event_loop if request.param == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as made:
        yield made


def drive(runner, world: World, seconds: float = 0.05):
    async def run() -> None:
        async with task_scope() as tasks:
            tasks.spawn(world.driver.run(), name="driver")
            await asyncio.sleep(seconds)

    runner.run(run())


def test_effects_are_performed_in_order_and_records_of_a_turn_together(runner) -> None:
    world = World()
    first = SignVote(VoteKind.NOTARIZE, 1, 1, ZERO_HASH)
    second = SignVote(VoteKind.FINALIZE, 1, 1, ZERO_HASH)
    world.engine.answers[TransactionsReady] = [
        Publish(first),
        Send(PEER, ASK),
        Broadcast(ASK),
        Publish(second),
        Prune((), 1, 4),
        Behind(PEER, 9),
        Accuse(Fault.PEER, "lied", PEER),
        Halt("state-divergence", ZERO_HASH),
    ]

    async def post() -> None:
        world.driver.post(TransactionsReady(True))

    runner.run(post())
    drive(runner, world)
    assert world.around.done == [
        ("take", first, second),
        ("send", PEER, ASK),
        ("broadcast", ASK),
        ("prune", 4),
        ("behind", 9),
        ("drop", PEER),
        ("halt", "state-divergence"),
    ]
    assert world.driver.status.view == 7


def test_what_members_signed_against_each_other_is_handed_to_the_reporter(runner) -> None:
    world = World()
    complaint = Complaint(1, 3, bytes(32), ComplaintReason.INVALID, 0, bytes(64))
    first, second = (Vote(VoteKind.NOTARIZE, 1, 3, bytes([n]) * 32, 2, bytes(64)) for n in (1, 2))
    world.engine.answers[TransactionsReady] = [
        ReportInvalid((complaint, complaint)),
        Accuse(Fault.EQUIVOCATION, "two-notarize", None, first, second),
    ]

    async def post() -> None:
        world.driver.post(TransactionsReady(True))

    runner.run(post())
    drive(runner, world)
    assert world.around.done == [("invalid", 2), ("equivocation", first.block_hash, second.block_hash)]


def test_timers_fire_once_and_not_when_disarmed_or_moved(runner) -> None:
    world = World()
    moved = Timer(TimerKind.LEAD, 1, 1)
    stopped = Timer(TimerKind.BUILD, 1, 1)
    world.engine.answers[TransactionsReady] = [
        Arm(TIMER, Millis(1_010)),
        Arm(stopped, Millis(1_005)),
        Disarm(stopped),
        Arm(moved, Millis(1_000)),
        Arm(moved, Millis(9_000)),
    ]

    async def post() -> None:
        world.driver.post(TransactionsReady(True))

    runner.run(post())
    drive(runner, world, 0.1)
    assert world.engine.heard == [TransactionsReady(True), Expired(TIMER)]


def test_a_timer_that_fired_but_was_disarmed_before_its_turn_is_not_heard(runner) -> None:
    world = World()

    async def fire() -> None:
        world.driver._timers.arm(TIMER, 0)
        await asyncio.sleep(0.01)
        world.driver._timers.disarm(TIMER)

    runner.run(fire())
    assert len(world.inbox) == 1
    drive(runner, world)
    assert world.engine.heard == []


def test_own_messages_are_heard_before_they_are_sent(runner) -> None:
    world = World()

    async def release() -> None:
        world.driver.released(ASK)

    runner.run(release())
    drive(runner, world)
    assert world.engine.heard == [Received(None, ASK)]
    assert world.around.done == [("broadcast", ASK)]


def test_what_does_not_decode_costs_the_connection_and_no_turn(runner) -> None:
    world = World()
    world.driver.receive(PEER, b"\xff\x00")
    world.driver.receive(PEER, encode_message(ASK))
    drive(runner, world)
    assert world.around.done == [("drop", PEER)]
    assert world.engine.heard == [Received(PEER, ASK)]


def test_a_full_inbox_drops_peers_and_nobody_else(runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "PEER_EVENTS", 3)
    world = World()
    taken = [world.inbox.put_peer(Received(PEER, ASK), 9) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    for _ in range(5):
        world.inbox.put(TransactionsReady(True))
    drive(runner, world)
    assert sum(isinstance(event, Received) for event in world.engine.heard) == 3
    assert [type(event) for event in world.engine.heard[:5]] == [TransactionsReady] * 5, "own events come first"


def test_an_inbox_counts_bytes_too_and_has_room_again_once_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(encode_message(ASK))
    monkeypatch.setattr(inbox_module, "PEER_BYTES", 2 * size)
    world = World()
    for _ in range(4):
        world.driver.receive(PEER, encode_message(ASK))
    assert len(world.inbox) == 2
    assert world.inbox.take() == Received(PEER, ASK)
    assert not world.inbox.put_peer(Received(PEER, ASK), size + 1)
    assert world.inbox.put_peer(Received(PEER, ASK), size)


def test_a_crash_of_a_part_ends_the_scope_with_its_reason(runner) -> None:
    world = World()

    def broken(event: Event, now: Millis) -> list[Effect]:
        raise InvariantBroken("the engine is wrong")

    world.engine.handle = broken  # type: ignore[method-assign]  # the test's own engine

    async def run() -> None:
        async with task_scope() as tasks:
            tasks.spawn(world.driver.run(), name="driver")
            world.driver.post(TransactionsReady(True))
            await asyncio.sleep(5)

    with pytest.raises(BaseExceptionGroup) as ended:
        runner.run(run())
    assert ended.group_contains(InvariantBroken, match="the engine is wrong")


def test_leaving_a_scope_ends_its_children(runner) -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("child")

    async def run() -> None:
        async with task_scope() as tasks:
            tasks.spawn(child(), name="child")
            await asyncio.sleep(0)
            assert len(tasks) == 1

    runner.run(run())
    assert ended == ["child"]
