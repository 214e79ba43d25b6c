"""Storage of a contract: keys as bytes, values beside their encoding, pages in key order. docs/gas.md, section 6."""

from __future__ import annotations

from typing import Any

from oracle.contract import MISSING, Index, Slot
from oracle.failures import Failure, Stop, bad_value, mismatch
from oracle.gas import G, L, Meter
from oracle.shapes import Shape, Types
from oracle.values import pack

BIAS = 2**255
Place = tuple[bytes, tuple[Any, ...]]
"""A key and its parts."""


def named(text: str) -> bytes:
    raw = text.encode("utf-8")
    return bytes((len(raw),)) + raw


def key_part(shape: Shape, value: Any) -> bytes:
    """One part of a key, of a checked value."""
    match shape.tag:
        case "u64":
            return int(value).to_bytes(8, "big")
        case "u256":
            return int(value).to_bytes(32, "big")
        case "int":
            return (int(value) + BIAS).to_bytes(32, "big")
        case "bool":
            return b"\x01" if value else b"\x00"
        case "Address":
            return bytes(value)
    raw = value.encode("utf-8") if type(value) is str else bytes(value)
    if len(raw) > L.key_bytes:
        raise bad_value()
    return len(raw).to_bytes(2, "big") + raw


class State:
    """What all contracts stored: key to (key parts, value, encoding). Values in it never change."""

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[tuple[Any, ...], Any, bytes]] = {}

    def encoded(self) -> dict[bytes, bytes]:
        return {key: row[2] for key, row in self.rows.items()}


