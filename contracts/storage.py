"""Storage of a contract instance: typed cells and maps over the state view of the running transaction.

A key is the slot's prefix and its parts: u64 8 bytes, u256 32 bytes, int 32 bytes with the sign bit turned, bool one
byte, Address 32 bytes, str and bytes behind a 2-byte length. So key order is value order for integers and no part can
imitate another. Values are typed: what was checked when written is decoded without checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from struct import Struct
from typing import Any

import msgspec

from contracts import checks
from contracts.faults import BadValue, KeyMissing, OutOfGas, OutOfMemory, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.operators import Helper
from contracts.resolve import MISSING, Contract, Slot
from contracts.shapes import Shape, wire_type
from contracts.values import ValueRefused, wide, wire_decoder
from contracts.weights import compound, too_large
from ledger.errors import InvariantBroken
from ledger.schema import state_storage

_BIAS = 2**255
_raw_encode = msgspec.msgpack.Encoder().encode


def struct_types(contract: Contract) -> dict[str, type]:
    """One msgspec struct per record of a contract; fields keep lists as tuples, so a record cannot change."""
    structs: dict[str, type] = {}
    for record in contract.records.values():
        fields = [(name, wire_type(shape, structs)) for name, shape in record.fields.items()]
        structs[record.name] = msgspec.defstruct(record.name, fields, array_like=True, frozen=True, gc=False)
    return structs


def event_types(contract: Contract) -> dict[str, type]:
    """One msgspec struct per event of a contract by its name in the source. Fields stand in the order of their
    encodings, so that one is encoded as the canonical map."""
    return {
        name: msgspec.defstruct(
            name,
            [(field, Any) for field in event_order(event.fields)],
            frozen=True,
            gc=False,
        )
        for name, event in contract.events.items()
    }


def event_order(fields: Iterable[str]) -> list[str]:
    """Names of an event's fields as they stand in its struct."""
    return sorted(fields, key=lambda field: (len(field), field))


def key_text(value: Any) -> bytes:
    """A str or bytes key part behind its length."""
    raw = value.encode("utf-8") if type(value) is str else value
    if len(raw) > LIMITS.key_bytes:
        raise BadValue
    return len(raw).to_bytes(2, "big") + bytes(raw)


def key_int(value: int) -> bytes:
    """A signed integer key part; ascending."""
    return (value + _BIAS).to_bytes(32, "big")


_ENCODE: dict[str, Callable[[Any], bytes]] = {
    "u64": lambda value: checks.as_u64(value).to_bytes(8, "big"),
    "u256": lambda value: checks.as_u256(value).to_bytes(32, "big"),
    "int": lambda value: key_int(checks.as_int(value)),
    "bool": lambda value: b"\x01" if _typed(value, bool) else b"\x00",
    "Address": checks.as_address,
    "str": lambda value: key_text(_typed(value, str)),
    "bytes": lambda value: key_text(_typed(value, bytes)),
}
_FORMATS = {"u64": "Q", "Address": "32s", "bool": "?"}
_WIDTH = {"u64": 8, "u256": 32, "int": 32, "bool": 1, "Address": 32}


_PACKED = {f"pack{count}": Struct(f">{count}Q").pack for count in range(2, LIMITS.key_items + 1)}
"""Several u64 key parts at once."""


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeMismatch
    return value


def encode_parts(shapes: tuple[Shape, ...], values: tuple[Any, ...]) -> bytes:
    """Leading key parts as bytes."""
    if len(values) > len(shapes):
        raise TypeMismatch
    return b"".join(_ENCODE[shape.tag](value) for shape, value in zip(shapes, values, strict=False))


def decode_parts(shapes: tuple[Shape, ...], raw: bytes, position: int) -> tuple[Any, ...]:
    """Key parts of a stored key, from behind the slot's prefix."""
    parts: list[Any] = []
    for shape in shapes:
        width = _WIDTH.get(shape.tag)
        if width is None:
            width = int.from_bytes(raw[position : position + 2], "big")
            position += 2
        piece = raw[position : position + width]
        position += width
        match shape.tag:
            case "u64" | "u256":
                parts.append(int.from_bytes(piece, "big"))
            case "int":
                parts.append(int.from_bytes(piece, "big") - _BIAS)
            case "bool":
                parts.append(piece == b"\x01")
            case "str":
                parts.append(piece.decode("utf-8"))
            case _:
                parts.append(piece)
    return tuple(parts)


def part_reader(shapes: tuple[Shape, ...]) -> Callable[[bytes, int], tuple[Any, ...]]:
    """`decode_parts` for the parts of one slot: all at once where they have fixed widths."""
    if all(shape.tag in _FORMATS for shape in shapes):
        return Struct(">" + "".join(_FORMATS[shape.tag] for shape in shapes)).unpack_from
    return partial(decode_parts, shapes)


