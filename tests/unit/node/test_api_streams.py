"""Event and receipt streams over a real node: cursors, filters, restarts, bounds."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from node.client import BlockEnd, Client, EventSeen, Refusal
from tests.support.solo_world import fund, open_solo

pytestmark = pytest.mark.asyncio
MSGPACK = {"Content-Type": "application/msgpack"}


async def transfers(client, solo, count):
    alice = client.account(solo.key("alice"))
    for _ in range(count):
        assert (await alice.call("token", "transfer", [solo.key("bob").address, 1])).ok


async def collect(stream, count):
    found = []
    async with asyncio.timeout(20):
        async for seen in stream:
            found.append(seen)
            if len(found) == count:
                return found
    return found


async def test_events_resume_after_a_cursor_without_loss_or_repeat(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        await transfers(client, solo, 6)
        whole = await collect(client.events("1", contract="token"), 7)
        assert [event.name for event in whole] == ["Deposited"] + ["Transferred"] * 6
        for position, event in enumerate(whole[:-1]):
            rest = await collect(client.events(event.cursor, contract="token"), 6 - position)
            assert rest == whole[position + 1 :]


async def test_events_are_filtered(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        await transfers(client, solo, 2)
        found = await collect(client.events("1", contract="token", names=["Transferred", "Nothing"]), 2)
        assert {event.name for event in found} == {"Transferred"}


async def test_events_are_filtered_by_their_fields(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        await fund(client, solo, "bob")
        alice, bob = (bytes(solo.key(name).address) for name in ("alice", "bob"))
        whole = await collect(client.events("1", contract="token"), 2)
        assert [event.data["account"] for event in whole] == ["0x" + alice.hex(), "0x" + bob.hex()]
        for who, event in zip((alice, bob), whole, strict=True):
            assert await collect(client.events("1", where={"account": who}), 1) == [event]
        found = await collect(client.events("1", names=["Deposited"], where={"account": bob, "amount": 1_000_000}), 1)
        assert found == [whole[1]]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await collect(client.events("1", where={"account": bob, "amount": True}), 1)


@pytest.mark.parametrize("where", ["[]", "5", "{", '{"a":{}}', '{"a":1.5}', '{"a":[1]}'])
async def test_a_filter_that_is_none_is_refused(solo, where):
    async with aiohttp.ClientSession(base_url=solo.url) as session:
        answer = await session.get("/v1/events", params={"where": where})
        assert answer.status == 400
        assert (await answer.json())["code"] == "BAD_WHERE"


async def test_block_ends_are_told_in_order_and_each_once(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        await transfers(client, solo, 3)
        head = (await client.status()).height
        ends = []
        async with asyncio.timeout(20):
            async for seen in client.events("1", blocks=True):
                if isinstance(seen, BlockEnd):
                    ends.append(seen.height)
                    if seen.height == head:
                        break
                elif isinstance(seen, EventSeen):
                    assert seen.height == len(ends) + 1
        assert ends == list(range(1, head + 1))


async def test_a_live_stream_sees_what_is_committed_later(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(collect(client.events(contract="token"), 2))
            await asyncio.sleep(0.2)
            await transfers(client, solo, 2)
        assert [event.name for event in waiting.result()] == ["Transferred"] * 2


async def test_outcomes_name_every_transaction_once(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        await transfers(client, solo, 3)
        head = (await client.status()).height
        ids = []
        async with asyncio.timeout(20):
            async for height, outcomes in client.outcomes(1):
                ids += [outcome.id for outcome in outcomes]
                if height == head:
                    break
        assert len(ids) == len(set(ids))
        in_blocks = []
        for height in range(1, head + 1):
            in_blocks += [receipt.id for receipt in (await client.block(height, receipts=True)).receipts]
        assert ["0x" + identity.hex() for identity in ids] == in_blocks


async def test_a_stream_survives_the_nodes_restart(layout):
    port = 0
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        await fund(client, solo)
        await transfers(client, solo, 2)
        port = solo.api.port
    found = []

    async def follow(url):
        async with Client.open(url) as client:
            async for seen in client.events("1", contract="token"):
                found.append(seen)
                if len(found) == 5:
                    return

    async with asyncio.TaskGroup() as group:
        async with open_solo(layout, port=port) as solo:
            task = group.create_task(follow(solo.url))
            while len(found) < 3:
                await asyncio.sleep(0.02)
        async with open_solo(layout, port=port) as solo, Client.open(solo.url) as client:
            await transfers(client, solo, 2)
            async with asyncio.timeout(20):
                await task
    assert [event.name for event in found] == ["Deposited"] + ["Transferred"] * 4
    assert len({event.cursor for event in found}) == 5


async def test_what_a_subscriber_says_ends_the_stream(web):
    async with web.ws_connect("/v1/events") as socket:
        await socket.send_str("hello")
        message = await asyncio.wait_for(socket.receive(), 5)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_a_refused_stream_says_why(solo):
    async with Client.open(solo.url) as client:
        with pytest.raises(Refusal) as caught:
            await collect(client.events("nonsense"), 1)
        assert caught.value.code == "BAD_CURSOR"


async def test_a_subscriber_that_takes_nothing_is_cut_off(solo, web, monkeypatch):
    from node.api.streams import Streams

    async def nobody_reads(self, send, message):
        raise TimeoutError

    async with Client.open(solo.url) as client:
        await fund(client, solo)
    monkeypatch.setattr(Streams, "send", nobody_reads)
    async with web.ws_connect("/v1/events?from=1") as socket:
        message = await asyncio.wait_for(socket.receive(), 5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
    monkeypatch.undo()
    async with web.ws_connect("/v1/events?from=1") as socket:
        assert (await asyncio.wait_for(socket.receive(), 5)).type is aiohttp.WSMsgType.TEXT
