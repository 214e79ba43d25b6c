"""State in memory that remembers what a call read and wrote, and storage keys in the words of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.compile import Program
from contracts.migration import ACTIVATIONS
from contracts.shapes import wire_type
from contracts.storage import decode_parts
from contracts.values import wire_decoder
from ledger.schema import STATE_SCHEDULE, state_storage
from ledger.state import NO_LIMIT, Overlay, StateBase
from ledger.state_base import StateRows

_SCHEDULED = (STATE_SCHEDULE, ACTIVATIONS)


class NoRows:
    """A store that holds nothing: everything a test writes is in one overlay."""

    def get(self, key: bytes) -> bytes | None:
        """Nothing."""
        return None

    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Nothing."""
        return []


@dataclass(slots=True)
class Touched:
    """State keys that a call used: `read` to the value found first, `written` to the values before and after. What a
    failed call wrote is here too, although it was undone."""

    read: dict[bytes, bytes | None] = field(default_factory=dict)
    written: dict[bytes, tuple[bytes | None, bytes | None]] = field(default_factory=dict)


class WatchedState(Overlay):
    """One overlay over `rows`; `touched` collects what is used since it was last replaced. `taken` hears of each
    scheduled call, key and record, when it is taken out to be made."""

    __slots__ = ("peek", "store", "taken", "touched")

    def __init__(self, rows: StateRows) -> None:
        super().__init__(StateBase(rows))
        self.touched = Touched()
        self.taken: Callable[[bytes, bytes], None] | None = None
        self.peek: Callable[[bytes], bytes | None] = self.get
        """As `get`; not noted."""
        self.get = self.noted
        self.store: Callable[[bytes, bytes], None] = self.put
        """As `put`; not noted."""
        self.put = self.stored

    def noted(self, key: bytes) -> bytes | None:
        """The value of a key; noted."""
        value = self.peek(key)
        if key not in self.touched.written:
            self.touched.read.setdefault(key, value)
        return value

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT) -> list[tuple[bytes, bytes]]:
        """As the overlay; the rows found are noted."""
        rows = super().scan(prefix, after, limit)
        for key, value in rows:
            if key not in self.touched.written:
                self.touched.read.setdefault(key, value)
        return rows

    def stored(self, key: bytes, value: bytes) -> None:
        """Write a key; noted."""
        self.note(key, value)
        self.store(key, value)

    def delete(self, key: bytes) -> None:
        """As the overlay; noted."""
        if self.taken is not None and key.startswith(_SCHEDULED):
            self.taken(key, self.peek(key) or b"")
        self.note(key, None)
        super().delete(key)

    def note(self, key: bytes, value: bytes | None) -> None:
        """Keep the value before the first write and after the last."""
        known = self.touched.written.get(key)
        self.touched.written[key] = (self.peek(key) if known is None else known[0], value)


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of contract storage: instance, slot, and the parts of its key, empty for a Var."""

    contract: str
    slot: str
    key: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A storage entry and its value, None where it is absent."""

    place: Place
    value: Any


class Layout:
    """Reads state keys and values as the declarations of instances name them: (instance, program, storage of its slots
    where an upgrade moved it)."""

    def __init__(self, programs: Iterable[tuple[str, Program, Mapping[str, str]]]) -> None:
        self.slots = [
            (state_storage(name, places.get(slot.name, slot.name)), name, program, slot)
            for name, program, places in programs
            for slot in program.contract.slots.values()
        ]

    def entry(self, key: bytes, raw: bytes | None) -> Entry | None:
        """The storage entry under a state key; None for keys of the chain itself."""
        for prefix, name, program, slot in self.slots:
            if key.startswith(prefix):
                value = None
                if raw is not None:
                    value = wire_decoder(wire_type(slot.value, program.structs)).decode(raw)
                return Entry(Place(name, slot.name, decode_parts(slot.key, key, len(prefix))), value)
        return None
