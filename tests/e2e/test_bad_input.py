"""Bad input to a real node over HTTP: refused with a clear code, nothing lost, the node goes on.

One node for the whole file (real listener, real store), so each refusal also has to leave it able to serve the next.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio

import deploy
from contracts.limits import PYC1
from contracts.values import ValueRefused, encode_value
from deploy.commands_dev import RESIDENTS, settle_in
from ledger.codec import encode
from ledger.crypto import DOMAIN_TRANSACTION, SigningKey
from ledger.objects import (
    MAX_ARGUMENT_BYTES,
    MAX_TRANSACTION_BYTES,
    TransactionBody,
    TransactionEnvelope,
    sign_transaction,
)
from node.api.wire import encode_batch
from node.client import Client
from tests.support.solo_world import Solo, found_solo, open_solo

SPEED = 450
"""2 seconds a slot; orders of a slot are taken for two of them."""
ROOT = Path(deploy.__file__).resolve().parents[1]
GAS = 2_000_000
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


class Market:
    """The node, a client of it, and people who sign what no honest client would."""

    def __init__(self, solo: Solo, client: Client, session: aiohttp.ClientSession) -> None:
        self.solo = solo
        self.client = client
        self.session = session
        self.chain_id = solo.layout.chain_id
        self._nonces: dict[bytes, int] = {}

    def key(self, name: str) -> SigningKey:
        return self.solo.key(name)

    async def nonce(self, key: SigningKey) -> int:
        """The next nonce, counted here: some transactions of this file are never committed."""
        if key.address not in self._nonces:
            self._nonces[key.address] = (await self.client.account_state(key.address)).next_nonce
        self._nonces[key.address] += 1
        return self._nonces[key.address] - 1

    async def body(self, key: SigningKey, contract: str, entry: str, arguments: bytes, **changes) -> TransactionBody:
        fields = {
            "version": 1,
            "chain_id": self.chain_id,
            "public_key": key.public,
            "nonce": changes["nonce"] if "nonce" in changes else await self.nonce(key),
            "contract": contract,
            "entry": entry,
            "arguments": arguments,
            "gas_limit": GAS,
        }
        return TransactionBody(**{**fields, **changes})

    async def good(self) -> bytes:
        """A transfer that succeeds."""
        key = self.key("bob")
        arguments = encode_value([self.key("prosumer1").address, 1])
        return sign_transaction(await self.body(key, "token", "transfer", arguments), key)

    async def call(self, name: str, contract: str, entry: str, arguments: list | bytes, **changes):
        """Submit a call and return its receipt."""
        key = self.key(name)
        encoded = arguments if isinstance(arguments, bytes) else encode_value(arguments)
        raw = sign_transaction(await self.body(key, contract, entry, encoded, **changes), key)
        outcome = await self.client.wait(await self.client.submit_one(raw))
        receipt = await self.client.receipt(outcome.id)
        assert receipt is not None
        assert (receipt.ok, receipt.code) == (outcome.ok, outcome.code)
        return receipt

    async def open_slot(self) -> int:
        """The slot that takes orders for the longest time from now."""
        while not (slots := await self.client.view("double_auction", "open_slots")):
            await asyncio.sleep(0.05)
        return max(slots)

    async def post(self, raws: list[bytes], transport: str) -> list[dict]:
        if transport == "msgpack":
            body, kind = encode_batch(raws), "application/msgpack"
        else:
            body = json.dumps({"transactions": ["0x" + raw.hex() for raw in raws]}).encode()
            kind = "application/json"
        async with self.session.post("/v1/transactions", data=body, headers={"Content-Type": kind}) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def conserved(self) -> None:
        """No refusal has made or destroyed money."""
        supply = await self.client.view("token", "supply")
        rows = await self.client.view("token", "page", b"", 256)
        assert sum(balance + escrow - debt for _, balance, escrow, debt in rows) == supply["minted"] - supply["burned"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory):
    accounts = tuple(name for r in RESIDENTS for name in (r.name, f"{r.name}_meter"))
    layout = found_solo(tmp_path_factory.mktemp("bad") / "network", speed=SPEED, accounts=(*accounts, "bob"))
    async with (
        open_solo(layout) as solo,
        Client.open(solo.url) as client,
        aiohttp.ClientSession(base_url=solo.url) as session,
    ):
        await settle_in(client, layout)
        world = Market(solo, client, session)
        deposit = [world.key("bob").address, 1_000, "bank bob"]
        assert (await world.call("trading_center", "token", "deposit", deposit)).ok
        yield world
        await world.conserved()
        async with session.get("/readyz") as response:
            assert response.status == 200
        assert (await client.status()).stopped_reason == ""


# --- transactions that are none, or not ours --------------------------------------------------------------------------


def resigned(key, body):
    """An envelope around bytes that our encoder would not write, well signed."""
    return encode(TransactionEnvelope(body, key.sign(DOMAIN_TRANSACTION, body)))


async def malformed(market, raw, key):
    return raw[:-7]


async def with_tail(market, raw, key):
    return raw + b"\x00"


async def not_even_msgpack(market, raw, key):
    return b"\xc1" * 64


async def empty(market, raw, key):
    return b""


async def deep(market, raw, key):
    return b"\x91" * 60_000


async def a_map(market, raw, key):
    return msgspec.msgpack.encode({"body": raw, "signature": bytes(64)})


async def negative_nonce(market, raw, key):
    fields = msgspec.msgpack.decode(msgspec.msgpack.decode(raw)[0])
    fields[3] = -1
    return resigned(key, msgspec.msgpack.encode(fields))


async def other_version(market, raw, key):
    return sign_transaction(await market.body(key, "token", "transfer", b"\x90", version=2), key)


async def oversized(market, raw, key):
    return raw + bytes(MAX_TRANSACTION_BYTES)


async def long_arguments(market, raw, key):
    return sign_transaction(await market.body(key, "token", "transfer", bytes(MAX_ARGUMENT_BYTES + 1)), key)


async def padded_envelope(market, raw, key):
    assert raw[0] == 0x92
    return b"\xdc\x00\x02" + raw[1:]


async def padded_body(market, raw, key):
    body = msgspec.msgpack.decode(raw)[0]
    return resigned(key, b"\xdc\x00\x08" + body[1:])


async def padded_number(market, raw, key):
    body = await market.body(key, "token", "transfer", b"\x90", nonce=5)
    whole = encode(body)
    at = whole.index(key.public) + 32
    assert whole[at] == 5
    return resigned(key, whole[:at] + b"\xcc\x05" + whole[at + 1 :])


async def replayed(market, raw, key):
    return sign_transaction(await market.body(key, "token", "transfer", b"\x90", nonce=0), key)


async def far_nonce(market, raw, key):
    return sign_transaction(await market.body(key, "token", "transfer", b"\x90", nonce=2**64 - 1), key)


async def wrong_chain(market, raw, key):
    return sign_transaction(await market.body(key, "token", "transfer", b"\x90", chain_id="dev-test-" + "0" * 32), key)


async def forged(market, raw, key):
    return raw[:-1] + bytes([raw[-1] ^ 1])


async def unsigned(market, raw, key):
    return encode(TransactionEnvelope(msgspec.msgpack.decode(raw)[0], bytes(64)))


async def signed_by_another(market, raw, key):
    body = await market.body(market.key("prosumer1"), "token", "transfer", b"\x90", nonce=4_000)
    return resigned(key, encode(body))


async def signed_for_another_use(market, raw, key):
    body = msgspec.msgpack.decode(raw)[0]
    return encode(TransactionEnvelope(body, key.sign(b"gridchain/other\x00", body)))


BAD = [
    ("MALFORMED", malformed),
    ("MALFORMED", with_tail),
    ("MALFORMED", not_even_msgpack),
    ("MALFORMED", empty),
    ("MALFORMED", deep),
    ("MALFORMED", a_map),
    ("MALFORMED", negative_nonce),
    ("MALFORMED", other_version),
    ("MALFORMED", long_arguments),
    ("TOO_LARGE", oversized),
    ("NOT_CANONICAL", padded_envelope),
    ("NOT_CANONICAL", padded_body),
    ("NOT_CANONICAL", padded_number),
    ("NONCE_USED", replayed),
    ("NONCE_TOO_HIGH", far_nonce),
    ("WRONG_CHAIN", wrong_chain),
    ("BAD_SIGNATURE", forged),
    ("BAD_SIGNATURE", unsigned),
    ("BAD_SIGNATURE", signed_by_another),
    ("BAD_SIGNATURE", signed_for_another_use),
]


@pytest.mark.parametrize("transport", ["msgpack", "json"])
@pytest.mark.parametrize(("code", "spoil"), BAD, ids=[spoil.__name__ for _, spoil in BAD])
async def test_a_bad_transaction_alone_and_among_good_ones(market, code, spoil, transport):
    key = market.key("consumer2")
    bad = await spoil(
        market, sign_transaction(await market.body(key, "token", "transfer", b"\x90", nonce=3_000), key), key
    )
    alone = (await market.post([bad], transport))[0]
    before, after = await market.good(), await market.good()
    first, middle, last = await market.post([before, bad, after], transport)
    for refused in (alone, middle):
        assert (refused["accepted"], refused["code"]) == (False, code)
        for field in ("expected", "found", "fix"):
            assert refused[field], (field, refused)
        assert refused["expected"] != refused["found"]
    for taken in (first, last):
        assert taken["accepted"], taken
        assert (await market.client.wait(bytes.fromhex(taken["id"][2:]))).ok


@pytest.mark.parametrize("transport", ["msgpack", "json"])
async def test_the_same_bytes_again_are_applied_once(market, transport):
    raw = await market.good()
    receiver = market.key("prosumer1").address
    before = (await market.client.view("token", "account", receiver))["balance"]
    waiting = await market.post([raw, raw], transport)
    assert [one["accepted"] for one in waiting] == [True, True]
    assert (await market.client.wait(bytes.fromhex(waiting[0]["id"][2:]))).ok
    (again,) = await market.post([raw], transport)
    assert (again["accepted"], again["code"]) == (False, "NONCE_USED")
    assert all(again[field] for field in ("expected", "found", "fix"))
    assert (await market.client.view("token", "account", receiver))["balance"] == before + 1


# --- absurd arguments -------------------------------------------------------------------------------------------------

ORDERS = [
    ("BAD_WH", {"wh": -1}),
    ("BAD_WH", {"wh": 0}),
    ("BAD_WH", {"wh": 2**63}),
    ("BAD_WH", {"wh": 2**255 - 1}),
    ("BAD_WH", {"wh": -(2**255)}),
    ("BAD_PRICE", {"price": -1}),
    ("BAD_PRICE", {"price": 2**64}),
    ("BAD_PRICE", {"price": 2**255 - 1}),
    ("BAD_SIDE", {"side": "SELL"}),
    ("BAD_SIDE", {"side": ""}),
    ("BAD_SIDE", {"side": "x" * 1_000}),
    ("BAD_REQUOTE", {"requote": "perhaps"}),
    ("WINDOW_CLOSED", {"slot": 2**53}),
    ("WINDOW_CLOSED", {"slot": 2**200}),
    ("WINDOW_CLOSED", {"slot": 2**255 - 1}),
    ("TypeMismatch", {"wh": True}),
    ("TypeMismatch", {"wh": None}),
    ("TypeMismatch", {"wh": "1000"}),
    ("TypeMismatch", {"wh": b"\x05"}),
    ("TypeMismatch", {"wh": [[[[5]]]]}),
    ("TypeMismatch", {"wh": {"wh": 5}}),
    ("TypeMismatch", {"side": 1}),
    ("TypeMismatch", {"requote": ["keep"]}),
]


@pytest.mark.parametrize(
    ("code", "change"), ORDERS, ids=[f"{c}-{next(iter(d))}-{i}" for i, (c, d) in enumerate(ORDERS)]
)
async def test_orders_with_absurd_fields_fail_with_a_code(market, code, change):
    fields = {"slot": await market.open_slot(), "side": "sell", "wh": 10, "price": 500_000, "requote": "keep"}
    receipt = await market.call("prosumer1", "double_auction", "submit_order", list({**fields, **change}.values()))
    assert (receipt.ok, receipt.code, receipt.events) == (False, code, [])


async def test_wrong_numbers_of_arguments_fail_with_a_code(market):
    slot = await market.open_slot()
    for arguments in ([], [slot], [slot, "sell", 10, 500_000, "keep", 1], [[slot, "sell", 10, 500_000, "keep"]]):
        receipt = await market.call("prosumer1", "double_auction", "submit_order", arguments)
        assert (receipt.ok, receipt.code) == (False, "TypeMismatch")


def wide(value: int) -> bytes:
    """An integer of any size as an extension, which our encoder refuses beyond 256 bits."""
    size = value.bit_length() // 8 + 1
    return msgspec.msgpack.encode([msgspec.msgpack.Ext(1, value.to_bytes(size, "big", signed=True))])


RAW_ARGUMENTS = {
    "2**300": wide(2**300),
    "-2**300": wide(-(2**300)),
    "2**255": wide(2**255),
    "2**70 with a leading zero": msgspec.msgpack.encode(
        [msgspec.msgpack.Ext(1, bytes(3) + (2**70).to_bytes(9, "big"))]
    ),
    "5 as a wide integer": msgspec.msgpack.encode([msgspec.msgpack.Ext(1, b"\x05")]),
    "float": msgspec.msgpack.encode([1.5]),
    "nan": msgspec.msgpack.encode([math.nan]),
    "infinity": msgspec.msgpack.encode([math.inf]),
    "padded integer": b"\x91\xce\x00\x00\x00\x05",
    "padded list": b"\xdc\x00\x01\x05",
    "unknown extension": msgspec.msgpack.encode([msgspec.msgpack.Ext(99, b"x")]),
    "timestamp": b"\x91\xd6\xff\x00\x00\x00\x00",
    "a map": b"\x81\xa1a\x01",
    "a number": b"\x05",
    "nothing": b"",
    "never used byte": b"\xc1",
    "surplus": b"\x90\x90",
    "torn": b"\x92\x05",
    "bad utf-8": b"\x91\xa2\xff\xfe",
    "surrogate": b"\x91\xa3\xed\xa0\x80",
    "deep": b"\x91" * (PYC1.nesting + 2) + b"\x01",
    "very deep": b"\x91" * 90_000 + b"\x01",
    "huge list": b"\xdd\xff\xff\xff\xff",
    "huge text": b"\x91\xdb" + (90_000).to_bytes(4, "big") + b"x" * 90_000,
    "equal keys": b"\x91\x82\xa1a\x01\xa1a\x02",
}


@pytest.mark.parametrize("name", RAW_ARGUMENTS)
async def test_arguments_that_no_client_encodes_fail_with_a_code(market, name):
    for contract, entry in (("double_auction", "submit_order"), ("token", "transfer"), ("registry", "apply")):
        receipt = await market.call("prosumer1", contract, entry, RAW_ARGUMENTS[name])
        assert receipt.ok is False
        assert receipt.code in ("BadValue", "TypeMismatch"), receipt


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64, 1_000])
async def test_addresses_of_wrong_length_fail_with_a_code(market, length):
    for contract, entry, arguments in (
        ("token", "transfer", [bytes(length), 5]),
        ("token", "deposit", [bytes(length), 5, f"bank {length}"]),
        ("registry", "attest", [bytes(length), bytes(32), ["licence"]]),
    ):
        receipt = await market.call("trading_center", contract, entry, arguments)
        assert (receipt.ok, receipt.code) == (False, "BadValue")


@pytest.mark.parametrize("amount", [-1, 0, -(2**255), 2**255 - 1, 10**12])
async def test_absurd_amounts_move_nothing(market, amount):
    receipt = await market.call("bob", "token", "transfer", [market.key("prosumer1").address, amount])
    assert (receipt.ok, receipt.events) == (False, [])
    assert receipt.code in ("BAD_AMOUNT", "INSUFFICIENT_FUNDS")
    await market.conserved()


@pytest.mark.parametrize("gas", [0, 1, 499, 2**63, 2**64 - 1])
async def test_absurd_gas_limits(market, gas):
    receipt = await market.call("bob", "token", "transfer", [market.key("prosumer1").address, 1], gas_limit=gas)
    assert (receipt.ok, receipt.code) == ((True, "") if gas > 499 else (False, "OutOfGas"))


async def test_the_client_refuses_what_is_no_value(market):
    for value in (2**300, 1.5, math.nan, {1, 2}, object()):
        with pytest.raises(ValueRefused) as refused:
            await market.client.account(market.key("bob")).call("token", "transfer", [bytes(32), value])
        assert refused.value.code == "BAD_VALUE"


# --- the market's own refusals ----------------------------------------------------------------------------------------


async def test_a_reading_from_an_unknown_meter(market):
    for name in ("bob", "prosumer1"):  # a stranger, and a member's account, which is no meter
        receipt = await market.call(name, "metering", "submit_reading", [await market.open_slot(), 5, 0])
        assert (receipt.ok, receipt.code) == (False, "UNKNOWN_METER")


async def delivered_slot(market) -> int:
    """A slot of which a reading may be given now."""
    async for seen in market.client.events(contract="double_auction", names=["SlotDelivered"]):
        return seen.data["slot"]
    raise AssertionError("the stream of events never ends")


async def test_a_second_reading_for_the_same_slot(market):
    slot, meter = await delivered_slot(market), "consumer1_meter"
    for code, generation, use in (
        ("BAD_WH", 0, -1),
        ("BAD_WH", 0, 2**255 - 1),
        ("TWO_SIDES", 5, 5),
    ):
        receipt = await market.call(meter, "metering", "submit_reading", [slot, generation, use])
        assert (receipt.ok, receipt.code) == (False, code)
    assert (await market.call(meter, "metering", "submit_reading", [slot, 0, 700])).ok
    for use in (700, 701):
        second = await market.call(meter, "metering", "submit_reading", [slot, 0, use])
        assert (second.ok, second.code, second.events) == (False, "READING_EXISTS", [])
    shown = await market.client.view("metering", "reading", slot, market.key(meter).address)
    assert (shown["use_wh"], shown["revision"]) == (700, 0)
    early = await market.call(meter, "metering", "submit_reading", [await market.open_slot(), 0, 700])
    assert (early.ok, early.code) == (False, "READING_EARLY")


async def test_orders_outside_the_window(market):
    past = await delivered_slot(market)
    for slot, code in (
        (past, "ORDER_LATE"),
        (past + 500, "WINDOW_CLOSED"),
        (0, "WINDOW_CLOSED"),
        (-1, "WINDOW_CLOSED"),
    ):
        receipt = await market.call("prosumer1", "double_auction", "submit_order", [slot, "sell", 10, 500_000, "keep"])
        assert (receipt.ok, receipt.code, receipt.events) == (False, code, [])
    stranger = await market.call("bob", "double_auction", "submit_order", [past + 1, "sell", 10, 500_000, "keep"])
    assert (stranger.ok, stranger.code) == (False, "NOT_MEMBER")


async def run_cli(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.main",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in out + err
    return process.returncode or 0, out.decode(), err.decode()


async def test_an_order_without_cover_names_both_figures_to_client_and_command_line(market):
    key = market.key("consumer2")
    held = (await market.client.view("token", "account", key.address))["balance"]
    left, required = 7, 125_000_000
    away = [market.key("bob").address, held - left]
    assert (await market.call("consumer2", "token", "transfer", away)).ok
    order = ["buy", 1_250, 100_000_000, "keep"]
    receipt = await market.call("consumer2", "double_auction", "submit_order", [await market.open_slot(), *order])
    assert (receipt.ok, receipt.code) == (False, "INSUFFICIENT_FUNDS")
    assert receipt.value == {"required": required, "available": left}
    command = ("tx", "send", "double_auction", "submit_order", "--url", market.solo.url)
    file = str(market.solo.layout.key_file("consumer2"))
    for mode in (("--json",), ()):
        for _ in range(5):  # a command takes a second or two, and the window may close meanwhile
            arguments = json.dumps([await market.open_slot(), *order])
            code, out, _ = await run_cli(*command, "--key", file, "--args", arguments, *mode)
            if not any(window in out for window in ("ORDER_LATE", "WINDOW_CLOSED")):
                break
        assert code == 4, out
        assert "INSUFFICIENT_FUNDS" in out
        assert str(required) in out
        if mode:
            assert json.loads(out)["value"] == {"required": required, "available": left}
    assert (await market.client.view("token", "account", key.address))["balance"] == left


async def test_the_command_line_says_what_is_wrong_with_arguments(market):
    key = ("--key", str(market.solo.layout.key_file("bob")))
    common = ("tx", "send", "token", "transfer", "--url", market.solo.url, *key, "--json", "--args")
    for arguments, code in (('["0x00", 1.5]', "BAD_ARGS"), (f'["0x00", {2**300}]', "BAD_VALUE")):
        exit_code, out, _ = await run_cli(*common, arguments)
        assert (exit_code, json.loads(out)["error"]["code"]) == (2, code), out


async def test_views_with_absurd_arguments_answer_with_a_code(market):
    for arguments in ("[-1]", f"[{2**300}]", "[1e400]", "[NaN]", '["0x00"]', '["a"]', "[[]]", "[null]", "[true, 1]"):
        async with market.session.get("/v1/contracts/token/account", params={"args": arguments}) as response:
            problem = await response.json(content_type=None)
            assert response.status == 400, problem
            assert problem["code"]
