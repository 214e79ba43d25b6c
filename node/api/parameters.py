"""Query strings as models, path parts by hand: whatever a client writes there is checked before a handler runs."""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.crypto import HASH_SIZE
from node.api.problems import Refused

MAX_KEY_BYTES: Final = 4096
MAX_FIELDS: Final = 8

Height = Annotated[int, Field(ge=0, lt=2**63)]


class Query(BaseModel):
    """Base of query strings: nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class NoQuery(Query):
    """Takes no parameters."""


class BlockQuery(Query):
    """`receipts=1` adds the receipts with their events."""

    receipts: bool = False


class ContractQuery(Query):
    """`args`: JSON array of arguments; bytes as 0x hex."""

    args: Annotated[str, Field(max_length=64 * 1024)] = "[]"
    height: Height | None = None


class StateQuery(Query):
    """`proof=1` adds the state proof and the header that it leads to."""

    proof: bool = False
    height: Height | None = None


class EventsQuery(Query):
    """`from`: `HEIGHT:INDEX` resumes after that event, `HEIGHT` begins with that block, absent begins at the head."""

    start: Annotated[str, Field(alias="from", max_length=40)] = ""
    contract: Annotated[str, Field(max_length=64)] | None = None
    name: Annotated[str, Field(max_length=256)] | None = None
    """One event name or several, separated by commas."""
    where: Annotated[str, Field(max_length=1024)] = ""
    """A JSON object: only events whose data has these values under these fields."""
    blocks: bool = False


class ReceiptsQuery(Query):
    """`from`: first height; absent begins with the next block."""

    start: Annotated[Height | None, Field(alias="from")] = None


def parse_query(kind: type[BaseModel], given: dict[str, str]) -> BaseModel:
    """Check a query string. Raise `Refused` with the nearest known name for an unknown one."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
    known = [field.alias or own for own, field in kind.model_fields.items()]
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise Refused(
            "unknown parameter",
            code="UNKNOWN_PARAMETER",
            expected=", ".join(known) or "no parameters",
            found=name[:80],
            fix=f"did you mean {near[0]}?" if near else "leave it away",
        )
    raise Refused(
        f"bad parameter {name}",
        code="BAD_PARAMETER",
        expected=first["msg"],
        found=given.get(name, "")[:80],
        fix="see /v1/openapi.json",
    )


AS_HEX: Final = "write bytes as 0x and two hexadecimal digits each, without spaces"


def parse_hex(text: str, what: str, size: int | None = None, *, limit: int | None = MAX_KEY_BYTES) -> bytes:
    """Bytes of a path part or JSON string, `0x` optional. Raise `Refused` (BAD_HEX, BAD_LENGTH)."""
    digits = text[2:] if text.startswith("0x") else text
    try:
        raw = bytes.fromhex(digits) if digits.isalnum() or not digits else None
    except ValueError:
        raw = None
    if raw is None or (limit is not None and len(raw) > limit):
        raise Refused(f"{what} is not hex", code="BAD_HEX", expected="0x and hex digits", found=text[:80], fix=AS_HEX)
    if size is not None and len(raw) != size:
        raise Refused(
            f"{what} has another length", code="BAD_LENGTH", expected=f"{size} bytes", found=len(raw), fix=AS_HEX
        )
    return raw


def parse_where(text: str) -> dict[str, object]:
    """The values that event data must have; none for no text. Raise `Refused` (BAD_WHERE)."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and len(found) <= MAX_FIELDS and all(map(_plain, found.values())):
        return dict(found)
    raise Refused(
        "where is not an object of plain values",
        code="BAD_WHERE",
        expected=f'a JSON object of at most {MAX_FIELDS} texts, integers, booleans or nulls, as {{"slot":5}}',
        found=text[:80],
        fix="write values as events show them: bytes as 0x text, integers from 2^53 on as decimal text",
    )


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int)


def parse_hash(text: str, what: str) -> bytes:
    """32 bytes of hex."""
    return parse_hex(text, what, HASH_SIZE)


def parse_number(text: str, what: str) -> int:
    """A non-negative integer of at most 63 bits. Raise `Refused`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) >= 2**63:
        raise Refused(
            f"{what} is not a number",
            code="BAD_NUMBER",
            expected="0 .. 2^63 - 1",
            found=text[:80],
            fix="write it in decimal digits",
        )
    return int(text)
