"""What a centre says of records that wait (`audit = assigned`): its own copy's root, once, when it has that copy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from sharded_chains import HostedChain, Process, ShardedWorld, centre_key, network_genesis, user

from consensus.sharded.global_chain import attestation_bytes
from consensus.sharded.global_state import Attestation
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE, RegionRecord
from contracts.values import decode_value
from ledger.codec import decode
from ledger.crypto import Hash, SigningKey
from ledger.engine_settings import GLOBAL
from ledger.objects import Transaction, decode_transaction
from node.ingress import Submitted
from node.log import node_logger
from node.shards import attester as attester_module
from node.shards.attester import Attester, Bench
from node.shards.global_side import GlobalSide, verify_statement
from node.speaker import Voice
from node.tasks import task_scope

SOON_S = 0.05


class Door:
    """Takes what an attester submits; `answers` are given first."""

    def __init__(self) -> None:
        self.taken: list[Transaction] = []
        self.answers: list[str] = []

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        (raw,) = raws
        code = self.answers.pop(0) if self.answers else ""
        if not code:
            self.taken.append(decode_transaction(raw))
        return [Submitted(None, not code, code)]

    @property
    def said(self) -> list[Attestation]:
        assert {(one.body.contract, one.body.entry) for one in self.taken} <= {("shards", "attest")}
        return [decode(Attestation, decode_value(one.body.arguments)[0]) for one in self.taken]


Found = list[tuple[Hash, Hash]]
"""Records, and the roots that a copy has after them."""


def attester_of(
    hosted: HostedChain, key: SigningKey, finds: Callable[[Found], Found] = lambda found: found
) -> tuple[Attester, Door]:
    """Of the centre with this key, over the chains of one process. `finds`: what it makes of what it finds."""
    door, side = Door(), hosted.side
    assert isinstance(side, GlobalSide)

    async def on_ledger(work: Callable[[], Found]) -> Found:
        return finds(work())

    def sign(statement: bytes) -> bytes:
        return key.sign(DOMAIN_RECORD_SIGNATURE, statement)

    voice = Voice(key.public, key, hosted.genesis.chain_id, door.submit)
    bench = Bench(hosted.chain, hosted.chain.state(), side, on_ledger, sign, voice, node_logger("test"))
    return Attester(bench), door


def run(attester: Attester, *steps: Callable[[], None]) -> None:
    """Each step, and then time for the attester to say what there is to say."""

    async def played() -> None:
        async with task_scope() as tasks:
            attester.start(tasks)
            await asyncio.sleep(SOON_S)
            for step in steps:
                step()
                await asyncio.sleep(SOON_S)

    asyncio.run(played())


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not woken looks again when a test is over."""
    monkeypatch.setattr(attester_module, "AGAIN_S", 100.0)


