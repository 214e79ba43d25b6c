"""What an audit costs the centres, and the times that a region's quorum may give its blocks (ADR 0290)."""

from __future__ import annotations

import pytest
from colluding_region import REGION, CollusionWorld
from msgspec.structs import replace
from sharded_chains import ROUND_MS, user

from consensus.sharded.admission import TIME_AHEAD
from consensus.sharded.discipline import RECORD_LEAD_MS
from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL
from node.shards.collusion import Collusion, Lie
from node.shards.openings_log import openings
from node.shards.recomputed import recompute
from node.shards.region_state import read_closed

ACCOMPLICE = address_of(user(0, 1).public)


@pytest.mark.parametrize("rule", ["next_round", "assigned"])
def test_a_wrong_record_that_waits_is_executed_once_by_each_centre(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[int] = []

    def counted(copy: object, *arguments: object) -> object:
        executed.append(id(copy))
        return recompute(copy, *arguments)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr("node.shards.audit.recompute", counted)
    world = CollusionWorld(audit=rule)
    world.step()
    world.send(REGION, user(0), "crossing", "pay", ACCOMPLICE, 1)
    world.run(3 * ROUND_MS)
    world.collude(Collusion(world.view.position.seq + 2, Lie.MONEY, ACCOMPLICE))
    world.until_corrected()
    assert sorted(executed) == sorted({id(one.chains[REGION].sibling) for one in world.centres})
    (opening,) = openings(world.head(GLOBAL).chain.state(), REGION)
    assert opening.known < opening.height - 1, "what was posted while it waited does not count"
    world.begin_anew()
    assert sum(world.balances()) == world.view.position.money


def test_nobody_has_the_centres_execute_a_record_by_naming_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = CollusionWorld()
    world.step()
    world.collude(Collusion(1, Lie.ROOT, ACCOMPLICE))
    while (closed := read_closed(world.head(REGION).chain.state(), 1)) is None:
        world.now += ROUND_MS
        world.send(REGION, user(0), "crossing", "pay", ACCOMPLICE, 1)
        world.block(REGION)
    world.now += 10 * ROUND_MS
    (publication, *_) = world.publications(REGION, 0)
    assert publication.record.r_height == closed.height
    unsigned = world.submit(replace(publication, signature=bytes(64)))
    with monkeypatch.context() as patch:
        patch.setattr("node.shards.audit.recompute", None)
        world.block(GLOBAL)
    assert world.receipt(unsigned).code == "BAD_SIGNATURE"
    world.submit(publication)
    world.block(GLOBAL)
    world.check_conserved()
    assert world.own_correction().record == publication.record.id


def test_a_record_of_a_time_to_come_is_not_entered_before() -> None:
    world = CollusionWorld()
    world.step()
    real = world.now
    world.now = ahead = real + 3_600_000
    world.send(REGION, user(0), "crossing", "pay", ACCOMPLICE, 1)
    world.block(REGION)
    (publication,) = world.publications(REGION, 0)
    world.now = real + ROUND_MS
    refused = world.submit(publication)
    world.block(GLOBAL)
    world.check_conserved()
    assert world.receipt(refused).code == TIME_AHEAD
    assert (world.view.position.seq, world.view.pending) == (0, None)
    world.now = ahead - RECORD_LEAD_MS
    taken = world.submit(publication)
    world.block(GLOBAL)
    world.check_conserved()
    assert world.receipt(taken).ok
    assert world.view.position.seq == publication.record.seq