class Storage:
    """Accessors of one instance's slots."""

    def __init__(self, instance: str, types: Types, meter: Meter, state: State) -> None:
        self.prefix = b"c" + named(instance)
        self.types = types
        self.meter = meter
        self.state = state
        self.readonly = False
        self.indexes: dict[str, Index] = {}

    def head(self, slot: Slot) -> bytes:
        return self.prefix + named(slot.name)

    def key(self, slot: Slot, value: Any) -> Place:
        """The key of a whole value."""
        if not slot.tuple_key:
            value = (value,)
        elif type(value) is not tuple or len(value) != len(slot.key):
            raise mismatch()
        return self.parts(slot, value), value

    def parts(self, slot: Slot, values: tuple[Any, ...]) -> bytes:
        """Leading parts of a key, checked one by one."""
        if len(values) > len(slot.key):
            raise mismatch()
        made = self.head(slot)
        for shape, value in zip(slot.key, values, strict=False):
            made += key_part(shape, self.types.check(shape, value))
        return made

    def missing(self, slot: Slot) -> Any:
        if slot.default is MISSING:
            raise Failure("KeyMissing")
        return list(slot.default) if slot.value.tag == "list" else slot.default

    def read(self, key: bytes) -> tuple[Any, bytes] | None:
        """Pay for a read and the memory of what is there."""
        row = self.state.rows.get(key)
        self.meter.spend(G.read + G.read_per_byte * (len(key) + (0 if row is None else len(row[2]))))
        if row is None:
            return None
        self.meter.allocate(len(row[2]))
        return row[1], row[2]

    def opened(self, slot: Slot, value: Any, raw: bytes) -> Any:
        """A stored list comes out fresh, at a price in memory."""
        if slot.value.tag != "list" or type(value) is not tuple:
            return value
        self.meter.allocate(len(raw))
        self.meter.items(len(value))
        return thaw(value)

    def load(self, slot: Slot, key: bytes) -> Any:
        found = self.read(key)
        return self.missing(slot) if found is None else self.opened(slot, *found)

    def find(self, slot: Slot, key: bytes, default: Any = None) -> Any:
        if slot.default is not MISSING and default is None:
            return self.load(slot, key)
        found = self.read(key)
        return default if found is None else self.opened(slot, *found)

    def has(self, key: bytes) -> bool:
        row = self.state.rows.get(key)
        self.meter.spend(G.read + G.read_per_byte * (len(key) + (0 if row is None else len(row[2]))))
        return row is not None

    def store(self, slot: Slot, key: Place, value: Any) -> None:
        rows = self.rows(slot, key, value)
        self.write(key, value)
        self.move(rows)

    def drop(self, slot: Slot, key: Place) -> None:
        rows = self.rows(slot, key, None)
        self.erase(key[0])
        self.move(rows)

    def write(self, key: Place, value: Any) -> None:
        raw = pack(value, True)
        if len(raw) > L.stored_value:
            self.meter.spend(G.write + G.write_per_byte * L.stored_value)
            raise bad_value()
        self.meter.spend(G.write + G.write_per_byte * (len(key[0]) + len(raw)))
        if self.readonly:
            raise Stop("AuthDenied")
        self.state.rows[key[0]] = (key[1], value, raw)

    def erase(self, key: bytes) -> None:
        self.meter.spend(G.write + G.write_per_byte * len(key))
        if key not in self.state.rows:
            raise Failure("KeyMissing")
        if self.readonly:
            raise Stop("AuthDenied")
        del self.state.rows[key]

    def rows(self, slot: Slot, key: Place, value: Any) -> list[tuple[Place | None, Place | None]]:
        """For each index of a map the row of what is stored and of what is to be."""
        indexes = [index for index in self.indexes.values() if index.of == slot.name]
        old = self.find(slot, key[0]) if indexes else None
        return [(self.row(index, old, key[1]), self.row(index, value, key[1])) for index in indexes]

    def row(self, index: Index, record: Any, key: tuple[Any, ...]) -> Place | None:
        if record is None:
            return None
        parts = tuple(record.get(name) for name in index.by) + key
        return self.parts(index.view, parts), parts

    def move(self, rows: list[tuple[Place | None, Place | None]]) -> None:
        """Write the rows that change. One that stays is looked at."""
        for old, new in rows:
            if old is not None and old == new:
                self.meter.spend(G.read + G.read_per_byte * len(old[0]))
                continue
            if old is not None:
                self.meter.spend(G.write + G.write_per_byte * len(old[0]))
                del self.state.rows[old[0]]
            if new is not None:
                self.meter.spend(G.write + G.write_per_byte * (len(new[0]) + 1))
                self.state.rows[new[0]] = (new[1], None, b"\x01")

    def index_page(
        self, index: Index, slot: Slot, values: bool, start: Any = (), after: Any = None, limit: Any = 1_000
    ) -> list[Any]:
        """A page of an index; with values, each record is read."""
        if type(limit) is not int:
            raise mismatch()
        if not 0 <= limit <= L.page:
            raise bad_value()
        found = self.scan(index.view, start if type(start) is tuple else (start,), after, limit)
        size = sum(map(len, found))
        self.meter.spend(G.scan_item * len(found) + G.read_per_byte * size)
        self.meter.allocate(size)
        self.meter.items(len(found), 2)
        keys = [self.state.rows[key][0] for key in found]
        tail = len(index.by)
        return [(key, self.load(slot, self.parts(slot, key[tail:]))) for key in keys] if values else list(keys)

    def scan(self, slot: Slot, leading: tuple[Any, ...], after: Any, limit: int) -> list[bytes]:
        """Keys in order behind `after`."""
        head = self.parts(slot, leading)
        behind = b"" if after is None else self.key(slot, after)[0]
        self.meter.spend(G.scan)
        return sorted(key for key in self.state.rows if key.startswith(head) and key > behind)[:limit]

    def page(self, slot: Slot, values: bool, start: Any = (), after: Any = None, limit: Any = 1_000) -> list[Any]:
        if type(limit) is not int:
            raise mismatch()
        if not 0 <= limit <= L.page:
            raise bad_value()
        leading = start if type(start) is tuple else (start,)
        if leading and not slot.tuple_key:
            raise mismatch()
        found = self.scan(slot, leading, after, limit)
        size = sum(len(key) + len(self.state.rows[key][2]) for key in found)
        self.meter.spend(G.scan_item * len(found) + G.read_per_byte * size)
        self.meter.allocate(size)
        self.meter.items(len(found), 2)
        rows: list[Any] = []
        for key in found:
            parts, value, raw = self.state.rows[key]
            name = parts if slot.tuple_key else parts[0]
            rows.append((name, self.opened(slot, value, raw)) if values else name)
        return rows


def thaw(value: Any) -> Any:
    return [thaw(item) for item in value] if type(value) is tuple else value
