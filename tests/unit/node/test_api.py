"""The HTTP API and the client over a real node: what is asked for in good order."""

from __future__ import annotations

import json

import aiohttp
import msgspec
import pytest

from ledger.certificates import Certificate
from ledger.codec import decode
from ledger.objects import (
    decode_header,
    header_hash,
    transaction_id,
)
from ledger.schema import state_nonce
from ledger.state_proof import StateProof, verify_state_proof
from node.api.models import PendingView, ReceiptView
from node.api.routes import ROUTES
from node.client import Client, Refusal
from tests.support.solo_world import found_solo, fund, open_solo, transfer

pytestmark = pytest.mark.asyncio
MSGPACK = {"Content-Type": "application/msgpack"}


async def test_block_by_height_hash_and_head(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        head = await client.block()
        block = await client.block(head.height, receipts=True)
        assert block.hash == head.hash
        assert (await client.block(bytes.fromhex(head.hash[2:]))).height == head.height
        assert head.final_by >= head.height
        deposits = [
            receipt
            for height in range(1, head.height + 1)
            for receipt in (await client.block(height, receipts=True)).receipts
            if receipt.entry == "deposit"
        ]
        assert len(deposits) == 1
        assert deposits[0].events[0].data["amount"] == 1_000_000
        with pytest.raises(Refusal) as caught:
            await client.block(10**6)
        assert caught.value.code == "NOT_FOUND"


async def test_state_proof_leads_to_the_header(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        key = state_nonce(solo.key("trading_center").address)
        shown = await client.state(key, proof=True)
        header = decode_header(bytes.fromhex(shown.header[2:]))
        value = bytes.fromhex(shown.value[2:])
        verify_state_proof(decode(StateProof, bytes.fromhex(shown.proof[2:])), header.state_root, key, value)
        absent = state_nonce(bytes(32))
        shown = await client.state(absent, proof=True)
        header = decode_header(bytes.fromhex(shown.header[2:]))
        assert shown.value is None
        verify_state_proof(decode(StateProof, bytes.fromhex(shown.proof[2:])), header.state_root, absent, None)
        with pytest.raises(Refusal) as caught:
            await client.state(key, height=10**6)
        assert caught.value.code == "NOT_FOUND"


async def test_status_names_the_network(solo):
    async with Client.open(solo.url) as client:
        status = await client.status()
    assert (status.chain_id, status.engine, status.ready, status.stopped_reason) == (
        solo.layout.chain_id, "solo", True, "",
    )  # fmt: skip
    assert status.genesis_hash == "0x" + solo.layout.genesis_hash
    assert (status.language, status.gas_version) == ("pyc/1", 1)


async def test_json_and_octets_are_roads_too(solo, web):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
    raw = transfer(solo, solo.key("alice"))
    async with web.post("/v1/transactions", json={"transactions": ["0x" + raw.hex()]}) as response:
        (answer,) = await response.json()
    assert answer["accepted"]
    assert answer["id"] == "0x" + transaction_id(raw).hex()
    raw = transfer(solo, solo.key("alice"), nonce=1)
    async with web.post("/v1/transactions", data=raw, headers={"Content-Type": "application/octet-stream"}) as response:
        assert (await response.json())[0]["accepted"]


async def test_a_transaction_is_unknown_then_pending_then_committed(tmp_path):
    layout = found_solo(tmp_path / "slow", accounts=("alice", "bob"), min_block_interval_ms=1_500)
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        await fund(client, solo)  # its block has just begun an interval
        raw = transfer(solo, solo.key("alice"))
        identity = transaction_id(raw)
        assert await client.transaction(identity) is None
        await client.submit_one(raw)
        pending = await client.transaction(identity)
        assert isinstance(pending, PendingView)
        assert (pending.id, pending.status) == ("0x" + identity.hex(), "pending")
        assert await client.receipt(identity) is None
        path = f"/v1/transactions/{identity.hex()}"
        async with aiohttp.ClientSession(base_url=solo.url) as web, web.get(path) as response:
            assert response.status == 202
        outcome = await client.wait(identity)
        receipt = await client.transaction(identity)
        assert isinstance(receipt, ReceiptView)
        assert (receipt.height, receipt.ok) == (outcome.height, True)
        assert (receipt.gas_version, receipt.language, receipt.gas > 0) == (1, "pyc/1", True)


async def test_health_and_metrics(web):
    for path in ("/livez", "/readyz"):
        async with web.get(path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})
    async with web.get("/metrics") as response:
        assert b"gridchain_height" in await response.read()


async def test_a_fault_of_the_runtime_is_counted_and_the_chain_goes_on(solo, web, monkeypatch):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        account = client.account(solo.key("alice"))
        with monkeypatch.context() as broken:
            broken.setattr("contracts.outcome.code_of", lambda error: "Internal")
            outcome = await account.call("token", "transfer", [solo.key("bob").address, 2**60])
        assert (outcome.ok, outcome.code) == (False, "Internal")
        assert (await account.call("token", "transfer", [solo.key("bob").address, 5])).ok
    async with web.get("/metrics") as response:
        assert b"gridchain_contract_internal_total 1.0" in await response.read()


async def test_openapi_lists_every_route_and_resolves(web):
    async with web.get("/v1/openapi.json") as response:
        document = json.loads(await response.read())
    assert document["openapi"] == "3.1.0"
    for route in ROUTES:
        assert route.method.lower() in document["paths"][route.path]
    assert {"200", "202", "4XX"} == set(document["paths"]["/v1/transactions/{id}"]["get"]["responses"])
    operations = [op["operationId"] for methods in document["paths"].values() for op in methods.values()]
    assert len(operations) == len(set(operations))
    references = [part.split('"')[0] for part in json.dumps(document).split('"$ref": "#/components/schemas/')[1:]]
    assert references
    assert set(references) <= set(document["components"]["schemas"])


async def test_stored_blocks_carry_their_certificate(solo):
    """The bytes of a block lead from its header's hash to a certificate."""
    async with Client.open(solo.url) as client, aiohttp.ClientSession(base_url=solo.url) as web:
        await fund(client, solo)
        async with web.get("/v1/blocks/1/stored") as response:
            fields = msgspec.msgpack.decode(await response.read())
    header, final_by, certificate = fields[0], fields[3], fields[4]
    assert decode_header(header).height == 1
    if final_by == 1:
        assert msgspec.convert(certificate, Certificate).block_hash == header_hash(header)
