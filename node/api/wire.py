"""What the API speaks besides JSON: batches of transactions in, receipts of a block out. msgspec, no pydantic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ledger.codec import ShortText, Uint, Wire, decode, encode
from ledger.crypto import HASH_SIZE
from ledger.errors import DecodeError, TooLarge
from ledger.objects import Receipt

MAX_BATCH: Final = 256
"""Transactions in one request."""
MSGPACK: Final = "application/msgpack"
OTHER_RELEASE: Final = "is the address that of a gridchain node of this release?"
SEE_BODIES: Final = "POST /v1/transactions in /v1/openapi.json shows the kinds of body"

_batch_decoder = msgspec.msgpack.Decoder(list[bytes], strict=True)


class BlockReceipts(Wire, frozen=True):
    """The outcome of every transaction and scheduled call of one block, one message of `/v1/receipts`.

    `ids`: 32 bytes each, in block order; the id of a transaction or the subject of a scheduled call. `failed`: position
    and code of those that failed; all others are ok.
    """

    height: Uint
    time_ms: Uint
    ids: bytes
    failed: tuple[tuple[Uint, ShortText], ...]

    def __len__(self) -> int:
        return len(self.ids) // HASH_SIZE

    def outcomes(self) -> Iterator[tuple[bytes, bool, str]]:
        """Yield (id, ok, code) in block order."""
        codes = dict(self.failed)
        for position in range(len(self)):
            code = codes.get(position)
            yield self.ids[position * HASH_SIZE : (position + 1) * HASH_SIZE], code is None, code or ""


class ReceiptHead(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first fields of `ledger.objects.Receipt`; the rest is not looked at."""

    subject: bytes
    scheduled: bool
    contract: str
    entry: str
    ok: bool
    code: str


decode_receipt_head = msgspec.msgpack.Decoder(ReceiptHead).decode
"""The head of an encoded receipt of our own store."""


def block_receipts(height: int, time_ms: int, receipts: Sequence[ReceiptHead | Receipt]) -> bytes:
    """The message of one block."""
    failed = tuple((position, receipt.code) for position, receipt in enumerate(receipts) if not receipt.ok)
    return encode(BlockReceipts(height, time_ms, b"".join([receipt.subject for receipt in receipts]), failed))


def decode_block_receipts(raw: bytes) -> BlockReceipts:
    """Decode a message of `/v1/receipts`. Raise `DecodeError`."""
    message = decode(BlockReceipts, raw)
    if len(message.ids) % HASH_SIZE:
        raise DecodeError(
            "receipt ids are of 32 bytes", expected="a multiple of 32", found=len(message.ids), fix=OTHER_RELEASE
        )
    return message


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What became of one submitted transaction; the same fields as `models.Submission`."""

    id: str | None
    accepted: bool
    code: str = ""
    expected: str = ""
    found: str = ""
    fix: str = ""


_answers_decoder = msgspec.json.Decoder(list[Answer])


def encode_batch(raws: Sequence[bytes]) -> bytes:
    """The body of a `POST /v1/transactions` with content type application/msgpack."""
    return encode(list(raws))


def decode_batch(body: bytes) -> list[bytes]:
    """Raw transactions of a request. Raise `DecodeError`, `TooLarge`."""
    try:
        raws = _batch_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DecodeError(
            "the body is not a batch of transactions",
            expected="a msgpack array of byte strings",
            found=str(error),
            fix=SEE_BODIES,
        ) from None
    return check_batch(raws)


def check_batch(raws: list[bytes]) -> list[bytes]:
    """Refuse an empty batch and one that is too large."""
    if not raws:
        raise DecodeError(
            "an empty batch", code="EMPTY", expected="1 transaction at least", found="none", fix=SEE_BODIES
        )
    if len(raws) > MAX_BATCH:
        raise TooLarge(
            "too many transactions in one request", expected=f"at most {MAX_BATCH}", found=len(raws), fix="split it"
        )
    return raws


def encode_answers(answers: list[Answer]) -> bytes:
    """JSON of the answers to a batch, in its order."""
    return msgspec.json.encode(answers)


def decode_answers(body: bytes) -> list[Answer]:
    """Read the answers to a batch. Raise `DecodeError`."""
    try:
        return _answers_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(
            "the node's answer is no list of submissions",
            expected="an answer of this release",
            found=str(error),
            fix=OTHER_RELEASE,
        ) from None


def parse_cursor(text: str) -> tuple[int, int]:
    """`height:index` of an event; a stream resumes right after it. Raise `DecodeError`."""
    height, colon, index = text.partition(":")
    digits = height.isascii() and height.isdigit() and len(height) <= 16
    if colon and not (index.isascii() and index.isdigit() and len(index) <= 9):
        digits = False
    if not digits:
        raise DecodeError(
            "not a cursor",
            code="BAD_CURSOR",
            expected="HEIGHT or HEIGHT:INDEX",
            found=text[:40],
            fix="take the cursor of the last event as it came",
        )
    return int(height), int(index) if colon else -1


def format_cursor(height: int, index: int) -> str:
    """The cursor of an event."""
    return f"{height}:{index}"
