"""Values that cross a contract's border: arguments, results, event data, stored fields; their one encoding, and JSON.

    Value = None | bool | int (256 bits) | str | bytes | list | tuple | dict

Encoding: MessagePack with shortest forms. Integers beyond 64 bits are extension 1 with big-endian two's complement of
minimal length. A tuple encodes as a list. Keys of a dict are sorted by their encoding. Decoding is strict: what decodes
must encode to the same bytes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import msgspec

from contracts.limits import PYC1
from ledger.errors import DecodeError, GridchainError, NotCanonical, TooLarge

Value: TypeAlias = "bool | int | str | bytes | list[Any] | tuple[Any, ...] | dict[Any, Any] | None"

WIDE_INT = 1
_encoder = msgspec.msgpack.Encoder()
_U64 = 2**64
_I64 = -(2**63)


_AS_HEX = "write bytes as 0x and hexadecimal digits, all else as plain text"


class ValueRefused(GridchainError):
    """A Python object that is no contract value, or one outside the limits."""

    code = "BAD_VALUE"


def wide(value: int) -> msgspec.msgpack.Ext:
    """An integer beyond 64 bits as it is encoded."""
    if not PYC1.int_low <= value < PYC1.int_high:
        raise ValueRefused("an integer has at most 256 bits", expected="-2^255 .. 2^255-1", found=value.bit_length())
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return msgspec.msgpack.Ext(WIDE_INT, value.to_bytes(size, "big", signed=True))


def _read_ext(code: int, data: memoryview) -> int:
    raw = bytes(data)
    value = int.from_bytes(raw, "big", signed=True)
    minimal = len(raw) == (value if value >= 0 else ~value).bit_length() // 8 + 1
    if code != WIDE_INT or not 9 <= len(raw) <= 32 or not minimal or _I64 <= value < _U64:
        raise ValueError("not a wide integer")
    return value


_any_decoder = msgspec.msgpack.Decoder(ext_hook=_read_ext)


def wire_decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """A decoder for values of a msgspec type; wide integers where the type says Any."""
    return msgspec.msgpack.Decoder(kind, ext_hook=_read_ext)


def encode_value(value: Any) -> bytes:
    """Return the one encoding. Raise `ValueRefused` for anything that is no value or is too deep."""
    kind = type(value)
    if kind is str or kind is bytes or kind is bool or value is None:
        return _encode(value)
    return _encode(_prepare(value, 0))


def _encode(prepared: Any) -> bytes:
    try:
        return _encoder.encode(prepared)
    except UnicodeEncodeError:
        raise ValueRefused(
            "a text with lone surrogates",
            expected="text that UTF-8 can encode",
            found=ascii(prepared)[:80],
            fix=_AS_HEX,
        ) from None


def _prepare(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is int:
        return value if _I64 <= value < _U64 else wide(value)
    if kind is str or kind is bytes or kind is bool or value is None:
        return value
    if depth >= PYC1.nesting:
        raise ValueRefused(
            "a value is nested too deeply", expected=f"at most {PYC1.nesting}", found="more", fix="flatten the value"
        )
    if kind is list or kind is tuple:
        return [_prepare(item, depth + 1) for item in value]
    if kind is dict:
        return _prepare_dict(value, depth)
    if isinstance(value, msgspec.Struct):
        return _prepare_dict({name: getattr(value, name) for name in value.__struct_fields__}, depth)
    raise ValueRefused("not a contract value", expected="None, bool, int, str, bytes, list, dict", found=kind.__name__)


def _prepare_dict(value: dict[Any, Any], depth: int) -> msgspec.Raw:
    rows = []
    for key, item in value.items():
        kind = type(key)
        flat = kind is tuple and len(key) <= PYC1.key_items and all(type(k) in (int, str, bytes, bool) for k in key)
        if not flat and kind not in (int, str, bytes, bool):
            raise ValueRefused("a dict key is an int, str, bytes, bool or a short tuple of these", found=kind.__name__)
        prepared = tuple(_prepare(k, 0) for k in key) if kind is tuple else _prepare(key, 0)
        rows.append((_encode(prepared), _prepare(item, depth + 1)))
    rows.sort(key=lambda row: row[0])
    if any(row[0] == after[0] for row, after in pairwise(rows)):
        raise ValueRefused("two dict keys are equal")
    # the encoder takes no extension as a key, so the map is put together here
    return msgspec.Raw(_map_head(len(rows)) + b"".join([key + _encode(item) for key, item in rows]))


def _map_head(size: int) -> bytes:
    if size < 16:
        return bytes((0x80 | size,))
    return b"\xde" + size.to_bytes(2, "big") if size < 65_536 else b"\xdf" + size.to_bytes(4, "big")


def decode_value(raw: bytes, *, limit: int = PYC1.value_bytes) -> Any:
    """Return the value of canonical bytes. Raise `TooLarge`, `DecodeError` or `NotCanonical`; never anything else."""
    if len(raw) > limit:
        raise TooLarge("a value is too large", expected=f"at most {limit} bytes", found=f"{len(raw)} bytes")
    try:
        value = _any_decoder.decode(raw)
        again = encode_value(value)
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError, ValueRefused) as error:
        raise DecodeError(f"not a contract value: {error}") from None
    if again != raw:
        raise NotCanonical("a value is not in its canonical encoding")
    return value


def to_json(value: Any) -> Any:
    """A value as JSON: bytes as 0x text, integers beyond 2^53 as decimal text, dicts with other keys as pairs."""
    kind = type(value)
    if kind is bytes:
        return "0x" + value.hex()
    if kind is int:
        return value if -(2**53) < value < 2**53 else str(value)
    if kind is list or kind is tuple:
        return [to_json(item) for item in value]
    if kind is dict:
        if all(type(key) is str for key in value):
            return {key: to_json(item) for key, item in value.items()}
        return [[to_json(key), to_json(item)] for key, item in value.items()]
    return value


def from_json(value: Any) -> Any:
    """JSON as a value: text that begins with 0x is bytes. Raise `ValueRefused` for floats and bad hexadecimal."""
    kind = type(value)
    if kind is str and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            raise ValueRefused(
                "a text that begins with 0x is bytes",
                expected="0x and two hexadecimal digits a byte",
                found=value[:80],
                fix=_AS_HEX,
            ) from None
    if kind is list:
        return [from_json(item) for item in value]
    if kind is dict:
        return {key: from_json(item) for key, item in value.items()}
    if kind is float:
        raise ValueRefused(
            "contracts know no floats", expected="an integer", found=value, fix="scale it: Wh, micro-units, ppm"
        )
    return value
