"""The HTTP API over a real node: bad input is refused with a code and both values, and never gives a 500."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from ledger.codec import encode
from ledger.crypto import DOMAIN_TRANSACTION
from ledger.objects import (
    MAX_TRANSACTION_BYTES,
    TransactionEnvelope,
)
from node.api.wire import encode_batch
from node.client import Client
from node.client_account import build_transaction
from tests.support.solo_world import fund, open_solo, transfer

pytestmark = pytest.mark.asyncio
MSGPACK = {"Content-Type": "application/msgpack"}


async def problem(response, status, code):
    body = await response.json(content_type=None)
    assert (response.status, body.get("code")) == (status, code), body
    assert response.content_type == "application/problem+json"
    assert body["status"] == status
    return body


def flipped(raw):
    return raw[:-1] + bytes([raw[-1] ^ 1])


def padded(raw):
    """The same transaction with its envelope's array length in a longer form."""
    assert raw[0] == 0x92
    return b"\xdc\x00\x02" + raw[1:]


def with_body(raw, change, key):
    """Sign a body that our encoder would not write."""
    body = change(msgspec.msgpack.decode(raw)[0])
    return encode(TransactionEnvelope(body, key.sign(DOMAIN_TRANSACTION, body)))


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("BAD_SIGNATURE", lambda solo, key, raw: flipped(raw)),
        (
            "BAD_SIGNATURE",
            lambda solo, key, raw: encode(TransactionEnvelope(msgspec.msgpack.decode(raw)[0], bytes(64))),
        ),
        ("NOT_CANONICAL", lambda solo, key, raw: padded(raw)),
        ("NOT_CANONICAL", lambda solo, key, raw: with_body(raw, lambda body: b"\xdc\x00\x08" + body[1:], key)),
        ("MALFORMED", lambda solo, key, raw: raw[:-10]),
        ("MALFORMED", lambda solo, key, raw: raw + b"\x00"),
        ("MALFORMED", lambda solo, key, raw: b"\xc0"),
        ("MALFORMED", lambda solo, key, raw: b""),
        ("MALFORMED", lambda solo, key, raw: b"\x92" * 5_000),
        ("TOO_LARGE", lambda solo, key, raw: raw + bytes(MAX_TRANSACTION_BYTES)),
        ("WRONG_CHAIN", lambda solo, key, raw: transfer(solo, key, chain_id="dev-test-" + "0" * 32)),
        ("UNKNOWN_CONTRACT", lambda solo, key, raw: transfer(solo, key, contract="nothing")),
        ("UNKNOWN_ENTRY", lambda solo, key, raw: transfer(solo, key, entry="nothing")),
        ("NONCE_TOO_HIGH", lambda solo, key, raw: transfer(solo, key, nonce=4_096)),
    ],
)
async def test_bad_transactions_are_refused_with_code_and_values(solo, web, code, spoil):
    key = solo.key("alice")
    bad = spoil(solo, key, transfer(solo, key))
    async with web.post("/v1/transactions", data=encode_batch([bad]), headers=MSGPACK) as response:
        assert response.status == 200
        (answer,) = await response.json()
    assert (answer["accepted"], answer["code"]) == (False, code)
    assert answer["expected"]
    assert answer["found"]


