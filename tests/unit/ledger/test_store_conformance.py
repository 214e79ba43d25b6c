"""One suite for every store. RocksDB runs where rocksdict is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.store import Batch, LevelStore, MemoryStore, RocksStore, Store, open_store, prefix_end

INSTALLED = {"leveldb": importlib.util.find_spec("plyvel"), "rocksdb": importlib.util.find_spec("rocksdict")}


def make(engine: str, path: Path) -> Store:
    match engine:
        case "leveldb":
            return LevelStore(path)
        case "rocksdb":
            return RocksStore(path)
        case _:
            return MemoryStore()


def needs(engine: str) -> None:
    if engine in INSTALLED and INSTALLED[engine] is None:
        pytest.skip(f"{engine} has no wheel here")


@pytest.fixture(params=["leveldb", "rocksdb", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    needs(request.param)
    opened = make(request.param, tmp_path / "db")
    yield opened
    opened.close()


def fill(store: Store, rows: dict[bytes, bytes], sync: bool = False) -> None:
    batch = Batch()
    batch.extend(rows.items())
    store.write(batch, sync)


def test_get_put_delete(store: Store) -> None:
    fill(store, {b"a": b"1", b"empty": b"", b"\xff": b"z"}, sync=True)
    assert (store.get(b"a"), store.get(b"empty"), store.get(b"\xff"), store.get(b"b")) == (b"1", b"", b"z", None)
    batch = Batch()
    batch.delete(b"a")
    batch.delete(b"never there")
    store.write(batch, sync=True)
    assert store.get(b"a") is None


def test_the_last_row_of_a_key_counts(store: Store) -> None:
    batch = Batch()
    batch.put(b"k", b"1")
    batch.delete(b"k")
    batch.put(b"k", b"2")
    batch.put(b"gone", b"1")
    batch.delete(b"gone")
    assert len(batch) == 5
    store.write(batch, sync=False)
    assert store.get(b"k") == b"2"
    assert store.get(b"gone") is None


def test_an_empty_batch_is_fine(store: Store) -> None:
    store.write(Batch(), sync=True)
    assert store.scan(b"") == []


def test_scans_are_ordered_bounded_and_exclusive(store: Store) -> None:
    rows = {b"p" + bytes((n,)): bytes((n,)) for n in range(10)}
    fill(store, rows | {b"o": b"", b"q": b""})
    ordered = sorted(rows.items())
    assert store.scan(b"p") == ordered
    assert store.scan(b"p", limit=3) == ordered[:3]
    assert store.scan(b"p", after=b"p\x03", limit=2) == ordered[4:6]
    assert store.scan(b"p", after=b"p\x03\x00") == ordered[4:]
    assert store.scan(b"p", after=b"a") == ordered
    assert store.scan(b"p", after=b"z") == []
    assert store.scan(b"p", reverse=True) == ordered[::-1]
    assert store.scan(b"p", reverse=True, limit=2) == ordered[:-3:-1]
    assert store.scan(b"p", after=b"p\x03", reverse=True) == ordered[2::-1]
    assert store.scan(b"p", after=b"z", reverse=True) == ordered[::-1]
    assert store.scan(b"p", after=b"a", reverse=True) == []
    assert store.scan(b"p", limit=0) == []
    assert len(store.scan(b"")) == 12


def test_a_prefix_of_ff_bytes_has_no_end(store: Store) -> None:
    fill(store, {b"\xff\xff": b"1", b"\xff\xff\x01": b"2", b"\xfe": b"3"})
    assert store.scan(b"\xff\xff") == [(b"\xff\xff", b"1"), (b"\xff\xff\x01", b"2")]
    assert store.scan(b"\xff\xff", reverse=True) == [(b"\xff\xff\x01", b"2"), (b"\xff\xff", b"1")]
    assert prefix_end(b"\xff") is None
    assert prefix_end(b"a\xff") == b"b"


def test_a_snapshot_stays(store: Store) -> None:
    fill(store, {b"a": b"1", b"b": b"1"})
    with_old = store.snapshot()
    batch = Batch()
    batch.put(b"a", b"2")
    batch.delete(b"b")
    store.write(batch, sync=False)
    assert with_old.get(b"a") == b"1"
    assert with_old.get(b"c") is None
    assert with_old.scan(b"") == [(b"a", b"1"), (b"b", b"1")]
    assert with_old.scan(b"", reverse=True, limit=1) == [(b"b", b"1")]
    with_old.close()
    with_old.close()
    assert store.scan(b"") == [(b"a", b"2")]


def test_a_closed_store_refuses(store: Store) -> None:
    store.close()
    store.close()
    uses: list[Callable[[], object]] = [
        lambda: store.get(b"a"),
        lambda: store.scan(b""),
        lambda: store.write(Batch(), sync=False),
        store.snapshot,
    ]
    for use in uses:
        with pytest.raises(StoreError) as refused:
            use()
        assert refused.value.code == "STORE_CLOSED"


keys = st.binary(min_size=1, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(keys, st.none() | st.binary(max_size=4)), max_size=30),
    st.binary(max_size=3),
    st.none() | keys,
    st.integers(0, 8),
    st.booleans(),
)
def test_any_store_is_a_sorted_dict(
    store: Store,
    writes: list[tuple[bytes, bytes | None]],
    prefix: bytes,
    after: bytes | None,
    limit: int,
    reverse: bool,
) -> None:
    clear = Batch()
    clear.extend((key, None) for key, _ in store.scan(b""))
    clear.extend(writes)
    store.write(clear, sync=False)
    model: dict[bytes, bytes] = {}
    for key, value in writes:
        model.pop(key, None)
        if value is not None:
            model[key] = value
    wanted = sorted(
        (item for item in model.items() if item[0].startswith(prefix)),
        reverse=reverse,
    )
    if after is not None:
        wanted = [item for item in wanted if (item[0] < after if reverse else item[0] > after)]
    assert store.scan(prefix, after, limit, reverse) == wanted[:limit]
    assert all(store.get(key) == model.get(key) for key, _ in writes)


@pytest.mark.parametrize("engine", ["leveldb", "rocksdb"])
def test_reopening_finds_everything(engine: str, tmp_path: Path) -> None:
    needs(engine)
    first = open_store(tmp_path / "db", engine)
    fill(first, {bytes((n,)): bytes(1000) for n in range(200)}, sync=True)
    assert first.approximate_size() >= 0
    first.close()
    again = open_store(tmp_path / "db")
    assert len(again.scan(b"")) == 200
    again.close()


@pytest.mark.parametrize("engine", ["leveldb", "rocksdb"])
def test_a_second_opener_is_told(engine: str, tmp_path: Path) -> None:
    needs(engine)
    first = open_store(tmp_path / "db", engine)
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path / "db", engine)
    assert refused.value.code == "STORE_LOCKED"
    assert refused.value.expected
    assert refused.value.found
    assert refused.value.fix
    first.close()


@pytest.mark.parametrize("engine", ["leveldb", "rocksdb"])
def test_a_damaged_database_is_named(engine: str, tmp_path: Path) -> None:
    needs(engine)
    first = open_store(tmp_path / "db", engine)
    fill(first, {b"a": b"1"}, sync=True)
    first.close()
    (tmp_path / "db" / "CURRENT").write_text("no manifest\n")
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path / "db", engine)
    assert refused.value.code in ("STORE_CORRUPT", "STORE_IO")
    assert refused.value.fix


def test_another_engine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "ENGINE").write_text("rocksdb\n")
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path / "db", "leveldb")
    assert (refused.value.code, refused.value.expected, refused.value.found) == ("STORE_ENGINE", "leveldb", "rocksdb")
    with pytest.raises(StoreError) as unknown:
        open_store(tmp_path / "other", "sqlite")
    assert unknown.value.code == "STORE_ENGINE"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("a file")
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path / "db")
    assert refused.value.code == "STORE_IO"
