"""The database: ordered keys, point reads, scans, and batches that are written whole or not at all.

`Store` is all that the rest of gridchain knows of a database; every implementation passes one conformance suite, and no
root depends on which is used. LevelDB (plyvel) where there is a wheel for it, RocksDB (rocksdict) elsewhere, memory for
tests. This is the only module that imports either.

A `StoreError` has one of these codes: STORE_LOCKED (another process has it open), STORE_CORRUPT, STORE_FULL (no space
left), STORE_ENGINE (made by another engine, or none is installed), STORE_CLOSED, STORE_IO (any other failure).
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

from ledger.errors import StoreError
from ledger.store_protocol import NO_LIMIT, Batch, MemoryStore, Snapshot, Store, StoreReader, prefix_end

__all__ = [
    "NO_LIMIT",
    "Batch",
    "LevelStore",
    "MemoryStore",
    "RocksStore",
    "Snapshot",
    "Store",
    "StoreReader",
    "open_store",
    "prefix_end",
]

ENGINE_FILE = "ENGINE"
_WRITE_BUFFER = 32 * 1024 * 1024
_BLOCK_CACHE = 64 * 1024 * 1024
_BLOOM_BITS = 10


_REOPEN = "start the node again"


def open_store(path: Path, engine: str = "auto") -> Store:
    """Open or create the database in directory `path`. `engine`: "auto", "leveldb" or "rocksdb"; auto takes what made
    it.
    """
    made_by = _engine_of(path)
    if engine == "auto":
        engine = made_by or ("leveldb" if importlib.util.find_spec("plyvel") else "rocksdb")
    if made_by is not None and made_by != engine:
        raise StoreError(
            f"the database in {path} was made by another engine",
            code="STORE_ENGINE",
            expected=engine,
            found=made_by,
            fix=f"set the engine to {made_by}, or use another directory",
        )
    if engine not in ("leveldb", "rocksdb"):
        raise StoreError(
            "unknown store engine",
            code="STORE_ENGINE",
            expected="leveldb or rocksdb",
            found=engine,
            fix="set [node] store to one of them, or to auto",
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        store: Store = LevelStore(path) if engine == "leveldb" else RocksStore(path)
        if made_by is None:
            (path / ENGINE_FILE).write_text(engine + "\n")
    except OSError as error:
        raise _failure(error, path) from None
    return store


def _engine_of(path: Path) -> str | None:
    try:
        return (path / ENGINE_FILE).read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failure(error, path) from None


def _plyvel() -> ModuleType:
    try:
        import plyvel
    except ImportError as error:
        raise _missing("plyvel", error) from None
    module: ModuleType = plyvel
    return module


def _rocksdict() -> ModuleType:
    try:
        import rocksdict
    except ImportError as error:
        raise _missing("rocksdict", error) from None
    module: ModuleType = rocksdict
    return module


def _missing(module: str, error: ImportError) -> StoreError:
    return StoreError(
        f"the database needs the package {module}",
        code="STORE_ENGINE",
        expected=module,
        found=str(error),
        fix=f"pip install {module}",
    )


def _failure(error: BaseException, path: Path) -> StoreError:
    """Name a failure of a database library or of the file system."""
    first = error.args[0] if error.args else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(error)
    low = text.lower()
    if "no space left" in low or "disk quota" in low:
        return StoreError(
            f"no space is left for the database in {path}",
            code="STORE_FULL",
            expected="room to write",
            found=f"{text}; {_free(path)}",
            fix="free disk space and start again; nothing committed is lost",
        )
    if "lock" in low and ("held" in low or "unavailable" in low or "hold" in low):
        return StoreError(
            f"the database in {path} is open elsewhere",
            code="STORE_LOCKED",
            expected="one process",
            found=text,
            fix="stop the other node, or use another directory",
        )
    if "corrupt" in low or "checksum" in low or "missing files" in low or "current file" in low:
        return StoreError(
            f"the database in {path} is damaged",
            code="STORE_CORRUPT",
            expected="what was written",
            found=text,
            fix="restore a backup, or remove the directory and sync again",
        )
    if "closed" in low:
        return StoreError(
            f"the database in {path} is closed", code="STORE_CLOSED", expected="an open one", found=text, fix=_REOPEN
        )
    return StoreError(
        f"the database in {path} cannot be used",
        code="STORE_IO",
        expected="a disk that can be read and written",
        found=f"{text}; {_free(path)}",
        fix="check the disk and permissions, then start again",
    )


def _free(path: Path) -> str:
    """How much room the disk of `path` has."""
    try:
        return f"{shutil.disk_usage(path).free} bytes free"
    except OSError as error:
        return f"its disk tells nothing: {error.strerror}"


# -- LevelDB


class LevelStore:
    """LevelDB by plyvel. Bloom filters of 10 bits a key make a miss cheap; no compression: hashes and signatures have
    none.
    """

    def __init__(self, path: Path) -> None:
        self._plyvel = _plyvel()
        self._path = path
        with self._named():
            self._db = self._plyvel.DB(
                str(path),
                create_if_missing=True,
                write_buffer_size=_WRITE_BUFFER,
                lru_cache_size=_BLOCK_CACHE,
                bloom_filter_bits=_BLOOM_BITS,
                compression=None,
            )

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (self._plyvel.Error, OSError, RuntimeError) as error:
            raise _failure(error, self._path) from None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        try:
            value: bytes | None = self._db.get(key)
        except (self._plyvel.Error, RuntimeError) as error:
            raise _failure(error, self._path) from None
        return value

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Rows under `prefix`, see `StoreReader.scan`."""
        with self._named():
            return _level_scan(self._db, prefix, after, limit, reverse)

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch, see `Store.write`."""
        with self._named():
            native = self._db.write_batch(sync=sync)
            put, delete = native.put, native.delete
            for key, value in batch.rows:
                if value is None:
                    delete(key)
                else:
                    put(key, value)
            native.write()

    def snapshot(self) -> Snapshot:
        """A consistent view."""
        with self._named():
            return _LevelSnapshot(self._db.snapshot(), self)

    def approximate_size(self) -> int:
        """Bytes in table files."""
        with self._named():
            size: int = self._db.approximate_size(b"\x00", b"\xff" * 64)
        return size

    def close(self) -> None:
        """Close the database and its lock."""
        self._db.close()


class _LevelSnapshot:
    def __init__(self, native: Any, store: LevelStore) -> None:
        self._native = native
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        with self._store._named():
            value: bytes | None = self._native.get(key)
        return value

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        with self._store._named():
            return _level_scan(self._native, prefix, after, limit, reverse)

    def close(self) -> None:
        self._native.close()


def _level_scan(
    native: Any, prefix: bytes, after: bytes | None, limit: int, reverse: bool
) -> list[tuple[bytes, bytes]]:
    start, stop = prefix, prefix_end(prefix)
    include_start = True
    if after is not None and reverse:
        stop = after if stop is None or after < stop else stop
    elif after is not None and after >= prefix:
        start, include_start = after, False
    if limit <= 0 or (stop is not None and stop <= start):
        return []
    if reverse:
        # plyvel 1.5.1 drops a row at `start` if it is the only one of a reverse range: so no start, and an end by hand.
        with native.iterator(stop=stop, reverse=True) as rows:
            return list(islice(takewhile(lambda row: row[0] >= start, rows), limit))
    with native.iterator(start=start, stop=stop, include_start=include_start) as rows:
        return list(islice(rows, limit) if limit < NO_LIMIT else rows)


# -- RocksDB


class RocksStore:
    """RocksDB by rocksdict, where plyvel has no wheel."""

    def __init__(self, path: Path) -> None:
        self._rocks = _rocksdict()
        self._path = path
        self._open = True
        options = self._rocks.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_WRITE_BUFFER)
        table = self._rocks.BlockBasedOptions()
        table.set_bloom_filter(_BLOOM_BITS, False)
        table.set_block_cache(self._rocks.Cache(_BLOCK_CACHE))
        options.set_block_based_table_factory(table)
        with self._named():
            self._db = self._rocks.Rdict(str(path), options=options)

    @contextmanager
    def _named(self) -> Iterator[None]:
        if not self._open:
            raise StoreError(
                f"the database in {self._path} is closed",
                code="STORE_CLOSED",
                expected="an open one",
                found="closed",
                fix=_REOPEN,
            )
        try:
            yield
        except Exception as error:  # noqa: BLE001 - rocksdict raises plain Exception for every failure of the database
            raise _failure(error, self._path) from None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        with self._named():
            value: bytes | None = self._db.get(key)
        return value

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Rows under `prefix`, see `StoreReader.scan`."""
        with self._named():
            return _rocks_scan(self._db.iter(), prefix, after, limit, reverse)

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch, see `Store.write`."""
        with self._named():
            native = self._rocks.WriteBatch(raw_mode=True)
            for key, value in batch.rows:
                if value is None:
                    native.delete(key)
                else:
                    native.put(key, value)
            options = self._rocks.WriteOptions()
            options.sync = sync
            self._db.write(native, write_opt=options)

    def snapshot(self) -> Snapshot:
        """A consistent view."""
        with self._named():
            return _RocksSnapshot(self._db.iter(), self)

    def approximate_size(self) -> int:
        """Bytes in table files."""
        return sum(entry.stat().st_size for entry in self._path.glob("*.sst"))

    def close(self) -> None:
        """Close the database and its lock."""
        if self._open:
            with self._named():
                self._db.close()
            self._open = False


class _RocksSnapshot:
    """One iterator, which sees the database as it was when made; the iterators of rocksdict's own snapshot do not."""

    def __init__(self, cursor: Any, store: RocksStore) -> None:
        self._cursor = cursor
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        rows = self.scan(key, limit=1)
        return rows[0][1] if rows and rows[0][0] == key else None

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        with self._store._named():
            return _rocks_scan(self._cursor, prefix, after, limit, reverse)

    def close(self) -> None:
        self._cursor = None


def _rocks_scan(
    cursor: Any, prefix: bytes, after: bytes | None, limit: int, reverse: bool
) -> list[tuple[bytes, bytes]]:
    end = prefix_end(prefix)
    if reverse:
        before = end if after is None else after if end is None else min(after, end)
        if before is None:
            cursor.seek_to_last()
        else:
            cursor.seek_for_prev(before)
            if cursor.valid() and cursor.key() == before:
                cursor.prev()
    else:
        cursor.seek(prefix if after is None else max(after, prefix))
        if after is not None and cursor.valid() and cursor.key() == after:
            cursor.next()
    found: list[tuple[bytes, bytes]] = []
    while len(found) < limit and cursor.valid():
        key: bytes = cursor.key()
        if not key.startswith(prefix):
            break
        found.append((key, cursor.value()))
        if reverse:
            cursor.prev()
        else:
            cursor.next()
    return found
