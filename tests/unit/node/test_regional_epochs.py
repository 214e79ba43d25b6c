"""Which of a region's chains a node opens, whatever moment it crashes at."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from chain_world import seeded_key
from sharded_chains import ShardedWorld, centre_key, lie, member_key, network_genesis, user

from consensus.sharded.global_state import Conflict, NewMembers
from consensus.sharded.members import members_bytes
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.crypto import SigningKey, address_of
from ledger.engine_settings import GLOBAL
from ledger.state import StateBase, StateReader
from ledger.store import Batch, LevelStore, MemoryStore, Store
from ledger.validators import Validator
from node.chains import HostedChain, Phase, Place, hosted_chains
from node.clock import SystemClock
from node.config import load_config
from node.disk import LogFile, SystemDisk
from node.first_logs import FOUNDED, LostList, begin_list
from node.host import Host
from node.ledger_thread import LedgerThread
from node.log import node_logger
from node.machine import SystemMachine
from node.node import Node
from node.regional_epochs import Epochs, Grounds, with_epochs
from node.shards.openings_log import openings
from node.shards.succession import void_transactions
from node.wal import Wal
from node.wal_format import WalIdentity

REGION = "ra"


class Crash(Exception):
    """The process ends here."""


class CrashingDisk(SystemDisk):
    """Ends the process in its `left`-th operation that changes anything."""

    left = 0

    def step(self) -> None:
        CrashingDisk.left -= 1
        if CrashingDisk.left == 0:
            raise Crash

    def open(self, path: Path) -> LogFile:
        self.step()
        return SystemDisk.open(self, path)

    def sync_directory(self, path: Path) -> None:
        self.step()
        SystemDisk.sync_directory(self, path)

    def write_durably(self, path: Path, data: bytes) -> None:
        self.step()
        SystemDisk.write_durably(self, path, data)


class CrashingStore(LevelStore):
    """Its close is what follows the one batch of a new chain."""

    def write(self, batch: Batch, sync: bool) -> None:
        disk = CrashingDisk()
        disk.step()
        super().write(batch, sync)
        disk.step()


class CrashingMachine(SystemMachine):
    """This machine, but for its network."""

    def __init__(self) -> None:
        self.disk = CrashingDisk()
        self.clock = SystemClock()

    def store(self, path: Path, engine: str) -> Store:
        path.mkdir(parents=True, exist_ok=True)
        return CrashingStore(path)


def corrupt_member(**settings: object) -> tuple[ShardedWorld, SigningKey]:
    """A region that begins anew because a member signed two records, and the key of another member."""
    world = ShardedWorld(network_genesis(1, **settings))
    for _ in range(6):
        world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
        world.step(500)
    world.send(REGION, user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    first = world.first_published(REGION)
    assert world.state.regions[0].position.seq > 1
    world.send(GLOBAL, user(9), "shards", "conflict", encode(Conflict(first[0], lie(world, first[0]))))
    world.block(GLOBAL)
    assert world.state.regions[0].epoch == 2
    honest = next(key for key in (member_key(0, n) for n in range(4)) if key.public != first[0].agent)
    return world, honest


@pytest.fixture(scope="module")
def world() -> tuple[ShardedWorld, SigningKey]:
    return corrupt_member()


class Home:
    """A member's directories with its copies of both chains."""

    def __init__(
        self, directory: Path, world: ShardedWorld, key: SigningKey | None, chains: tuple[str, ...] = ()
    ) -> None:
        directory.mkdir()
        (directory / "config.toml").write_text(f'[node]\nname = "x"\nchains = {json.dumps(chains)}\n')
        self.config, self.network, self.key = load_config(directory, {}, {}), world.network, key
        self.process = world.members[REGION][0]
        self.directory = directory
        begin_list(_made(directory / "wal"))
        for name, rows in self.process.stores.items():
            store = LevelStore(_made(directory / "data" / name))
            batch = Batch()
            for row, value in rows.scan(b""):
                batch.put(row, value)
            store.write(batch, sync=True)
            store.close()

    def chains(self) -> tuple[HostedChain, ...]:
        """As a start of the node finds them."""
        centres = self.process.chains[GLOBAL].chain.state()
        hosted = hosted_chains(self.config, self.network, self.key)
        epochs = Epochs.read(centres, self.network, [one.name for one in hosted], self.key)
        grounds = Grounds(CrashingMachine(), self.config, self.network, self.key, centres, node_logger("x"))
        return with_epochs(grounds, hosted, epochs)

    def root(self, chain: HostedChain) -> bytes:
        store = LevelStore(chain.data)
        try:
            return bytes(ChainStore.open(store, chain.genesis).head.state_root)
        finally:
            store.close()


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_a_member_votes_on_the_newest_chain_and_keeps_the_one_before(
    tmp_path: Path, world: tuple[ShardedWorld, SigningKey]
) -> None:
    home = Home(tmp_path / "home", *world)
    newest, centres, before = home.chains()
    assert (newest.name, newest.place, newest.phase, newest.key) == (REGION, Place(REGION, 2), Phase.RUNS, home.key)
    assert (newest.data.name, newest.wal.name, newest.reason) == ("ra.2", "ra.2", "two records")
    assert (centres.name, centres.key) == (GLOBAL, None)
    assert (before.name, before.place, before.phase, before.key) == ("ra.1", Place(REGION), Phase.OVER, None)
    assert before.seat == newest.seat == world[1].public, "the log of the chain before is of the same key"
    assert home.chains() == (newest, centres, before)
    follower = Home(tmp_path / "follower", world[0], None)
    assert [one.key for one in follower.chains()] == [None] * 3
    assert follower.root(follower.chains()[1]) == home.root(newest)


