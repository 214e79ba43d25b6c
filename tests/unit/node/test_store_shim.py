"""The database of crash tests: everything unsynced is visible, and gone at the kill."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.store import Batch, MemoryStore, open_store
from node.store_shim import UnsyncedLostStore

Rows = list[tuple[bytes, bytes | None]]


def batch_of(rows: Rows) -> Batch:
    batch = Batch()
    batch.extend(rows)
    return batch


def test_what_was_not_synced_is_gone_after_a_kill_and_the_rest_is_whole(tmp_path: Path) -> None:
    disk = open_store(tmp_path / "db")
    store = UnsyncedLostStore(disk)
    store.write(batch_of([(b"a", b"1")]), sync=False)
    store.write(batch_of([(b"b", b"2")]), sync=True)
    store.write(batch_of([(b"a", None), (b"c", b"3")]), sync=False)
    assert store.scan(b"") == [(b"b", b"2"), (b"c", b"3")]
    assert (store.get(b"a"), store.get(b"c")) == (None, b"3")
    disk.close()  # the process is gone; only what reached the file counts
    again = open_store(tmp_path / "db")
    assert again.scan(b"") == [(b"a", b"1"), (b"b", b"2")]
    again.close()


def test_closing_forgets_and_refuses() -> None:
    disk = MemoryStore()
    store = UnsyncedLostStore(disk)
    store.write(batch_of([(b"a", b"1")]), sync=False)
    store.close()
    assert disk.rows == {}
    for attempt in (lambda: store.write(Batch(), sync=False), lambda: store.get(b"a"), lambda: store.scan(b"")):
        with pytest.raises(StoreError) as refused:
            attempt()
        assert refused.value.code == "STORE_CLOSED"


def test_a_failed_synced_write_keeps_what_was_remembered() -> None:
    class Failing(MemoryStore):
        fails = True

        def write(self, batch: Batch, sync: bool) -> None:
            if self.fails:
                raise StoreError("no space is left", code="STORE_FULL")
            super().write(batch, sync)

    disk = Failing()
    store = UnsyncedLostStore(disk)
    store.write(batch_of([(b"a", b"1")]), sync=False)
    with pytest.raises(StoreError):
        store.write(batch_of([(b"b", b"2")]), sync=True)
    assert store.scan(b"") == [(b"a", b"1")]
    disk.fails = False
    store.write(Batch(), sync=True)
    assert disk.rows == {b"a": b"1"}


KEYS = st.binary(min_size=1, max_size=2)
WRITES = st.lists(st.tuples(st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=1)), max_size=4), st.booleans()))


@given(
    writes=WRITES,
    prefix=st.binary(max_size=1),
    after=st.none() | KEYS,
    limit=st.integers(0, 6),
    reverse=st.booleans(),
)
def test_readers_see_what_a_plain_store_shows(
    writes: list[tuple[Rows, bool]], prefix: bytes, after: bytes | None, limit: int, reverse: bool
) -> None:
    plain, disk = MemoryStore(), MemoryStore()
    store = UnsyncedLostStore(disk)
    durable = dict(plain.rows)
    for rows, sync in writes:
        plain.write(batch_of(rows), sync)
        before, old = store.snapshot(), store.scan(b"")
        store.write(batch_of(rows), sync)
        assert before.scan(b"") == old
        if sync:
            durable = dict(plain.rows)
        assert disk.rows == durable
    expected = plain.scan(prefix, after, limit, reverse)
    assert store.scan(prefix, after, limit, reverse) == expected
    assert store.snapshot().scan(prefix, after, limit, reverse) == expected
    for key, value in expected:
        assert store.get(key) == store.snapshot().get(key) == value
