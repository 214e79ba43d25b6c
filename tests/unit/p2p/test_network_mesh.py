"""Networks on loopback find each other from one seed and talk."""

from contextlib import AsyncExitStack

import pytest
from p2p_world import running, until

from p2p.frames import Channel

pytestmark = pytest.mark.asyncio


async def test_two_networks_link_and_talk(consortium):
    async with running(consortium, "a") as (a, at_a), running(consortium, "b", seeds=(a.address,)) as (b, at_b):
        await until(lambda: at_a.linked and at_b.linked)
        assert a.send(b.node_id, Channel.VOTES, b"vote")
        assert b.send(a.node_id, Channel.BLOCKS, b"x" * 1_000_000)
        await until(lambda: at_a.frames and at_b.frames)
        assert at_b.frames == [(a.node_id, Channel.VOTES, b"vote")]
        assert at_a.frames == [(b.node_id, Channel.BLOCKS, b"x" * 1_000_000)]
        info = a.peers()[0]
        assert (info.name, info.node_name, info.role) == ("b ltd", "b", "validator")
        await until(lambda: a.peers()[0].latency_ms is not None)


@pytest.mark.parametrize("size", [4, 5])
async def test_one_seed_address_makes_a_full_mesh(consortium, size):
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(consortium, "n0"))
        seed = first[0].address
        rest = [await stack.enter_async_context(running(consortium, f"n{i}", seeds=(seed,))) for i in range(1, size)]
        nodes = [first, *rest]
        await until(lambda: all(len(recorder.linked) == size - 1 for _, recorder in nodes))
        assert all(network.full_mesh for network, _ in nodes)
        nodes[0][0].broadcast(Channel.VOTES, b"to all")
        await until(lambda: all(recorder.frames for _, recorder in nodes[1:]))