def test_a_copy_that_is_not_so_far_follows_the_chain_that_was_left(
    tmp_path: Path, world: tuple[ShardedWorld, SigningKey]
) -> None:
    home = Home(tmp_path / "home", *world)
    shutil.rmtree(home.directory / "data" / REGION)
    found = home.chains()
    assert [(one.name, one.place.epoch, one.phase, one.key) for one in found] == [
        (REGION, 1, Phase.LEFT, None),
        (GLOBAL, 1, Phase.RUNS, None),
    ]
    assert not (home.directory / "data" / "ra.2").exists()


def test_a_key_that_gets_a_seat_hosts_the_region_and_one_that_loses_it_follows(tmp_path: Path) -> None:
    world, former = corrupt_member(deposit=0)
    fresh = seeded_key(7_777)
    view = world.state.regions[0]
    kept = [one for one in view.validators.validators if one.public_key != former.public]
    members = (*kept, Validator("fresh", fresh.public, 1), Validator("other", seeded_key(7_778).public, 1))
    signed = members_bytes(view.chain_id, REGION, 2, members)
    signatures = tuple(centre_key(n).sign(DOMAIN_RECORD_SIGNATURE, signed) for n in range(3))
    world.send(GLOBAL, user(9), "shards", "members", encode(NewMembers(REGION, 2, members, (0, 1, 2), signatures)))
    world.block(GLOBAL)
    assert world.state.regions[0].epoch == 3

    centres = world.members[REGION][0].chains[GLOBAL].chain.state()
    one, two = openings(centres, REGION)
    assert [openings(centres, REGION, known) for known in (1, 2)] == [(two,), ()]
    assert (one.opened.epoch, two.opened.epoch) == (2, 3)
    knew = Epochs({REGION: (one,)}, frozenset({REGION}), None)
    assert knew.outgrown(centres) == REGION
    assert Epochs({REGION: (one, two)}, knew.hosted, None).outgrown(centres) == ""

    home = Home(tmp_path / "former", world, former)
    newest, _, second, first = home.chains()
    assert [one.place.epoch for one in (newest, second, first)] == [3, 2, 1]
    assert (newest.key, newest.seat) == (None, b"")
    assert (second.key, second.seat) == (None, former.public), "it voted there, by a log of its own"

    seated = Home(tmp_path / "fresh", world, fresh, chains=(GLOBAL,))
    assert [one.name for one in seated.chains()][:2] == [REGION, GLOBAL]
    assert (seated.chains()[0].key, seated.chains()[0].place.epoch) == (fresh, 3)
    assert [one.name for one in Home(tmp_path / "none", world, None, chains=(GLOBAL,)).chains()] == [GLOBAL]


def test_whatever_operation_the_process_ends_in_the_next_start_finds_a_whole_chain(
    tmp_path: Path, world: tuple[ShardedWorld, SigningKey]
) -> None:
    whole = Home(tmp_path / "whole", *world)
    expected = whole.root(whole.chains()[0])
    for operation in range(1, 40):
        home = Home(tmp_path / f"home{operation}", *world)
        CrashingDisk.left = operation
        try:
            home.chains()
            assert CrashingDisk.left > 0
            break
        except Crash:
            pass
        finally:
            CrashingDisk.left = 0
        newest = home.chains()[0]
        assert (newest.place.epoch, newest.phase) == (2, Phase.RUNS), operation
        assert home.root(newest) == expected, operation
        with Wal.open(newest.wal, WalIdentity(newest.genesis.chain_id, newest.seat)) as wal:
            assert wal.hold_reason == "", operation
    assert operation > 5, "every operation was one that the process ended in"


