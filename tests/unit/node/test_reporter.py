"""What a validator's node says by itself: once an epoch, in turn, never twice, and never what the chain knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from council_world import CouncilWorld, key_of, speaker, voter

from consensus.council_reports import InvalidReport
from contracts.values import decode_value
from ledger.certificates import VoteKind
from ledger.codec import decode
from ledger.objects import Transaction, decode_transaction
from node import speaker as speaker_module
from node.clock import ManualClock
from node.ingress import Submitted
from node.log import node_logger
from node.reporter import RECENT_MS, CouncilReporter
from node.speaker import Voice
from node.tasks import task_scope


class Door:
    """Takes what the reporter submits; `answers` are given first."""

    def __init__(self) -> None:
        self.taken: list[Transaction] = []
        self.answers: list[str] = []
        self.may_vote = True

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        (raw,) = raws
        code = self.answers.pop(0) if self.answers else ""
        if not code:
            self.taken.append(decode_transaction(raw))
        return [Submitted(None, not code, code)]

    @property
    def said(self) -> list[tuple[str, Any]]:
        """Entry and arguments of each."""
        return [(one.body.entry, decode_value(one.body.arguments)) for one in self.taken]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> CouncilWorld:
    monkeypatch.setattr(speaker_module, "TURN_S", 0.0)
    return CouncilWorld()


def reporter_of(world: CouncilWorld, number: int) -> tuple[CouncilReporter, Door, ManualClock]:
    door, clock = Door(), ManualClock(world.chain.head.time_ms)
    voice = Voice(voter(number).public, key_of(speaker(number)), world.genesis.chain_id, door.submit)
    state, log = world.chain.state(), node_logger("test")
    return CouncilReporter(voice, state, world.commits, clock, lambda: door.may_vote, log), door, clock


def run(reporter: CouncilReporter, *steps: Callable[[], None]) -> None:
    """Each step, and then time for the reporter to say what there is to say."""

    async def played() -> None:
        async with task_scope() as tasks:
            tasks.spawn(reporter.run(), name="reporter")
            for step in (reporter.committed, *steps):
                step()
                await asyncio.sleep(0.02)

    asyncio.run(played())


def test_readiness_is_said_once_an_epoch_of_the_block_that_it_stands_on(world: CouncilWorld) -> None:
    reporter, door, _ = reporter_of(world, 5)
    first = world.anchor()

    def next_epoch() -> None:
        world.end_epoch(*door.taken)
        reporter.committed()

    run(reporter, reporter.committed, next_epoch, reporter.committed)
    assert door.said == [("ready", [*first]), ("ready", [*world.anchor()])]
    assert [one.body.nonce for one in door.taken] == [0, 1]
    assert world.state.ready[voter(5).public] == 1


def test_who_catches_up_says_nothing(world: CouncilWorld) -> None:
    world.block()
    reporter, door, clock = reporter_of(world, 5)
    clock.time_ms += RECENT_MS + 1
    run(reporter)
    assert door.said == []


def test_who_may_not_vote_in_this_life_wants_no_seat(world: CouncilWorld) -> None:
    reporter, door, _ = reporter_of(world, 5)
    door.may_vote = False
    run(reporter)
    assert door.said == []


def test_a_taken_nonce_is_passed_over_and_another_refusal_ends_the_try(world: CouncilWorld) -> None:
    reporter, door, _ = reporter_of(world, 5)
    door.answers = ["NONCE_PENDING", "NONCE_USED"]
    run(reporter)
    assert [one.body.nonce for one in door.taken] == [2]
    reporter, door, _ = reporter_of(world, 4)
    door.answers = ["MEMPOOL_FULL"]
    run(reporter, reporter.committed)
    assert door.said == [], "said again after a while, not at once"


def test_reports_and_evidence_become_transactions_until_the_chain_knows(world: CouncilWorld) -> None:
    world.end_epoch(*world.ready(*range(6)))
    leader = world.queue[1]
    others = [name for name in world.queue if name != leader]
    raw = world.complaints(others[:2], 2)
    complaints = decode(InvalidReport, raw).complaints
    votes = [world.vote(others[2], VoteKind.NOTARIZE, 1, bytes([n]) * 32) for n in (1, 2)]
    reporter, door, _ = reporter_of(world, 5)

    def again() -> None:
        world.block(*door.taken)
        reporter.invalid(complaints)
        reporter.equivocation(votes[0], votes[1])

    run(reporter, lambda: reporter.invalid(complaints), lambda: reporter.equivocation(votes[0], votes[1]), again)
    assert [entry for entry, _ in door.said] == ["ready", "report_invalid", "evidence"]
    assert door.said[1][1] == [raw]
    assert {bar.member for bar in world.state.bars} == {voter(int(name[1:])).public for name in (leader, others[2])}
