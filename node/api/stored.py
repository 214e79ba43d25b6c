"""A committed block exactly as this node stores it, for those who check it themselves."""

from __future__ import annotations

from aiohttp import web

from ledger.certificates import Certificate
from ledger.codec import Wire, decode, encode
from ledger.errors import DecodeError
from node.api.access import CONTEXT
from node.api.blocks import resolve_height
from node.api.parameters import NoQuery
from node.api.problems import Refused
from node.api.wire import MSGPACK, OTHER_RELEASE


class StoredBlock(Wire, frozen=True):
    """The bytes of one block. `receipts`: encoded, scheduled calls first, then one for each transaction.

    `certificate` finalizes the block at `final_by`, or the last of the `closing` headers built on it; genesis has none.
    """

    header: bytes
    body: bytes
    receipts: tuple[bytes, ...]
    final_by: int
    certificate: Certificate | None
    closing: tuple[bytes, ...]


async def stored_block(request: web.Request, query: NoQuery) -> web.Response:
    """GET /v1/blocks/{height|hash|head}/stored."""
    chain = request.app[CONTEXT].node.chain
    height = resolve_height(chain, request.match_info["block"])
    header, body, receipts = chain.header_bytes(height), chain.body_bytes(height), chain.receipt_bytes(height)
    final_by = chain.final_by(height)
    if header is None or body is None or receipts is None or final_by is None:
        raise Refused(
            "no such block",
            code="NOT_FOUND",
            expected=f"at most {chain.height}",
            found=height,
            fix="ask again when the chain is longer; /v1/blocks/head is the newest",
        )
    finality = chain.finality(final_by)
    certificate = None if finality is None else finality.certificate
    closing = () if finality is None else tuple(finality.closing)
    stored = StoredBlock(header, body, tuple(receipts), final_by, certificate, closing)
    return web.Response(body=encode(stored), content_type=MSGPACK)


def decode_stored_block(raw: bytes) -> StoredBlock:
    """Read the answer. Raise `DecodeError`."""
    try:
        return decode(StoredBlock, raw)
    except DecodeError as error:
        raise DecodeError(
            "the node's answer is no stored block",
            expected="an answer of this release",
            found=str(error),
            fix=OTHER_RELEASE,
        ) from None
