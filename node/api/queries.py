"""Free questions to the state: nonces, contract views, raw values with proofs, the proof of one settlement."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from contracts.values import encode_value, to_json
from ledger.codec import encode
from node.api.access import CONTEXT, ApiContext
from node.api.models import AccountView, ContractAnswer, SettlementProofView, StateView
from node.api.parameters import (
    ContractQuery,
    NoQuery,
    StateQuery,
    parse_hash,
    parse_hex,
    parse_number,
)
from node.api.problems import Refused
from node.api.settlements import export_settlement

MAX_USED_SHOWN: Final = 4_096
_HEAD: Final = "ask again when the chain is longer, or leave height away"
_ARGS_FIX: Final = """write it as ?args=[1,"text","0x00ff"], URL-encoded"""


async def account(request: web.Request, query: NoQuery) -> web.Response:
    """GET /v1/accounts/{address}: the next nonce to use, and those used out of order."""
    context = request.app[CONTEXT]
    address = parse_hash(request.match_info["address"], "the address")
    window = context.node.nonces(address)
    used = [window.lowest + bit for bit in range(window.used.bit_length()) if window.used >> bit & 1]
    view = AccountView(
        address="0x" + address.hex(),
        next_nonce=window.lowest,
        used_above=used[:MAX_USED_SHOWN],
        height=context.node.chain.height,
    )
    return web.Response(text=view.model_dump_json(), content_type="application/json")


async def contract(request: web.Request, query: ContractQuery) -> web.Response:
    """GET /v1/contracts/{name}/{entry}?args=[..]: what a view returns; free."""
    context = request.app[CONTEXT]
    name, view = request.match_info["name"], request.match_info["entry"]
    height = _height(context, query.height)
    arguments = _arguments(query.args)
    # A view may use up its gas limit, which takes milliseconds: not on the loop.
    value = await asyncio.to_thread(context.node.query, name, view, arguments, height, as_json=True)
    encoded = "0x" + encode_value(value).hex()
    answer = ContractAnswer(contract=name, view=view, height=height, value=to_json(value), encoded=encoded)
    return web.Response(text=answer.model_dump_json(), content_type="application/json")


def _arguments(text: str) -> list[Any]:
    """Parsed JSON; what it means is up to the types of the view."""
    try:
        parsed = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise Refused(
            "args is not JSON", code="BAD_ARGS", expected="a JSON array", found=str(error)[:120], fix=_ARGS_FIX
        ) from None
    if not isinstance(parsed, list):
        raise Refused("args is not a list", code="BAD_ARGS", expected="a JSON array", found=text[:80], fix=_ARGS_FIX)
    return parsed


def _no_float(text: str) -> int:
    raise ValueError(f"{text[:40]}: contracts know integers only")


async def state(request: web.Request, query: StateQuery) -> web.Response:
    """GET /v1/state/{hexkey}?proof=1."""
    context = request.app[CONTEXT]
    key = parse_hex(request.match_info["key"], "the state key")
    height = _height(context, query.height)
    header = context.node.chain.header(height)
    header_bytes = context.node.chain.header_bytes(height)
    if header is None or header_bytes is None:
        raise Refused(
            "no such block", code="NOT_FOUND", expected="a committed height", found=f"height {height}", fix=_HEAD
        )
    value = context.node.state(key, height)
    proof = encode(context.node.prove(key, height)) if query.proof else None
    view = StateView(
        key="0x" + key.hex(),
        value=None if value is None else "0x" + value.hex(),
        height=height,
        state_root="0x" + header.state_root.hex(),
        proof=None if proof is None else "0x" + proof.hex(),
        header="0x" + header_bytes.hex() if query.proof else None,
    )
    return web.Response(text=view.model_dump_json(), content_type="application/json")


def _height(context: ApiContext, asked: int | None) -> int:
    head = context.node.chain.height
    if asked is not None and asked > head:
        raise Refused("no such block yet", code="NOT_FOUND", expected=f"at most {head}", found=asked, fix=_HEAD)
    return head if asked is None else asked


async def settlement_proof(request: web.Request, query: NoQuery) -> web.Response:
    """GET /v1/proofs/settlement/{slot}/{meter}: the proof file."""
    node = request.app[CONTEXT].node
    slot = parse_number(request.match_info["slot"], "the slot")
    meter = parse_hash(request.match_info["meter"], "the meter")
    height, file = await asyncio.to_thread(export_settlement, node, slot, meter)
    view = SettlementProofView(slot=slot, meter="0x" + meter.hex(), height=height, file="0x" + file.hex())
    return web.Response(text=view.model_dump_json(), content_type="application/json")
