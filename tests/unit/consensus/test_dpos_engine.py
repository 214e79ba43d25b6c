"""The engine `dpos` itself: what it does with complaints. Everything else is the core's."""

from __future__ import annotations

import pytest

from consensus.dpos import MAX_COMPLAINED_VIEWS, DposEngine
from consensus.engine import (
    Broadcast,
    Effect,
    EpochStart,
    Millis,
    PeerId,
    Received,
    ReportInvalid,
    Started,
    WalRecovery,
)
from consensus.messages import Complaint, ComplaintReason
from consensus.parameters import EngineParameters
from consensus.scheme import complaint_bytes
from consensus.simulator.options import SeedOptions
from consensus.simulator.scheme import MockScheme, mock_sign
from consensus.simulator.world import World

WORLD = World(SeedOptions(1, engine="dpos", nodes=7))
COMMITTEE = WORLD.committee(1)
NOW = Millis(WORLD.genesis.header.time_ms + 10)
BLOCK = b"b" * 32


def started() -> DposEngine:
    engine = DposEngine(EngineParameters(), None, WORLD.chain_id, MockScheme(WORLD.chain_id), 7)
    genesis = WORLD.genesis
    epoch = EpochStart(1, genesis.header, genesis.hash, COMMITTEE, tuple(range(7)))
    engine.handle(Started(genesis.header, genesis.hash, None, epoch, WalRecovery(), None), NOW)
    return engine


def complaint(
    signer: int, view: int = 1, block: bytes = BLOCK, reason: ComplaintReason = ComplaintReason.INVALID, epoch: int = 1
) -> Complaint:
    data = complaint_bytes(WORLD.chain_id, COMMITTEE.hash, epoch, view, block, reason)
    return Complaint(epoch, view, block, reason, signer, mock_sign(COMMITTEE.validators[signer].public_key, data))


def hear(engine: DposEngine, *complaints: Complaint) -> list[Effect]:
    effects: list[Effect] = []
    for one in complaints:
        effects += engine.handle(Received(PeerId(bytes(32)), one), NOW)
    return [effect for effect in effects if isinstance(effect, ReportInvalid)]


def test_more_than_f_complaints_become_one_report() -> None:
    engine = started()
    assert hear(engine, complaint(5), complaint(2)) == [], "F of 7 is 2"
    assert hear(engine, complaint(2)) == []
    assert hear(engine, complaint(4)) == [ReportInvalid((complaint(2), complaint(4), complaint(5)))]
    assert hear(engine, complaint(0), complaint(1)) == []


def test_where_few_are_linked_a_complaint_is_passed_on_once_and_a_forged_one_never() -> None:
    engine = started()
    one, forged = complaint(5), Complaint(1, 1, BLOCK, ComplaintReason.INVALID, 3, bytes(64))

    def told(message: Complaint) -> list[Effect]:
        effects = engine.handle(Received(PeerId(bytes(32)), message), NOW)
        return [effect for effect in effects if isinstance(effect, Broadcast)]

    assert told(complaint(6)) == [], "everybody hears everybody"
    engine.state.relaying = True
    assert told(one) == [Broadcast(one)]
    assert told(one) == []
    assert told(forged) == []


@pytest.mark.parametrize(
    "useless",
    [
        complaint(3, reason=ComplaintReason.TIMEOUT),
        complaint(3, block=b"c" * 32),
        complaint(3, view=40),
        complaint(3, epoch=2),
        Complaint(1, 1, BLOCK, ComplaintReason.INVALID, 3, bytes(64)),
        Complaint(1, 1, BLOCK, ComplaintReason.INVALID, 99, bytes(64)),
    ],
)
def test_what_proves_nothing_does_not_count(useless: Complaint) -> None:
    engine = started()
    assert hear(engine, complaint(5), complaint(2), useless) == []
    assert len(hear(engine, complaint(0))) == 1


def test_memory_is_bounded() -> None:
    engine = started()
    for view in range(1, 400):
        engine.state.view = view
        hear(engine, complaint(1, view))
    assert len(engine._complaints) <= MAX_COMPLAINED_VIEWS
