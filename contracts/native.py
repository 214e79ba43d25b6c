"""Contracts that are part of the runtime: an interface in contract source, behind each entry a function of this room.

They are called like any other contract and have the same meter; what they read and write costs the same. The interface
gives them typed arguments, an ABI and events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from contracts.compile import compile_source
from contracts.faults import BadValue, Reverted
from contracts.frames import Machine
from contracts.limits import TEXT_BYTES
from contracts.meter import GAS, LIMITS
from contracts.program import Instance
from contracts.state_format import ScheduledCall, sequence_key
from contracts.values import encode_value
from ledger.codec import Wire, decode, encode
from ledger.errors import InvariantBroken
from ledger.objects import Event
from ledger.schema import state_scheduled, state_storage

W = TypeVar("W", bound=Wire)


def link_native(machine: Machine, name: str, source: str, functions: Mapping[str, Callable[..., Any]]) -> Instance:
    """An instance whose entries are `functions`. Raise `InvariantBroken` if they are not those of the interface."""
    linked = Instance(compile_source(source), name, frozenset(), machine.library)
    if linked.entries.keys() != functions.keys():
        raise InvariantBroken(f"interface and functions of {name} differ")
    linked.entries = {label: replace(entry, call=functions[label]) for label, entry in linked.entries.items()}
    return linked


def fail(code: str, details: Any = None) -> NoReturn:
    """Revert the call with a code."""
    raise Reverted(code, details)


class NativeState:
    """Metered access to state for the functions of one native contract."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.meter = machine.meter
        self.name = name

    def key(self, slot: str, part: bytes | str = b"") -> bytes:
        """Where an entry of a slot lies; `part` is its whole key."""
        return state_storage(self.name, slot) + (part.encode("utf-8") if isinstance(part, str) else part)

    def read(self, key: bytes) -> bytes | None:
        """Charge for and return what a key holds."""
        raw = self.meter.get(key)
        self.meter.spend(GAS.read + GAS.read_per_byte * (len(key) + (0 if raw is None else len(raw))))
        if raw is not None:
            self.meter.allocate(len(raw))
        return raw

    def load(self, kind: type[W], key: bytes) -> W | None:
        """Read a record."""
        raw = self.read(key)
        return None if raw is None else decode(kind, raw)

    def write(self, key: bytes, raw: bytes) -> None:
        """Charge and write."""
        self.meter.spend(GAS.write + GAS.write_per_byte * (len(key) + len(raw)))
        self.meter.put(key, raw)

    def save(self, key: bytes, record: Wire) -> None:
        """Write a record."""
        self.write(key, encode(record))

    def drop(self, key: bytes) -> None:
        """Charge and delete."""
        self.meter.spend(GAS.write + GAS.write_per_byte * len(key))
        self.meter.delete(key)

    def page(self, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """Rows under a prefix behind a key, charged by row and byte."""
        if not 0 <= limit <= LIMITS.page:
            raise BadValue
        meter = self.meter
        meter.spend(GAS.scan)
        found = meter.scan(prefix, after, min(limit, meter.gas // GAS.scan_item + 1))
        size = sum(len(key) + len(raw) for key, raw in found)
        meter.spend(GAS.scan_item * len(found) + GAS.read_per_byte * size)
        meter.allocate(size)
        return found

    def emit(self, label: str, **fields: Any) -> None:
        """Tell the world; fields as the interface declares them."""
        data = encode_value(fields)
        self.meter.spend(GAS.event + GAS.event_per_byte * len(data))
        self.meter.allocate(TEXT_BYTES + len(data))
        self.meter.events.append(Event(self.name, label, data))

    def schedule(self, entry: str, *arguments: Any, later: int = 1) -> None:
        """Call an own scheduled entry in the first block whose market time is `later` ms behind this one's: 0 is this
        block, 1 the next."""
        meter, machine = self.meter, self.machine
        due = meter.market_time_ms + later
        counter = sequence_key(self.name)
        last = self.read(counter)
        number = 0 if last is None else int.from_bytes(last, "big")
        self.write(counter, (number + 1).to_bytes(8, "big"))
        call = ScheduledCall(due, entry, encode_value(list(arguments)), machine.limits.scheduled_gas)
        self.save(state_scheduled(machine.clock.block_time(due), self.name, number), call)
