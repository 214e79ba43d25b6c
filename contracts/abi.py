"""Entry points: how encoded arguments become Python values of the declared types, and the ABI of a contract as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from contracts import keys
from contracts.checks import Check, make_check
from contracts.compile import Program
from contracts.displays import packed
from contracts.faults import AuthDenied, BadValue, OutOfGas, Overflow, TypeMismatch
from contracts.limits import ITEM_BYTES, LIST_BYTES, TEXT_BYTES
from contracts.meter import GAS, LIMITS, Meter
from contracts.resolve import MISSING, Function
from contracts.shapes import Shape
from contracts.values import Value, ValueRefused, decode_value, encode_value
from ledger.errors import DecodeError

_encode = msgspec.msgpack.Encoder().encode
_U64 = Annotated[int, msgspec.Meta(ge=0)]
_ADDRESS = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_NARROW = 2**63
_COPY_PER_BYTE = GAS.copy_per_byte
_PLAIN_TYPES: dict[str, type] = {
    "int": int, "u64": int, "u256": int, "bool": bool, "Address": bytes, "str": str, "bytes": bytes
}  # fmt: skip
_WHOLE = {"u64": 2**64, "u256": LIMITS.int_high}
_SIZED = {"Address": (32, 32), "str": (0, LIMITS.text), "bytes": (0, LIMITS.text)}
_FAST: dict[str, Any] = {"u64": _U64, "bool": bool, "Address": _ADDRESS}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry point. `decode` turns argument bytes into values, `take` does so for values of a calling contract.
    `fits` tells of values that `take` would give back as they are, and that nobody can change, what copying their texts
    costs; None of all others."""

    name: str
    role: str
    scheduled: bool
    call: Callable[..., Any]
    decode: Callable[[bytes], tuple[Any, ...]]
    take: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    fits: Callable[[tuple[Any, ...]], int | None]
    reentrant: bool = False


def entries_of(program: Program, function: Callable[[str], Callable[..., Any]], meter: Meter) -> dict[str, Entry]:
    """All entry points of a program with decoders bound to `meter`."""
    records: dict[str, Check] = {}
    return {
        found.name: _entry(program, found, _guarded(found, function(found.name), meter), meter, records)
        for found in program.contract.functions.values()
        if found.role
    }


