"""Submit transactions, and ask what became of one. The msgpack road has no pydantic and no JSON going in."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from ledger.crypto import Hash
from ledger.errors import DecodeError, TooLarge
from ledger.objects import decode_transaction
from node.api.access import CONTEXT, Admission, ApiContext
from node.api.blocks import receipt_view
from node.api.models import PendingView
from node.api.parameters import NoQuery, parse_hash, parse_hex
from node.api.problems import Refused
from node.api.wire import MSGPACK, SEE_BODIES, Answer, check_batch, decode_batch, encode_answers

RAW: Final = "application/octet-stream"
JSON: Final = "application/json"


class _JsonBatch(msgspec.Struct, forbid_unknown_fields=True):
    transactions: list[str]


_json_batch = msgspec.json.Decoder(_JsonBatch)


async def submit(request: web.Request, query: NoQuery) -> web.Response:
    """POST /v1/transactions: answers when every transaction is verified and admitted, or refused."""
    context = request.app[CONTEXT]
    return await _admitted(context, await _batch(request, context))


async def submit_call(request: web.Request, query: NoQuery) -> web.Response:
    """POST /v1/contracts/{name}/{entry}: the same for transactions that call this entry."""
    context = request.app[CONTEXT]
    raws = await _batch(request, context)
    wanted = (request.match_info["name"], request.match_info["entry"])
    for raw in raws:
        body = decode_transaction(raw).body
        if (body.contract, body.entry) != wanted:
            raise Refused(
                "a transaction calls another entry",
                code="OTHER_CALL",
                expected=".".join(wanted),
                found=f"{body.contract}.{body.entry}",
                fix="post it to /v1/transactions, or to the path of its entry",
            )
    return await _admitted(context, raws)


async def _batch(request: web.Request, context: ApiContext) -> list[bytes]:
    """The transactions of a body in any of its forms."""
    body = await read_body(request, context)
    kind = request.content_type
    if kind == MSGPACK:
        return decode_batch(body)
    if kind == RAW:
        return check_batch([body] if body else [])
    if kind == JSON:
        return _from_json(body)
    raise Refused(
        "unknown content type",
        code="MEDIA_TYPE",
        expected=f"{MSGPACK}, {JSON} or {RAW}",
        found=kind[:80],
        fix=SEE_BODIES,
    )


async def _admitted(context: ApiContext, raws: list[bytes]) -> web.Response:
    admissions = await context.node.submit(raws)
    return web.Response(body=encode_answers([_answer(one) for one in admissions]), content_type=JSON)


async def receipt(request: web.Request, query: NoQuery) -> web.Response:
    """GET /v1/transactions/{id}: the receipt of a committed transaction, or 202 while it waits for a block."""
    context = request.app[CONTEXT]
    identity = Hash(parse_hash(request.match_info["id"], "the transaction id"))
    place = context.node.chain.find_transaction(identity)
    if place is None and context.node.waits(identity):
        # The mempool forgets an id on this thread only, after its block can be read: none falls between the two.
        pending = PendingView(id="0x" + identity.hex())
        return web.Response(status=202, text=pending.model_dump_json(), content_type=JSON)
    if place is None:
        raise Refused(
            "this node knows no such transaction",
            code="NOT_FOUND",
            expected="the id of a transaction that waits or is committed",
            found="0x" + identity.hex(),
            fix="ask the node that took it, or submit it again",
        )
    height, index = place
    receipts = context.node.chain.receipts(height)
    if receipts is None:
        raise Refused(
            "the receipts of this block are not kept",
            code="STATE_PRUNED",
            expected="a block whose receipts are kept",
            found=f"height {height}",
            fix="ask a node that keeps everything",
        )
    view = receipt_view(height, receipts, index)
    return web.Response(text=view.model_dump_json(), content_type=JSON)


async def read_body(request: web.Request, context: ApiContext) -> bytes:
    """The whole body within size and time. Raise `TooLarge`; TimeoutError for one that drips in."""
    limit = context.settings.max_body_bytes
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit, request.content_length)
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(context.settings.read_timeout_ms / 1000):
        async for part in request.content.iter_any():
            size += len(part)
            if size > limit:
                raise _too_large(limit, size)
            parts.append(part)
    return b"".join(parts)


def _too_large(limit: int, size: int) -> TooLarge:
    return TooLarge(
        "the body is too large", expected=f"at most {limit} bytes", found=f"{size} bytes", fix="split the batch"
    )


def _from_json(body: bytes) -> list[bytes]:
    try:
        batch = _json_batch.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(
            "the body is not a batch of transactions",
            expected='{"transactions": ["0x..", ..]}',
            found=str(error)[:200],
            fix=SEE_BODIES,
        ) from None
    check_batch([b""] * len(batch.transactions))
    return [_raw(text) for text in batch.transactions]


def _raw(text: str) -> bytes:
    if not text.startswith("0x"):
        raise Refused(
            "a transaction is 0x and hex digits", code="BAD_HEX", expected="0x..", found=text[:40], fix=SEE_BODIES
        )
    return parse_hex(text, "a transaction", limit=None)


def _answer(admission: Admission) -> Answer:
    identity = None if admission.id is None else "0x" + admission.id.hex()
    if admission.accepted:
        return Answer(identity, True, admission.code)
    return Answer(identity, False, admission.code, admission.expected, admission.found, admission.fix)