def encode_stored(value: Any) -> bytes:
    """A checked value as it is stored."""
    try:
        return _raw_encode(value)
    except OverflowError:
        return _raw_encode(_widened(value))
    except UnicodeEncodeError:
        raise BadValue from None


def _widened(value: Any) -> Any:
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else wide(value)
    if type(value) is tuple:
        return [_widened(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return [_widened(getattr(value, name)) for name in value.__struct_fields__]
    return value


def key_width(shapes: tuple[Shape, ...], prefix: int) -> int:
    """Bytes of every key of a slot; 0 if they differ."""
    widths = [_WIDTH.get(shape.tag, 0) for shape in shapes]
    return prefix + sum(widths) if all(widths) else 0


class SlotHandle:
    """Accessors of one slot of one instance, bound to one meter. `helpers` are the functions that code calls."""

    def __init__(self, slot: Slot, prefix: bytes, meter: Meter, structs: Mapping[str, type], is_compound: bool) -> None:
        self.slot = slot
        self.is_compound = is_compound
        self.meter = meter
        self.prefix = prefix
        self.decode = wire_decoder(wire_type(slot.value, structs)).decode
        self.is_list = slot.value.tag == "list"
        self.width = key_width(slot.key, len(prefix))
        self.held: tuple[bytes | None, Any, int, int] = (None, None, 0, 0)
        """Of a Var: stored bytes, their value, which nobody can change, the gas of reading them, their size. Good for
        as long as the state shows that same object. Entries of maps are not worth the memory that would be touched."""

    def missing(self) -> Any:
        """What reading an absent entry gives."""
        if self.slot.default is MISSING:
            raise KeyMissing
        return list(self.slot.default) if self.is_list else self.slot.default

    def value(self, raw: bytes) -> Any:
        """Decode what is stored. Only this runtime wrote it, so anything unreadable is a host fault."""
        try:
            found = self.decode(raw)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InvariantBroken(
                f"storage slot {self.slot.name} holds what the runtime did not write: {error}"
            ) from error
        if self.is_list and found is not None:
            self.room(len(raw), len(found))
            return checks.thawed(found)
        return found

    def values(self, raws: list[bytes]) -> list[Any]:
        """Decode several."""
        if not self.is_list:
            try:
                return list(map(self.decode, raws))
            except (msgspec.MsgspecError, ValueError):
                pass
        return list(map(self.value, raws))

    def room(self, size: int, items: int) -> None:
        self.meter.allocate(size + LIST_BYTES + ITEM_BYTES * items)

    def helpers(self) -> dict[str, Helper]:
        name = self.slot.name
        reading = {
            f"load.{name}": self.make_load(),
            f"find.{name}": self.make_find(False),
            f"has.{name}": self.make_has(),
        }
        writing = {f"store.{name}": self.make_store(), f"drop.{name}": self.make_drop()}
        paging = {f"items.{name}": self.make_page(True), f"keys.{name}": self.make_page(False)}
        return {**reading, **writing, **paging, f"key.{name}": self.make_key(), f"prefix.{name}": self.prefix}  # type: ignore[dict-item]  # bytes beside functions

    def make_load(self) -> Helper:
        return self.make_find(True) if self.slot.key else self.make_cell_load()

    def make_cell_load(self) -> Helper:
        meter = self.meter

        def load(key: bytes) -> Any:
            get = (
                meter.get
            )  # a name of its own: CPython looks an instance's callable up slowly where it is called at once
            raw = get(key)
            known, value, cost, size = self.held
            if raw is not known or raw is None:
                return self.first(key, raw)
            meter.gas -= cost
            if meter.gas < 0:
                raise OutOfGas
            meter.mem -= size
            if meter.mem < 0:
                raise OutOfMemory
            return value

        return load

    def first(self, key: bytes, raw: bytes | None) -> Any:
        """Read a Var that is not in `held` as it is stored now."""
        size = 0 if raw is None else len(raw)
        cost = GAS.read + GAS.read_per_byte * (len(key) + size)
        self.meter.spend(cost)
        if raw is None:
            return self.missing()
        self.meter.allocate(size)
        value = self.value(raw)
        if not self.is_list:
            self.held = (raw, value, cost, size)
        return value

    def make_find(self, strict: bool) -> Helper:
        """`slot[key]` if `strict`, else `slot.get(key, default)`."""
        meter, value = self.meter, self.value
        decode: Callable[[bytes], Any] = value if self.is_list else self.decode
        per_byte, base = GAS.read_per_byte, GAS.read
        fixed = base + per_byte * self.width if self.width else 0
        strict_without = strict or self.slot.default is not MISSING

        def find(key: bytes, default: Any = None) -> Any:
            get = meter.get
            raw = get(key)
            if raw is None:
                meter.spend(base + per_byte * len(key))
                return self.missing() if strict_without and default is None else default
            size = len(raw)
            meter.gas -= (fixed or base + per_byte * len(key)) + per_byte * size
            if meter.gas < 0:
                raise OutOfGas
            meter.mem -= size
            if meter.mem < 0:
                raise OutOfMemory
            try:
                return decode(raw)
            except (msgspec.MsgspecError, ValueError):
                return value(raw)

        return find

    def make_has(self) -> Helper:
        meter = self.meter
        base, per_byte = GAS.read, GAS.read_per_byte
        fixed = base + per_byte * self.width if self.width else 0

        def has(key: bytes) -> bool:
            get = meter.get
            raw = get(key)
            meter.gas -= fixed or base + per_byte * len(key)
            if raw is not None:
                meter.gas -= per_byte * len(raw)
            if meter.gas < 0:
                raise OutOfGas
            return raw is not None

        return has

    def make_store(self) -> Helper:
        meter, is_cell, is_compound = self.meter, not self.slot.key and not self.is_list, self.is_compound
        limit, base, per_byte = LIMITS.stored_value, GAS.write, GAS.write_per_byte
        fixed = base + per_byte * self.width if self.width else 0
        reading, reading_per_byte = GAS.read + GAS.read_per_byte * self.width, GAS.read_per_byte

        def store(value: Any, key: bytes) -> None:
            if is_compound and too_large(value, limit):
                meter.spend(base + per_byte * limit)
                raise BadValue
            try:
                raw = _raw_encode(value)
            except (OverflowError, UnicodeEncodeError):
                raw = encode_stored(value)
            size = len(raw)
            if size > limit:
                meter.spend(base + per_byte * limit)
                raise BadValue
            meter.gas -= (fixed or base + per_byte * len(key)) + per_byte * size
            if meter.gas < 0:
                raise OutOfGas
            put = meter.put
            put(key, raw)
            if is_cell:
                self.held = (raw, value, reading + reading_per_byte * size, size)

        return store

    def make_drop(self) -> Helper:
        meter, base, per_byte = self.meter, GAS.write, GAS.write_per_byte

        def drop(key: bytes) -> None:
            meter.gas -= base + per_byte * len(key)
            if meter.gas < 0:
                raise OutOfGas
            if meter.get(key) is None:
                raise KeyMissing
            delete = meter.delete
            delete(key)

        return drop

    def make_key(self) -> Helper:
        shapes, prefix, single = self.slot.key, self.prefix, not self.slot.tuple_key

        def key(value: Any) -> bytes:
            if single:
                return prefix + _ENCODE[shapes[0].tag](value)
            if type(value) is not tuple or len(value) != len(shapes):
                raise TypeMismatch
            return prefix + encode_parts(shapes, value)

        return key

    def make_page(self, with_values: bool) -> Helper:
        meter, shapes, prefix = self.meter, self.slot.key, self.prefix
        single = not self.slot.tuple_key
        whole = self.make_key() if shapes else None
        read, position = part_reader(shapes), len(prefix)

        def page(start: Any = (), after: Any = None, limit: Any = 1_000) -> list[Any]:
            if type(limit) is not int:
                raise TypeMismatch
            if not 0 <= limit <= LIMITS.page:
                raise BadValue
            leading = start if type(start) is tuple else (start,)
            if single and leading:
                raise TypeMismatch
            head = prefix + encode_parts(shapes, leading)
            behind = None if after is None or whole is None else whole(after)
            meter.spend(GAS.scan)
            affordable = meter.gas // GAS.scan_item + 1
            found = meter.scan(head, behind, min(limit, affordable))
            size = sum(len(key) + len(raw) for key, raw in found)
            meter.spend(GAS.scan_item * len(found) + GAS.read_per_byte * size)
            meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(found) + size)
            names: list[Any] = [read(key, position) for key, _ in found]
            if single:
                names = [name[0] for name in names]
            if not with_values:
                return names
            return list(zip(names, self.values([raw for _, raw in found]), strict=True))

        return page


def build_storage(
    contract: Contract, instance: str, meter: Meter, structs: Mapping[str, type], places: Mapping[str, str]
) -> dict[str, Any]:
    """Storage helpers of one instance by name: load find has store drop items keys key prefix, each `.slot`. `places`:
    slot to the name of its storage, where the two differ."""
    helpers: dict[str, Any] = {"keytext": key_text, "keyint": key_int, **_PACKED}
    for slot in contract.slots.values():
        prefix = state_storage(instance, places.get(slot.name, slot.name))
        helpers.update(SlotHandle(slot, prefix, meter, structs, compound(slot.value, contract)).helpers())
    return helpers


__all__ = [
    "ValueRefused",
    "build_storage",
    "decode_parts",
    "encode_parts",
    "encode_stored",
    "event_types",
    "struct_types",
]