def _guarded(function: Function, call: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    """The function behind the checks that its `@export(auth=..., signers=...)` asks for."""
    signer = [index for index, found in enumerate(function.parameters) if found.name == function.signer]
    roles = function.auth
    if not signer and not roles:
        return call

    def guarded(*values: Any) -> Any:
        if signer and values[signer[0]] != meter.sender:
            raise AuthDenied
        if roles and not any(meter.has_role(role) for role in roles):
            raise AuthDenied
        return call(*values)

    return guarded


def _entry(
    program: Program, function: Function, call: Callable[..., Any], meter: Meter, records: dict[str, Check]
) -> Entry:
    intakes = [_intake(parameter.shape, program, meter, records) for parameter in function.by_place]
    least = sum(1 for parameter in function.by_place if parameter.default is MISSING)
    each = None if function.rest is None else _intake(function.rest.each, program, meter, records)
    nameless = any(parameter.default is MISSING for parameter in function.by_name)

    fits = _fitting(function)

    def take(values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Check values that another contract gives."""
        if fits(values) is not None:
            return values
        if len(values) < least or (len(values) > len(intakes) and each is None) or nameless:
            raise TypeMismatch
        taken = tuple([intake(value) for intake, value in zip(intakes, values, strict=False)])
        if each is None or len(values) <= len(intakes):
            return taken
        return (*taken, packed(meter, tuple([each(value) for value in values[len(intakes) :]])))

    def slow(raw: bytes) -> tuple[Any, ...]:
        try:
            values = decode_value(raw)
        except DecodeError:
            raise BadValue from None
        if type(values) is not list:
            raise TypeMismatch
        return take(tuple(values))

    quick = _quick(function)
    if quick is None:
        return Entry(function.name, function.role, function.scheduled, call, slow, take, fits, function.reentrant)

    def fast(raw: bytes) -> tuple[Any, ...]:
        """Typed decoding; anything unusual goes the slow way, which decides."""
        try:
            values = quick(raw)
        except (msgspec.MsgspecError, ValueError):
            return slow(raw)
        return values if _encode(values) == raw else slow(raw)

    return Entry(function.name, function.role, function.scheduled, call, fast, take, fits, function.reentrant)


def _fitting(function: Function) -> Callable[[tuple[Any, ...]], int | None]:
    """`Entry.fits` for one function, written out: calls between contracts ask it of every call."""
    parameters = function.parameters
    plain = all(found.shape.tag in _PLAIN_TYPES and not found.shape.optional for found in parameters)
    if not plain or len(function.by_place) != len(parameters):
        return _never_fits
    names = [f"v{index}" for index in range(len(parameters))]
    tests, texts = [f"len(values) == {len(names)}"], ["0"]
    for index, (name, tag) in enumerate(zip(names, (found.shape.tag for found in parameters), strict=True)):
        tests.append(f"type({name} := values[{index}]) is {_PLAIN_TYPES[tag].__name__}")
        if tag in _WHOLE:
            tests.append(f"0 <= {name} < {_WHOLE[tag]}")
        if tag in _SIZED:
            tests.append(f"{_SIZED[tag][0]} <= len({name}) <= {_SIZED[tag][1]}")
            texts.append(f"len({name}) // {GAS.bytes_per_gas}")
    fits: Callable[[tuple[Any, ...]], int | None] = eval(  # our own text: tags, numbers and names that are made here
        f"lambda values: {' + '.join(texts)} if {' and '.join(tests)} else None"
    )
    return fits


def _never_fits(_: tuple[Any, ...]) -> int | None:
    return None


def _quick(function: Function) -> Callable[[bytes], tuple[Any, ...]] | None:
    """A msgspec decoder where all parameters are scalars that need no further check: same values as the slow way."""
    shapes = [parameter.shape for parameter in function.parameters]
    texts = {
        "str": Annotated[str, msgspec.Meta(max_length=1024)],
        "bytes": Annotated[bytes, msgspec.Meta(max_length=1024)],
    }
    plain = {**_FAST, **texts, "int": int, "u256": _U64}
    if not shapes or any(shape.tag not in plain or shape.optional for shape in shapes):
        return None
    kinds = tuple(plain[shape.tag] for shape in shapes)
    decoder = msgspec.msgpack.Decoder(tuple.__class_getitem__(kinds))
    return decoder.decode


def _intake(shape: Shape, program: Program, meter: Meter, records: dict[str, Check]) -> Check:
    """Check a decoded value against a parameter's shape, deeply, and convert it: keys are wrapped, records built.
    `records` holds the checks of record types, each made once: a record may name another one in many fields."""
    if shape.tag == "record":
        base = records.get(shape.name) or _record_intake(shape.name, program, meter, records)
        records[shape.name] = base
    elif shape.tag in ("list", "set", "tuple", "dict", "any"):
        base = _container_intake(shape, program, meter, records)
    else:
        checked = make_check(Shape(shape.tag), program.structs, meter, False)
        base = _bounded_intake(checked)
    if not shape.optional:
        return base

    def maybe(value: Any) -> Any:
        return None if value is None else base(value)

    return maybe


def _bounded_intake(check: Check) -> Check:
    def intake(value: Any) -> Any:
        if (type(value) is str or type(value) is bytes) and len(value) > LIMITS.text:
            raise BadValue
        return check(value)

    return intake


def _container_intake(shape: Shape, program: Program, meter: Meter, records: dict[str, Check]) -> Check:
    inner = _intake(shape.items[0], program, meter, records) if shape.items and shape.tag in ("list",) else None

    def intake(value: Any) -> Any:
        if shape.tag == "any":
            return incoming(value, meter)
        if shape.tag == "dict":
            if type(value) is not dict:
                raise TypeMismatch
            return incoming(value, meter)
        if type(value) is not list and type(value) is not tuple:
            raise TypeMismatch
        if len(value) > LIMITS.items:
            raise BadValue
        meter.spend(GAS.item * len(value))
        meter.allocate(LIST_BYTES + ITEM_BYTES * len(value))
        found = [inner(item) if inner else incoming(item, meter) for item in value]
        if shape.tag == "tuple":
            return tuple(found)
        return set(map(keys.wrap_new, found)) if shape.tag == "set" else found

    return intake


def _record_intake(name: str, program: Program, meter: Meter, records: dict[str, Check]) -> Check:
    fields = program.contract.records[name].fields
    tests = {field: _intake(shape, program, meter, records) for field, shape in fields.items()}
    stored = {field: make_check(shape, program.structs, meter, True) for field, shape in fields.items()}
    struct = program.structs[name]

    def intake(value: Any) -> Any:
        if type(value) is struct:
            return value
        if type(value) is not dict or set(value) != set(fields):
            raise TypeMismatch
        return struct(**{field: stored[field](tests[field](value[field])) for field in fields})

    return intake


def incoming(value: Any, meter: Meter, depth: int = 0) -> Any:
    """A value from outside as contract code keeps it: own copy, bounded, dict keys wrapped."""
    kind = type(value)
    if kind is int:
        if not LIMITS.int_low <= value < LIMITS.int_high:
            raise Overflow
        return value
    if kind is str or kind is bytes:
        if len(value) > LIMITS.text:
            raise BadValue
        meter.allocate(TEXT_BYTES + len(value))
        return value
    if kind is bool or value is None:
        return value
    if depth >= LIMITS.nesting or len(value) > LIMITS.items:
        raise BadValue
    meter.spend(GAS.item * len(value))
    meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(value))
    if kind is dict:
        return {keys.wrap_new(key): incoming(item, meter, depth + 1) for key, item in value.items()}
    found = [incoming(item, meter, depth + 1) for item in value]
    return tuple(found) if kind is tuple else found


def outgoing(value: Any, meter: Meter, depth: int = 0) -> Any:
    """A contract's value as the world sees it: own copy, bounded, records as dicts, dict keys plain."""
    kind = type(value)
    if kind is int or kind is bool or value is None:
        return value
    if kind is str or kind is bytes:
        meter.spend(len(value) // GAS.bytes_per_gas)
        return value
    if depth >= LIMITS.nesting:
        raise BadValue
    if kind is list or kind is tuple:
        meter.spend(GAS.item * len(value))
        meter.allocate(LIST_BYTES + ITEM_BYTES * len(value))
        return [outgoing(item, meter, depth + 1) for item in value]
    if kind is dict:
        meter.spend(2 * GAS.item * len(value))
        meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(value))
        return {keys.unwrap(key): outgoing(item, meter, depth + 1) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        meter.spend(GAS.item * len(fields))
        meter.allocate(LIST_BYTES + 2 * ITEM_BYTES * len(fields))
        return {name: outgoing(getattr(value, name), meter, depth + 1) for name in fields}
    raise TypeMismatch


def encode_result(value: Any, meter: Meter) -> bytes:
    """The encoded result of an entry point."""
    if value is None:
        return b"\xc0"
    if type(value) is int and -_NARROW <= value < _NARROW:
        raw = _encode(value)
        meter.gas -= _COPY_PER_BYTE * len(raw)
        if meter.gas < 0:
            raise OutOfGas
        return raw
    try:
        raw = encode_value(outgoing(value, meter))
    except ValueRefused:
        raise BadValue from None
    if len(raw) > LIMITS.value_bytes:
        raise BadValue
    meter.spend(GAS.copy_per_byte * len(raw))
    return raw


def abi_of(program: Program) -> dict[str, Value]:
    """The ABI as plain data: entries with parameters and result, events with fields, storage layout."""
    contract = program.contract
    entries = {
        function.name: {
            "role": function.role,
            "scheduled": function.scheduled,
            "auth": list(function.auth),
            "signers": [function.signer] if function.signer else [],
            "reentrant": function.reentrant,
            "parameters": [
                {"name": p.name, "type": str(p.shape), "optional": p.default is not MISSING}
                for p in function.parameters
            ],
            "returns": str(function.returns),
        }
        for function in contract.functions.values()
        if function.role
    }
    events = {
        event.label: {
            "fields": {name: str(shape) for name, shape in event.fields.items()},
            "indexed": list(event.indexed),
        }
        for event in contract.events.values()
    }
    storage = {
        slot.name: {"key": [str(shape) for shape in slot.key], "value": str(slot.value)}
        for slot in contract.slots.values()
    }
    indexes = {index.name: {"of": index.of, "by": list(index.by)} for index in contract.indexes.values()}
    records = {
        record.name: {name: str(shape) for name, shape in record.fields.items()} for record in contract.records.values()
    }
    return {"entries": entries, "events": events, "storage": storage, "indexes": indexes, "records": records}
