"""Blocks and receipts as people and programs read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from contracts.values import decode_value, to_json
from ledger.crypto import HASH_SIZE
from ledger.objects import Header, Receipt, transaction_id
from node.api.access import CONTEXT, Chain
from node.api.feeds import render
from node.api.models import BlockView, EventView, ReceiptView
from node.api.parameters import BlockQuery, parse_hex, parse_number
from node.api.problems import Refused


async def block(request: web.Request, query: BlockQuery) -> web.Response:
    """GET /v1/blocks/{height|hash|head}."""
    chain = request.app[CONTEXT].node.chain
    height = resolve_height(chain, request.match_info["block"])
    found = chain.block(height)
    if found is None:
        raise Refused(
            "no such block",
            code="NOT_FOUND",
            expected=f"at most {chain.height}",
            found=height,
            fix="ask again when the chain is longer; /v1/blocks/head is the newest",
        )
    receipts = chain.receipts(height) if query.receipts else None
    view = BlockView(
        height=height,
        hash="0x" + found.hash.hex(),
        header=header_view(found.header),
        final_by=chain.final_by(height) or 0,
        transactions=["0x" + transaction_id(raw).hex() for raw in found.body.transactions],
        receipts=None if receipts is None else receipt_views(height, receipts),
    )
    return web.Response(text=view.model_dump_json(), content_type="application/json")


def resolve_height(chain: Chain, text: str) -> int:
    """Height of a block named by height, hash, or the word head. Raise `Refused`."""
    if text == "head":
        return chain.height
    if not text.startswith("0x") and len(text) != 2 * HASH_SIZE:
        return parse_number(text, "the height")
    found = chain.height_of(parse_hex(text, "the block hash", HASH_SIZE))
    if found is None:
        raise Refused(
            "no committed block has this hash",
            code="NOT_FOUND",
            expected="the hash of a committed block",
            found=text,
            fix="name it by its height",
        )
    return found


def header_view(header: Header) -> dict[str, Any]:
    """A header with its bytes as hex."""
    fields = msgspec.structs.asdict(header)
    return {name: "0x" + value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}


def receipt_views(height: int, receipts: Sequence[Receipt]) -> list[ReceiptView]:
    """All receipts of a block, their events numbered through the block."""
    rendered = render(height, 0, receipts).events
    views: list[ReceiptView] = []
    at = 0
    for index, receipt in enumerate(receipts):
        events = rendered[at : at + len(receipt.events)]
        at += len(receipt.events)
        views.append(
            ReceiptView(
                id="0x" + receipt.subject.hex(),
                height=height,
                index=index,
                scheduled=receipt.scheduled,
                contract=receipt.contract,
                entry=receipt.entry,
                ok=receipt.ok,
                code=receipt.code,
                line=receipt.line,
                gas=receipt.gas,
                gas_version=receipt.gas_version,
                language=receipt.language,
                value=to_json(decode_value(receipt.value)) if receipt.value else None,
                events=[EventView(**event.fields) for event in events],
            )
        )
    return views


def receipt_view(height: int, receipts: Sequence[Receipt], index: int) -> ReceiptView:
    """One receipt of a block."""
    before = sum(len(receipt.events) for receipt in receipts[:index])
    view = receipt_views(height, receipts[index : index + 1])[0]
    events = [
        event.model_copy(update={"index": before + event.index, "cursor": f"{height}:{before + event.index}"})
        for event in view.events
    ]
    return view.model_copy(update={"index": index, "events": events})