def with_traffic(audit: str) -> ShardedWorld:
    """A network in which something has happened in a region."""
    world = ShardedWorld(network_genesis(1, audit=audit, round_ms=4_000))
    world.step()
    world.send("ra", user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    return world


def waiting(world: ShardedWorld) -> RegionRecord:
    """Time goes on until a record waits at the global chain."""
    for _ in range(100):
        for view in world.state.regions:
            if view.pending is not None:
                return view.pending.publication.record
        world.step()
    raise AssertionError("no record waits")


def keys_of(world: ShardedWorld, record: RegionRecord, assigned: bool) -> list[SigningKey]:
    """Centres that a record is assigned to, or the others."""
    side = world.head(GLOBAL).side
    assert isinstance(side, GlobalSide)
    chosen = side._assigned(record.id)
    return [key for key in map(centre_key, range(4)) if (key.public in chosen) == assigned]


def test_an_assigned_centre_says_its_copys_root_once() -> None:
    world = with_traffic("assigned")
    record, hosted = waiting(world), world.head(GLOBAL)
    assert len(keys_of(world, record, True)) == 2
    for key in keys_of(world, record, True):
        attester, door = attester_of(hosted, key)
        early: list[Attestation] = []

        def wake(door: Door = door, early: list[Attestation] = early, attester: Attester = attester) -> None:
            early += door.said
            attester.wake()

        run(attester, wake, attester.wake, attester.wake)
        assert not early, "nobody had woken it"
        (word,) = door.said
        assert (word.record, word.root, word.centre) == (record.id, record.post_root, key.public)
        assert verify_statement(key.public, attestation_bytes(word.record, word.root), word.signature)
        assert door.taken[0].body.chain_id == hosted.genesis.chain_id


def test_the_global_chain_takes_what_assigned_centres_say_and_confirms_the_record() -> None:
    world = with_traffic("assigned")
    record, hosted = waiting(world), world.head(GLOBAL)
    doors = []
    for key in keys_of(world, record, True):
        attester, door = attester_of(hosted, key)
        run(attester, attester.wake)
        world.pools[GLOBAL] += door.taken
        doors.append(door)
    world.run(5_000)
    assert world.state.regions[0].position.seq == record.seq
    assert [world.receipt(door.taken[0]).ok for door in doors] == [True, True]
    for key in keys_of(world, record, True):
        again, door = attester_of(hosted, key)
        run(again, again.wake)
        assert record.id not in [word.record for word in door.said], "a node that begins anew: nobody waits any more"


def test_who_is_not_assigned_says_nothing() -> None:
    world = with_traffic("assigned")
    record = waiting(world)
    for key in keys_of(world, record, False):
        attester, door = attester_of(world.head(GLOBAL), key)
        run(attester, attester.wake)
        assert door.said == []


@pytest.mark.parametrize("audit", ["eager", "next_round"])
def test_where_nothing_is_assigned_nobody_says_anything(audit: str) -> None:
    world = with_traffic(audit)
    if audit == "next_round":
        waiting(world)
    for number in range(4):
        attester, door = attester_of(world.head(GLOBAL), centre_key(number))
        run(attester, attester.wake, partial(world.run, 1_500), attester.wake)
        assert door.said == []
    assert world.state.regions[0].position.seq > 0


def test_a_centre_whose_copy_is_behind_looks_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    world = with_traffic("assigned")
    record = waiting(world)
    late = Process(world.network, (GLOBAL, *world.regions))

    def catch_up(chain: str) -> None:
        for batch in world.synced[chain]:
            late.chains[chain].commits.commit_synced(batch)
            late.tell(chain)

    catch_up(GLOBAL)
    (key, _) = keys_of(world, record, True)
    attester, door = attester_of(late.chains[GLOBAL], key)
    monkeypatch.setattr(attester_module, "AGAIN_S", SOON_S / 4)
    before: list[Attestation] = []

    def follow() -> None:
        before.extend(door.said)
        catch_up("ra")

    run(attester, attester.wake, follow, lambda: None)
    assert not before, "it had nothing to compare with"
    assert [word.root for word in door.said] == [record.post_root]


def test_a_copy_that_differs_objects() -> None:
    """It says what it found, whatever the record claims: then everybody looks."""
    world = with_traffic("assigned")
    record, hosted = waiting(world), world.head(GLOBAL)
    (key, _) = keys_of(world, record, True)
    attester, door = attester_of(hosted, key, lambda found: [(one, Hash(bytes(32))) for one, _ in found])
    run(attester, attester.wake)
    (word,) = door.said
    assert word.root == bytes(32) != record.post_root
    world.pools[GLOBAL] += door.taken
    world.run(5_000)
    assert world.state.regions[0].position.seq == record.seq, "all have executed it, and the record was right"


def test_a_nonce_that_is_taken_is_stepped_over_and_a_settled_record_not_spoken_of() -> None:
    world = with_traffic("assigned")
    record, hosted = waiting(world), world.head(GLOBAL)
    (key, _) = keys_of(world, record, True)
    attester, door = attester_of(hosted, key)
    door.answers = ["NONCE_USED"]
    run(attester, attester.wake)
    assert [one.body.nonce for one in door.taken] == [1]

    nobodys = Hash(b"\x07" * 32)
    attester, door = attester_of(hosted, key, lambda _: [(nobodys, nobodys)])
    run(attester, attester.wake)
    assert door.taken == []
