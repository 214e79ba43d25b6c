"""The client over a real node, on both event loops, and without a node."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from ledger.crypto import SigningKey
from node.client import Client, Refusal, Unreachable
from tests.support.solo_world import fund, open_solo


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_call_and_its_receipt_on_both_loops(layout, loop):
    async def work():
        async with open_solo(layout) as solo, Client.open(solo.url) as client:
            await fund(client, solo)
            alice = client.account(solo.key("alice"))
            outcome = await alice.call("token", "transfer", [solo.key("bob").address, 7])
            assert outcome.ok
            receipt = await client.receipt(outcome.id)
            assert receipt.height == outcome.height
            assert [event.name for event in receipt.events] == ["Transferred"]
            shown = await client.view("token", "account", solo.key("bob").address)
            assert shown["balance"] == 7
            failed = await alice.call("token", "transfer", [solo.key("bob").address, 10**9])
            assert (failed.ok, failed.code) == (False, "INSUFFICIENT_FUNDS")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work())


@pytest.mark.asyncio
async def test_a_client_without_a_node_says_so():
    async with Client.open("http://127.0.0.1:9", timeout_s=2) as client:
        with pytest.raises(Unreachable):
            await client.status()
        assert not await client.ready()


@pytest.mark.asyncio
async def test_errors_leave_the_client_unwrapped():
    with pytest.raises(ValueError, match="mine"):
        async with Client.open("http://127.0.0.1:9"):
            raise ValueError("mine")


@pytest.mark.asyncio
async def test_refused_nonces_are_used_again(solo):
    async with Client.open(solo.url) as client:
        await fund(client, solo)
        alice = client.account(solo.key("alice"))
        with pytest.raises(Refusal):
            await alice.send("token", "nothing")
        assert (await alice.call("token", "transfer", [solo.key("bob").address, 1])).ok
        state = await client.account_state(alice.address)
        assert (state.next_nonce, state.used_above) == (1, [])
        assert (await client.account(SigningKey(bytes(32)))._own_nonces()).take() == 0
