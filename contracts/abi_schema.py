"""The ABI of a contract as JSON Schema 2020-12: arguments and result of each entry, fields of each event and record.

JSON as `contracts.values.to_json` writes it: bytes are 0x text, integers beyond 2^53 decimal text, tuples arrays. What
JSON Schema cannot state of decimal text is in `description`.
"""

from __future__ import annotations

from typing import Any

from contracts.compile import Program
from contracts.error_codes import error_codes
from contracts.limits import LANGUAGE, PYC1
from contracts.resolve import MISSING, Contract, Function
from contracts.shapes import Shape
from contracts.values import to_json

_SAFE = 2**53 - 1
_NATURAL = {"type": "string", "pattern": "^(0|[1-9][0-9]*)$"}
_INTEGER = {"type": "string", "pattern": "^(0|-?[1-9][0-9]*)$"}


def schema_of(shape: Shape) -> dict[str, Any]:
    """The schema of values of a declared type."""
    plain = _plain(shape)
    return {"anyOf": [plain, {"type": "null"}]} if shape.optional else plain


def _plain(shape: Shape) -> dict[str, Any]:
    match shape.tag:
        case "u64" | "u256":
            bits = "2^64-1" if shape.tag == "u64" else "2^255-1"
            number = {"type": "integer", "minimum": 0, "maximum": _SAFE}
            return {"anyOf": [number, dict(_NATURAL)], "description": f"{shape.tag}: 0 .. {bits}"}
        case "int":
            number = {"type": "integer", "minimum": -_SAFE, "maximum": _SAFE}
            return {"anyOf": [number, dict(_INTEGER)], "description": "int: -2^255 .. 2^255-1"}
        case "bool":
            return {"type": "boolean"}
        case "str":
            return {"type": "string", "maxLength": PYC1.text}
        case "bytes":
            return {"type": "string", "pattern": "^0x([0-9a-f]{2})*$", "maxLength": 2 + 2 * PYC1.text}
        case "Address":
            return {"type": "string", "pattern": "^0x[0-9a-f]{64}$"}
        case "none":
            return {"type": "null"}
        case "record":
            return {"$ref": f"#/$defs/{shape.name}"}
        case _:
            return _container(shape)


def _container(shape: Shape) -> dict[str, Any]:
    items = [schema_of(item) for item in shape.items]
    match shape.tag, items:
        case "list" | "set", [item]:
            return {"type": "array", "items": item, "maxItems": PYC1.items}
        case "list" | "set" | "tuple", []:
            return {"type": "array", "maxItems": PYC1.items}
        case "tuple", _:
            # `tuple[T, ...]` and `tuple[T]` are one type in the language, of any length
            inner: dict[str, Any] = {"items": items[0]} if len(items) == 1 else {"prefixItems": items}
            return {"type": "array", "maxItems": PYC1.items, **inner}
        case "dict", [_, value] if shape.items[0].tag == "str":
            return {"type": "object", "additionalProperties": value, "maxProperties": PYC1.items}
        case "dict", _:
            return {"type": ["object", "array"], "description": "an object, or pairs if a key is no text"}
        case _:
            return {}


def abi_schema(program: Program) -> dict[str, Any]:
    """The whole ABI of a program: a schema document whose `$defs` are records, beside entries, events and storage."""
    contract = program.contract
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "language": LANGUAGE,
        "source_hash": "0x" + program.source_hash.hex(),
        "entries": {found.name: _entry(contract, found) for found in contract.functions.values() if found.role},
        "events": {
            found.label: {**_fields(found.fields), "indexed": list(found.indexed)} for found in contract.events.values()
        },
        "storage": {
            slot.name: {"key": [schema_of(part) for part in slot.key], "value": schema_of(slot.value)}
            for slot in contract.slots.values()
        },
        "indexes": {found.name: {"of": found.of, "by": list(found.by)} for found in contract.indexes.values()},
        "$defs": {found.name: _fields(found.fields) for found in contract.records.values()},
    }


def _fields(fields: dict[str, Shape]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: schema_of(shape) for name, shape in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _entry(contract: Contract, function: Function) -> dict[str, Any]:
    parameters = []
    for found in function.by_place:
        schema = {"title": found.name, **schema_of(found.shape)}
        parameters.append(schema if found.default is MISSING else {**schema, "default": to_json(found.default)})
    least = sum(1 for found in function.by_place if found.default is MISSING)
    further = False if function.rest is None else schema_of(function.rest.each)
    codes = error_codes(contract, function.name)
    return {
        "role": function.role,
        "scheduled": function.scheduled,
        "auth": list(function.auth),
        "signers": [function.signer] if function.signer else [],
        "reentrant": function.reentrant,
        "arguments": {"type": "array", "prefixItems": parameters, "items": further, "minItems": least},
        "returns": schema_of(function.returns),
        "errors": {"codes": list(codes.own), "more": codes.more},
    }
