"""The life of a contract over HTTP on a real node: deploy, vote, instantiate, upgrade, and a restart mid-migration."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from counter_world import CounterWorld
from solo_world import Solo, open_solo, transfer

from contracts.artifacts import make_artifact
from contracts.state_format import InstanceRecord
from ledger.codec import encode
from ledger.errors import ConfigError, StoreError
from ledger.schema import DB_STATE, state_contract
from ledger.state import Overlay
from node.cli.query import field_of
from node.client import Client, Refusal
from node.founding import make_executor, open_chain

OLD = """
prices = Map(u64, u64)


@export
def put(count: u64) -> None:
    for number in range(count):
        prices[number] = number * 10


@view
def shown(number: u64) -> u64:
    return prices[number]
"""
NEW = """
prices = Map(u64, str)
old = Map(u64, u64, was="prices")


@migrate
def move(version: u64, cursor: bytes) -> bytes | None:
    after = None
    if len(cursor) > 0:
        after = int.from_bytes(cursor, "big")
    page = old.items((), after=after, limit=1)
    for number, price in page:
        prices[number] = f"{price}"
    if len(page) == 0:
        return None
    return page[-1][0].to_bytes(8, "big")


@view
def shown(number: u64) -> str:
    return prices[number]
"""
ROWS = 25
GAS = 50_000_000


class Person:
    """An account on a running node whose calls must succeed, or fail with a code."""

    def __init__(self, client: Client, solo: Solo, name: str) -> None:
        self.client = client
        self.account = client.account(solo.key(name))

    async def call(self, entry: str, *arguments: Any, contract: str = "governance") -> Any:
        outcome = await self.account.call(contract, entry, list(arguments), gas_limit=GAS)
        assert outcome.ok, outcome
        receipt = await self.client.receipt(outcome.id)
        assert receipt is not None
        return receipt.value

    async def refused(self, entry: str, *arguments: Any, contract: str = "governance") -> tuple[str, int]:
        outcome = await self.account.call(contract, entry, list(arguments), gas_limit=GAS)
        receipt = await self.client.receipt(outcome.id)
        assert receipt is not None
        assert not receipt.ok
        return receipt.code, receipt.line

    async def decided(self, kind: str, artifact: bytes = b"", instance: str = "", height: int = 0) -> None:
        number = await self.call("propose", kind, artifact, instance, height)
        assert await self.call("vote", number, True) == "passed"

    async def approved(self, source: str) -> bytes:
        artifact = make_artifact(source.encode()).hash
        assert await self.call("deploy", source.encode(), []) == "0x" + artifact.hex()
        await self.decided("approve", artifact)
        return bytes(artifact)

    async def upgraded(self, name: str, source: str) -> int:
        """Vote an upgrade, and make blocks until its height has come."""
        artifact = await self.approved(source)
        height = (await self.client.status()).height + 8
        await self.decided("upgrade", artifact, name, height)
        while (await self.client.status()).height < height:
            await self.call("propose_deployer", self.account.address, True)
        return height


async def phase(client: Client, name: str) -> Any:
    found: Any = await client.view("lifecycle", "instance", name)
    return (found["status"], found["version"], found["upgrade"] and found["upgrade"]["batches"])


@pytest.mark.asyncio
async def test_a_contract_lives_over_http_and_a_migration_outlives_the_process(layout: Any) -> None:
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        bureau = Person(client, solo, "energy_bureau")
        assert await bureau.refused("deploy", b"x = 1\nimport os\n", []) == ("C031", 2)
        artifact = await bureau.approved(OLD)
        await bureau.call("instantiate", artifact, "shop", [])
        await bureau.call("put", ROWS, contract="shop")
        assert await client.view("shop", "shown", 3) == 30
        before = (await client.status()).height
        height = await bureau.upgraded("shop", NEW)
        assert (await phase(client, "shop"))[:2] == ("Migrating", 2)
        with pytest.raises(Refusal) as caught:
            await client.view("shop", "shown", 3)
        assert caught.value.code == "Migrating"
        assert await client.view("shop", "shown", 3, height=before) == 30
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        status, version, batches = await phase(client, "shop")
        assert (status, version) == ("Migrating", 2)
        assert 0 < batches < ROWS
        for _ in range(200):
            if (await phase(client, "shop"))[0] == "":
                break
            await asyncio.sleep(0.1)
        assert await phase(client, "shop") == ("", 2, None)
        assert await client.view("shop", "shown", 3) == "30"
        assert await client.view("shop", "shown", 3, height=height - 1) == 30
        shown = await client.block(height, receipts=True)
        assert [receipt.entry for receipt in shown.receipts or []][:2] == ["activate", "migrate_batch"]


@pytest.mark.asyncio
async def test_strangers_neither_deploy_nor_vote(layout: Any) -> None:
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        alice = Person(client, solo, "alice")
        assert (await alice.refused("deploy", OLD.encode(), []))[0] == "NOT_DEPLOYER"
        assert (await alice.refused("propose", "freeze", b"", "token"))[0] == "NOT_MEMBER"
        assert (await alice.refused("freeze", "token", contract="lifecycle"))[0] == "AuthDenied"
        decides: Any = await client.view("governance", "decides")
        voters: Any = await client.view("governance", "voters")
        assert (decides["voters"], decides["quorum"]) == (1, 1)
        assert [voter["account"] for voter in voters] == [bytes(solo.key("energy_bureau").address)]
        installed: Any = await client.view("lifecycle", "instances", "", 50)
        assert {row["name"] for row in installed} >= {"registry", "token", "metering", "double_auction", "governance"}


@pytest.mark.asyncio
async def test_a_call_may_be_posted_to_the_path_of_its_entry_alone(layout: Any) -> None:
    async with open_solo(layout) as solo, aiohttp.ClientSession(base_url=solo.url) as session:
        raw = transfer(solo, solo.key("alice"))
        binary = {"Content-Type": "application/octet-stream"}
        answer = await session.post("/v1/contracts/token/deposit", data=raw, headers=binary)
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (400, "OTHER_CALL")
        assert (problem["expected"], problem["found"]) == ("token.deposit", "token.transfer")
        answer = await session.post("/v1/contracts/token/transfer", data=raw, headers=binary)
        assert (answer.status, (await answer.json())[0]["accepted"]) == (200, True)
        answer = await session.post("/v1/contracts/token/transfer", data=b"junk", headers=binary)
        assert answer.status == 400
        document = await (await session.get("/v1/openapi.json")).json()
        assert set(document["paths"]["/v1/contracts/{name}/{entry}"]) == {"get", "post"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slot=5", ("slot", 5)),
        ("ok=true", ("ok", True)),
        ("note=null", ("note", None)),
        ("status=passed", ("status", "passed")),
        ("who=0xff00", ("who", b"\xff\x00")),
        ("a=b=c", ("a", "b=c")),
        ("a=1.5", ("a", "1.5")),
    ],
)
def test_a_filter_of_the_command_line_is_a_field_and_a_value(text: str, expected: tuple[str, Any]) -> None:
    found = field_of(text)
    assert found == expected
    assert type(found[1]) is type(expected[1])


@pytest.mark.parametrize("text", ["slot", "=5", ""])
def test_a_filter_without_field_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        field_of(text)
    assert caught.value.code == "BAD_WHERE"


def test_a_node_refuses_a_language_that_it_does_not_speak() -> None:
    world = CounterWorld()
    view = Overlay(world.chain.state())
    raw = view.get(state_contract("counter"))
    assert raw is not None
    future = encode(InstanceRecord(bytes(32), "pyc/9", 1, ()))
    world.store.rows[DB_STATE + state_contract("counter")] = future
    with pytest.raises(StoreError) as caught:
        open_chain(world.store, world.genesis, make_executor(world.genesis))
    assert caught.value.code == "LANGUAGE_UNSUPPORTED"
    assert (caught.value.expected, caught.value.found) == ("pyc/1", "pyc/9 in counter")