class Pool(list[Any]):
    """A mempool by its transactions."""

    def oldest(self, count: int) -> list[Any]:
        return self[:count]


def centre_at(place: tuple[int, int], floor: tuple[int, int], state: StateReader, hold: str = "") -> Node:
    """A centre's node of the global chain that has committed up to a place (epoch, view) and signs above `floor`."""
    node = object.__new__(Node)
    node.name = GLOBAL
    node._hosted = cast(HostedChain, SimpleNamespace(key=centre_key(0), phase=Phase.RUNS, place=Place(GLOBAL)))
    parts: Any = SimpleNamespace(
        commits=SimpleNamespace(head=(SimpleNamespace(epoch=place[0], view=place[1]), b"")),
        publisher=SimpleNamespace(floor=floor, hold_reason=hold),
        mempool=Pool([SimpleNamespace(raw=b"waits")]),
        log=node_logger("x"),
        state=state,
    )
    node._parts = parts
    return node


def test_who_lost_its_disk_begins_a_new_list_of_logs_with_what_has_begun_until_it_had_caught_up(
    tmp_path: Path, world: tuple[ShardedWorld, SigningKey]
) -> None:
    """Its hold ends by certificates of the newest views, with the chain still far below: what opens on the way there
    it may have voted on before."""
    home = Home(tmp_path / "home", world[0], None, chains=(GLOBAL,))
    host = Host(home.config, world[0].network, centre_key(0), None, {})
    host._epochs = Epochs.read(StateBase(MemoryStore()), world[0].network, [GLOBAL, REGION], centre_key(0))
    listed = home.directory / "wal" / FOUNDED
    listed.unlink()
    host._list = LostList(listed.parent, SystemDisk())
    opened = home.process.chains[GLOBAL].chain.state()
    for behind in (
        centre_at((1, 40), (1, 50), StateBase(MemoryStore())),
        centre_at((1, 60), (2, 3), StateBase(MemoryStore())),
        centre_at((1, 60), (1, 50), StateBase(MemoryStore()), hold="WAL_MISSING"),
    ):
        host._chains = {GLOBAL: behind}
        host._look(behind)
        assert host._list.missing
        assert not listed.exists()
    caught_up = centre_at((1, 51), (1, 50), opened)
    host._chains = {GLOBAL: caught_up}
    host._look(caught_up)
    assert listed.read_text(encoding="utf-8").split() == ["ra.2"], "the block that opened it came at last"
    assert host._outgrown.is_set()


def test_what_was_carried_here_and_not_handed_over_yet_is_carried_on(
    tmp_path: Path, world: tuple[ShardedWorld, SigningKey]
) -> None:
    home = Home(tmp_path / "home", world[0], None, chains=(GLOBAL,))
    host = Host(home.config, world[0].network, None, None, {GLOBAL: [b"carried"]})
    host._chains = {GLOBAL: centre_at((1, 1), (0, 0), StateBase(MemoryStore()))}
    assert host.waiting() == {GLOBAL: [b"carried", b"waits"]}


@pytest.mark.asyncio
async def test_what_void_blocks_held_is_read_on_the_thread_that_ends_before_the_stores_are_closed(
    tmp_path: Path, world: tuple[ShardedWorld, SigningKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LevelDB ends the process where it is closed under a reader."""
    home = Home(tmp_path / "home", world[0], None)
    host = Host(home.config, world[0].network, None, None, {})
    host._epochs = Epochs.read(home.process.chains[GLOBAL].chain.state(), world[0].network, [REGION], None)
    (opening,) = host._epochs.opened[REGION]
    before = home.process.chains[REGION].chain
    sent: list[bytes] = []
    threads: list[str] = []

    async def submit(raws: list[bytes]) -> None:
        sent.extend(raws)

    def reading(*arguments: Any) -> list[bytes]:
        threads.append(threading.current_thread().name)
        return void_transactions(*arguments)

    monkeypatch.setattr("node.host.void_transactions", reading)
    newest: Any = SimpleNamespace(name=REGION, place=Place(REGION, 2), phase=Phase.RUNS, moved=False, submit=submit)
    over: Any = SimpleNamespace(name="ra.1", place=Place(REGION), phase=Phase.OVER, chain=before)
    host._chains = {REGION: newest, "ra.1": over}
    with LedgerThread.open() as thread:
        host._ledger_thread = thread
        await host._hand_over()
    assert sent == void_transactions(before, opening) != []
    assert threads[0].startswith("ledger")
