"""Wire structs as plain JSON for people: objects by field name, bytes as lowercase hex, nothing unknown, no floats.

Reading is strict: a document is turned into the positional arrays of its type and must then pass the canonical codec,
so JSON adds no second set of rules. Fields with a default may be left out; unknown or repeated fields are refused.
"""

from __future__ import annotations

import json
import types
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ledger.codec import Wire, decode, encode
from ledger.errors import DecodeError

W = TypeVar("W", bound=Wire)


def to_plain(value: object) -> Any:
    """`value` as dicts, lists, text and numbers."""
    if isinstance(value, msgspec.Struct):
        return {name: to_plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return value


def dump_json(value: Wire) -> str:
    """`value` as indented JSON text with a newline at the end."""
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False) + "\n"


def load_json(kind: type[W], text: str) -> W:
    """Read JSON text as a `kind`. Raise `DecodeError` that names the field."""
    try:
        plain = json.loads(text, object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"not JSON: {error}") from None
    return from_plain(kind, plain)


def from_plain(kind: type[W], plain: object) -> W:
    """Read dicts, lists, text and numbers as a `kind`."""
    values = _positional(kind, plain, kind.__name__)
    try:
        raw = encode(values)
    except (OverflowError, UnicodeEncodeError) as error:
        raise DecodeError(f"a value of {kind.__name__} has no encoding: {error}") from None
    return decode(kind, raw)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _no_float(text: str) -> Any:
    raise ValueError(f"numbers are integers, not {text}")


def _positional(kind: Any, plain: object, where: str) -> Any:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _fields(kind, plain, where)
    if get_origin(kind) is tuple:
        if not isinstance(plain, list):
            raise DecodeError(f"{where} is a list", expected="list", found=type(plain).__name__)
        item = get_args(kind)[0]
        return [_positional(item, entry, f"{where}[{index}]") for index, entry in enumerate(plain)]
    optional = [one for one in get_args(kind) if one is not NoneType] if get_origin(kind) is types.UnionType else []
    if len(optional) == 1:  # `X | None`
        return None if plain is None else _positional(optional[0], plain, where)
    if kind is bytes:
        return _bytes(plain, where)
    if kind in (int, str, bool) and type(plain) is not kind:
        raise DecodeError(f"{where} has another type", expected=kind.__name__, found=type(plain).__name__)
    if get_origin(kind) in (dict, types.UnionType):
        raise DecodeError(f"{where}: JSON has no form for {kind}")
    return plain


def _fields(kind: type[msgspec.Struct], plain: object, where: str) -> list[Any]:
    if not isinstance(plain, dict):
        raise DecodeError(f"{where} is an object", expected="object", found=type(plain).__name__)
    hints = get_type_hints(kind, include_extras=True)
    fields = msgspec.structs.fields(kind)
    unknown = sorted(set(plain) - {field.name for field in fields})
    if unknown:
        raise DecodeError(f"{where} has unknown fields", expected=[f.name for f in fields], found=unknown)
    values: list[Any] = []
    for field in fields:
        if field.name in plain:
            values.append(_positional(hints[field.name], plain[field.name], f"{where}.{field.name}"))
        elif field.default is not msgspec.NODEFAULT:
            values.append(field.default)
        elif field.default_factory is not msgspec.NODEFAULT:
            values.append(field.default_factory())
        else:
            raise DecodeError(f"{where}.{field.name} is missing")
    return values


def _bytes(plain: object, where: str) -> bytes:
    if isinstance(plain, str):
        try:
            raw = bytes.fromhex(plain)
        except ValueError:
            raw = b""
        if raw.hex() == plain:
            return raw
    raise DecodeError(f"{where} is bytes in lowercase hex", expected="hex text", found=plain)
