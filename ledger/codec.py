"""Canonical MessagePack: one value, one encoding.

Rules: structs travel as arrays; no floats and no maps in consensus objects; bytes are bounded in size before they are
parsed; what decodes must encode to the same bytes, else it is refused. MessagePack decoders accept padded integers and
surplus bytes, so the last rule is checked by encoding again. What is signed and hashed is always the received bytes.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Annotated, Any, TypeVar, cast

import msgspec

from ledger.errors import DecodeError, NotCanonical, TooLarge

MAX_OBJECT_BYTES = 8 * 1024 * 1024

Uint = Annotated[int, msgspec.Meta(ge=0)]
"""An unsigned integer of at most 64 bits."""
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Bytes64 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
ShortText = Annotated[str, msgspec.Meta(max_length=128)]


class Wire(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of every type that is hashed, signed, stored or sent. Fields are positional and never reordered."""


T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()
_building = Lock()
"""Held while a decoder is made. msgspec puts what it knows of a struct in its place before it knows the struct's parts,
and runs Python for these: a second thread that decodes meanwhile follows a null pointer and the process dies."""


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    with _building:
        return msgspec.msgpack.Decoder(kind, strict=True)


def encode(value: object) -> bytes:
    """Return the one encoding of `value`, a `Wire` struct or a union member."""
    return _encoder.encode(value)


def decode(kind: type[T], raw: bytes, *, limit: int = MAX_OBJECT_BYTES) -> T:
    """Return `raw` as a `kind`. Raise `TooLarge`, `DecodeError` or `NotCanonical`; never anything else."""
    if len(raw) > limit:
        raise TooLarge(f"{_name(kind)} is too large", expected=f"at most {limit} bytes", found=f"{len(raw)} bytes")
    try:
        value = _decoder(cast(Any, kind)).decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise DecodeError(f"not a {_name(kind)}: {error}") from None
    if _encoder.encode(value) != raw:
        raise NotCanonical(f"{_name(kind)} is not in its canonical encoding")
    return cast(T, value)


def convert(kind: type[T], value: object) -> T:
    """Return `value`, of plain lists, numbers, texts and bytes, as a `kind`. Raise `DecodeError`."""
    _decoder(cast(Any, kind))
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError(f"not a {_name(kind)}: {error}") from None


def _name(kind: object) -> str:
    return getattr(kind, "__name__", None) or str(kind)
