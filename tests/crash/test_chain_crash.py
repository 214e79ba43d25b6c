"""A chain whose process or disk dies at any write is at the old block or at the new one, never between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from chain_world import ChainWorld

from ledger.chain import ChainStore
from ledger.chain_verify import verify_chain
from ledger.errors import StoreError
from ledger.store import NO_LIMIT, Batch, MemoryStore, Snapshot, Store, open_store

STEPS: list[Callable[[ChainWorld], None]] = [
    lambda world: world.commit(1),
    lambda world: world.commit(3),
    lambda world: world.end_epoch([3, 4, 5, 6], closing=2),
    lambda world: world.commit(2),
]
HEIGHTS = [0, 1, 4, 5, 7]


class PowerCut(BaseException):
    """The process is gone."""


class CuttingStore:
    """Memory that keeps only what was synced, and dies at write number `cut`: before it, after it, or unsynced."""

    def __init__(self, cut: int, moment: str) -> None:
        self.durable = MemoryStore()
        self._visible = MemoryStore()
        self._cut, self._moment = cut, moment
        self.writes = 0

    def get(self, key: bytes) -> bytes | None:
        return self._visible.get(key)

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return self._visible.scan(prefix, after, limit, reverse)

    def write(self, batch: Batch, sync: bool) -> None:
        number, self.writes = self.writes, self.writes + 1
        if number == self._cut and self._moment == "before":
            raise PowerCut
        self._visible.write(batch, sync)
        if number == self._cut and self._moment == "disk error":
            raise StoreError("no space is left", code="STORE_FULL")
        if sync:
            self.durable = MemoryStore(self._visible.rows)
        if number == self._cut:
            raise PowerCut

    def snapshot(self) -> Snapshot:
        return self._visible.snapshot()

    def approximate_size(self) -> int:
        return 0

    def close(self) -> None:
        self._visible.close()


def test_the_uncut_run() -> None:
    store = CuttingStore(-1, "never")
    world = ChainWorld(store=store)
    for step in STEPS:
        step(world)
    assert store.writes == len(STEPS) + 1
    assert store.durable.rows == dict(store.scan(b""))
    assert verify_chain(store, world.chain.genesis).fault is None


def run_all(store: Store) -> None:
    world = ChainWorld(store=store)
    for step in STEPS:
        step(world)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("cut", range(len(STEPS) + 1))
def test_a_power_cut_at_every_write(cut: int, moment: str) -> None:
    store = CuttingStore(cut, moment)
    with pytest.raises(PowerCut):
        run_all(store)
    survived = store.durable
    if cut == 0 and moment == "before":
        assert ChainStore.is_empty(survived)
        return
    genesis = ChainWorld().document
    chain = ChainStore.open(survived, genesis)
    assert chain.height == HEIGHTS[cut - (moment == "before")]
    report = verify_chain(survived, genesis.summary)
    assert report.fault is None
    assert report.blocks == chain.height + 1


@pytest.mark.parametrize("cut", range(1, len(STEPS) + 1))
def test_a_disk_error_moves_nothing(cut: int) -> None:
    store = CuttingStore(cut, "disk error")
    world = ChainWorld(store=store)
    for step in STEPS[: cut - 1]:
        step(world)
    height, root, head = world.chain.height, world.chain.state().root, world.chain.head_hash
    with pytest.raises(StoreError):
        STEPS[cut - 1](world)
    assert (world.chain.height, world.chain.state().root, world.chain.head_hash) == (height, root, head)
    again = ChainStore.open(store.durable, world.document)
    assert (again.height, again.head_hash) == (height, head)


def engines() -> list[str]:
    found = []
    for module, name in (("plyvel", "leveldb"), ("rocksdict", "rocksdb")):
        try:
            __import__(module)
        except ImportError:
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("engine", engines())
def test_a_log_torn_at_any_byte(engine: str, tmp_path: Path) -> None:
    """Two commits, then the database's log cut or overwritten anywhere in the second one."""
    store = open_store(tmp_path / "db", engine)
    world = ChainWorld(store=store)
    world.commit(1)
    (log,) = (path for path in (tmp_path / "db").glob("*.log") if path.stat().st_size)
    first = log.stat().st_size
    world.commit(1)
    second = log.stat().st_size
    assert first < second
    frozen = tmp_path / "frozen"
    shutil.copytree(tmp_path / "db", frozen)
    store.close()
    for cut in sorted({first, first + 1, second - 1, second, *range(first, second, (second - first) // 12)}):
        for garbage in (b"", b"\x5a" * 64):
            assert_old_or_new(frozen, tmp_path / "torn", log.name, cut, garbage, world, 2 if cut == second else 1)


def assert_old_or_new(
    frozen: Path, torn: Path, log: str, cut: int, garbage: bytes, world: ChainWorld, height: int
) -> None:
    shutil.rmtree(torn, ignore_errors=True)
    shutil.copytree(frozen, torn)
    with (torn / log).open("r+b") as file:
        file.truncate(cut)
        file.seek(cut)
        file.write(garbage)
    store = open_store(torn)
    chain = ChainStore.open(store, world.document)
    assert chain.height == height
    assert verify_chain(store, world.chain.genesis).fault is None
    store.close()


WRITER = """
import json, resource, signal, sys
from pathlib import Path
from chain_world import ChainWorld
from ledger.errors import StoreError
from ledger.store import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
world = ChainWorld(store=open_store(Path(sys.argv[1])))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
committed = 0
try:
    for _ in range(500):
        world.commit(1)
        committed = world.chain.height
except StoreError as error:
    print(json.dumps({"code": error.code, "height": committed, "fix": error.fix}))
"""


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """Real files, a real failing write: the error is named, and what was committed is there on reopening."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests" / "support")])}
    run = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path / "db")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(run.stdout)
    assert said["code"] in ("STORE_FULL", "STORE_IO")
    assert said["fix"]
    assert said["height"] > 0
    store = open_store(tmp_path / "db")
    chain = ChainStore.open(store)
    assert chain.height in (said["height"], said["height"] + 1)
    assert verify_chain(store, chain.genesis).fault is None
    store.close()
