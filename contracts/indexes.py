"""Ordered indexes over maps of records: rows that the runtime keeps in step with every write.

A row's key is the index's prefix, the indexed fields and the map's own key parts, so pages come in the order of the
fields, then of the keys; its value is one byte. A write to the map costs the reading of the old record and the writing
of the rows that change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.faults import BadValue, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper
from contracts.resolve import Index
from contracts.storage import decode_parts, encode_parts

_ROW = b"\x01"


class IndexHandle:
    """The rows of one index of one instance, bound to one meter."""

    def __init__(self, index: Index, prefix: bytes, map_prefix: bytes, meter: Meter) -> None:
        self.index, self.prefix, self.map_prefix, self.meter = index, prefix, map_prefix, meter
        self.by = index.view.key[: len(index.by)]

    def row(self, record: Any, key: bytes) -> bytes:
        """The key of the row that a record under a key has."""
        fields = tuple([getattr(record, name) for name in self.index.by])
        return self.prefix + encode_parts(self.by, fields) + key[len(self.map_prefix) :]

    def moved(self, old: bytes | None, new: bytes | None) -> None:
        """Write what changed. A row that stays may still be missing: the index may be younger than the record."""
        meter = self.meter
        if old is not None and old == new:
            meter.spend(GAS.read + GAS.read_per_byte * len(old))
            if meter.get(old) is not None:
                return
            old = None
        if old is not None:
            meter.spend(GAS.write + GAS.write_per_byte * len(old))
            meter.delete(old)
        if new is not None:
            meter.spend(GAS.write + GAS.write_per_byte * (len(new) + len(_ROW)))
            meter.put(new, _ROW)

    def make_page(self, load: Helper | None) -> Helper:
        """Pages of keys, or with `load` of keys and records."""
        meter, shapes, prefix = self.meter, self.index.view.key, self.prefix
        head_length = len(self.by)

        def page(start: Any = (), after: Any = None, limit: Any = 1_000) -> list[Any]:
            if type(limit) is not int:
                raise TypeMismatch
            if not 0 <= limit <= LIMITS.page:
                raise BadValue
            head = prefix + encode_parts(shapes, start if type(start) is tuple else (start,))
            behind = None if after is None else prefix + encode_parts(shapes, _whole(after, len(shapes)))
            meter.spend(GAS.scan)
            found = meter.scan(head, behind, min(limit, meter.gas // GAS.scan_item + 1))
            size = sum(len(key) for key, _ in found)
            meter.spend(GAS.scan_item * len(found) + GAS.read_per_byte * size)
            meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(found) + size)
            rows: list[Any] = []
            for key, _ in found:
                parts = decode_parts(shapes, key, len(prefix))
                if load is None:
                    rows.append(parts)
                else:
                    own = encode_parts(shapes[head_length:], parts[head_length:])
                    rows.append((parts, load(self.map_prefix + own)))
            return rows

        return page


def _whole(key: Any, count: int) -> tuple[Any, ...]:
    if type(key) is not tuple or len(key) != count:
        raise TypeMismatch
    return key


def indexed(handles: Sequence[IndexHandle], helpers: Mapping[str, Any], name: str) -> dict[str, Callable[..., Any]]:
    """`store` and `drop` of a map that keep its indexes in step. Rows are made before anything is written, so that a
    refused value leaves both as they were."""
    find, store, drop = (helpers[f"{which}.{name}"] for which in ("find", "store", "drop"))

    def store_indexed(value: Any, key: bytes) -> None:
        old = find(key)
        rows = [(None if old is None else handle.row(old, key), handle.row(value, key)) for handle in handles]
        store(value, key)
        for handle, (before, after) in zip(handles, rows, strict=True):
            handle.moved(before, after)

    def drop_indexed(key: bytes) -> None:
        old = find(key)
        rows = [None if old is None else handle.row(old, key) for handle in handles]
        drop(key)
        for handle, before in zip(handles, rows, strict=True):
            handle.moved(before, None)

    return {f"store.{name}": store_indexed, f"drop.{name}": drop_indexed}


def build_indexes(
    indexes: Mapping[str, Index], prefix_of: Callable[[str], bytes], helpers: Mapping[str, Any], meter: Meter
) -> dict[str, Any]:
    """Helpers of all indexes of an instance (`keys.name`, `items.name`), and the writing helpers of their maps anew.
    `prefix_of`: where the storage of a name lies."""
    made: dict[str, Any] = {}
    of_map: dict[str, list[IndexHandle]] = {}
    for name, index in indexes.items():
        handle = IndexHandle(index, prefix_of(name), prefix_of(index.of), meter)
        of_map.setdefault(index.of, []).append(handle)
        made[f"keys.{name}"] = handle.make_page(None)
        made[f"items.{name}"] = handle.make_page(helpers[f"load.{index.of}"])
    for name, handles in of_map.items():
        made.update(indexed(handles, helpers, name))
    return made