async def test_replay_is_refused_and_duplicates_are_one(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        raw = transfer(solo, solo.key("alice"))
        (first,) = await client.submit_and_wait([raw])
        assert first.ok
        (again,) = await client.submit([raw])
        assert (again.accepted, again.code) == (False, "NONCE_USED")
        assert (await client.view("token", "account", solo.key("bob").address))["balance"] == 5
        other = build_transaction(solo.key("alice"), solo.layout.chain_id, 1, ("token", "supply", []), 1_000_000)
        answers = await client.submit([other, other])
        assert len({answer.id for answer in answers}) == 1


async def test_good_ones_in_a_batch_with_bad_ones_are_taken(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        key = solo.key("alice")
        raws = [transfer(solo, key, nonce=nonce) for nonce in range(40)]
        raws[7], raws[23] = flipped(raws[7]), b"junk"
        answers = await client.submit(raws)
        assert [position for position, answer in enumerate(answers) if not answer.accepted] == [7, 23]
        for answer in answers:
            if answer.accepted:
                assert (await client.wait(bytes.fromhex(answer.id[2:]))).ok


@pytest.mark.parametrize(
    ("status", "code", "headers", "body"),
    [
        (400, "MALFORMED", MSGPACK, b"\xff\xff"),
        (400, "MALFORMED", MSGPACK, b""),
        (400, "MALFORMED", MSGPACK, b"\x81\xa1a\x01"),
        (400, "MALFORMED", MSGPACK, b"\x91" * 100_000),
        (400, "EMPTY", MSGPACK, b"\x90"),
        (413, "TOO_LARGE", MSGPACK, encode_batch([b"x"] * 257)),
        (400, "MALFORMED", {"Content-Type": "application/json"}, b"{"),
        (400, "MALFORMED", {"Content-Type": "application/json"}, b"[" * 100_000),
        (400, "MALFORMED", {"Content-Type": "application/json"}, b'{"transactions": [1]}'),
        (400, "MALFORMED", {"Content-Type": "application/json"}, b'{"transactions": [], "x": 1}'),
        (400, "EMPTY", {"Content-Type": "application/json"}, b'{"transactions": []}'),
        (400, "BAD_HEX", {"Content-Type": "application/json"}, b'{"transactions": ["0xzz"]}'),
        (400, "BAD_HEX", {"Content-Type": "application/json"}, b'{"transactions": ["00"]}'),
        (400, "EMPTY", {"Content-Type": "application/octet-stream"}, b""),
        (415, "MEDIA_TYPE", {"Content-Type": "text/plain"}, b"hello"),
    ],
)
async def test_bad_bodies(web, status, code, headers, body):
    async with web.post("/v1/transactions", data=body, headers=headers) as response:
        told = await problem(response, status, code)
    assert all(told[field] for field in ("expected", "found", "fix"))


@pytest.mark.parametrize(
    ("status", "code", "path"),
    [
        (404, "UNKNOWN_ROUTE", "/v1/nothing"),
        (404, "UNKNOWN_ROUTE", "/v2/status"),
        (405, "METHOD", "/v1/transactions"),
        (400, "UNKNOWN_PARAMETER", "/v1/status?verbose=1"),
        (400, "UNKNOWN_PARAMETER", "/v1/blocks/head?receits=1"),
        (400, "BAD_PARAMETER", "/v1/blocks/head?receipts=perhaps"),
        (400, "BAD_NUMBER", "/v1/blocks/-1"),
        (400, "BAD_NUMBER", "/v1/blocks/99999999999999999999"),
        (400, "BAD_NUMBER", "/v1/blocks/%D9%A1"),
        (400, "BAD_LENGTH", "/v1/blocks/0x00"),
        (400, "BAD_HEX", "/v1/blocks/0xzz"),
        (404, "NOT_FOUND", "/v1/blocks/0x" + "00" * 32),
        (404, "NOT_FOUND", "/v1/blocks/1000000"),
        (400, "BAD_LENGTH", "/v1/transactions/00"),
        (404, "NOT_FOUND", "/v1/transactions/0x" + "00" * 32),
        (400, "BAD_LENGTH", "/v1/accounts/0x00"),
        (400, "BAD_HEX", "/v1/state/0xq"),
        (404, "NOT_FOUND", "/v1/state/0x00?height=9999999"),
        (400, "BAD_PARAMETER", "/v1/state/0x00?height=-1"),
        (404, "UNKNOWN_CONTRACT", "/v1/contracts/nothing/view"),
        (404, "UNKNOWN_ENTRY", "/v1/contracts/token/nothing"),
        (400, "NOT_A_VIEW", "/v1/contracts/token/transfer"),
        (400, "BAD_ARGS", "/v1/contracts/token/account?args={"),
        (400, "BAD_ARGS", "/v1/contracts/token/account?args={}"),
        (400, "BAD_ARGS", "/v1/contracts/token/account?args=[1.5]"),
        (400, "BAD_ARGS", "/v1/contracts/token/account?args=" + "[" * 2_000),
        (400, "BAD_VALUE", '/v1/contracts/token/account?args=["0xzz"]'),
        (404, "NOT_FOUND", "/v1/proofs/settlement/1/0x" + "00" * 32),
        (400, "BAD_CURSOR", "/v1/events?from=x"),
        (400, "BAD_CURSOR", "/v1/events?from=1:x"),
        (400, "BAD_CURSOR", "/v1/events?from=-1:0"),
        (400, "BAD_PARAMETER", "/v1/receipts?from=-1"),
        (400, "UPGRADE", "/v1/events"),
        (400, "UPGRADE", "/v1/receipts"),
    ],
)
async def test_bad_requests(web, status, code, path):
    async with web.get(path) as response:
        body = await problem(response, status, code)
        assert all(body[part] for part in ("message", "expected", "found", "fix"))


async def test_queries_that_fail_carry_the_contracts_code(web):
    deep = "[" * 1_300 + "]" * 1_300
    for query in ("", '?args=["0x00"]', "?args=[1,2,3]", "?args=[null]", "?args=[[[[]]]]", f"?args={deep}"):
        async with web.get(f"/v1/contracts/token/account{query}") as response:
            body = await response.json(content_type=None)
            assert 400 <= response.status < 500, body
            assert body["code"]
            assert body["expected"]
            assert body["found"]
            assert body["fix"]


async def test_an_unknown_view_names_those_there_are(web):
    async with web.get("/v1/contracts/token/acount") as response:
        body = await problem(response, 404, "UNKNOWN_ENTRY")
    assert "account" in body["expected"]
    assert body["found"] == "acount"
    assert body["fix"] == "did you mean account?"
    async with web.get("/v1/contracts/token/account?args=[5]") as response:
        body = await problem(response, 400, "TypeMismatch")
    assert (body["expected"], body["found"]) == ("account(address: Address)", "[5]")


async def test_size_limits(layout):
    async with open_solo(layout, max_body_bytes=1_000) as solo, aiohttp.ClientSession(base_url=solo.url) as web:
        async with web.post("/v1/transactions", data=bytes(1_001), headers=MSGPACK) as response:
            assert (await problem(response, 413, "TOO_LARGE"))["expected"] == "at most 1000 bytes"

        async def drip():
            for _ in range(11):
                yield bytes(100)

        async with web.post("/v1/transactions", data=drip(), headers=MSGPACK) as response:
            await problem(response, 413, "TOO_LARGE")


async def test_a_client_that_drips_is_dropped(layout):
    async with open_solo(layout, read_timeout_ms=200) as solo, aiohttp.ClientSession(base_url=solo.url) as web:

        async def drip():
            yield b"\x91"
            await asyncio.sleep(1.5)
            yield b"\xc4\x00"

        async with web.post("/v1/transactions", data=drip(), headers=MSGPACK) as response:
            await problem(response, 408, "TIMEOUT")


async def test_a_connection_that_says_nothing_is_closed(layout):
    async with open_solo(layout, read_timeout_ms=300) as solo:
        for opening in (b"", b"GET /v1/status HTTP/1.1\r\nHost: x\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", solo.api.port)
            writer.write(opening)
            assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()
            await writer.wait_closed()
        async with aiohttp.ClientSession(base_url=solo.url) as web:
            for _ in range(2):
                async with web.get("/v1/status") as response:
                    assert response.status == 200
                await asyncio.sleep(0.4)


async def test_rate_limit(layout):
    async with open_solo(layout, requests_per_second=5) as solo, aiohttp.ClientSession(base_url=solo.url) as web:
        statuses = []
        for _ in range(20):
            async with web.get("/v1/blocks/head") as response:
                statuses.append(response.status)
                if response.status == 429:
                    assert response.headers["Retry-After"]
        assert 10 <= statuses.count(200) <= 15
        assert statuses.count(200) + statuses.count(429) == 20
        async with web.get("/readyz") as response:
            assert response.status == 200


async def test_streams_are_bounded(layout):
    async with open_solo(layout, max_subscribers=2) as solo, aiohttp.ClientSession(base_url=solo.url) as web:
        async with web.ws_connect("/v1/events"), web.ws_connect("/v1/receipts"):
            async with web.get("/v1/status") as response:
                assert response.status == 200
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await web.ws_connect("/v1/events")
            assert caught.value.status == 503
        async with web.ws_connect("/v1/events"):
            pass
